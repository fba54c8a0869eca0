"""The two forms a detector may have: what goes in, which grids of cells come out.

Knows:  sizes in pixels, strides, the exact shape of every tensor.
Never:  a third form; a channel more than a score and a box a cell need.
Leaves: :data:`FORMS`, by the shape of the input.
Clauses: 4.2(2) (an embedding has nowhere to come out).

A model sees the whole 16:9 picture, squeezed into its own size. On each of three grids a cell says a logit (somebody
is here) and a box: its middle's place in cells from the cell's corner, across and down, and the logarithms of its
width and height in cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Shape = tuple[int, ...]

STRIDES: Final = (8, 16, 32)
"""Model pixels a cell, of each grid."""


@dataclass(frozen=True, slots=True)
class Form:
    """A detector whose picture is ``height`` x ``width`` pixels, both multiples of 32."""

    height: int
    width: int

    @property
    def picture(self) -> Shape:
        """Input, NHWC int8, channels Y U V."""
        return (1, self.height, self.width, 3)

    @property
    def grids(self) -> tuple[tuple[int, int, int], ...]:
        """Rows, columns and stride of each grid."""
        return tuple((self.height // stride, self.width // stride, stride) for stride in STRIDES)

    @property
    def cells(self) -> int:
        """Cells of all grids together."""
        return sum(rows * columns for rows, columns, _ in self.grids)

    @property
    def outputs(self) -> Mapping[str, Shape]:
        """Shape of each output by its meaning, in the order in which they are decoded."""
        shapes: dict[str, Shape] = {}
        for rows, columns, stride in self.grids:
            shapes[f"heat_{stride}"] = (1, rows, columns, 1)
            shapes[f"box_{stride}"] = (1, rows, columns, 4)
        return shapes


SMALL: Final = Form(192, 384)
"""For a processor that also records: the pole's default."""

LARGE: Final = Form(288, 512)
"""For an accelerator, or a processor with time to spare."""

FORMS: Final[Mapping[Shape, Form]] = {form.picture: form for form in (SMALL, LARGE)}

MEANINGS: Final = tuple(SMALL.outputs)
"""``heat_8``, ``box_8``, ``heat_16`` ... in order."""
