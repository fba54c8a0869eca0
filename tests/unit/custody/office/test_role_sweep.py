"""Who may do what: the whole table, compared with the one people read; and what must hold whatever it says."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from firmware.custody.office import acts, sentences
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.authority import ACTS, LINES, READS, Line
from firmware.custody.office.fields import Role
from firmware.ground.ledger_office import OFFICE_EVENTS, ROLES
from tests.parts import role_sweep
from tests.parts.role_sweep import Answer

TABLE = Path(__file__).with_name("role_sweep.md")
TAGS = {kind.__struct_config__.tag: kind for kind in typing.get_args(AnyAct)}
OUTSIDE = {role for role, line in LINES.items() if line is not Line.FOOTAGE}


@cache
def answers() -> tuple[Answer, ...]:
    return tuple(answer for what in role_sweep.names() for answer in everything(what))


def everything(what: str) -> Iterator[Answer]:
    yield from role_sweep.alone(what)
    yield from role_sweep.together(what)


def test_the_table_is_what_the_rules_say() -> None:
    """Where it differs: run tools/role-sweep and read what changed; whoever may do more, may by a decision."""
    assert TABLE.read_text("utf-8").splitlines() == role_sweep.table().splitlines()


def test_the_sweep_tries_every_act_and_each_is_possible_for_somebody() -> None:
    done = {answer.what for answer in answers() if answer.told == "yes"}
    assert done == set(role_sweep.names())
    assert {role_sweep.rule_of(name) for name in role_sweep.names()} == set(ACTS)
    assert len(answers()) > 10_000


def test_nobody_outside_the_footage_line_does_anything_here() -> None:
    """5.1(1): the flow line, auditors and maintainers sign no act of this line, not even as the second."""
    strangers = {*map(str, OUTSIDE), *(f"{role}-2" for role in OUTSIDE), "former", "former-2", "nobody", "nobody-2"}
    founding = "officers.founded"
    done = [a for a in answers() if a.told == "yes" and strangers & set(a.signers) and a.what != founding]
    assert done == []


def test_alone_nobody_does_what_needs_two() -> None:
    for answer in answers():
        if answer.told == "yes":
            assert len(answer.signers) == len(ACTS[role_sweep.rule_of(answer.what)].needs), answer


def test_no_officer_alone_comes_nearer_to_a_release() -> None:
    """Whoever approves is made by two; a release needs both decisions, and neither role has both."""
    both = (frozenset({Role.CHIEF}), frozenset({Role.MANAGER}))
    for what in ("officers.founded", "role.granted:decider", "role.revoked:decider"):
        assert ACTS[what].needs == both
    sealed = [a for a in answers() if a.what == "case.sealed" and a.told == "yes"]
    assert {a.state for a in sealed} == {"scoped, approved by chief and manager"}


def test_who_only_asks() -> None:
    for what, rule in READS.items():
        (roles,) = rule.needs
        if what != "officer list":
            assert not roles & {Role.FLOW_MANAGER, Role.MAINTAINER}, what


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_every_act_is_in_every_table(tag: str) -> None:
    assert any(name.partition(":")[0] == tag for name in ACTS)
    assert tag in OFFICE_EVENTS
    assert acts.__dict__[TAGS[tag].__name__] is TAGS[tag]


def test_nothing_is_in_a_table_that_is_no_act() -> None:
    assert {name.partition(":")[0] for name in ACTS} == set(TAGS)
    assert set(OFFICE_EVENTS) == set(TAGS)
    assert set(sentences.AFTERWARDS) == set(ACTS)
    assert set(sentences._WORDS) <= set(TAGS)
    assert {str(role) for role in Role} == ROLES


@pytest.mark.parametrize("what", role_sweep.names())
def test_every_sentence_can_be_said(what: str) -> None:
    scene = role_sweep.founded()
    act = role_sweep.attempt(what, scene, "manager")
    said = sentences.afterwards(role_sweep.rule_of(what), act)
    assert said.endswith((".", "bring it back."))
    assert "{" not in said
    word = sentences.word_for(act)
    assert word is None or word in acts.decode(act.encoded()).encoded().decode()
