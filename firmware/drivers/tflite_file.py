"""A TFLite file as plain facts, read before any interpreter touches it.

Knows:  the parts of the flatbuffer that say what a model can do: operators, tensors, what goes in and out.
Never:  runs anything, follows an offset out of the file.
Leaves: :class:`Graph`.
Clauses: 4.2(2) (what a model could carry is known before it is loaded).

The field numbers are those of TensorFlow Lite's ``schema.fbs``, version 3, which only ever grows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_IDENTIFIER: Final = b"TFL3"


class Damaged(ValueError):  # noqa: N818 - says what the file is
    """Not a whole TFLite file."""


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """One tensor. ``kind`` is the schema's TensorType (2 int32, 9 int8); ``constant``: its values stand in the file."""

    name: str
    kind: int
    constant: bool
    variable: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """What a model is made of. ``operators`` are BuiltinOperator numbers (32: custom)."""

    subgraphs: int
    operators: frozenset[int]
    tensors: tuple[TensorFacts, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_graph(content: bytes) -> Graph:
    """Return the facts of ``content``. Raises :class:`Damaged`."""
    if content[4:8] != _IDENTIFIER:
        raise Damaged
    try:
        return _read(content)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise Damaged from None


def _read(content: bytes) -> Graph:
    model = _Table(content, _offset(content, 0))
    filled = [buffer.length(0) > 0 for buffer in model.tables(4)]
    operators = frozenset(max(code.number(0, "<b"), code.number(3, "<i")) for code in model.tables(1))
    subgraphs = list(model.tables(2))
    if not subgraphs:
        raise Damaged
    tensors = []
    for tensor in subgraphs[0].tables(0):
        facts = TensorFacts(
            name=tensor.text(3),
            kind=tensor.number(1, "<b"),
            constant=filled[tensor.number(2, "<I")],
            variable=bool(tensor.number(5, "<b")),
        )
        tensors.append(facts)
    inputs = tuple(tensors[number].name for number in subgraphs[0].numbers(1))
    outputs = tuple(tensors[number].name for number in subgraphs[0].numbers(2))
    return Graph(len(subgraphs), operators, tuple(tensors), inputs, outputs)


class _Table:
    """One flatbuffer table; absent fields read as 0, "" or nothing."""

    __slots__ = ("_at", "_content")

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at

    def number(self, field: int, kind: str) -> int:
        at = self._field(field)
        return int(struct.unpack_from(kind, self._content, at)[0]) if at else 0

    def text(self, field: int) -> str:
        return bytes(self.table_bytes(field)).decode("utf-8")

    def table_bytes(self, field: int) -> bytes:
        start, length = self._vector(field)
        if start + length > len(self._content):
            raise Damaged
        return self._content[start : start + length]

    def length(self, field: int) -> int:
        return self._vector(field)[1]

    def numbers(self, field: int) -> Iterator[int]:
        start, length = self._vector(field)
        for place in range(length):
            yield int(struct.unpack_from("<i", self._content, start + 4 * place)[0])

    def tables(self, field: int) -> Iterator[_Table]:
        start, length = self._vector(field)
        for place in range(length):
            yield _Table(self._content, _offset(self._content, start + 4 * place))

    def _vector(self, field: int) -> tuple[int, int]:
        at = self._field(field)
        if not at:
            return 0, 0
        start = _offset(self._content, at)
        return start + 4, int(struct.unpack_from("<I", self._content, start)[0])

    def _field(self, field: int) -> int:
        vtable = self._at - int(struct.unpack_from("<i", self._content, self._at)[0])
        if vtable < 0:
            raise Damaged
        length = int(struct.unpack_from("<H", self._content, vtable)[0])
        if 4 + 2 * field >= length:
            return 0
        inside = int(struct.unpack_from("<H", self._content, vtable + 4 + 2 * field)[0])
        return self._at + inside if inside else 0


def _offset(content: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", content, at)[0])
