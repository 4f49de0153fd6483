from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.errors import CallFailed, Verdict
from rotator.http.answers import Answer, NoAnswer
from rotator.northflank.answers import Page, data, failure, item, page, token_info
from rotator.northflank.client import shown

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

known_names = st.sampled_from(
    ["data", "error", "status", "message", "id", "details", "provider", "description", "credentials", "accessKey"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | known_names, inner, max_size=4),
    max_leaves=12,
)
bodies = st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode())
headers = st.dictionaries(
    st.sampled_from(["content-type", "retry-after", "date", "x-ratelimit-reset", "x-request-id"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
    | st.sampled_from(
        ["text/html", "0", "120", "Mon, 23 Nov 2026 12:10:00 GMT", "Wed, 21 Oct 2015 07:28:00 +99999999999"]
    ),
    max_size=4,
)


def answer(status: int, body: object, **fields: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, httpx.Headers({name.replace("_", "-"): value for name, value in fields.items()}), raw, NOW)


def judged(result: Answer | NoAnswer) -> CallFailed:
    return failure(result, what="the update of integration prod-aws")


@given(st.integers(100, 599), headers, bodies)
@settings(deadline=None)
def test_whatever_comes_back_there_is_a_verdict(status: int, fields: dict[str, str], body: bytes) -> None:
    failed = judged(Answer(status, httpx.Headers(fields), body, NOW))
    assert failed.verdict is not Verdict.DONE
    assert failed.__context__ is None
    assert str(failed.message).isprintable()
    if failed.verdict is Verdict.REFUSED:
        assert json.loads(body)["error"]["status"] == status or (status == 405 and body == b"Method Not Allowed")
    if status not in {400, 401, 403, 404, 405, 409, 422, 429}:
        assert failed.verdict is Verdict.UNKNOWN


@given(json_values)
@settings(deadline=None)
def test_whatever_is_shown_can_be_stored_and_holds_no_credentials(value: object) -> None:
    seen = item(value)
    if seen is not None:
        assert SECRET not in (seen.echoed_key or "")
        (seen.description or "").encode()
    token_info(value)
    page(answer(200, {"data": value}), "integrations")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422])
def test_northflanks_own_refusal_is_definite(status: int) -> None:
    failed = judged(answer(status, {"error": {"status": status, "message": "No.", "id": "nf-no"}}, x_request_id="r-1"))
    assert failed.verdict is Verdict.REFUSED
    assert failed.permanent is (status != 409)
    assert (failed.code, failed.request_id) == (str(status), "r-1")
    assert f"{status} nf-no, No." in failed.message
    assert failed.remedy


