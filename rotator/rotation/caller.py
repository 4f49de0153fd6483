"""The calls of a rotation, each within its deadline: a change only as the owner, once the sinks have its intent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import structlog

from rotator.errors import AuditError, CallFailed, StoreError, Verdict
from rotator.model import Call, Change, Outcome, State
from rotator.providers.base import Disables, Draft
from rotator.rotation import trace
from rotator.rotation.deadline import Watch
from rotator.rotation.live import Live
from rotator.rotation.managed import Managed
from rotator.rotation.pulse import Pulse
from rotator.rotation.step import described
from rotator.store.journal import Journal

Value = TypeVar("Value")

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("rotator.engine")


class Caller:
    """Makes the calls. Thread-safe.

    Args:
        journal: proves ownership, and that the required sinks have the intent.
        pulse: beats before and after each call.
        threads: so many calls at a time.
    """

    def __init__(self, journal: Journal, pulse: Pulse, *, threads: int) -> None:
        self._journal = journal
        self._pulse = pulse
        self._watch = Watch(threads=threads)
        self._draining = threading.Event()

    def drain(self) -> None:
        """Begin no new change."""
        self._draining.set()

    @property
    def draining(self) -> bool:
        """No new change is begun."""
        return self._draining.is_set()

    def close(self) -> None:
        """Make no more calls; those under way are not waited for."""
        self._watch.close()

    def call(self, managed: Managed, live: Live, what: str, make: Callable[[], Value]) -> Value:
        """What the call gives, if it does so within half of `settle`. Raises CallFailed."""
        self._pulse.beat()
        try:
            with trace.call(managed.name, what, self._pulse.now):
                return self._watch.call(make, managed.policy.settle / 2, live.given_up)
        finally:
            self._pulse.beat()

    def change(self, managed: Managed, live: Live, state: State, draft: Draft) -> Outcome:
        """The outcome of the call whose intent is in the journal. Fails closed where the audit log hasn't got it.

        Args:
            managed: the credential.
            live: holds the material of a push, and takes that of a mint.
            state: the journal's row, with the call in it.
            draft: of a mint.

        Raises:
            StoreError: ownership could not be proved; nothing was sent.
            StaleFence: another process owns the store. Nothing was sent, and the outcome is that process's to find.
        """
        try:
            self._journal.flush(required_only=True)
        except AuditError as error:
            return Outcome(Verdict.NOT_APPLIED, code="audit", message=error.message, withheld=True)
        if self.draining:
            stopping = "rotator is stopping; nothing was sent"
            return Outcome(Verdict.NOT_APPLIED, code="stopping", message=stopping, withheld=True)
        try:
            return self._make(managed, live, state, draft)
        except StoreError:
            raise
        except CallFailed as failure:
            return Outcome(
                failure.verdict,
                code=failure.code,
                message=told_of(failure),
                request_id=failure.request_id,
                permanent=failure.permanent,
                slots_full=failure.slots_full,
                retry_after=failure.retry_after,
            )
        except Exception as bug:  # noqa: BLE001  # whatever broke, the call may have been made: only a look can show it
            log.error("a call broke in an unforeseen way", credential=managed.name, error=type(bug).__name__)
            return Outcome(Verdict.UNKNOWN, code=type(bug).__name__, message="the call broke in an unforeseen way")

    def _make(self, managed: Managed, live: Live, state: State, draft: Draft) -> Outcome:
        candidate = live.candidate(state.generation)
        what = described(state.call) if state.call is not None else "nothing"
        owned = partial(self._as_owner, managed, live, what)
        match state.call:
            case Call(Change.CREATE):
                minted = owned(lambda: managed.provider.mint(draft))
                live.take(minted.material, state.generation)
                return Outcome(Verdict.DONE, key=minted.key, hint=minted.hint, request_id=minted.request_id)
            case Call(Change.PUSH, integration=str(integration)) if candidate is not None:
                target = managed.target(integration)
                description = managed.description(state, integration, self._journal.store_id)
                reply = owned(lambda: target.push(candidate.material, description=description))
            case Call(Change.DISABLE, key_id=str(key_id)):
                reply = owned(partial(_disables(managed).disable, key_id))
            case Call(Change.ENABLE, key_id=str(key_id)):
                reply = owned(partial(_disables(managed).enable, key_id))
            case Call(Change.DELETE, key_id=str(key_id)):
                reply = owned(lambda: managed.provider.delete(key_id))
            case _:
                raise ValueError(f"{state.call} can't be made")
        return Outcome(Verdict.DONE, request_id=reply.request_id)

    def _as_owner(self, managed: Managed, live: Live, what: str, make: Callable[[], Value]) -> Value:
        """Ownership is proved on the call's own thread: the wait for a free one can be long."""

        def owned() -> Value:
            self._journal.guard()
            return make()

        return self.call(managed, live, what, owned)


def told_of(failure: CallFailed) -> str:
    """What happened and what the operator can do, as one line."""
    return f"{failure.message}. {failure.remedy}" if failure.remedy else failure.message


def _disables(managed: Managed) -> Disables:
    able = managed.provider.abilities.disables
    if able is None:
        raise CallFailed(
            f"{managed.provider_name} can neither disable nor enable a key",
            verdict=Verdict.REFUSED,
            code="Unsupported",
            permanent=True,
            remedy="Enable the key in the cloud's own console, or delete it there.",
        )
    return able
