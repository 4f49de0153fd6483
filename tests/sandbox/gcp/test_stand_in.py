"""Google's own clients judge the Google Cloud stand-in: google-cloud-iam over gRPC, google-auth for tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from google.api_core.exceptions import (
    FailedPrecondition,
    Forbidden,
    GoogleAPICallError,
    InvalidArgument,
    NotFound,
    ServiceUnavailable,
    Unauthenticated,
)
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.cloud import iam_admin_v1 as iam
from google.cloud.iam_admin_v1.services.iam.transports import IAMGrpcTransport
from google.oauth2 import service_account
from pydantic import SecretStr

from rotator.material import Material
from rotator.sandbox.gcp.scene import GcpScene
from rotator.sandbox.gcp.stand_in import GcpStandIn
from rotator.sandbox.wire.rules import Cut, Reset, Rule
from rotator.sandbox.wire.serving import utc_now
from tests.support.patience import patience

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
Call = Callable[..., Any]


@pytest.fixture
def gcp() -> Iterator[GcpStandIn]:
    with GcpStandIn() as stand_in:
        yield stand_in


@pytest.fixture
def email(gcp: GcpStandIn) -> str:
    return gcp.add_account("northflank-byoc")


@pytest.fixture
def call(gcp: GcpStandIn, tmp_path: Path) -> Iterator[Call]:
    """A method of the SDK's client, as the account `rotator`."""
    credentials = service_account.Credentials.from_service_account_file(
        str(gcp.write_credentials(tmp_path / "rotator.json")), scopes=SCOPES
    )
    credentials.refresh(Request())
    with grpc.insecure_channel(gcp.iam.url.removeprefix("http://")) as channel:
        client = iam.IAMClient(transport=IAMGrpcTransport(channel=channel))

        def called(method: str, token: str = credentials.token, **fields: object) -> Any:
            metadata = [("authorization", f"Bearer {token}")]
            return getattr(client, method)(request=fields, metadata=metadata, retry=None, timeout=patience())

        yield called


def reconnected(call: Call, email: str) -> None:
    """Return once the client has a new connection. Until it has seen that the old one is gone, it sends into that."""
    while True:
        with suppress(ServiceUnavailable):
            call("list_service_account_keys", name=name_of(email))
            return


def name_of(email: str) -> str:
    return f"projects/-/serviceAccounts/{email}"


def fields_of(material: Material) -> dict[str, str]:
    read: dict[str, str] = json.loads(material.reveal()["keyfileJson"])
    return read


def token_for(gcp: GcpStandIn, material: Material) -> str:
    """As google-auth gets it, from the stand-in instead of Google."""
    info = fields_of(material) | {"token_uri": gcp.token_uri}
    credentials = service_account.Credentials.from_service_account_info(info, scopes=SCOPES)
    credentials.refresh(Request())
    return str(credentials.token)


def a_certificate(
    *, bits: int = 2048, days: int = 90, key: Any = None, signer: Any = None
) -> tuple[bytes, rsa.RSAPrivateKey]:
    pair = key or rsa.generate_private_key(65537, bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "unused")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(pair.public_key())
        .serial_number(1)
        .not_valid_before(utc_now() - timedelta(days=2))
        .not_valid_after(utc_now() + timedelta(days=days))
        .sign(signer or pair, SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM), pair


