"""How far a figure may lie from the truth: blocks drawn again with replacement.

Knows:  that slices of one street resemble each other, so that a street is the block.
Never:  slices drawn as if each were a street of its own.
Leaves: lower and upper ends of an interval; the bound that remains when nothing was ever seen.
Clauses: none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Block = TypeVar("Block")
DRAWS = 400


def interval(
    blocks: Sequence[Block],
    figure: Callable[[list[Block]], float],
    *,
    share: float = 0.9,
    draws: int = DRAWS,
    seed: int = 1,
) -> tuple[float, float]:
    """Return the ends between which ``share`` of the figures of redrawn blocks lie; nan for none."""
    if not blocks:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    found = [figure([blocks[k] for k in rng.integers(0, len(blocks), len(blocks))]) for _ in range(draws)]
    if np.isnan(found).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(found, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def never_seen(trials: int, surety: float = 0.95) -> float:
    """Return the largest rate at which ``trials`` independent trials all fail with a chance of 1 - ``surety``."""
    return 1 - (1 - surety) ** (1 / trials) if trials else 1.0
