"""The byok provider with lightkube over sockets, against the stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from rotator.errors import CallFailed, Verdict
from rotator.material import Material
from rotator.model import Key, Proof, Stamp
from rotator.northflank.stamp import compose, parse
from rotator.providers.base import Minted, OpenProvider, Rights
from rotator.providers.byok.kubeconfig import ClusterAddress, token_of
from rotator.providers.byok.provider import PROOFS, ByokAccount, open_provider
from rotator.providers.byok.rights import rights
from rotator.providers.byok.secret import ACCOUNT as ACCOUNT_NAME
from rotator.providers.byok.secret import EXPIRES
from rotator.providers.byok.settings import ByokSettings
from rotator.sandbox.byok.stand_in import KubernetesStandIn
from rotator.sandbox.wire.rules import Canned, Cut, Fault, Reset, Rule, When
from rotator.sandbox.wire.serving import utc_now
from tests.providers.contract import UNSURE, Harness, ProviderContract
from tests.support.given import tools
from tests.support.patience import patience

NAMESPACE, ACCOUNT = "byoc", "northflank"
PATIENT = timedelta(seconds=patience(20))
IMPATIENT = timedelta(seconds=patience(1))
MADE = "2026-11-23T12:00:00Z"
SECRETS, TOKEN, REVIEW = "/secrets$", "/token$", "/selfsubjectreviews$"
ONE_SECRET = "/secrets/"

UNUSED = httpx.Client()  # made once: it costs 25 ms, and byok has clients of its own

opens: OpenProvider[ByokSettings] = open_provider  # for the type checker
prints: Rights[ByokSettings] = rights


@dataclass(frozen=True, slots=True)
class World:
    kubernetes: KubernetesStandIn
    open: Callable[..., ByokAccount]
    provider: ByokAccount

    def mint(self, provider: ByokAccount | None = None) -> Minted:
        chosen = provider or self.provider
        return chosen.mint(chosen.draft("7f3a", 1))

    def works(self, material: Material) -> bool:
        return self.kubernetes.works(token_of(material).get_secret_value())

    def listed(self) -> tuple[Key, ...]:
        return self.kubernetes.keys(NAMESPACE, ACCOUNT)

    def stop(self) -> None:
        self.kubernetes.server.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


def said(**section: object) -> ByokSettings:
    usual = {"namespace": NAMESPACE, "service_account": ACCOUNT}
    return ByokSettings.model_validate({"byok": {**usual, **section}})


def made(kubernetes: KubernetesStandIn, directory: Path, **settings: object) -> World:
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(kubernetes.kubeconfig(kubernetes.admin))

    def opened(deadline: timedelta = PATIENT, **more: object) -> ByokAccount:
        return open_provider(said(kubeconfig=str(kubeconfig), **{**settings, **more}), tools(deadline, http=UNUSED))

    return World(kubernetes, opened, opened())


@pytest.fixture
def world(tmp_path: Path, token: str) -> Iterator[World]:
    with KubernetesStandIn() as kubernetes:
        kubernetes.cluster.add_account(NAMESPACE, ACCOUNT)
        kubernetes.apply(rights(said(token=token)))
        yield made(kubernetes, tmp_path, token=token)


@pytest.fixture
def token() -> str:
    return "bound"


class Contract(ProviderContract):
    @pytest.fixture
    def harness(self, world: World) -> Harness:
        kubernetes = world.kubernetes
        names = iter(range(100))

        def foreign_key() -> str:
            name = f"by-hand-{next(names)}"
            kubernetes.add_token(NAMESPACE, ACCOUNT, name)
            return kubernetes.uid_of(NAMESPACE, name)

        def delete_identity() -> None:
            kubernetes.cluster.delete_account(NAMESPACE, ACCOUNT)

        return Harness(
            provider=world.provider,
            faults=kubernetes.faults,
            impatient=lambda: world.open(deadline=IMPATIENT),
            create={"method": "POST", "path": SECRETS},
            disable=None,
            delete={"method": "DELETE", "path": ONE_SECRET},
            read={"method": "GET", "path": SECRETS},
            prove={"path": REVIEW},
            listed=world.listed,
            works=world.works,
            foreign_key=foreign_key,
            delete_identity=delete_identity,
            secrets=kubernetes.secrets,
            down=world.stop,
        )


class TestBoundContract(Contract):
    pass


class TestSecretContract(Contract):
    unsure: ClassVar[Mapping[str, tuple[Fault, int]]] = {
        name: UNSURE[name] for name in ("500 before", "reset after the commit", "cut in the middle", "HTML with 200")
    }

    @pytest.fixture
    def token(self) -> str:
        return "secret"


def status(number: int, reason: str, **more: object) -> Canned:
    said = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "no",
        "reason": reason,
        "code": number,
    }
    return Canned(status=number, body=json.dumps({**said, **more}))


BUSY = Canned(
    status=429,
    body="Too many requests, please try again later.",
    content_type="text/plain",
    headers={"Retry-After": "7"},
)
LOST: list[Fault] = [
    Reset(),
    Reset(when="after"),
    Canned(when="after", status=500, body=""),
    Canned(status=403, body="<html>", content_type="text/html"),
    Cut(keep=300),
    Canned(status=201, body='{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "status": {}}'),
]


class TestMint:
    """More than one request: what is true when only the first of them worked."""

    @pytest.mark.parametrize("method_and_path", [("POST", TOKEN), ("PATCH", ONE_SECRET)])
    @pytest.mark.parametrize("lost", LOST, ids=lambda lost: f"{lost.kind} {getattr(lost, 'when', '')}")
    def test_a_secret_whose_token_was_lost_is_found_by_its_mark(
        self, world: World, method_and_path: tuple[str, str], lost: Fault
    ) -> None:
        draft = world.provider.draft("7f3a", 1)
        method, path = method_and_path
        world.kubernetes.faults.put(Rule(method=method, path=path, times=None, fault=lost))
        with pytest.raises(CallFailed) as caught:
            world.provider.mint(draft)
        assert caught.value.verdict is Verdict.UNKNOWN
        assert len(world.kubernetes.faults.requests(method=method, path=path)) == 1
        (found,) = world.provider.list_keys().keys
        assert found.mark == draft.mark
        world.provider.delete(found.key_id)
        assert world.listed() == ()
        assert not any(world.kubernetes.works(each) for each in world.kubernetes.secrets - {world.kubernetes.admin})

    @pytest.mark.parametrize("denied", ["create serviceaccounts/token", "patch secrets"])
    def test_a_refused_token_takes_its_secret_back(self, world: World, denied: str) -> None:
        world.kubernetes.denied.add(denied)
        with pytest.raises(CallFailed, match="forbidden") as caught:
            world.mint()
        failure = caught.value
        assert (failure.verdict, failure.permanent, failure.code) == (Verdict.REFUSED, True, "Forbidden")
        assert "rotator policy" in failure.remedy
        assert world.listed() == ()

    def test_a_throttled_token_takes_its_secret_back(self, world: World) -> None:
        world.kubernetes.faults.put(Rule(path=TOKEN, fault=BUSY))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert (caught.value.verdict, caught.value.retry_after) == (Verdict.NOT_APPLIED, timedelta(seconds=7))
        assert world.listed() == ()

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_secret_that_may_still_be_there_is_not_called_refused(self, world: World, when: When) -> None:
        world.kubernetes.denied.add("create serviceaccounts/token")
        world.kubernetes.faults.put(Rule(method="DELETE", times=None, fault=Reset(when=when)))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert (caught.value.verdict, caught.value.permanent) == (Verdict.UNKNOWN, False)
        assert len(world.listed()) == (1 if when == "before" else 0)

    def test_a_name_that_is_taken_is_our_own_request_sent_twice(self, world: World) -> None:
        draft = world.provider.draft("7f3a", 1)
        world.provider.mint(draft)
        with pytest.raises(CallFailed) as caught:
            world.provider.mint(draft)
        assert (caught.value.verdict, caught.value.code) == (Verdict.UNKNOWN, "AlreadyExists")

    def test_no_two_drafts_share_a_name(self, world: World) -> None:
        assert world.provider.draft("7f3a", 1).mark != world.provider.draft("7f3a", 1).mark

    @pytest.mark.parametrize(("cap", "days"), [(None, 91), (timedelta(days=1), 1)])
    def test_the_end_is_the_one_that_the_cluster_granted(self, world: World, cap: timedelta | None, days: int) -> None:
        world.kubernetes.cluster.longest = cap
        key = world.mint().key
        assert key.expires_at is not None
        assert abs(key.expires_at - key.created_at - timedelta(days=days)) <= timedelta(seconds=5)
        assert world.provider.list_keys().keys == (key,)

    def test_a_token_dies_with_its_secret(self, world: World) -> None:
        minted = world.mint()
        assert world.works(minted.material)
        world.provider.delete(minted.key.key_id)
        assert not world.works(minted.material)

    def test_a_hint_fits_a_stamp(self, world: World) -> None:
        stamp = Stamp("7f3a", 1, world.mint().hint)
        assert parse(compose("text", stamp, date(2026, 11, 23))) == stamp


@pytest.mark.realtime
class TestTokenSecret:
    @pytest.fixture
    def token(self) -> str:
        return "secret"

    def test_it_waits_for_the_controller_and_has_no_end(self, world: World) -> None:
        world.kubernetes.cluster.controller_delay = timedelta(seconds=0.5)
        minted = world.mint()
        assert world.works(minted.material)
        assert minted.key.expires_at is None
        assert world.provider.list_keys().keys == (minted.key,)

    def test_a_controller_that_never_comes_leaves_an_unknown_mint(self, world: World) -> None:
        world.kubernetes.cluster.controller_delay = timedelta(days=1)
        with pytest.raises(CallFailed, match="no token") as caught:
            world.mint(world.open(deadline=IMPATIENT))
        assert (caught.value.verdict, len(world.listed())) == (Verdict.UNKNOWN, 1)
        assert "controller" in caught.value.remedy


class TestListing:
    def test_token_secrets_of_other_people_are_foreign_keys(self, world: World) -> None:
        world.kubernetes.add_token(NAMESPACE, ACCOUNT, "by-hand")
        world.kubernetes.cluster.add_account(NAMESPACE, "another")
        world.kubernetes.add_token(NAMESPACE, "another", "not-ours")
        minted = world.mint()
        assert {key.mark for key in world.provider.list_keys().keys} == {"by-hand", minted.key.mark}

    def test_every_page_is_read(self, world: World) -> None:
        names = {f"by-hand-{number:03}" for number in range(230)}
        for name in names:
            world.kubernetes.add_token(NAMESPACE, ACCOUNT, name)
        assert {key.mark for key in world.provider.list_keys().keys} == names
        assert len(world.kubernetes.faults.requests(method="GET", path=SECRETS)) == 1 + 3

    def test_a_change_of_mode_keeps_the_old_keys_in_sight(self, world: World) -> None:
        bound = world.mint().key
        world.kubernetes.apply(rights(said(token="secret")))
        secret = world.mint(world.open(token="secret")).key
        assert set(world.provider.list_keys().keys) == {bound, secret}

    @pytest.mark.parametrize(
        ("metadata", "odd"),
        [
            ({"creationTimestamp": MADE, "annotations": {ACCOUNT_NAME: ACCOUNT, EXPIRES: "never"}}, "the end"),
            ({"creationTimestamp": MADE, "annotations": {ACCOUNT_NAME: ACCOUNT, EXPIRES: ""}}, "the end"),
            ({"creationTimestamp": MADE, "annotations": {ACCOUNT_NAME: ACCOUNT, EXPIRES: 7}}, "the end"),
            (
                {"creationTimestamp": MADE, "annotations": {ACCOUNT_NAME: ACCOUNT, EXPIRES: "2027-01-01T00:00"}},
                "the end",
            ),
            ({"creationTimestamp": "yesterday"}, "the time of creation"),
            ({"creationTimestamp": None}, "the time of creation"),
            ({"creationTimestamp": "9999-12-31T23:59:59-23:59"}, "the time of creation"),
            ({}, "the time of creation"),
            ({"creationTimestamp": MADE, "labels": 7, "managedFields": "x"}, None),
        ],
    )
    def test_an_odd_secret_costs_only_itself(self, world: World, metadata: dict[str, object], odd: str | None) -> None:
        usual: dict[str, object] = {"uid": "u-odd", "name": "odd", "annotations": {ACCOUNT_NAME: ACCOUNT}}
        good = {"uid": "u-good", "name": "good", "creationTimestamp": MADE, "annotations": {ACCOUNT_NAME: ACCOUNT}}
        self.shows(world, {"metadata": {**usual, **metadata}}, {"metadata": good})
        [strange, known] = world.provider.list_keys().keys
        assert (strange.key_id, strange.mark, strange.enabled, strange.odd) == ("u-odd", "odd", True, odd)
        assert (known.key_id, known.mark, known.odd) == ("u-good", "good", None)

    @pytest.mark.parametrize(
        "item",
        [
            None,
            "x",
            [],
            {},
            {"metadata": None},
            {"metadata": {"annotations": None}},
            {"metadata": {"annotations": {ACCOUNT_NAME: 7}}},
            {"metadata": {"name": "n", "annotations": {ACCOUNT_NAME: ACCOUNT}}},
            {"metadata": {"uid": 7, "name": "n", "annotations": {ACCOUNT_NAME: ACCOUNT}}},
            {"metadata": {"uid": "u", "annotations": {ACCOUNT_NAME: ACCOUNT}}},
        ],
    )
    def test_an_entry_without_an_id_is_left_out(self, world: World, item: object) -> None:
        good = {"uid": "u-good", "name": "good", "creationTimestamp": MADE, "annotations": {ACCOUNT_NAME: ACCOUNT}}
        self.shows(world, item, {"metadata": good})
        assert [key.key_id for key in world.provider.list_keys().keys] == ["u-good"]

    @pytest.mark.parametrize("date", ["", "soon", "Mon, 23 Nov 2026 12:00:00"])
    def test_a_list_without_a_readable_date_has_no_time(self, world: World, date: str) -> None:
        self.shows(world, Date=date)
        assert world.provider.list_keys().cloud_time is None

    @pytest.mark.parametrize("items", [7, {}, "x"])
    def test_what_is_no_list_is_unknown(self, world: World, items: object) -> None:
        body = {"kind": "SecretList", "apiVersion": "v1", "items": items}
        world.kubernetes.faults.put(
            Rule(method="GET", path=SECRETS, times=None, fault=Canned(status=200, body=json.dumps(body)))
        )
        with pytest.raises(CallFailed) as caught:
            world.provider.list_keys()
        assert caught.value.verdict is Verdict.UNKNOWN

    def shows(self, world: World, *items: object, **headers: str) -> None:
        body = {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": items}
        answer = Canned(status=200, body=json.dumps(body), headers=headers)
        world.kubernetes.faults.put(Rule(method="GET", path=SECRETS, times=None, fault=answer))

    def test_rotators_own_account_is_refused(self, world: World) -> None:
        world.kubernetes.apply(rights(said(namespace="rotator", service_account="rotator")))
        provider = world.open(namespace="rotator", service_account="rotator")
        for _ in range(2):
            with pytest.raises(CallFailed, match="its own token") as caught:
                provider.list_keys()
            assert (caught.value.code, caught.value.permanent) == ("OwnIdentity", True)
        assert len(world.kubernetes.faults.requests(path=REVIEW)) == 1


class TestIdentity:
    """A name may come twice, a uid can't."""

    def test_a_key_is_the_uid_of_its_secret(self, world: World) -> None:
        minted = world.mint()
        assert minted.key.key_id == world.kubernetes.uid_of(NAMESPACE, minted.key.mark or "")

    def test_another_secret_of_the_same_name_is_left_alone(self, world: World) -> None:
        world.kubernetes.add_token(NAMESPACE, ACCOUNT, "twice")
        first = world.kubernetes.uid_of(NAMESPACE, "twice")
        world.kubernetes.cluster.delete(NAMESPACE, "twice", {})
        world.kubernetes.add_token(NAMESPACE, ACCOUNT, "twice")
        world.provider.delete(first)
        assert [key.key_id for key in world.listed()] == [world.kubernetes.uid_of(NAMESPACE, "twice")] != [first]

    def test_so_is_one_that_takes_the_name_between_the_look_and_the_deletion(self, world: World) -> None:
        world.kubernetes.add_token(NAMESPACE, ACCOUNT, "twice")
        listed = {"kind": "SecretList", "apiVersion": "v1", "items": list(world.kubernetes.cluster.listed(NAMESPACE))}
        first = world.kubernetes.uid_of(NAMESPACE, "twice")
        world.kubernetes.cluster.delete(NAMESPACE, "twice", {})
        world.kubernetes.add_token(NAMESPACE, ACCOUNT, "twice")
        late = Canned(status=200, body=json.dumps(listed))
        world.kubernetes.faults.put(Rule(method="GET", path=SECRETS, times=None, fault=late))
        world.provider.delete(first)
        assert [key.key_id for key in world.listed()] == [world.kubernetes.uid_of(NAMESPACE, "twice")] != [first]

    def test_the_tokens_of_an_account_that_was_made_anew_work_no_more(self, world: World) -> None:
        minted = world.mint()
        world.kubernetes.cluster.delete_account(NAMESPACE, ACCOUNT)
        world.kubernetes.cluster.add_account(NAMESPACE, ACCOUNT)
        assert not world.works(minted.material)
        fresh = world.mint()
        shown = {key.key_id: key.enabled for key in world.provider.list_keys().keys}
        assert shown == {minted.key.key_id: False, fresh.key.key_id: True}
        world.provider.delete(minted.key.key_id)
        assert [key.key_id for key in world.listed()] == [fresh.key.key_id]


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "reason", "message", "named"),
        [
            (
                400,
                "",
                'admission webhook "validate.kyverno.svc-fail" denied the request: no secrets',
                "Let validate.kyverno.svc-fail exempt",
            ),
            (
                403,
                "[no-keys] labels are missing",  # older webhooks put their words here
                'admission webhook "validation.gatekeeper.sh" denied the request: [no-keys] labels are missing',
                "Let validation.gatekeeper.sh exempt",
            ),
            (
                422,
                "Invalid",
                "secrets is forbidden: ValidatingAdmissionPolicy 'no-keys' with binding 'all' denied request: no",
                "Let no-keys exempt",
            ),
            (
                403,
                "Forbidden",
                'secrets "x" is forbidden: exceeded quota: few-secrets, requested: secrets=1, used: secrets=9',
                "Raise the ResourceQuota few-secrets",
            ),
        ],
    )
    def test_the_clusters_own_rules_are_named_at_the_first_try(
        self, world: World, code: int, reason: str, message: str, named: str
    ) -> None:
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
        body = json.dumps({**said, **({"reason": reason} if reason else {})})
        answer = Canned(status=code, body=body)
        world.kubernetes.faults.put(Rule(method="POST", path=SECRETS, times=None, fault=answer))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert (caught.value.verdict, caught.value.permanent) == (Verdict.REFUSED, True)
        assert named in caught.value.remedy
        assert "rotator policy" not in caught.value.remedy

    @pytest.mark.parametrize(
        ("answer", "verdict", "permanent"),
        [
            (status(401, "Unauthorized"), Verdict.REFUSED, True),
            (status(403, "Forbidden"), Verdict.REFUSED, True),
            (status(404, "NotFound"), Verdict.REFUSED, False),
            (status(422, "Invalid"), Verdict.REFUSED, True),
            (status(409, "Conflict"), Verdict.REFUSED, False),
            (status(429, "TooManyRequests"), Verdict.NOT_APPLIED, False),
            (BUSY, Verdict.NOT_APPLIED, False),
            (status(500, "InternalError"), Verdict.UNKNOWN, False),
            (status(504, "Timeout"), Verdict.UNKNOWN, False),
            (status(403, "Forbidden", code=404), Verdict.UNKNOWN, False),
            (status(403, "Forbidden", status="Success"), Verdict.UNKNOWN, False),
            (status(403, "Forbidden", kind="Pod"), Verdict.UNKNOWN, False),
            (Canned(status=403, body="[]"), Verdict.UNKNOWN, False),
            (Canned(status=404, body="404 page not found", content_type="text/plain"), Verdict.UNKNOWN, False),
            (Canned(status=201, body='{"kind": "Secret", "apiVersion": "v1"}'), Verdict.UNKNOWN, False),
            (
                Canned(status=201, body='{"kind": "Secret", "apiVersion": "v1", "metadata": 1}'),
                Verdict.UNKNOWN,
                False,
            ),
        ],
        ids=lambda value: f"{value.status} {value.body[-40:]}" if isinstance(value, Canned) else "",
    )
    def test_of_a_mint(self, world: World, answer: Canned, verdict: Verdict, permanent: bool) -> None:
        world.kubernetes.faults.put(Rule(method="POST", path=SECRETS, times=None, fault=answer))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert (caught.value.verdict, caught.value.permanent) == (verdict, permanent)
        assert bool(caught.value.remedy) or not permanent
        assert len(world.kubernetes.faults.requests(method="POST", path=SECRETS)) == 1

    @pytest.mark.parametrize(
        ("right", "call"),
        [
            ("create secrets", lambda world, _: world.mint()),
            ("create serviceaccounts/token", lambda world, _: world.mint()),
            ("list secrets", lambda world, _: world.provider.list_keys()),
            ("get serviceaccounts", lambda world, _: world.provider.list_keys()),
            ("delete secrets", lambda world, key: world.provider.delete(key)),
        ],
    )
    def test_a_missing_right_is_permanent_and_named(
        self, world: World, right: str, call: Callable[[World, str], object]
    ) -> None:
        key_id = world.mint().key.key_id
        world.kubernetes.denied.add(right)
        verb, _, resource = right.partition(" ")
        with pytest.raises(CallFailed, match=f'cannot {verb} resource "{resource}"') as caught:
            call(world, key_id)
        assert (caught.value.verdict, caught.value.code, caught.value.permanent) == (Verdict.REFUSED, "Forbidden", True)
        assert [key.key_id for key in world.listed()] == [key_id]
        unmet = [line for line in world.provider.check() if line.holds is False]
        assert [line.name for line in unmet] == [f"{right} in {NAMESPACE}"]

    def test_check_changes_nothing_and_finds_the_policy_enough(self, world: World) -> None:
        assert [line.name for line in world.provider.check() if not line.holds] == []
        assert world.listed() == ()

    def test_check_ends_early_where_nobody_knows_us(self, world: World) -> None:
        world.kubernetes.faults.put(Rule(path=REVIEW, times=None, fault=status(401, "Unauthorized")))
        *_, last = world.provider.check()
        assert (last.name, last.holds) == ("the cluster knows rotator", False)