class TestKeys:
    def test_a_key_lives_from_its_creation_to_its_deletion(self, gcp: GcpStandIn, email: str, call: Call) -> None:
        made = call("create_service_account_key", name=name_of(email))
        material = Material(secret={"keyfileJson": SecretStr(made.private_key_data.decode())})
        assert made.name == f"projects/{gcp.project.project}/serviceAccounts/{email}/keys/" + made.name[-40:]
        assert token_for(gcp, material).startswith("ya29.")
        call("disable_service_account_key", name=made.name)
        assert call("get_service_account_key", name=made.name).disabled
        with pytest.raises(RefreshError, match="Invalid JWT Signature"):
            token_for(gcp, material)
        call("enable_service_account_key", name=made.name)
        assert token_for(gcp, material)
        call("delete_service_account_key", name=made.name)
        with pytest.raises(RefreshError, match="Invalid JWT Signature"):
            token_for(gcp, material)
        with pytest.raises(NotFound):
            call("delete_service_account_key", name=made.name)

    def test_an_upload_is_dated_by_its_certificate(self, gcp: GcpStandIn, email: str, call: Call) -> None:
        pem, pair = a_certificate()
        made = call("upload_service_account_key", name=name_of(email), public_key_data=pem)
        certificate = x509.load_pem_x509_certificate(pem)
        assert made.valid_after_time == certificate.not_valid_before_utc
        assert made.valid_before_time == certificate.not_valid_after_utc
        assert made.key_origin == iam.ServiceAccountKeyOrigin.USER_PROVIDED
        shown = call(
            "get_service_account_key",
            name=made.name,
            public_key_type=iam.ServiceAccountPublicKeyType.TYPE_RAW_PUBLIC_KEY,
        )
        assert serialization.load_pem_public_key(shown.public_key_data) == pair.public_key()
        assert gcp.keys(email)[0].expires_at == certificate.not_valid_after_utc

    def test_a_certificate_that_is_not_right_is_refused(self, email: str, call: Call) -> None:
        other = rsa.generate_private_key(65537, 2048)
        for pem in (
            b"no certificate",
            a_certificate(bits=1024)[0],
            a_certificate(days=-1)[0],
            a_certificate(key=ec.generate_private_key(ec.SECP256R1()))[0],
            a_certificate(signer=other)[0],
        ):
            with pytest.raises(InvalidArgument):
                call("upload_service_account_key", name=name_of(email), public_key_data=pem)

    def test_ten_keys_disabled_ones_included_whoever_comes_first(self, gcp: GcpStandIn, email: str, call: Call) -> None:
        for _ in range(8):
            gcp.create_key(email)
        key_id = gcp.keys(email)[0].key_id
        call("disable_service_account_key", name=f"{name_of(email)}/keys/{key_id}")
        pems = [a_certificate()[0] for _ in range(4)]

        def upload(pem: bytes) -> bool:
            try:
                call("upload_service_account_key", name=name_of(email), public_key_data=pem)
            except FailedPrecondition:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(upload, pems)) == 2
        assert len(gcp.keys(email)) == 10
        with pytest.raises(FailedPrecondition) as bare:
            call("create_service_account_key", name=name_of(email))
        assert bare.value.details == []

    def test_googles_own_keys_are_listed_unless_others_are_asked_for(
        self, gcp: GcpStandIn, email: str, call: Call
    ) -> None:
        gcp.create_key(email)
        kinds = iam.ListServiceAccountKeysRequest.KeyType
        assert len(call("list_service_account_keys", name=name_of(email)).keys) == 2
        listed = call("list_service_account_keys", name=name_of(email), key_types=[kinds.USER_MANAGED]).keys
        assert [key.key_type for key in listed] == [kinds.USER_MANAGED]
        assert not listed[0].private_key_data

    def test_a_fresh_key_is_unknown_for_a_while_and_a_persons_works_at_once(
        self, gcp: GcpStandIn, email: str, call: Call
    ) -> None:
        gcp.project.propagation = timedelta(seconds=60)
        assert gcp.works(gcp.create_key(email))
        made = call("create_service_account_key", name=name_of(email))
        fresh = Material(secret={"keyfileJson": SecretStr(made.private_key_data.decode())})
        assert not gcp.works(fresh)
        gcp.clock = lambda: utc_now() + timedelta(seconds=61)
        assert gcp.works(fresh)


class TestRights:
    def test_rotator_may_do_nothing_to_other_accounts(self, gcp: GcpStandIn, call: Call) -> None:
        other = gcp.project.add_account("somebody").email
        with pytest.raises(Forbidden, match=r"iam\.serviceAccountKeys\.list") as caught:
            call("list_service_account_keys", name=name_of(other))
        assert (caught.value.reason, caught.value.domain) == ("IAM_PERMISSION_DENIED", "iam.googleapis.com")
        with pytest.raises(Forbidden):
            call("create_service_account_key", name=name_of(other))

    def test_an_account_that_is_absent_is_forbidden_by_wildcard_and_not_found_by_its_project(
        self, gcp: GcpStandIn, call: Call
    ) -> None:
        with pytest.raises(Forbidden):
            call("get_service_account", name=name_of("none@x.iam.gserviceaccount.com"))
        with pytest.raises(NotFound):
            call("get_service_account", name=f"projects/{gcp.project.project}/serviceAccounts/none@x.com")

    @pytest.mark.parametrize("token", ["none", "ya29.made-up"])
    def test_without_a_token_of_ours_nobody_is_let_in(self, email: str, call: Call, token: str) -> None:
        with pytest.raises(Unauthenticated):
            call("list_service_account_keys", token, name=name_of(email))

    def test_a_token_is_good_for_an_hour(self, gcp: GcpStandIn, email: str, call: Call) -> None:
        gcp.signing_clock = lambda: utc_now() + timedelta(minutes=61)
        with pytest.raises(Unauthenticated):
            call("list_service_account_keys", name=name_of(email))

    def test_permissions_are_told(self, gcp: GcpStandIn, email: str, call: Call) -> None:
        gcp.denied.add("iam.serviceAccountKeys.delete")
        wanted = ["iam.serviceAccountKeys.delete", "iam.serviceAccountKeys.list", "iam.roles.list"]
        told = call("test_iam_permissions", resource=name_of(email), permissions=wanted)
        assert list(told.permissions) == ["iam.serviceAccountKeys.list"]

    @pytest.mark.parametrize(
        "constraint", ["iam.disableServiceAccountKeyUpload", "iam.managed.disableServiceAccountKeyUpload"]
    )
    def test_an_organisations_constraint(self, gcp: GcpStandIn, email: str, call: Call, constraint: str) -> None:
        gcp.project.constraints.add(constraint)
        with pytest.raises(FailedPrecondition) as caught:
            call("upload_service_account_key", name=name_of(email), public_key_data=a_certificate()[0])
        assert f"constraints/{constraint}" in f"{caught.value.message} {caught.value.details}"


