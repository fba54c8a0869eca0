"""Where a film is silent, and why: pure.

Knows:  manifests, minutes and chunks that are missing.
Never:  a picture; a hole in the film that stands in no list.
Leaves: stretches of time with a reason, in order, by the pole's own clock.
Clauses: 7.2(1) (what is handed out says what it lacks).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from firmware.custody.bundle.index import Index
from firmware.footage.manifest import ChunkEntry, Manifest
from firmware.ground.clock import NS_PER_MINUTE, NS_PER_SECOND, iso_utc

_JAPAN_NS: Final = 9 * 3600 * NS_PER_SECOND
_NS_PER_MS: Final = 1_000_000
HOLE_NS: Final = 2 * NS_PER_SECOND
"""Chunks further apart than this, with no reason known, are an ``unexplained`` gap."""

ChunkKey = tuple[int, int]
"""Epoch and sequence."""


@dataclass(frozen=True, slots=True)
class Gap:
    """From ``from_utc_ns`` until ``until_utc_ns`` there is no picture, because of ``reason`` (a code)."""

    from_utc_ns: int
    until_utc_ns: int
    reason: str

    def row(self) -> dict[str, str | float]:
        """Return the gap as the columns of ``gaps.csv``."""
        return {
            "from_utc": iso_utc(self.from_utc_ns),
            "until_utc": iso_utc(self.until_utc_ns),
            "from_jst": iso_japan(self.from_utc_ns),
            "until_jst": iso_japan(self.until_utc_ns),
            "seconds": round((self.until_utc_ns - self.from_utc_ns) / NS_PER_SECOND, 3),
            "reason": self.reason,
        }


def iso_japan(utc_ns: int) -> str:
    """Return ``utc_ns`` in Japanese time, ``2026-11-23T18:00:00+09:00``."""
    return iso_utc(utc_ns + _JAPAN_NS).removesuffix("Z") + "+09:00"


def list_gaps(found: Index, manifests: Mapping[int, Manifest], unreadable: Collection[ChunkKey]) -> list[Gap]:
    """Return every stretch of the asked minutes without a picture, joined where neighbours have one reason."""
    gaps = [
        Gap(run.first_epoch * NS_PER_MINUTE, (run.last_epoch + 1) * NS_PER_MINUTE, run.reason) for run in found.missing
    ]
    lost = {(chunk.epoch, chunk.sequence) for chunk in found.damaged}
    shown = list[Gap]()
    for epoch, manifest in manifests.items():
        ahead_ns = manifest.clock.line_ahead_ms * _NS_PER_MS
        gaps += [Gap(gap.from_utc_ns - ahead_ns, gap.until_utc_ns - ahead_ns, gap.reason) for gap in manifest.gaps]
        for chunk in manifest.chunks:
            begin_ns, end_ns = chunk_times(epoch, chunk, len(manifest.chunks))
            key = (epoch, chunk.sequence)
            why = "damaged" if key in lost else "unreadable" if key in unreadable else ""
            (gaps if why else shown).append(Gap(begin_ns, end_ns, why))
    explained = sorted(gaps + shown, key=lambda gap: gap.from_utc_ns)
    holes = list[Gap]()
    for span in found.spans:
        first_ns, end_ns = span.first_epoch * NS_PER_MINUTE, (span.last_epoch + 1) * NS_PER_MINUTE
        holes += _holes((gap for gap in explained if gap.from_utc_ns < end_ns), first_ns, end_ns)
    return joined(gaps + holes)


def chunk_times(epoch: int, chunk: ChunkEntry, of: int) -> tuple[int, int]:
    """Return when a chunk begins and ends (UTC ns). Where a crash took its times: its share of the minute."""
    if chunk.first_utc_ns is not None and chunk.last_utc_ns is not None:
        return chunk.first_utc_ns, chunk.last_utc_ns
    share_ns = NS_PER_MINUTE // max(of, chunk.sequence + 1)
    begin_ns = epoch * NS_PER_MINUTE + chunk.sequence * share_ns
    return begin_ns, begin_ns + share_ns


def joined(gaps: Iterable[Gap]) -> list[Gap]:
    """Return ``gaps`` in order, those that touch and have one reason as one."""
    done = list[Gap]()
    for gap in sorted(gaps, key=lambda gap: (gap.from_utc_ns, gap.until_utc_ns)):
        last = done[-1] if done else None
        if last and last.reason == gap.reason and gap.from_utc_ns - last.until_utc_ns < HOLE_NS:
            done[-1] = Gap(last.from_utc_ns, max(last.until_utc_ns, gap.until_utc_ns), gap.reason)
        else:
            done.append(gap)
    return done


def _holes(explained: Iterable[Gap], first_ns: int, end_ns: int) -> list[Gap]:
    holes, reached_ns = list[Gap](), first_ns
    for stretch in [*explained, Gap(end_ns, end_ns, "")]:
        if stretch.from_utc_ns - reached_ns > HOLE_NS:
            holes.append(Gap(reached_ns, stretch.from_utc_ns, "unexplained"))
        reached_ns = max(reached_ns, stretch.until_utc_ns)
    return holes
