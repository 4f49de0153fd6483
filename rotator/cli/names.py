"""Whether there is such a credential: one answer for every command, before anything is asked or written."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches

from rotator.cli.session import read_store
from rotator.config.models import Config
from rotator.errors import RotatorError, UsageError
from rotator.http.outside_text import outside_text


def must_exist(config: Config, names: Iterable[str], *, or_have_left: bool = False) -> None:
    """Let no name through that no credential has.

    Args:
        config: names credentials.
        names: what the operator gave.
        or_have_left: a credential that the journal alone still has will do.

    Raises:
        UsageError: there is no such credential. The remedy has the names that there are.
    """
    configured = {section.name for section in config.credentials}
    for name in names:
        if name in configured:
            continue
        left = _in_the_journal(config) - configured
        if name not in left:
            raise UsageError(f"there is no credential {outside_text(name)}.", remedy=_there_are(name, configured, left))
        if not or_have_left:
            raise UsageError(
                f"{name} left the config; the journal still has it.",
                remedy=f"put {name} back and reload, or `rotator forget {name}`.",
            )


def _in_the_journal(config: Config) -> set[str]:
    with suppress(RotatorError), read_store(config) as reader:
        return {row.name for row in reader.credentials()}
    return set()


def _there_are(name: str, configured: set[str], left: set[str]) -> str:
    near = get_close_matches(name, configured | left, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    also = f"; the journal alone has: {', '.join(sorted(left))}" if left else ""
    return f"{meant}the config has: {', '.join(sorted(configured)) or 'none'}{also}."
