"""`rotator health`: one look at the service, for container engines, load balancers and scripts.

It asks the health listener where the config has one. Else it looks at the store from outside: that shows whether a
service owns it and what keeps its required audit sinks from their records, but not whether its work is stuck.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Annotated

import typer

from rotator.cli.options import ConfigPath, JsonOption
from rotator.cli.render import note, say, show_json
from rotator.cli.session import Session, begin, read_store
from rotator.config.models import Config, HealthSection
from rotator.errors import ExitCode, StoreError
from rotator.service.vitals import Words, words
from rotator.store.sqlite import owner_alive

_DEADLINE = 5.0
"""Seconds that the listener gets to answer."""

_LONGEST = 1000
_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # listened on everywhere; asked here

_LIVE = ("ok", "failing")
_READY = ("ready", "not ready")


def health(
    path: ConfigPath = None,
    ready: Annotated[
        bool, typer.Option("--ready", help="Ask instead whether it owns the store and its config is in force.")
    ] = False,
    work: Annotated[
        bool, typer.Option("--work", help="Ask instead whether an operator is needed, as `rotator status` says it.")
    ] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show how the service is. ERROR unless all is well."""
    session = begin(path)
    config = session.config
    if work:
        return _work(session, as_json=as_json)
    good, bad = _READY if ready else _LIVE
    found = _ask(config.health, ready=ready) if config.health is not None else _look(config, ready=ready)
    parts = ", ".join(f"{part} {word}" for part, word in found.items() if part != "status")
    if as_json:
        show_json(found)
    else:
        say(f"{found.get('status', bad)}: {parts}")
    return ExitCode.FINE if found.get("status") == good else ExitCode.ERROR


def _work(session: Session, *, as_json: bool) -> ExitCode:
    """What the service's work has come to: clouds, Northflank and holds, which are no matter of its own health."""
    from rotator.cli.status import view  # noqa: PLC0415  # a probe asks every few seconds, and needs none of it

    alarms = view(session).alarms
    if as_json:
        about = [{"kind": alarm.kind.value, "about": alarm.about, "text": alarm.text} for alarm in alarms]
        show_json({"status": "alarm" if alarms else "ok", "alarms": about})
    else:
        say("alarm:" if alarms else "ok: no operator is needed")
        for alarm in alarms:
            say(f"{alarm.about}: {alarm.text}")
    return ExitCode.ERROR if alarms else ExitCode.FINE


def _ask(listener: HealthSection, *, ready: bool) -> Words:
    """What the listener says. A service that doesn't answer has one word less to say: `process` is failing."""
    host = _REACHED_AT.get(listener.host, listener.host)
    connection = HTTPConnection(host, listener.port, timeout=_DEADLINE)
    try:
        connection.request("GET", "/readyz" if ready else "/healthz")
        said = json.loads(connection.getresponse().read(_LONGEST))
    except (OSError, HTTPException, ValueError) as error:
        note(f"no answer from {listener.listen}: {error if isinstance(error, OSError) else type(error).__name__}")
        said = None
    finally:
        connection.close()
    if not isinstance(said, Mapping):
        return {"status": (_READY if ready else _LIVE)[1], "process": "failing"}
    return {str(part): str(word) for part, word in said.items()}


def _look(config: Config, *, ready: bool) -> Words:
    """What the store shows from outside."""
    try:
        alive = owner_alive(config.store.url)
    except StoreError as error:
        note(f"rotator: {error}")
        alive = False
    readable = audited = False
    try:
        with read_store(config) as reader:
            cursors = reader.cursors()
        readable = True
        refusing = {name: cursors[name].error for name in config.audit.require if name in cursors}
        audited = not any(refusing.values())
    except StoreError as error:
        note(f"rotator: {error}")
    parts = {"store": readable, "audit": audited}
    if ready:  # the config was just read
        return words({"config": True, "ownership": alive, **parts}, good=_READY[0], bad=_READY[1])
    return words({"process": alive, **parts}, good=_LIVE[0], bad=_LIVE[1])
