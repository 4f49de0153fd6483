"""What of Google Cloud the stand-in speaks over HTTP: the token endpoint, and the policy analyzer."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from wsgiref.types import StartResponse, WSGIEnvironment

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from werkzeug.wrappers import Request, Response

from rotator.sandbox.gcp.project import TOKEN_LIFETIME, Project, ProjectAccount, StoredKey

GOOGLES_AUDIENCE = "https://oauth2.googleapis.com/token"
ANALYSE = "policyanalyzer.serviceAccountKeyLastAuthenticationActivities.query"
_MIDNIGHT = datetime(1970, 1, 1, 8, tzinfo=UTC)  # in Pacific Standard Time, whose days are the analyzer's
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SKEW = timedelta(minutes=5)
_MOMENT = timedelta(microseconds=1)
_ACTIVITIES = re.compile(
    r"/v1/projects/([^/]+)/locations/global/activityTypes/serviceAccountKeyLastAuthentication/activities:query"
)
_FILTER = re.compile(
    r'activities\.full_?[rR]esource_?[nN]ame ?= ?"//iam\.googleapis\.com/projects/([^/"]+)/[^"]*/keys/([0-9a-f]+)"'
)


@dataclass(slots=True)
class Activity:
    """What the policy analyzer shows of a key's use: as Google's, a day's beginning, one to two days later.

    Args:
        resolution: of what length of time it shows the beginning; whole seconds.
        lag: how long after its end it shows that.
    """

    resolution: timedelta = timedelta(days=1)
    lag: timedelta = timedelta(days=1)


class _NoGrant(Exception):
    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


class TokensAndActivities:
    """Both, as one WSGI application.

    Args:
        project: whose keys sign for tokens.
        clock_of: what the times in an account's assertions are compared with.
        caller: who sends a request, by its access token.
        activity: how late and how coarse the analyzer shows a use.
        denied: permissions that are refused whatever was granted.
    """

    def __init__(
        self,
        project: Project,
        clock_of: Callable[[ProjectAccount], datetime],
        caller: Callable[[Request], ProjectAccount | None],
        activity: Activity,
        denied: set[str],
    ) -> None:
        self._project = project
        self._clock_of = clock_of
        self._caller = caller
        self._activity = activity
        self._denied = denied

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        if request.path == "/token" and request.method == "POST":
            answer = self._token(request)
        elif _ACTIVITIES.fullmatch(request.path) and request.method == "GET":
            answer = self._activities(request)
        else:
            answer = _error(404, "NOT_FOUND", "The requested URL was not found on this server.")
        return answer(environ, start_response)

    def _token(self, request: Request) -> Response:
        try:
            account, key = self._granted(request.form.get("grant_type", ""), request.form.get("assertion", ""))
        except _NoGrant as no:
            return _json({"error": no.error, "error_description": str(no)}, no.status)
        token = self._project.give_token(account.email, key, self._clock_of(account))
        return _json(
            {"access_token": token, "expires_in": int(TOKEN_LIFETIME.total_seconds()) - 1, "token_type": "Bearer"}
        )

    def _granted(self, grant_type: str, assertion: str) -> tuple[ProjectAccount, StoredKey]:
        if grant_type != _GRANT:
            raise _NoGrant("unsupported_grant_type", f"Invalid grant_type: {grant_type}")
        try:
            signed, _, signature = assertion.rpartition(".")
            header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
            issued, expires = (float(claims[name]) for name in ("iat", "exp"))
            issuer, audience, scope = (str(claims[name]) for name in ("iss", "aud", "scope"))
            raw_signature = _decoded(signature)
        except (ValueError, KeyError, TypeError):
            raise _NoGrant("invalid_grant", "Invalid JWT: Failed to parse the assertion.") from None
        account = self._project.account(issuer)
        if account is None:
            raise _NoGrant("invalid_grant", "Invalid grant: account not found")
        now = self._clock_of(account).timestamp()
        skew = _SKEW.total_seconds()
        if not (issued <= now + skew and now - skew <= expires <= issued + TOKEN_LIFETIME.total_seconds()):
            raise _NoGrant(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your "
                "iat and exp values in the JWT claim.",
            )
        if audience != GOOGLES_AUDIENCE:
            raise _NoGrant("invalid_grant", "Invalid JWT: Failed audience check.")
        if not scope:
            raise _NoGrant("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        key = self._signer(account, header, signed.encode(), raw_signature)
        if key is None:
            raise _NoGrant("invalid_grant", "Invalid JWT Signature.")
        return account, key

    def _signer(
        self, account: ProjectAccount, header: Mapping[str, object], signed: bytes, signature: bytes
    ) -> StoredKey | None:
        if header.get("alg") != "RS256":
            return None
        now = self._project.clock()
        for key in self._project.keys(account):
            usable = not key.disabled and key.known_from <= now and key.valid_after <= now < key.valid_before
            if not usable or header.get("kid", key.key_id) != key.key_id:
                continue
            try:
                key.public.verify(signature, signed, PKCS1v15(), SHA256())
            except InvalidSignature:
                continue
            return key
        return None

    def _activities(self, request: Request) -> Response:
        caller = self._caller(request)
        if caller is None:
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if ANALYSE in self._denied or (ANALYSE, self._project.project) not in caller.may:
            return _error(403, "PERMISSION_DENIED", f"Permission '{ANALYSE}' denied on resource (or it may not exist).")
        asked = _FILTER.fullmatch(request.args.get("filter", ""))
        if asked is None:
            return _error(400, "INVALID_ARGUMENT", "Invalid filter.")
        name = request.args["filter"].split('"')[1]
        email = name.split("/")[-3]
        account = self._project.account(email)
        key = next((key for key in self._project.keys(account) if key.key_id == asked[2]), None) if account else None
        seen_until = self._begin(self._project.clock() - self._activity.lag)
        used = key.uses.latest(seen_until - _MOMENT) if key is not None else None
        if used is None:
            return _json({})
        return _json(
            {
                "activities": [
                    {
                        "fullResourceName": name,
                        "activityType": "serviceAccountKeyLastAuthentication",
                        "observationPeriod": {
                            "startTime": _text(seen_until - timedelta(days=360)),
                            "endTime": _text(seen_until),
                        },
                        "activity": {
                            "lastAuthenticatedTime": _text(self._begin(used)),
                            "serviceAccountKey": {"fullResourceName": name},
                        },
                    }
                ]
            }
        )

    def _begin(self, at: datetime) -> datetime:
        """Of the grain in which a time is."""
        return at - (at - _MIDNIGHT) % self._activity.resolution


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _error(status: int, name: str, message: str) -> Response:
    return _json({"error": {"code": status, "message": message, "status": name}}, status)


def _json(body: Mapping[str, object], status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json; charset=UTF-8")
