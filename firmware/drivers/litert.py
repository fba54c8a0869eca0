"""LiteRT: loads a model that is exactly what its manifest says, and that could not name anybody.

Knows:  the manifest, the shapes this firmware's models may have, the interpreter.
Never:  a model with an output of its own making, with memory between slices, or with a float in it.
Leaves: :class:`LoadedModel`, the network the people-flow house counts with.
Clauses: 4.2(2) (no identification: an embedding has nowhere to come out), 6.1(4) (no identifier), 6.2(1) (no state).

The same bytes that were hashed and examined are given to the interpreter; the file is read once.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from firmware.drivers.model_manifest import Model, Tensor
from firmware.drivers.tflite_file import Damaged, Graph, read_graph
from firmware.flow.form import FORMS, MEANINGS
from firmware.flow.tensors import ATTRIBUTE_SHAPE, CROPS
from firmware.ground.errors import ModelError

RUNTIMES: Final = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
"""Tried in this order: the second is the older name, for Edge TPU boards."""

_ATTRIBUTES: Final[Mapping[str, tuple[int, ...]]] = {
    "upper_bodies": ATTRIBUTE_SHAPE,
    "sex": (CROPS, 2),
    "age": (CROPS, 4),
    "mask": (CROPS, 2),
}
_INPUTS: Final = {"persons": "picture", "attributes": "upper_bodies"}
_REQUIRED: Final = {"persons": frozenset(MEANINGS), "attributes": frozenset[str]()}
_PICTURE_SCALE: Final = 1 / 255
_PICTURE_ZERO: Final = -128

_INT32: Final = 2
_INT8: Final = 9
_CUSTOM: Final = 32
OPERATORS: Final = frozenset(
    {
        0, 1, 2, 3, 4, 9, 14, 17, 18, 19, 20, 21, 22, 23, 25, 28, 34, 39, 40, 41, 45, 49, 54, 55, 57, 60, 65, 67, 74,
        83, 97, 98, 100, 114, 117, 150,
    }
)  # fmt: skip
"""Operators that compute outputs from inputs and remember nothing (numbers of the schema's BuiltinOperator):
add, average pool, concatenation, convolution (plain, depthwise), fully connected, logistic, max pool, multiply, the
relus, reshape, resizes, softmax, tanh, pads, transpose, mean, subtract, strided slice, split, prelu, maximum, minimum,
slice, transposed convolution, sum, pack, leaky relu, quantize, hard swish, gelu."""


class Interpreter(Protocol):
    """What is used of either runtime's interpreter."""

    def allocate_tensors(self) -> None:
        """Plan and take all memory."""

    def invoke(self) -> None:
        """Compute the outputs from the input."""

    def get_input_details(self) -> list[dict[str, Any]]:
        """Return name, index, shape, dtype and quantization of each input."""

    def get_output_details(self) -> list[dict[str, Any]]:
        """Return the same of each output."""

    def tensor(self, number: int, /) -> Callable[[], npt.NDArray[np.int8]]:
        """Return a function that returns the tensor's own memory."""


class LoadedModel:
    """One model in its interpreter; implements :class:`firmware.flow.observer.Network`."""

    def __init__(self, entry: Model, interpreter: Interpreter) -> None:
        self.entry: Final = entry
        self._interpreter = interpreter
        self._input: int = interpreter.get_input_details()[0]["index"]
        numbers = {details["name"]: int(details["index"]) for details in interpreter.get_output_details()}
        self._outputs: dict[str, int] = {output.meaning: numbers[output.name] for output in entry.output}

    def input(self) -> npt.NDArray[np.int8]:
        """Return the one input tensor, writable: the interpreter's own memory."""
        return self._tensor(self._input)

    def output(self, meaning: str) -> npt.NDArray[np.int8]:
        """Return the output tensor with that meaning: the interpreter's own memory."""
        return self._tensor(self._outputs[meaning])

    def run(self) -> None:
        """Compute. RuntimeError while somebody still holds a tensor."""
        self._interpreter.invoke()

    def output_entry(self, meaning: str) -> Tensor:
        """Return the manifest's lines on that output."""
        return next(output for output in self.entry.output if output.meaning == meaning)

    def _tensor(self, number: int) -> npt.NDArray[np.int8]:
        return self._interpreter.tensor(number)()


def load_model(directory: Path, entry: Model, needed: frozenset[str] = frozenset()) -> LoadedModel:
    """Load ``directory / entry.file``, with the outputs ``needed`` besides those its task always has.

    Raises :class:`ModelError`: ``E-MODEL-HASH`` (not the file that was listed), ``E-MODEL-DTYPE`` (a float, or anything
    not int8), ``E-MODEL-TENSOR`` (an input or output that is not exactly one of ours), ``E-MODEL-IDENT`` (something
    that could carry or remember a person), ``E-MODEL-FORMAT``, ``E-MODEL-MISSING``.
    """
    path = directory / entry.file
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise _refusal("E-MODEL-HASH", "sha256 is not the one in the manifest", path.name)
    _check_manifest(entry, needed)
    try:
        graph = read_graph(content)
    except Damaged:
        raise _refusal("E-MODEL-FORMAT", "not a whole TFLite file", path.name) from None
    _check_graph(entry, graph)
    interpreter = _interpreter(content)
    interpreter.allocate_tensors()
    _check_interpreter(entry, interpreter)
    return LoadedModel(entry, interpreter)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refusal("E-MODEL-MISSING", f"cannot read: {error.strerror}", path.name) from None


def _check_manifest(entry: Model, needed: frozenset[str]) -> None:
    """Compare what is listed with what this firmware's models may be."""
    allowed = _allowed(entry)
    meanings = [output.meaning for output in entry.output]
    for tensor in entry.output:
        if tensor.meaning not in allowed or tensor.meaning == _INPUTS[entry.task]:
            raise _refusal("E-MODEL-TENSOR", f"no output of a model for {entry.task}", entry.file, tensor.name)
    for tensor in (entry.input, *entry.output):
        if tensor.shape != allowed.get(tensor.meaning):
            raise _refusal("E-MODEL-TENSOR", f"shape {list(tensor.shape)} is not allowed", entry.file, tensor.name)
    if entry.input.meaning != _INPUTS[entry.task] or not _is_picture(entry.input):
        raise _refusal("E-MODEL-TENSOR", "input must have scale 1/255, zero point -128", entry.file, entry.input.name)
    if len(set(meanings)) != len(meanings) or not (_REQUIRED[entry.task] | needed) <= set(meanings):
        raise _refusal("E-MODEL-TENSOR", "an output is listed twice, or one that is needed is not", entry.file)


def _allowed(entry: Model) -> Mapping[str, tuple[int, ...]]:
    """Return the shape of every tensor that a model of this task may have; a detector's are those of its form."""
    if entry.task == "attributes":
        return _ATTRIBUTES
    form = FORMS.get(entry.input.shape)
    if form is None:
        what = f"shape {list(entry.input.shape)} is not allowed"
        raise _refusal("E-MODEL-TENSOR", what, entry.file, entry.input.name)
    return {"picture": form.picture, **form.outputs}


def _is_picture(tensor: Tensor) -> bool:
    return abs(tensor.scale - _PICTURE_SCALE) < 1e-6 and tensor.zero_point == _PICTURE_ZERO


def _check_graph(entry: Model, graph: Graph) -> None:
    """Refuse what could carry a person out (4.2(2)) or keep something until the next slice (6.2(1))."""
    listed = {output.name for output in entry.output}
    for name in graph.outputs:
        if name not in listed:
            raise _refusal("E-MODEL-IDENT", "an output that is not listed could carry anything", entry.file, name)
    if len(graph.outputs) != len(listed) or graph.inputs != (entry.input.name,):
        raise _refusal("E-MODEL-TENSOR", "inputs or outputs are not those in the manifest", entry.file)
    strange = sorted(graph.operators - OPERATORS)
    if strange or graph.subgraphs != 1:
        what = f"operators {strange} or a second graph could remember or do anything"
        raise _refusal("E-MODEL-IDENT", what, entry.file)
    for tensor in graph.tensors:
        if tensor.variable:
            raise _refusal("E-MODEL-IDENT", "remembers something between slices", entry.file, tensor.name)
        if tensor.kind != _INT8 and not (tensor.kind == _INT32 and tensor.constant):
            raise _refusal("E-MODEL-DTYPE", "not int8", entry.file, tensor.name)


def _check_interpreter(entry: Model, interpreter: Interpreter) -> None:
    """Believe the interpreter, not the file: names, shapes, types and scales as it will use them."""
    details = {found["name"]: found for found in (*interpreter.get_input_details(), *interpreter.get_output_details())}
    for tensor in (entry.input, *entry.output):
        found = details.get(tensor.name)
        if found is None or tuple(int(side) for side in found["shape"]) != tensor.shape:
            raise _refusal("E-MODEL-TENSOR", "shape is not the one in the manifest", entry.file, tensor.name)
        if found["dtype"] is not np.int8:
            raise _refusal("E-MODEL-DTYPE", "not int8", entry.file, tensor.name)
        scale, zero_point = found["quantization"]
        if abs(scale / tensor.scale - 1) > 1e-4 or zero_point != tensor.zero_point:
            raise _refusal("E-MODEL-TENSOR", "scale or zero point is not the manifest's", entry.file, tensor.name)


def _interpreter(content: bytes) -> Interpreter:
    for name in RUNTIMES:
        try:
            runtime = importlib.import_module(name)
        except ImportError:
            continue
        made: Interpreter = runtime.Interpreter(model_content=content, num_threads=1)  # no threads in the jail
        return made
    raise ModelError("E-MODEL-RUNTIME", "no TFLite runtime", where=" or ".join(RUNTIMES), todo="install ai-edge-litert")


def _refusal(code: str, what: str, file: str, tensor: str = "") -> ModelError:
    where = f"{file}: {tensor}" if tensor else file
    return ModelError(code, what, where=where, clause="4.2(2)", todo="use the models that came with this release")
