"""Reads the weights that the detector starts from.

Knows:  the two YOLOX-nano "ti lite" TFLite files (depthwise in float16, plain in int8); which of their
        convolutions is which of ours.
Never:  eighty classes: of the heads only the branch that finds and boxes things is taken, squeezed into ours.
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
from torch import Tensor, nn

from tools.train.nets import Detector, FullHead, Head, Teacher

Floats = npt.NDArray[np.float32]
CONVOLUTIONS = {3: "plain", 4: "depthwise"}
"""The two BuiltinOperator numbers that carry weights."""

ORDER = (
    *(0, 1, 2, 3), *(4, 5, 6, 7, 8, 9), *(10, 11), *(13, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23), *(24, 25),
    *(26, 36, 27, 28, 29, 30, 31, 32, 33, 34, 35, 37), *(38, 39), *(40, 41), *(42, 46, 43, 44, 45, 47), 48,
    *(49, 53, 50, 51, 52, 54), 55, *(56, 60, 57, 58, 59, 61), *(62, 63), *(64, 68, 65, 66, 67, 69), *(70, 71),
    *(72, 76, 73, 74, 75, 77),
)  # fmt: skip
"""Number of the depthwise file's convolution for each of ours, in the order of ``Detector.convolutions``."""

DEAR_ORDER = (
    *(0, 1, 2), *(3, 6, 4, 5, 7), 8, *(10, 9, 11, 12, 13, 14, 15, 16, 17), 18, *(19, 26, 20, 21, 22, 23, 24, 25, 27),
    28, *(29, 30), *(31, 34, 32, 33, 35), 36, *(37, 40, 38, 39, 41), 42, *(43, 46, 44, 45, 47), 48,
    *(49, 52, 50, 51, 53), 54, *(55, 58, 56, 57, 59),
)  # fmt: skip
"""The same for the plain file."""

PERSON = 0
"""Of the start's eighty classes."""

HEADS, DEAR_HEADS = (94, 86, 78), (76, 68, 60)
"""First of eight convolutions of each file's heads at strides 8, 16, 32: stem, two, classes, two, box, object."""


def read_convolutions(path: Path) -> list[tuple[Floats, Floats]]:
    """Return weights (out, in, h, w) and biases of every convolution, in the file's order."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    halves = {int(op.outputs[0]): int(op.inputs[0]) for op in graph.operators if codes[op.opcodeIndex] == 6}

    def constant(number: int) -> Floats:
        tensor = graph.tensors[halves.get(number, number)]
        raw = bytes(model.buffers[tensor.buffer].data)
        if tensor.type == schema.TensorType.FLOAT16:
            return np.frombuffer(raw, np.float16).reshape(tensor.shape).astype(np.float32)
        kinds = {schema.TensorType.INT8: np.int8, schema.TensorType.UINT8: np.uint8}
        whole = np.frombuffer(raw, kinds.get(tensor.type, np.int32)).reshape(tensor.shape).astype(np.float32)
        scale, zero = (
            np.asarray(part, np.float32) for part in (tensor.quantization.scale, tensor.quantization.zeroPoint)
        )
        if len(scale) == 1:
            return np.asarray((whole - zero) * scale, np.float32)
        place = [-1 if axis == tensor.quantization.quantizedDimension else 1 for axis in range(len(tensor.shape))]
        return np.asarray((whole - zero.reshape(place)) * scale.reshape(place), np.float32)

    out = []
    for op in graph.operators:
        kind = CONVOLUTIONS.get(codes[op.opcodeIndex])
        if kind is None:
            continue
        weight, bias = constant(int(op.inputs[1])), constant(int(op.inputs[2]))
        out.append((weight.transpose((0, 3, 1, 2) if kind == "plain" else (3, 0, 1, 2)).copy(), bias))
    return out


def to_camera(weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """Fold full-range BT.601 into the first convolution: it saw B, G, R 0..255 and is to see Y, U, V 0..1."""
    matrix = np.array([[1, 1.772, 0], [1, -0.344136, -0.714136], [1, 0, 1.402]], np.float32)
    shift = matrix @ np.array([0, -128, -128], np.float32)
    turned = np.einsum("oihw,ij->ojhw", weight, matrix) * 255
    return turned.astype(np.float32), (bias + np.einsum("oihw,i->o", weight, shift)).astype(np.float32)


def start_from(model: Detector, path: Path) -> str:
    """Load weights from ``path``; returns its sha256. Raises ValueError where a shape does not fit."""
    found = read_convolutions(path)
    _start_body(model, found, ORDER)
    for first, head in zip(HEADS, model.heads, strict=True):
        _start_head(head, found[first : first + 8])
    return hashlib.sha256(path.read_bytes()).hexdigest()


def teacher_from(path: Path) -> Teacher:
    """Return either file's network as it came, with the person class only of its eighty."""
    found = read_convolutions(path)
    dear = len(found) < len(ORDER) + 3 * 8
    model = Teacher(dear=dear)
    _start_body(model, found, DEAR_ORDER if dear else ORDER)
    for first, head in zip(DEAR_HEADS if dear else HEADS, model.heads, strict=True):
        _whole_head(head, found[first : first + 8])
    return model.eval().requires_grad_(requires_grad=False)


