"""Streets on which nobody ever walks: how often a pole says that somebody does.

Knows:  hours of held-out streets full of what looks like somebody; commissioning as an installer does it.
Never:  a person; slices of one street taken for independent.
Leaves: false persons an hour, minutes published falsely, and the bounds that so many streets allow.
Clauses: 6.2(2) (a minute of nobody must not open).

A street is commissioned first: whatever is taken for a person in half of the slices or more gets an ignore polygon, as
``flow.toml`` has them. Then it is watched for the minutes that are measured, counted both as found and with polygons.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware.flow.disclosure import Rules
from firmware.flow.region import Polygon, mask
from tools.evaluate import table
from tools.evaluate.bootstrap import interval, never_seen
from tools.evaluate.cores import spread
from tools.evaluate.drawn import HELD_OUT_SEEDS, SMALL_BYTES
from tools.evaluate.measure import Detector, detectors
from tools.evaluate.minutes import SLICES, published, rules
from tools.evaluate.score import Floats, overlaps
from tools.street.scene import Scene
from tools.street.street import Street

SEED = 60_000
COMMISSIONING_SLICES, COMMISSIONING_STEP = 60, 5.0
"""A slice every five seconds for five minutes."""

STANDS = 0.5
"""Share of commissioning slices in which something at one place is taken for a person, from which it is drawn out."""

MARGIN = 4.0
"""Pixels by which an ignore polygon reaches beyond the boxes, each side."""

BLOCK = 10
"""Slices that are drawn again together."""

MADE_UP = 30_000
"""Minutes made up of redrawn blocks."""

Tell = Callable[[str], None]


def scene_of(rng: np.random.Generator) -> Scene:
    """Draw an empty street: any light and weather, trees, cars, dogs, posts; statues, posters, reflections often."""
    light = str(rng.choice(["day", "dusk", "night"], p=[0.5, 0.2, 0.3]))
    return Scene(
        people_per_minute=0,
        light=light,
        rain=bool(rng.random() < 0.25),
        infrared=bool(light == "night" and rng.random() < 0.5),
        height=float(rng.uniform(3.0, 5.0)),
        tilt=float(rng.uniform(20, 55)),
        view=float(rng.uniform(58, 88)),
        turn=float(rng.uniform(-35, 35)),
        plaza=bool(rng.random() < 0.2),
        cars_per_minute=float(rng.uniform(1, 8)),
        dogs_per_minute=float(rng.uniform(0.2, 3)),
        parked_cars=int(rng.integers(0, 3)),
        trees=int(rng.integers(0, 4)),
        posts=int(rng.integers(0, 5)),
        statues=int(rng.random() < 0.3),
        posters=int(rng.choice([0, 1, 2], p=[0.6, 0.25, 0.15])),
        reflections=bool(rng.random() < 0.35),
    )


@dataclass(frozen=True, slots=True)
class Deserted:
    """One street: false persons a slice, as found and outside the polygons; how many polygons there were."""

    scene: Scene
    found: tuple[int, ...]
    kept: tuple[int, ...]
    polygons: int


def standing(boxes: Sequence[Floats]) -> list[Polygon]:
    """Return a polygon around each place where a box stands in enough of these slices."""
    every = np.concatenate([*boxes, np.zeros((0, 4), np.float32)])
    out: list[Polygon] = []
    fresh = np.ones(len(every), np.bool_)
    for k in range(len(every)):
        if not fresh[k]:
            continue
        same = overlaps(every[k : k + 1], every)[0][0] >= 0.5
        slices = sum(bool((overlaps(every[k : k + 1], one)[0] >= 0.5).any()) for one in boxes if len(one))
        if slices < STANDS * len(boxes):
            continue
        fresh &= ~same
        around = np.concatenate([every[same][:, :2].min(axis=0) - MARGIN, every[same][:, 2:].max(axis=0) + MARGIN])
        left, top, right, bottom = (float(edge) for edge in np.clip(around / [640, 360, 640, 360], 0, 1))
        out.append(((left, top), (right, top), (right, bottom), (left, bottom)))
    return out


def outside(boxes: Floats, counted: npt.NDArray[np.bool_]) -> int:
    """Return how many boxes have their foot point (middle of the lower edge) where ``counted`` (360, 640) is True."""
    across = np.clip((boxes[:, 0] + boxes[:, 2]) / 2, 0, 639).astype(int)
    down = np.clip(boxes[:, 3], 0, 359).astype(int)
    return int(counted[down, across].sum())


def watch(with_all: Mapping[str, Detector], seed: int, minutes: int) -> dict[str, Deserted]:
    """Commission a street, then watch it for ``minutes``, with every detector; drawn once for all of them."""
    scene = scene_of(np.random.default_rng([seed, 66]))
    street, small = Street(scene, HELD_OUT_SEEDS + seed, width=640), np.empty(SMALL_BYTES, np.uint8)

    def look(seconds: float) -> list[Floats]:
        assert street.render(seconds, None, small) == ()
        return [found[0][found[1] >= detector.threshold] for detector in with_all.values()
                for found in (detector.look(small),)]  # fmt: skip

    first = [look(5.0 + COMMISSIONING_STEP * k) for k in range(COMMISSIONING_SLICES)]
    later = 10.0 + COMMISSIONING_STEP * COMMISSIONING_SLICES
    then = [look(later + k) for k in range(minutes * SLICES)]
    out = {}
    for name, commissioning, boxes in zip(with_all, zip(*first, strict=True), zip(*then, strict=True), strict=True):
        polygons = standing(commissioning)
        counted = mask(360, 640, (), tuple(polygons))
        kept = tuple(outside(one, counted) for one in boxes)
        out[name] = Deserted(scene, tuple(map(len, boxes)), kept, len(polygons))
    return out


def _watch(task: tuple[Sequence[Path], int, int]) -> dict[str, Deserted]:
    return watch(detectors(task[0]), *task[1:])


def watch_all(
    models: Sequence[Path], streets: int, minutes: int, cores: int = 1, tell: Tell = print
) -> dict[str, list[Deserted]]:
    """Watch many streets with every detector of these directories; tell how far it is."""
    tasks = [(models, SEED + number, minutes) for number in range(streets)]
    out: dict[str, list[Deserted]] = defaultdict(list)
    for done, watched in enumerate(spread(_watch, tasks, cores), start=1):
        for name, one in watched.items():
            out[name].append(one)
        if done % 10 == 0:
            tell(f"{done} of {streets} empty streets")
    return out


def _opened(street: Sequence[int], under: Rules) -> int:
    minutes = [street[k : k + SLICES] for k in range(0, len(street), SLICES)]
    return sum(published(minute, under) for minute in minutes)


def made_up(street: Sequence[int], under: Rules, minutes: int, seed: int = 1) -> float:
    """Return the share published of minutes made of blocks drawn again from one street."""
    blocks = np.array(street).reshape(-1, BLOCK)
    places = np.random.default_rng(seed).integers(0, len(blocks), (minutes, SLICES // BLOCK))
    slices = blocks[places].reshape(minutes, SLICES)
    enough = (slices >= under.k_total).sum(axis=1) >= under.peak_rank  # as protect() decides; a test compares the two
    return float(enough.mean())


def figures(streets: Sequence[Sequence[int]], under: Rules) -> dict[str, float]:
    """Return the figures of many empty streets."""
    slices = sum(len(street) for street in streets)
    minutes = slices // SLICES
    opened = [_opened(street, under) for street in streets]
    again = [made_up(street, under, -(-MADE_UP // len(streets)), seed) for seed, street in enumerate(streets)]
    rate = [float(np.mean(street)) for street in streets]
    quiet = sum(opened) == 0
    return {
        "streets": len(streets),
        "minutes": minutes,
        "false persons an hour": float(np.mean(rate)) * 3600,
        "95 %": interval(rate, lambda some: float(np.mean(some)))[1] * 3600,
        "slices with k or more": sum(n >= under.k_total for street in streets for n in street) / slices,
        "minutes published": sum(opened) / minutes,
        "made-up minutes published": float(np.mean(again)),
        "its 95 % bound, streets redrawn": interval(again, lambda some: float(np.mean(some)))[1],
        "bound of none, minutes apart": never_seen(minutes) if quiet else float("nan"),
        "bound of none, streets apart": never_seen(len(streets)) if quiet else float("nan"),
    }


def report(watched: Sequence[Deserted]) -> list[dict[str, table.Cell]]:
    """Return rows: as found and after commissioning, of all streets and of those with and without likenesses."""
    rows: list[dict[str, table.Cell]] = []
    groups = {
        "all": list(watched),
        "with statue or poster": [w for w in watched if w.scene.statues or w.scene.posters],
        "without": [w for w in watched if not (w.scene.statues or w.scene.posters)],
    }
    for name, chosen in groups.items():
        if chosen:
            rows.append({"streets are": name, "counted": "as found", **figures([w.found for w in chosen], rules())})
            rows.append({"streets are": name, "counted": "commissioned", **figures([w.kept for w in chosen], rules())})
    return rows
