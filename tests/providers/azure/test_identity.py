"""Who rotator is in Azure, what it may do there, and what it can find out; with azure-identity as it is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.providers.azure.access import AzureAccess
from rotator.providers.azure.provider import AzureApp
from rotator.providers.azure.rights import rights
from rotator.providers.azure.settings import AzureAdmin, AzureSection, AzureSettings
from rotator.sandbox.wire.rules import Canned, Cut, Drip, Fault, Reset, Rule
from rotator.sandbox.wire.serving import utc_now
from rotator.settings.secret import SecretRef
from tests.providers.azure.world import (
    CREATE,
    IMPATIENT,
    REPORT,
    TOKEN,
    World,
    forget_this_machine,
    says,
    world_in,
)
from tests.providers.contract import CANARY, HTML, everything_in
from tests.support.patience import patience


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_this_machine(monkeypatch)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as world:
        yield world


GUID = "1A111111-1111-1111-1111-111111111111"


def section(**said: object) -> AzureSection:
    ids = dict.fromkeys(("tenant_id", "client_id", "object_id", "subscription_id"), GUID)
    return AzureSection.model_validate({**ids, **said})


def certificate(directory: Path) -> tuple[Path, bytes]:
    """A certificate and its key in one file, as rotator's admin has them, and the public key."""
    key = generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rotator")])
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2045, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, since, until).sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = directory / "rotator.pem"
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class TestWhoRotatorIs:
    """Each way in which azure-identity finds an identity."""

    def test_a_client_secret_is_read_at_each_use(self, world: World, tmp_path: Path) -> None:
        held = tmp_path / "secret"
        held.write_text("wrong")
        admin = AzureAdmin(client_id=world.azure.admin.app_id, secret=SecretRef(file=str(held)))
        provider = world.open(admin=admin)
        with pytest.raises(CallFailed) as caught:
            provider.list_keys()
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "AADSTS7000215", True)
        assert "rotator policy" in failure.remedy
        held.write_text(world.azure.admin_secret.get_secret_value())
        assert provider.list_keys().keys == ()

    def test_a_certificate(self, world: World, tmp_path: Path) -> None:
        file, public_key = certificate(tmp_path)
        provider = world.open(admin=AzureAdmin(client_id=world.azure.admin.app_id, certificate=str(file)))
        with pytest.raises(CallFailed) as caught:
            provider.list_keys()
        assert (caught.value.verdict, caught.value.code) == (Verdict.REFUSED, "AADSTS700027")
        world.azure.admin.certificates.append(public_key)
        assert provider.list_keys().keys == ()

    def test_the_environment(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in world.azure.environment.items():
            monkeypatch.setenv(name, value)
        assert world.open(admin=AzureAdmin()).list_keys().keys == ()

    @pytest.mark.parametrize("named", [True, False])
    def test_a_workload_identity(
        self, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: bool
    ) -> None:
        token = tmp_path / "token"
        token.write_text("of-the-cluster")
        world.azure.admin.federated.add("of-the-cluster")
        monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(token))
        if not named:
            monkeypatch.setenv("AZURE_CLIENT_ID", world.azure.admin.app_id)
        own = world.azure.admin.app_id if named else None
        assert world.open(admin=AzureAdmin(client_id=own)).list_keys().keys == ()
        assert world.count(TOKEN) == 1

    @pytest.mark.parametrize("named", [True, False])
    def test_a_managed_identity(self, world: World, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
        world.azure.login.machine = world.azure.admin
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", world.azure.server.url)
        own = world.azure.admin.app_id if named else None
        assert world.open(admin=AzureAdmin(client_id=own)).list_keys().keys == ()
        assert world.count(TOKEN) == 0

    def test_none_at_all(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", world.azure.server.url)
        with pytest.raises(CallFailed) as caught:
            world.open(admin=AzureAdmin()).list_keys()
        assert (caught.value.verdict, caught.value.permanent) == (Verdict.REFUSED, True)
        assert "AZURE_CLIENT_ID" in caught.value.remedy

    def test_a_secret_that_cannot_be_read(self, world: World, tmp_path: Path) -> None:
        admin = AzureAdmin(client_id=world.azure.admin.app_id, secret=SecretRef(file=str(tmp_path / "none")))
        with pytest.raises(CallFailed) as caught:
            world.open(admin=admin).list_keys()
        assert caught.value.verdict is Verdict.NOT_APPLIED
        assert "may read it" in caught.value.remedy


@pytest.mark.realtime
class TestOwnToken:
    def test_it_is_asked_for_once_however_many_providers_use_it(self, world: World) -> None:
        for _ in range(2):
            provider = world.open()
            assert provider.list_keys().keys == provider.list_keys().keys == ()
        with ThreadPoolExecutor(4) as pool:
            assert {listing.keys for listing in pool.map(lambda _: provider.list_keys(), range(8))} == {()}
        assert world.count(TOKEN) == 2

    def test_one_that_graph_refuses_is_replaced(self, world: World) -> None:
        world.provider.list_keys()
        world.azure.faults.put(Rule(path="appId=", times=1, fault=says(401, "InvalidAuthenticationToken")))
        with pytest.raises(CallFailed):
            world.provider.list_keys()
        assert world.provider.list_keys().keys == ()
        assert world.count(TOKEN) == 2

    @pytest.mark.parametrize(
        "fault",
        [
            Canned(status=502, body=HTML, content_type="text/html"),
            Canned(status=200, body=HTML, content_type="text/html"),
            Canned(status=403, body=HTML, content_type="text/html"),
            Canned(status=200, body=f'{{"token": "{CANARY}"}}'),
            Canned(status=429),
            Reset(),
            Cut(keep=40),
        ],
        ids=str,
    )
    def test_without_one_nothing_is_sent(self, world: World, fault: Fault) -> None:
        world.azure.faults.put(Rule(**TOKEN, times=None, fault=fault))
        with pytest.raises(CallFailed) as caught:
            world.mint()
        assert caught.value.verdict is Verdict.NOT_APPLIED
        told = everything_in(caught.value)
        assert not [secret for secret in (*world.azure.secrets, CANARY) if secret in told]
        assert world.count(CREATE) == 0

    def test_a_slow_drip_of_the_login_ends_within_the_deadline(self, world: World) -> None:
        world.azure.faults.put(Rule(**TOKEN, times=None, fault=Drip(size=40, pause=3600)))
        provider = world.open(deadline=IMPATIENT)
        begun = time.monotonic()
        with pytest.raises(CallFailed) as caught:
            provider.mint(provider.draft("7f3a", 1))
        assert time.monotonic() - begun < patience(6)
        assert caught.value.verdict is Verdict.NOT_APPLIED

    def test_a_login_whose_certificate_nobody_vouches_for_is_not_talked_to(self, world: World) -> None:
        with pytest.raises(CallFailed, match="CERTIFICATE_VERIFY_FAILED"):
            world.open(ca_file=None).list_keys()
        assert world.count(TOKEN) == 0


class TestEvidence:
    def test_there_is_some_unless_it_is_switched_off(self, world: World) -> None:
        assert world.open(evidence=False).abilities.tells_use is None
        for provider in (world.provider, world.open(evidence=True)):
            assert provider.abilities.tells_use is provider

    def test_the_use_of_one_among_several_pages(self, world: World) -> None:
        world.azure.admin.roles.add("AuditLog.Read.All")
        provider = world.open(evidence=True)
        minted = [world.mint() for _ in range(5)]
        assert provider.last_used(minted[4].key.key_id) is None
        before = utc_now().replace(microsecond=0)
        assert world.azure.works(minted[4].material)
        assert provider.last_used(minted[4].key.key_id) is None, "the report is made once a day"
        world.azure.tenant.report_every, world.azure.tenant.report_lag = timedelta(milliseconds=1), timedelta(0)
        used = provider.last_used(minted[4].key.key_id)
        assert used is not None
        assert before <= used.at <= utc_now()
        assert provider.last_used(minted[0].key.key_id) is None

    def test_without_the_permission_it_says_which(self, world: World) -> None:
        with pytest.raises(CallFailed, match="AuditLog") as caught:
            world.open(evidence=True).last_used("k")
        assert (caught.value.verdict, caught.value.permanent) == (Verdict.REFUSED, True)
        assert not caught.value.untold

    def test_a_use_shows_in_the_report_of_the_next_day(self, world: World) -> None:
        world.azure.admin.roles.add("AuditLog.Read.All")
        minted = world.mint()
        noon = utc_now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
        for hour in (0, 11):
            world.azure.tenant.clock = lambda hour=hour: noon + timedelta(hours=hour)  # type: ignore[misc]  # mypy infers no type for a lambda with a default
            assert world.azure.works(minted.material)
        world.azure.tenant.clock = lambda: noon + timedelta(hours=13)
        used = world.open(evidence=True).last_used(minted.key.key_id)
        assert used is not None
        assert used.at == noon, "of the use at 23 o'clock the report of midnight is silent"

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (403, "Authentication_MSGraphPermissionMissing"),
            (403, "Authorization_RequestDenied"),
            (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant"),
            (400, "BadRequest"),
            (404, "UnknownError"),
        ],
    )
    def test_with_auto_a_report_that_graph_refuses_is_left_at_silence(
        self, world: World, status: int, code: str
    ) -> None:
        world.azure.admin.roles.add("AuditLog.Read.All")
        provider = world.open(evidence="auto")
        assert provider.last_used("k") is None
        world.spoil(REPORT, says(status, code, "No."))
        with pytest.raises(CallFailed, match=code) as caught:
            provider.last_used("k")
        assert caught.value.untold
        [right] = [right for right in provider.check() if right.name == "AuditLog.Read.All"]
        assert right.holds is None
        assert "silence is all there is" in right.remedy

    @pytest.mark.parametrize("answer", [Canned(status=503), Canned(status=403, body="<html/>"), Canned(status=200)])
    def test_with_auto_any_other_failure_is_none_of_silence(self, world: World, answer: Canned) -> None:
        world.spoil(REPORT, answer)
        with pytest.raises(CallFailed) as caught:
            world.open(evidence="auto").last_used("k")
        assert not caught.value.untold


class TestClouds:
    """What a token must name, and where it comes from."""

    @pytest.mark.parametrize(
        ("authority", "graph", "management"),
        [
            (None, "https://graph.microsoft.com", "https://management.azure.com"),
            ("https://login.microsoftonline.us", "https://graph.microsoft.us", "https://management.usgovcloudapi.net"),
            (
                "https://login.chinacloudapi.cn",
                "https://microsoftgraph.chinacloudapi.cn",
                "https://management.chinacloudapi.cn",
            ),
        ],
    )
    @pytest.mark.parametrize("by_environment", [True, False])
    def test_the_authority_tells_the_cloud(
        self,
        monkeypatch: pytest.MonkeyPatch,
        authority: str | None,
        graph: str,
        management: str,
        *,
        by_environment: bool,
    ) -> None:
        if by_environment and authority is not None:
            monkeypatch.setenv("AZURE_AUTHORITY_HOST", authority.removeprefix("https://") + "/")
        access = AzureAccess.of(section(authority=None if by_environment else authority))
        assert (access.graph, access.graph_audience) == (graph, graph)
        assert (access.management, access.management_audience) == (management, management)
        assert (
            access.token_url == f"{authority or 'https://login.microsoftonline.com'}/{GUID.lower()}/oauth2/v2.0/token"
        )
        assert access.is_microsofts

    def test_a_proxys_address_is_not_what_a_token_names(self) -> None:
        access = AzureAccess.of(section(graph_url="https://proxy.example.com/graph"))
        assert (access.graph, access.graph_audience) == (
            "https://proxy.example.com/graph",
            "https://graph.microsoft.com",
        )

    def test_no_secret_is_sent_in_clear(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", "http://login.example.com")
        with pytest.raises(RotatorError, match="not https"):
            AzureAccess.of(section())


class TestCheck:
    def told(self, provider: AzureApp) -> dict[str, tuple[bool | None, str]]:
        return {right.name: (right.holds, right.remedy) for right in provider.check()}

    def test_all_is_well_and_nothing_is_changed(self, world: World) -> None:
        world.azure.admin.roles.add("AuditLog.Read.All")
        told = self.told(world.open(evidence=True))
        assert {holds for holds, _ in told.values()} == {True}
        assert {"Application.ReadWrite.OwnedBy", "AuditLog.Read.All"} <= told.keys()
        assert {seen.method for seen in world.azure.faults.requests() if "oauth2" not in seen.path} == {"GET"}

    def test_neither_permission_nor_ownership(self, world: World) -> None:
        world.azure.admin.roles.clear()
        world.app.owners.clear()
        told = self.told(world.provider)
        for name in ("Application.ReadWrite.OwnedBy", "rotator is an owner of the application"):
            holds, remedy = told[name]
            assert holds is False
            assert "rotator policy" in remedy

    def test_more_than_is_needed_is_said(self, world: World) -> None:
        world.azure.admin.roles.add("Application.ReadWrite.All")
        holds, remedy = self.told(world.provider)["Application.ReadWrite.OwnedBy"]
        assert holds
        assert "Application.ReadWrite.All is more than rotator needs" in remedy

    def test_of_a_network_that_is_down_nothing_can_be_told(self, world: World) -> None:
        world.provider.list_keys()
        world.stop()
        told = self.told(world.provider)
        assert told["rotator is an owner of the application"][0] is None

    def test_rotators_own_application_ends_it(self, world: World) -> None:
        told = self.told(world.open(client_id=world.azure.admin.app_id))
        holds, remedy = told["rotator's own identity is another one"]
        assert holds is False
        assert "own" in remedy
        assert "the application's secrets can be listed" not in told


def test_rotators_own_application_is_refused_whatever_is_asked(world: World) -> None:
    provider = world.open(client_id=world.azure.admin.app_id)
    calls: list[Callable[[], object]] = [
        provider.list_keys,
        lambda: provider.mint(provider.draft("7f3a", 1)),
        lambda: provider.delete("k"),
    ]
    for call in calls:
        with pytest.raises(CallFailed) as caught:
            call()
        failure = caught.value
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "OwnIdentity", True)
    assert {seen.path for seen in world.azure.faults.requests() if "applications" in seen.path} == set()


def test_the_policy_names_application_permission_and_owner() -> None:
    text = rights(AzureSettings(azure=section(evidence=False)))
    assert f"az ad app owner add --id {GUID}" in text
    assert "18a4783c-866b-4cc7-a460-3d5e5662c884" in text
    assert "AuditLog" not in text
    own = "99999999-9999-9999-9999-999999999999"
    with_report = rights(AzureSettings(azure=section(admin={"client_id": own})))
    assert "AuditLog.Read.All" in with_report
    assert f"az ad sp show --id {own}" in with_report
    parsed = subprocess.run(["/bin/sh", "-n"], input=with_report, text=True, check=False)  # it parses only
    assert parsed.returncode == 0


def test_the_sdk_is_not_imported_without_an_azure_credential() -> None:
    loads = "import rotator.service.daemon, rotator.config.load, rotator.providers.azure.rights, sys"
    code = f"{loads}; print('azure' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # ours
    assert ran.stdout.strip() == "False"
