"""A change that was given up, or whose sender was killed, never arrives: on a real TCP, whose packets are lost."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.machine


@pytest.mark.parametrize("how", ["gives-up", "killed"])
@pytest.mark.parametrize("what", ["push", "mint"], ids=["a push over httpx", "a mint over gRPC"])
def test_what_is_lost_until_the_deadline_never_arrives(what: str, how: str) -> None:
    missing = [name for name in ("unshare", "ip", "nft") if shutil.which(name) is None]
    assert not missing, f"make test-network needs: {missing}"
    seen = subprocess.run(  # noqa: S603  # ours
        [str(shutil.which("unshare")), "--net", sys.executable, "-m", "tests.network.late", what, how],
        capture_output=True,
        text=True,
        check=False,
    )
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.splitlines()[-1] == "0"
