"""One credential of the config, wired to its cloud and its integrations, and the facts about it at one moment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rotator.material import Material
from rotator.model import IntegrationView, Observation, Reply, Stamp, State
from rotator.northflank.dependents import worse
from rotator.northflank.stamp import compose, strip
from rotator.policy import Policy
from rotator.providers.base import Provider
from rotator.rotation.facts import Facts, look
from rotator.rotation.moment import Age, Calendar, Moment, after_call, moment_of, seeing
from rotator.rotation.shares import Ways


class Target(Protocol):
    """One integration, as a rotation uses it (`northflank.integration.Integration`)."""

    @property
    def id(self) -> str:
        """The integration's id."""

    @property
    def stamped(self) -> bool:
        """Its description carries our stamp (`stamp: true`)."""

    def read(self, *, fresh: bool, urgent: bool = False) -> IntegrationView:
        """Read it: for this decision, urgently if a push waits for it, or from a shared poll. Raises CallFailed."""

    def set_aside(self) -> bool:
        """Set the calls aside that a push and its confirmation need. False if the rate limit doesn't leave them."""

    def release(self) -> None:
        """Nothing is set aside for it any more."""

    def push(self, material: Material, *, description: str | None) -> Reply:
        """Replace its credential and description in one request. Raises CallFailed with a true verdict."""

    def dependents(self) -> tuple[tuple[str, str], ...]:
        """What depends on it, and the state of each, as configured. Raises CallFailed."""


@dataclass(frozen=True, slots=True)
class Managed:
    """One credential of the config.

    Args:
        name: its name in the config.
        provider_name: the provider's name, for the audit log.
        provider: its cloud.
        targets: its integrations, in the config's order.
        texts: the user's text before the stamp, for integrations whose config sets one.
        policy: its times and limits.
        calendar: when it is due.
        named_key: the config's `current_key`.
        ways: what its calls go through.
        files: the files that rotator goes by for it now: the config, tokens, credentials, CAs.
    """

    name: str
    provider_name: str
    provider: Provider
    targets: tuple[Target, ...]
    texts: Mapping[str, str]
    policy: Policy
    calendar: Calendar
    named_key: str | None = None
    ways: Ways = frozenset()
    files: Callable[[], Collection[str]] = tuple

    def target(self, integration: str | None) -> Target:
        """The integration with this id."""
        return next(target for target in self.targets if target.id == integration)

    def description(self, state: State, integration: str | None, store_id: str) -> str | None:
        """What a push of the candidate writes there, the same at each repetition; None with `stamp: false`."""
        target = self.target(integration)
        if not target.stamped:
            return None
        text = self.texts.get(target.id)
        own = text if text is not None else strip(dict(state.texts_before).get(target.id))
        record = state.record(state.candidate)
        stamp = Stamp(store_id, state.generation, record.hint if record is not None else None)
        since = state.pushed_at or state.since
        if since is None:
            raise ValueError("a push has a time")
        return compose(own, stamp, since.date())

    def moment(
        self,
        state: State,
        seen: Observation,
        *,
        now: datetime,
        new_id: str,
        has_material: bool,
        quiescent: bool,
        frozen: bool,
        age: Age,
    ) -> Moment:
        """What this moment means for the credential. See `moment.moment_of`."""
        return moment_of(
            state,
            policy=self.policy,
            calendar=self.calendar,
            can=self.provider.abilities.capabilities,
            seen=seen,
            now=now,
            new_rotation_id=new_id,
            integrations=frozenset(target.id for target in self.targets),
            named_key=self.named_key,
            has_material=has_material,
            quiescent=quiescent,
            frozen=frozen,
            age=age,
        )

    def seeing(self, moment: Moment, state: State, seen: Observation) -> Moment:
        """The same moment, in the light of what was observed."""
        can = self.provider.abilities.capabilities
        return seeing(moment, state, policy=self.policy, calendar=self.calendar, can=can, seen=seen)

    def after_call(self, moment: Moment, state: State, now: datetime) -> Moment:
        """The moment at which the open call of `state` has ended."""
        return after_call(moment, state, policy=self.policy, calendar=self.calendar, now=now)

    def facts(self, state: State, seen: Observation, moment: Moment, store_id: str) -> Facts:
        """What an observation means for the credential. See `facts.look`."""
        blind = frozenset(target.id for target in self.targets if not target.stamped)
        worsened = worse(state.baseline, seen.dependents)
        return look(state, seen, moment, self.provider.abilities.capabilities, store_id, blind=blind, worse=worsened)
