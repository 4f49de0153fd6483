"""In a network namespace: a change whose packets are lost, whose sender gives up or is killed. Does it arrive?

`python -m tests.network.late push|mint gives-up|killed`, as root. The server, Northflank or Google's IAM, runs in this
process and the sender in a child. From the moment the change is to be sent, nftables drops each packet with data on its
way to the server; long after the deadline it lets them through again. The last line is how many changes arrived.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from rotator.clock import SystemClock
from rotator.errors import CallFailed
from rotator.http.exchange import Span, exchange
from rotator.providers.gcp.provider import open_provider
from rotator.providers.gcp.settings import GcpSettings
from rotator.sandbox.gcp.stand_in import GcpStandIn
from tests.support.given import tools

DEADLINE = timedelta(seconds=3)
LET_THROUGH = 5.0  # seconds after the change was to be sent
WATCHED = 12.0  # seconds after that: a kernel without a deadline repeats a packet 6.4 s after the last time


@contextmanager
def mouth_of_northflank() -> Iterator[tuple[str, Callable[[], int]]]:
    """A server that takes whatever comes. Gives its address, and how many requests came."""
    arrived: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                connection, _ = server.accept()
                threading.Thread(target=take_from, args=(connection,), daemon=True).start()

        def take_from(connection: socket.socket) -> None:
            with suppress(ConnectionError):  # reset by the sender's kernel
                arrived.append(connection.recv(1 << 16))

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", lambda: sum(map(bool, arrived))


@contextmanager
def google(directory: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """Google's IAM. Gives what the provider needs to know as JSON, and how many keys were made."""
    with GcpStandIn() as stand_in:
        account = stand_in.add_account("northflank-byoc")
        file = stand_in.write_credentials(directory / "rotator.json")
        said = {
            "service_account": account,
            "gcp": {"credentials": {"file": str(file)}, "key_origin": "google", **stand_in.settings},
        }
        yield json.dumps(said), lambda: len(stand_in.keys(account))


def send_push(url: str) -> None:
    ready()
    with httpx.Client() as http:
        exchange(http, "POST", url, headers={}, content=b"x" * 2000, span=Span(SystemClock(), DEADLINE))


def send_mint(said: str) -> None:
    provider = open_provider(GcpSettings.model_validate_json(said), tools(DEADLINE))
    provider.list_keys()
    draft = provider.draft("7f3a9c21", 1)
    ready()
    try:
        provider.mint(draft)
    except CallFailed:
        return


def ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()


def main() -> None:
    what, how = sys.argv[1:3]
    if how == "send":
        {"push": send_push, "mint": send_mint}[what](sys.argv[3])
        time.sleep(60)  # its process lives on: a close or a death must not be what saves us
        return
    command("ip", "link", "set", "lo", "up")
    with (
        TemporaryDirectory() as directory,
        mouth_of_northflank() if what == "push" else google(Path(directory)) as (
            where,
            arrived,
        ),
    ):
        before = arrived()
        sender = subprocess.Popen(  # noqa: S603  # ours
            [sys.executable, "-m", __spec__.name, what, "send", where], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert sender.stdout is not None
        assert sender.stdin is not None
        sender.stdout.readline()
        drop_data(urls(where))
        sender.stdin.write(b"\n")
        sender.stdin.flush()
        if how == "killed":
            time.sleep(1)
            sender.send_signal(signal.SIGKILL)
        time.sleep(LET_THROUGH)
        command("nft", "flush", "ruleset")
        time.sleep(WATCHED)
        sender.kill()
        sys.stdout.write(f"{arrived() - before}\n")


def urls(where: str) -> str:
    """The port of the server, by what the sender is given."""
    said = where if where.startswith("http") else json.loads(where)["gcp"]["endpoint"]
    return str(httpx.URL(said).port)


def drop_data(port: str) -> None:
    """Lose each packet with data to this port; handshakes, and what says that a connection is gone, pass."""
    chain = f"chain in {{ type filter hook input priority 0; policy accept; tcp dport {port} tcp flags psh drop; }}"
    command("nft", f"table ip lost {{ {chain}; }}")


def command(*words: str) -> None:
    subprocess.run(words, check=True)  # noqa: S603  # ours


if __name__ == "__main__":
    main()