def _whole_head(head: FullHead, theirs: list[tuple[Floats, Floats]]) -> None:
    weight, bias = theirs[3]
    ours = (head.stem.conv, *(part.conv for part in head.kinds), head.kind, *(part.conv for part in head.places))
    wanted = (*theirs[:3], (weight[PERSON : PERSON + 1], bias[PERSON : PERSON + 1]), *theirs[4:6])
    for place, values in zip((*ours, head.box, head.thing), (*wanted, *theirs[6:]), strict=True):
        put(place, *values)


def _start_body(model: Detector, found: list[tuple[Floats, Floats]], order: tuple[int, ...]) -> None:
    for number, ours in zip(order, model.convolutions(), strict=True):
        put(ours, *(to_camera(*found[number]) if number == 0 else found[number]))


def _start_head(head: Head, theirs: list[tuple[Floats, Floats]]) -> None:
    """Take stem, boxes and "something is here"; squeeze each 3 x 3 convolution into a depthwise and a 1 x 1 one.

    For each input channel the best such pair is the first singular vector of its (outputs, 9) kernel.
    """
    put(head.stem.conv, *theirs[0])
    for ours, (weight, bias) in zip(head.branch, theirs[4:6], strict=True):
        outputs, inputs = weight.shape[:2]
        shapes, mixing = np.zeros((inputs, 1, 3, 3), np.float32), np.zeros((outputs, inputs, 1, 1), np.float32)
        for channel in range(inputs):
            left, size, right = np.linalg.svd(weight[:, channel].reshape(outputs, 9), full_matrices=False)
            root = np.sqrt(size[0])
            shapes[channel, 0] = (right[0] * root).reshape(3, 3)
            mixing[:, channel, 0, 0] = left[:, 0] * root
        put(ours[0].conv, shapes, np.zeros(inputs, np.float32))
        put(ours[1].conv, mixing, bias)
    put(head.box, *theirs[6])
    put(head.heat, *theirs[7])


def put(ours: nn.Conv2d, weight: Floats, bias: Floats | None) -> None:
    """Fill a convolution. Raises ValueError where a shape does not fit."""
    if tuple(ours.weight.shape) != weight.shape or (ours.bias is None) != (bias is None):
        message = f"{weight.shape} does not fit {tuple(ours.weight.shape)}"
        raise ValueError(message)
    with torch.no_grad():
        _fill(ours.weight, weight)
        if ours.bias is not None and bias is not None:
            _fill(ours.bias, bias)


def _fill(tensor: Tensor, values: Floats) -> None:
    tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))
