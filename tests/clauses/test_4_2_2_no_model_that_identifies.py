"""4.2(2): nobody is identified. A model that could carry a person out, or remember one, is refused by name."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from firmware.drivers import litert
from firmware.drivers.litert import load_model
from firmware.drivers.model_manifest import read_manifest
from firmware.drivers.tflite_file import Graph, read_graph
from firmware.ground.errors import ModelError
from tests.parts.small_models import AGE, BODIES, BOX, COARSER, HEAT, MASK, PERSONS, PICTURE, SEX, VECTORS, Line, entry

EMBEDDING: Line = ("serving_default_output_3_output", (8, 128), 0.01138328667730093, 5, "mask")
WIDE_AGE: Line = ("serving_default_output_1_output", (8, 128), *AGE[2:])
WIDE_BOX: Line = (BOX[0], (1, 24, 48, 16), *BOX[2:])
EXTRA: Line = ("serving_default_output_6_output", (1, 24, 48, 16), 0.011902290396392345, 11, "box_8")
OTHER_SCALE: Line = (PICTURE[0], PICTURE[1], 0.01, -128, "picture")
OTHER_HEAT: Line = (HEAT[0], HEAT[1], 0.05, HEAT[3], "heat_8")
OTHER_SIZE: Line = (PICTURE[0], (1, 224, 384, 3), *PICTURE[2:])
OTHER_FORM: Line = (PICTURE[0], (1, 288, 512, 3), *PICTURE[2:])
FINER_BOX: Line = (COARSER[1][0], BOX[1], *COARSER[1][2:])

CASES = {
    "an output that is not listed": ("attributes", "embedding.tflite", BODIES, (SEX, AGE, MASK), "IDENT", "output_3"),
    "an embedding listed as an attribute": (
        "attributes", "embedding.tflite", BODIES, (SEX, AGE, EMBEDDING), "TENSOR", "output_3",
    ),
    "a band of 128 ages": ("attributes", "embedding.tflite", BODIES, (SEX, WIDE_AGE, MASK), "TENSOR", "output_1"),
    "a seventh output of a detector": ("persons", "extra.tflite", PICTURE, PERSONS, "IDENT", "output_6"),
    "a seventh output listed as a second box": ("persons", "extra.tflite", PICTURE, (*PERSONS, EXTRA), "TENSOR", "_6"),
    "a box of sixteen channels": (
        "persons", "wide_box.tflite", PICTURE, (HEAT, WIDE_BOX, *COARSER), "TENSOR", "output_1",
    ),
    "a box of sixteen channels listed as four": ("persons", "wide_box.tflite", PICTURE, PERSONS, "TENSOR", "_1"),
    "a float model": ("persons", "float.tflite", PICTURE, PERSONS, "DTYPE", "serving"),
    "another picture": ("persons", "detector.tflite", OTHER_SCALE, PERSONS, "TENSOR", "args_0"),
    "another scale": ("persons", "detector.tflite", PICTURE, (OTHER_HEAT, *PERSONS[1:]), "TENSOR", "output_0"),
    "no box": ("persons", "detector.tflite", PICTURE, (HEAT, *COARSER), "TENSOR", "detector"),
    "a picture of no form": ("persons", "detector.tflite", OTHER_SIZE, PERSONS, "TENSOR", "args_0"),
    "the other form's picture": ("persons", "detector.tflite", OTHER_FORM, PERSONS, "TENSOR", "output_0"),
    "a finer grid where a coarse one belongs": (
        "persons", "detector.tflite", PICTURE, (*PERSONS[:3], FINER_BOX, *PERSONS[4:]), "TENSOR", "output_3",
    ),
    "an attribute model as a detector": ("persons", "attributes.tflite", BODIES, (SEX, AGE), "TENSOR", "args_0"),
    "a listed output that is not there": ("attributes", "detector.tflite", BODIES, (SEX,), "IDENT", "output_1"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_by_file_and_tensor(name: str, tmp_path: Path) -> None:
    task, file, inside, outputs, code, tensor = CASES[name]
    (tmp_path / "MANIFEST.toml").write_text(entry(task, file, inside, outputs))
    model = read_manifest(tmp_path).model[0]
    with pytest.raises(ModelError) as refused:
        load_model(VECTORS, model)
    assert refused.value.code == f"E-MODEL-{code}"
    assert file in refused.value.where
    assert tensor in refused.value.where
    assert refused.value.clause == "4.2(2)"


def test_the_conforming_ones_pass() -> None:
    for model in read_manifest(VECTORS).model:
        load_model(VECTORS, model)


def graph() -> Graph:
    return read_graph((VECTORS / "detector.tflite").read_bytes())


MEMORIES = {
    "a variable tensor": replace(graph(), tensors=(replace(graph().tensors[1], variable=True),)),
    "a custom operator": replace(graph(), operators=frozenset({3, 32})),
    "an operator that keeps state": replace(graph(), operators=frozenset({3, 142})),
    "a second graph": replace(graph(), subgraphs=2),
}


NOT_INT8 = {
    "a float inside": replace(graph().tensors[1], kind=0),
    "sixteen bits inside": replace(graph().tensors[1], kind=7),
    "whole numbers that are computed": replace(graph().tensors[1], kind=2, constant=False),
}


@pytest.mark.parametrize("name", NOT_INT8)
def test_what_is_not_int8_inside_is_refused_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = replace(graph(), tensors=(*graph().tensors, NOT_INT8[name]))
    monkeypatch.setattr(litert, "read_graph", lambda _: changed)
    with pytest.raises(ModelError, match="E-MODEL-DTYPE"):
        load_model(VECTORS, read_manifest(VECTORS).model[0])


@pytest.mark.parametrize("name", MEMORIES)
def test_what_could_remember_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "read_graph", lambda _: MEMORIES[name])
    with pytest.raises(ModelError, match="E-MODEL-IDENT"):
        load_model(VECTORS, read_manifest(VECTORS).model[0])


def test_an_operator_changed_in_the_file_itself_is_seen(tmp_path: Path) -> None:
    """The numbers above stand for real files: a convolution renamed into a variable's handle is refused."""
    content = (VECTORS / "detector.tflite").read_bytes()
    changed = []
    for place in range(8, len(content) - 4):
        candidate = bytearray(content)
        candidate[place] = 142
        try:
            operators = read_graph(bytes(candidate)).operators
        except ValueError:
            continue
        if 142 in operators:
            changed.append(bytes(candidate))
    assert changed
    model = read_manifest(VECTORS).model[0]
    for candidate_bytes in changed:
        (tmp_path / model.file).write_bytes(candidate_bytes)
        listed = msgspec.structs.replace(model, sha256=hashlib.sha256(candidate_bytes).hexdigest())
        with pytest.raises(ModelError, match="E-MODEL-IDENT"):
            load_model(tmp_path, listed)


def test_the_word_for_an_identity_is_not_in_the_reply() -> None:
    """The wire's counts are by category; there is no field by person (see also test_6_1_4)."""
    from firmware.flow.slice import SliceCounts

    assert SliceCounts.__slots__ == ("persons", "sex", "age", "mask")
