"""The gate for words from outside: none that repeats a secret of this process gets in.

What a server says reaches rotator through `gated`, whichever client asked: a provider's calls, a plugin's too, in
`providers.gated`, and Northflank's in `northflank.client`. The gate knows every secret that goes out by the process's
HTTP clients, and those that are used without being sent, which their holder names.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, unquote
from weakref import WeakKeyDictionary

import httpx
import structlog
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.material import Material

Value = TypeVar("Value")

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.http.gate")

WITHHELD = "(withheld: it repeats a secret)"

_STRETCH = 8
"""Characters in a row by which a secret shows, punctuation left out: a server may quote a part of it, or wrap it."""

_SHORTEST = 6
"""Characters of a secret: any text has fewer than that in common with anything."""

_REMEMBERED = 256
"""Secrets, the latest: each credential has few at a time, and an answer doesn't repeat what was sent days ago."""

_PUNCTUATION = re.compile(r"[^0-9A-Za-z]+")
_ESCAPES = re.compile(r"\\+[nrt]")
_CODES = re.compile(r"\\+u([0-9A-Fa-f]{4})")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{11,}")  # 11 digits are eight characters
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){8,}")
_URL_SAFE = str.maketrans("-_", "+/")

_SECRET_HEADERS = ("authorization", "x-amz-security-token")
_SECRET_FIELDS = frozenset({"assertion", "client_assertion", "client_secret", "refresh_token", "subject_token"})
"""Of OAuth's forms (RFC 6749, 7521, 8693)."""


