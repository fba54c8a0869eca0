"""The detector: plain convolutions that every int8 runtime and Edge TPU runs.

Knows:  conv, depthwise conv, add, concatenation, ReLU, max pool, nearest upsampling.
Never:  an output besides heat maps and boxes.
Leaves: torch modules, channels first.
Clauses: 4.2(2) (no embedding leaves), 6.1(4).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as f

from tools.train.rounding import Rounded, rounded

STRIDES = (8, 16, 32)
"""Pixels of the model's picture a cell, of each of the three grids."""

PERSONS = ("heat_8", "box_8", "heat_16", "box_16", "heat_32", "box_32")
"""Meanings of the detector's outputs, in order."""


class Plain(nn.Module):
    """A convolution with a bias and, but for ``linear``, ReLU: a trained one with its normalisation folded in."""

    def __init__(
        self, inside: int, outside: int, size: int = 1, step: int = 1, *, depthwise: bool = False, linear: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, size, step, size // 2, groups=inside if depthwise else 1)
        self.linear, self.kept = linear, Rounded()

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', h / step, w / step)."""
        conv = self.conv
        weight = rounded(conv.weight) if self.kept.rounds else conv.weight
        out = f.conv2d(x, weight, conv.bias, conv.stride, conv.padding, groups=conv.groups)
        kept: Tensor = self.kept(out if self.linear else f.relu(out))
        return kept


class Joined(nn.Module):
    """Grids laid on top of each other, channel after channel."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = Rounded()

    def forward(self, *parts: Tensor) -> Tensor:
        """(n, c, h, w), (n, d, h, w) ... -> (n, c + d ..., h, w)."""
        kept: Tensor = self.kept(torch.cat(parts, dim=1))
        return kept


class Split(nn.Module):
    """Two paths, one through ``depth`` small blocks, joined again (a cross-stage block)."""

    def __init__(
        self, inside: int, hidden: int, outside: int, depth: int, *, shortcut: bool, dear: bool = False
    ) -> None:
        super().__init__()
        self.main, self.other = Plain(inside, hidden), Plain(inside, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(Plain(hidden, hidden), *_three(hidden, hidden, dear=dear)) for _ in range(depth)
        )
        self.sums, self.both = nn.ModuleList(Rounded() for _ in range(depth * shortcut)), Joined()
        self.out = Plain(2 * hidden, outside)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', h, w)."""
        main = self.main(x)
        for number, block in enumerate(self.blocks):
            main = self.sums[number](block(main) + main) if len(self.sums) else block(main)
        return self.out(self.both(main, self.other(x)))


class Head(nn.Module):
    """Persons of one grid: a score's logit and a box a cell, from one branch of two cheap convolutions."""

    def __init__(self, inside: int, width: int = 64) -> None:
        super().__init__()
        self.stem = Plain(inside, width)
        self.branch = nn.Sequential(
            *(nn.Sequential(Plain(width, width, 3, depthwise=True, linear=True), Plain(width, width)) for _ in range(2))
        )
        self.heat, self.box = nn.Conv2d(width, 1, 1), nn.Conv2d(width, 4, 1)
        self.heats, self.boxes = Rounded(), Rounded()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, c, h, w) -> logits (n, 1, h, w), boxes (n, 4, h, w): see :data:`STRIDES`."""
        x = self.branch(self.stem(x))
        return self.heats(self.heat(x)), self.boxes(self.box(x))


def _three(inside: int, outside: int, step: int = 1, *, dear: bool = False) -> list[nn.Module]:
    """Return a 3 x 3 convolution: depthwise and pointwise, or, ``dear``, whole."""
    if dear:
        return [Plain(inside, outside, 3, step)]
    return [Plain(inside, inside, 3, step, depthwise=True), Plain(inside, outside)]


class Detector(nn.Module):
    """Persons on three grids, at strides 8, 16 and 32.

    The body has the form of YOLOX-nano's (depthwise, its normalisation folded in), so that it can start from such
    weights (``start.py``); the heads are ours: one class, one cheap branch. It takes any size whose sides are
    multiples of 32.
    """

    def __init__(self, *, dear: bool = False) -> None:
        """``dear``: whole 3 x 3 convolutions, as in the plain YOLOX-nano; for a teacher only."""
        super().__init__()

        def _down(inside: int, outside: int) -> nn.Sequential:
            return nn.Sequential(*_three(inside, outside, 2, dear=dear))

        def _split(inside: int, hidden: int, outside: int, depth: int = 1, *, shortcut: bool = False) -> Split:
            return Split(inside, hidden, outside, depth, shortcut=shortcut, dear=dear)

        self.stem = nn.Sequential(Plain(3, 12, 3, 2), Plain(12, 16, 3), *_down(16, 32))
        self.second = _split(32, 16, 32, shortcut=True)
        self.third = nn.Sequential(*_down(32, 64), _split(64, 32, 64, 3, shortcut=True))
        self.fourth = nn.Sequential(*_down(64, 128), _split(128, 64, 128, 3, shortcut=True))
        self.fifth = _down(128, 256)
        self.squeeze, self.spread = Plain(256, 128), Plain(512, 256)
        self.deep = _split(256, 128, 256)
        self.lateral5, self.merge4 = Plain(256, 128), _split(256, 64, 128)
        self.lateral4, self.merge3 = Plain(128, 64), _split(128, 32, 64)
        self.down3, self.again4 = _down(64, 64), _split(128, 64, 128)
        self.down4, self.again5 = _down(128, 128), _split(256, 128, 256)
        self.pools, self.tops, self.mids, self.lows, self.ends = (Joined() for _ in range(5))
        self.heads = nn.ModuleList([Head(64), Head(128), Head(256)])

    def early(self) -> list[nn.Module]:
        """Return what sees edges and colours only; it may stay as it started."""
        return [self.stem, self.second]

    def convolutions(self) -> list[nn.Conv2d]:
        """Return the body's convolutions in a fixed order."""
        parts = (self.stem, self.second, self.third, self.fourth, self.fifth, self.squeeze, self.spread, self.deep,
                 self.lateral5, self.merge4, self.lateral4, self.merge3, self.down3, self.again4, self.down4,
                 self.again5)  # fmt: skip
        return [module for part in parts for module in part.modules() if isinstance(module, nn.Conv2d)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(n, 3, h, w) in 0..1 -> logits and boxes of the grids of 8, 16 and 32 pixels, in turn.

        A box is its middle's place in cells from the cell's corner (across, down) and the logarithms of width and
        height in cells.
        """
        return self.told(self.seen(x))

    def told(self, grids: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Return what the heads make of the body's three grids."""
        out: list[Tensor] = []
        for head, grid in zip(self.heads, grids, strict=True):
            out += head(grid)
        return tuple(out)

    def seen(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the body's three grids: (n, 64, h / 8, w / 8), (n, 128, h / 16, w / 16), (n, 256, h / 32, w / 32)."""
        third = self.third(self.second(self.stem(x)))
        fourth = self.fourth(third)
        pooled = [self.squeeze(self.fifth(fourth))]
        for _ in range(3):
            pooled.append(f.max_pool2d(f.max_pool2d(pooled[-1], 3, 1, 1), 3, 1, 1))
        lateral5 = self.lateral5(self.deep(self.spread(self.pools(*pooled))))
        lateral4 = self.lateral4(self.merge4(self.tops(_twice(lateral5), fourth)))
        grid3 = self.merge3(self.mids(_twice(lateral4), third))
        grid4 = self.again4(self.lows(self.down3(grid3), lateral4))
        return grid3, grid4, self.again5(self.ends(self.down4(grid4), lateral5))


class FullHead(nn.Module):
    """The start's own head, persons only: a class branch and a box branch of two 3 x 3 convolutions each."""

    def __init__(self, inside: int, width: int = 64) -> None:
        super().__init__()
        self.stem = Plain(inside, width)
        self.kinds = nn.Sequential(Plain(width, width, 3), Plain(width, width, 3))
        self.kind = nn.Conv2d(width, 1, 1)
        self.places = nn.Sequential(Plain(width, width, 3), Plain(width, width, 3))
        self.box, self.thing = nn.Conv2d(width, 4, 1), nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, c, h, w) -> logits (n, 1, h, w) of "a thing, and a person", boxes (n, 4, h, w)."""
        x = self.stem(x)
        places = self.places(x)
        both = torch.sigmoid(self.kind(self.kinds(x))) * torch.sigmoid(self.thing(places))
        return torch.logit(both, eps=1e-4), self.box(places)


class Teacher(Detector):
    """The start itself, persons only: what the detector learns to say with cheaper heads. It is never exported."""

    def __init__(self, *, dear: bool = False) -> None:
        super().__init__(dear=dear)
        self.heads = nn.ModuleList([FullHead(64), FullHead(128), FullHead(256)])


def _twice(x: Tensor) -> Tensor:
    return f.interpolate(x, scale_factor=2.0, mode="nearest")
