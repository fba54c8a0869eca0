"""Every second of the asked minutes is either in a film or in the list, with a reason."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from firmware.custody.bundle.index import DamagedChunk, Index, Missing
from firmware.custody.bundle.survey import runs
from firmware.custody.desk.gaps import HOLE_NS, Gap, chunk_times, joined, list_gaps
from firmware.custody.office.fields import Span as Asked
from firmware.footage.manifest import ChunkEntry, ClockEntry, GapEntry, GapReason, Manifest, Origin
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND
from firmware.ground.ledger_lines import Line

FIRST = 29_923_200
TEN = 10 * NS_PER_SECOND
ORIGIN = Origin(pole="sp03", camera="cam0", software="0.1.0", config_sha256="0" * 64, keystore="software")


def minute(epoch: int, recorded: set[int], gaps: tuple[GapEntry, ...] = (), line_ahead_ms: int = 0) -> Manifest:
    """A minute whose six ten-second chunks are ``recorded`` at one frame a second."""
    chunks = tuple(
        ChunkEntry(
            sequence=sequence,
            ciphertext_bytes=1,
            sha256="0" * 64,
            frames=10,
            first_utc_ns=epoch * NS_PER_MINUTE + sequence * TEN,
            last_utc_ns=epoch * NS_PER_MINUTE + sequence * TEN + 9 * NS_PER_SECOND,
        )
        for sequence in sorted(recorded)
    )
    clock = ClockEntry(source="machine", proven=False, uncertainty_ms=-1, line_ahead_ms=line_ahead_ms)
    return Manifest(origin=ORIGIN, epoch=epoch, recovered=False, chunks=chunks, gaps=gaps, clock=clock)


def index_of(
    epochs: list[int], last: int, missing: tuple[Missing, ...], damaged: tuple[DamagedChunk, ...] = ()
) -> Index:
    return Index(
        pole="sp03",
        case="2026-0001",
        dossier="0" * 64,
        document="1",
        spans=(Asked(camera="cam0", first_epoch=FIRST, last_epoch=last),),
        first_epoch=FIRST,
        last_epoch=last,
        made_utc="",
        ledger_line=0,
        epochs=tuple(epochs),
        missing=missing,
        damaged=damaged,
        members=(),
    )


@given(st.lists(st.one_of(st.none(), st.sets(st.integers(0, 5))), min_size=1, max_size=6), st.data())
def test_films_and_gaps_together_cover_every_asked_second(minutes: list[set[int] | None], data: st.DataObject) -> None:
    last = FIRST + len(minutes) - 1
    manifests = {FIRST + n: minute(FIRST + n, chunks) for n, chunks in enumerate(minutes) if chunks is not None}
    bad = {FIRST + n: "not_sealed" for n, chunks in enumerate(minutes) if chunks is None}
    keys = sorted((epoch, chunk.sequence) for epoch, manifest in manifests.items() for chunk in manifest.chunks)
    unreadable = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
    gaps = list_gaps(index_of(sorted(manifests), last, runs(bad, [])), manifests, unreadable)  # type: ignore[arg-type]
    shown = [
        (chunk.first_utc_ns or 0, chunk.last_utc_ns or 0)
        for epoch, manifest in manifests.items()
        for chunk in manifest.chunks
        if (epoch, chunk.sequence) not in unreadable
    ]
    silent = [(gap.from_utc_ns, gap.until_utc_ns) for gap in gaps]
    reached = FIRST * NS_PER_MINUTE
    for begin, end in sorted(shown + silent):
        assert begin - reached <= HOLE_NS
        reached = max(reached, end)
    assert (last + 1) * NS_PER_MINUTE - reached <= HOLE_NS
    for begin, end in shown:  # and no second is both
        assert not any(start < end and begin < stop for start, stop in silent)


def test_a_manifest_s_gap_is_told_by_the_machine_s_clock() -> None:
    """Manifests keep gaps on the line of ages; films keep the machine's UTC. The list follows the films."""
    begin_ns = FIRST * NS_PER_MINUTE
    fault = GapEntry(
        from_utc_ns=begin_ns + 33 * NS_PER_SECOND, until_utc_ns=begin_ns + 63 * NS_PER_SECOND, reason=GapReason.OVERLOAD
    )
    manifest = minute(FIRST, {0, 1, 2}, (fault,), line_ahead_ms=3000)
    gaps = list_gaps(index_of([FIRST], FIRST, ()), {FIRST: manifest}, [])
    assert gaps == [Gap(begin_ns + 30 * NS_PER_SECOND, begin_ns + NS_PER_MINUTE, "overload")]


def test_a_damaged_chunk_and_an_unexplained_hole_are_told_apart() -> None:
    manifest = minute(FIRST, {0, 1, 4, 5})
    damaged = (DamagedChunk(epoch=FIRST, sequence=1, why="changed"),)
    gaps = list_gaps(index_of([FIRST], FIRST, (), damaged), {FIRST: manifest}, [])
    begin_ns = FIRST * NS_PER_MINUTE
    assert [(gap.from_utc_ns - begin_ns, gap.until_utc_ns - begin_ns, gap.reason) for gap in gaps] == [
        (TEN, 19 * NS_PER_SECOND, "damaged"),
        (19 * NS_PER_SECOND, 4 * TEN, "unexplained"),
    ]


def test_a_chunk_without_times_has_its_share_of_the_minute() -> None:
    bare = ChunkEntry(sequence=4, ciphertext_bytes=1, sha256="0" * 64)
    begin_ns = FIRST * NS_PER_MINUTE
    assert chunk_times(FIRST, bare, 6) == (begin_ns + 4 * TEN, begin_ns + 5 * TEN)
    assert chunk_times(FIRST, bare, 2) == (begin_ns + 48 * NS_PER_SECOND, begin_ns + 60 * NS_PER_SECOND)


def test_neighbours_of_one_reason_are_one_gap() -> None:
    second = NS_PER_SECOND
    gaps = [Gap(20 * second, 30 * second, "b"), Gap(0, 10 * second, "a"), Gap(10 * second, 20 * second, "a")]
    assert joined(gaps) == [Gap(0, 20 * second, "a"), Gap(20 * second, 30 * second, "b")]


def test_missing_minutes_are_runs_alike_in_reason_and_line() -> None:
    def erased(index: int, first: int, last: int) -> Line:
        fields = {"first_epoch": first, "last_epoch": last}
        return Line(index, f"2026-12-0{index}T00:00:00Z", "epochs.erased", fields, b"")

    bad = {1: "not_recorded", 2: "erased", 3: "erased", 4: "damaged", 5: "damaged", 7: "damaged", 8: "not_recorded"}
    found = runs(bad, [erased(5, 1, 2), erased(6, 3, 3)])  # type: ignore[arg-type]  # plain words for literals
    assert [(run.first_epoch, run.last_epoch, run.reason, run.ledger_line) for run in found] == [
        (1, 2, "erased", 5),
        (3, 3, "erased", 6),
        (4, 5, "damaged", None),
        (7, 7, "damaged", None),
        (8, 8, "not_recorded", None),
    ]
