"""Reads the weights that the detector's body starts from.

Knows:  a float16 YOLOX-nano (depthwise, "ti lite") TFLite file; which of its convolutions is which of ours.
Never:  its heads: those are ours from the first step.
Leaves: weights and biases as torch tensors, turned from blue-green-red 0..255 to the camera's Y U V 0..1.
Clauses: 4.2(2) (a detector's weights, no model of anybody).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor

from tools.train.nets import Detector

Floats = npt.NDArray[np.float32]
CONVOLUTIONS = {3: "plain", 4: "depthwise"}
"""The two BuiltinOperator numbers that carry weights."""

ORDER = (
    *(0, 1, 2, 3), *(4, 5, 6, 7, 8, 9), *(10, 11), *(13, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23), *(24, 25),
    *(26, 36, 27, 28, 29, 30, 31, 32, 33, 34, 35, 37), *(38, 39), *(40, 41), *(42, 46, 43, 44, 45, 47), 48,
    *(49, 53, 50, 51, 52, 54), 55, *(56, 60, 57, 58, 59, 61),
)  # fmt: skip
"""Number of the file's convolution for each of ours, in the order in which ``Detector.body`` lists them."""


def read_convolutions(path: Path) -> list[tuple[Floats, Floats]]:
    """Return weights (out, in, h, w) and biases of every convolution, in the file's order."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    halves = {int(op.outputs[0]): int(op.inputs[0]) for op in graph.operators if codes[op.opcodeIndex] == 6}

    def constant(number: int) -> Floats:
        tensor = graph.tensors[halves[number]]
        values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float16)
        return values.reshape(tensor.shape).astype(np.float32)

    out = []
    for op in graph.operators:
        kind = CONVOLUTIONS.get(codes[op.opcodeIndex])
        if kind is None:
            continue
        weight, bias = constant(int(op.inputs[1])), constant(int(op.inputs[2]))
        out.append((weight.transpose((0, 3, 1, 2) if kind == "plain" else (3, 0, 1, 2)).copy(), bias))
    return out


def _to_camera(weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """Fold full-range BT.601 into the first convolution: it saw B, G, R 0..255 and is to see Y, U, V 0..1."""
    matrix = np.array([[1, 1.772, 0], [1, -0.344136, -0.714136], [1, 0, 1.402]], np.float32)
    shift = matrix @ np.array([0, -128, -128], np.float32)
    turned = np.einsum("oihw,ij->ojhw", weight, matrix) * 255
    return turned.astype(np.float32), (bias + np.einsum("oihw,i->o", weight, shift)).astype(np.float32)


def start_from(model: Detector, path: Path) -> str:
    """Load the body's weights from ``path``; returns its sha256. Raises ValueError where a shape does not fit."""
    found = read_convolutions(path)
    for number, ours in zip(ORDER, model.convolutions(), strict=True):
        weight, bias = _to_camera(*found[number]) if number == 0 else found[number]
        if tuple(ours.weight.shape) != weight.shape or ours.bias is None:
            message = f"convolution {number}: {weight.shape} does not fit {tuple(ours.weight.shape)}"
            raise ValueError(message)
        with torch.no_grad():
            _fill(ours.weight, weight)
            _fill(ours.bias, bias)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fill(tensor: Tensor, values: Floats) -> None:
    tensor.copy_(torch.from_numpy(values))
