"""What an answer to a proof means: one table in the code, and the same on the cloud's page (rule 18)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module

import pytest

from rotator.model import Proof
from rotator.providers.registry import BUILT_IN
from tests.support.derived import ROOT

TABLES = {
    "aws": "rotator.providers.aws.provider",
    "azure": "rotator.providers.azure.proof",
    "byok": "rotator.providers.byok.provider",
    "civo": "rotator.providers.civo.quota",
    "gcp": "rotator.providers.gcp.proof",
    "oci": "rotator.providers.oci.provider",
}
"""Where the constant `PROOFS` of each cloud is: it decides, by the answer's code."""

HEADING = "## What an answer to a proof means"
ROW = re.compile(r"^\| `([^`]+)` \| (alive|not yet|dead|clock) \| \S.+ \|$", re.MULTILINE)


def table_of(provider: str) -> Mapping[str, Proof]:
    page = (ROOT / "docs/providers" / f"{provider}.md").read_text()
    assert page.count(HEADING) == 1
    section = page.partition(HEADING)[2].partition("\n## ")[0]
    assert "\n| anything else | no verdict |" in section
    return {code: Proof(means.replace(" ", "_")) for code, means in ROW.findall(section)}


def test_every_cloud_has_its_table() -> None:
    assert TABLES.keys() == set(BUILT_IN)


@pytest.mark.parametrize("provider", TABLES)
def test_the_page_says_what_the_code_does(provider: str) -> None:
    proofs = import_module(TABLES[provider]).PROOFS
    assert table_of(provider) == proofs
