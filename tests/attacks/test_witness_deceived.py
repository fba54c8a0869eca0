"""A pole, its keeper or a broker tries to show a witness another past."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.growth import parse
from tests.parts.witnessed_pole import LedgerPole, Witness
from tests.signing import Ed25519Key
from tools.witness.archive import contradictions
from tools.witness.judge import Finding


@pytest.fixture
def pole(tmp_path: Path) -> LedgerPole:
    return LedgerPole(tmp_path / "pole")


@pytest.fixture
def witness(tmp_path: Path, pole: LedgerPole) -> Witness:
    return Witness(tmp_path / "witness", pole)


def evidence(witness: Witness) -> list[str]:
    return [path.name.split("-")[2] for path in witness.archive.evidence()]


async def test_a_history_rewritten_with_the_poles_own_key(pole: LedgerPole, witness: Witness) -> None:
    """Chains, checkpoint and proofs all redone by whoever has disk and key: the witness saw the other one."""
    witness.hear(*await pole.say(8))
    pole.rewrite(3, delay_ns=NS_PER_SECOND)
    same, _ = await pole.say()
    longer, growth = await pole.say(5)
    assert witness.hear(same, longer, growth) == [Finding.FORKED, Finding.WAITING, Finding.FORKED]
    assert witness.archive.sizes() == [8]
    assert [line for line in witness.lines if "ALARM forked" in line]
    assert evidence(witness) == ["forked.note", "forked.note"]
    assert witness.house.alarms == 2


async def test_a_proof_made_to_fit_is_no_proof(pole: LedgerPole, witness: Witness) -> None:
    """The forger copies the true proof's head and puts his own root under it, signed with the true key."""
    witness.hear(*await pole.say(8))
    fork = pole.fork(pole.folder.with_name("fork"))
    fork.rewrite(2, epoch=1)
    await fork.say()
    _, growth = await fork.say(6)
    true = parse((await pole.say(6))[1], where="")
    forged = parse(growth, where="")
    for proofs in (true.proofs, {8: ()}, {8: (bytes(32),) * 4}):
        text = type(forged)(proofs, forged.first_leaf, forged.leaves, forged.signed, forged.checkpoint).text()
        assert witness.hear(text) == [Finding.FORKED]
    assert witness.archive.sizes() == [8]


async def test_a_checkpoint_that_the_pole_denies_ever_to_have_signed(pole: LedgerPole, witness: Witness) -> None:
    """The forger publishes proofs between his own sizes only, so that there is nothing to check: that is the alarm."""
    witness.hear(*await pole.say(600))
    pole.rewrite(3, epoch=1)
    pole.write(1)
    await pole.say()
    assert witness.hear((await pole.say(5))[1]) == [Finding.DENIED]
    assert [state for state, _ in witness.house.standing(witness.clock)] == ["alarm"]
    assert witness.archive.sizes() == [600]
    assert witness.archive.prove_with(pole.folder / "ledger" / "lines.jsonl") is Finding.FORKED


async def test_lines_cut_from_the_end_and_signed_anew(pole: LedgerPole, witness: Witness) -> None:
    witness.hear(*await pole.say(4))
    short = pole.fork(pole.folder.with_name("short"))
    witness.hear(*await pole.say(4))
    assert witness.hear((await short.say(1, "c"))[1]) == [Finding.SHRUNKEN]
    assert evidence(witness) == ["shrunken.note"]


async def test_an_old_checkpoint_shown_again_changes_nothing_and_is_said(pole: LedgerPole, witness: Witness) -> None:
    old = await pole.say(4)
    witness.hear(*old)
    witness.hear(*await pole.say(4))
    assert witness.hear(*old) == [Finding.OLD, Finding.OLD]
    assert witness.lines[-1].startswith("old: ")
    assert (witness.archive.newest() or Ed25519Key()).size == 8  # type: ignore[union-attr]  # a checkpoint
    assert not evidence(witness)


async def test_frozen_at_an_old_checkpoint_is_silence(pole: LedgerPole, witness: Witness) -> None:
    old = await pole.say(4)
    witness.hear(*old)
    pole.clock.step(5 * 3600 * NS_PER_SECOND)
    witness.hear(*old)
    assert [state for state, _ in witness.house.standing(witness.clock)] == ["silent"]


async def test_another_key_under_the_poles_name(pole: LedgerPole, witness: Witness, tmp_path: Path) -> None:
    witness.hear(*await pole.say(4))
    imposter = LedgerPole(tmp_path / "imposter")
    imposter.key = Ed25519Key(pole.key.name, seed=9)
    imposter.ledger._signer = imposter.key
    assert witness.hear((await imposter.say(6))[1]) == [Finding.FALSE]
    assert evidence(witness) == ["false.note"]
    assert witness.archive.sizes() == [4]


async def test_two_histories_shown_to_two_witnesses(pole: LedgerPole, witness: Witness, tmp_path: Path) -> None:
    """Each sees a log that only grows; together they convict it, even where they never saw the same size."""
    other = Witness(tmp_path / "other", pole, "witness.example/two")
    start = await pole.say(4)
    witness.hear(*start)
    other.hear(*start)
    fork = pole.fork(tmp_path / "fork")
    assert witness.hear((await pole.say(3))[1], (await pole.say(3))[1]) == [Finding.GREW] * 2
    assert other.hear((await fork.say(3, "f"))[1]) == [Finding.GREW]
    assert contradictions(witness.archive, other.archive) == [(7, 7), (10, 7)]
    honest = Witness(tmp_path / "honest", pole, "witness.example/three")
    honest.hear(*await pole.say(1))
    assert contradictions(witness.archive, honest.archive) == []


async def test_two_histories_at_sizes_that_never_meet(pole: LedgerPole, witness: Witness, tmp_path: Path) -> None:
    other = Witness(tmp_path / "other", pole, "witness.example/two")
    start = await pole.say(4)
    fork = pole.fork(tmp_path / "fork")
    witness.hear(*start)
    other.hear(*start)
    await pole.say(3)  # nobody saw it, but the next one proves from it
    await fork.say(3, "f")
    other.hear((await fork.say(2, "f"))[1])  # 9
    await pole.say(2)  # 9
    witness.hear((await pole.say(1))[1])  # 10, proves from 9
    assert contradictions(witness.archive, other.archive) == [(10, 9)]


async def test_shouting_at_the_broker_does_not_fill_the_witnesss_disk(
    pole: LedgerPole, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.witness.archive._MOST_EVIDENCE", 3)
    checkpoint, _ = await pole.say(4)
    for number in range(2, 12):
        assert witness.hear(checkpoint.replace("\n4\n", f"\n{number}00\n")) == [Finding.FALSE]
    assert len(evidence(witness)) == 3
    assert witness.house.alarms == 10
