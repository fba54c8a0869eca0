"""The mint: real pairs from a real jail; no private half leaves it but encrypted to both groups."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import pyrage
import pytest

from firmware import mint
from firmware.drivers import mint_process
from firmware.drivers.jail import Jailed
from firmware.drivers.mint_process import MintProcess
from firmware.footage.settings import Officers
from firmware.ground.clock import MinuteNumber, SystemClock
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from tests.parts.footage_parts import Silence, recipient_and_key

PRIVATE = re.compile(rb"AGE-SECRET-KEY", re.IGNORECASE)


def process(officers: Officers, log: Log | None = None) -> MintProcess:
    return MintProcess(officers, profile="bench", clock=SystemClock(), log=log or Log(Silence()))


async def test_pairs_open_with_both_groups_and_with_nothing_less(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[bytes] = []
    children: list[Jailed] = []
    ask = Jailed.ask

    async def listen(child: Jailed, *arguments: object, **options: object) -> bytes:
        answer = await ask(child, *arguments, **options)  # type: ignore[arg-type]  # passed on as they came
        answers.append(answer)
        children.append(child)
        return answer

    monkeypatch.setattr(Jailed, "ask", listen)
    (a1, a1_key), (a2, a2_key), (b1, b1_key), (_, stranger) = (recipient_and_key() for _ in range(4))
    made = await process(Officers(a=(a1, a2), b=(b1,))).make(MinuteNumber(29_923_200), 45)
    assert [entry.epoch for entry in made] == list(range(29_923_200, 29_923_245))
    assert len({entry.recipient for entry in made}) == 45
    for entry in made[:5]:
        for of_a in (a1_key, a2_key):  # any one officer of a group
            identity = pyrage.decrypt(pyrage.decrypt(entry.sealed_identity, [of_a]), [b1_key]).decode()
            assert str(pyrage.x25519.Identity.from_str(identity).to_public()) == entry.recipient
        for alone in ([b1_key], [stranger], [b1_key, stranger]):
            with pytest.raises(pyrage.DecryptError):
                pyrage.decrypt(entry.sealed_identity, alone)
        inner = pyrage.decrypt(entry.sealed_identity, [a1_key, a2_key])
        assert not PRIVATE.search(inner)
        with pytest.raises(pyrage.DecryptError):
            pyrage.decrypt(inner, [a1_key, a2_key])
    assert len(answers) > 1
    for answer in answers:  # what left the mint, as text and behind its base64
        texts = [base64.b64decode(json.loads(line)["sealed_identity"]) for line in answer.split(b"\n")]
        assert not any(PRIVATE.search(text) for text in (answer, *texts))
    assert not any(child.alive for child in children)  # it has ended


async def test_the_mint_runs_behind_every_wall_there_is() -> None:
    sink = Silence()
    await process(Officers(a=(recipient_and_key()[0],)), Log(sink)).make(MinuteNumber(1), 1)
    assert not any("wall_missing" in line for line in sink.lines)


async def test_on_a_bench_one_group_alone_is_possible() -> None:
    recipient, key = recipient_and_key()
    (made,) = await process(Officers(a=(recipient,))).make(MinuteNumber(5), 1)
    assert PRIVATE.match(pyrage.decrypt(made.sealed_identity, [key]))


async def test_a_recipient_that_is_none_ends_it_with_a_remedy() -> None:
    spoiled = "age1" + "q" * 58  # the pattern of a recipient, but no checksum
    with pytest.raises(KeystoreError, match="E-KEY-MINT") as raised:
        await process(Officers(a=(spoiled,))).make(MinuteNumber(1), 1)
    assert "footage.toml" in raised.value.todo


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b'{"epoch":7,"recipient":"age1x","sealed_identity":""}',
        b'{"epoch":8,"recipient":"age1' + b"q" * 58 + b'","sealed_identity":"YWdl"}',
        json.dumps(
            {
                "epoch": 7,
                "recipient": "age1" + "q" * 58,
                "sealed_identity": base64.b64encode(b"AGE-SECRET-KEY-1").decode(),
            }
        ).encode(),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused_and_not_shown(answer: bytes) -> None:
    with pytest.raises(KeystoreError, match="E-KEY-MINT") as raised:
        mint_process._read(answer, MinuteNumber(7), 1)
    assert "SECRET" not in str(raised.value)


def test_the_program_refuses_nonsense() -> None:
    for request in (b"{}", b"x", b'{"first_epoch":1,"count":0}', b'{"first_epoch":1,"count":61}'):
        with pytest.raises((ValueError, KeyError)):
            mint.answer(request, [[], []])


async def test_two_mints_at_once_do_not_disturb_each_other() -> None:
    officers = Officers(a=(recipient_and_key()[0],))
    first, second = await asyncio.gather(
        process(officers).make(MinuteNumber(1), 3), process(officers).make(MinuteNumber(1), 3)
    )
    assert {entry.recipient for entry in first}.isdisjoint(entry.recipient for entry in second)
