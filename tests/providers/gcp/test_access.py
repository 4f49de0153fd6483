"""The way to Google Cloud: TLS with a CA of one's own, and what the SDK's own debug log would tell of it."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from rotator.errors import CallFailed, RotatorError, Verdict
from rotator.sandbox.wire.serving import utc_now
from tests.providers.gcp.world import World, a_world
from tests.support.patience import patience

pytestmark = pytest.mark.realtime

LOGGING_PROGRAM = """
import logging, sys
from datetime import timedelta
from rotator.providers.base import Draft
from rotator.providers.gcp.provider import open_provider
from rotator.providers.gcp.settings import GcpSettings
from tests.support.given import tools

logging.basicConfig(level=logging.DEBUG)
provider = open_provider(GcpSettings.model_validate_json(sys.stdin.read()), tools(timedelta(seconds=20)))
minted = provider.mint(Draft())
print(provider.prove(minted.material), provider.list_keys())
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own CA, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    file = tmp_path / "tls.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def terminator(world: World, certificate: Path) -> Iterator[str]:
    """Speaks TLS before the stand-in's IAM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2"])
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                outer = context.wrap_socket(listener.accept()[0], server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            inner = socket.create_connection(("127.0.0.1", world.gcp.iam.port))
            for way in ((outer, inner), (inner, outer)):
                threading.Thread(target=pump, args=way, daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


class TestTls:
    def test_with_its_ca_a_key_is_minted(self, world: World, terminator: str, certificate: Path) -> None:
        provider = world.open(endpoint=terminator, ca_file=str(certificate))
        minted = provider.mint(provider.draft("7f3a", 1))
        assert world.listed() == [minted.key.key_id]

    def test_without_its_ca_nothing_is_sent(self, world: World, terminator: str) -> None:
        provider = world.open(endpoint=terminator, key_origin="google")
        with pytest.raises(CallFailed) as caught:
            provider.mint(provider.draft("7f3a", 1))
        assert caught.value.verdict is Verdict.NOT_APPLIED
        assert caught.value.remedy
        assert world.count("CreateServiceAccountKey") == 0

    def test_a_ca_that_cannot_be_read(self, world: World, tmp_path: Path) -> None:
        with pytest.raises(RotatorError, match="CA file") as caught:
            world.open(endpoint="https://iam.invalid", ca_file=str(tmp_path / "none.pem"))
        assert "ca_file" in caught.value.remedy


@pytest.mark.parametrize("from_config", [True, False], ids=["config", "environment"])
def test_federated_credentials_ask_nobody_before_the_first_call(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, from_config: bool
) -> None:
    """Google's token exchange is down: that is trouble for this credential's calls, not for the start of all others."""
    with socket.create_server(("127.0.0.1", 0)) as exchange:
        exchange.settimeout(0.2)
        file, token = tmp_path / "federated.json", tmp_path / "token"
        token.write_text("a token of the cluster's")
        federated = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/123456789/locations/global/workloadIdentityPools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"http://127.0.0.1:{exchange.getsockname()[1]}/v1/token",
            "credential_source": {"file": str(token)},
        }
        file.write_text(json.dumps(federated))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        provider = world.open(timedelta(seconds=patience(1)), credentials={"file": str(file) if from_config else None})
        with pytest.raises(TimeoutError):
            exchange.accept()
        with pytest.raises(CallFailed) as caught:
            provider.list_keys()
        assert caught.value.verdict is Verdict.NOT_APPLIED
        exchange.accept()[0].close()  # then it was asked


@pytest.mark.parametrize("scope", ["google", "google.cloud.iam_admin_v1.services.iam.transports"])
def test_the_sdks_debug_log_tells_no_secret(world: World, scope: str) -> None:
    settings = world.settings(key_origin="google").model_dump_json()
    run = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", LOGGING_PROGRAM],
        input=settings,
        env={**os.environ, "GOOGLE_SDK_PYTHON_LOGGING_SCOPE": scope},
        capture_output=True,
        text=True,
        timeout=patience(),
        check=True,
    )
    assert "alive" in run.stdout
    assert not [secret for secret in world.gcp.secrets if secret in run.stdout + run.stderr]
