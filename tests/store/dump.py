"""Write the dump of a release: `python -m tests.store.dump`.

Run it for each new schema, with the code that is to be released. Once released, a dump never changes.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from rotator.attention import HoldReason
from rotator.model import Phase
from rotator.sandbox.northflank.account import HeldIntegration
from rotator.sandbox.stage import TEXT
from rotator.store.migrate import HEAD
from tests.store import world
from tests.support.rig import ADMIN_FILE, Rig

IN_GRACE, MID_PUSH, HELD, IDLE = "in-grace", "mid-push", "held", "idle"
USERS = (IN_GRACE, MID_PUSH, HELD, IDLE)


def in_flight(rig: Rig) -> None:
    """One credential in grace, one whose service died while its push was under way, one held, and one at rest."""
    for name in USERS:
        rig.name = name
        rig.add_user(name)
        held = rig.aws.create_key(name).reveal()
        rig.account.put(HeldIntegration(name, name, "aws", description=TEXT, credentials=held))
        rig.hold(HoldReason.ADOPT_WHICH)
        assert rig.ask("adopt", key_id=held["accessKey"]).accepted
    rig.rotate()
    rig.name = HELD
    rig.make_key(HELD)
    assert rig.ask("rotate", now=True).accepted
    rig.hold(HoldReason.SLOTS_FULL)
    for name in (IN_GRACE, MID_PUSH):
        rig.name = name
        assert rig.ask("rotate", now=True).accepted
        if name == IN_GRACE:
            rig.to(Phase.GRACE)
        else:
            rig.die_in(None)


def main() -> None:
    socket.gethostname = lambda: "host.example"  # it stands in the store
    with TemporaryDirectory() as directory, httpx.Client(trust_env=False) as http:
        os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(Path(directory, ADMIN_FILE))
        os.environ["AWS_CONFIG_FILE"] = str(Path(directory, "none"))
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            os.environ.pop(name, None)
        credentials = [{"name": name, "user": name, "integrations": [name], "current_key": None} for name in USERS]
        with Rig(Path(directory), http, {"credentials": credentials}) as rig:
            rig.start()
            in_flight(rig)
            rig.stop()
            world.save(rig, HEAD)
    sys.stdout.write(f"tests/store/released/{HEAD}.sql and .json were written\n")


if __name__ == "__main__":
    main()
