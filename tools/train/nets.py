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


class Detector(nn.Module):
    """Persons as peaks: heat logits and distances at stride 8 from three levels of a small pyramid."""

    def __init__(self, widths: tuple[int, int, int, int, int] = (16, 32, 72, 128, 176)) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.stem = nn.Sequential(_conv(3, a, 3, 2), Separable(a, b, 2), Separable(b, b))
        self.third = nn.Sequential(Separable(b, c, 2), Separable(c, c), Separable(c, c))
        self.fourth = nn.Sequential(Separable(c, d, 2), Separable(d, d), Separable(d, d), Separable(d, d))
        self.fifth = nn.Sequential(Separable(d, e, 2), Separable(e, e), Separable(e, e))
        self.down5, self.down4 = _conv(e, c, 1), _conv(d, c, 1)
        self.mix4, self.mix3 = Separable(c, c), Separable(c, c)
        self.neck = Separable(c, c)
        self.heat = nn.Sequential(Separable(c, c), nn.Conv2d(c, 1, 1))
        self.box = nn.Sequential(Separable(c, c), nn.Conv2d(c, 4, 1))
        self.unit = STRIDE
        nn.init.constant_(self.heat[1].bias, -4.0)  # type: ignore[arg-type] # a Conv2d's bias is a tensor
        nn.init.constant_(self.box[1].bias, 1.0)  # type: ignore[arg-type] # likewise

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, 192, 320) in 0..1 -> heat logits (n, 1, 24, 40), distances in model pixels (n, 4, 24, 40)."""
        third = self.third(self.stem(x))
        fourth = self.fourth(third)
        fifth = self.fifth(fourth)
        up = f.interpolate(self.down5(fifth), scale_factor=2.0, mode="nearest")
        merged = self.mix4(self.down4(fourth) + up)
        merged = self.mix3(third + f.interpolate(merged, scale_factor=2.0, mode="nearest"))
        merged = self.neck(merged)
        return self.heat(merged), f.relu(self.box(merged)) * self.unit if self.unit != 1 else f.relu(self.box(merged))


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
