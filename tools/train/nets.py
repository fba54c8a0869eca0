"""The two networks: plain convolutions that every int8 runtime and Edge TPU runs.

Knows:  conv, depthwise conv, add, ReLU6, nearest upsampling, mean.
Never:  an output besides a heat map and four distances, or class scores.
Leaves: torch modules, channels first.
Clauses: 4.2(2) (no embedding leaves), 6.1(4).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as f

STRIDE = 8


def _conv(inside: int, outside: int, size: int = 3, step: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, step, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU6(),
    )


class Separable(nn.Module):
    """Depthwise then pointwise, with a shortcut where shapes allow."""

    def __init__(self, inside: int, outside: int, step: int = 1, size: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(inside, inside, size, step, inside), _conv(inside, outside, 1))
        self.keeps = step == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', h / step, w / step)."""
        return x + self.body(x) if self.keeps else self.body(x)


class Plain(nn.Module):
    """A convolution with a bias and ReLU: what a trained one with its normalisation folded in looks like."""

    def __init__(self, inside: int, outside: int, size: int = 1, step: int = 1, *, depthwise: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, size, step, size // 2, groups=inside if depthwise else 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', h / step, w / step)."""
        return f.relu(self.conv(x))


class Split(nn.Module):
    """Two paths, one through ``depth`` small blocks, joined again (a cross-stage block)."""

    def __init__(self, inside: int, hidden: int, outside: int, depth: int, *, shortcut: bool) -> None:
        super().__init__()
        self.main, self.other = Plain(inside, hidden), Plain(inside, hidden)
        self.blocks = nn.ModuleList(
            nn.Sequential(Plain(hidden, hidden), Plain(hidden, hidden, 3, depthwise=True), Plain(hidden, hidden))
            for _ in range(depth)
        )
        self.out = Plain(2 * hidden, outside)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', h, w)."""
        main = self.main(x)
        for block in self.blocks:
            main = block(main) + main if self.shortcut else block(main)
        return self.out(torch.cat((main, self.other(x)), dim=1))


def _down(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(Plain(inside, inside, 3, 2, depthwise=True), Plain(inside, outside))


class Detector(nn.Module):
    """Persons as peaks: heat logits and distances at stride 8, from the top-down half of a small pyramid.

    The body has the form of YOLOX-nano's (depthwise), without its bottom-up half and its heads, so that it can start
    from such weights (``start.py``); the heads are depthwise and ours.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Plain(3, 12, 3, 2), Plain(12, 16, 3), *_down(16, 32))
        self.second = Split(32, 16, 32, 1, shortcut=True)
        self.third = nn.Sequential(*_down(32, 64), Split(64, 32, 64, 3, shortcut=True))
        self.fourth = nn.Sequential(*_down(64, 128), Split(128, 64, 128, 3, shortcut=True))
        self.fifth = _down(128, 256)
        self.squeeze, self.spread = Plain(256, 128), Plain(512, 256)
        self.deep = Split(256, 128, 256, 1, shortcut=False)
        self.lateral5, self.merge4 = Plain(256, 128), Split(256, 64, 128, 1, shortcut=False)
        self.lateral4, self.merge3 = Plain(128, 64), Split(128, 32, 64, 1, shortcut=False)
        self.neck = Separable(64, 64)
        self.heat = nn.Sequential(Separable(64, 64), nn.Conv2d(64, 1, 1))
        self.box = nn.Sequential(Separable(64, 64), nn.Conv2d(64, 4, 1))
        self.unit = STRIDE
        nn.init.constant_(self.heat[1].bias, -3.5)  # type: ignore[arg-type] # a Conv2d's bias is a tensor
        nn.init.constant_(self.box[1].bias, 2.0)  # type: ignore[arg-type] # likewise

    def early(self) -> list[nn.Module]:
        """Return what sees edges and colours only; it may stay as it started."""
        return [self.stem, self.second]

    def convolutions(self) -> list[nn.Conv2d]:
        """Return the body's convolutions in a fixed order."""
        parts = (self.stem, self.second, self.third, self.fourth, self.fifth, self.squeeze, self.spread, self.deep,
                 self.lateral5, self.merge4, self.lateral4, self.merge3)  # fmt: skip
        return [module for part in parts for module in part.modules() if isinstance(module, nn.Conv2d)]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, 192, 320) in 0..1 -> heat logits (n, 1, 24, 40), distances in model pixels (n, 4, 24, 40)."""
        third = self.third(self.second(self.stem(x)))
        fourth = self.fourth(third)
        pooled = [self.squeeze(self.fifth(fourth))]
        for _ in range(3):
            pooled.append(f.max_pool2d(f.max_pool2d(pooled[-1], 3, 1, 1), 3, 1, 1))
        lateral = self.lateral5(self.deep(self.spread(torch.cat(pooled, dim=1))))
        merged = self.merge4(torch.cat((_twice(lateral), fourth), dim=1))
        merged = self.neck(self.merge3(torch.cat((_twice(self.lateral4(merged)), third), dim=1)))
        distances = f.relu(self.box(merged))
        return self.heat(merged), distances * self.unit if self.unit != 1 else distances


def _twice(x: Tensor) -> Tensor:
    return f.interpolate(x, scale_factor=2.0, mode="nearest")


class Attributes(nn.Module):
    """Sex, age band and mask of upper bodies: three rows of class logits and nothing else."""

    def __init__(self, widths: tuple[int, int, int, int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.trunk = nn.Sequential(
            _conv(3, a, 3, 2),
            Separable(a, b, 1),
            Separable(b, b),
            Separable(b, c, 2),
            Separable(c, c),
            Separable(c, c),
            Separable(c, d, 2),
            Separable(d, d),
            Separable(d, d),
        )
        self.drop = nn.Dropout(0.15)
        self.sex, self.age, self.mask = nn.Linear(d, 2), nn.Linear(d, 4), nn.Linear(d, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 3, 64, 48) in 0..1 -> logits (n, 2), (n, 4), (n, 2)."""
        pooled = self.drop(torch.mean(self.trunk(x), dim=(2, 3)))
        return self.sex(pooled), self.age(pooled), self.mask(pooled)
