"""Time beside the pictures, never burnt into them: a subtitle track a film, and one file that says how good it is.

Knows:  when each chunk was taken, by a clock whose error is told.
Never:  a picture touched, a time shown for a stretch that was not recorded.
Leaves: SubRip text, the facts of ``time.json``.
Clauses: 7.2(1) (as recorded, so no burnt-in clock; requirements A-24).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from firmware.custody.desk.film import FilmPart
from firmware.custody.desk.gaps import Gap, iso_japan
from firmware.custody.desk.opening import Placed
from firmware.custody.package.saying import GAPS, clock_mark, clock_words, words
from firmware.footage.manifest import ClockEntry, Manifest
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, iso_utc, minute_of

_TICKS_A_SECOND: Final = 90_000
_HOLE_90K: Final = 2 * _TICKS_A_SECOND


def subtitles(part: FilmPart, placed: Sequence[Placed], clocks: Mapping[int, ClockEntry], gaps: Sequence[Gap]) -> str:
    """Return the SubRip track of ``part``: a cue a second of what was recorded, one a gap. ``placed``: its chunks."""
    cues = list[tuple[int, int, str]]()
    reached = 0
    for chunk in sorted(placed, key=lambda chunk: chunk.added.end_90k):
        begin = _begin_90k(part, chunk)
        if begin - reached > _HOLE_90K:
            cues.append((reached, begin, _silence(part, reached, gaps)))
        cues += _seconds(chunk, begin, clocks)
        reached = chunk.added.end_90k
    rows = [f"{n}\n{_mark(begin)} --> {_mark(end)}\n{text}\n" for n, (begin, end, text) in enumerate(cues, 1)]
    return "\n".join(rows)


def time_facts(parts: Mapping[str, FilmPart], manifests: Mapping[int, Manifest]) -> dict[str, Any]:
    """Return what ``time.json`` says; ``parts`` by the name of their file in the package."""
    clocks = [manifest.clock for manifest in manifests.values()]
    ja, en = clock_words(clocks)
    return {
        "statement": {"ja": ja, "en": en},
        "jst_minus_utc_seconds": 9 * 3600,
        "scale": "UTC as the pole's machine had it, seconds since 1970 without leap seconds; JST = UTC + 9 h",
        "line_ahead": "line_ahead_ms: how far the pole's line of ages was ahead of that clock",
        "proven": bool(clocks) and all(clock.proven for clock in clocks),
        "films": [
            {
                "file": name,
                "begin_utc_ns": str(part.begin_utc_ns),
                "begin_utc": iso_utc(part.begin_utc_ns),
                "begin_jst": iso_japan(part.begin_utc_ns),
                "seconds": round(part.duration_90k / _TICKS_A_SECOND, 3),
            }
            for name, part in parts.items()
        ],
        "minutes": [
            {
                "epoch": epoch,
                "utc": iso_utc(epoch * NS_PER_MINUTE),
                "jst": iso_japan(epoch * NS_PER_MINUTE),
                **msgspec.to_builtins(manifest.clock),
            }
            for epoch, manifest in sorted(manifests.items())
        ],
    }


def japan_text(utc_ns: int) -> str:
    """Return ``2026-11-21 22:00:00`` in Japanese time."""
    return iso_japan(utc_ns)[:19].replace("T", " ")


def _begin_90k(part: FilmPart, chunk: Placed) -> int:
    at = round((chunk.begin_utc_ns - part.begin_utc_ns) * _TICKS_A_SECOND / NS_PER_SECOND)
    return at + chunk.added.moved_90k


def _seconds(chunk: Placed, begin: int, clocks: Mapping[int, ClockEntry]) -> Iterator[tuple[int, int, str]]:
    """Yield a cue for each second of the pole's clock that the chunk touches."""
    at_ns, place = chunk.begin_utc_ns, begin
    while place < chunk.added.end_90k:
        next_ns = (at_ns // NS_PER_SECOND + 1) * NS_PER_SECOND
        until = min(place + max(1, (next_ns - at_ns) * _TICKS_A_SECOND // NS_PER_SECOND), chunk.added.end_90k)
        mark = clock_mark(clocks.get(minute_of(at_ns)))
        yield place, until, f"{japan_text(at_ns)} JST {mark}"
        at_ns, place = next_ns, until


def _silence(part: FilmPart, begin: int, gaps: Sequence[Gap]) -> str:
    """Say why nothing is shown from ``begin`` (1/90000 s of the film) on; the picture before it stands still."""
    at_ns = part.begin_utc_ns + begin * NS_PER_SECOND // _TICKS_A_SECOND
    near = [gap for gap in gaps if gap.until_utc_ns > at_ns and gap.from_utc_ns < at_ns + 2 * NS_PER_SECOND]
    ja, en = words(GAPS, near[0].reason if near else "not_asked")
    return f"映像なし（{ja}）\nno picture ({en})"


def _mark(at_90k: int) -> str:
    milliseconds = at_90k * 1000 // _TICKS_A_SECOND
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{rest:03}"
