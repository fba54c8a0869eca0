"""What leaves a pole: exactly the minutes asked for, recorded first, listed when they are gone."""

from __future__ import annotations

import asyncio
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from firmware.custody.bundle import index
from firmware.custody.bundle import making as bundles
from firmware.custody.bundle.index import Missing
from firmware.custody.bundle.span import Span
from firmware.custody.office import acts
from firmware.custody.office.dossier import document_hash, document_number
from firmware.custody.office.fields import Basis
from firmware.custody.office.fields import Span as Asked
from firmware.footage import manifest as manifests
from firmware.ground import note
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import CaseError, LedgerError, PoleError, StoreError
from firmware.ground.ledger import verify
from tests.parts.office import POLICE
from tests.parts.small_pole import DOCUMENT, FIRST, SmallPole
from tests.unit.custody.conftest import ALL

RETENTION_MINUTES = 336 * 60
OF_BUNDLES = ("case.bundled", "case.abandoned", "bundle.refused")


def beside(folder: Path) -> list[str]:
    """What lies there besides the pole's state and the officers' own keys."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("state", "keys"))


def events(pole: SmallPole) -> list[str]:
    pole.ledger.refresh()
    return [line.event for line in pole.ledger.lines() if line.event in OF_BUNDLES]


async def refused(pole: SmallPole, out: Path, span: Span = ALL, document: str = DOCUMENT) -> PoleError:
    with pytest.raises(PoleError) as caught:
        await pole.bundle(out, span, document=document)
    assert not list(out.parent.glob(f"{out.name}*"))
    return caught.value


async def test_a_bundle_holds_chunks_unchanged_and_the_ledger_knew_before(pole: SmallPole, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar"
    span = Span(MinuteNumber(FIRST + 1), MinuteNumber(FIRST + 2))
    made = await pole.bundle(out, span)
    assert (made.epochs, made.missing, made.damaged) == ((FIRST + 1, FIRST + 2), (), ())
    with tarfile.open(out) as tar:
        for epoch in span.minutes:
            for path in pole.store.chunks(MinuteNumber(epoch)):
                member = tar.extractfile(f"minutes/{epoch}/{path.name.split('-')[1]}")
                assert member is not None
                assert member.read() == path.read_bytes()
        minutes = {name.split("/")[1] for name in tar.getnames() if name.startswith("minutes/")}
        assert minutes == {str(epoch) for epoch in span.minutes}
        assert tar.getnames()[-2:] == ["bundle.json", "bundle.note"]
    assert out.stat().st_mode & 0o777 == 0o600
    pole.ledger.refresh()
    (line,) = pole.ledger.lines("case.bundled")
    assert dict(line.fields) == {
        "case": made.case,
        "dossier": made.dossier,
        "document": document_hash(DOCUMENT),
        "first_epoch": FIRST + 1,
        "last_epoch": FIRST + 2,
        "epochs": 2,
        "missing_epochs": 0,
    }
    assert (made.ledger_line, pole.ledger.last_checkpoint()) == (
        line.index,
        note.Checkpoint(pole.key.name, pole.ledger.size, pole.ledger.root),
    )
    assert DOCUMENT.encode() not in (pole.state / "ledger" / "lines.jsonl").read_bytes()


async def test_nothing_of_a_bundle_s_index_names_another_minute(pole: SmallPole, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar"
    await pole.bundle(out, Span(FIRST, FIRST))
    content = out.read_bytes()
    assert str(FIRST).encode() in content
    assert not any(str(epoch).encode() in content for epoch in range(FIRST + 1, FIRST + 10))


async def test_minutes_that_are_gone_are_listed_with_the_line_that_erased_them(pole: SmallPole, tmp_path: Path) -> None:
    line = await pole.erase(FIRST, FIRST + 1)
    pole.pass_to(FIRST + 8)
    span = Span(FIRST, MinuteNumber(FIRST + 6))
    made = await pole.bundle(tmp_path / "bundle.tar", span)
    assert made.epochs == (FIRST + 2, FIRST + 3, FIRST + 4)
    utc = "2026-11-23T00:05:00Z"
    assert made.missing == (
        Missing(first_epoch=FIRST, last_epoch=FIRST + 1, reason="erased", ledger_line=line, ledger_utc=utc),
        Missing(first_epoch=FIRST + 5, last_epoch=FIRST + 6, reason="not_recorded"),
    )
    pole.ledger.refresh()
    (bundled,) = pole.ledger.lines("case.bundled")
    assert (bundled.fields["epochs"], bundled.fields["missing_epochs"]) == (3, 4)


async def test_nothing_left_says_when_and_by_which_line(pole: SmallPole, tmp_path: Path) -> None:
    line = await pole.erase(FIRST, FIRST + 4)
    error = await refused(pole, tmp_path / "bundle.tar")
    assert (error.code, error.clause) == ("E-CASE-GONE", "7.1(3)")
    assert f"erased at 2026-11-23T00:05:00Z (ledger line n={line})" in error.what
    assert events(pole) == ["bundle.refused"]
    (refusal,) = pole.ledger.lines("bundle.refused")
    assert refusal.fields["reason"] == "gone"


async def test_minutes_that_never_were_are_told_apart_from_erased_ones(pole: SmallPole, tmp_path: Path) -> None:
    pole.pass_to(FIRST + 8)
    error = await refused(pole, tmp_path / "bundle.tar", Span(MinuteNumber(FIRST + 5), MinuteNumber(FIRST + 7)))
    assert error.code == "E-CASE-NOTHING"
    assert [line.fields["reason"] for line in pole.ledger.lines("bundle.refused")] == []
    assert events(pole) == ["bundle.refused"]


async def test_a_minute_past_its_time_is_not_handed_out_though_it_still_lies_there(
    pole: SmallPole, tmp_path: Path
) -> None:
    """The pole was switched off for a fortnight: nothing has been erased yet, and nothing may leave (7.1(3))."""
    pole.pass_to(FIRST + 2 + RETENTION_MINUTES)
    made = await pole.bundle(tmp_path / "bundle.tar", ALL)
    assert made.epochs == (FIRST + 3, FIRST + 4)
    assert made.missing == (Missing(first_epoch=FIRST, last_epoch=FIRST + 2, reason="expired"),)
    pole.pass_to(FIRST + 4 + RETENTION_MINUTES)
    error = await refused(pole, tmp_path / "again.tar")
    assert (error.code, "expired" in error.what) == ("E-CASE-GONE", True)


@pytest.mark.parametrize("document", ["", "   ", "-", "none", "なし", "1\x00", "1" * 65])
async def test_without_a_document_number_nothing_happens(pole: SmallPole, tmp_path: Path, document: str) -> None:
    error = await refused(pole, tmp_path / "bundle.tar", document=document)
    assert error.code in ("E-CASE-DOCUMENT", "E-OFFICE-BYTES")
    assert events(pole) == []


def test_the_same_number_in_full_width_is_the_same_document() -> None:
    assert document_number("\u3000小刑発第１２３号 ") == "小刑発第123号"


async def test_a_chunk_damaged_or_missing_on_the_pole_is_said_and_the_rest_handed_out(
    pole: SmallPole, tmp_path: Path
) -> None:
    changed, missing = pole.store.chunks(FIRST)[1], pole.store.chunks(MinuteNumber(FIRST + 3))[4]
    changed.write_bytes(changed.read_bytes()[:-1])
    missing.unlink()
    made = await pole.bundle(tmp_path / "bundle.tar", ALL)
    assert [(chunk.epoch - FIRST, chunk.sequence, chunk.why) for chunk in made.damaged] == [
        (0, 1, "changed"),
        (3, 4, "missing"),
    ]
    assert len(made.epochs) == 5


async def test_a_manifest_that_the_ledger_does_not_know_is_not_handed_out(pole: SmallPole, tmp_path: Path) -> None:
    manifest = pole.store.manifest(MinuteNumber(FIRST + 1))
    assert manifest is not None
    pole.store.write_manifest(msgspec.structs.replace(manifest, recovered=True))
    pole.store.manifest_path(MinuteNumber(FIRST + 2)).write_bytes(b"{}")
    pole.store.manifest_path(MinuteNumber(FIRST + 3)).unlink()
    made = await pole.bundle(tmp_path / "bundle.tar", ALL)
    assert made.epochs == (FIRST, FIRST + 4)
    assert [(run.first_epoch - FIRST, run.last_epoch - FIRST, run.reason) for run in made.missing] == [
        (1, 2, "damaged"),
        (3, 3, "not_sealed"),
    ]


async def test_a_recovered_minute_is_proven_by_its_later_line(pole: SmallPole, tmp_path: Path) -> None:
    manifest = pole.store.manifest(MinuteNumber(FIRST + 1))
    assert manifest is not None
    digest = pole.store.write_manifest(msgspec.structs.replace(manifest, recovered=True))
    pole.ledger.append("minute.sealed", epoch=FIRST + 1, manifest=digest)
    made = await pole.bundle(tmp_path / "bundle.tar", ALL)
    assert len(made.epochs) == 5


async def test_what_is_there_already_is_not_overwritten(pole: SmallPole, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar"
    out.write_bytes(b"somebody's")
    with pytest.raises(CaseError) as caught:
        await pole.bundle(out, ALL)
    assert caught.value.code == "E-CASE-OUT"
    assert (out.read_bytes(), events(pole)) == (b"somebody's", [])
    error = await refused(pole, tmp_path / "missing" / "bundle.tar")
    assert error.code == "E-CASE-OUT"
    assert events(pole) == []


async def test_a_medium_that_is_too_small_is_refused_before_anything_is_recorded(
    pole: SmallPole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.statvfs_result((4096, 4096, 10, 10, 2, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    error = await refused(pole, tmp_path / "bundle.tar")
    assert (error.code, events(pole)) == ("E-CASE-ROOM", [])


Failure = Callable[..., object]


@pytest.mark.parametrize(
    ("error", "code"),
    [(OSError(28, "No space left on device"), "E-CASE-OUT"), (StoreError("E-X", "", where="", todo=""), "E-X")],
)
async def test_a_bundle_that_fails_half_way_is_recorded_as_abandoned_and_leaves_nothing(
    pole: SmallPole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    copy, copied = bundles._copy_chunk, list[int]()

    def failing(*arguments: object) -> object:
        copied.append(1)
        if len(copied) == 9:
            raise error
        return copy(*arguments)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(bundles, "_copy_chunk", failing)
    assert (await refused(pole, tmp_path / "bundle.tar")).code == code
    assert events(pole) == ["case.bundled", "case.abandoned"]
    lines = [line for line in pole.ledger.lines() if line.event in OF_BUNDLES]
    assert lines[1].fields == {"bundled_line": lines[0].index}


async def test_an_officer_who_stops_it_waits_for_one_chunk_at_most(
    pole: SmallPole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, copied = bundles._copy_chunk, list[int]()
    loop, case = asyncio.get_running_loop(), await pole.sealed_case(ALL)
    making = asyncio.create_task(pole.bundle_of(case, tmp_path / "bundle.tar"))

    def stopping(*arguments: object) -> object:
        copied.append(1)
        if len(copied) == 9:
            stop = asyncio.run_coroutine_threadsafe(_stop(making), loop)
            stop.result()
        return copy(*arguments)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(bundles, "_copy_chunk", stopping)
    with pytest.raises(asyncio.CancelledError):
        await making
    assert len(copied) <= 10
    assert beside(tmp_path) == []
    assert events(pole) == ["case.bundled", "case.abandoned"]


async def _stop(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.sleep(0)


async def test_a_minute_whose_time_ends_while_it_is_copied_stops_the_bundle(
    pole: SmallPole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = bundles._copy_chunk

    def eraser_comes(*arguments: object) -> object:
        if arguments[1] == FIRST + 2:
            pole.store.remove([MinuteNumber(FIRST + 2)])
        return copy(*arguments)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(bundles, "_copy_chunk", eraser_comes)
    error = await refused(pole, tmp_path / "bundle.tar")
    assert (error.code, error.where) == ("E-CASE-GONE", "2026-11-23T00:02:00Z to 2026-11-23T00:03:00Z")
    assert events(pole) == ["case.bundled", "case.abandoned"]


async def test_nothing_leaves_when_the_ledger_cannot_be_written(
    pole: SmallPole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Record first, act second."""
    case, holdings = await pole.sealed_case(ALL), pole.holdings()
    journal = await pole.journal(holdings)

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(LedgerError):
        await bundles.make_bundle(holdings, journal, case, tmp_path / "bundle.tar")
    monkeypatch.undo()
    assert beside(tmp_path) == []
    assert verify(pole.state / "ledger", []).size == pole.ledger.size


