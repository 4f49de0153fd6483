"""A booted Debian: systemd as process 1 of a container, with this machine's network and a disk of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rotator.clock import new_id
from tests.support.patience import patience
from tests.systemd.trees import copy

PATIENCE = 60.0
"""Seconds that a test waits for anything: the machines share two cores with whatever else runs."""

_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME": "/root", "LANG": "C.UTF-8"}
_MARK = "etc/machine-of-a-test"
_NAMESPACES = ("-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w")
_POWER_OFF = signal.SIGRTMIN + 4  # systemd(1)

_ENTER_GROUP = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
# IPAddressDeny= and its like need bpf(); without --register and with --keep-unit no systemd is needed on the host.
_NSPAWN = (
    *("setpriv", "--pdeathsig", "KILL"),  # also when the tests are killed, nothing is left running
    *("systemd-nspawn", "--quiet", "--console=pipe", "--register=no", "--keep-unit", "--system-call-filter=bpf"),
    "--capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON",
)


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


class Machine:
    """The inside of a booted machine, as root.

    Args:
        root: its disk, as seen from here.
        leader: its process 1, as seen from here.
    """

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self._enter = ("nsenter", f"--target={leader}", *_NAMESPACES)

    def run(self, *command: str, typed: str = "", check: bool = True, timeout: float = PATIENCE) -> Done:
        """Run a command to its end.

        Raises:
            RuntimeError: it failed, and that is to be checked.
        """
        ended = subprocess.run(  # noqa: S603  # ours
            [*self._enter, *command],
            env=_ENVIRONMENT,
            input=typed,
            capture_output=True,
            text=True,
            timeout=patience(timeout),
            check=False,
        )
        done = Done(ended.returncode, ended.stdout, ended.stderr)
        if check and done.code:
            raise RuntimeError(f"{' '.join(command)}: {done}\n{self.log()}")
        return done

    def shell(self, script: str, *, timeout: float = PATIENCE) -> Done:
        """Run a script as a person would, ended by the first command that fails."""
        return self.run("/bin/bash", "-eu", "-o", "pipefail", "-c", script, timeout=timeout)

    def systemctl(self, *arguments: str, check: bool = True) -> Done:
        return self.run("systemctl", *arguments, check=check)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", "--property", name, "--value", unit).stdout.strip()

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Put a file of root's into the machine."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.touch(mode=mode)
        file.chmod(mode)
        file.write_text(text)

    def journal(self, *matches: str, since: float = 0.0) -> list[dict[str, Any]]:
        """The journal's entries, oldest first.

        Args:
            matches: what they must have, e.g. `ROTATOR_CREDENTIAL=prod-aws`.
            since: of the clock, which is this side's. (A cursor would lose the first match: systemd 252 skips it.)
        """
        self.run("journalctl", "--sync")
        given = self.run("journalctl", "--output=json", "--all", "--no-pager", f"--since=@{since:.6f}", *matches)
        return [json.loads(line) for line in given.stdout.splitlines() if line.startswith("{")]

    def log(self) -> str:
        """The end of the journal, for a person."""
        return self.run("journalctl", "--no-pager", "--lines=60", "--output=short-precise", check=False).stdout

    def wait_until(self, true: Callable[[], object], what: str, *, timeout: float = PATIENCE) -> None:
        """Look again and again.

        Raises:
            TimeoutError: it never came true.
        """
        until = time.monotonic() + patience(timeout)
        while not true():
            if time.monotonic() > until:
                raise TimeoutError(f"{what}: not within {timeout:g} s\n{self.log()}")
            time.sleep(0.1)

    def wait_for_state(self, unit: str, state: str, *, timeout: float = PATIENCE) -> None:
        """Wait for the unit's ActiveState."""
        self.wait_until(lambda: self.show(unit, "ActiveState") == state, f"{unit} is {state}", timeout=timeout)


@contextmanager
def _control_group() -> Iterator[Path]:
    """A control group for one machine: two of them in the same one would take each other's services for their own."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    group = Path(next(mount[1] for mount in mounts if mount[2] == "cgroup2")) / f"rotator-test-{new_id()}"
    group.mkdir()
    try:
        yield group
    finally:
        for directory, _, _ in os.walk(group, topdown=False):
            Path(directory).rmdir()


@contextmanager
def boot(suite: str, *, binds: dict[Path, str]) -> Iterator[Machine]:
    """Boot a copy of the suite's tree; it is off, and its disk gone, at the end.

    Args:
        suite: Debian's name of it.
        binds: directories of this machine, and where they are seen there, for reading.
    """
    with copy(suite) as root, _control_group() as group:
        (root / _MARK).touch()
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")  # Debian's installer writes it
        options = [f"--directory={root}", "--boot", *(f"--bind-ro={here}:{there}" for here, there in binds.items())]
        with subprocess.Popen(  # noqa: S603  # ours
            ["/bin/sh", "-c", _ENTER_GROUP, str(group), *_NSPAWN, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**_ENVIRONMENT, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        ) as nspawn:
            try:
                yield _started(root, nspawn)
            finally:
                _end(nspawn)


def _started(root: Path, nspawn: subprocess.Popen[bytes]) -> Machine:
    """The machine, once it has finished booting."""
    until = time.monotonic() + patience(PATIENCE)
    while nspawn.poll() is None and time.monotonic() < until:
        for leader in _children(nspawn.pid):
            machine = Machine(root, leader)
            # Until it has its own root, it would be asked about the machine that the tests run on.
            script = f"test -e /{_MARK} && systemctl is-system-running --wait"
            told = machine.run("/bin/sh", "-c", script, check=False)
            if told.stdout.strip() in {"running", "degraded"}:
                return machine
        time.sleep(0.1)
    nspawn.kill()
    assert nspawn.stderr is not None
    raise RuntimeError(f"{root} doesn't boot: {nspawn.stderr.read().decode(errors='replace')}")


def _children(process: int) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def _end(nspawn: subprocess.Popen[bytes]) -> None:
    for leader in _children(nspawn.pid):
        with suppress(ProcessLookupError):
            os.kill(leader, _POWER_OFF)
    try:
        nspawn.wait(patience(30))
    except subprocess.TimeoutExpired:
        nspawn.kill()
