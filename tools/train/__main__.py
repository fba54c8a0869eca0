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

from tools.train import attributes, build, loop, upper_bodies
from tools.train.shards import Shelf

LICENCE = "Apache-2.0"


def _detector(asked: argparse.Namespace) -> None:
    shards: Path = asked.out / "shards"
    if asked.smoke:
        build.build(
            asked.data, shards, pictures=64, minutes=2, seed=asked.seed, tier_b=not asked.without_tier_b, shard=32
        )
        loop.train(shards, asked.out, minutes=10, seed=asked.seed, start=asked.start, most_steps=30)
    else:
        have = len(Shelf(shards)) if shards.exists() else 0
        if have < asked.pictures:
            build.build(
                asked.data,
                shards,
                pictures=asked.pictures - have,
                minutes=asked.minutes,
                seed=asked.seed,
                tier_b=not asked.without_tier_b,
                first=have,
            )
        loop.train(shards, asked.out, minutes=asked.minutes, seed=asked.seed, start=asked.start)
    if asked.export is None:
        return
    from tools.train import export, release  # noqa: PLC0415 - the converter takes seconds to import

    shelf, rng = Shelf(shards), np.random.default_rng(asked.seed)
    pictures = np.zeros((160, 1, 192, 320, 3), np.uint8)
    for k in range(len(pictures)):
        pictures[k, 0, :180] = shelf[int(rng.integers(len(shelf)))][0]
    model = export.detector_of(asked.out / "detector.pt")
    made = export.export(model, ("heat", "box"), pictures, asked.export / "street_s.tflite")
    release.detector(
        asked.export, made, threshold=asked.threshold, data=release.described(shards / "sources.json", asked.start)
    )


def _attributes(asked: argparse.Namespace) -> None:
    crops: Path = asked.out / "upper_bodies"
    if not (crops / "train.npz").exists():
        minutes = 0.5 if asked.smoke else asked.minutes
        upper_bodies.build(asked.data, crops, minutes=minutes, seed=asked.seed, tier_b=not asked.without_tier_b)
    attributes.train(crops, asked.out, minutes=asked.minutes, seed=asked.seed, most_steps=30 if asked.smoke else None)
    if asked.export is None:
        return
    from tools.train import export, release  # noqa: PLC0415 - the converter takes seconds to import

    pictures, _, _ = upper_bodies.load(crops / "train.npz")
    order = np.random.default_rng(asked.seed).permutation(len(pictures))[: 8 * 100]
    batches = pictures[order][: len(order) // 8 * 8].reshape(-1, 8, 64, 48, 3)
    model = export.attributes_of(asked.out / "attributes.pt")
    made = export.export(model, ("sex", "age", "mask"), batches, asked.export / "upper_bodies.tflite")
    release.attributes(asked.export, made, crops)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m tools.train", description=__doc__)
    parser.add_argument("what", choices=("detector", "attributes"))
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with people/annotations.json and people/images"
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoints and shards; outside the project")
    parser.add_argument("--export", type=Path, help="write the int8 model and its manifest entry here")
    parser.add_argument("--start", type=Path, help="float16 YOLOX-nano file whose body the detector starts from")
    parser.add_argument("--minutes", type=float, default=75, help="of training, all runs together")
    parser.add_argument("--pictures", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--threshold", type=float, help="score threshold; chosen on held-out streets if not given")
    parser.add_argument("--without-tier-b", action="store_true", help="leave out pictures of unverified origin")
    parser.add_argument("--smoke", action="store_true", help="a few dozen steps: does it learn at all")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    (_detector if asked.what == "detector" else _attributes)(asked)


if __name__ == "__main__":
    main()