def test_a_bundle_s_note_can_never_pass_for_a_checkpoint() -> None:
    with pytest.raises(LedgerError):
        note.parse_checkpoint(index.note_text("smartpole.example/sp03", b"{}"), where="")


def test_the_manifest_of_the_small_pole_is_the_real_one(pole: SmallPole) -> None:
    data = pole.store.manifest_bytes(FIRST)
    assert data is not None
    assert manifests.decode(data).encoded() == data


async def test_nothing_leaves_while_time_is_unproven_and_it_is_on_record(pole: SmallPole, tmp_path: Path) -> None:
    case = await pole.sealed_case(ALL)
    pole.clock_proven = False
    with pytest.raises(CaseError) as caught:
        await pole.bundle_of(case, tmp_path / "bundle.tar")
    assert (caught.value.code, caught.value.clause, beside(tmp_path)) == ("E-CASE-CLOCK", "7.1(3)", [])
    assert "time challenge" in caught.value.todo
    pole.ledger.refresh()
    (refusal,) = pole.ledger.lines("bundle.refused")
    assert (refusal.fields["reason"], refusal.fields["case"]) == ("clock", case)
    pole.clock_proven = True
    await pole.bundle_of(case, tmp_path / "bundle.tar")


async def test_several_stretches_are_one_bundle_and_nothing_between_them(pole: SmallPole, tmp_path: Path) -> None:
    first, last = Span(FIRST, MinuteNumber(FIRST + 1)), Span(MinuteNumber(FIRST + 4), MinuteNumber(FIRST + 4))
    made = await pole.bundle(tmp_path / "bundle.tar", first, last)
    assert made.epochs == (FIRST, FIRST + 1, FIRST + 4)
    assert (made.first_epoch, made.last_epoch, len(made.spans), made.missing) == (FIRST, FIRST + 4, 2, ())
    content = (tmp_path / "bundle.tar").read_bytes()
    assert not any(str(epoch).encode() in content for epoch in (FIRST + 2, FIRST + 3))


