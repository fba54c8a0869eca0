"""From weights to an int8 TFLite file, with a report of what quantisation cost.

Knows:  litert-torch, ai-edge-quantizer, the contract of inputs and outputs.
Never:  a float left in the graph.
Leaves: ``.tflite`` and a small mapping of facts for the manifest.
Clauses: 4.2(2) (outputs are scores and boxes of cells, or class scores; the loader refuses others).
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import litert_torch
import numpy as np
import numpy.typing as npt
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_quantizer import quantizer, recipe
from torch import nn

from tools.train.face_nets import Attributes
from tools.train.nets import Detector
from tools.train.shards import Picture

Floats = npt.NDArray[np.float32]
RARE_PERCENT = 2
"""Of the pictures' greatest and least values are cut off: fewer, wider steps for one picture would cost all others."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What the manifest says of a file; ``error`` is each output's mean absolute difference to float, real units."""

    file: Path
    sha256: str
    input: dict[str, Any]
    outputs: list[dict[str, Any]]
    error: dict[str, float]


def detector_of(checkpoint: Path) -> nn.Module:
    """Return the averaged detector."""
    model = Detector()
    model.load_state_dict(torch.load(checkpoint, weights_only=True, map_location="cpu")["mean"])
    return model.eval()


def attributes_of(checkpoint: Path) -> nn.Module:
    """Return the attribute heads."""
    model = Attributes()
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["mean"])
    return model.eval()


def export(
    model: nn.Module,
    meanings: tuple[str, ...],
    pictures: Picture,
    out: Path,
    *,
    report: Path | None = None,
    kept: Path | None = None,
) -> Exported:
    """Convert and quantise ``model``; ``pictures`` uint8 (n, batch, h, w, 3) calibrate it and are compared on.

    ``report`` gets the error of each layer (CSV), ``kept`` the float file, to be measured beside the int8 one.
    """
    batch = torch.from_numpy(pictures[0]).float() / 255
    spatial = [k for k, meaning in enumerate(meanings) if meaning.startswith(("heat", "box"))]
    wrapped = litert_torch.to_channel_last_io(model, args=[0], outputs=spatial or None)
    out.parent.mkdir(parents=True, exist_ok=True)
    whole = out.with_suffix(".float.tflite")
    litert_torch.convert(wrapped, (batch,)).export(str(whole))
    tool = quantizer.Quantizer(str(whole))
    tool.load_quantization_recipe(recipe.static_wi8_ai8())
    name = Interpreter(str(whole)).get_signature_list()["serving_default"]["inputs"][0]
    half = len(pictures) // 2
    # Both ends of the scale must be seen, or the input's scale would not be the camera's 1/255.
    ends = np.stack([np.zeros_like(pictures[0]), np.full_like(pictures[0], 255)])
    seen = [{name: (p / 255).astype(np.float32)} for p in (*pictures[:half], *ends)]
    tool.quantize(_widest(tool, seen)).export_model(str(out), overwrite=True)
    _bring_inside(out)
    facts = _facts(model, out, meanings, pictures[half:])
    if report is not None:
        layer_errors(whole, out, pictures[half : half + 12], report)
    if kept is not None:
        kept.write_bytes(whole.read_bytes())
    whole.unlink()
    return facts


def layer_errors(whole: Path, out: Path, pictures: Picture, report: Path) -> None:
    """Write, for each tensor that both files have, how far int8 is from float: a share of the tensor's own spread."""
    exact, coarse = (
        Interpreter(
            str(file),
            num_threads=1,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        for file in (whole, out)
    )
    for run in (exact, coarse):
        run.allocate_tensors()
    found = {d["name"]: d for d in coarse.get_tensor_details() if d["dtype"] is np.int8 and d["quantization"][0] > 0}
    pairs = [(d, found[d["name"]]) for d in exact.get_tensor_details() if d["name"] in found]
    sums = np.zeros((len(pairs), 3))
    for picture in pictures:
        exact.set_tensor(exact.get_input_details()[0]["index"], (picture / 255).astype(np.float32))
        coarse.set_tensor(coarse.get_input_details()[0]["index"], (picture ^ 0x80).view(np.int8))
        exact.invoke()
        coarse.invoke()
        for k, (one, other) in enumerate(pairs):
            real = exact.get_tensor(one["index"])
            if real.dtype != np.float32 or real.ndim < 2 or real.shape != tuple(other["shape"]):
                continue
            difference = _real(coarse.get_tensor(other["index"]), other["quantization"]) - real
            sums[k] += (float(np.abs(difference).mean()), float(real.std()), 1)
    with report.open("w", newline="") as lines:
        table = csv.writer(lines)
        table.writerow(("tensor", "shape", "mean error", "spread", "share"))
        for (one, _), (error, spread, number) in zip(pairs, sums, strict=True):
            if number:
                shape = "x".join(str(int(side)) for side in one["shape"])
                share = error / max(spread, 1e-9)
                table.writerow((one["name"], shape, f"{error / number:.5f}", f"{spread / number:.5f}", f"{share:.4f}"))


def _bring_inside(path: Path) -> None:
    """Move constants that the tool put behind the flatbuffer into it, where the loader and older runtimes look."""
    content = path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content[buffer.offset : buffer.offset + buffer.size], np.uint8)
            buffer.offset = buffer.size = 0
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def _widest(tool: quantizer.Quantizer, seen: list[dict[str, Floats]]) -> dict[str, Any]:
    """Return each tensor's range: of inputs and outputs all that was seen, of the rest all but rare peaks."""
    ranges: dict[str, tuple[list[Floats], list[Floats]]] = {}
    widest: dict[str, Any] = {}
    for picture in seen:
        for name, found in tool.calibrate({"serving_default": [picture]}, num_threads=1).items():
            widest.setdefault(name, found)
            least, most = ranges.setdefault(name, ([], []))
            least.append(found["min"])
            most.append(found["max"])
    for name, (least, most) in ranges.items():
        rare = 0 if "serving_default" in name else RARE_PERCENT
        widest[name]["min"] = np.percentile(np.stack(least), rare, axis=0)
        widest[name]["max"] = np.percentile(np.stack(most), 100 - rare, axis=0)
    return widest


