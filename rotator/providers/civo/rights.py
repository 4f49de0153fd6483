"""What a Civo account must allow rotator: nothing. And what its owner does instead."""

from __future__ import annotations

from rotator.providers.civo.settings import CivoSettings


def rights(settings: CivoSettings) -> str:
    """What an operator does, and what rotator does then."""
    account = settings.civo.account or "the account"
    return f"""\
Civo has no rights to grant: an account has one API key, which may do everything, and no API makes or revokes it.
rotator has no identity of its own there. It uses the key itself, for one thing: GET /v2/quota.

When `rotator status` says that a new key is due:
  1. https://dashboard.civo.com/security: Regenerate the API key of {account}. The old one is dead at once.
  2. Put the new key, and nothing else, into {settings.civo.api_key.place}.
rotator sees it within the policy's `watch`, proves it, pushes it, confirms it, and proves that the old one is dead.
From 1 until the push Northflank can't reach Civo: have everything ready, and do both in one go.
"""
