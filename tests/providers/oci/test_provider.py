"""The OCI provider over sockets, against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from werkzeug.wrappers import Request

from rotator.errors import Verdict
from rotator.material import Material
from rotator.model import Key, Proof, Stamp
from rotator.northflank.stamp import compose, parse
from rotator.providers.base import Draft, OpenProvider, Provider
from rotator.providers.oci import keys as oci_keys
from rotator.providers.oci.provider import PROOFS, OciUser, open_provider
from rotator.providers.oci.settings import OciSettings
from rotator.sandbox.oci.stand_in import LEAST, REGION, secret_parts
from rotator.sandbox.wire.rules import Canned, Reset
from rotator.sandbox.wire.serving import Server, utc_now
from tests.providers.contract import Harness, ProviderContract
from tests.providers.oci.world import DELETE, GET_USER, IMPATIENT, LIST, PATIENT, UPLOAD, Shifted, World, failure_of

opens: OpenProvider[OciSettings] = open_provider  # for the type checker


def says(status: int, code: str, message: str = "No.", **headers: str) -> Canned:
    body = json.dumps({"code": code, "message": message})
    return Canned(status=status, body=body, headers={"opc-request-id": "0A1B/2C3D", **headers})


@dataclass(frozen=True, slots=True)
class Recorded:
    """The stand-in never sees the private keys that are made here: this notes them for those who search logs."""

    provider: OciUser
    secrets: set[str]

    def draft(self, store_id: str, generation: int) -> Draft:
        drafted = self.provider.draft(store_id, generation)
        assert drafted.material is not None
        self.secrets.update(secret_parts(drafted.material.secret["privateKey"]))
        return drafted

    def __getattr__(self, name: str) -> Any:
        return getattr(self.provider, name)


MADE = "2026-11-23T12:00:00Z"


class TestContract(ProviderContract):
    @pytest.fixture
    def harness(self, world: World) -> Harness:
        oci, user = world.oci, world.user.ocid

        def opened(deadline: timedelta = PATIENT) -> Provider:
            return cast("Provider", Recorded(world.open(deadline), oci.secrets))

        return Harness(
            provider=opened(),
            faults=oci.faults,
            impatient=lambda: opened(IMPATIENT),
            create=UPLOAD,
            disable=None,
            delete=DELETE,
            read=LIST,
            prove=GET_USER,
            listed=lambda: oci.keys(user),
            works=oci.works,
            foreign_key=lambda: oci.create_key(user).public["fingerprint"],
            delete_identity=lambda: oci.delete_user(user),
            secrets=oci.secrets,
            down=world.stop,
        )


class TestMaterial:
    """What Northflank is given."""

    def test_it_is_complete_before_the_key_is_uploaded(self, world: World) -> None:
        drafted = world.open().draft("7f3a", 1)
        assert drafted.material is not None
        plain = drafted.material.reveal()
        private = oci_keys.load(drafted.material.secret["privateKey"], None, made_here=True)
        assert plain == {
            "region": REGION,
            "tenancyId": world.oci.tenancy,
            "userId": world.user.ocid,
            "compartmentId": world.oci.compartment,
            "fingerprint": oci_keys.fingerprint(private.public_key()),
            "privateKey": plain["privateKey"],
        }
        assert drafted.mark == plain["fingerprint"]
        assert private.key_size == 2048
        assert world.oci.faults.requests() == []

    def test_a_key_whose_upload_had_no_answer_is_found_by_its_mark_and_works(self, world: World) -> None:
        provider = world.open()
        drafted = provider.draft("7f3a", 1)
        world.spoil(UPLOAD, Reset(when="after"))
        assert failure_of(lambda: provider.mint(drafted)).verdict is Verdict.UNKNOWN
        [found] = provider.list_keys().keys
        assert found.mark == found.key_id == drafted.mark
        assert drafted.material is not None
        assert provider.prove(drafted.material) is Proof.ALIVE

    def test_every_draft_is_another_key(self, world: World) -> None:
        provider = world.open()
        assert provider.draft("7f3a", 1).mark != provider.draft("7f3a", 1).mark

    @pytest.mark.parametrize(
        ("pem", "passphrase", "begins"),
        [
            ("traditional", False, "-----BEGIN RSA PRIVATE KEY-----\nMII"),
            ("traditional", True, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,"),
            ("pkcs8", False, "-----BEGIN PRIVATE KEY-----\nMII"),
            ("pkcs8", True, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII"),
        ],
    )
    def test_the_private_key_is_written_as_configured(
        self, world: World, pem: str, passphrase: bool, begins: str
    ) -> None:
        minted = world.mint(pem=pem, passphrase=passphrase)
        plain = minted.material.reveal()
        assert plain["privateKey"].startswith(begins)
        assert ("passphrase" in plain) is passphrase
        assert world.open().prove(minted.material) is Proof.ALIVE
        assert world.oci.works(minted.material)

    def test_every_key_has_a_passphrase_of_its_own(self, world: World) -> None:
        one, other = (world.mint(passphrase=True).material.reveal()["passphrase"] for _ in range(2))
        assert one != other
        assert min(len(one), len(other)) >= 32

    def test_the_private_key_never_leaves(self, world: World) -> None:
        bodies: list[bytes] = []

        def listening(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            bodies.append(Request(environ).get_data())
            environ["wsgi.input"] = BytesIO(bodies[-1])
            return world.oci.faults(environ, start_response)

        with Server(listening) as between:
            minted = world.mint(endpoint=between.url)
        private = oci_keys.load(minted.material.secret["privateKey"], None, made_here=True)
        assert bodies == [json.dumps({"key": oci_keys.public_pem(private.public_key())}).encode()]

    def test_a_stamp_can_show_the_hint(self, world: World) -> None:
        hint = world.mint().hint
        stamp = Stamp("7f3a", 1, hint)
        assert parse(compose("Production.", stamp, date(2026, 11, 23))) == stamp


class TestListing:
    def test_all_pages_are_read(self, world: World) -> None:
        world.oci.page_size = 1
        made = [world.oci.create_key(world.user.ocid).public["fingerprint"] for _ in range(3)]
        assert [key.key_id for key in world.open().list_keys().keys] == made
        assert [seen.query for seen in world.oci.faults.requests(**LIST)] == ["", "page=1", "page=2"]

    @pytest.mark.parametrize(
        ("state", "enabled"),
        [("CREATING", True), ("ACTIVE", True), ("INACTIVE", False), ("DELETING", None), ("DELETED", None)],
    )
    def test_the_states_of_a_key(self, world: World, state: str, enabled: bool | None) -> None:
        made = "2026-11-23T12:00:00.987Z"
        body = [{"fingerprint": "aa:bb", "lifecycleState": state, "timeCreated": made}]
        world.spoil(LIST, Canned(status=200, body=json.dumps(body), headers={"opc-request-id": "1"}))
        at = datetime(2026, 11, 23, 12, tzinfo=UTC)
        wanted = () if enabled is None else (Key("aa:bb", at, enabled=enabled, mark="aa:bb"),)
        assert world.open().list_keys().keys == wanted

    @pytest.mark.parametrize(
        "body",
        [
            "{}",
            "null",
            "[",
        ],
    )
    def test_what_is_no_list_of_keys_is_unknown(self, world: World, body: str) -> None:
        world.spoil(LIST, Canned(status=200, body=body, headers={"opc-request-id": "1"}))
        assert failure_of(world.open().list_keys).verdict is Verdict.UNKNOWN

    @pytest.mark.parametrize(
        ("entry", "odd"),
        [
            ({"lifecycleState": "ACTIVE"}, "the time of creation"),
            ({"lifecycleState": "ACTIVE", "timeCreated": None}, "the time of creation"),
            ({"lifecycleState": "ACTIVE", "timeCreated": 7}, "the time of creation"),
            ({"lifecycleState": "ACTIVE", "timeCreated": "yesterday"}, "the time of creation"),
            ({"lifecycleState": "ACTIVE", "timeCreated": "2026-11-23T12:00:00"}, "the time of creation"),
            ({"lifecycleState": "ACTIVE", "timeCreated": "9999-12-31T23:59:59-23:59"}, "the time of creation"),
            ({"timeCreated": MADE}, "the state"),
            ({"timeCreated": MADE, "lifecycleState": ["DELETED"]}, "the state"),
            ({}, "the time of creation and the state"),
        ],
    )
    def test_an_odd_key_costs_only_itself(self, world: World, entry: dict[str, object], odd: str) -> None:
        good = {"fingerprint": "aa", "lifecycleState": "ACTIVE", "timeCreated": MADE}
        body = [{"fingerprint": "bb", **entry}, good]
        world.spoil(LIST, Canned(status=200, body=json.dumps(body), headers={"opc-request-id": "1"}))
        [strange, known] = world.open().list_keys().keys
        assert (strange.key_id, strange.enabled, strange.mark, strange.odd) == ("bb", True, "bb", odd)
        assert (known.key_id, known.odd) == ("aa", None)

    @pytest.mark.parametrize("entry", [1, None, "aa", [], {}, {"fingerprint": 1}, {"fingerprint": ""}])
    def test_an_entry_without_an_id_is_left_out(self, world: World, entry: object) -> None:
        body = [entry, {"fingerprint": "aa", "lifecycleState": "ACTIVE", "timeCreated": MADE}]
        world.spoil(LIST, Canned(status=200, body=json.dumps(body), headers={"opc-request-id": "1"}))
        assert [key.key_id for key in world.open().list_keys().keys] == ["aa"]

    @pytest.mark.parametrize("date", ["", "soon", "Mon, 23 Nov 2026 12:00:00"])
    def test_a_list_without_a_readable_date_has_no_time(self, world: World, date: str) -> None:
        world.spoil(LIST, Canned(status=200, body="[]", headers={"opc-request-id": "1", "Date": date}))
        assert world.open().list_keys().cloud_time is None


class TestRefusals:
    """What OCI's own complete errors mean, on each of the changes."""

    @pytest.mark.parametrize(
        ("status", "code", "permanent"),
        [
            (400, "CannotParseRequest", True),
            (400, "InvalidParameter", True),
            (401, "NotAuthenticated", True),
            (402, "SignUpRequired", True),
            (403, "NotAllowed", True),
            (404, "NotAuthorizedOrNotFound", True),
            (404, "NotFound", True),
            (409, "InvalidatedRetryToken", True),
            (409, "IncorrectState", False),
        ],
    )
    def test_of_a_mint(self, world: World, status: int, code: str, permanent: bool) -> None:
        world.spoil(UPLOAD, says(status, code, "Because\nof that."))
        failure = failure_of(world.mint)
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, code, permanent)
        assert (failure.request_id, failure.slots_full) == ("0A1B/2C3D", False)
        assert failure.message == f"UploadApiKey: {code}: Because of that."
        assert failure.remedy
        assert world.count(UPLOAD) == 1

    @pytest.mark.parametrize("code", ["LimitExceeded", "ApiKeyLimitExceeded"])
    def test_a_full_cloud(self, world: World, code: str) -> None:
        world.spoil(UPLOAD, says(400, code))
        failure = failure_of(world.mint)
        assert (failure.verdict, failure.slots_full, failure.permanent) == (Verdict.REFUSED, True, False)

    def test_an_outage_that_says_how_long_it_takes_is_heard(self, world: World) -> None:
        world.spoil(UPLOAD, says(503, "ServiceUnavailable", **{"Retry-After": "7"}))
        failure = failure_of(world.mint)
        assert (failure.verdict, failure.retry_after) == (Verdict.UNKNOWN, timedelta(seconds=7))
        assert world.count(UPLOAD) == 1

    def test_throttling_is_not_applied(self, world: World) -> None:
        world.spoil(UPLOAD, says(429, "TooManyRequests", **{"Retry-After": "7"}))
        failure = failure_of(world.mint)
        assert (failure.verdict, failure.retry_after) == (Verdict.NOT_APPLIED, timedelta(seconds=7))
        assert world.count(UPLOAD) == 1

    def test_a_key_that_is_there_already_may_be_ours(self, world: World) -> None:
        """Something in between sent the request twice: the first made the key."""
        provider = world.open()
        drafted = provider.draft("7f3a", 1)
        provider.mint(drafted)
        failure = failure_of(lambda: provider.mint(drafted))
        assert (failure.verdict, failure.code) == (Verdict.UNKNOWN, "NotAuthorizedOrResourceAlreadyExists")
        assert [key.mark for key in provider.list_keys().keys] == [drafted.mark]

    @pytest.mark.parametrize(
        "answer",
        [
            says(500, "InternalServerError"),
            says(503, "ServiceUnavailable"),
            says(408, "RequestTimeout"),
            Canned(status=404, body=json.dumps({"code": "NotAuthorizedOrNotFound", "message": "No"})),
            Canned(status=404, body='{"code": "NotAuthorizedOrNotFound"', headers={"opc-request-id": "1"}),
            Canned(status=404, body='{"code": 7, "message": "No"}', headers={"opc-request-id": "1"}),
            Canned(status=404, body="[]", headers={"opc-request-id": "1"}),
            Canned(status=200, body="{}", headers={"opc-request-id": "1"}),
            Canned(
                status=200,
                body='{"fingerprint": "aa", "lifecycleState": "ACTIVE", "timeCreated": "2026-11-23T12:00:00Z"}',
                headers={"opc-request-id": "1"},
            ),
        ],
        ids=lambda answer: f"{answer.status} {answer.body[:40]}",
    )
    def test_what_is_not_a_complete_answer_is_unknown(self, world: World, answer: Canned) -> None:
        world.spoil(UPLOAD, answer)
        assert failure_of(world.mint).verdict is Verdict.UNKNOWN
        assert world.count(UPLOAD) == 1

    @pytest.mark.parametrize(
        ("missing", "operation"),
        [("USER_APIKEY_ADD", "UploadApiKey"), ("USER_READ", "ListApiKeys"), ("USER_APIKEY_REMOVE", "DeleteApiKey")],
    )
    def test_a_missing_right_is_permanent_and_named(self, world: World, missing: str, operation: str) -> None:
        key_id = world.oci.create_key(world.user.ocid).public["fingerprint"]
        world.user.granted = LEAST - {missing}
        calls: dict[str, Callable[[], object]] = {
            "UploadApiKey": world.mint,
            "ListApiKeys": world.open().list_keys,
            "DeleteApiKey": lambda: world.open().delete(key_id),
        }
        failure = failure_of(calls[operation])
        assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, True)
        assert failure.message.startswith(f"{operation}: NotAuthorizedOrNotFound: ")
        assert "rotator policy" in failure.remedy
        assert [key.key_id for key in world.oci.keys(world.user.ocid)] == [key_id]

    def test_it_cannot_be_disabled(self, world: World) -> None:
        assert world.open().abilities.disables is None

    def test_a_delete_names_the_key_with_encoded_colons(self, world: World) -> None:
        key_id = world.mint().key.key_id
        assert world.open().delete(key_id).request_id
        assert world.open().delete(key_id).request_id  # it is gone, and that is success
        assert [seen.path for seen in world.oci.faults.requests(**DELETE)] == [
            f"/20160918/users/{world.user.ocid}/apiKeys/{key_id}"
        ] * 2


