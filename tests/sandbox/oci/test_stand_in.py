"""The OCI stand-in is as strict as OCI: signatures, the clock, rights, limits and what may be uploaded."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rotator.material import Material
from rotator.providers.oci import keys as oci_keys
from rotator.providers.oci.signing import Signer
from rotator.sandbox.oci.stand_in import LEAST, OciStandIn, TenancyUser
from rotator.sandbox.wire.serving import utc_now

KEYS = "apiKeys"
SIGNED = 'headers="date (request-target) host"'


@pytest.fixture
def oci() -> Iterator[OciStandIn]:
    with OciStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def user(oci: OciStandIn) -> TenancyUser:
    return oci.add_user("northflank-byoc")


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


def signer_of(material: Material) -> Signer:
    held = material.reveal()
    private = oci_keys.load(material.secret["privateKey"], material.secret.get("passphrase"), made_here=True)
    return Signer(held["tenancyId"], held["userId"], held["fingerprint"], private)


class Caller:
    """Sends requests in somebody's name; `changed` headers replace those that were signed, None leaves one out."""

    def __init__(self, oci: OciStandIn, http: httpx.Client, material: Material | None = None) -> None:
        self._oci = oci
        self._http = http
        self.signer = signer_of(material or oci.admin)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        at: datetime | None = None,
        changed: Mapping[str, str | None] | None = None,
    ) -> httpx.Response:
        url = httpx.URL(f"{self._oci.server.url}/20160918/users/{path}")
        content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = {**self.signer.sign(method, url, content, at or utc_now()), **(changed or {})}
        headers = {name: value for name, value in signed.items() if value is not None}
        return self._http.request(method, url, headers=headers, content=content)


@pytest.fixture
def admin(oci: OciStandIn, http: httpx.Client) -> Caller:
    return Caller(oci, http)


def is_refused(answer: httpx.Response, status: int, code: str, text: str = "") -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert text in answer.json()["message"]
    assert answer.headers["opc-request-id"]


