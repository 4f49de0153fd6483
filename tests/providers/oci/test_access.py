"""How the OCI provider gets in: rotator's own key, where the Identity service is, and what `check` and `policy` say."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.providers.base import Right, Rights
from rotator.providers.oci import keys as oci_keys
from rotator.providers.oci.api import endpoint
from rotator.providers.oci.rights import rights
from rotator.providers.oci.settings import OciSettings
from rotator.sandbox.oci.stand_in import LEAST
from rotator.sandbox.wire.rules import Reset
from tests.providers.contract import everything_in
from tests.providers.oci.world import GET_USER, LIST, World, failure_of

prints: Rights[OciSettings] = rights  # for the type checker


class TestOwnIdentity:
    """A profile of the SDK's config file."""

    def profile(self, world: World, **changed: str | None) -> dict[str, str]:
        lines = world.config_file.read_text().splitlines()[1:]
        given = dict(line.partition("=")[::2] for line in lines) | changed
        return {name: value for name, value in given.items() if value is not None}

    def write(self, world: World, **changed: str | None) -> None:
        said = self.profile(world, **changed)
        world.config_file.write_text("\n".join(("[DEFAULT]", *(f"{key} = {value}" for key, value in said.items()))))

    def test_another_profile_takes_from_the_default_what_it_lacks(self, world: World) -> None:
        self.write(world)
        with world.config_file.open("a") as file:
            file.write("\n# a comment\n[ROTATOR]\nregion=us-ashburn-1\n")
        assert world.open(profile="ROTATOR").list_keys().keys == ()

    def test_home_is_found(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(world.config_file.parent))
        key = Path(self.profile(world)["key_file"])
        self.write(world, key_file=f"~/{key.name}")
        assert world.open(config_file=f"~/{world.config_file.name}").list_keys().keys == ()

    @pytest.mark.parametrize("encrypted", [True, False])
    def test_a_passphrase_is_used_where_it_is_needed(self, world: World, encrypted: bool) -> None:
        pem = world.oci.admin.secret["privateKey"]
        passphrase = SecretStr("a pass % phrase")
        key = Path(self.profile(world)["key_file"])
        written = oci_keys.private_pem(oci_keys.load(pem, None), "pkcs8", passphrase if encrypted else None)
        key.write_text(written.get_secret_value() + "OCI_API_KEY\n")
        self.write(world, pass_phrase=passphrase.get_secret_value())
        assert world.open().list_keys().keys == ()

    def test_a_key_that_was_replaced_needs_no_restart(self, world: World) -> None:
        provider = world.open()
        assert provider.list_keys().keys == ()
        old, new = world.oci.admin, world.oci.create_key(world.oci.admin.public["userId"])
        world.oci.admin = new
        world.oci.write_config(world.config_file.parent)
        world.oci.remove_key(old)
        assert provider.list_keys().keys == ()

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"user": None, "key_file": None}, "its profile DEFAULT lacks user, key_file"),
            ({"key_file": "/nowhere/key.pem"}, "/nowhere/key.pem, can't be read: No such file or directory"),
            ({"tenancy": "t]\n[x"}, "line 1 stands before any [section]"),
        ],
    )
    def test_a_profile_that_cannot_be_used(self, world: World, changed: dict[str, str | None], says: str) -> None:
        self.write(world, **changed)
        if "tenancy" in changed:
            world.config_file.write_text(f"pass_phrase=canary\n{world.config_file.read_text()}")
        failure = failure_of(world.open().list_keys)
        assert says in failure.message
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "NoIdentity", True)
        assert failure.remedy
        assert "canary" not in everything_in(failure)
        assert world.oci.faults.requests() == []

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("user = canary", "says user of [DEFAULT] a second time"),
            ("USER = canary", "says user of [DEFAULT] a second time"),
            ("[A]\na = 1\n[A]", "begins [A] a second time"),
            ("canary", "is neither a [section] nor `key = value`"),
        ],
    )
    def test_a_line_that_cannot_be_read_is_named(self, world: World, line: str, says: str) -> None:
        self.write(world)
        before = world.config_file.read_text()
        world.config_file.write_text(f"{before}\n{line}\n")
        failure = failure_of(world.open().list_keys)
        assert f"line {before.count(chr(10)) + 2 + line.count(chr(10))} {says}" in failure.message
        assert str(world.config_file) in failure.message
        assert failure.remedy == "Correct that line."
        assert "canary" not in everything_in(failure)
        assert world.oci.faults.requests() == []

    def test_a_byte_order_mark_and_windows_lines_are_read(self, world: World) -> None:
        key = Path(self.profile(world)["key_file"])
        self.write(world)
        for file in (world.config_file, key):
            file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
        assert world.open().list_keys().keys == ()

    def test_without_the_file_or_the_profile(self, world: World) -> None:
        assert "has no profile OTHER" in failure_of(world.open(profile="OTHER").list_keys).message
        world.config_file.unlink()
        assert "can't be read: No such file" in failure_of(world.open().list_keys).message

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (
                "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n",
                "the file has no private key in PEM",
            ),
            ("ssh-rsa Y2FuYXJ5", "the file has no private key in PEM"),
            ("ED25519", "the key is not an RSA key"),
            ("ENCRYPTED", "the key is encrypted, and no passphrase is given"),
        ],
    )
    def test_a_key_that_cannot_be_used(self, world: World, content: str, says: str) -> None:
        if content == "ED25519":
            content = ED25519
        if content == "ENCRYPTED":
            pair = oci_keys.generate()
            content = oci_keys.private_pem(pair, "traditional", SecretStr("canary")).get_secret_value()
        Path(self.profile(world)["key_file"]).write_text(content)
        failure = failure_of(world.open().list_keys)
        assert says in failure.message
        assert "Y2FuYXJ5" not in everything_in(failure)

    @pytest.mark.parametrize("call", ["list_keys", "mint", "delete"])
    def test_it_is_never_the_user_that_is_rotated(self, world: World, call: str) -> None:
        provider = world.open(user=world.oci.admin.public["userId"])
        drafted = provider.draft("7f3a", 1)
        calls = {
            "list_keys": provider.list_keys,
            "mint": lambda: provider.mint(drafted),
            "delete": lambda: provider.delete("aa:bb"),
        }
        failure = failure_of(calls[call])
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "OwnIdentity", True)
        assert "a user of its own" in failure.remedy
        assert world.oci.faults.requests() == []

    def test_an_unknown_key_is_permanent(self, world: World) -> None:
        self.write(world, fingerprint="aa:bb")
        failure = failure_of(world.open().list_keys)
        assert (failure.verdict, failure.code, failure.permanent) == (Verdict.REFUSED, "NotAuthenticated", True)
        assert "fingerprint" in failure.remedy


