"""Which requests go through a proxy, by the environment's variables; none to this machine itself ever does.

httpx reads these variables too, but takes a range of IPv6 addresses in NO_PROXY for a broken URL, knows no range of
IPv4 addresses, and sends plain http to loopback through HTTP_PROXY, in clear, wherever that is.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import httpx

from rotator.errors import UsageError

_SCHEMES = ("http", "https", "all")
_ALLOWED = ("http", "https")
_FORM = "http://[USER:PASSWORD@]HOST:PORT"


@dataclass(frozen=True, slots=True)
class Proxies:
    """What the environment says.

    Args:
        by_scheme: `http`, `https` and `all`, each with its proxy's URL.
        names: hosts that are reached without one, and all below them; `*` is every host.
        networks: addresses that are reached without one.
    """

    by_scheme: Mapping[str, str]
    names: tuple[str, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Proxies:
        """Read HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; in lower case they come first.

        Raises:
            UsageError: a variable has a value that is no proxy's address. It is named, its value isn't: it may hold a
                password.
        """
        by_scheme = {}
        for scheme in _SCHEMES:
            name, value = _variable(environ, f"{scheme}_proxy")
            if value:
                by_scheme[scheme] = _proxy(name, value)
        names, networks = [], []
        for entry in _variable(environ, "no_proxy")[1].split(","):
            host = _host(entry.strip())
            try:
                networks.append(ip_network(host, strict=False))
            except ValueError:
                names += [host.lstrip("*").lstrip(".").lower() or "*"] if host else []
        return cls(by_scheme, tuple(names), tuple(networks))

    def before(self, url: httpx.URL) -> str | None:
        """The URL of the proxy before this one; None where it is reached without."""
        proxy = self.by_scheme.get(url.scheme) or self.by_scheme.get("all")
        return None if proxy is None or self._is_direct(url.host.lower().rstrip(".")) else proxy

    def _is_direct(self, host: str) -> bool:
        if host == "localhost" or host.endswith(".localhost") or "*" in self.names:
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return any(host == name or host.endswith(f".{name}") for name in self.names)
        return address.is_loopback or any(address in network for network in self.networks)


class Routed(httpx.BaseTransport):
    """Sends each request the way that the environment wants it. Thread-safe.

    Args:
        proxies: which way.
        tls: whom it trusts.
    """

    def __init__(self, proxies: Proxies, tls: ssl.SSLContext) -> None:
        self._proxies = proxies
        self._tls = tls
        self._lock = threading.Lock()
        self._ways: dict[str | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        return self._way(self._proxies.before(request.url)).handle_request(request)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for way in self._ways.values():
                way.close()

    def _way(self, proxy: str | None) -> httpx.HTTPTransport:
        with self._lock:
            if proxy not in self._ways:
                through = None if proxy is None else httpx.Proxy(proxy)
                self._ways[proxy] = httpx.HTTPTransport(verify=self._tls, trust_env=False, proxy=through)
            return self._ways[proxy]


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """The name by which it is set, and its value."""
    for variable in (name, name.upper()):
        if environ.get(variable, "").strip():
            return variable, environ[variable].strip()
    return name.upper(), ""


def _proxy(variable: str, value: str) -> str:
    url = value if "://" in value else f"http://{value}"
    try:
        read = httpx.URL(url)
        sound = bool(read.host) and read.scheme in _ALLOWED and httpx.Proxy(url) is not None
    except (httpx.InvalidURL, ValueError, UnicodeError):
        sound = False
    if not sound:
        raise UsageError(
            f"the environment variable {variable} is no address of a proxy.",
            remedy=f"write it as {_FORM} (http or https), or unset it.",
        )
    return url


def _host(entry: str) -> str:
    """An entry of NO_PROXY without what it may have around the host: a scheme, a port, brackets."""
    bare = entry.rpartition("://")[2]
    if bare.startswith("["):
        return bare[1:].partition("]")[0]
    name, _, port = bare.rpartition(":")
    return name if name and ":" not in name and port.isdecimal() else bare
