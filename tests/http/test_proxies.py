"""The environment's proxies: which request goes where, and what is wrong with a variable."""

from __future__ import annotations

import httpx
import pytest

from rotator.errors import UsageError
from rotator.http.clients import machine_client
from rotator.http.proxies import Proxies
from tests.support.wire import Wire, response

PROXY = "http://someone:pa55word@proxy.example:3128"


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("", "https://api.northflank.com", False),
        ("localhost,fd07:b51a:cc66:f0::/64", "https://api.northflank.com", False),
        ("localhost,fd07:b51a:cc66:f0::/64", "https://[fd07:b51a:cc66:f0::7]:6443", True),
        ("10.0.0.0/8", "https://10.9.8.7:6443", True),
        ("10.0.0.0/8", "https://11.9.8.7:6443", False),
        ("10.9.8.7", "https://10.9.8.7:6443", True),
        ("[fd07::1]:6443", "https://[fd07::1]:6443", True),
        (".example.com", "https://api.example.com", True),
        ("example.com", "https://api.example.com", True),
        ("example.com", "https://notexample.com", False),
        ("*.example.com:443", "https://api.example.com", True),
        ("https://example.com", "https://example.com", True),
        ("EXAMPLE.com", "https://example.COM.", True),
        ("*", "https://api.northflank.com", True),
        (" , ,, ", "https://api.northflank.com", False),
        ("not/a/network,::/999,[", "https://api.northflank.com", False),
        ("", "http://127.0.0.1:8080", True),
        ("", "http://127.8.8.8:8080", True),
        ("", "http://[::1]:8080", True),
        ("", "http://localhost:8080", True),
        ("", "https://localhost:8443", True),
    ],
)
def test_which_way_a_request_goes(no_proxy: str, url: str, direct: bool) -> None:
    environ = {"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert Proxies.of(environ).before(httpx.URL(url)) == (None if direct else PROXY)


def test_lower_case_comes_first_and_all_comes_last() -> None:
    proxies = Proxies.of({"https_proxy": "one:1", "HTTPS_PROXY": "two:2", "all_proxy": "http://three:3"})
    assert proxies.before(httpx.URL("https://a.example")) == "http://one:1"
    assert proxies.before(httpx.URL("http://a.example")) == "http://three:3"


@pytest.mark.parametrize("value", ["socks5://proxy:1080", "http://", "http://[::1", "http://proxy:port", "ftp://x"])
def test_a_variable_that_is_no_address_is_named_and_not_shown(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        machine_client({"https_proxy": value})
    assert "https_proxy" in caught.value.message
    assert value not in caught.value.message


def test_a_ca_variable_that_can_not_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(UsageError, match=r"SSL_CERT_FILE=/nowhere/ca.pem\): No such file"):
        machine_client({"SSL_CERT_FILE": "/nowhere/ca.pem"})


def test_loopback_hears_the_request_and_the_proxy_nothing() -> None:
    with Wire(lambda _: [response(b"{}")]) as here, Wire(lambda _: [response(b"{}")]) as proxy:
        client = machine_client({"HTTP_PROXY": proxy.url, "http_proxy": proxy.url, "ALL_PROXY": proxy.url})
        assert client.get(here.url, headers={"Authorization": "Bearer token"}).status_code == 200
        assert proxy.heard == []
        assert b"Bearer token" in here.heard[0]
