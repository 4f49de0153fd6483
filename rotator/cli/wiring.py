"""For commands that reach outside: the config's credentials wired, and the connections to Northflank.

Apart from `session`, so that a command that only looks at the store need not load an HTTP client.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pydantic import ValidationError

from rotator.cli.names import must_exist
from rotator.cli.session import CLOCK, refuse_keyless
from rotator.config.models import Config, ConnectionSection
from rotator.errors import UsageError
from rotator.host import core_dumps, logs
from rotator.http.clients import machine_client
from rotator.northflank.client import Connection
from rotator.service.fleet import Fleet, assemble, connect
from rotator.settings.secret import SecretRef

# The names that Northflank's own clients read; the first of each that is set counts.
_TOKENS = ("NORTHFLANK_API_TOKEN", "NF_API_TOKEN")
_ADDRESSES = ("NORTHFLANK_API_BASE_URL", "NF_API_HOST")


def fleet_of(config: Config, names: Iterable[str] = (), *, beside: Collection[str] = ()) -> Fleet:
    """The config's credentials, wired: those named, or all. Their secrets are in memory from here on.

    Args:
        config: a sound config.
        names: the credentials; all by default.
        beside: files that every credential goes by: the config's own.

    Raises:
        UsageError: the config has no such credential, it is keyless, or its provider isn't installed.
    """
    core_dumps.forbid()
    wanted = frozenset(names)
    must_exist(config, sorted(wanted))
    refuse_keyless(config, wanted)
    chosen = tuple(section for section in config.credentials if not wanted or section.name in wanted)
    return assemble(config.model_copy(update={"credentials": chosen}), CLOCK, machine_client(), beside=beside)


def connections_of(sections: Mapping[str, ConnectionSection]) -> Mapping[str, Connection]:
    """The ways to Northflank alone, by name: no provider is opened. Tokens are in memory from here on."""
    core_dumps.forbid()
    return connect(sections, CLOCK, machine_client())


def from_environment(team: str | None, environ: Mapping[str, str]) -> ConnectionSection:
    """The connection that an operator has before there is a config, by the variables of Northflank's own clients.

    Args:
        team: the team's id, for a token of an organisation.
        environ: holds the token and, where it isn't the usual one, the address of the API.

    Raises:
        UsageError: there is no token, or a value can't be used.
    """
    logs.set_up("warning")
    variable = next((name for name in _TOKENS if environ.get(name)), None)
    if variable is None:
        raise UsageError(
            f"no config was named, and there is no token in {' or '.join(_TOKENS)}.",
            remedy=f"export {_TOKENS[0]}. The token needs Account > Cloud > Integrations > Read.",
        )
    section = {"token": SecretRef(env=variable), "team": team}
    address = next((environ[name] for name in _ADDRESSES if environ.get(name)), None)
    try:
        return ConnectionSection.model_validate(section | ({} if address is None else {"api_url": address}))
    except ValidationError:
        wrong = f"--team or {' or '.join(_ADDRESSES)}"
        raise UsageError(
            f"the value of {wrong} can't be used.", remedy="the usual address is https://api.northflank.com."
        ) from None