class TestSignatures:
    def test_a_signed_request(self, admin: Caller, user: TenancyUser) -> None:
        answer = admin("GET", user.ocid)
        assert (answer.status_code, answer.json()["id"]) == (200, user.ocid)
        assert answer.headers["opc-request-id"]

    def test_an_unsigned_request(self, oci: OciStandIn, user: TenancyUser, http: httpx.Client) -> None:
        is_refused(http.get(f"{oci.server.url}/20160918/users/{user.ocid}"), 401, "NotAuthenticated")

    @pytest.mark.parametrize(
        "authorization",
        [
            "Bearer x",
            "Signature x",
            f'Signature version="1",keyId="a/b",algorithm="rsa-sha256",{SIGNED},signature=""',
            f'Signature version="2",keyId="a/b/c",algorithm="rsa-sha256",{SIGNED},signature=""',
            f'Signature version="1",keyId="a/b/c",algorithm="hmac-sha256",{SIGNED},signature=""',
            f'Signature version="1",keyId="a/b/c",algorithm="rsa-sha256",{SIGNED},signature="?"',
        ],
    )
    def test_a_malformed_one(self, admin: Caller, user: TenancyUser, authorization: str) -> None:
        is_refused(admin("GET", user.ocid, changed={"authorization": authorization}), 401, "NotAuthenticated")

    @pytest.mark.parametrize("name", ["date", "host", "(request-target)"])
    def test_what_must_be_signed(self, admin: Caller, user: TenancyUser, name: str) -> None:
        shortened = " ".join({"date", "host", "(request-target)"} - {name})
        signed = admin.signer.sign("GET", httpx.URL("http://x/"), None, utc_now())["authorization"]
        changed = signed.replace("date (request-target) host", shortened)
        is_refused(admin("GET", user.ocid, changed={"authorization": changed}), 401, "NotAuthenticated", name)

    @pytest.mark.parametrize("header", ["x-content-sha256", "content-type", "content-length"])
    def test_a_body_must_be_signed(self, admin: Caller, user: TenancyUser, header: str) -> None:
        path, body = f"{user.ocid}/{KEYS}", json.dumps({"key": "x"}).encode()
        url = httpx.URL(f"http://x/20160918/users/{path}")
        signed = admin.signer.sign("POST", url, body, utc_now())["authorization"]
        answer = admin("POST", path, body, changed={"authorization": signed.replace(f" {header}", "")})
        is_refused(answer, 401, "NotAuthenticated", header)

    def test_another_body_than_the_one_signed(self, admin: Caller, user: TenancyUser) -> None:
        digest = base64.b64encode(hashlib.sha256(b"{}").digest()).decode()
        answer = admin("POST", f"{user.ocid}/{KEYS}", {"key": "x"}, changed={"x-content-sha256": digest})
        is_refused(answer, 401, "NotAuthenticated", "body")

    def test_another_target_than_the_one_signed(self, admin: Caller, oci: OciStandIn, user: TenancyUser) -> None:
        url = httpx.URL(f"{oci.server.url}/20160918/users/{user.ocid}/{KEYS}")
        signed = admin.signer.sign("GET", url, None, utc_now())
        is_refused(admin("GET", user.ocid, changed=signed), 401, "NotAuthenticated", "Failed to verify")

    def test_colons_are_signed_as_they_are_sent(self, admin: Caller, oci: OciStandIn, user: TenancyUser) -> None:
        name = oci.create_key(user.ocid).public["fingerprint"]
        encoded = f"{user.ocid}/{KEYS}/{name.replace(':', '%3A')}"
        plain = httpx.URL(f"{oci.server.url}/20160918/users/{user.ocid}/{KEYS}/{name}")
        signed = admin.signer.sign("DELETE", plain, None, utc_now())
        is_refused(admin("DELETE", encoded, changed=signed), 401, "NotAuthenticated", "Failed to verify")
        assert admin("DELETE", encoded).status_code == 204

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_a_clock_that_is_off(self, admin: Caller, user: TenancyUser, minutes: int) -> None:
        answer = admin("GET", user.ocid, at=utc_now() + timedelta(minutes=minutes))
        is_refused(answer, 401, "NotAuthenticated", "is not within allowed clock skew")

    def test_a_date_that_is_none(self, admin: Caller, user: TenancyUser) -> None:
        is_refused(admin("GET", user.ocid, changed={"date": "now"}), 401, "NotAuthenticated", "date")

    def test_another_users_key(self, oci: OciStandIn, user: TenancyUser, http: httpx.Client) -> None:
        caller = Caller(oci, http, oci.create_key(user.ocid))
        assert caller("GET", user.ocid).status_code == 200
        caller.signer = Signer(oci.tenancy, oci.admin.public["userId"], *self.half(caller.signer))
        is_refused(caller("GET", user.ocid), 401, "NotAuthenticated")

    def half(self, signer: Signer) -> tuple[str, rsa.RSAPrivateKey]:
        return signer.fingerprint, signer.private_key

    def test_another_tenancy(self, admin: Caller, user: TenancyUser) -> None:
        own = admin.signer
        admin.signer = Signer("ocid1.tenancy.oc1..other", own.user, own.fingerprint, own.private_key)
        is_refused(admin("GET", user.ocid), 401, "NotAuthenticated")


