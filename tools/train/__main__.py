"""``python -m tools.train``: build data, train, export; resumable, one thread unless told otherwise.

Knows:  the order of the steps.
Never:  anything of a pole.
Leaves: checkpoints in ``--out``, models and their manifest in ``--export``.
Clauses: none.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from tools.train import attributes, build, chart, crossed, export, loop, pauses, release, teach, upper_bodies
from tools.train.batches import SIZES, Pictures
from tools.train.nets import PERSONS
from tools.train.shards import Picture, Shelf

TEACHING = 0.12
"""Share of the minutes for looking and drawing before, at most; the sizes divide the rest."""

DRAWING = 0.07
"""Share of the minutes that drawing people takes before the attribute heads learn."""


def _detector(asked: argparse.Namespace) -> None:
    shards, taught = asked.out / "shards", asked.out / "taught.json"
    tier_b = not asked.without_tier_b
    asked.out.mkdir(parents=True, exist_ok=True)
    teachers = [path for path in (asked.start, asked.teacher) if path is not None]
    if teachers:
        teach.teach(asked.data, teachers, taught, tier_b=tier_b, most=8 if asked.smoke else None)
    have = len(Shelf(shards)) if shards.exists() else 0
    pictures, shard = (64, 32) if asked.smoke else (asked.pictures, build.PER_SHARD)
    if have < pictures:
        build.build(asked.data, shards, pictures=pictures - have, minutes=asked.minutes * TEACHING, seed=asked.seed,
                    tier_b=tier_b, first=have, shard=shard)  # fmt: skip
    every = Pictures(asked.data, shards, taught, tier_b=tier_b)
    steps = asked.steps or (40 if asked.smoke else None)
    sizes = asked.size or ("s", "m")
    for size in sizes:
        minutes = asked.minutes * (1 - TEACHING) / len(sizes)
        rng = np.random.default_rng(asked.seed)
        views = np.stack([every.draw(SIZES[size], rng)[0][None] for _ in range(24 if asked.smoke else 160)])
        best = pauses.Best(asked.out, size, views[:40])
        plan = loop.Plan(size, minutes, asked.seed, asked.start, steps, tuple(asked.blend))
        last = loop.train(every, asked.out, plan, device=asked.device, paused=best)
        chart.curves(asked.out, size)
        if asked.export is not None:
            best(last)
            _export(asked, size, best.checkpoint, views)


def _export(asked: argparse.Namespace, size: str, checkpoint: Path, pictures: Picture) -> None:
    name = f"street_{size}"
    made = export.export(
        export.detector_of(checkpoint),
        PERSONS,
        pictures,
        asked.export / f"{name}.tflite",
        report=asked.out / f"{name}.layers.csv",
        kept=asked.out / f"{name}.float.tflite",
    )
    if asked.smoke:
        print(f"int8 beside float, mean differences: {made.error}", flush=True)
        return
    data = release.described(asked.out / "shards" / "sources.json", asked.start, asked.teacher, asked.blend)
    release.detector(asked.export, made, threshold=asked.threshold, data=data)


def _attributes(asked: argparse.Namespace) -> None:
    if asked.start is None:
        message = "the attribute heads need --start: the face trunk they start from"
        raise SystemExit(message)
    tier_b, fold = not asked.without_tier_b, asked.fold
    out: Path = asked.out if fold is None else asked.out / crossed.folder(fold)
    crops = out / "upper_bodies"
    if not (crops / "held.npz").exists():
        minutes = 0.5 if asked.smoke else asked.minutes * DRAWING
        upper_bodies.build(asked.data, crops, minutes=minutes, seed=asked.seed, tier_b=tier_b, fold=fold)
    minutes, most = (0.3, 256) if asked.smoke else (asked.minutes * (1 - DRAWING), None)
    checkpoint = out / "attributes.pt"
    if minutes > 0 or not checkpoint.exists():
        checkpoint = attributes.train(asked.data, out, crops=crops, minutes=minutes, seed=asked.seed,
                                      start=asked.start, tier_b=tier_b, fold=fold, most=most)  # fmt: skip
    crossed.keep(attributes.scores(checkpoint, crops / "held.npz"), crops / "held.npz", out)
    print(crossed.text(asked.out, fold), flush=True)
    if asked.export is None or fold is not None:
        return
    made = export.export(
        export.attributes_of(checkpoint),
        ("sex", "age", "mask"),
        attributes.calibration(asked.data, crops, seed=asked.seed, tier_b=tier_b, fold=fold),
        asked.export / "upper_bodies.tflite",
        report=out / "upper_bodies.layers.csv",
        kept=out / "upper_bodies.float.tflite",
    )
    release.attributes(asked.export, made, crops, release.described_faces(asked.start, tier_b=tier_b))


def _fold(text: str) -> tuple[int, int]:
    number, whole = (int(part) for part in text.split("/"))
    return number, whole


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m tools.train", description=__doc__)
    parser.add_argument("what", choices=("detector", "attributes"))
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with people/annotations.json and people/images"
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and shards; outside the project")
    parser.add_argument("--export", type=Path, help="write the int8 model and its manifest entry here")
    parser.add_argument(
        "--start",
        type=Path,
        help="what is started from: float16 YOLOX-nano (depthwise) for the detector; for the attributes the JSON that"
        " lists the weights of face-api's age-and-gender file beside it",
    )
    parser.add_argument("--fold", type=_fold, help="attributes: K/N holds out the K-th of N parts of the faces instead")
    parser.add_argument("--teacher", type=Path, help="int8 YOLOX-nano file (plain) that boxes photographs beside it")
    parser.add_argument("--blend", type=Path, action="append", default=[], metavar="CHECKPOINT",
                        help="begin with the mean of these runs' weights, where rounding begins")  # fmt: skip
    parser.add_argument("--size", choices=("s", "m"), action="append", help="only this size; both if not given")
    parser.add_argument(
        "--minutes", type=float, default=90, help="of training, all runs together; attributes: 0 exports what is there"
    )
    parser.add_argument("--pictures", type=int, default=3_000, help="drawn streets' pictures")
    parser.add_argument("--steps", type=int, help="steps of each run at most, instead of the minutes alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where it learns")
    parser.add_argument("--threshold", type=float, help="score threshold; chosen on held-out streets if not given")
    parser.add_argument("--without-tier-b", action="store_true", help="leave out pictures of unverified origin")
    parser.add_argument("--smoke", action="store_true", help="a few dozen steps: does it learn at all")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    (_detector if asked.what == "detector" else _attributes)(asked)


if __name__ == "__main__":
    main()
