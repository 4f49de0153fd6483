"""P10: what rotator gets in with, and whom it trusts, may be replaced under it. It is noticed at the next use."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.providers.aws.provider import open_provider as open_aws
from rotator.providers.aws.settings import AwsUserSettings
from rotator.providers.azure.provider import open_provider as open_azure
from rotator.providers.azure.settings import AzureSettings
from rotator.providers.base import Provider
from rotator.providers.byok.provider import open_provider as open_byok
from rotator.providers.byok.rights import rights as byok_rights
from rotator.providers.byok.settings import ByokSettings
from rotator.providers.gated import Gated
from rotator.providers.gcp.provider import open_provider as open_gcp
from rotator.providers.gcp.settings import GcpSettings
from rotator.sandbox.aws.stand_in import AwsStandIn
from rotator.sandbox.azure.stand_in import AzureStandIn
from rotator.sandbox.byok.stand_in import KubernetesStandIn
from rotator.sandbox.gcp.stand_in import GcpStandIn
from tests.support.given import tools
from tests.support.patience import patience
from tests.support.wire import certificate

pytestmark = pytest.mark.realtime

PATIENT = timedelta(seconds=patience(20))


@dataclass(frozen=True, slots=True)
class Replaceable:
    """Something that rotator gets in with.

    Args:
        file: where it is.
        wrong: what the file holds when another was put there.
        open: opens the provider that uses it.
    """

    file: Path
    wrong: str
    open: Callable[[], Provider]


Make = Callable[[ExitStack, pytest.MonkeyPatch, Path], Replaceable]


def aws(stack: ExitStack, monkeypatch: pytest.MonkeyPatch, directory: Path) -> Replaceable:
    stand_in = stack.enter_context(AwsStandIn())
    stand_in.add_user("northflank")
    file = directory / "credentials"
    key = "[default]\naws_access_key_id = {accessKey}\naws_secret_access_key = {secretKey}\n"
    file.write_text(key.format(**stand_in.admin.reveal()))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(directory / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    said = {"user": "northflank", "aws": {"region": "eu-central-1", **stand_in.endpoints}}
    settings = AwsUserSettings.model_validate(said)
    wrong = key.format(accessKey="AKIAANOTHERACCOUNTS0", secretKey="another" * 6)
    given = tools(PATIENT)
    return Replaceable(file, wrong, lambda: open_aws(settings, given))


def gcp(stack: ExitStack, _: pytest.MonkeyPatch, directory: Path) -> Replaceable:
    stand_in = stack.enter_context(GcpStandIn())
    file = stand_in.write_credentials(directory / "rotator.json")
    said = {
        "service_account": stand_in.add_account("northflank-byoc"),
        "gcp": {"credentials": {"file": str(file)}, **stand_in.settings},
    }
    settings = GcpSettings.model_validate(said)
    wrong = json.loads(file.read_text()) | {"client_email": "another@nowhere.iam.gserviceaccount.com"}
    given = tools(PATIENT)
    return Replaceable(file, json.dumps(wrong), lambda: open_gcp(settings, given))


def byok(stack: ExitStack, monkeypatch: pytest.MonkeyPatch, directory: Path) -> Replaceable:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    stand_in = stack.enter_context(KubernetesStandIn())
    stand_in.cluster.add_account("northflank", "byoc")
    file = directory / "kubeconfig"
    file.write_text(stand_in.kubeconfig(stand_in.admin))
    said = {"namespace": "northflank", "service_account": "byoc", "kubeconfig": str(file)}
    settings = ByokSettings.model_validate({"byok": said})
    stand_in.apply(byok_rights(settings))
    given = tools(PATIENT)
    return Replaceable(file, stand_in.kubeconfig("another"), lambda: open_byok(settings, given))


def azure(stack: ExitStack, monkeypatch: pytest.MonkeyPatch, directory: Path, *, ca: bool) -> Replaceable:
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    stand_in = stack.enter_context(AzureStandIn(directory))
    app = stand_in.add_app("northflank-byoc")
    secret = directory / "azure-secret"
    secret.write_text(stand_in.admin_secret.get_secret_value())
    said = {
        "tenant_id": stand_in.tenant.tenant,
        "client_id": app.app_id,
        "object_id": app.principal_id,
        "subscription_id": stand_in.tenant.subscription,
        "admin": {"client_id": stand_in.admin.app_id, "secret": {"file": str(secret)}},
        **stand_in.settings,
    }
    settings = AzureSettings.model_validate({"azure": said})
    given = tools(PATIENT)
    if not ca:
        return Replaceable(secret, "another-8Q~secret", lambda: open_azure(settings, given))
    another = certificate(directory)[1].read_text()
    return Replaceable(Path(str(said["ca_file"])), another, lambda: open_azure(settings, given))


MAKE: dict[str, Make] = {
    "AWS's credentials file": aws,
    "Google's credentials file": gcp,
    "a kubeconfig": byok,
    "Azure's client secret": lambda *given: azure(*given, ca=False),
    "a CA file": lambda *given: azure(*given, ca=True),
}


@pytest.fixture(params=MAKE.values(), ids=[*MAKE])
def replaceable(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Replaceable]:
    with ExitStack() as stack:
        yield request.param(stack, monkeypatch, tmp_path)


def test_it_is_noticed_at_the_next_use(replaceable: Replaceable) -> None:
    provider = Gated(replaceable.open, tools(PATIENT).http.gate)
    beside = Gated(replaceable.open, tools(PATIENT).http.gate)
    right = replaceable.file.read_text()
    for one in (provider, beside):
        assert one.list_keys().keys == ()
    replaceable.file.write_text(replaceable.wrong)
    for one in (provider, beside):
        with pytest.raises(CallFailed):
            one.list_keys()
    # As Kubernetes and careful operators do it: another file in its place.
    new = replaceable.file.with_name("new")
    new.write_text(right)
    new.replace(replaceable.file)
    for one in (provider, beside):
        assert one.list_keys().keys == ()


def test_one_that_can_not_be_used_leaves_the_old_one_in_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with ExitStack() as stack, capture_logs() as logged:
        made = gcp(stack, monkeypatch, tmp_path)
        provider = Gated(made.open, tools(PATIENT).http.gate)
        assert provider.list_keys().keys == ()
        made.file.write_text("{")
        for _ in range(3):
            assert provider.list_keys().keys == ()
    assert [line["log_level"] for line in logged] == ["warning"]


def test_files_that_lead_elsewhere_are_not_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with ExitStack() as stack:
        made = byok(stack, monkeypatch, tmp_path)
        provider = Gated(made.open, tools(PATIENT).http.gate)
        assert provider.list_keys().keys == ()
        right = made.file.read_text()
        made.file.write_text(right.replace("127.0.0.1", "127.0.0.2"))
        with pytest.raises(CallFailed) as caught:
            provider.list_keys()
        assert (caught.value.verdict, caught.value.code) == (Verdict.NOT_APPLIED, "AnotherIdentity")
        made.file.write_text(right)
        assert provider.list_keys().keys == ()


def test_a_named_pipe_in_its_place_hangs_nothing(replaceable: Replaceable) -> None:
    replaceable.file.unlink()
    os.mkfifo(replaceable.file)
    with pytest.raises(RotatorError, match="not a regular file"):
        Gated(replaceable.open, tools(PATIENT).http.gate).list_keys()


def test_an_endless_file_in_its_place_fills_no_memory(replaceable: Replaceable) -> None:
    with replaceable.file.open("ab") as file:
        file.truncate(1 << 33)  # a hole: it takes no room on the disk
    with pytest.raises(RotatorError, match="it is larger than"):
        Gated(replaceable.open, tools(PATIENT).http.gate).list_keys()


def test_an_sdks_file_may_be_switched_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with ExitStack() as stack:
        made = aws(stack, monkeypatch, tmp_path)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        assert Gated(made.open, tools(PATIENT).http.gate).list_keys().keys == ()
