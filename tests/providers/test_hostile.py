"""One sick neighbour: whatever a server does with an answer, the call ends in CallFailed, in time and in bounds."""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta

import pytest

from rotator.errors import CallFailed
from rotator.http.clients import HttpClients
from rotator.providers.aws.provider import open_provider
from rotator.providers.aws.settings import AwsUserSettings
from rotator.providers.base import Provider, Tools
from rotator.providers.gated import Gated
from tests.support.given import tools
from tests.support.patience import patience
from tests.support.wire import Wire, response

pytestmark = pytest.mark.realtime

DEADLINE = timedelta(seconds=patience(1))
LATE = 3 * DEADLINE.total_seconds()
"""Seconds: a read is tried twice, and a busy machine is slow."""

MEBIBYTE = 1024 * 1024


def drip(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 100000\r\n\r\n"
    while True:
        time.sleep(0.05)  # the speed of the drip
        yield b"<"


def drip_headers(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        time.sleep(0.05)  # the speed of the drip
        yield b"x: y\r\n"


def continues(_: bytes) -> Iterator[bytes]:
    return itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")


def endless(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\n\r\n"
    yield from itertools.repeat(b"<a>" * 20_000)


def endless_chunks(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    yield from itertools.repeat(b"ea60\r\n" + b"x" * 60_000 + b"\r\n")


def endless_header(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nx: "
    yield from itertools.repeat(b"y" * 60_000)


def silence(_: bytes) -> Iterator[bytes]:
    time.sleep(LATE)  # this is what the server does
    return iter(())


def canned(*pieces: bytes) -> Callable[[bytes], Iterable[bytes]]:
    return lambda _: pieces


HOSTILE: Mapping[str, Callable[[bytes], Iterable[bytes]]] = {
    "drips": drip,
    "drips headers": drip_headers,
    "100 Continue without end": continues,
    "a body without end": endless,
    "chunks without end": endless_chunks,
    "a header without end": endless_header,
    "silence": silence,
    "nothing": canned(),
    "no HTTP": canned(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a redirect": canned(response(b"", "302 Found", location="http://127.0.0.1:1/")),
    "HTML": canned(response(b"<html>Sign in</html>", content_type="text/html")),
    "a date beyond time": canned(response(b"{}", date="Fri, 31 Dec 9999 23:59:59 -2359")),
    "not UTF-8": canned(response(b"\xff\xfe\x00<", content_type="text/xml; charset=utf-16")),
    "an unknown charset": canned(response(b"<a/>", "400 Bad Request", content_type="text/xml; charset=no-such")),
    "deep nesting": canned(response(b"<a>" * 100_000, content_type="text/xml")),
    "entities": canned(response(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', content_type="text/xml")),
}


def opened(url: str, process: Tools) -> Provider:
    said = {"user": "northflank-byoc", "aws": {"region": "eu-central-1", "iam_endpoint": url, "sts_endpoint": url}}
    return Gated(lambda: open_provider(AwsUserSettings.model_validate(said), process), process.http.gate)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Tools:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAROTATOROWNKEY000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    return tools(DEADLINE)


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
def test_aws_ends_in_time_and_in_bounds(process: Tools, reply: Callable[[bytes], Iterable[bytes]]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Wire(reply) as wire:
        provider = opened(wire.url, process)
        able = provider.abilities
        assert able.disables is not None
        assert able.tells_use is not None
        for call in (
            provider.list_keys,
            lambda: provider.mint(provider.draft("7f3a", 1)),
            lambda: able.disables.disable("AKIA0000000000000000"),
            lambda: able.tells_use.last_used("AKIA0000000000000000"),
            lambda: provider.delete("AKIA0000000000000000"),
        ):
            began = time.monotonic()
            with pytest.raises(CallFailed):
                call()
            assert time.monotonic() - began < LATE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * MEBIBYTE / 1024


@pytest.mark.parametrize("variable", ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"])
def test_where_rotators_own_credentials_come_from_can_not_hang_it(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with Wire(drip) as wire:
        monkeypatch.setenv(variable, wire.url)
        process = Tools(DEADLINE, DEADLINE, tools(DEADLINE).clock, HttpClients(tools(DEADLINE).http.trusting(None)))
        began = time.monotonic()
        with pytest.raises(Exception, match="AWS can't be used"):
            opened(wire.url, process)
        assert time.monotonic() - began < patience(20)
        assert wire.heard
