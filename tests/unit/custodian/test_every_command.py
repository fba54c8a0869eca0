"""Every command an officer can type: answers as JSON, says in both languages what follows, in the order of a day."""

from __future__ import annotations

import re
import string
import typing
from collections.abc import Iterator

import click
import pytest
import typer.main
from typer.testing import CliRunner

from firmware import custodian
from firmware.custody.languages import Language
from firmware.custody.office import acts, sentences
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.authority import ACTS, READS
from firmware.custody.office.sentences_ja import AFTERWARDS_JA, ASKING_JA

JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
TAGS = [str(kind.__struct_config__.tag) for kind in typing.get_args(AnyAct)]


def every_command() -> Iterator[tuple[str, click.Command]]:
    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        below_it: dict[str, click.Command] | None = getattr(command, "commands", None)
        if below_it is not None:
            for child, below in below_it.items():
                yield from walk(f"{name} {child}".strip(), below)
        else:
            yield name, command

    yield from walk("", typer.main.get_command(custodian.app))


COMMANDS = dict(every_command())


def options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts}


def test_there_are_the_commands_of_an_office() -> None:
    assert len(COMMANDS) > 45
    assert {"morning", "hold place", "case seal", "package", "erasure certificate", "audit verify"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_answers_as_json_and_says_what_it_does(name: str) -> None:
    command = COMMANDS[name]
    assert "--json" in options(command)
    assert (command.help or "").strip()
    assert [p.name for p in command.params if getattr(p, "help", "") is None] == []


@pytest.mark.parametrize("what", sorted(ACTS))
def test_every_act_says_in_both_languages_what_follows(what: str) -> None:
    english, japanese = sentences.AFTERWARDS[what], AFTERWARDS_JA[what]
    assert JAPANESE.search(japanese)
    assert not JAPANESE.search(english)
    assert english.endswith(".")
    assert japanese.endswith("。")
    assert fields(japanese) == fields(english)


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_sentences_and_no_more() -> None:
    assert set(AFTERWARDS_JA) == set(sentences.AFTERWARDS) == set(ACTS)
    assert {key: fields(text) for key, text in ASKING_JA.items()} == {
        key: fields(text) for key, text in sentences.ASKING.items()
    }


def test_what_cannot_be_undone_asks_for_a_word_that_stands_in_the_act() -> None:
    act = acts.HoldLifted(pole="sp03", utc="2026-11-23T00:00:00Z", by="manager", nonce="0" * 32, hold=4, reason="x")
    assert sentences.word_for(act) == "4"
    for language in Language:
        assert "4" in sentences.afterwards("hold.lifted", act, language)
        assert "4" in sentences.asking("word", language, word="4")


def test_every_acting_command_draws_up_an_act_that_has_a_sentence() -> None:
    """One flow makes all of them: whatever has --draw-up shows the sentence of its act and asks for its word."""
    acting = {name for name, command in COMMANDS.items() if "--draw-up" in options(command)}
    assert all("--yes" in options(COMMANDS[name]) for name in acting)
    assert len(acting) == len(TAGS) - len({"clock.stated"})  # time state signs at once, at the desk
    assert {name.split(":")[0] for name in sentences.AFTERWARDS} == set(TAGS)


def test_who_only_asks_stands_in_the_table_of_questions() -> None:
    assert {"morning", "hold list", "case bundle"} <= set(READS)


def test_the_help_follows_an_officers_day() -> None:
    shown = CliRunner().invoke(custodian.app, ["--help"], env={"COLUMNS": "120"}).stdout
    places = [shown.index(panel) for panel in (custodian.DAY, custodian.DESK, custodian.OFFICE, custodian.PROOF)]
    assert places == sorted(places)
    day = [shown.index(f"│ {name} ") for name in ("morning", "hold", "case", "time", "medium", "retrievals")]
    assert day == sorted(day)
