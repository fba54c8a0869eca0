"""The tiny models of ``tests/vectors/models``: a picture can be drawn whose answer is known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from firmware.flow.tensors import PICTURE_BYTES, Planes

VECTORS = Path(__file__).parents[1] / "vectors" / "models"

PICTURE = ("serving_default_args_0", (1, 192, 384, 3), 1 / 255, -128, "picture")
BODIES = ("serving_default_args_0", (8, 96, 72, 3), 1 / 255, -128, "upper_bodies")
HEAT = ("serving_default_output_0_output", (1, 24, 48, 1), 0.0785098448395729, -1, "heat_8")
BOX = ("serving_default_output_1_output", (1, 24, 48, 4), 0.008233102038502693, -128, "box_8")
COARSER = (
    ("serving_default_output_2_output", (1, 12, 24, 1), 0.03921568766236305, 127, "heat_16"),
    ("serving_default_output_3_output", (1, 12, 24, 4), 0.002835806692019105, -128, "box_16"),
    ("serving_default_output_4_output", (1, 6, 12, 1), 0.03921568766236305, 127, "heat_32"),
    ("serving_default_output_5_output", (1, 6, 12, 4), 0.0028359859716147184, -128, "box_32"),
)
PERSONS = (HEAT, BOX, *COARSER)
SEX = ("serving_default_output_0_output", (8, 2), 0.18824313580989838, -1, "sex")
AGE = ("serving_default_output_1_output", (8, 4), 0.18824313580989838, -1, "age")
MASK = ("serving_default_output_2_output", (8, 2), 0.18824313580989838, -1, "mask")

Line = tuple[str, tuple[int, ...], float, int, str]


def entry(task: str, file: str, inside: Line, outputs: tuple[Line, ...], *, sha256: str | None = None) -> str:
    """Return the manifest's lines on one model of the vectors."""
    digest = hashlib.sha256((VECTORS / file).read_bytes()).hexdigest() if sha256 is None else sha256
    lines = [
        "[[model]]", f'file = "{file}"', f'sha256 = "{digest}"', f'task = "{task}"', 'licence = "Apache-2.0"',
        'training_data = "none: planted"',
        "score_threshold = 0.5" if task == "persons" else "minimum_height_pixels = 40",
    ]  # fmt: skip
    for head, (name, shape, scale, zero_point, meaning) in (
        ("[model.input]", inside),
        *(("[[model.output]]", output) for output in outputs),
    ):
        lines += [
            head, f'name = "{name}"', f"shape = {list(shape)}", 'dtype = "int8"', f"scale = {scale!r}",
            f"zero_point = {zero_point}", f'meaning = "{meaning}"',
        ]  # fmt: skip
        if meaning in ("sex", "age", "mask"):
            lines.append("confidence = 0.9")
    return "\n".join(lines) + "\n"


def good_manifest() -> str:
    """Return the manifest of ``detector`` and ``attributes``."""
    return entry("persons", "detector.tflite", PICTURE, PERSONS) + entry(
        "attributes", "attributes.tflite", BODIES, (SEX, AGE, MASK)
    )


@dataclass(frozen=True)
class Walker:
    """Somebody in cell (row, column) of 24 x 48, with planted height and attributes (all 0 to 255)."""

    row: int
    column: int
    u: int = 255
    y: int = 255
    v: int = 0


def draw(*walkers: Walker, dark: int = 0) -> npt.NDArray[np.uint8]:
    """Return an I420 picture (640x360) with ``walkers`` on a dark street."""
    picture = np.zeros(PICTURE_BYTES, np.uint8)
    planes = Planes(picture)
    planes.y[:] = dark
    for walker in walkers:
        top, left = 15 * walker.row, (40 * walker.column + 1) // 3
        planes.y[top : top + 15, left : (40 * walker.column + 36) // 3 + 1] = walker.y
        cell = np.s_[
            15 * (16 * walker.row + 1) // 32 : 15 * (16 * walker.row + 15) // 32 + 1,
            5 * (16 * walker.column + 1) // 12 : 5 * (16 * walker.column + 15) // 12 + 1,
        ]
        planes.u[cell] = walker.u
        planes.v[cell] = walker.v
    return picture


def crowd(count: int) -> tuple[Walker, ...]:
    """Return ``count`` (at most 45) walkers whose cells do not touch."""
    return tuple(Walker(4 + 4 * (n // 9), 2 + 4 * (n % 9)) for n in range(count))
