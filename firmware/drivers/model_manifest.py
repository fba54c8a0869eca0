"""What a model says of itself: ``MANIFEST.toml`` beside the ``.tflite`` files.

Knows:  file, sha256, tensors, licence, training data, thresholds, measured figures of each model.
Never:  a default for what a model may put out.
Leaves: frozen structs.
Clauses: 4.2(2) (a model that could recognise a person is not listed, and what is not listed is not loaded),
         1 (what it was trained on and how well it does are public).

Example::

    [[model]]
    file = "street.tflite"
    sha256 = "…64 hexadecimal digits…"
    task = "persons"                  # or "attributes"
    licence = "Apache-2.0"
    training_data = "what it was trained on"
    score_threshold = 0.4             # persons only
    [model.input]
    name = "serving_default_args_0:0" # as it stands in the file
    shape = [1, 192, 384, 3]          # or [1, 288, 512, 3]
    dtype = "int8"
    scale = 0.00392156862745098
    zero_point = -128
    meaning = "picture"               # attributes: "upper_bodies", shape [8, 96, 72, 3]
    [[model.output]]
    name = "serving_default_output_0_output"
    shape = [1, 24, 48, 1]
    dtype = "int8"
    scale = 0.1
    zero_point = 0
    meaning = "heat_8"                # and "box_8", "heat_16" ... "box_32"; attributes: "sex", "age", "mask"
    [model.measured]                  # any figures, published as they are
    person_recall = 0.9

For ``attributes``: ``minimum_height_pixels`` (of 360) below which a person's attributes are unknown by rule, and on
each output ``confidence``, the softmax below which the answer is unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from firmware.ground.config import OutOfLaw, load

NAME: Final = "MANIFEST.toml"

Probability = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One input or output; real = scale * (value - zero_point)."""

    name: str
    shape: tuple[int, ...]
    dtype: Literal["int8"]
    scale: Annotated[float, msgspec.Meta(gt=0.0)]
    zero_point: Annotated[int, msgspec.Meta(ge=-128, le=127)]
    meaning: Literal[
        "picture", "upper_bodies", "heat_8", "box_8", "heat_16", "box_16", "heat_32", "box_32", "sex", "age", "mask"
    ]
    confidence: Probability | None = None


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model."""

    file: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+\.tflite\Z")]
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    task: Literal["persons", "attributes"]
    licence: str
    training_data: str
    input: Tensor
    output: tuple[Tensor, ...]
    score_threshold: Probability | None = None
    minimum_height_pixels: Annotated[int, msgspec.Meta(ge=1, le=360)] | None = None
    measured: dict[str, float | int | str] = {}

    def __post_init__(self) -> None:
        if self.task == "persons" and self.score_threshold is None:
            raise _lacks("score_threshold", "persons")
        if self.task == "attributes":
            if self.minimum_height_pixels is None:
                raise _lacks("minimum_height_pixels", "attributes")
            if any(output.confidence is None for output in self.output):
                raise _lacks("output.confidence", "attributes")


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All models of one directory; of those for one task the first is taken unless another is asked for by name."""

    model: tuple[Model, ...]

    def __post_init__(self) -> None:
        files = [model.file for model in self.model]
        if len(set(files)) != len(files):
            raise OutOfLaw("model", "one file is listed twice", clause="1", todo="keep one entry")

    def for_task(self, task: Literal["persons", "attributes"], name: str | None = None) -> Model | None:
        """Return the model for ``task`` (the one whose file is ``name``.tflite, if given); None if there is none."""
        fitting = (model for model in self.model if model.task == task)
        return next((model for model in fitting if name is None or model.file == f"{name}.tflite"), None)


def read_manifest(directory: Path) -> Manifest:
    """Read ``directory / MANIFEST.toml``. Raises :class:`firmware.ground.errors.ConfigError`."""
    return load(directory / NAME, Manifest)


def _lacks(key: str, task: str) -> OutOfLaw:
    return OutOfLaw(
        f"model.{key}", f"a model for {task} needs it", clause="4.2(2)", todo="measure it and write it down"
    )
