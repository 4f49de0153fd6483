"""Commands that look: they read the store beside its owner or without one, and show what is there as it is."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.attention import Hold, HoldReason
from rotator.audit.event import Event, EventName
from rotator.model import Asked, KeyRecord, Origin, Phase, State
from tests.support.desk import NAME, Desk

pytestmark = pytest.mark.realtime

OLD, NEW = "AKIAOLDOLDOLDOLDOLD1", "AKIANEWNEWNEWNEWNEW2"
NOW = datetime.now(UTC)
IDLE = State(
    phase=Phase.IDLE,
    generation=3,
    current=OLD,
    current_since=NOW - timedelta(days=3),
    confirmed_in=frozenset({NAME}),
    keys=(KeyRecord(OLD, Origin.MINTED, 3, hint="AKIA..OLD1", sent=True),),
)
HELD = State(
    phase=Phase.PUSHING,
    hold=Hold(HoldReason.STAMP_LOST, "the description of prod-aws doesn't tell"),
    generation=4,
    current=OLD,
    current_since=NOW - timedelta(days=3),
    candidate=NEW,
    texts_before=((NAME, "Ours [red]not markup[/red]"),),
    confirmed_in=frozenset({NAME}),
    keys=(*IDLE.keys, KeyRecord(NEW, Origin.MINTED, 4, hint="AKIA..NEW2", sent=True)),
)


def test_without_a_store_there_is_a_clear_line_and_still_no_store(desk: Desk) -> None:
    for command in (["status"], ["show", NAME], ["audit", "tail"]):
        done = desk.rotator(*command)
        assert (done.code, done.stdout) == (1, "")
        assert re.fullmatch(r"rotator: there is no store at \S+\n  -> .+\n", done.stderr)
    assert not desk.data.exists()


def test_status_tells_where_each_credential_stands_and_exits_4_where_a_person_must_act(desk: Desk) -> None:
    desk.config_file.write_text(desk.config(NAME, "never-seen", "old-key", policy={"window": "Mon 00:00-00:01 UTC"}))
    asked = Asked("asked for by a person")
    desk.arrange({NAME: IDLE, "gone": IDLE, "old-key": State(phase=Phase.IDLE, asked=asked)})

    fine = desk.rotator("status")
    assert fine.code == 0
    assert re.search(rf"^prod-aws +aws +idle +{OLD} +3d +in \d+d", fine.stdout, re.MULTILINE)
    assert "gone: not in the config" in fine.stdout
    assert "never-seen: never seen by the service" in fine.stdout
    assert "old-key: the window opens in" in fine.stdout
    assert "No rotator runs on this store" in fine.stdout

    desk.arrange({NAME: HELD, "old-key": IDLE_TOO_OLD})
    held = desk.rotator("status", "--json")
    assert held.code == 4
    shown = {one["credential"]: one for one in held.json()["credentials"]}
    assert shown[NAME]["held"]["reason"] == "stamp_lost"
    assert "docs/recovery.md#stamp_lost" in shown[NAME]["held"]["remedy"]
    assert (shown["old-key"]["overdue"], shown["gone"]["in_config"]) == (True, False)
    assert datetime.fromisoformat(shown[NAME]["due_at"]).tzinfo == UTC
    assert held.json()["store"]["owner_alive"] is False


def test_status_asks_a_person_for_the_key_that_only_a_person_can_make(desk: Desk) -> None:
    civo = {"name": "c", "provider": "civo", "integrations": ["c"], "civo": {"api_key": {"file": "/run/key"}}}
    desk.config_file.write_text(desk.config(credentials=[civo], policy={"window": "Mon 00:00-00:01 UTC"}))
    fresh = State(phase=Phase.IDLE, current="civo-1", current_since=NOW - timedelta(days=3))
    desk.arrange({"c": fresh})
    assert "a new key is due" not in desk.rotator("status").stdout
    for due in (replace(fresh, current_since=NOW - timedelta(days=31)), replace(fresh, asked=Asked("asked for"))):
        desk.arrange({"c": due})
        shown = desk.rotator("status").stdout
        assert "c: a new key is due, and only an operator can make it" in shown
        assert "window" not in shown


IDLE_TOO_OLD = State(phase=Phase.IDLE, current=OLD, current_since=NOW - timedelta(days=91))


def test_show_has_the_stamp_and_the_text_that_a_lost_stamp_is_mended_with(desk: Desk) -> None:
    desk.arrange({NAME: HELD})
    done = desk.rotator("show", NAME)
    assert done.code == 0
    assert re.search(rf"{NEW} ends its description with: \[rotator \w+ g4 AKIA\.\.NEW2 \d+-\d+-\d+\]", done.stdout)
    assert "Ours [red]not markup[/red]" in done.stdout
    assert f"{NEW}  minted  4           candidate" in done.stdout
    told = desk.rotator("show", NAME, "--json").json()
    stamps = {key["key_id"]: key["stamp"] for key in told["keys"]}
    assert stamps.keys() == {OLD, NEW}
    assert stamps[NEW] in done.stdout
    assert told["integrations"] == [{"integration": NAME, "holds": OLD, "before": "Ours [red]not markup[/red]"}]
    assert [event["event"] for event in told["timeline"]][-1] == "finding"

    unknown = desk.rotator("show", "nobody", "--json")
    assert (unknown.code, unknown.json()["error"]) == (2, "there is no credential nobody.")


def test_text_from_outside_drives_no_terminal_and_is_no_markup(desk: Desk) -> None:
    hostile = "\x1b[31mred\x1b[0m [bold]bold[/bold] [/] \u202eback\a :smile:"
    state = HELD.with_record(KeyRecord("[link=http://x]K[/link]\x1b]0;t\a", Origin.FOREIGN))
    held = State(phase=Phase.IDLE, hold=Hold(HoldReason.CLOCK, hostile), keys=state.keys)
    desk.arrange({NAME: held}, events=[Event(event=EventName.FINDING, credential=NAME, reason=hostile)])
    shown = "".join(desk.rotator(*command).stdout for command in (["status"], ["show", NAME], ["audit", "tail"]))
    assert "[bold]bold[/bold] [/]" in shown
    assert "[link=http://x]K[/link]" in shown
    assert ":smile:" in shown
    assert not [character for character in shown if unicodedata.category(character)[0] == "C" and character != "\n"]

    told = desk.rotator("status", "--json").json()
    assert told["credentials"][0]["held"]["detail"] == hostile


def test_audit_verify_names_the_first_bad_record_and_tail_repeats_the_file(desk: Desk) -> None:
    desk.arrange({NAME: IDLE})
    file = desk.data / "audit.jsonl"
    intact = desk.rotator("audit", "verify")
    assert (intact.code, intact.stdout.splitlines()) == (0, ["store: intact, 2 records", f"{file}: intact, 2 records"])
    assert desk.rotator("audit", "tail", "-n", "1", "--json").stdout == file.read_text().splitlines(keepends=True)[-1]

    moved = desk.data / "audit.jsonl.1"
    moved.write_text(file.read_text().replace("arranged", "arranged otherwise"))
    broken = desk.rotator("audit", "verify", str(moved), "--json")
    assert broken.code == 1
    store, current, rotated = broken.json()["walks"]
    assert (store["finding"], current["finding"]) == (None, None)
    assert rotated["finding"] == {"record": 2, "line": 2, "problem": "was changed: its hash is not that of its text"}
