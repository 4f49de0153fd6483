"""The config that `rotator init` writes can be loaded, whatever Northflank shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rotator.cli.init import draft
from rotator.config.kinds import CLASSES, PLUGIN
from rotator.config.load import load
from rotator.config.models import Config, ConnectionSection
from rotator.northflank.answers import Item, item
from rotator.providers.registry import BUILT_IN
from rotator.settings.secret import SecretRef

CONNECTION = ConnectionSection(token=SecretRef(env="NORTHFLANK_API_TOKEN"))
KNOWN = sorted(CLASSES.keys() - {PLUGIN})
SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[2] / "config/rotator.schema.json").read_text()))


def loaded(items: Sequence[Item], connection: ConnectionSection = CONNECTION) -> Config:
    """The draft for these integrations, through the front door."""
    text = draft(connection, items).text
    SCHEMA.validate(yaml.safe_load(text))
    with TemporaryDirectory() as directory:
        path = Path(directory, "rotator.yaml")
        path.write_text(text, encoding="utf-8")
        return load(path, {})


def of(tag: str, name: str) -> Item:
    provider, _, mode = tag.partition(" ")
    return Item(name, name.title(), provider, None, mode=mode or None, project="my-project")


@pytest.mark.parametrize("tag", KNOWN)
def test_every_provider_and_mode_has_an_entry_and_two_of_a_kind_are_two(tag: str) -> None:
    config = loaded([of(tag, "one"), of(tag, "two")])
    assert [type(section) for section in config.credentials] == [CLASSES[tag]] * 2
    assert [section.integrations[0].id for section in config.credentials] == ["one", "two"]


@pytest.mark.parametrize("tag", KNOWN)
def test_what_has_to_be_replaced_is_marked(tag: str) -> None:
    """All that isn't Northflank's word, and no default: two drafts differ in it, or it is the same for everybody."""
    text = draft(CONNECTION, [of(tag, "one")]).text
    entry = text.partition("credentials:\n")[2]
    made_up = [line for line in entry.splitlines() if "todo" in line or "00000000" in line or "/run/secrets" in line]
    assert made_up
    assert [line for line in made_up if "TODO" not in line] == []


def test_one_service_account_of_several_integrations_is_one_credential() -> None:
    address = "northflank@my-project.iam.gserviceaccount.com"
    keyed = [Item(name, name, "gcp", None, mode="accessKey", service_account=address) for name in ("a", "b")]
    keyless = Item("c", "c", "gcp", None, mode="crossAccountRole", service_account=address)
    first, second = loaded([*keyed, keyless]).credentials
    assert ([each.id for each in first.integrations], first.keyless) == (["a", "b"], False)
    assert ([each.id for each in second.integrations], second.keyless) == (["c"], True)
    assert "TODO" not in draft(CONNECTION, [keyless]).text.partition("credentials:")[2], "all of it is known"


def test_the_connection_is_the_one_that_was_used() -> None:
    used = ConnectionSection(api_url="https://127.0.0.1:8443", token=SecretRef(file="/run/secrets/nf"), team="true")
    assert loaded([of("aws", "a")], used).northflank == {"default": used}


def test_what_can_not_be_rotated_is_listed_and_nothing_else() -> None:
    items = [Item("cdn", "Our CDN", "cloudflare", None), Item("no/such id", "", "aws", None), of("civo", "civo")]
    made = draft(CONNECTION, items)
    assert (made.credentials, [each.id for each in made.left]) == (1, ["cdn", "no/such id"])
    assert "#   cdn (Our CDN): cloudflare\n#   no/such id (no/such id): aws\n" in made.text


words = st.text(max_size=70) | st.sampled_from(
    [
        "true",
        "no",
        "null",
        "1e3",
        "0E0",
        "1_000",
        "0x1f",
        "2026-11-23",
        "-",
        "--",
        "A_b",
        "a-b",
        "a_b",
        "x" * 70,
        "# no",
        "a: b",
        "{a}",
        "*a",
    ]
)
shown = st.fixed_dictionaries(
    {"id": words, "name": words, "provider": st.sampled_from(BUILT_IN) | words},
    optional={
        name: st.fixed_dictionaries(
            {},
            optional={
                "authenticationMode": st.sampled_from(["accessKey", "crossAccountRole"]) | words,
                "projectId": words,
                "serviceAccountEmail": words | st.just("northflank@p.iam.gserviceaccount.com"),
            },
        )
        for name in ("aws", "gcp")
    },
)


@given(st.lists(shown, max_size=6, unique_by=lambda each: item(each) and item(each).id))  # type: ignore[union-attr]  # ruled out by `and`
@settings(deadline=None, max_examples=60)
@example([{"id": each, "name": "\u2028", "provider": "aws"} for each in ("a-b", "A-B", "a_b", "a-b-2", "-", "--")])
def test_whatever_northflank_shows_the_draft_can_be_loaded(said: list[dict[str, object]]) -> None:
    items = [each for each in map(item, said) if each is not None]
    made = draft(CONNECTION, items)
    if made.credentials:
        config = loaded(items)
        fed = [integration.id for section in config.credentials for integration in section.integrations]
        assert sorted(fed + [each.id for each in made.left]) == sorted(each.id for each in items)
