"""``python -m tools.evaluate --models models``: a table of how well the detector counts.

Knows:  suites of held-out streets.
Never:  a file of pictures.
Leaves: text.
Clauses: 4.2(2), 6.1(3).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from tools.evaluate.measure import Detector, Seen, average_precision, counts, fleeting, occupancy_error, recalls
from tools.street.scene import Scene
from tools.street.street import Street

HELD_OUT_SEEDS = 900_000
SMALL_BYTES = 640 * 360 * 3 // 2
POLES = ((4.0, 30.0, 12.0), (3.4, 24.0, -20.0), (4.6, 38.0, 5.0), (4.0, 50.0, -8.0))
"""Height (m), tilt and turn (degrees) of each."""

SUITES: dict[str, Scene] = {
    "day": Scene(),
    "dusk": Scene(light="dusk"),
    "night": Scene(light="night"),
    "infrared": Scene(light="night", infrared=True),
    "rain": Scene(rain=True),
    "empty": Scene(people_per_minute=0, cars_per_minute=5, dogs_per_minute=2, trees=2),
}
RATES = (6.0, 20.0, 60.0)


def streets_of(name: str, detector: Detector, slices: int, first: int) -> list[list[Seen]]:
    """Run the detector over a suite: every pole at every rate (an empty street has one), ``slices`` each, 3 s apart."""
    base = SUITES[name]
    rates = RATES if base.people_per_minute else (0.0,)
    small = np.empty(SMALL_BYTES, np.uint8)
    out = []
    for number, (pole, rate) in enumerate((pole, rate) for pole in POLES for rate in rates):
        scene = replace(base, people_per_minute=rate, height=pole[0], tilt=pole[1], turn=pole[2])
        street = Street(scene, HELD_OUT_SEEDS + first + number)
        seen = []
        for k in range(slices):
            truth = street.render(10.0 + 3 * k, None, small)
            seen.append(Seen(*detector.look(small), truth))
        out.append(seen)
    return out


def report(name: str, streets: list[list[Seen]], threshold: float) -> str:
    """Return one line a suite."""
    every = [seen for street in streets for seen in street]
    found, there = counts(every, threshold)
    if not there.any():
        moving = np.mean([fleeting(street, threshold) for street in streets])
        return (
            f"{name:9} {len(every):5} slices  false persons a slice {found.mean():.4f},"
            f" {moving:.4f} besides what stands at one place"
        )
    mae, bias = occupancy_error(streets, threshold)
    bands = "  ".join(f"{band}: {share:.2f} ({n})" for band, n, share in recalls(every, threshold))
    return (
        f"{name:9} {len(every):5} slices  AP50 {average_precision(every):.3f}"
        f"  occupancy MAE {mae:6.1%} bias {bias:+6.1%}"
        f"  a slice MAE {np.abs(found - there).mean():.2f} of {there.mean():.1f}  recall by height {bands}"
    )


def main() -> None:
    """Read the command line, print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--suite", choices=sorted(SUITES), action="append")
    parser.add_argument("--slices", type=int, default=12, help="slices a street")
    parser.add_argument("--threshold", type=float, help="another threshold than the manifest's")
    parser.add_argument("--seed", type=int, default=5_000)
    asked = parser.parse_args()
    detector = Detector(asked.models)
    threshold = asked.threshold or detector.threshold
    print(f"threshold {threshold}")
    for name in asked.suite or SUITES:
        print(report(name, streets_of(name, detector, asked.slices, asked.seed), threshold), flush=True)
    spent = np.array(detector.milliseconds[5:])
    print(f"one inference, 1 thread: median {np.median(spent):.2f} ms, p90 {np.percentile(spent, 90):.2f} ms")


if __name__ == "__main__":
    main()
