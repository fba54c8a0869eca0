"""The port behind which opened chunks become a film.

Knows:  one chunk's plaintext at a time, when its first frame was taken.
Never:  a frame decoded or encoded again: evidence is what the camera's encoder wrote.
Leaves: playable files.
Clauses: 7.2(1), 7.2(2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FilmPart:
    """A finished file: ``frames`` pictures, the first taken at ``begin_utc_ns``, over ``duration_90k`` / 90000 s."""

    path: Path
    begin_utc_ns: int
    frames: int
    duration_90k: int


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a chunk: ``frames`` pictures, set ``moved_90k`` / 90000 s later than their own time.

    It is moved only where it would overlap the chunk before it: the pole's clock was set back between the two. They
    are the pictures from ``first_frame`` (0 is the first) of the file ``part``, until ``end_90k`` of its time;
    ``frames_sha256`` is the hash (hex) over their encoded bytes in order, by which a film is judged against its chunks.
    """

    frames: int
    moved_90k: int
    part: str
    first_frame: int
    end_90k: int
    frames_sha256: str


class Film(Protocol):
    """One camera's film in the making. Chunks come in the order in which they were taken."""

    def add(self, chunk: bytes, begin_utc_ns: int) -> Added:
        """Add a chunk (one self-contained fragmented MP4) whose first frame was taken at ``begin_utc_ns``.

        A gap before it stays a gap in the film's time. Raises :class:`StoreError` for a chunk that is no such MP4; the
        film stands as it was before.
        """

    def close(self) -> Sequence[FilmPart]:
        """Finish the files. A new part begins where the picture's format changes, after a gap of an hour, when full."""

    def abandon(self) -> None:
        """Close without finishing; what was written is worthless."""
