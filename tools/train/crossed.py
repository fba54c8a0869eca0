"""Figures over folds: each part of the faces asked of heads that never saw it.

Knows:  scores of held-out crops, their classes and sizes.
Never:  a face that its heads learnt from; a confidence.
Leaves: ``answers.npz`` in each fold's folder, a table.
Clauses: none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from tools.evaluate import table
from tools.evaluate.attributes import balanced
from tools.train.confidence import DRAWN, SIZES
from tools.train.faces import AGES, MASKS, SEXES
from tools.train.upper_bodies import load

HEADS = (("sex", SEXES), ("age", AGES), ("mask", MASKS))
SUREST = 0.6
Scores = list[npt.NDArray[np.float32]]


def folder(fold: tuple[int, int]) -> str:
    """Return the name of a fold's folder."""
    return f"fold-{fold[0]}-of-{fold[1]}"


def keep(scores: Scores, held: Path, out: Path) -> None:
    """Write what the heads said of ``held`` (crops as :func:`load` reads them) beside the truth."""
    _, classes, pixels = load(held)
    np.savez(out / "answers.npz", sex=scores[0], age=scores[1], mask=scores[2], classes=classes, pixels=pixels)


def text(out: Path, fold: tuple[int, int] | None) -> str:
    """Return the table of all folds that are done, or of the one run without folds."""
    where = [out] if fold is None else sorted(out.glob(f"fold-*-of-{fold[1]}"))
    parts = [np.load(each / "answers.npz") for each in where if (each / "answers.npz").exists()]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0].files}
    rows: list[dict[str, table.Cell]] = []
    for number, (name, classes) in enumerate(HEADS):
        for pixels in (*SIZES, DRAWN):
            here = (whole["classes"][:, number] >= 0) & (whole["pixels"] == pixels)
            if here.any():
                rows.append(_row(name, pixels, whole[name][here], whole["classes"][here, number]))
                rows[-1] |= _groups(name, classes, whole, here)
    return f"{len(parts)} of {1 if fold is None else fold[1]} folds\n{table.text(rows)}"


def _row(
    name: str, pixels: int, scores: npt.NDArray[np.float32], truth: npt.NDArray[np.int64]
) -> dict[str, table.Cell]:
    right = scores.argmax(axis=1) == truth
    surest = np.argsort(-scores.max(axis=1), kind="stable")[: max(1, int(SUREST * len(truth)))]
    return {
        "head": name,
        "pixels": str(pixels) if pixels else "drawn",
        "crops": len(truth),
        "right": float(right.mean()),
        "balanced": balanced(right, truth),
        f"right of the surest {SUREST:.0%}": float(right[surest].mean()),
        "their balanced": balanced(right[surest], truth[surest]),
    }


def _groups(
    name: str, classes: tuple[str, ...], whole: dict[str, npt.NDArray[np.float32]], here: npt.NDArray[np.bool_]
) -> dict[str, table.Cell]:
    """Return the worst and the best of the groups whose members are known: sex and age band, or mask state."""
    known = whole["classes"][here]
    truth = known[:, [head for head, _ in HEADS].index(name)]
    right = whole[name][here].argmax(axis=1) == truth
    if name == "mask":
        groups = {classes[k]: right[truth == k] for k in np.unique(truth)}
    else:
        groups = {
            f"{SEXES[sex]} {AGES[age]}": right[(known[:, 0] == sex) & (known[:, 1] == age)]
            for sex in range(len(SEXES))
            for age in range(len(AGES))
        }
    shares = {group: float(found.mean()) for group, found in groups.items() if len(found)}
    if not shares:
        return {"worst": "-", "best": "-"}
    worst, best = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    return {"worst": f"{worst} {shares[worst]:.2f}", "best": f"{best} {shares[best]:.2f}"}
