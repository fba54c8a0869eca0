"""What an outside witness keeps, cosigns, and shouts about."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.custody.keys.witness_key import WitnessKey
from firmware.ground import note
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.errors import KeystoreError, LedgerError
from firmware.ground.growth import MARKS
from tests.parts.witnessed_pole import LedgerPole, Witness
from tools.witness.judge import Finding
from tools.witness.key import WitnessSigner

SPEC_NOTE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


@pytest.fixture
def pole(tmp_path: Path) -> LedgerPole:
    return LedgerPole(tmp_path / "pole")


@pytest.fixture
def witness(tmp_path: Path, pole: LedgerPole) -> Witness:
    return Witness(tmp_path / "witness", pole)


async def test_each_checkpoint_is_kept_and_cosigned_once(pole: LedgerPole, witness: Witness) -> None:
    first, growth = await pole.say(3)
    assert witness.hear(growth, first, growth, first) == [Finding.FIRST, Finding.KNOWN, Finding.KNOWN, Finding.KNOWN]
    second, growth = await pole.say(4)
    assert witness.hear(growth, second) == [Finding.GREW, Finding.KNOWN]
    assert witness.archive.sizes() == [3, 7]
    before = sorted((path, path.read_bytes()) for path in witness.folder.rglob("*") if path.is_file())
    assert witness.hear(growth, second) == [Finding.KNOWN] * 2
    assert before == sorted((path, path.read_bytes()) for path in witness.folder.rglob("*") if path.is_file())
    cosigned = witness.archive.cosigned(7)
    key = WitnessKey.parse(witness.signer.public.text(), where="")
    assert note.open_note(cosigned, [pole.key, key], where="") == note.open_note(second, [pole.key], where="")
    assert key.seen_utc_seconds(cosigned, where="") == witness.clock.utc_ns() // NS_PER_SECOND
    assert note.open_note(cosigned, [key], where="")
    with pytest.raises(LedgerError):  # another time than the one it signed
        stamp = note.signature_of(cosigned, key, where="") or b""
        forged = note.add_signature(second, key, (1).to_bytes(8, "big") + stamp[8:])
        note.open_note(forged, [key], where="")


async def test_it_goes_on_after_a_restart_where_it_stood(pole: LedgerPole, witness: Witness) -> None:
    witness.hear(*await pole.say(3))
    again = Witness(witness.folder, pole)
    assert again.hear((await pole.say(2))[1]) == [Finding.GREW]


@pytest.mark.parametrize("missed", [1, 7, MARKS - 1])
async def test_a_witness_that_missed_some_can_still_check(pole: LedgerPole, witness: Witness, missed: int) -> None:
    witness.hear(*await pole.say(3))
    for _ in range(missed):
        await pole.say(2)
    assert witness.hear((await pole.say(5))[1]) == [Finding.GREW]


async def test_after_a_longer_absence_it_waits_for_the_ledger_itself(pole: LedgerPole, witness: Witness) -> None:
    witness.hear(*await pole.say(3))
    for _ in range(MARKS):
        await pole.say(1)
    checkpoint, growth = await pole.say(5)
    assert witness.hear(growth, checkpoint) == [Finding.WAITING] * 2
    assert [state for state, _ in witness.house.standing(witness.clock)] == ["waiting"]
    assert witness.archive.prove_with(pole.folder / "ledger" / "lines.jsonl") is Finding.GREW
    assert witness.archive.sizes() == [3, pole.ledger.size]
    assert [state for state, _ in witness.house.standing(witness.clock)] == ["good"]


async def test_a_ledger_handed_over_that_lacks_what_was_seen_is_a_fork(
    pole: LedgerPole, witness: Witness, tmp_path: Path
) -> None:
    witness.hear(*await pole.say(3))
    other = LedgerPole(tmp_path / "other")
    checkpoint, _ = await other.say(9, "f")
    witness.hear(checkpoint)
    assert witness.archive.prove_with(other.folder / "ledger" / "lines.jsonl") is Finding.FORKED
    assert witness.archive.sizes() == [3]


async def test_a_checkpoint_without_its_proof_waits_and_is_accepted_with_the_next(
    pole: LedgerPole, witness: Witness
) -> None:
    witness.hear(*await pole.say(3))
    alone, _ = await pole.say(2)
    assert witness.hear(alone) == [Finding.WAITING]
    assert witness.hear((await pole.say(2))[1]) == [Finding.GREW]
    assert witness.archive.sizes() == [3, 5, 7]
    assert [state for state, _ in witness.house.standing(witness.clock)] == ["good"]
    assert len(note.parse_checkpoint(witness.archive.cosigned(5), where="").root) == 32


async def test_silence_is_seen(pole: LedgerPole, witness: Witness) -> None:
    assert [state for state, _ in witness.house.standing(witness.clock)] == ["silent"]
    witness.hear(*await pole.say(3))
    assert [state for state, _ in witness.house.standing(witness.clock)] == ["good"]
    pole.clock.step(4 * 3600 * NS_PER_SECOND)
    assert [state for state, _ in witness.house.standing(witness.clock)] == ["silent"]


async def test_a_ledger_lawfully_begun_anew_needs_a_persons_word(
    pole: LedgerPole, witness: Witness, tmp_path: Path
) -> None:
    witness.hear(*await pole.say(9))
    anew = LedgerPole(tmp_path / "anew")
    checkpoint, growth = await anew.say(2, "a")
    assert witness.hear(growth) == [Finding.FORKED]
    witness.archive.restart("docket 12")
    assert witness.hear(growth, checkpoint) == [Finding.FIRST, Finding.KNOWN]
    assert [state for state, _ in witness.house.standing(witness.clock)] == ["alarm"]  # what it saw, it keeps saying


async def test_strangers_and_noise(pole: LedgerPole, witness: Witness) -> None:
    checkpoint, _ = await pole.say(1)
    stranger = checkpoint.replace("/sp03", "/sp04")
    assert witness.hear("hello", stranger, stranger) == [None, None, None]
    assert [line.split(" on ")[0] for line in witness.lines] == ["WITNESS ALARM unreadable: a message", "unknown pole"]
    assert witness.house.take("x", b"\xff\xfe") is None


def test_the_form_of_a_cosigned_checkpoint_is_the_specifications() -> None:
    """The example of C2SP tlog-cosignature, read by our parser: name, key id, time."""
    rows = dict(note._split_note(SPEC_NOTE, "")[1])
    packed = rows["witness.example.com/w1"]
    assert len(packed) == 4 + 8 + 64
    assert int.from_bytes(packed[4:12], "big") == 1_679_315_147
    text = note.open_text(SPEC_NOTE, where="")
    assert note.cosigned_message(text, 1_679_315_147) == b"cosignature/v1\ntime 1679315147\n" + text.encode()


def test_a_key_is_never_overwritten_and_is_read_back(tmp_path: Path) -> None:
    made = WitnessSigner.make(tmp_path / "key", "witness.example/one")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert WitnessSigner.read(tmp_path / "key").public.text() == made.public.text()
    with pytest.raises(KeystoreError):
        WitnessSigner.make(tmp_path / "key", "witness.example/one")
    for text in ("", "PRIVATE+KEY+a+b+c", made.public.text()):
        (tmp_path / "bad").write_text(text)
        with pytest.raises(KeystoreError):
            WitnessSigner.read(tmp_path / "bad")
    with pytest.raises(KeystoreError):
        WitnessSigner.make(tmp_path / "other", "a name")


def test_a_poles_key_is_no_witnesss_key(pole: LedgerPole) -> None:
    with pytest.raises(LedgerError):
        WitnessKey.parse(pole.verifier(), where="")
