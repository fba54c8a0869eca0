"""6.1(3): a record is made of cross-sections in time. Shuffle a minute's slices and not a byte changes.

The same test must fail for a tally that follows people, or it would prove nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec

from firmware.flow.disclosure import protect, protect_tile
from firmware.flow.record import CATEGORIES, Dimension
from firmware.flow.settings import FlowSettings
from firmware.flow.slice import SliceCounts
from firmware.flow.tally import MinuteTally, TileTally
from firmware.ground.clock import MinuteNumber
from tests.clauses.mutants.tracker import NearestNeighbourTracker, Positions

SHUFFLES = 500
SETTINGS = FlowSettings(attributes=tuple(Dimension), window_minutes=1)
MINUTE = MinuteNumber(29_923_296)


def walkers(seed: int, *, per_second: float, seconds: int = 60) -> list[Positions]:
    """Return where people are, second by second: each crosses the view in a line."""
    dice = random.Random(seed)  # noqa: S311 - a simulated street
    people = [
        (dice.uniform(-10, seconds), dice.uniform(5, 12), dice.uniform(0, 1))
        for _ in range(round(per_second * (seconds + 10)))
    ]
    return [
        [((second - start) / stay, lane) for start, stay, lane in people if start <= second < start + stay]
        for second in range(seconds)
    ]


def as_slice(positions: Positions) -> SliceCounts:
    """Counts as a counter would give them; the attributes hang on the lane, so that they are not all alike."""
    split = {}
    for dimension in Dimension:
        counts = [0] * len(CATEGORIES[dimension])
        for _, lane in positions[:64]:
            counts[int(lane * len(counts)) % len(counts)] += 1
        split[dimension.value] = tuple(counts)
    return SliceCounts(min(len(positions), 64), **split)


def record_of(slices: Sequence[Positions]) -> bytes:
    rules = SETTINGS.rules()
    minute, tile = MinuteTally(rules.planned), TileTally(rules.dimensions, rules.k_attr)
    for positions in slices:
        minute.add(as_slice(positions))
        tile.add(as_slice(positions))
    told = (protect(minute, MINUTE, rules), protect_tile(tile, MINUTE, rules))
    return msgspec.json.encode([msgspec.to_builtins(record, str_keys=True) for record in told])


def tracked(slices: Sequence[Positions]) -> bytes:
    tracker = NearestNeighbourTracker()
    for positions in slices:
        tracker.add(positions)
    return tracker.record()


def shuffles_that_change(record: Callable[[Sequence[Positions]], bytes], slices: list[Positions]) -> int:
    dice, before, changed = random.Random(4), record(slices), 0  # noqa: S311 - a simulated street
    for _ in range(SHUFFLES):
        shuffled = slices[:]
        dice.shuffle(shuffled)
        changed += record(shuffled) != before
    return changed


def test_no_shuffle_changes_a_byte() -> None:
    for seed, per_second in ((1, 0.1), (2, 2.0)):
        assert shuffles_that_change(record_of, walkers(seed, per_second=per_second)) == 0


def test_the_record_is_not_simply_constant() -> None:
    busy, quiet = record_of(walkers(2, per_second=2.0)), record_of(walkers(1, per_second=0.1))
    assert busy != quiet
    assert b"female" in busy


def test_a_tracker_fails_this_test() -> None:
    assert shuffles_that_change(tracked, walkers(2, per_second=0.4)) > 0.95 * SHUFFLES


def test_there_is_nowhere_to_keep_an_order() -> None:
    """The tallies hold histograms and one number, and nothing else."""
    rules = SETTINGS.rules()
    minute, tile = MinuteTally(rules.planned), TileTally(rules.dimensions, rules.k_attr)
    for tally in (minute, tile, minute.persons):
        assert not hasattr(tally, "__dict__")
    assert MinuteTally.__slots__ == ("_planned", "persons")
    assert TileTally.__slots__ == ("_k_attr", "_of", "persons", "slices")