class TestProof:
    """What OCI says of a candidate, and what that means."""

    def test_a_key_that_needs_twenty_tries(self, world: World) -> None:
        start = utc_now()
        world.oci.propagation = timedelta(seconds=20)
        world.oci.server.clock = lambda: start
        minted, provider, proofs = world.mint(), world.open(), []
        for second in range(22):
            world.oci.server.clock = lambda second=second: start + timedelta(seconds=second)  # type: ignore[misc]  # mypy infers no type for a lambda with a default
            proofs.append(provider.prove(minted.material))
        assert proofs == [Proof.NOT_YET] * 20 + [Proof.ALIVE] * 2

    def test_a_deleted_key_is_not_alive(self, world: World) -> None:
        minted = world.mint()
        world.open().delete(minted.key.key_id)
        assert world.open().prove(minted.material) is Proof.NOT_YET

    def test_a_key_that_signs_wrongly_is_not_alive(self, world: World) -> None:
        minted, other = world.mint(), world.mint()
        mixed = Material(public=minted.material.public, secret=other.material.secret)
        assert world.open().prove(mixed) is Proof.NOT_YET

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_a_clock_that_is_off_says_nothing_about_the_key(self, world: World, minutes: int) -> None:
        minted = world.mint()
        wrong = world.open(clock=Shifted(timedelta(minutes=minutes)))
        assert wrong.prove(minted.material) is Proof.CLOCK
        failure = failure_of(wrong.list_keys)
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "ClockSkew", False)
        assert "clock" in failure.remedy

    def test_the_date_of_the_answer_tells_it_as_well(self, world: World) -> None:
        minted = world.mint()
        world.oci.server.clock = lambda: utc_now() + timedelta(minutes=6)
        world.spoil(GET_USER, says(401, "NotAuthenticated", "It was incorrect."))
        assert world.open().prove(minted.material) is Proof.CLOCK

    @pytest.mark.parametrize("minutes", [-4, 4])
    def test_four_minutes_are_allowed(self, world: World, minutes: int) -> None:
        minted = world.mint()
        assert world.open(clock=Shifted(timedelta(minutes=minutes))).prove(minted.material) is Proof.ALIVE

    def test_a_user_that_may_not_read_itself_is_known_all_the_same(self, world: World) -> None:
        minted = world.mint()
        world.oci.denied.add("GetUser")
        assert world.open().prove(minted.material) is Proof.ALIVE

    @pytest.mark.parametrize(
        ("code", "status", "proof"),
        [
            ("NotAuthenticated", 401, Proof.NOT_YET),
            ("NotAuthorizedOrNotFound", 404, Proof.ALIVE),
            ("NotAuthorized", 403, Proof.ALIVE),
        ],
    )
    def test_each_code_means_what_the_page_says(self, world: World, code: str, status: int, proof: Proof) -> None:
        minted = world.mint()
        world.spoil(GET_USER, says(status, code))
        assert world.open().prove(minted.material) is PROOFS[code] is proof

    @pytest.mark.parametrize(
        ("answer", "verdict"),
        [
            (says(429, "TooManyRequests"), Verdict.NOT_APPLIED),
            (says(404, "NotFound"), Verdict.REFUSED),
            (Canned(status=200, body='{"id": "somebody"}', headers={"opc-request-id": "1"}), Verdict.UNKNOWN),
        ],
    )
    def test_what_is_no_proof(self, world: World, answer: Canned, verdict: Verdict) -> None:
        minted = world.mint()
        world.spoil(GET_USER, answer)
        assert failure_of(lambda: world.open().prove(minted.material)).verdict is verdict
