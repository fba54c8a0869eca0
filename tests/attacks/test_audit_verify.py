"""Whoever has a pole, its disk and its key changes one line; the auditor names it by what the witness kept."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from firmware import custodian
from firmware.custody.audit.evidence import gather
from firmware.custody.audit.verdict import Verdict, judge
from firmware.custody.keys.pole_key import PoleKey
from firmware.custody.keys.witness_key import WitnessKey
from firmware.ground import ledger_lines, note
from firmware.ground.clock import NS_PER_SECOND
from firmware.ground.errors import LedgerError
from tests.parts.witnessed_pole import START_NS, LedgerPole, Witness

LINES = 40


class Scene:
    """A pole of 40 lines; its witness saw it at 5, 12, 20, 33 and 40 lines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pole = LedgerPole(folder / "pole")
        self.witness = Witness(folder / "witness", self.pole)
        self.key = PoleKey.parse(self.pole.verifier(), where="")
        self.trusted = WitnessKey.parse(self.witness.signer.public.text(), where="")

    async def play(self) -> Scene:
        for count in (5, 7, 8, 13, 7):
            self.witness.hear(*await self.pole.say(count))
        return self

    @property
    def ledger(self) -> Path:
        return self.pole.folder / "ledger"

    def rows(self) -> list[bytes]:
        return (self.ledger / "lines.jsonl").read_bytes().splitlines(keepends=True)

    def write(self, rows: list[bytes]) -> None:
        (self.ledger / "lines.jsonl").write_bytes(b"".join(rows))

    def judge(
        self, *more: Path, folders: list[Path] | None = None, witnesses: list[WitnessKey] | None = None
    ) -> Verdict:
        own = [self.ledger / "checkpoint"] if (self.ledger / "checkpoint").exists() else []
        given = [self.witness.archive.folder] if folders is None else folders
        trusted = [self.trusted] if witnesses is None else witnesses
        return judge(self.ledger, gather([*own, *more], given, self.key, trusted))

    def fault(self) -> LedgerError:
        with pytest.raises(LedgerError) as caught:
            self.judge()
        return caught.value


@pytest.fixture
async def scene(tmp_path: Path) -> Scene:
    return await Scene(tmp_path).play()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """One scene for the properties, which put its lines back each time."""
    import asyncio

    return asyncio.run(Scene(tmp_path_factory.mktemp("audit")).play())


def redone(rows: list[bytes], change: Callable[[int, dict[str, object]], None]) -> list[bytes]:
    """Every line after a change with its number and chain redone: a history that is whole in itself."""
    chain, out = ledger_lines.NO_CHAIN, list[bytes]()
    for index, raw in enumerate(rows):
        line = ledger_lines.parse(raw.removesuffix(b"\n"), where="")
        facts: dict[str, object] = {"utc": line.utc, **line.fields}
        change(index, facts)
        head = json.dumps({"n": index, "utc": facts.pop("utc"), "event": line.event, **dict(sorted(facts.items()))})
        body = head.replace(", ", ",").replace(": ", ":").encode()[:-1]
        digest = ledger_lines.hashlib.sha256(chain + body).digest()
        out.append(body + b',"chain":"' + digest.hex().encode() + b'"}\n')
        chain = digest
    return out


def untouched(_: int, __: dict[str, object]) -> None:
    """Change nothing."""


