"""Oracle's own Python SDK, unchanged: it signs as we do, and the stand-in is OCI to it.

The SDK is half a gigabyte, so it is in no dependency group: `make test-contract-oci` installs it into a directory of
its own, which ORACLE_SDK names, and runs these.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from rotator.providers.oci import keys as oci_keys
from rotator.providers.oci.api import endpoint
from rotator.providers.oci.identity import OwnProfile
from rotator.providers.oci.settings import OciAdmin
from rotator.providers.oci.signing import Signer
from rotator.sandbox.oci.stand_in import OciStandIn, TenancyUser
from rotator.sandbox.wire.serving import utc_now
from tests.providers.oci.world import World

pytestmark = pytest.mark.contract_oci


@pytest.fixture(scope="session")
def sdk() -> Iterator[Any]:
    """The module; without it these tests are skipped."""
    place = os.environ.get("ORACLE_SDK")
    if place:
        sys.path.append(place)  # behind our own packages
    yield pytest.importorskip("oci", reason="make test-contract-oci")
    if place:
        sys.path.remove(place)


@dataclass(frozen=True, slots=True)
class Side:
    """One user's client, of the SDK's, beside our stand-in."""

    oci: OciStandIn
    user: TenancyUser
    config_file: Path
    client: Any


@pytest.fixture
def side(sdk: Any, tmp_path: Path) -> Iterator[Side]:
    with OciStandIn() as stand_in:
        user, config_file = stand_in.add_user("northflank-byoc"), stand_in.write_config(tmp_path)
        config = sdk.config.from_file(str(config_file))
        sdk.config.validate_config(config)
        yield Side(stand_in, user, config_file, client(sdk, config, stand_in))


def client(sdk: Any, config: Any, stand_in: OciStandIn) -> Any:
    return sdk.identity.IdentityClient(
        config, service_endpoint=stand_in.server.url, retry_strategy=sdk.retry.NoneRetryStrategy()
    )


def config_of(material: dict[str, str]) -> dict[str, str | None]:
    return {
        "tenancy": material["tenancyId"],
        "user": material["userId"],
        "fingerprint": material["fingerprint"],
        "key_content": material["privateKey"],
        "pass_phrase": material.get("passphrase"),
        "region": material["region"],
    }


class TestSignatures:
    @pytest.mark.parametrize(
        ("method", "path", "content"),
        [
            ("GET", "/20160918/users/ocid1.user.oc1..u", None),
            ("GET", "/20160918/users/ocid1.user.oc1..u/apiKeys?page=a%2Fb%3D", None),
            ("DELETE", "/20160918/users/ocid1.user.oc1..u/apiKeys/20%3A3b%3Aff", None),
            ("POST", "/20160918/users/ocid1.user.oc1..u/apiKeys", b'{"key": "-----BEGIN PUBLIC KEY-----\\n"}'),
            ("POST", "/20160918/users/ocid1.user.oc1..u/apiKeys", b"{}"),
        ],
    )
    @pytest.mark.parametrize("host", ["https://identity.eu-frankfurt-1.oci.oraclecloud.com", "http://127.0.0.1:8080"])
    def test_ours_and_the_sdks_are_the_same(
        self, sdk: Any, host: str, method: str, path: str, content: bytes | None
    ) -> None:
        private, at = oci_keys.generate(), utc_now()
        name = oci_keys.fingerprint(private.public_key())
        pem = oci_keys.private_pem(private, "traditional", None).get_secret_value()
        theirs = sdk.signer.Signer("ocid1.tenancy.oc1..t", "ocid1.user.oc1..u", name, None, private_key_content=pem)
        request = sdk._vendor.requests.Request(  # noqa: SLF001  # the SDK's own copy of requests is what it signs
            method, f"{host}{path}", data=content, headers={"date": format_datetime(at, usegmt=True)}
        )
        signed = theirs(request.prepare())
        ours = Signer("ocid1.tenancy.oc1..t", "ocid1.user.oc1..u", name, private).sign(
            method, httpx.URL(f"{host}{path}"), content, at
        )
        assert ours == {header: signed.headers[header] for header in ours}
        assert signed.url == f"{host}{path}"


class TestStandIn:
    def test_a_keys_whole_life(self, side: Side) -> None:
        private = oci_keys.generate()
        name = oci_keys.fingerprint(private.public_key())
        details = {"key": oci_keys.public_pem(private.public_key())}
        made = side.client.upload_api_key(side.user.ocid, details)
        assert (made.status, made.data.fingerprint, made.data.lifecycle_state) == (200, name, "ACTIVE")
        assert made.data.key_id == f"{side.oci.tenancy}/{side.user.ocid}/{name}"
        assert isinstance(made.data.time_created, datetime)
        assert [key.fingerprint for key in side.client.list_api_keys(side.user.ocid).data] == [name]
        assert side.client.delete_api_key(side.user.ocid, name).status == 204
        assert side.client.list_api_keys(side.user.ocid).data == []

    def test_a_user(self, side: Side) -> None:
        user = side.client.get_user(side.user.ocid).data
        assert (user.id, user.name, user.lifecycle_state) == (side.user.ocid, "northflank-byoc", "ACTIVE")
        assert user.capabilities.can_use_api_keys is True

    def test_its_errors(self, sdk: Any, side: Side) -> None:
        for _ in range(3):
            side.oci.create_key(side.user.ocid)
        details = {"key": oci_keys.public_pem(oci_keys.generate().public_key())}
        refused: list[tuple[Callable[[], object], int, str]] = [
            (lambda: side.client.upload_api_key(side.user.ocid, details), 400, "LimitExceeded"),
            (lambda: side.client.delete_api_key(side.user.ocid, "aa:bb"), 404, "NotAuthorizedOrNotFound"),
            (lambda: side.client.get_user("ocid1.user.oc1..none"), 404, "NotAuthorizedOrNotFound"),
        ]
        for call, status, code in refused:
            with pytest.raises(sdk.exceptions.ServiceError) as caught:
                call()
            assert (caught.value.status, caught.value.code) == (status, code)
            assert caught.value.request_id

    def test_a_clock_that_is_off(self, sdk: Any, side: Side) -> None:
        side.oci.server.clock = lambda: utc_now() + timedelta(minutes=6)
        with pytest.raises(sdk.exceptions.ServiceError, match="clock skew") as caught:
            side.client.get_user(side.user.ocid)
        assert (caught.value.status, caught.value.code) == (401, "NotAuthenticated")


class TestOurKeys:
    """What Northflank is given works in Oracle's SDK, however it is written."""

    @pytest.mark.parametrize("pem", ["traditional", "pkcs8"])
    @pytest.mark.parametrize("passphrase", [False, True])
    def test_a_minted_key_is_the_sdks(self, sdk: Any, side: Side, pem: str, passphrase: bool) -> None:
        with httpx.Client(trust_env=False) as http:
            provider = World(side.oci, side.user, side.config_file, http).open(pem=pem, passphrase=passphrase)
            minted = provider.mint(provider.draft("7f3a", 1))
        theirs = client(sdk, config_of(minted.material.reveal()), side.oci)
        assert theirs.get_user(side.user.ocid).data.id == side.user.ocid
        [listed] = theirs.list_api_keys(side.user.ocid).data
        assert listed.fingerprint == minted.key.key_id


