"""Builds the shards: streets, and streets with real cut-outs.

Knows:  the mix.
Never:  a held-out seed or photograph.
Leaves: shards and ``sources.json`` in a folder.
Clauses: none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tools.train import shards
from tools.train.real_samples import cut_outs, held_out, paste_people, read_folder, sources
from tools.train.shards import Sample
from tools.train.street_samples import street_samples

PER_SHARD = 256
FRAMES_A_STREET = 8
PASTED = 0.35
"""Share of street pictures with pasted people; the rest are plain streets."""


def samples(data: Path, seed: int, *, tier_b: bool) -> Iterator[Sample]:
    """Yield training samples without end."""
    rng = np.random.default_rng([seed, 5])
    pieces = cut_outs([p for p in read_folder(data, tier_b=tier_b) if p.complete and not held_out(p)])
    number = seed * 10_000
    while True:
        number += 1
        for sample in street_samples(number, FRAMES_A_STREET):
            if pieces and rng.random() < PASTED:
                yield paste_people(sample, pieces, rng, float(rng.uniform(-120, 60)), float(rng.uniform(100, 280)))
            else:
                yield sample


def build(
    data: Path,
    out: Path,
    *,
    pictures: int,
    minutes: float,
    seed: int,
    tier_b: bool,
    first: int = 0,
    shard: int = PER_SHARD,
) -> int:
    """Write shards until ``pictures`` or ``minutes`` are reached; ``first`` are there. Returns how many were added."""
    out.mkdir(parents=True, exist_ok=True)
    every = [p for p in read_folder(data, tier_b=tier_b) if not held_out(p) and not p.source.startswith("fairface")]
    (out / "sources.json").write_text(json.dumps(sources(every), indent=1))
    stream, began, total = samples(data, seed + first, tier_b=tier_b), time.monotonic(), 0
    number = seed * 1000 + first // shard
    while total < pictures and time.monotonic() - began < minutes * 60:
        total += shards.write(out, number, (next(stream) for _ in range(shard)))
        number += 1
        print(f"{total} of {pictures} pictures, {time.monotonic() - began:.0f} s", flush=True)
    return total
