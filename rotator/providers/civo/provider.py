"""Civo: the one API key of an account, which the operator makes.

Facts from Civo's documentation and API reference: an account has one API key; no API makes or revokes it; `Regenerate`
in the dashboard makes the next one, which ends the one before at once.

So this provider only looks: a key is minted when the operator has put it into its place, and deleted once the next one
was made. Against the usual rule it remembers, in memory alone, the keys that it has read: a key can only be proved dead
by using it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from rotator.errors import CallFailed, Verdict
from rotator.material import Material
from rotator.model import Proof, Reply
from rotator.providers._shared import met, unmet
from rotator.providers.base import Abilities, Draft, Listing, Minted, Right, Tools
from rotator.providers.civo.place import Found, KeyPlace
from rotator.providers.civo.quota import PROOFS, KeyAccount, KeyRefused, Quota, Taken
from rotator.providers.civo.settings import CivoSettings


def open_provider(settings: CivoSettings, tools: Tools) -> CivoApiKey:
    """The provider for one account. No call is made, and the key isn't read yet.

    Args:
        settings: where the operator puts the key, and how Civo is reached.
        tools: the deadline, the clock and the HTTP clients are used.

    Raises:
        RotatorError: the CA file can't be used.
    """
    section = settings.civo
    quota = Quota(tools.http.trusting(section.ca_file), section.api_url, tools.deadline, tools.clock)
    return CivoApiKey(KeyPlace(section.api_key, tools.clock), section.account, quota, section.ca_file)


class CivoApiKey:
    """The API key of one account. Implements `base.Provider`.

    Args:
        place: where the operator puts the key.
        account: the e-mail address or the id of the account that each key must be of. None: the address of the first
            one that this process used a key of.
        quota: asks Civo.
        ca_file: what it trusts was read from there.
    """

    def __init__(self, place: KeyPlace, account: str | None, quota: Quota, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self._place = place
        self._account = account
        self._quota = quota
        self._lock = threading.Lock()
        self._first: str | None = None

    @property
    def abilities(self) -> Abilities:
        """The operator makes the keys. A key is its own mark."""
        files = () if self._ca_file is None else (self._ca_file,)
        return Abilities(slots=None, exact=True, proves=self, supplied=self, files=lambda: files)

    @property
    def identity(self) -> str:
        """`civo:account/ACCOUNT`, or the place of the key where the settings don't name the account."""
        return f"civo:{self._place.name}" if self._account is None else f"civo:account/{self._account.casefold()}"

    def list_keys(self) -> Listing:
        """The key in the place, if Civo takes it.

        Raises:
            CallFailed: also if Civo doesn't know it, or knows it as another account's.
        """
        found, answer = self._look_and_ask()
        self._must_be_ours(answer.account)
        return Listing((found.key,), answer.date)

    def draft(self, store_id: str, generation: int) -> Draft:  # noqa: ARG002  # the key itself is the mark
        """The key in its place.

        Raises:
            CallFailed: there is none.
        """
        return self.supplied_key()

    def supplied_key(self) -> Draft:
        """The key in its place. The same key has the same mark, after a restart too.

        Raises:
            CallFailed: there is none.
        """
        found = self._place.look()
        return Draft(found.key_id, found.material)

    def mint(self, draft: Draft) -> Minted:
        """See that the key is still in its place: nothing is created, and Civo is not asked.

        Raises:
            CallFailed: NOT_APPLIED, if it isn't.
        """
        found = self._place.look(Verdict.NOT_APPLIED)
        if found.key_id != draft.mark:
            raise CallFailed(
                f"the API key in {self._place.name} changed to {found.key_id} before the mint",
                verdict=Verdict.NOT_APPLIED,
                code="KeyReplaced",
            )
        return Minted(found.key, found.material, hint=None)

    def prove(self, material: Material) -> Proof:
        """Ask for the quota with the candidate, once. One that Civo refuses is given up when another lies in its place.

        Raises:
            CallFailed: also if it is another account's.
        """
        candidate = material.secret["apiKey"]
        answer = self._quota.ask_once(candidate)
        if isinstance(answer, KeyRefused):
            return PROOFS[answer.code] if self._place.look().value == candidate else Proof.DEAD
        self._must_be_ours(answer.account)
        return Proof.ALIVE

    def delete(self, key_id: str) -> Reply:
        """Let go of the key in the place, which is the operator's. Of any other, see that it is dead.

        What this process never read can't be asked about: Regenerate has ended it, without proof.

        Raises:
            CallFailed: also if the key still works.
        """
        if self._place.look(Verdict.NOT_APPLIED).key_id == key_id:
            return Reply()
        value = self._place.remembered(key_id)
        if value is None:
            return Reply()
        answer = self._quota.ask_once(value)
        if isinstance(answer, KeyRefused):
            self._place.forget(key_id)
            return Reply()
        raise CallFailed(
            f"the old key {key_id} still works for {answer.account}: the key was not regenerated",
            verdict=Verdict.REFUSED,
            code="StillAlive",
            permanent=True,
            remedy="Press Regenerate beside that key in Civo's dashboard. The dashboard shows one key for each account "
            "of an organisation.",
        )

    def check(self) -> Sequence[Right]:
        """Whether there is a key, Civo takes it, and it is the right account's."""
        known = f"Civo takes the API key in {self._place.name}"
        try:
            found, answer = self._look_and_ask()
        except CallFailed as failure:
            return (unmet(known, failure),)
        return met(f"{known}: {found.key_id}"), self._ownership(answer.account)

    def _look_and_ask(self) -> tuple[Found, Taken]:
        found = self._place.look()
        answer = self._quota.ask(found.value)
        if isinstance(answer, KeyRefused):
            raise CallFailed(
                f"Civo refuses the API key in {self._place.name} ({answer.code}): the key was regenerated, and "
                "the new key is not there yet",
                verdict=Verdict.REFUSED,
                code=answer.code,
                permanent=True,
                remedy=f"Put the new key into {self._place.name}. rotator looks again by itself.",
            )
        return found, answer

    def _ownership(self, account: KeyAccount) -> Right:
        if self._account is None:
            remedy = (
                f"Set `account: {account.email}` in the config. rotator then never pushes a key of another account."
            )
            return Right(f"the key's account, {account}, is the right one", None, remedy)
        ours = account.is_called(self._account)
        return Right(f"the key's account, {account}, is {self._account}", ours, "" if ours else self._right_account)

    def _must_be_ours(self, account: KeyAccount) -> None:
        with self._lock:
            expected = self._account or self._first
            if expected is None:
                self._first = account.email
        if expected is not None and not account.is_called(expected):
            raise CallFailed(
                f"the API key in {self._place.name} belongs to {account}, not to {expected}",
                verdict=Verdict.REFUSED,
                code="WrongAccount",
                permanent=True,
                remedy=self._right_account,
            )

    @property
    def _right_account(self) -> str:
        return f"Put the right account's key into {self._place.name}, or correct `account`. The key was not pushed."
