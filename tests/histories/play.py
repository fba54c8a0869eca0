"""Histories by the million: a seeded driver that says which seed and step broke.

python -m tests.histories SEED STEPS
"""

from __future__ import annotations

import asyncio
import gc
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.histories.rules import RULES, WEIGHTS, Thing, step
from tests.histories.world import World, lean

STEPS_A_WORLD = 120
_NAMES = tuple(RULES)
_WEIGHTS = tuple(WEIGHTS.values())


class Dice:
    """Choices by a seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a history is no secret

    def number(self, least: int, most: int) -> int:
        return self.random.randint(least, most)

    def pick(self, things: Sequence[Thing]) -> Thing:
        return things[int(self.random.random() * len(things))]

    def chance(self, percent: int) -> bool:
        return self.random.random() * 100 < percent


@dataclass
class Tally:
    """What was played."""

    steps: int = 0
    worlds: int = 0
    crashes: int = 0
    bundles: int = 0
    acts: int = 0
    refusals: int = 0
    holds: int = 0
    recorded: int = 0
    erased: int = 0
    names: dict[str, int] = field(default_factory=dict)

    def add(self, world: World) -> None:
        model = world.model
        self.worlds += 1
        self.crashes += world.crashes
        self.bundles += model.bundles
        self.acts += model.acts
        self.refusals += world.refusals
        self.holds += len(model.holds)
        self.recorded += len(model.recorded)
        self.erased += len(model.erased & model.recorded)


class BrokenHistoryError(AssertionError):
    """A history that broke a promise; the text says how to see it again."""


async def play(seed: int, number: int, steps: int, tally: Tally) -> None:
    """Play world ``number`` of ``seed``. Raises :class:`BrokenHistoryError`."""
    dice = Dice(f"{seed}/{number}")
    folder = Path(tempfile.mkdtemp(prefix="history-", dir="/dev/shm"))
    world, name, at = World(folder), "begin", 0
    try:
        await world.begin()
        for at in range(1, steps + 1):  # noqa: B007 - told where it breaks
            name = dice.random.choices(_NAMES, _WEIGHTS)[0]
            await step(world, name, dice)
            tally.names[name] = tally.names.get(name, 0) + 1
            tally.steps += 1
        await world.check_all()
    except Exception as error:  # any fault: it goes on, with the history that leads to it
        message = f"seed {seed}, world {number}, step {at} ({name}): {type(error).__name__}: {error}"
        raise BrokenHistoryError(message) from error
    finally:
        shutil.rmtree(folder)
        tally.add(world)


async def play_many(seed: int, steps: int, *, first: int = 0, say_every: int = 0) -> Tally:
    """Play worlds of ``seed`` from number ``first`` on until ``steps`` are done."""
    tally, begun, said = Tally(), time.monotonic(), 0
    gc.freeze()
    gc.disable()  # worlds are thrown away whole
    with lean():
        while tally.steps < steps:
            await play(seed, first + tally.worlds, min(STEPS_A_WORLD, steps - tally.steps), tally)
            if tally.worlds % 25 == 0:
                gc.collect()
            if say_every and tally.steps // say_every > said:
                said = tally.steps // say_every
                print(f"{time.monotonic() - begun:.0f} s, {time.process_time():.0f} s of a core: {tally}", flush=True)
    gc.enable()
    return tally


def main() -> None:
    seed, steps, first = (int(word) for word in (*sys.argv[1:], "0")[:3])
    tally = asyncio.run(play_many(seed, steps, first=first, say_every=10_000))
    print(f"done, seed {seed}: {tally}", flush=True)
