"""The real interpreter with the planted models, and a gate that names what it refuses."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from firmware.drivers.litert import load_model
from firmware.drivers.model_manifest import Manifest, read_manifest
from firmware.drivers.tflite_file import Damaged, read_graph
from firmware.flow.form import SMALL
from firmware.flow.tensors import DetectorInput, Planes
from firmware.ground.errors import ConfigError, ModelError
from tests.parts.small_models import VECTORS, Walker, draw, good_manifest


def manifest() -> Manifest:
    return read_manifest(VECTORS)


def test_the_vectors_manifest_is_the_one_the_tests_build() -> None:
    assert (VECTORS / "MANIFEST.toml").read_text().endswith(good_manifest())


def test_a_planted_walker_heats_its_cell() -> None:
    entry = manifest().for_task("persons")
    assert entry is not None
    model = load_model(VECTORS, entry)
    DetectorInput(SMALL).fill(Planes(draw(Walker(3, 7))), model.input())
    model.run()
    heat = model.output("heat_8").copy()
    assert heat.shape == (1, 24, 48, 1)
    assert np.argwhere(heat[0, :, :, 0] > 0).tolist() == [[3, 7]]
    assert model.output("box_8").shape == (1, 24, 48, 4)
    assert model.output_entry("box_8").zero_point == -128


def test_the_tensors_are_the_interpreters_own_memory_and_may_not_be_kept() -> None:
    entry = manifest().for_task("persons")
    assert entry is not None
    model = load_model(VECTORS, entry)
    kept = model.input()
    kept.fill(5)
    assert (model.input() == 5).all()
    with pytest.raises(RuntimeError):
        model.run()
    del kept
    gc.collect()
    model.run()
    assert model.input().shape == SMALL.picture


@pytest.mark.parametrize("task", ["persons", "attributes"])
def test_a_changed_bit_is_another_model(task: str, tmp_path: Path) -> None:
    entry = manifest().for_task(task)  # type: ignore[arg-type]  # one of the two literals
    assert entry is not None
    content = bytearray((VECTORS / entry.file).read_bytes())
    content[-1] ^= 1
    (tmp_path / entry.file).write_bytes(content)
    with pytest.raises(ModelError) as refused:
        load_model(tmp_path, entry)
    assert (refused.value.code, refused.value.where) == ("E-MODEL-HASH", entry.file)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    entry = manifest().for_task("persons")
    assert entry is not None
    with pytest.raises(ModelError, match=r"E-MODEL-MISSING.*detector\.tflite"):
        load_model(tmp_path, entry)


def test_an_attribute_that_is_needed_must_be_there() -> None:
    entry = manifest().for_task("persons")
    assert entry is not None
    with pytest.raises(ModelError, match="E-MODEL-TENSOR"):
        load_model(VECTORS, entry, needed=frozenset({"sex"}))


@pytest.mark.parametrize("length", [0, 3, 8, 100, 1000, 2000])
def test_half_a_file_is_refused_before_the_interpreter_sees_it(length: int) -> None:
    content = (VECTORS / "detector.tflite").read_bytes()
    with pytest.raises(Damaged):
        read_graph(content[:length])


def test_noise_in_the_file_is_read_or_refused_and_nothing_else() -> None:
    content = (VECTORS / "detector.tflite").read_bytes()
    dice = np.random.default_rng(7)
    for _ in range(3000):
        noisy = bytearray(content)
        for place in dice.integers(8, len(noisy), 3):
            noisy[place] = int(dice.integers(0, 256))
        try:
            read_graph(bytes(noisy))
        except Damaged:
            continue


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('task = "persons"', 'task = "faces"'),
        ('dtype = "int8"', 'dtype = "float32"'),
        ("score_threshold = 0.5", ""),
        ("minimum_height_pixels = 40", ""),
        ("confidence = 0.9", ""),
        ('file = "detector.tflite"', 'file = "../detector.tflite"'),
        ('file = "attributes.tflite"', 'file = "detector.tflite"'),
        ('meaning = "heat_8"', 'meaning = "face"'),
    ],
)
def test_a_manifest_that_lacks_something_is_refused(old: str, new: str, tmp_path: Path) -> None:
    text = good_manifest()
    assert old in text
    (tmp_path / "MANIFEST.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError):
        read_manifest(tmp_path)
