"""What the cloud's evidence says of the use of keys: by whom, since when, and what its silence is worth. Pure.

Every cloud shows the latest use only, by the beginning of its grain (a minute, a day), and some time late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.model import Capabilities, LastUse, Observation, State
from rotator.policy import Policy
from rotator.rotation.clocks import Clocks

_DATE_GRAIN = timedelta(seconds=1)
"""The last proof was just before the first push, whose date has no fractions."""


def used_by_another(use: LastUse | None, pushed_at: datetime | None) -> bool:
    """A key was used by another than rotator, which used it only to prove it before its first push.

    The cloud shows the beginning of the grain in which the use was: with a grain of a day, the day of the push proves
    nothing, and the next one does.

    Args:
        use: the latest use, as the cloud shows it.
        pushed_at: when the key's first push was about to be sent, by the vendor's clock; None for a key that was there
            before rotator, which never used it.
    """
    return use is not None and (pushed_at is None or use.at > pushed_at + _DATE_GRAIN)


def noted(state: State, seen: Observation) -> State:
    """The journal remembers that the cloud has said when keys were used: a later refusal to say is no silence."""
    if not seen.last_used or state.rotation is None or state.rotation.use_told:
        return state
    return replace(state, rotation=replace(state.rotation, use_told=True))


@dataclass(frozen=True, slots=True)
class Use:
    """The use of the old keys and of the current one, as of one look.

    Args:
        state: the journal's row.
        policy: its times.
        can: what the cloud can show.
        seen: what this look showed.
        clocks: both, now.
    """

    state: State
    policy: Policy
    can: Capabilities
    seen: Observation
    clocks: Clocks

    def silent_for(self, wait: timedelta) -> bool:
        """Every old key that is left has been silent for so long since the push, as far as the cloud shows use.

        Silence is only known once the evidence's own lag has passed as well; beyond `max_grace` nothing is waited for.
        """
        if not self.can.has_evidence:
            return True
        if self.seen.use_untold is not None:
            return not self._told_before
        since = self.state.since or self.clocks.now
        if self.clocks.now < since + wait:
            return not self._left()
        known = wait + min(self.can.use_lag, max(self.policy.max_grace - wait, timedelta(0)))
        return all(
            key_id in self._last_used and self._vendor_now >= self._last_sign(key_id) + known for key_id in self._left()
        )

    def before_the_push(self) -> bool:
        """An old key was, or may have been, used in the `max_grace` before the push: its user must show up again.

        A use is only known not to have been once the evidence's own lag has passed since the push.
        """
        if not self.can.has_evidence:
            return False
        if self.seen.use_untold is not None:
            return self._told_before
        left = self._left()
        if any(key_id not in self._last_used for key_id in left):
            return True
        begin = self._pushed - self.policy.max_grace - self.can.use_resolution
        if any(self._was_used(key_id, begin) for key_id in left):
            return True
        lag = min(self.can.use_lag, self.policy.max_grace)
        return bool(left) and self._vendor_now < self._pushed + lag

    def taken_up(self) -> bool:
        """The current key was used by another than rotator since its first push."""
        return used_by_another(self._last_used.get(self.state.current or ""), self._pushed)

    @property
    def _last_used(self) -> Mapping[str, LastUse | None]:
        return dict(self.seen.last_used)

    @property
    def _vendor_now(self) -> datetime:
        return self.clocks.vendor_now or self.clocks.now

    @property
    def _pushed(self) -> datetime:
        """When the first push of the current key was about to be sent, by the vendor's clock."""
        record = self.state.record(self.state.current)
        pushed = record.pushed_at if record is not None else None
        return pushed or self.state.current_since or self._vendor_now

    @property
    def _told_before(self) -> bool:
        """Evidence that was there and is refused now: what it would say is not known."""
        return self.state.rotation is not None and self.state.rotation.use_told

    def _was_used(self, key_id: str, begin: datetime) -> bool:
        """By another than rotator, which proved it before its own first push."""
        use, record = self._last_used[key_id], self.state.record(key_id)
        pushed_at = record.pushed_at if record is not None else None
        return use is not None and use.at >= begin and used_by_another(use, pushed_at)

    def _last_sign(self, key_id: str) -> datetime:
        use = self._last_used.get(key_id)
        pushed = self.state.current_since or self._vendor_now
        return pushed if use is None else max(pushed, use.at)

    def _left(self) -> tuple[str, ...]:
        """The old keys that could still be used: the cloud lists them as enabled, or was not asked."""
        listed = {key.key_id for key in self.seen.keys or () if key.enabled}
        return tuple(key_id for key_id in self.state.to_revoke if self.seen.keys is None or key_id in listed)
