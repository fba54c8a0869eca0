"""6.2(3): laying records side by side must not follow anybody. Twelve poles, forty metres apart, at night.

A walker passes them all. The attacker has every pole's records of the hour, knows the rule and when somebody walked,
and must say in which direction. From unsuppressed counts he is right nearly always; from what this firmware publishes
he has to toss a coin, because not one byte depends on the walker.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

import msgspec

from firmware.flow.disclosure import protect
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from firmware.flow.tally import MinuteTally
from firmware.ground.clock import MinuteNumber

POLES, METRES, SECONDS_IN_VIEW, MINUTES = 12, 40.0, 8, 12
RULES = FlowSettings().rules()
START = 29_923_260

Publish = Callable[[MinuteTally, MinuteNumber], bytes]


def by_the_rule(tally: MinuteTally, minute: MinuteNumber) -> bytes:
    return msgspec.json.encode(protect(tally, minute, RULES))


def unsuppressed(tally: MinuteTally, minute: MinuteNumber) -> bytes:
    return msgspec.json.encode({"minute": minute, "person_seconds": tally.persons.person_slices})


def walk(dice: random.Random, people: int, publish: Publish, *, noise: float) -> tuple[int, list[list[bytes]]]:
    """Return the direction (+1, -1) and each pole's records of the hour's first twelve minutes."""
    direction, start, speed = dice.choice((-1, 1)), dice.uniform(0, 120), dice.uniform(1.1, 1.5)
    records = []
    quiet = [_empty(publish, minute) for minute in range(MINUTES)]
    for pole in range(POLES):
        metres = pole * METRES if direction > 0 else (POLES - 1 - pole) * METRES
        arrives = start + metres / speed
        by_minute = []
        for minute in range(MINUTES):
            if not noise and (people == 0 or not 60 * minute - SECONDS_IN_VIEW < arrives < 60 * minute + 60):
                by_minute.append(quiet[minute])
                continue
            tally = MinuteTally(RULES.planned)
            for second in range(60):
                now = 60 * minute + second
                seen = sum(dice.random() > noise for _ in range(people)) if 0 <= now - arrives < SECONDS_IN_VIEW else 0
                tally.add(SliceCounts(seen + (dice.random() < noise / 10)))
            by_minute.append(publish(tally, MinuteNumber(START + minute)))
        records.append(by_minute)
    return direction, records


@functools.cache
def _empty(publish: Publish, minute: int) -> bytes:
    tally = MinuteTally(RULES.planned)
    for _ in range(60):
        tally.add(SliceCounts(0))
    return publish(tally, MinuteNumber(START + minute))


def guess(dice: random.Random, records: list[list[bytes]]) -> int:
    """Where do a pole's records differ most from what the other poles told in that minute? Do those minutes rise?"""
    found = []
    for pole, by_minute in enumerate(records):
        for minute, record in enumerate(by_minute):
            if sum(other[minute] == record for other in records) <= POLES // 2:
                found.append((pole, minute))
    middle = sum(pole for pole, _ in found) / max(len(found), 1)
    late = sum(minute for _, minute in found) / max(len(found), 1)
    slope = sum((pole - middle) * (minute - late) for pole, minute in found)
    return dice.choice((-1, 1)) if slope == 0 else (1 if slope > 0 else -1)


def right_guesses(people: int, publish: Publish, *, noise: float, walks: int) -> float:
    dice = random.Random(people * 7 + 1)  # noqa: S311 - a simulated street
    right = 0
    for _ in range(walks):
        direction, records = walk(dice, people, publish, noise=noise)
        right += guess(dice, records) == direction
    return right / walks


def test_a_lone_walker_is_found_in_unsuppressed_counts() -> None:
    assert right_guesses(1, unsuppressed, noise=0.0, walks=60) > 0.95


def test_a_lone_walker_or_a_pair_is_at_chance_in_what_is_published() -> None:
    for people in (1, 2):
        share = right_guesses(people, by_the_rule, noise=0.0, walks=120)
        assert abs(share - 0.5) < 4 * (0.25 / 120) ** 0.5


def test_a_real_detectors_misses_and_false_alarms_change_nothing() -> None:
    share = right_guesses(2, by_the_rule, noise=0.1, walks=25)
    assert abs(share - 0.5) < 4 * (0.25 / 25) ** 0.5


def test_not_one_byte_depends_on_the_walker() -> None:
    dice = random.Random(9)  # noqa: S311 - a simulated street
    _, empty = walk(dice, 0, by_the_rule, noise=0.0)
    for people in (1, 2):
        _, records = walk(dice, people, by_the_rule, noise=0.0)
        assert records == empty
