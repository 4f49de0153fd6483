"""OCI's Identity service: signed requests, each within one deadline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote, urlencode

import httpx

from rotator.clock import Clock
from rotator.errors import RotatorError
from rotator.http.answers import Answer
from rotator.http.calls import patiently, send
from rotator.http.exchange import Span
from rotator.providers.oci.answers import done
from rotator.providers.oci.signing import Signer

_VERSION = "20160918"  # of the API
_NEXT_PAGE = "opc-next-page"

# From the list of realms in Oracle's Python SDK (regions_definitions.py); all others are called by their number.
_DOMAINS = {
    "oc1": "oraclecloud.com",
    "oc2": "oraclegovcloud.com",
    "oc3": "oraclegovcloud.com",
    "oc4": "oraclegovcloud.uk",
    "oc19": "oraclecloud.eu",
}


def endpoint(region: str, tenancy: str) -> str:
    """Where the Identity service of a region is.

    Args:
        region: e.g. `eu-frankfurt-1`.
        tenancy: an OCID, which names the realm.

    Raises:
        RotatorError: this realm's domain isn't known.
    """
    realm = tenancy.split(".")[2]
    number = realm.removeprefix("oc")
    if not number.isdecimal():
        raise RotatorError(
            f"The domain of OCI's realm {realm} isn't known.",
            remedy="Name the Identity endpoint in `endpoint`: https://identity.REGION.oci.DOMAIN.",
        )
    return f"https://identity.{region}.oci.{_DOMAINS.get(realm, f'oraclecloud{number}.com')}"


class IdentityApi:
    """The Identity service at one address. Thread-safe.

    Args:
        http: shared by the whole process.
        url: the address, without a slash at its end.
        deadline: for one call, repetitions and pages included.
        clock: signs and measures.
    """

    def __init__(self, http: httpx.Client, url: str, deadline: timedelta, clock: Clock) -> None:
        self.url = url
        self._http = http
        self._deadline = deadline
        self._clock = clock

    def span(self) -> Span:
        """The time of one call, from now on."""
        return Span(self._clock, self._deadline)

    def once(
        self,
        what: str,
        signer: Signer,
        method: str,
        path: tuple[str, ...],
        *,
        content: Mapping[str, str] | None = None,
        span: Span,
    ) -> Answer:
        """Send one request, once.

        Args:
            what: names the call in errors.
            signer: in whose name.
            method: GET, POST or DELETE.
            path: its segments below the API's version, not encoded.
            content: the body.
            span: what is left of the call's time.

        Raises:
            CallFailed: anything but success.
        """
        body = None if content is None else json.dumps(content).encode("ascii")
        return self._send(what, signer, method, self._url(path), body=body, span=span)

    def pages(self, what: str, signer: Signer, path: tuple[str, ...], span: Span) -> list[Answer]:
        """GET, all pages, each once.

        Raises:
            CallFailed: anything but success.
        """
        answers = [self._send(what, signer, "GET", self._url(path), body=None, span=span)]
        while page := answers[-1].headers.get(_NEXT_PAGE):
            answers.append(self._send(what, signer, "GET", self._url(path, page=page), body=None, span=span))
        return answers

    def read(self, what: str, signer: Signer, path: tuple[str, ...]) -> list[Answer]:
        """GET, all pages. What can't be read is asked for again.

        Raises:
            CallFailed: anything but success.
        """
        return patiently(lambda span: self.pages(what, signer, path, span), clock=self._clock, deadline=self._deadline)

    def _send(
        self, what: str, signer: Signer, method: str, url: httpx.URL, *, body: bytes | None, span: Span
    ) -> Answer:
        headers = {"accept": "application/json", **signer.sign(method, url, body, self._clock.now())}
        answer = send(self._http, method, str(url), what=what, headers=headers, content=body, span=span)
        return done(what, answer)

    def _url(self, path: tuple[str, ...], **query: str) -> httpx.URL:
        # Colons in a fingerprint are encoded, as in Oracle's SDK: what is signed is what is sent.
        target = "/".join((self.url, _VERSION, *(quote(segment, safe="") for segment in path)))
        return httpx.URL(f"{target}?{urlencode(query)}" if query else target)
