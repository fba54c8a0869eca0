"""The whole recipe on a small budget: it learns, exports, goes on where it stopped. Needs its own environment."""

from __future__ import annotations

import ast
import itertools
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from firmware.drivers.litert import load_model
from firmware.drivers.model_manifest import read_manifest
from tools.street import Scene, Street
from tools.street.__main__ import picture_of

ROOT = Path(__file__).parents[3]


pytestmark = pytest.mark.training


@pytest.fixture
def trainer() -> Path:
    """Return the Python of the recipe's own environment."""
    python = ROOT / ".venv-training" / "bin" / "python"
    assert python.exists(), "tools/check makes the environment of tools/train/requirements.txt with CI=true or --long"
    return python


def drawn_folder(root: Path) -> Path:
    """Write a folder of the recipe's form; its photographs are drawn."""
    images = root / "people" / "images"
    images.mkdir(parents=True)
    small, entries, marks = np.empty(640 * 360 * 3 // 2, np.uint8), [], []
    for number in range(24):
        truth = Street(Scene(people_per_minute=40), 700_000 + number, width=640).render(30.0, None, small)
        picture_of(small, 640).save(images / f"d{number}.png")
        entries.append({"id": number, "file_name": f"d{number}.png", "width": 640, "height": 360, "tier": "A",
                        "source": "coco2017", "person_boxes_complete": True})  # fmt: skip
        for person in truth:
            left, top, right, bottom = person.box
            marks.append({"id": len(marks), "image_id": number, "category_id": 1, "iscrowd": int(not person.counted),
                          "bbox": [left, top, right - left, bottom - top]})  # fmt: skip
    document = {"categories": [{"id": 1, "name": "person"}], "images": entries, "annotations": marks}
    (root / "people" / "annotations.json").write_text(json.dumps(document))
    return root


def test_a_few_dozen_steps_from_nothing_learn_and_export(trainer: Path, tmp_path: Path) -> None:
    data, out = drawn_folder(tmp_path / "data"), tmp_path / "out"
    command = [str(trainer), "-m", "tools.train", "detector", "--data", str(data), "--out", str(out), "--smoke",
               "--minutes", "30", "--size", "s", "--export", str(tmp_path / "models")]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stderr[-2000:]
    losses = [sum(map(float, line.split(",")[3:])) for line in (out / "curve-s.csv").read_text().split()]
    assert losses[-1] < 0.9 * losses[0]
    with Image.open(out / "curve-s.png") as curve:
        assert curve.size[0] > 100
    assert (tmp_path / "models" / "street_s.tflite").stat().st_size < 2 * 1024 * 1024
    apart = done.stdout.partition("int8 beside float, mean differences: ")[2].splitlines()[0]
    assert all(error < 0.3 for error in ast.literal_eval(apart).values()), apart
    assert (out / "street_s.best.tflite").exists()
    layers = (out / "street_s.layers.csv").read_text().splitlines()
    assert len(layers) > 60
    sources = json.loads((out / "shards" / "sources.json").read_text())
    assert sources["coco2017"]["tier"] == "A"
    assert len(sources["coco2017"]["sha256"]) == 64


def test_it_goes_on_where_it_stopped(trainer: Path, tmp_path: Path) -> None:
    data, out = drawn_folder(tmp_path / "data"), tmp_path / "out"
    command = [str(trainer), "-m", "tools.train", "detector", "--data", str(data), "--out", str(out), "--smoke",
               "--minutes", "30", "--size", "s", "--steps", "10"]  # fmt: skip
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=1500)
    first = shutil.copyfile(out / "detector-s.pt", tmp_path / "first.pt")
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=1500)
    steps = [int(line.split(",")[1]) for line in (out / "curve-s.csv").read_text().split()]
    assert steps == [10, 20]
    (out / "detector-s.pt").unlink()
    (out / "curve-s.csv").unlink()
    blend = [*command, "--blend", str(first), "--blend", str(first)]
    subprocess.run(blend, cwd=ROOT, capture_output=True, check=True, timeout=1500)
    seconds, step = (out / "curve-s.csv").read_text().split(",")[:2]
    assert (int(step), int(seconds) > 0.85 * 30 * 0.88 * 60) == (10, True), "it begins where rounding begins"


