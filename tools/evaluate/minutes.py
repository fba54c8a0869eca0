"""Minutes as the city gets them, from what a detector counted and from what was there, under the firmware's own rule.

Knows:  the firmware's tally and disclosure; a video and its truth.
Never:  a rule of its own for when a minute is published.
Leaves: agreement and errors of many minutes.
Clauses: 6.1(3), 6.2(2).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from firmware.camera.frames import PictureFormat
from firmware.drivers.video_reader import VideoReader, VideoReport
from firmware.flow.disclosure import Rules, protect
from firmware.flow.record import PublishedMinute, SuppressedMinute
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import MOST_PERSONS, SliceCounts
from firmware.flow.tally import MinuteTally
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber
from tools.evaluate.measure import Detector

SLICES = 60
SMALL = PictureFormat(640, 360)


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute: persons counted and persons there, slice by slice."""

    counted: tuple[int, ...]
    there: tuple[int, ...]


def rules() -> Rules:
    """Return the rule of a pole whose settings say nothing else."""
    return FlowSettings().rules()


def told(counts: Sequence[int], under: Rules) -> PublishedMinute | SuppressedMinute | None:
    """Return the record that these slices make."""
    tally = MinuteTally(under.planned)
    for persons in counts:
        tally.add(SliceCounts(min(persons, MOST_PERSONS)))
    return protect(tally, MinuteNumber(0), under)


def published(counts: Sequence[int], under: Rules) -> bool:
    """Return whether a minute of these slices tells numbers."""
    return isinstance(told(counts, under), PublishedMinute)


def summary(minutes: Sequence[Minute], under: Rules, gain: float = 1.0) -> dict[str, float]:
    """Return the figures of many minutes.

    MAE and bias are of mean occupancy, as shares of what was there, over all minutes; ``gain`` is a constant the
    counted mean is multiplied by. ``peak MAE`` is in persons, of the peak of the firmware's rank. Agreement is of
    published or suppressed with what the truth's own counts would have been.
    """
    if not minutes:
        return {}
    counted = np.array([np.mean(minute.counted) for minute in minutes]) * gain
    there = np.array([np.mean(minute.there) for minute in minutes])
    whole = float(there.sum()) or float("nan")  # of nobody there is no share
    peaks = np.array(
        [[_ranked(side, under.peak_rank) for side in (minute.counted, minute.there)] for minute in minutes]
    )
    said = np.array([[published(side, under) for side in (minute.counted, minute.there)] for minute in minutes])
    return {
        "minutes": len(minutes),
        "mean there": float(there.mean()),
        "MAE": float(np.abs(counted - there).sum()) / whole,
        "bias": float((counted - there).sum()) / whole,
        "peak MAE": float(np.abs(peaks[:, 0] - peaks[:, 1]).mean()),
        "agreement": float((said[:, 0] == said[:, 1]).mean()),
        "published wrongly": float((said[:, 0] & ~said[:, 1]).mean()),
        "suppressed wrongly": float((~said[:, 0] & said[:, 1]).mean()),
    }


def _ranked(counts: Sequence[int], rank: int) -> int:
    falling = sorted(counts, reverse=True)
    return falling[rank - 1] if len(falling) >= rank else 0


def counted_in(detector: Detector, small: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> int:
    """Return how many persons a pole with this detector counts in a 640 x 360 I420 picture."""
    return int((detector.look(small)[1] >= detector.threshold).sum())


def of_video(detector: Detector, video: Path, truth: Path) -> list[Minute]:
    """Run the detector over a rendered video, one slice a second, and put the truth's counts beside; whole minutes."""
    there = [int(one["count"]) for one in json.loads(truth.read_text())["slices"]]
    counted = _counts(detector, video)
    whole = min(len(counted), len(there)) // SLICES
    return [
        Minute(tuple(counted[k * SLICES : (k + 1) * SLICES]), tuple(there[k * SLICES : (k + 1) * SLICES]))
        for k in range(whole)
    ]


def _counts(detector: Detector, video: Path) -> list[int]:
    reader, out = VideoReader(video, VideoReport()), list[int]()
    small = np.empty(SMALL.frame_bytes, np.uint8)
    reader.open()
    try:
        while True:
            wanted_ns = len(out) * NS_PER_SECOND
            picture = reader.next_due(lambda offset_ns, wanted_ns=wanted_ns: offset_ns >= wanted_ns)
            if picture is None:
                return out
            if reader.draw(picture, small.data, SMALL):
                out.append(counted_in(detector, small))
    finally:
        reader.close()