def _facts(model: nn.Module, out: Path, meanings: tuple[str, ...], pictures: Picture) -> Exported:
    """Match outputs to meanings by running both models on the pictures that did not calibrate."""
    run = Interpreter(str(out), num_threads=1)
    run.allocate_tensors()
    source, details = run.get_input_details()[0], run.get_output_details()
    order: dict[str, int] = {}
    sums = dict.fromkeys(meanings, 0.0)
    for picture in pictures:
        with torch.no_grad():
            wanted = model(torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255)
        run.set_tensor(source["index"], (picture ^ 0x80).view(np.int8))
        run.invoke()
        found = [_real(run.get_tensor(d["index"]), d["quantization"]) for d in details]
        for meaning, tensor in zip(meanings, wanted, strict=True):
            real = (tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor).numpy()
            if meaning not in order:
                fits = [k for k, f in enumerate(found) if f.shape == real.shape]
                order[meaning] = min(fits, key=lambda k: float(np.abs(found[k] - real).mean()))
            sums[meaning] += float(np.abs(found[order[meaning]] - real).mean()) / len(pictures)
    return Exported(
        out,
        hashlib.sha256(out.read_bytes()).hexdigest(),
        _tensor(source, ""),
        [_tensor(details[order[m]], m) for m in meanings],
        {m: round(v, 5) for m, v in sums.items()},
    )


def _real(values: npt.NDArray[np.int8], quantisation: tuple[float, int]) -> Floats:
    scale, zero = quantisation
    return ((values.astype(np.float32) - zero) * scale).astype(np.float32)


def _tensor(details: dict[str, Any], meaning: str) -> dict[str, Any]:
    scale, zero = details["quantization"]
    return {
        "name": str(details["name"]),
        "shape": [int(side) for side in details["shape"]],
        "dtype": "int8",
        "scale": float(scale),
        "zero_point": int(zero),
        "meaning": meaning,
    }