ED25519 = """\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIHr4oF3OaQ0gHh1yZkz0W3yXk3hS0uYJx8c5b2Qe1n8R
-----END PRIVATE KEY-----
"""


class TestAddresses:
    @pytest.mark.parametrize(
        ("realm", "domain"),
        [
            ("oc1", "oraclecloud.com"),
            ("oc2", "oraclegovcloud.com"),
            ("oc3", "oraclegovcloud.com"),
            ("oc4", "oraclegovcloud.uk"),
            ("oc8", "oraclecloud8.com"),
            ("oc19", "oraclecloud.eu"),
        ],
    )
    def test_the_realm_names_the_domain(self, realm: str, domain: str) -> None:
        found = endpoint("eu-frankfurt-1", f"ocid1.tenancy.{realm}..aaaa")
        assert found == f"https://identity.eu-frankfurt-1.oci.{domain}"

    def test_an_unknown_realm_needs_an_endpoint(self, world: World) -> None:
        with pytest.raises(RotatorError, match="realm region1 isn't known") as caught:
            world.open(tenancy="ocid1.tenancy.region1..aaaa", endpoint=None)
        assert "endpoint" in caught.value.remedy

    def test_keys_are_changed_at_home_and_proved_where_the_integration_works(self, world: World) -> None:
        provider = world.open(endpoint=None, region="eu-paris-1", home_region="eu-frankfurt-1")
        domain = "oci.oraclecloud.com"
        assert provider.addresses == (
            f"https://identity.eu-frankfurt-1.{domain}",
            f"https://identity.eu-paris-1.{domain}",
        )

    def test_one_user_is_one_identity_whatever_the_region(self, world: World) -> None:
        assert world.open().identity == world.open(region="eu-paris-1").identity == f"oci:user/{world.user.ocid}"