async def test_a_case_that_is_not_sealed_gives_no_bundle(pole: SmallPole, tmp_path: Path) -> None:
    """Not before its seal, not for a case that is none, not once it is handed over, not after it was scoped anew."""
    case = await pole.sealed_case(ALL)
    journal = await pole.journal(pole.holdings())
    draw = pole.office.draw_up
    asked = (Asked(camera="cam0", first_epoch=FIRST, last_epoch=FIRST + 1),)
    await pole.office.do(journal, draw(acts.CaseScoped, "manager", case=case, spans=asked, recipient=POLICE))
    for number in (case, "2026-9999"):
        with pytest.raises(CaseError) as caught:
            await pole.bundle_of(number, tmp_path / "bundle.tar")
        assert caught.value.code in ("E-CASE-ORDER", "E-CASE-NUMBER")
    await pole.office.approve_and_seal(journal, case)
    assert len((await pole.bundle_of(case, tmp_path / "bundle.tar")).epochs) == 2
    await pole.office.do(journal, draw(acts.CaseHandedOver, "manager", case=case, package="ab" * 32))
    with pytest.raises(CaseError, match="E-CASE-ORDER"):
        await pole.bundle_of(case, tmp_path / "again.tar")


async def test_a_bundle_is_made_again_while_the_case_is_sealed_and_each_is_on_record(
    pole: SmallPole, tmp_path: Path
) -> None:
    case = await pole.sealed_case(ALL)
    for name in ("one.tar", "two.tar"):
        await pole.bundle_of(case, tmp_path / name)
    assert events(pole) == ["case.bundled", "case.bundled"]


