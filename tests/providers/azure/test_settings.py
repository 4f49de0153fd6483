"""What the config refuses of an Azure credential."""

from __future__ import annotations

from pathlib import Path

from rotator.providers.azure.settings import AzureSettings
from tests.config.conftest import config, problems
from tests.config.fine import Load, Problems

__all__ = ("config", "problems")  # the fixtures

GUID = "11111111-1111-1111-1111-11111111111"

ENTRY = f"""\
  - name: prod-azure
    provider: azure
    integrations: [prod-azure]
    azure:
      tenant_id: {GUID}1
      client_id: {GUID}A
      object_id: {GUID}3
      subscription_id: {GUID}4
"""


def test_rotators_own_application_is_no_credential_of_its_own(problems: Problems) -> None:
    (problem,) = problems(f"{ENTRY}      admin: {{client_id: {GUID}a, secret: {{env: SECRET}}}}\n")
    assert problem.startswith("rotator.yaml:9: credentials[1].azure: ")
    assert "admin.client_id is the application itself" in problem


def test_tokens_never_come_in_clear(problems: Problems) -> None:
    (problem,) = problems(f"{ENTRY}      authority: http://127.0.0.1:1\n")
    assert problem.startswith("rotator.yaml:14: credentials[1].azure.authority: ")
    assert "tokens come by https" in problem


def test_a_key_id_is_known_in_either_case(config: Load) -> None:
    entry = ENTRY.replace("    azure:", f"    current_key: {GUID}A\n    azure:")
    assert config(entry).credentials[1].current_key == f"{GUID}a"


def test_the_settings_read_the_secret_when_asked(config: Load, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    entry = f"{ENTRY}      admin: {{client_id: {GUID}5, secret: {{file: {file}}}}}\n"
    settings: object = config(entry).credentials[1]
    assert isinstance(settings, AzureSettings)
    secret = settings.azure.admin.secret
    assert secret is not None
    file.write_text("first")
    assert secret.read().get_secret_value() == "first"
    file.write_text("second")
    assert secret.read().get_secret_value() == "second"