def start_file(root: Path) -> Path:
    """Write a face trunk of chance weights, of the form that the attribute heads start from."""
    shapes: dict[str, tuple[int, ...]] = {"entry_flow/conv_in/filters": (3, 3, 3, 32), "entry_flow/conv_in/bias": (32,)}

    def separable(name: str, inside: int, outside: int) -> None:
        shapes[f"{name}/depthwise_filter"] = (3, 3, inside, 1)
        shapes[f"{name}/pointwise_filter"] = (1, 1, inside, outside)
        shapes[f"{name}/bias"] = (outside,)

    for step, inside, outside in (("entry_flow/reduction_block_0", 32, 64), ("entry_flow/reduction_block_1", 64, 128),
                                  ("exit_flow/reduction_block", 128, 256)):  # fmt: skip
        separable(f"{step}/separable_conv0", inside, outside)
        separable(f"{step}/separable_conv1", outside, outside)
        shapes |= {f"{step}/expansion_conv/filters": (1, 1, inside, outside), f"{step}/expansion_conv/bias": (outside,)}
    for block, part in itertools.product(range(2), range(3)):
        separable(f"middle_flow/main_block_{block}/separable_conv{part}", 128, 128)
    separable("exit_flow/separable_conv", 256, 512)
    shapes |= {"fc/age/weights": (512, 1), "fc/age/bias": (1,), "fc/gender/weights": (512, 2), "fc/gender/bias": (2,)}
    rng, parts = np.random.default_rng(3), []
    for name, shape in shapes.items():
        size = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
        values = rng.normal(0, 1.4 / np.sqrt(size), shape) * (not name.endswith("bias"))
        parts.append(values.astype(np.float32).tobytes())
    (root / "faces.bin").write_bytes(b"".join(parts))
    listed = [{"name": name, "shape": shape, "dtype": "float32"} for name, shape in shapes.items()]
    (root / "faces.json").write_text(json.dumps([{"paths": ["faces.bin"], "weights": listed}]))
    return root / "faces.json"


def add_faces(root: Path) -> None:
    """Add pictures of "faces" to such a folder: blobs, their class told by what is in their middle."""
    path = root / "people" / "annotations.json"
    document, rng = json.loads(path.read_text()), np.random.default_rng(5)
    for number in range(120):
        name, masked = f"face{number}.png", bool(number % 2)
        picture = Image.fromarray(rng.integers(60, 120, (160, 160, 3), dtype=np.uint8))
        ImageDraw.Draw(picture).ellipse((57, 46, 103, 104), (230, 180 - 90 * (number % 3), 90 + 40 * masked))
        picture.save(root / "people" / "images" / name)
        document["images"].append({"id": 1000 + number, "file_name": name, "tier": "B", "source": "faces",
                                   "person_boxes_complete": False})  # fmt: skip
        known = ({"bbox": [57, 46, 46, 58], "mask": ("without_mask", "with_mask")[number // 2 % 2]} if masked
                 else {"bbox": [0, 0, 160, 160], "gender": ("male", "female")[number // 2 % 2],
                       "age": ("3-9", "20-29", "40-49", "70+")[number // 4 % 4]})  # fmt: skip
        document["annotations"].append({"image_id": 1000 + number, "category_id": 2, **known})
    path.write_text(json.dumps(document))


def test_attribute_heads_learn_from_a_start_and_pass_the_gate(trainer: Path, tmp_path: Path) -> None:
    data, out, models = drawn_folder(tmp_path / "data"), tmp_path / "out", tmp_path / "models"
    add_faces(data)
    models.mkdir()
    command = [str(trainer), "-m", "tools.train", "attributes", "--data", str(data), "--out", str(out), "--smoke",
               "--start", str(start_file(tmp_path)), "--export", str(models)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("copying", "heads"):
        losses = [sum(map(float, line.split(",")[2:])) for line in (out / f"curve-{name}.csv").read_text().split()]
        assert losses[-1] < losses[0], name
    entry = read_manifest(models).for_task("attributes")
    assert entry is not None
    load_model(models, entry).run()
    assert {output.meaning for output in entry.output} == {"sex", "age", "mask"}
    assert "started from and taught by" in entry.training_data
    refused = subprocess.run([*command, "--without-tier-b", "--out", str(out / "again")], cwd=ROOT, capture_output=True,
                             text=True, check=False, timeout=600)  # fmt: skip
    assert refused.returncode != 0
    assert "no face of known sex" in refused.stderr