class TestCheck:
    def holds(self, world: World) -> dict[str, bool | None]:
        return {right.name: right.holds for right in world.open().check()}

    def named(self, world: World, name: str) -> Right:
        return next(right for right in world.open().check() if right.name == name)

    def test_all_is_well_as_far_as_can_be_told(self, world: World) -> None:
        assert self.holds(world) == {
            f"Identity at {world.oci.server.url}": True,
            f"rotator has an identity of its own, {world.oci.admin.public['userId']}": True,
            "GetUser": True,
            "the user may use API keys": True,
            "ListApiKeys": True,
            "UploadApiKey": None,
            "DeleteApiKey": None,
        }
        assert "USER_APIKEY_ADD" in self.named(world, "UploadApiKey").remedy
        assert not [seen for seen in world.oci.faults.requests() if seen.method != "GET"]

    def test_what_is_missing_is_named_with_the_statements(self, world: World) -> None:
        world.user.granted = LEAST - {"USER_READ"}
        missing = self.named(world, "ListApiKeys")
        assert missing.holds is False
        assert "{USER_INSPECT, USER_READ}" in missing.remedy
        assert world.user.ocid in missing.remedy

    def test_a_user_without_api_keys(self, world: World) -> None:
        world.user.can_use_api_keys = False
        right = self.named(world, "the user may use API keys")
        assert right.holds is False
        assert "capabilities" in right.remedy

    def test_a_network_that_is_down_tells_nothing(self, world: World) -> None:
        world.spoil(LIST, Reset())
        assert self.named(world, "ListApiKeys").holds is None
        world.spoil(GET_USER, Reset())
        assert self.named(world, "GetUser").holds is None

    def test_without_an_identity_nothing_is_asked(self, world: World) -> None:
        world.config_file.unlink()
        last = world.open().check()[-1]
        assert (last.name, last.holds) == ("rotator has an identity of its own", False)
        assert world.oci.faults.requests() == []

    def test_a_key_that_oci_does_not_know_ends_it(self, world: World) -> None:
        world.oci.remove_key(world.oci.admin)
        last = world.open().check()[-1]
        assert (last.name, last.holds) == ("GetUser", False)
        assert "OCI doesn't know rotator's own key" in last.remedy


class TestPolicy:
    def test_it_names_the_user_the_tenancy_and_nothing_more(self) -> None:
        given = {
            "tenancy": "ocid1.tenancy.oc1..t",
            "user": "ocid1.user.oc1..u",
            "compartment": "ocid1.compartment.oc1..c",
            "region": "eu-frankfurt-1",
            "admin": {"profile": "ROTATOR"},
        }
        said = rights(OciSettings.model_validate({"oci": given}))
        statements = [line for line in said.splitlines() if line.startswith("Allow ")]
        assert len(statements) == 2
        assert all("target.user.id = 'ocid1.user.oc1..u'" in statement for statement in statements)
        assert set(re.findall("USER_[A-Z_]+", " ".join(statements))) == LEAST
        assert "--compartment-id ocid1.tenancy.oc1..t" in said
        assert "profile ROTATOR of ~/.oci/config" in said


def test_nothing_of_its_own_key_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.spoil(LIST, Reset())
    with pytest.raises(CallFailed):
        world.open().list_keys()
    world.mint()
    logged = "\n".join(str(vars(record)) + record.getMessage() for record in caplog.records)
    assert logged
    assert not [secret for secret in world.oci.secrets if secret in logged]
