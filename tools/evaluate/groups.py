"""For whom a detector is worse: recall by sex, age band and skin tone, where the drawn street labels them.

Knows:  held-out drawn persons and what was drawn.
Never:  a real person's group; a gap of size told as a gap of kind: recall is also given at equal heights.
Leaves: rows by group with intervals over streets, and the widest gaps.
Clauses: 1 (what is worse for whom is public), 6.1(3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.evaluate import table
from tools.evaluate.bootstrap import interval
from tools.evaluate.drawn import HELD_OUT_SEEDS, POLES, SMALL_BYTES
from tools.evaluate.measure import Detector, Seen, asked, reckoned
from tools.evaluate.score import HEIGHTS
from tools.street.scene import Scene
from tools.street.street import Street
from tools.street.truth import PersonTruth

SEED = 70_000
TONES = ("lightest", "light", "middling light", "middling", "middling dark", "dark", "darkest")
"""The seven painted skin tones in their order."""

LIGHTS = ("day", "dusk", "night")
RATE = 30.0
STEP_SECONDS = 7.0
"""Between slices: long enough that few persons are the same as in the slice before."""


@dataclass(frozen=True, slots=True)
class Someone:
    """One drawn person in one slice, and whether the detector found them."""

    street: int
    height: float
    found: bool
    groups: tuple[tuple[str, str], ...]


def watch(detectors: Mapping[str, Detector], streets: int, slices: int) -> dict[str, list[Someone]]:
    """Look at ``streets`` streets of each light with every detector; drawn once for all of them."""
    out: dict[str, list[Someone]] = {name: [] for name in detectors}
    small = np.empty(SMALL_BYTES, np.uint8)
    for number in range(streets * len(LIGHTS)):
        pole, light = POLES[number % len(POLES)], LIGHTS[number % len(LIGHTS)]
        scene = Scene(people_per_minute=RATE, light=light, height=pole[0], tilt=pole[1], turn=pole[2])
        street = Street(scene, HELD_OUT_SEEDS + SEED + number, width=640)
        for k in range(slices):
            truth = street.render(60.0 + STEP_SECONDS * k, None, small)
            wanted = [person for person in truth if asked(person)]
            for name, detector in detectors.items():
                persons = reckoned(Seen(*detector.look(small), truth)).persons.tolist()
                out[name] += [
                    Someone(number, height, score >= detector.threshold, _groups(person, light))
                    for person, (height, score) in zip(wanted, persons, strict=True)
                ]
    return out


def _groups(person: PersonTruth, light: str) -> tuple[tuple[str, str], ...]:
    return (
        ("sex", person.sex),
        ("age", person.age),
        ("skin", TONES[person.skin]),
        ("mask", person.mask),
        ("sex x age", f"{person.sex} {person.age}"),
        ("light", light),
    )


def recall(people: Sequence[Someone]) -> float:
    """Return the share found; nan of nobody."""
    return float(np.mean([one.found for one in people])) if people else float("nan")


def at_equal_heights(people: Sequence[Someone], everybody: Sequence[Someone]) -> float:
    """Return the share that would be found if these people were spread over the heights as everybody is."""
    total, weight = 0.0, 0
    for low, high in HEIGHTS:
        here = [one for one in people if low <= one.height < high]
        share = sum(low <= one.height < high for one in everybody)
        if here and share:
            total, weight = total + recall(here) * share, weight + share
    return total / weight if weight else float("nan")


def _by_street(people: Sequence[Someone], figure: Callable[[list[Someone]], float]) -> tuple[float, float]:
    streets: dict[int, list[Someone]] = {}
    for one in people:
        streets.setdefault(one.street, []).append(one)
    return interval(list(streets.values()), lambda some: figure([one for block in some for one in block]), draws=200)


def report(people: Sequence[Someone]) -> list[dict[str, table.Cell]]:
    """Return a row for each value of each group; the gap is to everybody, at equal heights."""
    rows: list[dict[str, table.Cell]] = []
    whole = recall(people)
    kinds = dict.fromkeys(pair for one in people for pair in sorted(one.groups))
    for kind, value in sorted(kinds):
        chosen = [one for one in people if (kind, value) in one.groups]
        low, high = _by_street(chosen, recall)
        level = at_equal_heights(chosen, people)
        rows.append(
            {"group": kind, "value": value, "persons": len(chosen), "recall": recall(chosen), "5 %": low, "95 %": high,
             "at equal heights": level, "gap": level - whole}
        )  # fmt: skip
    return rows


def widest(rows: Sequence[table.Row]) -> list[dict[str, table.Cell]]:
    """Return, for each group, how far apart its best and its worst value lie at equal heights."""
    out: list[dict[str, table.Cell]] = []
    for kind in dict.fromkeys(str(row["group"]) for row in rows):
        here = sorted((r for r in rows if r["group"] == kind), key=lambda r: float(r["at equal heights"]))
        out.append(
            {"group": kind, "worst": str(here[0]["value"]), "best": str(here[-1]["value"]),
             "gap": float(here[-1]["at equal heights"]) - float(here[0]["at equal heights"])}
        )  # fmt: skip
    return out
