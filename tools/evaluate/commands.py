"""What each word of the command line does.

Knows:  the parts; where rows and charts go.
Never:  a figure of its own.
Leaves: text on standard output; with a folder, Markdown, CSV and PNG.
Clauses: 4.2(2), 6.1(3).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from firmware.drivers.model_manifest import read_manifest
from tools.evaluate import (
    anchors,
    attributes,
    chart,
    counting,
    drawn,
    empty,
    figures,
    groups,
    minutes,
    outbox,
    page,
    robust,
    table,
)
from tools.evaluate.contender import Contender, contenders
from tools.evaluate.drawn import SUITES, streets_of
from tools.evaluate.measure import (
    Detector,
    Seen,
    average_precision,
    counts,
    detectors,
    fleeting,
    occupancy_error,
    recalls,
)
from tools.evaluate.pictures import as_set, held_out_sets, read_coco


def show(rows: Sequence[table.Row], out: Path | None, name: str) -> None:
    """Print rows; save them where a folder is given."""
    print(table.text(rows) + "\n", flush=True)
    if out is not None:
        table.save(rows, out, name)


def streets(asked: argparse.Namespace) -> None:
    """AP50, counting error and recall of our detectors over held-out streets."""
    for name, detector in detectors(asked.models).items():
        threshold = asked.threshold or detector.threshold
        print(f"{name}, threshold {threshold}")
        for suite in asked.suite or SUITES:
            print(_suite(suite, streets_of(suite, detector, asked.slices, asked.seed), threshold), flush=True)


def _suite(name: str, watched: list[list[Seen]], threshold: float) -> str:
    every = [seen for street in watched for seen in street]
    found, there = counts(every, threshold)
    if not there.any():
        moving = np.mean([fleeting(street, threshold) for street in watched])
        return (
            f"{name:9} {len(every):5} slices  false persons a slice {found.mean():.4f},"
            f" {moving:.4f} besides what stands at one place"
        )
    mae, bias = occupancy_error(watched, threshold)
    bands = "  ".join(f"{band}: {share:.2f} ({n})" for band, n, share in recalls(every, threshold))
    return (
        f"{name:9} {len(every):5} slices  AP50 {average_precision(every):.3f}"
        f"  occupancy MAE {mae:6.1%} bias {bias:+6.1%}"
        f"  a slice MAE {np.abs(found - there).mean():.2f} of {there.mean():.1f}  recall by height {bands}"
    )


def _opened(asked: argparse.Namespace) -> list[Contender]:
    runners, left = contenders(asked.models, asked.anchors)
    for line in left:
        print(f"left out: {line}")
    return runners


def beside_anchors(asked: argparse.Namespace) -> None:
    """Ours and any other detector on the same pictures, in one run."""
    runners = _opened(asked)
    sets = [] if asked.data is None else held_out_sets(asked.data)
    for spec in asked.set:
        name, _, rest = spec.partition("=")
        annotations, _, images = rest.partition(":")
        sets.append(as_set(name, read_coco(Path(annotations), Path(images))))
    sets += [drawn.as_set(name, asked.slices, asked.seed) for name in asked.suite or ()]
    rows, gaps = anchors.compare(runners, sets, asked.out)
    if asked.out is not None:
        table.save(rows, asked.out, "anchors")
    if gaps:
        show(gaps, asked.out, "differences")
    fast = anchors.speeds(runners, asked.rounds)
    show(fast, asked.out, "speed")
    if asked.out is not None:
        anchors.draw(rows, fast, asked.out)


def reproduce(asked: argparse.Namespace) -> None:
    """Measure again what the manifest states of each model; fails if a figure does not come out again."""
    wrong = 0
    for directory in asked.models:
        for entry in read_manifest(directory).model:
            if entry.task == "attributes":
                again = figures.short_attributes(directory)
            elif asked.short:
                plain = Detector(directory, entry, reference=True)
                again = figures.short(plain, plain.threshold)
            else:
                again = figures.measured(directory, entry=entry)
            found = figures.checks(entry.measured, again)
            rows: list[dict[str, table.Cell]] = [
                {"model": entry.file, "figure": c.name, "stated": c.stated, "measured": c.measured,
                 "tolerance": c.tolerance, "": "" if c.holds else "DOES NOT HOLD"}
                for c in found
            ]  # fmt: skip
            print(table.text(rows), flush=True)
            wrong += sum(not c.holds for c in found)
    if wrong:
        raise SystemExit(f"{wrong} figures do not hold")


def robustness(asked: argparse.Namespace) -> None:
    """Show one crowd at night, in rain, in infrared, blurred, shaken, noisy, and at 15 to 60 degrees of tilt."""
    runners = _opened(asked)
    sets = [robust.as_set(name, asked.slices) for name in asked.condition or robust.CONDITIONS]
    rows, _ = anchors.compare(runners, sets, None, lambda _: None)
    columns = ("set", "model", "persons", "AP50", "recall", "precision", "count MAE", "count bias")
    show([{name: row[name] for name in columns} for row in rows], asked.out, "robust")
    if asked.out is not None:
        anchors.draw_sets(rows, asked.out, (("AP50", "robust-ap50"), ("recall", "robust-recall")))


def simulated_counting(asked: argparse.Namespace) -> None:
    """Mean occupancy on streets of 1 to 60 people a minute, by day, at night and in rain."""
    for name, watched in counting.watch_all(asked.models, asked.minutes, asked.streets, asked.cores).items():
        rows = [{"model": name, **row} for row in counting.report(watched)]
        show(rows, asked.out, f"counting-{name}")
        words = ", ".join(f"{key} = {value}" for key, value in counting.constants(watched).items())
        print(f"of {name}, for flow.toml of such streets: {words}\n")
        if asked.out is not None:
            counting.draw(rows, asked.out, name)


def told_minutes(asked: argparse.Namespace) -> None:
    """Minutes of a rendered video, or of a whole pole's outbox, against the video's truth."""
    if asked.state is not None:
        print("\n".join(outbox.compare(outbox.told_minutes(asked.state), json.loads(asked.truth.read_text()))))
        return
    rows: list[dict[str, table.Cell]] = [
        {"model": name, **minutes.summary(minutes.of_video(detector, asked.video, asked.truth), minutes.rules())}
        for name, detector in detectors(asked.models).items()
    ]
    show(rows, asked.out, "minutes")


def empty_streets(asked: argparse.Namespace) -> None:
    """Hours of streets with nobody, full of what looks like somebody."""
    each = max(1, round(asked.hours * 60 / asked.streets))
    for name, watched in empty.watch_all(asked.models, asked.streets, each, asked.cores).items():
        show([{"model": name, **row} for row in empty.report(watched)], asked.out, f"empty-{name}")


def by_group(asked: argparse.Namespace) -> None:
    """Recall by sex, age band and skin tone of drawn persons."""
    for name, people in groups.watch(detectors(asked.models), asked.streets, asked.slices).items():
        print(name)
        rows = groups.report(people)
        show(rows, asked.out, f"groups-{name}")
        show(groups.widest(rows), asked.out, f"gaps-{name}")


def heads(asked: argparse.Namespace) -> None:
    """Sex, age band and mask of held-out drawn people and, with a training folder, of held-out faces."""
    for directory in asked.models:
        estimator = attributes.Estimator(directory)
        detector = Detector(directory)
        bodies = list(attributes.of_streets(detector, estimator.minimum_height, asked.streets, asked.slices))
        if asked.data is not None:
            bodies += [*attributes.of_masks(asked.data), *attributes.of_faces(asked.data)]
        every = attributes.answers(estimator, bodies)
        show(attributes.report(every, estimator.confidence), asked.out, "attributes")
        show(attributes.gaps(every, estimator.confidence), asked.out, "attribute-gaps")
        for dimension in estimator.confidence if asked.out is not None else ():
            curves = {
                one.source: attributes.risk_coverage(one.scores, one.truth)
                for one in every
                if one.dimension == dimension
            }
            title = f"{dimension.value}: share wrong of the answered, by share answered"
            chart.curves(asked.out / f"risk-{dimension.value}.png", title, curves, across="share answered")


def write_page(asked: argparse.Namespace) -> None:
    """Put what was saved in ``--out`` between the marks of the models' page, or print it."""
    if asked.page is None:
        print(page.text(asked.out))
    else:
        page.write(asked.page, asked.out)
