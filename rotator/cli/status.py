"""`rotator status`: where every credential stands, what is due, and what stands in the way.

It asks the journal and the config, and nothing outside: it is quick, and works while a cloud doesn't.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rotator.attention import FindingKind, Severity
from rotator.cli.options import ConfigPath, JsonOption
from rotator.cli.remedies import remedy
from rotator.cli.render import moment, relative, say, show_json, show_table
from rotator.cli.session import CLOCK, Session, begin, read_store
from rotator.errors import ExitCode
from rotator.model import Phase, State
from rotator.policy import Policy
from rotator.rotation.alarms import Alarm, AlarmKind, of_credential, of_sinks
from rotator.rotation.moment import overdue
from rotator.rotation.schedule import Window, due_at
from rotator.store.reader import CredentialRow, Owner
from rotator.store.sqlite import owner_alive

_HEADINGS = ("CREDENTIAL", "PROVIDER", "PHASE", "CURRENT KEY", "AGE", "DUE", "NEXT LOOK")
_KEYLESS = "keyless"
_GATED = frozenset({Phase.MINTING, Phase.DISABLING, Phase.DELETING})


@dataclass(frozen=True, slots=True)
class Standing:
    """One credential: what the journal says of it, what the config wants of it, and the moment.

    Args:
        name: its name.
        provider: its cloud.
        row: the journal's; None before the first contact.
        policy: the config's; None where the config doesn't name it any more.
        frozen: every change of the store is frozen.
        now: aware UTC.
        keyless: Northflank holds no key for it.
        supplied: an operator makes its keys.
        written_at: when the config was written (aware UTC): until the first look, patience counts from it.
    """

    name: str
    provider: str
    row: CredentialRow | None
    policy: Policy | None
    frozen: bool
    now: datetime
    keyless: bool = False
    supplied: bool = False
    written_at: datetime | None = None

    @property
    def state(self) -> State:
        """The journal's state."""
        return self.row.state if self.row is not None else State()

    @property
    def overdue(self) -> bool:
        """The current key is older than `max_age`."""
        return self.policy is not None and overdue(self.state, self.policy, self.now)

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Why it needs an operator."""
        if self.keyless:
            return ()
        looked_at = self.row.looked_at if self.row is not None else self.written_at
        return tuple(of_credential(self.name, self.state, self.policy, looked_at, self.now))

    @property
    def due(self) -> datetime | None:
        """When the next rotation is due, windows apart (aware UTC)."""
        state = self.state
        if self.row is None or self.policy is None or state.current_since is None:
            return None
        return due_at(state.current_since, self.policy, self.row.identity, state.generation)

    @property
    def phase(self) -> str:
        """Where it stands, in a word or two."""
        if self.keyless:
            return _KEYLESS
        hold = self.state.hold
        return f"held ({hold.reason.value})" if hold is not None else self.state.phase.value

    def in_the_way(self) -> Iterator[str]:
        """What keeps it from going on, the weightiest first."""
        state = self.state
        if self.keyless:
            return
        if self.policy is None:
            yield f"not in the config: put {self.name} back, or run `rotator forget {self.name}`"
        elif self.row is None:
            yield "never seen by the service, which takes it up at its next start or reload"
        if state.hold is not None:
            yield state.hold.detail
        yield from self._found()
        shown = {AlarmKind.OVERDUE, AlarmKind.UNATTENDED}
        yield from (alarm.text for alarm in self.alarms if alarm.kind in shown and self.row is not None)
        if self.frozen:
            yield "every change is frozen"
        if state.paused:
            yield "paused"
        if state.unread:
            yield f"can't be read: {state.unread}"
        if state.error:
            yield state.error
        yield from self._waits()

    def _found(self) -> Iterator[str]:
        """The findings of the last look, alerts first; but what is said here anyway."""
        said = {FindingKind.FROZEN, FindingKind.KEY_WANTED}
        for finding in sorted(self.state.findings, key=lambda finding: finding.severity is not Severity.ACT):
            if finding.kind not in said:
                yield finding.text

    def _waits(self) -> Iterator[str]:
        state = self.state
        if state.hold is not None or self.policy is None:
            return
        if state.not_before is not None and state.not_before > self.now:
            yield f"the next attempt is {relative(state.not_before, self.now)}"
        for suspect in state.suspects:
            when = relative(suspect.until, self.now)
            yield f"key {suspect.key_id} is in doubt: rotator deletes it {when} unless it is used"
        if self.supplied:
            if self._wants_a_key():
                yield "a new key is due, and only an operator can make it: put it where the config says"
            return  # the window does not apply to a key that the operator put there
        opens = Window.parse(self.policy.window).next_open(self.now)
        if opens > self.now and self._wants_the_window():
            yield f"the window opens {relative(opens, self.now)}"

    def _wants_the_window(self) -> bool:
        state = self.state
        if state.phase is Phase.IDLE:
            due = self.due is not None and self.due <= self.now
            return due if state.asked is None else not state.asked.now
        return state.phase in _GATED and not state.emergency

    def _wants_a_key(self) -> bool:
        due = self.due is not None and self.due <= self.now
        return self.state.phase is Phase.IDLE and (due or self.state.asked is not None)

    def document(self) -> dict[str, object]:
        """For `--json`."""
        state = self.state
        held = None
        if state.hold is not None:
            reason, detail = state.hold.reason.value, state.hold.detail
            held = {"reason": reason, "detail": detail, "remedy": remedy(state.hold, self.name, state)}
        return {
            "credential": self.name,
            "provider": self.provider,
            "identity": self.row.identity if self.row is not None else None,
            "phase": _KEYLESS if self.keyless else state.phase.value,
            "held": held,
            "current_key": state.current,
            "generation": state.generation,
            "age_seconds": self.now - state.current_since if state.current_since is not None else None,
            "due_at": self.due,
            "next_look": self.row.next_at if self.row is not None else None,
            "findings": [
                {"kind": finding.kind.value, "severity": finding.severity.value, "text": finding.text}
                for finding in state.findings
            ],
            "in_the_way": list(self.in_the_way()),
            "overdue": self.overdue,
            "paused": state.paused,
            "in_config": self.policy is not None,
        }

    def cells(self) -> tuple[object, ...]:
        """For the table, in the order of its headings."""
        state, now = self.state, self.now
        next_at = self.row.next_at if self.row is not None else None
        return (
            self.name,
            self.provider,
            self.phase,
            state.current,
            now - state.current_since if state.current_since is not None else None,
            relative(self.due, now) if self.due is not None else None,
            relative(next_at, now) if next_at is not None and next_at > now else "now" if next_at else None,
        )


@dataclass(frozen=True, slots=True)
class View:
    """The store and the config, side by side.

    Args:
        owner: the store's.
        failing: the audit sinks that fail, and why.
        standings: where every credential stands, by name.
        alarms: what needs an operator.
    """

    owner: Owner
    failing: Mapping[str, str]
    standings: tuple[Standing, ...]
    alarms: tuple[Alarm, ...]


def view(session: Session) -> View:
    """What the store shows now. Raises StoreError if there is none, or it can't be read."""
    config = session.config
    with read_store(config) as reader:
        owner, rows, cursors = reader.owner(), reader.credentials(), reader.cursors()
    failing = {sink: cursor.error for sink, cursor in cursors.items() if cursor.error}
    standings = tuple(sorted(stand(session, rows, owner), key=lambda standing: standing.name))
    required: set[str] = {*config.audit.require}
    alarms = (
        *of_sinks({sink: why for sink, why in failing.items() if sink in required}),
        *(alarm for standing in standings for alarm in standing.alarms),
    )
    return View(owner, failing, standings, alarms)