def test_the_routers_405_is_text() -> None:
    failed = judged(answer(405, b"Method Not Allowed", content_type="text/plain", allow="GET, PATCH"))
    assert (failed.verdict, failed.permanent) == (Verdict.REFUSED, True)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b"<html>Forbidden</html>"),
        (404, b""),
        (404, b"not found"),
        (405, b"<h1>Method Not Allowed</h1>"),
        (400, {"error": "Bad Request"}),
        (400, {"error": {"message": "no status"}}),
        (401, {"error": {"status": 403, "message": "another status"}}),
        (400, {"error": {"status": "400", "message": "a text for a status"}}),
        (400, [{"error": {"status": 400}}]),
        (400, b'{"error": {"status": 400, "mess'),
        (409, b"[" * 100_000),
        (408, {"error": {"status": 408, "message": "Request Timeout"}}),
        (425, {"error": {"status": 425, "message": "Too Early"}}),
        (499, {"error": {"status": 499, "message": "Client Closed Request"}}),
        (500, {"error": {"status": 500, "message": "Internal"}}),
        (502, b"<html>"),
        (503, {"error": {"status": 503, "message": "Unavailable"}}),
        (504, b""),
        (301, b""),
        (204, b""),
        (200, b'{"data": {"id": "prod-a'),
        (429, b"<html>slow down</html>"),
    ],
)
def test_all_else_may_have_been_applied(status: int, body: object) -> None:
    assert judged(answer(status, body)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("body", [{"error": {"status": 429, "message": "Rate limit"}}, b"Too many requests", b""])
@pytest.mark.parametrize(
    ("fields", "wait"),
    [
        ({"retry_after": "120"}, 120),
        ({"retry_after": "Mon, 23 Nov 2026 12:10:00 GMT"}, 600),
        ({"retry_after": "Mon, 23 Nov 2026 13:10:00 GMT", "date": "Mon, 23 Nov 2026 13:00:00 GMT"}, 600),
        ({"retry_after": "Mon, 23 Nov 2026 11:00:00 GMT", "x_ratelimit_reset": "30"}, 30),
        ({"retry_after": "0"}, 60),
        ({"retry_after": "soon", "x_ratelimit_reset": "1800"}, 1800),
        ({"retry_after": "999999999"}, 3600),
        ({"x_ratelimit_reset": "1795435200"}, 60),  # a moment, where seconds are due
        ({}, 60),
    ],
)
def test_over_the_limit_is_not_applied_and_says_how_long_to_wait(
    body: object, fields: dict[str, str], wait: int
) -> None:
    failed = judged(answer(429, body, **fields))
    assert failed.verdict is Verdict.NOT_APPLIED
    assert failed.retry_after == timedelta(seconds=wait)


def test_an_outage_may_say_how_long_it_takes() -> None:
    assert judged(answer(503, b"", retry_after="300")).retry_after == timedelta(seconds=300)
    assert judged(answer(503, b"")).retry_after is None


@pytest.mark.parametrize(("sent", "verdict"), [(True, Verdict.UNKNOWN), (False, Verdict.NOT_APPLIED)])
def test_no_answer_counts_by_whether_it_was_sent(sent: bool, verdict: Verdict) -> None:
    assert judged(NoAnswer("the connection broke", sent=sent)).verdict is verdict


def test_the_message_and_details_are_shown_on_one_line() -> None:
    error = {"status": 400, "message": "Invalid\x1b[31m\n body", "details": {"description": ["too long"]}}
    failed = judged(answer(400, {"error": error}))
    assert 'Invalid [31m body, {"description": ["too long"]}' in failed.message


def test_an_integration_is_shown_without_its_credentials() -> None:
    seen = item(
        {
            "id": "prod-aws",
            "name": "Production",
            "provider": "aws",
            "description": "half \ud800 a character, \0",
            "credentials": {"accessKey": "AKIAIOSFODNN7EXAMPLE", "secretKey": SECRET},
            "registryCredentialRefresh": {"status": "healthy", "lastError": {"message": SECRET}},
            "somethingNew": True,
        }
    )
    assert seen is not None
    assert (seen.echoed_key, seen.registries) == ("AKIAIOSFODNN7EXAMPLE", "healthy")
    assert seen.description == "half ? a character, ?"
    assert SECRET not in repr(seen)


@pytest.mark.parametrize(
    "masked", ["AKIA************MPLE", "****************", "", "AKIA", None, 7, ["AKIAIOSFODNN7EXAMPLE"]]
)
def test_a_masked_key_id_is_none(masked: object) -> None:
    seen = item({"id": "prod-aws", "provider": "aws", "credentials": {"accessKey": masked}})
    assert seen is not None
    assert seen.echoed_key is None


def test_providers_that_rotator_does_not_know_are_read() -> None:
    seen = item({"id": "n", "provider": "nebius", "credentials": {"accessKey": "AKIAIOSFODNN7EXAMPLE"}})
    assert seen is not None
    assert (seen.provider, seen.echoed_key, seen.description) == ("nebius", None, None)


@pytest.mark.parametrize(
    ("provider", "details", "expected"),
    [
        ("aws", {"authenticationMode": "crossAccountRole"}, ("crossAccountRole", None, None)),
        (
            "gcp",
            {"authenticationMode": "accessKey", "projectId": "p", "serviceAccountEmail": "a@p.example"},
            ("accessKey", "p", "a@p.example"),
        ),
        ("gcp", {"projectId": "p"}, (None, "p", None)),
        ("azure", {}, (None, None, None)),
        ("gcp", ["authenticationMode"], (None, None, None)),
        ("aws", {"authenticationMode": 7}, (None, None, None)),
    ],
)
def test_how_it_authenticates_is_known_where_the_answer_tells(
    provider: str, details: object, expected: tuple[str | None, ...]
) -> None:
    seen = item({"id": "i", "provider": provider, provider: details, "credentials": {"authenticationMode": "no"}})
    assert seen is not None
    assert (seen.mode, seen.project, seen.service_account) == expected


def test_pages() -> None:
    def paged(**pagination: object) -> Answer:
        return answer(200, {"data": {"integrations": [1]}, "pagination": pagination})

    first = shown_page(paged(hasNextPage=True, cursor="c2", count=1))
    assert (first.values, first.more, first.cursor) == ((1,), True, "c2")
    assert not shown_page(paged(hasNextPage=False, cursor="c2")).more
    assert shown_page(paged(cursor="c2")).more
    assert not shown_page(answer(200, {"data": {"integrations": []}})).more
    assert page(answer(200, {"data": {"clusters": []}}), "integrations") is None


def shown_page(given: Answer) -> Page:
    found = page(given, "integrations")
    assert found is not None
    return found


def test_the_token() -> None:
    info = token_info(
        {
            "tokenKind": "api",
            "name": "rotator",
            "entityType": "team",
            "entityId": "shop",
            "expiresAt": "2027-01-01T00:00:00.000Z",
            "permissions": {"teamScope": ["Account > Cloud > Integrations > Read"], "projectScope": []},
        }
    )
    assert info.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert token_info({"tokenKind": "session", "id": "t1", "expiresAt": "never"}).expires_at is None


def test_only_a_200_has_data() -> None:
    assert data(answer(200, {"data": {"id": "x"}})) == {"id": "x"}
    assert data(answer(201, {"data": {"id": "x"}})) is None
    assert data(answer(200, {"data": []})) is None


def test_a_failure_is_raised_where_a_value_was_due() -> None:
    with pytest.raises(CallFailed):
        shown(judged(NoAnswer("broken", sent=True)))
    assert shown(5) == 5