class TestKeys:
    def public(self) -> str:
        return oci_keys.public_pem(oci_keys.generate().public_key())

    def test_a_key_is_called_by_its_fingerprint(self, admin: Caller, user: TenancyUser, oci: OciStandIn) -> None:
        private = oci_keys.generate()
        answer = admin("POST", f"{user.ocid}/{KEYS}", {"key": oci_keys.public_pem(private.public_key())}).json()
        name = oci_keys.fingerprint(private.public_key())
        assert (answer["fingerprint"], answer["keyId"]) == (name, f"{oci.tenancy}/{user.ocid}/{name}")
        assert (answer["userId"], answer["lifecycleState"]) == (user.ocid, "ACTIVE")
        assert [key["fingerprint"] for key in admin("GET", f"{user.ocid}/{KEYS}").json()] == [name]
        assert [key.key_id for key in oci.keys(user.ocid)] == [name]

    def test_a_fresh_key_is_unknown_for_a_while_and_a_persons_works_at_once(
        self, admin: Caller, user: TenancyUser, oci: OciStandIn, http: httpx.Client
    ) -> None:
        start = utc_now()
        oci.server.clock = lambda: start
        oci.propagation = timedelta(seconds=60)
        assert oci.works(oci.create_key(user.ocid))
        private = oci_keys.generate()
        answer = admin("POST", f"{user.ocid}/{KEYS}", {"key": oci_keys.public_pem(private.public_key())}).json()
        assert answer["lifecycleState"] == "CREATING"
        fresh = Caller(oci, http)
        fresh.signer = Signer(oci.tenancy, user.ocid, answer["fingerprint"], private)
        is_refused(fresh("GET", user.ocid), 401, "NotAuthenticated")
        oci.server.clock = lambda: start + timedelta(seconds=60)
        assert fresh("GET", user.ocid).status_code == 200
        assert admin("GET", f"{user.ocid}/{KEYS}").json()[-1]["lifecycleState"] == "ACTIVE"

    def test_three_keys_a_user_whoever_comes_first(self, admin: Caller, user: TenancyUser, oci: OciStandIn) -> None:
        keys = [self.public() for _ in range(5)]
        with ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda key: admin("POST", f"{user.ocid}/{KEYS}", {"key": key}), keys))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 400, 400]
        is_refused(admin("POST", f"{user.ocid}/{KEYS}", {"key": self.public()}), 400, "LimitExceeded")
        assert len(oci.keys(user.ocid)) == 3

    def test_the_same_key_again(self, admin: Caller, user: TenancyUser) -> None:
        key = self.public()
        assert admin("POST", f"{user.ocid}/{KEYS}", {"key": key}).status_code == 200
        is_refused(admin("POST", f"{user.ocid}/{KEYS}", {"key": key}), 409, "NotAuthorizedOrResourceAlreadyExists")

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "CannotParseRequest"),
            (b"[]", "CannotParseRequest"),
            (b"{}", "MissingParameter"),
            (b'{"key": "x"}', "InvalidParameter"),
            (b'{"key": 1}', "MissingParameter"),
        ],
    )
    def test_what_is_no_key(self, admin: Caller, user: TenancyUser, body: bytes, code: str) -> None:
        is_refused(admin("POST", f"{user.ocid}/{KEYS}", body), 400, code)

    def test_a_short_key_or_another_kind(self, admin: Caller, user: TenancyUser) -> None:
        short = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505  # it is refused
        curve = ec.generate_private_key(ec.SECP256R1()).public_key()
        for key in (short, curve):
            pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
            is_refused(admin("POST", f"{user.ocid}/{KEYS}", {"key": pem}), 400, "InvalidParameter", "2048")

    def test_a_deleted_key_is_refused_and_is_not_found_again(
        self, admin: Caller, user: TenancyUser, oci: OciStandIn
    ) -> None:
        material = oci.create_key(user.ocid)
        path = f"{user.ocid}/{KEYS}/{material.public['fingerprint'].replace(':', '%3A')}"
        assert oci.works(material)
        answer = admin("DELETE", path)
        assert (answer.status_code, answer.content, bool(answer.headers["opc-request-id"])) == (204, b"", True)
        assert not oci.works(material)
        is_refused(admin("DELETE", path), 404, "NotAuthorizedOrNotFound")

    def test_pages(self, admin: Caller, user: TenancyUser, oci: OciStandIn) -> None:
        oci.page_size = 2
        names = [oci.create_key(user.ocid).public["fingerprint"] for _ in range(3)]
        first = admin("GET", f"{user.ocid}/{KEYS}")
        second = admin("GET", f"{user.ocid}/{KEYS}?page={first.headers['opc-next-page']}")
        assert [key["fingerprint"] for key in first.json() + second.json()] == names
        assert "opc-next-page" not in second.headers
        is_refused(admin("GET", f"{user.ocid}/{KEYS}?page=x"), 400, "InvalidParameter")

    def test_times_are_of_the_stand_ins_clock(self, oci: OciStandIn, user: TenancyUser) -> None:
        now = utc_now() + timedelta(minutes=2)
        oci.server.clock = lambda: now
        oci.create_key(user.ocid)
        assert [key.created_at for key in oci.keys(user.ocid)] == [now.replace(microsecond=0)]

    def test_every_secret_is_remembered(self, oci: OciStandIn, user: TenancyUser) -> None:
        pem = oci.create_key(user.ocid).reveal()["privateKey"]
        assert len([line for line in pem.splitlines() if line in oci.secrets]) > 10


