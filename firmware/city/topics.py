"""Names of topics.

Knows:  municipality, pole, camera.
Never:  a topic that the pole would listen to; there is no command tree.
Leaves: topic names.
Clauses: 4.1 (the whole list of what may leave is this page).

    jp/<municipality>/sp/v1/<pole>/flow/<camera>/minute     kept until acknowledged, expires after 7 days
    jp/<municipality>/sp/v1/<pole>/flow/<camera>/attr       the same
    jp/<municipality>/sp/v1/<pole>/flow/<camera>/gap        the same
    jp/<municipality>/sp/v1/<pole>/flow/<camera>/$meta      retained
    jp/<municipality>/sp/v1/<pole>/status                   retained, last will
    jp/<municipality>/sp/v1/<pole>/privacy/meter            retained, hourly
    jp/<municipality>/sp/v1/<pole>/audit/growth             retained
    jp/<municipality>/sp/v1/<pole>/audit/checkpoint         retained

All are sent with QoS 1. A change that a subscriber could stumble over gets a new root beside ``v1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a message is; the last part of its topic."""

    MINUTE = "minute"
    ATTR = "attr"
    GAP = "gap"
    META = "$meta"
    STATUS = "status"
    METER = "privacy/meter"
    CHECKPOINT = "audit/checkpoint"
    GROWTH = "audit/growth"


RECORDS: Final = (Kind.MINUTE, Kind.ATTR, Kind.GAP)
"""Kinds that wait in the outbox until the broker has acknowledged them."""

STANDING: Final = (Kind.META, Kind.STATUS, Kind.METER, Kind.GROWTH, Kind.CHECKPOINT)
"""Kinds of which only the latest matters: retained by the broker, said again at every connection."""

_OF_THE_CAMERA: Final = frozenset({*RECORDS, Kind.META})


@dataclass(frozen=True, slots=True)
class Topics:
    """Topic names of one camera on one pole."""

    municipality: str
    pole: str
    camera: str

    def name(self, kind: Kind) -> str:
        """Return the topic of ``kind``."""
        root = f"jp/{self.municipality}/sp/v1/{self.pole}"
        return f"{root}/flow/{self.camera}/{kind}" if kind in _OF_THE_CAMERA else f"{root}/{kind}"