def status(path: ConfigPath = None, as_json: JsonOption = False) -> ExitCode:
    """Every credential of the config and of the journal. HELD if an operator must act on one."""
    session = begin(path)
    seen = view(session)
    owner, failing, standings, alarms = seen.owner, seen.failing, seen.standings, seen.alarms
    alive = owner_alive(session.config.store.url)
    if as_json:
        frozen = {"by": owner.frozen_by, "at": owner.frozen_at} if owner.frozen_at is not None else None
        store = {"id": owner.store_id, "owner_alive": alive, "frozen": frozen, "failing_sinks": failing}
        documents = [standing.document() for standing in standings]
        show_json({"store": store, "alarms": [_document(alarm) for alarm in alarms], "credentials": documents})
    else:
        _show(standings, owner, failing, alive=alive)
        if alarms:
            say(f"\nAn operator is needed: {', '.join(sorted({alarm.about for alarm in alarms}))}.")
    return ExitCode.HELD if alarms else ExitCode.FINE


def _document(alarm: Alarm) -> dict[str, str]:
    return {"kind": alarm.kind.value, "about": alarm.about, "text": alarm.text, "detail": alarm.detail}


def stand(session: Session, rows: tuple[CredentialRow, ...], owner: Owner) -> list[Standing]:
    """Where every credential stands that the config or the journal knows."""
    config, written_at = session.config, datetime.fromtimestamp(session.path.stat().st_mtime, UTC)
    rotated = {section.name: section for section in config.credentials if not section.keyless}
    now, frozen = CLOCK.now(), owner.frozen_at is not None
    known = {row.name: row for row in rows}
    return [
        *(
            Standing(
                name,
                section.provider,
                known.get(name),
                config.policy_of(section),
                frozen,
                now,
                supplied=section.supplied,
                written_at=written_at,
            )
            for name, section in rotated.items()
        ),
        *(
            Standing(section.name, section.provider, None, config.policy_of(section), frozen, now, keyless=True)
            for section in config.credentials
            if section.keyless
        ),
        # One that became keyless is among these too: its former key is still in its cloud.
        *(Standing(row.name, row.provider, row, None, frozen, now) for row in rows if row.name not in rotated),
    ]


def _show(standings: Sequence[Standing], owner: Owner, failing: Mapping[str, str], *, alive: bool) -> None:
    show_table(_HEADINGS, [standing.cells() for standing in standings])
    for standing in standings:
        for text in standing.in_the_way():
            say(f"\n{standing.name}: {text}")
        if standing.state.hold is not None:
            say(f"  -> {remedy(standing.state.hold, standing.name, standing.state)}")
    if keyless := [standing.name for standing in standings if standing.keyless]:
        say(f"\nKeyless, so there is nothing to rotate: {', '.join(keyless)}.")
    if owner.frozen_at is not None:
        since = f"{moment(owner.frozen_at)}, by {owner.frozen_by}"
        say(f"\nEvery change is frozen since {since}. `rotator unfreeze` ends the freeze.")
    for sink, error in failing.items():
        say(f"\nThe audit sink {sink} fails: {error}")
    if not alive:
        say("\nNo rotator runs on this store, so nothing is rotated. `rotator run` starts the service.")
