"""Runs in the place of the service, in its sandbox: tries what must be refused and what must work, and reports each."""

from __future__ import annotations

import ctypes
import importlib
import json
import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWUSER = 0x10000000
_PTRACE_SEIZE = 0x4206


def _call(name: str, *arguments: object) -> None:
    """Call the C library's function, raising what it says."""
    if getattr(_LIBC, name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _open_socket(family: int, kind: int = socket.SOCK_STREAM, protocol: int = 0) -> None:
    socket.socket(family, kind, protocol).close()


def _executable_memory() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _suid_file() -> None:
    path = Path("/tmp/suid")
    path.touch()
    path.chmod(0o4755)


def _other_processes() -> None:
    others = {path.name for path in Path("/proc").iterdir() if path.name.isdigit()} - {
        str(os.getpid()),
        str(os.getppid()),
    }
    if not others:
        raise PermissionError("none is to be seen")


def _write(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_text("written")


def _list(path: str) -> None:
    if not list(Path(path).iterdir()):
        raise PermissionError("empty")


def _control_group() -> None:
    group = Path("/sys/fs/cgroup/probe")
    group.mkdir()
    group.rmdir()


REFUSED: dict[str, Callable[[], object]] = {
    "write /etc": _write("/etc/probe"),
    "write the program": _write("/opt/rotator/probe"),
    "write the config": _write("/etc/rotator/rotator.yaml"),
    "write /usr/local/bin": _write("/usr/local/bin/probe"),
    "write kernel tunables": _write("/proc/sys/kernel/core_pattern"),
    "make control groups": _control_group,
    "read the token in its place": lambda: Path("/etc/rotator/northflank-token").read_bytes(),
    "read /etc/shadow": lambda: Path("/etc/shadow").read_bytes(),
    "look into /root": lambda: _list("/root"),
    "look into /home": lambda: _list("/home"),
    "look into other services' state": lambda: _list("/var/lib/private/another"),
    "see other processes": _other_processes,
    "read the kernel's log": lambda: Path("/dev/kmsg").read_bytes(),
    "read the disk": lambda: _list("/dev/disk"),
    "packet sockets": lambda: _open_socket(socket.AF_PACKET, socket.SOCK_RAW),
    "raw sockets": lambda: _open_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "netlink sockets": lambda: _open_socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "a namespace": lambda: _call("unshare", _CLONE_NEWUSER),
    "a mount": lambda: _call("mount", b"none", b"/mnt", b"tmpfs", 0, None),
    "a host name": lambda: _call("sethostname", b"probe", 5),
    "the clock": lambda: _call("settimeofday", bytes(16), None),
    "ptrace": lambda: _call("ptrace", _PTRACE_SEIZE, os.getppid(), None, None),
    "another user": lambda: os.setuid(0),
    "executable memory": _executable_memory,
    "a setuid file": _suid_file,
    "a higher core limit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (1, 1)),
    "a higher priority": lambda: os.nice(-5),
}

# What the clouds' SDKs load, native code included; and what the service needs of the machine.
SDKS = (
    "boto3",
    "cryptography.hazmat.bindings._rust",
    "google.cloud.iam_admin_v1",
    "grpc",
    "azure.identity",
    "msal",
    "lightkube",
    "uvicorn",
    "sqlalchemy.engine",
)


def _a_channel() -> None:
    """gRPC starts threads of its own."""
    grpc = importlib.import_module("grpc")
    grpc.insecure_channel("127.0.0.1:9").close()


def _a_key() -> None:
    rsa = importlib.import_module("cryptography.hazmat.primitives.asymmetric.rsa")
    rsa.generate_private_key(public_exponent=65537, key_size=2048)


ALLOWED: dict[str, Callable[[], object]] = {
    "write the state": _write("/var/lib/rotator/probe"),
    "write /tmp": _write("/tmp/probe"),
    "read its token": lambda: Path(os.environ["CREDENTIALS_DIRECTORY"], "northflank-token").read_text(),
    "read the config": lambda: Path("/etc/rotator/rotator.yaml").read_text(),
    "resolve a name": lambda: socket.getaddrinfo("localhost", 443),
    "TCP": lambda: _open_socket(socket.AF_INET),
    "TCP over IPv6": lambda: _open_socket(socket.AF_INET6),
    "the journal": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect("/run/systemd/journal/socket"),
    "an instance's metadata": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("169.254.169.254", 80)),
    **{f"import {name}": lambda name=name: importlib.import_module(name) for name in SDKS},  # type: ignore[misc]  # no lambda has types
    "a gRPC channel": _a_channel,
    "an RSA key": _a_key,
}


def _tried(attempt: Callable[[], object]) -> str:
    """What comes of it, in a process of its own: one attempt must not help or hinder the next."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, _outcome(attempt).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        outcome = told.read()
    os.wait()
    return outcome


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the outcome
        return f"{type(error).__name__}: {error}"
    return "worked"


if __name__ == "__main__":
    tried = {what: _tried(attempt) for what, attempt in (REFUSED | ALLOWED).items()}
    Path(sys.argv[1]).write_text(json.dumps(tried, indent=1))