async def test_another_camera_s_minutes_are_refused(pole: SmallPole, tmp_path: Path) -> None:
    journal = await pole.journal(pole.holdings())
    asked = Asked(camera="cam1", first_epoch=FIRST, last_epoch=FIRST)
    await pole.office.seal_a_case(journal, "2026-0001", asked, document="1")
    with pytest.raises(CaseError, match="E-CASE-CAMERA"):
        await pole.bundle_of("2026-0001", tmp_path / "bundle.tar")


async def test_minutes_held_beyond_their_time_can_still_be_handed_out(pole: SmallPole, tmp_path: Path) -> None:
    span = Asked(camera="cam0", first_epoch=FIRST + 1, last_epoch=FIRST + 1)
    call = {"basis": Basis.REQUEST, "office": "小田原警察署", "called_back": True}
    pole.pass_to(FIRST + RETENTION_MINUTES - 60)
    journal = await pole.journal(pole.holdings())
    await pole.office.found_here(journal)
    ends = FIRST + RETENTION_MINUTES + 24 * 60
    act = pole.office.draw_up(acts.HoldPlaced, "manager", hold=1, span=span, ends_epoch=ends, **call)
    await pole.office.do(journal, act)
    pole.pass_to(FIRST + RETENTION_MINUTES + 100)
    made = await pole.bundle(tmp_path / "bundle.tar", ALL)
    assert (made.epochs, {run.reason for run in made.missing}) == ((FIRST + 1,), {"expired"})
