"""The summary of a replay: what a whole pole did with a video.

Knows:  counters, bands of time, sizes of processes.
Never:  a minute's record, a picture.
Leaves: one JSON object of whole numbers and fractions.
Clauses: 5.1(1), 5.2(1) (how long pictures existed), 6.2(1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from firmware.camera.residence import Residence


def summary(
    totals: Mapping[str, int],
    *,
    round_trip: Residence,
    bare_us: int,
    peak_rss_kib: Mapping[str, int],
    wall_seconds: float,
    video_seconds: float,
    ended: str,
    frames: int,
    frames_skipped: int,
) -> dict[str, Any]:
    """Return the summary. ``bare_us``: the bare interpreter call, measured by the counter on a blank picture."""
    slices = round_trip.summary()
    return {
        "ended": ended,
        "frames": frames,
        "frames_skipped": frames_skipped,
        "video_seconds": round(video_seconds, 1),
        "wall_seconds": round(wall_seconds, 1),
        "slices": totals["slices"],
        "slices_lost": totals["slices_lost"],
        "records": {
            "published": totals["minutes_published"],
            "suppressed": totals["minutes_suppressed"],
            "gap": totals["minutes_gap"],
            "attribute_tiles": totals["attribute_tiles"],
        },
        "residence_ms": {
            "p50": totals["residence_p50_us"] / 1000,
            "p99_9": totals["residence_p99_9_us"] / 1000,
            "max": totals["residence_max_us"] / 1000,
        },
        "slice_ms": {"interpreter": bare_us / 1000, "p50": slices.p50_us / 1000, "p99_9": slices.p99_9_us / 1000},
        "footage": {
            "chunks": totals["chunks"],
            "ciphertext_bytes": totals["ciphertext_bytes"],
            "minutes": totals["footage_minutes"],
            "gaps": totals["footage_gaps"],
            "chunks_lost": totals["chunks_lost"],
        },
        "wipe_failures": totals["wipe_failures"],
        "peak_rss_mib": {name: round(kib / 1024, 1) for name, kib in peak_rss_kib.items()},
    }