class Gate:
    """Knows the secrets of this process, by their stretches alone, and what text repeats one. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: OrderedDict[int, frozenset[int]] = OrderedDict()
        self._lengths = {_STRETCH}

    def remember(self, *secrets: SecretStr) -> None:
        """Let nothing in that repeats one of these."""
        for secret in secrets:
            plain = secret.get_secret_value()
            known = hash(plain)
            with self._lock:
                if known in self._secrets:
                    self._secrets.move_to_end(known)
                    continue
            if len(plain) < _SHORTEST:
                continue
            bare = _PUNCTUATION.sub("", _ESCAPES.sub("", plain)) or plain
            length = min(_STRETCH, len(bare))
            with self._lock:
                self._lengths.add(length)
                self._secrets[known] = frozenset(_stretches(bare, length))
                if len(self._secrets) > _REMEMBERED:
                    self._secrets.popitem(last=False)

    def remember_key(self, material: Material) -> None:
        """Let nothing in that repeats a secret of this key."""
        self.remember(*material.guarded)

    def remember_sent(self, request: httpx.Request) -> None:
        """Let nothing in that repeats a secret of this request."""
        for name in _SECRET_HEADERS:
            value = request.headers.get(name, "")
            self.remember(*(SecretStr(word) for word in value.split()[-1:] if "=" not in word.rstrip("=")))
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            form = parse_qsl(request.content.decode("ascii", "replace"))
            self.remember(*(SecretStr(value) for name, value in form if name in _SECRET_FIELDS and value))

    def repeats(self, *texts: str | None) -> bool:
        """One of the texts repeats a stretch of a secret: as it is, in base64, in hex, URL-quoted or escaped."""
        with self._lock:
            secrets, lengths = tuple(self._secrets.values()), tuple(self._lengths)
        said = {
            stretch
            for text in texts
            if text
            for reading in _readings(text)
            for length in lengths
            for stretch in _stretches(reading, length)
        }
        return any(not secret.isdisjoint(said) for secret in secrets)

    def text(self, text: str) -> str:
        """The text; without what repeats a secret, where it does, and that is said."""
        if not self.repeats(text):
            return text
        what, found, _ = text.partition(": ")
        return f"{what}: {WITHHELD}" if found and not self.repeats(what) else WITHHELD

    def error(self, error: RotatorError) -> RotatorError:
        """The same error, whose words repeat no secret."""
        if isinstance(error, CallFailed):
            return self._failure(error)
        return type(error)(self.text(error.message), remedy=self.text(error.remedy))

    def _failure(self, failure: CallFailed) -> CallFailed:
        return CallFailed(
            self.text(failure.message),
            verdict=failure.verdict,
            code=self.text(failure.code),
            request_id=None if self.repeats(failure.request_id) else failure.request_id,
            permanent=failure.permanent,
            slots_full=failure.slots_full,
            retry_after=failure.retry_after,
            untold=failure.untold,
            remedy=self.text(failure.remedy),
        )


def gated(gate: Gate, what: str, call: Callable[[], Value], *, own: Callable[[], Iterable[SecretStr]] = tuple) -> Value:
    """What a call gives; whatever it raises becomes a CallFailed that repeats no secret.

    Args:
        gate: compares the words.
        what: names the call, should it break in a way that nothing foresaw.
        call: makes it.
        own: the secrets by which it is made. They may be renewed while it is.

    Raises:
        CallFailed: the call's own; UNKNOWN where it broke: whatever was sent may have been applied.
        RotatorError: the call's own.
    """
    try:
        return call()
    except RotatorError as known:
        gate.remember(*own())
        error = gate.error(known)
    except Exception as bug:  # noqa: BLE001  # a foreign answer may make a parser raise anything, with the answer in it
        kind = type(bug).__name__
        log.error("a call broke in an unforeseen way", call=what, error=kind)
        error = CallFailed(f"{what} broke in an unforeseen way: {kind}", verdict=Verdict.UNKNOWN, code=kind)
    raise error  # outside of the handlers: inside, what the call raised would hang on to it


def unbelievable(what: str) -> CallFailed:
    """An answer that repeats a secret where rotator would act on its words: no word of it is believed."""
    return CallFailed(
        f"{what}: the answer repeats a secret of rotator's, so rotator believes nothing of it",
        verdict=Verdict.UNKNOWN,
        code="echo",
        remedy="Find out what stands between rotator and the server, and why it repeats what it was sent.",
    )


def gate_of(http: httpx.Client) -> Gate:
    """The gate that watches what goes out by this client: one for its whole life."""
    with _making:
        gate = _gates.get(http)
        if gate is None:
            gate = Gate()
            watch(http, gate)
        return gate


def watch(http: httpx.Client, gate: Gate) -> None:
    """Have the gate know what goes out by this client, too."""
    _gates[http] = gate
    hooks: Mapping[str, list[Callable[..., object]]] = http.event_hooks
    http.event_hooks = {**hooks, "request": [*hooks["request"], gate.remember_sent]}


_making = threading.Lock()
_gates: WeakKeyDictionary[httpx.Client, Gate] = WeakKeyDictionary()


def _readings(text: str) -> Iterator[str]:
    """The text without punctuation, as it is, and decoded in each way in which an answer may have quoted."""
    unquoted = _CODES.sub(lambda code: chr(int(code[1], 16)), html.unescape(unquote(unquote(text))))
    plain = _ESCAPES.sub(" ", unquoted)
    yield _PUNCTUATION.sub("", text)
    yield _PUNCTUATION.sub("", plain)
    yield plain
    for run in _HEX.findall(plain):
        yield _PUNCTUATION.sub("", bytes.fromhex(run).decode("latin-1"))
    for run in _BASE64.findall("".join(plain.split())):
        digits = run.translate(_URL_SAFE)
        for start in range(4):
            whole = digits[start : start + (len(digits) - start) // 4 * 4]
            try:
                decoded = base64.b64decode(whole)
            except binascii.Error:  # it can't be: whole groups of its own digits
                continue
            yield _PUNCTUATION.sub("", _ESCAPES.sub(" ", decoded.decode("latin-1")))


def _stretches(text: str, length: int) -> Iterator[int]:
    return (hash(text[at : at + length]) for at in range(len(text) - length + 1))
