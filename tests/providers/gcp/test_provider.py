"""The Google Cloud provider with the real SDK over sockets, against the stand-in."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from google.rpc.error_details_pb2 import ErrorInfo

from rotator.errors import RotatorError, Verdict
from rotator.material import Material
from rotator.model import Proof
from rotator.providers.base import Draft, OpenProvider, Provider
from rotator.providers.gcp.access import GcpAccess
from rotator.providers.gcp.proof import PROOFS
from rotator.providers.gcp.provider import open_provider
from rotator.providers.gcp.rights import rights
from rotator.providers.gcp.settings import GcpSettings
from rotator.sandbox.gcp.project import private_key
from rotator.sandbox.gcp.refusal import GcpRefusal
from rotator.sandbox.wire.rules import Canned, Reset
from rotator.sandbox.wire.serving import utc_now
from tests.providers.contract import everything_in
from tests.providers.gcp.world import World, a_world, failure_of, refusal
from tests.support.given import LIFETIME

CREATION = "iam.disableServiceAccountKeyCreation"
UPLOAD = "iam.disableServiceAccountKeyUpload"
EXPIRY = "iam.serviceAccountKeyExpiryHours"

opens: OpenProvider[GcpSettings] = open_provider  # for the type checker


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as opened:
        yield opened


def of_google(world: World) -> Provider:
    return world.open(key_origin="google")


def key_file(material: Material) -> dict[str, str]:
    read: dict[str, str] = json.loads(material.reveal()["keyfileJson"])
    return read


class TestKeyFile:
    def test_of_an_upload_it_is_as_google_writes_one(self, world: World) -> None:
        minted = world.mint()
        own, googles = key_file(minted.material), key_file(world.gcp.create_key(world.email))
        assert list(own) == list(googles)
        assert minted.material.reveal()["keyfileJson"].startswith('{\n  "type": "service_account",\n')
        differing = {name for name in own if own[name] != googles[name]}
        assert differing == {"private_key_id", "private_key"}
        assert own["private_key_id"] == minted.key.key_id
        assert minted.hint == f"{minted.key.key_id[:4]}..{minted.key.key_id[-4:]}"

    def test_it_sends_no_workload_to_where_rotator_proves_it(self, world: World) -> None:
        assert world.section["token_uri"].startswith("http://127.0.0.1")
        assert key_file(world.mint().material)["token_uri"] == "https://oauth2.googleapis.com/token"

    def test_of_a_key_made_by_google_it_is_google_s_to_the_letter(self, world: World) -> None:
        provider = of_google(world)
        text = provider.mint(Draft()).material.reveal()["keyfileJson"]
        assert text in world.gcp.secrets

    def test_the_private_key_of_an_upload_never_reaches_google(self, world: World) -> None:
        minted = world.mint()
        assert key_file(minted.material)["private_key"] not in world.gcp.secrets

    def test_the_key_ends_with_its_certificate(self, world: World) -> None:
        before = utc_now().replace(microsecond=0)
        expires = world.mint().key.expires_at
        assert expires is not None
        assert before <= expires - LIFETIME <= utc_now()
        assert of_google(world).mint(Draft()).key.expires_at is None


class TestMark:
    def test_the_key_of_a_lost_reply_is_recognised_by_its_public_key(self, world: World) -> None:
        world.foreign_key()
        drafts = [world.provider.draft("7f3a", generation) for generation in (1, 2)]
        assert all(draft.mark and draft.material is None for draft in drafts)
        world.spoil("UploadServiceAccountKey", Reset(when="after"), times=1)
        assert failure_of(lambda: world.provider.mint(drafts[0])).verdict is Verdict.UNKNOWN
        found = [key.mark for key in world.provider.list_keys().keys]
        assert sorted(found, key=str) == sorted([None, drafts[0].mark], key=str)
        assert world.provider.abilities.exact

    def test_it_is_the_hash_of_the_public_key(self, world: World) -> None:
        minted = world.mint()
        public = private_key(key_file(minted.material)).public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(der)
        assert minted.key.mark == digest.finalize().hex()

    def test_each_key_is_asked_about_once_and_googles_own_never(self, world: World) -> None:
        world.foreign_key()
        for _ in range(2):
            world.mint()
        for _ in range(3):
            assert len(world.provider.list_keys().keys) == 3
        assert world.count("GetServiceAccountKey") == 2
        of_google(world).list_keys()
        assert world.count("GetServiceAccountKey") == 2

    def test_without_the_right_to_read_marks_the_list_is_of_no_use(self, world: World) -> None:
        world.mint()
        world.gcp.denied.add("iam.serviceAccountKeys.get")
        assert failure_of(world.provider.list_keys).verdict is Verdict.REFUSED

    def test_a_key_that_google_makes_has_none(self, world: World) -> None:
        provider = of_google(world)
        assert not provider.abilities.exact
        assert provider.mint(provider.draft("7f3a", 1)).key.mark is None


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "name", "permanent"),
        [(3, "INVALID_ARGUMENT", True), (5, "NOT_FOUND", False), (9, "FAILED_PRECONDITION", False)],
    )
    def test_what_grpc_never_makes_up_is_google_s(self, world: World, code: int, name: str, permanent: bool) -> None:
        world.spoil("UploadServiceAccountKey", refusal(code, "Not this one."))
        failure = failure_of(world.mint)
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, name, permanent)
        assert "Not this one." in failure.message
        assert bool(failure.remedy) is (code != 9)

    @pytest.mark.parametrize("path", ["GetServiceAccount$", "DisableServiceAccountKey", "EnableServiceAccountKey"])
    def test_what_a_replica_that_lags_does_not_know_is_tried_again(self, world: World, path: str) -> None:
        key_id = world.mint().key.key_id
        world.spoil(path, refusal(5, "Not found."))
        provider = world.provider
        call = {"G": world.mint, "D": lambda: provider.disable(key_id), "E": lambda: provider.enable(key_id)}[path[0]]
        failure = failure_of(call)
        assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, False)

    def test_by_the_wildcard_for_a_project_what_is_absent_is_forbidden(self, world: World) -> None:
        """So a replica that lags says of an account whose address names no project."""
        provider = world.open(service_account="acme@appspot.gserviceaccount.com")
        changes: list[Callable[[], object]] = [
            lambda: provider.mint(provider.draft("7f3a", 1)),
            lambda: provider.disable("0a"),
            lambda: provider.enable("0a"),
            lambda: provider.delete("0a"),
        ]
        for change in changes:
            failure = failure_of(change)
            assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "PERMISSION_DENIED", False)
        assert failure_of(provider.list_keys).permanent

    @pytest.mark.parametrize("code", [1, 2, 4, 7, 8, 12, 13, 14, 15, 16])
    def test_what_grpc_may_make_of_a_proxy_is_unknown(self, world: World, code: int) -> None:
        world.spoil("UploadServiceAccountKey", refusal(code, "secret words"))
        failure = failure_of(world.mint)
        assert failure.verdict is Verdict.UNKNOWN
        assert "secret words" not in everything_in(failure)
        assert world.count("UploadServiceAccountKey") == 1

    def test_aborted_is_not_applied(self, world: World) -> None:
        world.spoil("UploadServiceAccountKey", refusal(10, "Concurrent change."))
        assert failure_of(world.mint).verdict is Verdict.NOT_APPLIED

    def test_a_read_before_the_upload_that_fails_is_not_applied(self, world: World) -> None:
        world.spoil("GetServiceAccount$", Canned(status=500))
        assert failure_of(world.mint).verdict is Verdict.NOT_APPLIED
        assert world.count("UploadServiceAccountKey") == 0

    @pytest.mark.parametrize("permission", ["create", "delete", "disable", "enable", "get", "list"])
    def test_a_missing_right_is_permanent_and_named(self, world: World, permission: str) -> None:
        key_id = world.mint().key.key_id
        named = f"iam.serviceAccountKeys.{permission}"
        world.gcp.denied.add(named)
        provider = world.open()
        calls: dict[str, Callable[[], object]] = {
            "create": world.mint,
            "delete": lambda: provider.delete(key_id),
            "disable": lambda: provider.disable(key_id),
            "enable": lambda: provider.enable(key_id),
            "get": provider.list_keys,
            "list": provider.list_keys,
        }
        failure = failure_of(calls[permission])
        assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, True)
        assert named in failure.message
        assert "rotator policy" in failure.remedy
        assert world.listed() == [key_id]

    @pytest.mark.parametrize("constraint", [UPLOAD, "iam.managed.disableServiceAccountKeyUpload"])
    def test_an_organisation_that_forbids_uploads(self, world: World, constraint: str) -> None:
        world.gcp.project.constraints.add(constraint)
        failure = failure_of(world.mint)
        assert (failure.verdict, failure.permanent, failure.slots_full) == (Verdict.REFUSED, True, False)
        assert f"constraints/{constraint}" in failure.message
        assert "`key_origin: google`" in failure.remedy
        assert of_google(world).mint(Draft()).key.key_id in world.listed()

    @pytest.mark.parametrize("constraint", [CREATION, "iam.managed.disableServiceAccountKeyCreation"])
    def test_an_organisation_that_forbids_creation(self, world: World, constraint: str) -> None:
        world.gcp.project.constraints.add(constraint)
        failure = failure_of(lambda: of_google(world).mint(Draft()))
        assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, True)
        assert f"constraints/{constraint}" in failure.message
        assert "`key_origin: upload`" in failure.remedy
        assert world.mint().key.key_id in world.listed()

    def test_an_organisation_that_shortens_lives(self, world: World) -> None:
        world.gcp.project.constraints.add(EXPIRY)
        world.gcp.project.longest = timedelta(days=30)
        failure = failure_of(world.mint)
        assert failure.permanent
        assert f"constraints/{EXPIRY}" in failure.remedy
        assert "`max_age`" in failure.remedy

    @pytest.mark.parametrize("path", ["UploadServiceAccountKey", "DeleteServiceAccountKey"])
    @pytest.mark.parametrize(
        "said",
        [
            'Operation denied by custom org policy: ["customConstraints/custom.noKeys": "No keys."]',
            "It violates organizations/123/customConstraints/custom.noKeys.",
        ],
    )
    def test_a_constraint_of_the_organisations_own_is_named(self, world: World, said: str, path: str) -> None:
        key_id = world.mint().key.key_id
        world.spoil(path, refusal(9, said))
        failure = failure_of(world.mint if path[0] == "U" else lambda: world.provider.delete(key_id))
        assert (failure.code, failure.permanent, failure.slots_full) == ("OrgPolicy", True, False)
        assert "exempt the project from customConstraints/custom.noKeys;" in failure.remedy
        assert "the organisation policy customConstraints/custom.noKeys forbids it" in failure.message

    @pytest.mark.parametrize("mint", ["upload", "google"])
    def test_a_constraint_of_the_organisations_own_forbids_both_ways(self, world: World, mint: str) -> None:
        world.gcp.project.constraints.add("custom.noKeys")
        failure = failure_of(world.mint if mint == "upload" else lambda: of_google(world).mint(Draft()))
        assert (failure.code, failure.permanent, failure.slots_full) == ("OrgPolicy", True, False)
        assert "customConstraints/custom.noKeys" in failure.message

    @pytest.mark.parametrize(
        ("said", "reason", "named"),
        [
            ("Operation denied by custom org policies.", "", "that Google doesn't name forbids it"),
            ("Operation denied.", "CUSTOM_ORG_POLICY_VIOLATION", "that Google doesn't name forbids it"),
            ("Operation denied.", "ORG_POLICY_VIOLATION", "that Google doesn't name forbids it"),
            ("Blocked by organization policy custom.noKeys.", "", "the organisation policy custom.noKeys forbids it"),
        ],
    )
    def test_a_constraint_that_is_not_named_is_permanent_too(
        self, world: World, said: str, reason: str, named: str
    ) -> None:
        info = [ErrorInfo(reason=reason, domain="googleapis.com")] if reason else []
        status = GcpRefusal("FAILED_PRECONDITION", said, *info).status()
        details = {"grpc-status-details-bin": b64encode(status).decode().rstrip("=")} if info else {}
        world.spoil("UploadServiceAccountKey", refusal(9, said, **details))
        failure = failure_of(world.mint)
        assert (failure.code, failure.permanent, failure.slots_full) == ("OrgPolicy", True, False)
        assert named in failure.message

    def test_a_constraint_that_only_the_details_name(self, world: World) -> None:
        info = ErrorInfo(
            reason="CUSTOM_ORG_POLICY_VIOLATION",
            domain="googleapis.com",
            metadata={"customConstraints": "customConstraints/custom.noKeys"},
        )
        status = GcpRefusal("FAILED_PRECONDITION", "Operation denied.", info).status()
        details = {"grpc-status-details-bin": b64encode(status).decode().rstrip("=")}
        world.spoil("UploadServiceAccountKey", refusal(9, "Operation denied.", **details))
        failure = failure_of(world.mint)
        assert (failure.code, failure.permanent) == ("OrgPolicy", True)
        assert "customConstraints/custom.noKeys" in failure.remedy

    def test_a_bare_refusal_with_slots_left_is_not_full(self, world: World) -> None:
        world.spoil("UploadServiceAccountKey", refusal(9, "Precondition check failed."))
        failure = failure_of(world.mint)
        assert (failure.verdict, failure.slots_full) == (Verdict.REFUSED, False)

    def test_a_key_file_of_another_key_is_no_answer(self, world: World) -> None:
        provider = of_google(world)
        world.spoil("CreateServiceAccountKey", Canned(status=200, content_type="application/grpc", body="\0" * 5))
        assert failure_of(lambda: provider.mint(Draft())).verdict is Verdict.UNKNOWN


class TestOwnCredentials:
    def test_rotating_rotators_own_account_is_refused(self, world: World) -> None:
        own = f"rotator@{world.gcp.project.project}.iam.gserviceaccount.com"
        for permission in ("list", "get"):
            world.gcp.project.account(own).may.add((f"iam.serviceAccountKeys.{permission}", own))  # type: ignore[union-attr]  # it is there
        provider = world.open(service_account=own)
        failure = failure_of(provider.list_keys)
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "OwnIdentity", True)
        assert {right.name: right.holds for right in provider.check()}["rotator's own identity is another one"] is False

    def test_a_key_of_rotators_own_that_is_gone(self, world: World) -> None:
        own = world.gcp.project.account(f"rotator@{world.gcp.project.project}.iam.gserviceaccount.com")
        assert own is not None
        own.keys.clear()
        failure = failure_of(world.mint)
        assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, True)
        assert "own" in failure.remedy
        assert world.provider.check()[-1].holds is False

    @pytest.mark.parametrize("fault", [Reset(), Canned(status=502, body="<html/>"), Canned(status=200, body="<html/>")])
    def test_without_a_token_nothing_was_applied(self, world: World, fault: Canned | Reset) -> None:
        world.spoil("^/token$", fault)
        assert failure_of(world.mint).verdict is Verdict.NOT_APPLIED
        assert world.count("UploadServiceAccountKey") == 0

    def test_a_token_that_google_no_longer_takes(self, world: World) -> None:
        world.provider.list_keys()
        world.gcp.signing_clock = lambda: utc_now() + timedelta(hours=2)
        failure = failure_of(world.mint)
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "UNAUTHENTICATED", True)

    def test_one_token_and_one_channel_for_all_who_come_the_same_way(self, world: World) -> None:
        for provider in [world.open() for _ in range(5)]:
            provider.list_keys()
        assert world.count("^/token$") == 1


class TestProof:
    def test_a_key_that_needs_twenty_tries(self, world: World) -> None:
        start = utc_now()
        world.gcp.signing_clock = utc_now
        world.gcp.project.propagation = timedelta(seconds=20)
        world.gcp.clock = lambda: start
        material = world.mint().material
        proofs = []
        for second in range(22):
            world.gcp.clock = lambda second=second: start + timedelta(seconds=second)  # type: ignore[misc]  # mypy can't infer it
            proofs.append(world.provider.prove(material))
        assert proofs == [Proof.NOT_YET] * 20 + [Proof.ALIVE] * 2

    def test_a_disabled_or_deleted_key_is_not_alive(self, world: World) -> None:
        minted = world.mint()
        world.provider.disable(minted.key.key_id)
        assert world.provider.prove(minted.material) is Proof.NOT_YET
        world.provider.delete(minted.key.key_id)
        assert world.provider.prove(minted.material) is Proof.NOT_YET

    @pytest.mark.parametrize("hours", [-2, 2])
    def test_a_clock_that_is_off_says_nothing_about_the_key(self, world: World, hours: int) -> None:
        material = world.mint().material
        world.gcp.clock = lambda: utc_now() + timedelta(hours=hours)
        assert world.provider.prove(material) is Proof.CLOCK

    @pytest.mark.parametrize(
        ("status", "error", "description"),
        [
            (401, "disabled_client", "The OAuth client was disabled."),
            (401, "unauthorized_client", "Client is unauthorized to retrieve access tokens using this method."),
            (400, "invalid_grant", "Invalid JWT: Failed audience check."),
        ],
    )
    def test_a_refusal_that_is_not_the_keys(self, world: World, status: int, error: str, description: str) -> None:
        material = world.mint().material
        body = json.dumps({"error": error, "error_description": description})
        world.spoil("^/token$", Canned(status=status, body=body))
        failure = failure_of(lambda: world.provider.prove(material))
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, error, True)
        assert description in failure.message
        assert failure.remedy

    @pytest.mark.parametrize(("said", "proof"), PROOFS.items())
    def test_each_answer_means_what_the_page_says(self, world: World, said: str, proof: Proof) -> None:
        material = world.mint().material
        error, _, words = said.partition(": ")
        body = json.dumps({"error": error, "error_description": f"Invalid: {words}."})
        world.spoil("^/token$", Canned(status=400, body=body))
        assert world.provider.prove(material) is proof

    def test_an_account_that_google_does_not_know_yet(self, world: World) -> None:
        material = world.mint().material
        world.gcp.delete_account(world.email)
        assert world.provider.prove(material) is Proof.NOT_YET

    @pytest.mark.parametrize(("status", "verdict"), [(429, Verdict.NOT_APPLIED), (503, Verdict.UNKNOWN)])
    def test_a_token_endpoint_that_asks_to_wait_is_no_proof_and_is_heard(
        self, world: World, status: int, verdict: Verdict
    ) -> None:
        material = world.mint().material
        world.spoil("^/token$", Canned(status=status, body="{}", headers={"Retry-After": "17"}))
        failure = failure_of(lambda: world.provider.prove(material))
        assert (failure.verdict, failure.retry_after) == (verdict, timedelta(seconds=17))


class TestList:
    def test_the_clouds_time_is_the_date_of_the_answer(self, world: World) -> None:
        noon = utc_now().replace(microsecond=0) + timedelta(minutes=3)
        world.gcp.signing_clock = utc_now
        world.gcp.clock = lambda: noon
        assert world.provider.list_keys().cloud_time == noon

    @pytest.mark.parametrize("date", ["soon", "Mon, 23 Nov 2026 12:00:00"])
    def test_a_list_without_a_readable_date_has_no_time(self, world: World, date: str) -> None:
        headers = {"Date": date, "grpc-status": "0"}
        answer = Canned(status=200, content_type="application/grpc", body="\0" * 5, headers=headers)
        world.spoil("ListServiceAccountKeys", answer)
        assert world.provider.list_keys().cloud_time is None

    def test_an_empty_answer_with_a_date_is_an_empty_list(self, world: World) -> None:
        headers = {"Date": "Mon, 23 Nov 2026 12:00:00 GMT", "grpc-status": "0"}
        answer = Canned(status=200, content_type="application/grpc", body="\0" * 5, headers=headers)
        world.spoil("ListServiceAccountKeys", answer)
        listing = world.provider.list_keys()
        assert (listing.keys, listing.cloud_time) == ((), datetime(2026, 11, 23, 12, tzinfo=UTC))


class TestDelete:
    def test_a_key_that_is_listed_though_it_is_said_to_be_gone(self, world: World) -> None:
        key_id = world.mint().key.key_id
        world.spoil("DeleteServiceAccountKey", refusal(5, "It does not exist."))
        failure = failure_of(lambda: world.provider.delete(key_id))
        assert (failure.verdict, failure.permanent) == (Verdict.NOT_APPLIED, False)
        world.gcp.faults.put()
        world.provider.delete(key_id)
        assert world.listed() == []

    def test_a_key_that_is_gone_and_a_list_that_does_not_know_the_account_yet(self, world: World) -> None:
        world.spoil("ListServiceAccountKeys", refusal(5, "Unknown service account."))
        failure = failure_of(lambda: world.provider.delete("0" * 40))
        assert (failure.verdict, failure.permanent) == (Verdict.REFUSED, False)


class TestCheck:
    def test_with_the_least_rights(self, world: World) -> None:
        rights = world.open(evidence=False).check()
        assert all(right.holds for right in rights)
        assert sum(right.name.startswith("iam.") for right in rights) == 7
        assert rights[0].name == f"IAM at 127.0.0.1:{world.gcp.iam.port}, from endpoint"
        assert not world.listed()

    def test_a_right_that_is_missing_shows(self, world: World) -> None:
        world.gcp.denied.add("iam.serviceAccountKeys.disable")
        missing = [right for right in world.provider.check() if right.holds is False]
        assert [right.name for right in missing] == ["iam.serviceAccountKeys.disable"]
        assert "rotator policy" in missing[0].remedy

    def test_a_network_that_is_down_tells_nothing(self, world: World) -> None:
        world.gcp.__exit__(None, None, None)
        *_, last = world.provider.check()
        assert last.holds is None
        assert last.remedy


class TestPolicy:
    def told(self, email: str = "nf@acme.iam.gserviceaccount.com", **section: object) -> str:
        return rights(GcpSettings.model_validate({"service_account": email, "gcp": section}))

    def test_it_names_what_check_asks_for_and_grants_it_on_the_account(self, world: World) -> None:
        text = self.told()
        needed = [right.name for right in world.provider.check() if right.name.startswith("iam.")]
        assert all(f"  - {permission}\n" in text for permission in needed)
        assert "gcloud iam service-accounts add-iam-policy-binding nf@acme.iam.gserviceaccount.com" in text
        assert "--project acme" in text
        assert "policyanalyzer" in text
        assert "policyanalyzer" not in self.told(evidence=False)

    def test_a_project_that_the_address_does_not_tell(self) -> None:
        assert "--project PROJECT" in self.told("acme@appspot.gserviceaccount.com")


class TestOpening:
    def test_no_call_is_made(self, world: World) -> None:
        world.open()
        assert world.gcp.faults.requests() == []

    def test_the_identity(self, world: World) -> None:
        assert world.provider.identity == f"gcp:serviceAccount/{world.email}"
        other = world.open(universe_domain="example.cloud")
        assert other.identity == f"gcp@example.cloud:serviceAccount/{world.email}"

    def test_an_account_whose_project_is_not_in_its_address(self, world: World) -> None:
        provider = world.open(service_account="nobody@appspot.gserviceaccount.com")
        failure = failure_of(provider.list_keys)
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "PERMISSION_DENIED", True)

    @pytest.mark.parametrize("content", [None, "", "{}", '{"type": "service_account"}'])
    def test_credentials_that_are_none(self, world: World, tmp_path: Path, content: str | None) -> None:
        file = tmp_path / "other.json"
        if content is not None:
            file.write_text(content)
        with pytest.raises(RotatorError, match=r"other.json|Google Cloud can't be used") as caught:
            world.open(credentials={"file": str(file)})
        assert caught.value.remedy

    def test_plain_http_is_for_loopback(self) -> None:
        with pytest.raises(RotatorError, match="not https"):
            GcpAccess(None, "http://192.0.2.1:80", "googleapis.com", None, timedelta(seconds=20)).channel()