class TestTheirDecisions:
    """Where ours repeat the SDK's."""

    def test_the_config_file_is_read_alike(self, sdk: Any, side: Side) -> None:
        with side.config_file.open("a") as file:
            file.write("\n[ROTATOR]\n# a comment\nregion = us-ashburn-1\npass_phrase = a % b\n")
        theirs = sdk.config.from_file(str(side.config_file), "ROTATOR")
        ours = OwnProfile(OciAdmin(config_file=str(side.config_file), profile="ROTATOR")).signer()
        assert (ours.tenancy, ours.user, ours.fingerprint) == (
            theirs["tenancy"],
            theirs["user"],
            theirs["fingerprint"],
        )
        pair = sdk.signer.Signer.from_config(theirs).private_key
        assert pair.private_numbers() == ours.private_key.private_numbers()

    def test_every_region_has_the_sdks_address(self, sdk: Any) -> None:
        template = "https://identity.{region}.oci.{secondLevelDomain}"
        definitions = sdk.regions_definitions
        assert definitions.REGION_REALMS
        for region, realm in definitions.REGION_REALMS.items():
            theirs = template.format(region=region, secondLevelDomain=definitions.REALMS[realm])
            assert endpoint(region, f"ocid1.tenancy.{realm}..aaaa") == theirs
