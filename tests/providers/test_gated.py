"""What a provider of others may bring: each oddity costs one call, or one entry of a list, of one credential."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import SecretStr

from rotator.errors import CallFailed, Verdict
from rotator.http.gate import Gate
from rotator.material import Material
from rotator.model import Key, LastUse, Reply
from rotator.providers.base import AGES_AGO, Abilities, Draft, Listing, Minted, Right
from rotator.providers.gated import Gated

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
SOUND = Key("ak-1", NOW, mark="rotator 7f3a g1")
EARLY = timezone(-timedelta(hours=23, minutes=59))


class Odd:
    """A provider that gives what it was given."""

    identity = "odd:one"

    def __init__(self, listing: Callable[[], Listing], used: LastUse | None = None, minted: Key = SOUND) -> None:
        self._listing = listing
        self._used = used
        self._minted = minted

    @property
    def abilities(self) -> Abilities:
        return Abilities(slots=2, exact=True, tells_use=self)

    @property
    def use_resolution(self) -> timedelta:
        return timedelta(minutes=1)

    @property
    def use_lag(self) -> timedelta:
        return timedelta(hours=1)

    @property
    def use_is_certain(self) -> bool:
        return False

    def last_used(self, key_id: str) -> LastUse | None:
        assert key_id
        return self._used

    def list_keys(self) -> Listing:
        return self._listing()

    def draft(self, store_id: str, generation: int) -> Draft:
        return Draft(mark=f"rotator {store_id} g{generation}")

    def mint(self, draft: Draft) -> Minted:
        assert draft.mark
        return Minted(self._minted, Material(secret={"key": SecretStr("Zk3-the-new-secret")}), hint=None)

    def delete(self, key_id: str) -> Reply:
        return Reply(f"deleted {key_id}")

    def check(self) -> Sequence[Right]:
        return [Right("odd", holds=True)]


def gated(provider: Odd) -> Gated:
    return Gated(lambda: provider, Gate())


def listed(*keys: Key, cloud_time: datetime | None = NOW) -> Listing:
    return gated(Odd(lambda: Listing(keys, cloud_time))).list_keys()


@pytest.mark.parametrize("key_id", ["", "\ud800", "a\nb", "a\0b", "x" * 5000])
def test_an_id_that_is_none_is_left_out(key_id: str) -> None:
    assert listed(SOUND, replace(SOUND, key_id=key_id)).keys == (SOUND,)


@pytest.mark.parametrize("mark", ["", "\ud800", "a\x1b[31mb", "x" * 5000])
def test_a_mark_that_is_none_is_odd(mark: str) -> None:
    assert listed(replace(SOUND, mark=mark)).keys == (replace(SOUND, mark=None, odd="the mark"),)


@pytest.mark.parametrize(
    "at",
    [datetime(9999, 12, 31, 23, 59, 59, tzinfo=EARLY), datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)],
)
def test_a_time_that_no_cloud_can_mean_is_odd(at: datetime) -> None:
    [key] = listed(replace(SOUND, created_at=at, expires_at=at)).keys
    assert key == replace(SOUND, created_at=AGES_AGO, expires_at=None, odd="the time of creation")
    assert listed(SOUND, cloud_time=at).cloud_time is None


def test_another_zone_is_the_same_moment() -> None:
    there = NOW.astimezone(EARLY)
    listing = listed(replace(SOUND, created_at=there), cloud_time=there)
    assert (listing.cloud_time, listing.keys[0].created_at.tzinfo) == (NOW, UTC)


def broken(error: BaseException) -> Callable[[], Listing]:
    def raises() -> Listing:
        raise error

    return raises


@pytest.mark.parametrize(
    "read",
    [
        *(broken(error) for error in (OverflowError(), RecursionError(), UnicodeEncodeError("ascii", "", 0, 1, ""))),
        lambda: Listing((replace(SOUND, created_at=NOW.replace(tzinfo=None)),), NOW),
        lambda: None,
        lambda: Listing(None, NOW),  # type: ignore[arg-type]  # what an untyped plugin may give
    ],
)
def test_what_is_no_list_fails_the_call(read: Callable[[], Listing]) -> None:
    with pytest.raises(CallFailed) as caught:
        gated(Odd(read)).list_keys()
    assert caught.value.verdict is Verdict.UNKNOWN


def test_a_mint_without_a_readable_id_is_unknown() -> None:
    provider = gated(Odd(lambda: Listing((), NOW), minted=replace(SOUND, key_id="\ud800")))
    with pytest.raises(CallFailed) as caught:
        provider.mint(provider.draft("7f3a", 1))
    assert caught.value.verdict is Verdict.UNKNOWN


def test_a_use_at_no_time_fails_the_call() -> None:
    provider = gated(Odd(lambda: Listing((), NOW), used=LastUse(datetime(9999, 12, 31, tzinfo=UTC))))
    assert provider.abilities.tells_use is not None
    with pytest.raises(CallFailed):
        provider.abilities.tells_use.last_used("ak-1")


def test_what_it_can_do_is_as_the_provider_says() -> None:
    inner = Odd(lambda: Listing((), NOW))
    assert gated(inner).abilities.capabilities == inner.abilities.capabilities


@pytest.mark.parametrize(
    "key", [replace(SOUND, key_id="Zk3-the-new-secret"), replace(SOUND, mark="Zk3-the-new-secret")]
)
def test_a_list_whose_ids_or_marks_repeat_a_secret_is_not_believed(key: Key) -> None:
    provider = gated(Odd(lambda: Listing((SOUND, key), NOW)))
    provider.mint(provider.draft("7f3a", 1))
    with pytest.raises(CallFailed) as caught:
        provider.list_keys()
    assert (caught.value.verdict, caught.value.code) == (Verdict.UNKNOWN, "echo")
    assert "Zk3" not in str(caught.value)