class TestRights:
    @pytest.mark.parametrize("permission", sorted(LEAST))
    def test_each_permission_is_needed(
        self, admin: Caller, user: TenancyUser, oci: OciStandIn, permission: str
    ) -> None:
        name = oci.create_key(user.ocid).public["fingerprint"].replace(":", "%3A")
        key = {"key": oci_keys.public_pem(oci_keys.generate().public_key())}
        user.granted = LEAST - {permission}
        answers = {
            "USER_INSPECT": admin("GET", user.ocid),
            "USER_READ": admin("GET", f"{user.ocid}/{KEYS}"),
            "USER_APIKEY_ADD": admin("POST", f"{user.ocid}/{KEYS}", key),
            "USER_APIKEY_REMOVE": admin("DELETE", f"{user.ocid}/{KEYS}/{name}"),
        }
        needed = {permission} if permission != "USER_UPDATE" else {"USER_APIKEY_ADD", "USER_APIKEY_REMOVE"}
        for name, answer in answers.items():
            if name in needed:
                is_refused(answer, 404, "NotAuthorizedOrNotFound")
            else:
                assert answer.is_success

    def test_a_user_may_what_concerns_itself_and_no_more(
        self, oci: OciStandIn, user: TenancyUser, http: httpx.Client
    ) -> None:
        own = Caller(oci, http, oci.create_key(user.ocid))
        other = oci.add_user("somebody")
        assert own("GET", f"{user.ocid}/{KEYS}").status_code == 200
        is_refused(own("GET", other.ocid), 404, "NotAuthorizedOrNotFound")
        is_refused(own("GET", f"{other.ocid}/{KEYS}"), 404, "NotAuthorizedOrNotFound")

    def test_an_operation_can_be_denied_to_all(self, admin: Caller, user: TenancyUser, oci: OciStandIn) -> None:
        oci.denied.add("GetUser")
        is_refused(admin("GET", user.ocid), 404, "NotAuthorizedOrNotFound")

    def test_users_without_api_keys_and_users_that_are_gone(self, oci: OciStandIn, user: TenancyUser) -> None:
        material = oci.create_key(user.ocid)
        user.can_use_api_keys = False
        assert not oci.works(material)
        user.can_use_api_keys = True
        assert oci.works(material)
        oci.delete_user(user.ocid)
        assert not oci.works(material)

    @pytest.mark.parametrize(("method", "path"), [("PUT", ""), ("GET", f"/{KEYS}/aa:bb"), ("GET", "/groups")])
    def test_an_unknown_operation(self, admin: Caller, user: TenancyUser, method: str, path: str) -> None:
        body = b"{}" if method == "PUT" else None
        is_refused(admin(method, f"{user.ocid}{path}", body), 404, "NotFound")


def test_two_stand_ins_in_one_process_never_meet(oci: OciStandIn, user: TenancyUser) -> None:
    with OciStandIn() as other:
        theirs = other.create_key(other.add_user("northflank-byoc").ocid)
        assert other.works(theirs)
        assert not oci.works(theirs)
        assert oci.tenancy != other.tenancy
        assert oci.keys(user.ocid) == ()


def test_what_the_stand_in_is_asked_behind_the_wire_is_not_counted(oci: OciStandIn, user: TenancyUser) -> None:
    assert oci.works(oci.create_key(user.ocid))
    assert oci.keys(user.ocid)
    assert oci.faults.requests() == []