class TestTokens:
    def test_of_a_wrong_key_a_wrong_account_and_a_wrong_time(self, gcp: GcpStandIn, email: str) -> None:
        one, other = gcp.create_key(email), gcp.create_key(email)
        mixed = fields_of(one) | {"private_key": fields_of(other)["private_key"]}
        stranger = fields_of(one) | {"client_email": "none@x.iam.gserviceaccount.com"}
        for fields, said in ((mixed, "Invalid JWT Signature"), (stranger, "account not found")):
            with pytest.raises(RefreshError, match=said):
                token_for(gcp, Material(secret={"keyfileJson": SecretStr(json.dumps(fields))}))
        gcp.clock = lambda: utc_now() + timedelta(hours=2)
        with pytest.raises(RefreshError, match="reasonable timeframe"):
            token_for(gcp, one)

    def test_every_secret_is_remembered(self, gcp: GcpStandIn, email: str) -> None:
        material = gcp.create_key(email)
        token = token_for(gcp, material)
        assert {token, fields_of(material)["private_key"], material.reveal()["keyfileJson"]} <= gcp.secrets

    @pytest.mark.parametrize("body", ["", "grant_type=password", "assertion=a.b.c"])
    def test_what_is_no_assertion_is_refused(self, gcp: GcpStandIn, body: str) -> None:
        answer = httpx.post(gcp.token_uri, content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.realtime
class TestFaults:
    def test_grpc_and_http_share_one_plan(self, gcp: GcpStandIn, email: str, call: Call) -> None:
        call("list_service_account_keys", name=name_of(email))
        assert [seen.path.rpartition("/")[2] for seen in gcp.faults.requests()] == ["token", "ListServiceAccountKeys"]
        assert httpx.get(f"{gcp.http.url}/_sandbox/requests").json() == [
            {"method": seen.method, "path": seen.path, "query": "", "action": None, "status": 200, "processed": True}
            for seen in gcp.faults.requests()
        ]

    @pytest.mark.parametrize("fault", [Reset(when="after"), Cut(keep=3)])
    def test_a_connection_that_breaks_after_the_commit(
        self, gcp: GcpStandIn, email: str, call: Call, fault: Reset | Cut
    ) -> None:
        gcp.create_key(email)
        name = f"{name_of(email)}/keys/{gcp.keys(email)[0].key_id}"
        gcp.faults.put(Rule(path=re.compile("DisableServiceAccountKey"), fault=fault))
        with pytest.raises(ServiceUnavailable):
            call("disable_service_account_key", name=name)
        assert not gcp.keys(email)[0].enabled
        reconnected(call, email)
        call("enable_service_account_key", name=name)
        assert gcp.keys(email)[0].enabled

    def test_an_unknown_method(self, call: Call) -> None:
        with pytest.raises(GoogleAPICallError, match="doesn't know this method") as caught:
            call("list_roles")
        assert caught.value.grpc_status_code is grpc.StatusCode.UNIMPLEMENTED


class TestScene:
    def test_what_is_held_works_until_it_is_disabled(self, tmp_path: Path) -> None:
        with GcpScene(tmp_path, clock=utc_now, propagation=timedelta(0)) as scene:
            held = scene.held.reveal()
            assert scene.use(held) == ""
            (key,) = scene.keys()
            assert scene.settings["current_key"] == key.key_id
            account = scene.gcp.project.account(scene.account)
            assert account is not None
            account.keys[key.key_id].disabled = True
            assert scene.use(held) == f"{key.key_id}: 400"

    def test_two_in_one_process_never_meet(self, gcp: GcpStandIn, email: str) -> None:
        with GcpStandIn() as other:
            assert other.project.project != gcp.project.project
            assert not other.works(gcp.create_key(email))
