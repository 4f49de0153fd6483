"""The gate: no text that repeats a secret of this process gets in, however it quotes it; all other text does."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote, quote_plus, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.http.clients import renewed
from rotator.http.gate import WITHHELD, Gate, gate_of, gated
from rotator.material import Material

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY~9Q"
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7VJTUt9\n"
    "-----END PRIVATE KEY-----\n"
)

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in codes": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "in a URL": lambda text: quote(text, safe=""),
    "in a form": quote_plus,
    "twice in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "HTML": lambda text: text.replace("/", "&#x2F;").replace("+", "&#43;"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 behind one": lambda text: base64.b64encode(b":" + text.encode()).decode(),
    "base64 behind two": lambda text: base64.b64encode(b"a:" + text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: "\n".join(base64.encodebytes(b"x" * 30 + text.encode()).decode().split()),
    "base64 in a URL": lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "in pieces": lambda text: " ".join(text[at : at + 5] for at in range(0, len(text), 5)),
}
"""The ways in which a server may repeat what it was sent."""


@pytest.fixture
def gate() -> Gate:
    gate = Gate()
    gate.remember(SecretStr(SECRET), SecretStr(PEM))
    return gate


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("secret", [SECRET, PEM], ids=["key", "pem"])
def test_a_secret_is_withheld_in_every_form(gate: Gate, secret: str, form: Callable[[str], str]) -> None:
    for said in (f"AADSTS90014: the body is {form(secret)}.", f"client_secret={form(secret)}&scope=x", form(secret)):
        assert gate.repeats(said), said
        assert WITHHELD in gate.text(said)


@given(st.text(string.ascii_letters + string.digits + "/+~.-_=", min_size=16, max_size=60), st.data())
def test_a_piece_of_any_secret_is_withheld(secret: str, data: st.DataObject) -> None:
    gate = Gate()
    gate.remember(SecretStr(secret))
    bare = "".join(character for character in secret if character.isalnum())
    if len(bare) < 8:
        assert gate.repeats(f"your key {secret}")
        return
    at = data.draw(st.integers(0, len(bare) - 8))
    assert gate.repeats(f"your key is not {bare[at : at + 8]}..")
    assert gate.repeats(f"Basic {base64.b64encode(b'id:' + secret.encode()).decode()}")


def test_a_short_secret_is_withheld_whole() -> None:
    gate = Gate()
    gate.remember(SecretStr("hunter2!"), SecretStr("!!??!!"), SecretStr("a"))
    assert gate.repeats("no such password: hunter2!")
    assert gate.repeats("what is !!??!!")
    assert not gate.repeats("no such password: hunter")


@pytest.mark.parametrize(
    "text",
    [
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the client secret value.",
        "User: arn:aws:iam::123456789012:user/rotator is not authorized to perform: iam:CreateAccessKey",
        "the private key is not valid, and no -----BEGIN CERTIFICATE----- is there",
        "opc-request-id 7F3A0E1D2C4B5A697888/AABBCCDDEEFF00112233445566778899",
        "Production [rotator 7f3a g42 AKIA..WXYZ 2026-11-23]",
        "",
    ],
)
def test_other_text_gets_in_as_it_is(gate: Gate, text: str) -> None:
    assert gate.text(text) == text


def test_what_the_call_was_is_still_said(gate: Gate) -> None:
    assert gate.text(f"addPassword: BadRequest: {SECRET}") == f"addPassword: {WITHHELD}"
    assert gate.text(f"{SECRET}: BadRequest") == WITHHELD


def test_every_word_of_a_failure_is_compared(gate: Gate) -> None:
    failure = CallFailed(
        f"m: {SECRET}",
        verdict=Verdict.REFUSED,
        code=SECRET,
        request_id=SECRET,
        permanent=True,
        slots_full=True,
        retry_after=timedelta(seconds=3),
        untold=True,
        remedy=SECRET,
    )
    shown = gate.error(failure)
    assert isinstance(shown, CallFailed)
    assert not gate.repeats(str(shown), repr(shown.args), repr(vars(shown)))
    assert (shown.verdict, shown.permanent, shown.slots_full, shown.untold) == (Verdict.REFUSED, True, True, True)
    assert shown.retry_after == timedelta(seconds=3)


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), RecursionError(SECRET), UnicodeEncodeError("ascii", SECRET, 0, 1, SECRET)]
)
def test_a_call_that_breaks_is_unknown_and_keeps_nothing_of_it(gate: Gate, error: Exception) -> None:
    def breaks() -> None:
        raise error

    with pytest.raises(CallFailed) as caught:
        gated(gate, "the list of keys", breaks)
    assert (caught.value.verdict, caught.value.code) == (Verdict.UNKNOWN, type(error).__name__)
    assert SECRET not in repr(vars(caught.value)) + str(caught.value)
    assert caught.value.__context__ is None


def test_an_error_before_a_call_is_compared_too(gate: Gate) -> None:
    def fails() -> None:
        raise RotatorError(f"can't be read: {SECRET}", remedy=f"not {SECRET}")

    with pytest.raises(RotatorError) as caught:
        gated(gate, "the list of keys", fails)
    assert SECRET not in f"{caught.value} {caught.value.args}"


def test_what_a_client_sends_is_known(gate: Gate) -> None:
    sent = httpx.Client()
    gate = gate_of(sent)
    token, session, candidate = "eyJhbGciOi.J9eyJpc3M.iOiJhY21l", "FwoGZXIvYXdzEBYaDK", "Q~8a7bK.candidate~1234"
    form = urlencode({"client_id": "00000000-1111", "client_secret": candidate, "scope": "https://graph.example/x"})
    for headers, content in (
        ({"Authorization": f"Bearer {token}"}, None),
        ({"X-Amz-Security-Token": session}, None),
        ({"Content-Type": "application/x-www-form-urlencoded"}, form.encode()),
    ):
        with pytest.raises(httpx.ConnectError):
            sent.post("http://127.0.0.1:9/", headers=headers, content=content)
    assert all(gate.repeats(f"no: {secret}") for secret in (token, session, candidate))
    assert not gate.repeats("no application 00000000-1111 for https://graph.example/x")
    assert gate_of(sent) is gate


def test_the_public_part_of_a_key_file_gets_in() -> None:
    file = {"private_key": PEM, "client_email": "northflank@acme.iam.gserviceaccount.com"}
    gate = Gate()
    gate.remember_key(Material(secret={"keyfileJson": SecretStr(json.dumps(file))}, parts=(SecretStr(PEM),)))
    assert not gate.repeats("northflank@acme.iam.gserviceaccount.com has no such key")
    assert gate.repeats(json.dumps(file))


def test_it_remembers_the_latest() -> None:
    gate = Gate()
    for number in range(1000):
        gate.remember(SecretStr(f"a-secret-{number:08}"))
        gate.remember(SecretStr("the-one-in-use"))
    assert gate.repeats("the-one-in-use")
    assert gate.repeats("a-secret-00000999")
    assert not gate.repeats("b-00000000")


def test_a_client_made_at_a_reload_shares_the_gate() -> None:
    old = httpx.Client(trust_env=False)
    gate_of(old).remember(SecretStr(SECRET))
    new = renewed(old)
    assert gate_of(new) is gate_of(old)
    assert gate_of(new).repeats(SECRET)
    assert not new.trust_env
