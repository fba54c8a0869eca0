"""The committed model's figures come out again, and another model's do not."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from firmware.drivers.model_manifest import Model, read_manifest
from tools.evaluate import __main__ as command
from tools.evaluate import figures
from tools.evaluate.measure import Detector
from tools.train.manifest import text_of

MODELS = Path(__file__).parents[3] / "models"


def detectors(directory: Path = MODELS) -> list[Model]:
    return [entry for entry in read_manifest(directory).model if entry.task == "persons"]


@pytest.mark.parametrize("entry", detectors(), ids=lambda entry: entry.file)
def test_the_short_figures_of_the_manifest_come_out_again(entry: Model) -> None:
    plain = Detector(MODELS, entry, reference=True)
    found = figures.checks(entry.measured, figures.short(plain, plain.threshold))
    assert len(found) == 2 * len(figures.SHORT_SUITES)
    assert [check for check in found if not check.holds] == []


def test_the_short_figures_of_the_attribute_heads_come_out_again() -> None:
    entry = read_manifest(MODELS).for_task("attributes")
    assert entry is not None
    found = figures.checks(entry.measured, figures.short_attributes(MODELS))
    assert len(found) == 7
    assert [check for check in found if not check.holds] == []


@pytest.mark.parametrize("entry", detectors(), ids=lambda entry: entry.file)
def test_every_full_figure_is_stated(entry: Model) -> None:
    wanted = {f"{suite}_ap50" for suite in figures.SUITES if suite != "empty"} | {"empty_false_persons_a_slice"}
    assert wanted <= set(entry.measured)


def test_another_model_under_the_same_figures_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights a little different, hash and manifest mended to fit: the loader lets it in, the figures do not."""
    shutil.copytree(MODELS, tmp_path / "models")
    entry = detectors(tmp_path / "models")[0]
    file = tmp_path / "models" / entry.file
    content = bytearray(file.read_bytes())
    buffers = schema.ModelT.InitFromPackedBuf(bytes(content), 0).buffers
    largest = max((bytes(buffer.data) for buffer in buffers if buffer.data is not None), key=len)
    first = content.index(largest)
    for place in range(first, first + len(largest), 8):
        content[place] ^= 0x3F
    file.write_bytes(content)
    manifest = tmp_path / "models" / "MANIFEST.toml"
    only = next(listed for listed in tomllib.loads(manifest.read_text())["model"] if listed["file"] == entry.file)
    manifest.write_text(text_of([only | {"sha256": hashlib.sha256(content).hexdigest()}]))
    monkeypatch.setattr("sys.argv", ["evaluate", "reproduce", "--short", "--models", str(tmp_path / "models")])
    with pytest.raises(SystemExit, match="do not hold"):
        command.main()
    assert "DOES NOT HOLD" in capsys.readouterr().out


def test_a_figure_that_is_not_stated_cannot_hold() -> None:
    stated = {"day_ap50": 0.7, "short_day_persons": 40}
    again = {"day_ap50": 0.74, "night_ap50": 0.5, "short_day_persons": 42.0}
    assert [check.holds for check in figures.checks(stated, again)] == [True, False, False]
