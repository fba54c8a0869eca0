"""Time stands beside the pictures: each second named, no second named that was not recorded, no error told smaller."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.custody.bundle.index import WhyMissing
from firmware.custody.desk.film import Added, FilmPart
from firmware.custody.desk.gaps import Gap
from firmware.custody.desk.opening import Placed
from firmware.custody.office.fields import Basis, Instrument, RecipientKind
from firmware.custody.package.saying import BASES, BODIES, GAPS, INSTRUMENTS, clock_mark, clock_words, seconds_text
from firmware.custody.package.times import subtitles
from firmware.footage.manifest import ClockEntry, GapReason
from firmware.ground.clock import NS_PER_SECOND, minute_of, utc_ns_of
from firmware.ground.ledger_events import GAP_REASONS

BEGIN_NS = utc_ns_of("2026-11-21T12:59:59Z")


def clock(*, proven: bool = True, uncertainty_ms: int = 180) -> ClockEntry:
    return ClockEntry(source="network", proven=proven, uncertainty_ms=uncertainty_ms, line_ahead_ms=0)


def chunk(at_seconds: float, lasts_seconds: float = 10.0, *, shown_at_seconds: float | None = None) -> Placed:
    shown = at_seconds if shown_at_seconds is None else shown_at_seconds
    added = Added(
        150, round((shown - at_seconds) * 90_000), "film.mp4", 0, round((shown + lasts_seconds) * 90_000), "0" * 64
    )
    return Placed(BEGIN_NS + round(at_seconds * NS_PER_SECOND), "0" * 64, added)


def cues(chunks: list[Placed], gaps: list[Gap] | None = None) -> list[tuple[int, int, str]]:
    """Begin, end (ms) and text of each cue."""
    part = FilmPart(Path("film.mp4"), BEGIN_NS, 0, 0)
    clocks = {minute_of(BEGIN_NS) + n: clock() for n in range(10)}
    text = subtitles(part, chunks, clocks, gaps or [])
    found = re.findall(r"\d+\n(\S+) --> (\S+)\n((?:.+\n)+)", text)
    return [(milliseconds(begin), milliseconds(end), words.strip()) for begin, end, words in found]


def milliseconds(mark: str) -> int:
    hours, minutes, seconds, rest = map(int, re.split("[:,]", mark))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def test_every_second_has_its_name() -> None:
    found = cues([chunk(0), chunk(10)])
    assert [begin for begin, _, _ in found] == [n * 1000 for n in range(20)]
    assert found[0] == (0, 1000, "2026-11-21 21:59:59 JST ±0.2s")
    assert found[1][2] == "2026-11-21 22:00:00 JST ±0.2s"


def test_a_chunk_that_begins_within_a_second_keeps_to_the_clock() -> None:
    found = cues([chunk(0), chunk(10.25)])
    assert found[10][:2] == (10_250, 11_000)
    assert found[11][0] == 11_000
    assert found[10][2].startswith("2026-11-21 22:00:09")


def test_a_gap_is_told_with_its_reason_and_has_no_time() -> None:
    gap = Gap(BEGIN_NS + 10 * NS_PER_SECOND, BEGIN_NS + 40 * NS_PER_SECOND, "power")
    silent = [cue for cue in cues([chunk(0), chunk(40)], [gap]) if "JST" not in cue[2]]
    assert silent == [(10_000, 40_000, "映像なし（停電）\nno picture (power cut)")]


def test_a_chunk_that_was_moved_tells_its_own_time() -> None:
    """The clock was set back by two minutes: the film runs on, the subtitle says what the clock said."""
    found = cues([chunk(0), chunk(-110, shown_at_seconds=10)])
    assert found[10] == (10_000, 11_000, "2026-11-21 21:58:09 JST 未同期")


@given(st.lists(st.floats(0.2, 30), min_size=1, max_size=6))
def test_cues_never_overlap_and_never_run_backwards(steps: list[float]) -> None:
    at, chunks = 0.0, []
    for step in steps:
        chunks.append(chunk(at, lasts_seconds=min(step, 10)))
        at += step
    found = cues(chunks)
    assert all(begin <= end for begin, end, _ in found)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("clocks", "said"),
    [
        ([clock()], "時刻は±0.2秒（NTP同期）"),
        ([clock(), clock(uncertainty_ms=2001)], "時刻は±2.1秒（NTP同期）"),
        ([clock(), clock(proven=False)], "時刻は±0.2秒（未同期）"),
        ([clock(), clock(uncertainty_ms=-1)], "時刻は未同期（誤差不明）"),
        ([], "時刻は未同期（誤差不明）"),
    ],
)
def test_the_clock_is_never_told_better_than_it_was(clocks: list[ClockEntry], said: str) -> None:
    assert clock_words(clocks)[0] == said


@given(st.integers(0, 10**7))
def test_an_uncertainty_is_rounded_up(uncertainty_ms: int) -> None:
    assert uncertainty_ms <= round(float(seconds_text(uncertainty_ms)) * 1000) < uncertainty_ms + 100
    assert "未同期" in clock_mark(clock(proven=False, uncertainty_ms=uncertainty_ms))


def test_every_code_has_words() -> None:
    assert {*GapReason, *GAP_REASONS, *get_args(WhyMissing)} <= set(GAPS)
    assert set(Instrument) == set(INSTRUMENTS)
    assert set(RecipientKind) == set(BODIES)
    assert set(Basis) == set(BASES)