def test_an_honest_ledger(scene: Scene) -> None:
    verdict = scene.judge()
    assert (verdict.lines, verdict.unwitnessed, verdict.backwards) == (LINES, None, ())
    assert verdict.witnessed == {"witness.example/one": (LINES, scene.pole.clock.utc_ns() // NS_PER_SECOND)}


MUTATION = st.one_of(
    st.tuples(st.just("edit"), st.integers(0, LINES - 1), st.integers(0, LINES - 1)),
    st.tuples(st.just("date"), st.integers(0, LINES - 1), st.integers(-90_000_000, 90_000_000).filter(bool)),
    st.tuples(st.just("drop"), st.integers(0, LINES - 2), st.just(0)),
    st.tuples(st.just("double"), st.integers(0, LINES - 2), st.just(0)),
    st.tuples(st.just("swap"), st.integers(0, LINES - 2), st.integers(1, LINES - 1)),
)


def mutated(rows: list[bytes], how: str, at: int, by: int) -> tuple[list[bytes], int]:
    """Return the file after one act on the bare lines, and the line that is not as it was written."""
    out = list(rows)
    match how:
        case "edit":
            out[at] = out[at].replace(b'"manifest":"0', b'"manifest":"e', 1)
        case "date":
            line = ledger_lines.parse(out[at].removesuffix(b"\n"), where="")
            utc_ns = START_NS + at * 60 * NS_PER_SECOND + by * NS_PER_SECOND
            out[at] = out[at].replace(line.utc.encode(), ledger_lines.iso_utc(utc_ns).encode(), 1)
        case "drop":
            del out[at]
        case "double":
            out.insert(at, out[at])
            at += 1
        case "swap":
            other = min(at + by, LINES - 1)
            out[at], out[other] = out[other], out[at]
    return out, at


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutation=MUTATION, chained=st.booleans())
def test_any_one_change_of_any_line_is_found_and_the_line_named(
    whole: Scene, mutation: tuple[str, int, int], chained: bool
) -> None:
    """As it is, or with all numbers and chains after it redone, which only the witness's archive can tell."""
    rows = whole.rows()
    try:
        changed, at = mutated(rows, *mutation)
        whole.write(redone(changed, untouched) if chained else changed)
        error = whole.fault()
        found = int(error.where.split("line ")[1].split(" ")[0].split(":")[0]) - 1
        assert (error.code.startswith("E-LEDGER-"), found) == (True, at), (error, mutation, chained)
        assert f"n={at}" in error.what
    finally:
        whole.write(rows)


@pytest.mark.parametrize("at", [0, 4, 5, 19, 32, 39])
async def test_a_file_rewritten_whole_with_the_poles_own_key(scene: Scene, at: int) -> None:
    """Chains, checkpoint and growth are all redone and signed by the pole's key."""
    scene.pole.rewrite(at, delay_ns=NS_PER_SECOND)
    await scene.pole.say()
    error = scene.fault()
    assert error.code == "E-LEDGER-FORKED"
    assert f"line n={at} is not the one that the pole published" in error.what
    scene.pole.write(3)
    await scene.pole.ledger.checkpoint()
    assert scene.fault().code == "E-LEDGER-REWRITTEN"
    assert f"line n={at} " in scene.fault().what


async def test_without_hashes_of_lines_the_two_checkpoints_around_it_are_named(scene: Scene) -> None:
    for path in scene.witness.archive.folder.rglob("*.growth"):
        path.unlink()
    scene.pole.rewrite(14, epoch=1)
    error = scene.fault()
    assert "among lines n=12 to n=19" in error.what


async def test_a_witness_that_the_attacker_brought(scene: Scene, tmp_path: Path) -> None:
    """A rewritten ledger with a false witness's archive, complete and cosigned: not by the key that was named."""
    scene.pole.rewrite(7, epoch=1)
    false = Witness(tmp_path / "false", scene.pole)
    false.hear(*await scene.pole.say())
    with pytest.raises(LedgerError) as caught:
        scene.judge(folders=[false.archive.folder])
    assert caught.value.code == "E-LEDGER-UNWITNESSED"
    accepted = scene.judge(folders=[false.archive.folder], witnesses=[])
    assert accepted.witnessed == {}  # nobody vouches for it, and nothing claims so


async def test_a_cosignature_moved_to_another_checkpoint(scene: Scene, tmp_path: Path) -> None:
    scene.pole.rewrite(7, epoch=1)
    signed, _ = await scene.pole.say()
    stolen = note.signature_of(scene.witness.archive.cosigned(LINES), scene.trusted, where="") or b""
    (tmp_path / "x.note").write_text(note.add_signature(signed, scene.trusted, stolen))
    with pytest.raises(LedgerError) as caught:
        scene.judge(tmp_path / "x.note", folders=[])
    assert caught.value.code == "E-LEDGER-SIGNATURE"


async def test_two_witnesses_who_were_shown_two_ledgers(scene: Scene, tmp_path: Path) -> None:
    fork = scene.pole.fork(tmp_path / "fork")
    fork.rewrite(LINES - 1, epoch=1)
    other = Witness(tmp_path / "other", fork, "witness.example/two")
    other.hear(*await fork.say())
    both = [scene.trusted, WitnessKey.parse(other.signer.public.text(), where="")]
    with pytest.raises(LedgerError) as caught:
        scene.judge(folders=[scene.witness.archive.folder, other.archive.folder], witnesses=both)
    assert caught.value.code == "E-LEDGER-FORKED"


async def test_what_the_witness_kept_as_evidence_speaks_at_the_audit(scene: Scene, tmp_path: Path) -> None:
    """The pole shows the auditor the honest ledger again; the fork it once published is in the archive."""
    fork = scene.pole.fork(tmp_path / "fork")
    fork.rewrite(3, epoch=1)
    scene.witness.hear((await fork.say())[0])
    assert scene.fault().code == "E-LEDGER-FORKED"
    for path in scene.witness.archive.evidence():
        path.unlink()
    scene.witness.hear((await scene.pole.say())[0].replace("\n40\n", "\n41\n"))  # anybody can shout at a broker
    own = [scene.ledger / "checkpoint"]
    assert gather(own, [scene.witness.archive.folder], scene.key, [scene.trusted]).unsigned == 1
    assert scene.judge().lines == LINES
    assert gather(own, [scene.witness.archive.folder], None, [scene.trusted]).unsigned == 0


async def test_lines_newer_than_any_witness_are_said_to_be_so(scene: Scene) -> None:
    await scene.pole.say(4)
    assert scene.judge().unwitnessed == LINES


async def test_a_line_dated_after_its_witness_had_seen_it(tmp_path: Path) -> None:
    """The clock is put forward, a line written, signed, witnessed: nothing was rewritten, the date is false."""
    scene = Scene(tmp_path)
    await scene.pole.say(3)
    true_ns = scene.pole.clock.utc_ns()
    scene.pole.clock.step(86_400 * NS_PER_SECOND)
    texts = await scene.pole.say(1)
    scene.pole.clock.step(true_ns - scene.pole.clock.utc_ns())
    scene.witness.hear(*texts)
    await scene.pole.say(2)
    error = scene.fault()
    assert (error.code, error.what.split(" is ")[0]) == ("E-LEDGER-DATED", "line n=3")


async def test_a_clock_set_back_is_a_remark(scene: Scene) -> None:
    scene.pole.clock.step(-3600 * NS_PER_SECOND)
    scene.pole.write(1)
    assert scene.judge().backwards == (LINES,)


# ---- the command line


def say(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(custodian.app, ["audit", "verify", *words])
    return done.exit_code, done.stdout + done.stderr


async def test_the_command_says_who_vouches_and_names_the_line(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "witness.vkey").write_text(scene.trusted.text() + "\n")
    (tmp_path / "pole.vkey").write_text(scene.key.text() + "\n")
    words = [
        *("--state", str(scene.pole.folder), "--pole-key", str(tmp_path / "pole.vkey")),
        *("--witnessed", str(scene.witness.archive.folder), "--witness-key", str(tmp_path / "witness.vkey")),
    ]
    await scene.pole.say(2)
    code, text = say(*words)
    assert code == 0, text
    assert "witness.example/one vouches for lines n=0 to n=39" in text
    assert "unwitnessed  lines n=40 to n=41" in text
    facts = json.loads(say(*words, "--json")[1])
    assert (facts["unwitnessed_from"], facts["witnessed"]["witness.example/one"]["lines"]) == (LINES, LINES)
    shutil.rmtree(scene.pole.folder.with_name("copy"), ignore_errors=True)
    scene.pole.rewrite(9, delay_ns=NS_PER_SECOND)
    code, text = say(*words)
    assert (code, "line n=9 is not the one that the pole published" in text) == (1, True)


@pytest.mark.long
def test_a_year_in_ten_seconds(tmp_path: Path) -> None:
    """600,000 lines, more than a pole writes in a year, and its witness's 10,500 notes, all signatures judged.

    Seconds of one core: what others do on this machine meanwhile is not the auditor's.
    """
    from tools.benchmark.ledger import write_year

    year = write_year(tmp_path, lines=600_000)
    began, began_here = time.process_time(), time.monotonic()
    evidence = gather([], [year.archive], year.pole_key, [year.witness_key])
    verdict = judge(year.ledger, evidence)
    taken_seconds = time.process_time() - began
    print(f"{verdict.lines} lines, {verdict.checkpoints} cosigned checkpoints: {taken_seconds:.1f} s of one core, "
          f"{time.monotonic() - began_here:.1f} s here and now; audit/growth is {year.growth_bytes} bytes")  # fmt: skip
    assert (verdict.lines, verdict.checkpoints) == (600_000, year.checkpoints)
    assert taken_seconds < 10
