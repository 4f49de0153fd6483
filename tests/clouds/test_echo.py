"""P4: a cloud that repeats every secret of rotator's, in every field of every answer, gets none written down."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from urllib.parse import quote

import pytest

from rotator.errors import CallFailed
from rotator.material import Material
from rotator.model import Phase
from tests.chaos.canary import encodings, leaks
from tests.clouds.clouds import MINTING, SUPPLIED, Cloud, Kind
from tests.clouds.echoes import ECHOES, northflank
from tests.clouds.rig import Rig
from tests.providers.contract import everything_in

FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "url": lambda text: quote(text, safe=""),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}

DIFFERENT: frozenset[Kind] = frozenset({"disable", "delete"})


def named(cloud: Cloud) -> str:
    return cloud.name


def own_secrets(rig: Rig) -> set[str]:
    """Rotator's own: what its providers sign with, and Northflank's token."""
    own = {secret.get_secret_value() for secret in rig.managed().provider.abilities.own_secrets()}
    return own | {rig.stage.token_file.read_text().strip()}


def candidate(rig: Rig) -> Material:
    """What rotator's memory, and nothing else, holds of the new key."""
    held = vars(rig.engine)["_memory"].peek(rig.managed().provider.identity).candidate(rig.state.generation)
    material: Material = held.material
    return material


def secrets_of(material: Material) -> set[str]:
    return {secret.get_secret_value() for secret in material.guarded}


def found(secrets: set[str], *texts: str) -> set[str]:
    return {secret for secret in secrets for form in encodings(secret) for text in texts if form.decode() in text}


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, logger="rotator")
    return caplog


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("cloud", [*MINTING, *SUPPLIED], ids=named)
def test_no_failure_of_any_operation_repeats_one(
    rig: Rig, form: Callable[[str], str], logged: pytest.LogCaptureFixture
) -> None:
    rig.adopt()
    provider = rig.managed().provider
    able = provider.abilities
    if able.supplied is None:
        minted = provider.mint(provider.draft("7f3a", 7))
        material, key_id = minted.material, minted.key.key_id
    else:
        supplied = able.supplied.supplied_key()
        assert supplied.material is not None
        material, key_id = supplied.material, str(supplied.mark)
    secrets = secrets_of(material) | own_secrets(rig)
    operations: dict[Kind, Callable[[], object]] = {"list": provider.list_keys}
    if able.supplied is None:
        operations["create"] = lambda: provider.mint(provider.draft("7f3a", 8))
        operations["delete"] = lambda: provider.delete(key_id)
    if able.proves is not None:
        proves = able.proves
        operations["prove"] = lambda: proves.prove(material)
    if able.disables is not None:
        disables = able.disables
        operations["disable"] = lambda: disables.disable(key_id)
    for kind, operation in operations.items():
        for secret in sorted(secrets):
            rig.heal()
            rig.spoil(kind, ECHOES[rig.cloud.name][kind](form(secret)), times=None)
            with pytest.raises(CallFailed) as caught:
                operation()
            assert not found(secrets, everything_in(caught.value)), (kind, str(caught.value))
            rights = [f"{right.name} {right.remedy}" for right in provider.check()]
            assert not found(secrets, *rights), (kind, rights)
    rig.heal()
    assert not found(secrets, logged.text)
    rig.by_people.update({kind: rig.asked(kind) for kind in operations})
    if able.supplied is None:
        rig.delete(key_id)


@pytest.mark.parametrize("cloud", [*MINTING, *SUPPLIED], ids=named)
def test_a_rotation_whose_answers_repeat_them_writes_none_down(
    rig: Rig, logged: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    rig.adopt()
    repeat(rig, "list", own_secrets(rig))
    rig.begin()
    secrets = own_secrets(rig)
    if not rig.can.supplied:
        repeat(rig, "create", secrets)
        rig.heal()
        rig.to(Phase.PROVING)
        secrets |= secrets_of(candidate(rig))
        repeat(rig, "prove", secrets)
    for secret in secrets:
        rig.spoil_push(northflank(secret))
        go_on(rig)
    rig.heal()
    for kind in DIFFERENT & rig.cloud.requests.keys():
        repeat(rig, kind, secrets)
    go_on(rig)
    rig.heal()
    rig.finish()
    assert not leaks(secrets, rig.stage.store_file.parent.iterdir())
    traced = capsys.readouterr().out
    assert all(event in traced for event in ("look", "decision", "call")), "rotator's own debug log was heard"
    assert not found(secrets, logged.text, traced)
    assert any("withheld" in event.get("reason", "") for event in rig.events())


def repeat(rig: Rig, kind: Kind, secrets: set[str]) -> None:
    """One answer after the other to this kind of request repeats a secret."""
    for secret in sorted(secrets):
        rig.spoil(kind, ECHOES[rig.cloud.name][kind](secret))
        go_on(rig)
        rig.heal()


def go_on(rig: Rig) -> None:
    """A tick, and what an operator does where it ends in a hold."""
    rig.tick()
    if rig.state.hold is not None:
        assert rig.ask("resume").accepted
