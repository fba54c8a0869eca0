"""``python -m tools.evaluate streets | anchors | reproduce``: how well a detector counts, as tables and charts.

Knows:  which figures there are and what each needs.
Never:  a figure of its own.
Leaves: text; with ``--out``, Markdown, CSV and PNG.
Clauses: 4.2(2), 6.1(3).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from firmware.drivers.model_manifest import read_manifest
from tools.evaluate import anchors, drawn, figures, table
from tools.evaluate.contender import contenders
from tools.evaluate.drawn import SUITES, streets_of
from tools.evaluate.measure import Detector, Seen, average_precision, counts, fleeting, occupancy_error, recalls
from tools.evaluate.pictures import as_set, held_out_sets, read_coco


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


def streets(asked: argparse.Namespace) -> None:
    """Print the table of held-out streets for one of our models."""
    detector = Detector(asked.models[0])
    threshold = asked.threshold or detector.threshold
    print(f"threshold {threshold}")
    for name in asked.suite or SUITES:
        print(report(name, streets_of(name, detector, asked.slices, asked.seed), threshold), flush=True)
    spent = np.array(detector.milliseconds[5:])
    print(f"one inference, 1 thread: median {np.median(spent):.2f} ms, p90 {np.percentile(spent, 90):.2f} ms")


def beside_anchors(asked: argparse.Namespace) -> None:
    """Print and save the comparison with other files."""
    runners, left = contenders(asked.models, asked.anchors)
    for line in left:
        print(f"left out: {line}")
    sets = [] if asked.data is None else held_out_sets(asked.data)
    for spec in asked.set:
        name, _, rest = spec.partition("=")
        annotations, _, images = rest.partition(":")
        sets.append(as_set(name, read_coco(Path(annotations), Path(images))))
    sets += [drawn.as_set(name, asked.slices, asked.seed) for name in asked.suite or ()]
    rows = anchors.compare(runners, sets, asked.out)
    fast = anchors.speeds(runners, asked.rounds)
    print(table.text(fast))
    if asked.out is not None:
        table.save(rows, asked.out, "anchors")
        table.save(fast, asked.out, "speed")
        anchors.draw(rows, fast, asked.out)


def reproduce(asked: argparse.Namespace) -> None:
    """Measure again what the manifest states of each detector; fails if a figure does not come out again."""
    wrong = 0
    for directory in asked.models:
        for entry in read_manifest(directory).model:
            if entry.task != "persons":
                continue
            if asked.short:
                plain = Detector(directory, entry, reference=True)
                again = figures.short(plain, plain.threshold)
            else:
                again = figures.measured(directory, entry=entry)
            found = figures.checks(entry.measured, again)
            rows = [
                {"model": entry.file, "figure": c.name, "stated": c.stated, "measured": c.measured,
                 "tolerance": c.tolerance, "": "" if c.holds else "DOES NOT HOLD"}
                for c in found
            ]  # fmt: skip
            print(table.text(rows), flush=True)
            wrong += sum(not c.holds for c in found)
    if wrong:
        raise SystemExit(f"{wrong} figures do not hold")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    whole = argparse.ArgumentParser(prog="python -m tools.evaluate", description=__doc__)
    tasks = whole.add_subparsers(required=True, metavar="WHAT")
    for name, work in (("streets", streets), ("anchors", beside_anchors), ("reproduce", reproduce)):
        task = tasks.add_parser(name, description=work.__doc__)
        task.set_defaults(work=work)
        task.add_argument("--models", type=Path, action="append", help="directory with a MANIFEST.toml; repeatable")
        if name == "reproduce":
            task.add_argument("--short", action="store_true", help="seconds instead of minutes: the fingerprint only")
            continue
        task.add_argument("--suite", choices=sorted(SUITES), action="append", help="held-out drawn streets")
        task.add_argument("--slices", type=int, default=12, help="slices a street")
        task.add_argument("--seed", type=int, default=figures.MEASURING_SEED)
        task.add_argument("--out", type=Path, help="folder for Markdown, CSV and PNG")
        if name == "streets":
            task.add_argument("--threshold", type=float, help="another threshold than the manifest's")
            continue
        task.add_argument("--anchors", type=Path, help="a TFLite file, or a folder of them")
        task.add_argument("--data", type=Path, help="a training folder: what training holds out, by source")
        task.add_argument("--set", action="append", default=[], metavar="NAME=ANNOTATIONS:IMAGES", help="a COCO set")
        task.add_argument("--rounds", type=int, default=40, help="timed calls of each model, in turn")
    return whole


def main() -> None:
    """Read the command line and do it."""
    asked = parser().parse_args()
    asked.models = asked.models or [Path("models")]
    asked.work(asked)


if __name__ == "__main__":
    main()
