"""Secrets by reference: where they are read from, and what is said when they can't be."""

import os
from pathlib import Path

import pytest

from rotator.errors import RotatorError
from rotator.settings.secret import SecretRef

CANARY = "nf-canary-3f9c1e"


def said(reference: SecretRef, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(RotatorError) as caught:
        reference.read(environ or {})
    assert caught.value.remedy
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


def test_a_file_is_read_without_white_space_around(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f" {CANARY} \r\n")

    secret = SecretRef(file=str(tmp_path / "token")).read()

    assert secret.get_secret_value() == CANARY
    assert CANARY not in repr(secret)


def test_a_replaced_file_is_a_replaced_secret(tmp_path: Path) -> None:
    # As Kubernetes does it: a link to a directory is moved, and the file keeps its path.
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(name)
    (tmp_path / "data").symlink_to("old")
    reference = SecretRef(file=str(tmp_path / "data" / "token"))
    before = reference.read().get_secret_value()

    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").rename(tmp_path / "data")

    assert (before, reference.read().get_secret_value()) == ("old", "new")


def test_a_rewritten_file_of_the_same_size_and_time_is_read_too(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    reference, stat = SecretRef(file=str(token)), token.stat()
    before = reference.read().get_secret_value()

    token.write_text("other")
    os.utime(token, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert (before, reference.read().get_secret_value()) == ("first", "other")


def test_a_variable_and_a_credential_of_systemd(tmp_path: Path) -> None:
    (tmp_path / "northflank-token").write_text("from systemd\n")
    environ = {"NF_TOKEN": "from the environment", "CREDENTIALS_DIRECTORY": str(tmp_path)}

    assert SecretRef(env="NF_TOKEN").read(environ).get_secret_value() == "from the environment"
    assert SecretRef(credential="northflank-token").read(environ).get_secret_value() == "from systemd"


@pytest.mark.parametrize("content", ["", "\n", "  \n"])
def test_an_empty_secret_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)

    assert "holds no secret" in said(SecretRef(file=str(tmp_path / "token")))
    assert "NF_TOKEN holds no secret" in said(SecretRef(env="NF_TOKEN"), {"NF_TOKEN": content})


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    missing = said(SecretRef(file=str(tmp_path / "none")))

    assert f"{tmp_path}/none can't be read: No such file or directory" in missing
    assert "NF_TOKEN holds no secret" in said(SecretRef(env="NF_TOKEN"))
    assert "CREDENTIALS_DIRECTORY is not set" in said(SecretRef(credential="token"))
    assert "LoadCredential=token:" in said(SecretRef(credential="token"))
    assert "No such file" in said(SecretRef(credential="token"), {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody will ever write to it

    assert "not a regular file" in said(SecretRef(file=str(tmp_path / "pipe")))
    assert "Is a directory" in said(SecretRef(file=str(tmp_path)))


@pytest.mark.parametrize(
    "content", [f"{CANARY}\n{CANARY}", f"{CANARY}\x1b[0m", f"{CANARY}é", f"{CANARY}\0", CANARY * 9999]
)
def test_what_can_be_no_token_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    (tmp_path / "token").write_text(content)

    message = said(SecretRef(file=str(tmp_path / "token")))

    assert str(tmp_path / "token") in message
    assert CANARY not in message


def test_bytes_that_are_no_text_are_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(CANARY.encode() + b"\xff")

    message = said(SecretRef(file=str(tmp_path / "token")))

    assert "line 1 is not UTF-8" in message
    assert CANARY not in message