class TestProof:
    def test_a_token_that_needs_twenty_tries(self, world: World) -> None:
        start = utc_now()
        world.kubernetes.server.clock = lambda: start
        world.kubernetes.cluster.propagation = timedelta(seconds=20)
        material = world.mint().material
        proofs = []
        for second in range(22):
            world.kubernetes.server.clock = lambda second=second: start + timedelta(seconds=second)  # type: ignore[misc]  # mypy infers no type for a lambda with a default
            proofs.append(world.provider.prove(material))
        assert proofs == [Proof.NOT_YET] * 20 + [Proof.ALIVE] * 2

    def test_a_deleted_token_is_not_alive(self, world: World) -> None:
        minted = world.mint()
        world.provider.delete(minted.key.key_id)
        assert world.provider.prove(minted.material) is Proof.NOT_YET

    def test_whoever_may_not_ask_is_known_all_the_same(self, world: World) -> None:
        material = world.mint().material
        world.kubernetes.denied.add("create selfsubjectreviews")
        assert world.provider.prove(material) is Proof.ALIVE

    @pytest.mark.parametrize("denied", [False, True])
    def test_a_token_of_somebody_else_is_never_alive(self, world: World, denied: bool) -> None:
        world.kubernetes.cluster.add_account(NAMESPACE, "another")
        token = world.kubernetes.add_token(NAMESPACE, "another", "not-ours")
        if denied:
            world.kubernetes.denied.add("create selfsubjectreviews")
        with pytest.raises(CallFailed, match=f"{NAMESPACE}:another") as caught:
            world.provider.prove(ClusterAddress("https://x", None, NAMESPACE, ACCOUNT).material(token))
        assert (caught.value.verdict, caught.value.permanent) == (Verdict.REFUSED, True)

    @pytest.mark.parametrize(
        ("number", "reason"),
        [(400, "BadRequest"), (404, "NotFound"), (405, "MethodNotAllowed"), (406, "NotAcceptable"), (422, "Invalid")],
    )
    def test_any_other_reason_is_no_verdict(self, world: World, number: int, reason: str) -> None:
        material = world.mint().material
        world.kubernetes.faults.put(Rule(path=REVIEW, times=None, fault=status(number, reason)))
        with pytest.raises(CallFailed, match=reason):
            world.provider.prove(material)

    def test_each_reason_means_what_the_page_says(self, world: World) -> None:
        material = world.mint().material
        world.kubernetes.faults.put(Rule(path=REVIEW, times=None, fault=status(401, "Unauthorized")))
        assert world.provider.prove(material) is PROOFS["Unauthorized"] is Proof.NOT_YET

    def test_throttling_is_no_proof(self, world: World) -> None:
        material = world.mint().material
        world.kubernetes.faults.put(Rule(path=REVIEW, times=None, fault=BUSY))
        with pytest.raises(CallFailed) as caught:
            world.provider.prove(material)
        assert caught.value.verdict is Verdict.NOT_APPLIED
