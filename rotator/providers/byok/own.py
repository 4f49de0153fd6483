"""Which account rotator is in a cluster, and which account a token is."""

from __future__ import annotations

from functools import cached_property

from lightkube.core.client import Client
from lightkube.resources.authentication_v1 import SelfSubjectReview

from rotator.http.outside_text import outside_text
from rotator.providers._shared import own_identity
from rotator.providers.byok.api import Api, Visit


def username(visit: Visit) -> str:
    """Whose rights this visit uses, in the API server's words.

    Raises:
        CallFailed: it could not be asked, or refused.
    """

    def ask(client: Client) -> str:
        status = client.create(SelfSubjectReview()).status
        if status is None or status.userInfo is None or not status.userInfo.username:
            raise ValueError("the answer names no user")
        return outside_text(status.userInfo.username)

    return visit.ask("create selfsubjectreviews", ask)


class OwnAccount:
    """Rotator's own. Asked for once: a renewed token or certificate names the same account."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @cached_property
    def username(self) -> str:
        """As the API server calls it.

        Raises:
            CallFailed: as the function `username`.
        """
        return username(self._api.visit())

    def differs_from(self, account: str) -> None:
        """Make sure that rotator isn't this account.

        Raises:
            CallFailed: it is, or the cluster did not say.
        """
        if self.username == account:
            raise own_identity(
                account,
                "Give rotator an account of its own; `rotator policy NAME` prints the Role that rotator needs.",
                danger="it would revoke its own token",
            )
