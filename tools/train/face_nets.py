"""Two networks of faces: the attribute heads that a pole runs, and the one that they start from and learn from.

Knows:  depthwise and pointwise convolutions, add, ReLU, max pooling, slice, mean.
Never:  an output besides class logits from what is exported; anything that could tell two people apart.
Leaves: torch modules, channels first.
Clauses: 4.2(2) (no embedding leaves), 6.1(4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as f

from tools.train.faces import COLUMNS, ROWS


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels of a face trunk: those that pass on from block to block, and those inside each block."""

    stem: int = 24
    entry_inside: int = 32
    entry: int = 64
    second_inside: int = 80
    stream: int = 96
    main_inside: int = 96
    exit_inside: int = 160
    exit: int = 160
    last: int = 256


WHOLE = Widths(32, 64, 64, 128, 128, 128, 256, 256, 512)
"""The start's own."""


class Separable(nn.Module):
    """A depthwise 3 x 3 convolution and a pointwise one, nothing between them."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.deep, self.across = (
            nn.Conv2d(inside, inside, 3, 1, 1, groups=inside, bias=False),
            nn.Conv2d(inside, outside, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', h, w)."""
        out: Tensor = self.across(self.deep(x))
        return out


class Step(nn.Module):
    """Two separable convolutions beside one pointwise; halves the grid unless told otherwise."""

    def __init__(self, inside: int, hidden: int, outside: int, *, halves: bool = True) -> None:
        super().__init__()
        self.first, self.second = Separable(inside, hidden), Separable(hidden, outside)
        self.beside = nn.Conv2d(inside, outside, 1, 2 if halves else 1)
        self.halves = halves


class Main(nn.Module):
    """Three separable convolutions whose sum with what came in goes on."""

    def __init__(self, stream: int, hidden: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList((Separable(stream, hidden), Separable(hidden, hidden), Separable(hidden, stream)))


class Trunk(nn.Module):
    """The convolutions of a tiny Xception, with two main blocks."""

    def __init__(self, widths: Widths, *, halves_first: bool) -> None:
        super().__init__()
        w = widths
        self.stem = nn.Conv2d(3, w.stem, 3, 2)
        self.entry = Step(w.stem, w.entry_inside, w.entry, halves=halves_first)
        self.second = Step(w.entry, w.second_inside, w.stream)
        self.main = nn.ModuleList(Main(w.stream, w.main_inside) for _ in range(2))
        self.exit = Step(w.stream, w.exit_inside, w.exit)
        self.last = Separable(w.exit, w.last)


class Attributes(nn.Module):
    """Sex, age band and mask of upper bodies: three rows of class logits and nothing else.

    The trunk is a narrower tiny Xception that looks at a face of about 40 pixels where the start looks at one of 100:
    its first block keeps its grid, ReLU comes after each sum and not before the next block, pooling is of 2 x 2.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = Widths()
        self.trunk = Trunk(widths, halves_first=False)
        self.sex, self.age = nn.Linear(widths.last, 2), nn.Linear(widths.last, 4)
        self.mask = nn.Linear(widths.last + widths.stream, 2)

    def heads(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        """Return the three heads: sex, age, mask."""
        return self.sex, self.age, self.mask

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """(n, 3, 96, 72) in 0..1 -> maps of entry (n, 64, 28, 20), second and main (96, 14, 10), last (256, 7, 5)."""
        trunk = self.trunk
        x = f.relu(trunk.stem(x[:, :, ROWS[0] : ROWS[1], COLUMNS[0] : COLUMNS[1]]))
        entry = f.relu(self._step(trunk.entry, x))
        second = middle = f.relu(self._step(trunk.second, entry))
        for block in trunk.main:
            inner = f.relu(block.parts[1](f.relu(block.parts[0](middle))))
            middle = f.relu(middle + block.parts[2](inner))
        return entry, second, middle, f.relu(trunk.last(self._step(trunk.exit, middle)))

    @staticmethod
    def _step(step: Step, x: Tensor) -> Tensor:
        out = step.second(f.relu(step.first(x)))
        return torch.as_tensor((f.max_pool2d(out, 2) if step.halves else out) + step.beside(x))

    def pooled(self, x: Tensor) -> Tensor:
        """(n, 3, 96, 72) in 0..1 -> (n, 352): means of the last map (what sex and age see) and of the main one."""
        *_, middle, last = self.maps(x)
        return torch.cat((torch.mean(last, dim=(2, 3)), torch.mean(middle, dim=(2, 3))), dim=1)

    def told(self, pooled: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the heads make of :meth:`pooled`."""
        last = pooled[:, : self.sex.in_features]
        return self.sex(last), self.age(last), self.mask(pooled)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 3, 96, 72) in 0..1 -> logits (n, 2), (n, 4), (n, 2)."""
        return self.told(self.pooled(x))


class FaceTeacher(nn.Module):
    """The start as it came: sex and years of a face close up. It is never exported."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk(WHOLE, halves_first=True)
        self.sex, self.years = nn.Linear(WHOLE.last, 2), nn.Linear(WHOLE.last, 1)

    def maps(self, x: Tensor, note: Callable[[str, Tensor], None] | None = None) -> tuple[Tensor, ...]:
        """(n, 3, h, w) R, G, B in 0..255 -> the same four maps as :meth:`Attributes.maps`, after ReLU.

        ``note`` is told what passes from layer to layer.
        """
        trunk, told = self.trunk, note or (lambda _name, _map: None)
        means = torch.tensor((122.782, 117.001, 104.298)).view(1, 3, 1, 1)
        x = f.relu(trunk.stem(_padded((x - means) / 255, 0.0)))
        told("stem", x)
        entry = self._step(trunk.entry, x, x, "entry", told)
        second = middle = self._step(trunk.second, f.relu(entry), entry, "second", told)
        for number, block in enumerate(trunk.main):
            inner = f.relu(block.parts[0](f.relu(middle)))
            told(f"main{number}.0", inner)
            inner = f.relu(block.parts[1](inner))
            told(f"main{number}.1", inner)
            middle = middle + block.parts[2](inner)
        told("stream", f.relu(middle))
        out = self._step(trunk.exit, f.relu(middle), middle, "exit", told)
        last = f.relu(trunk.last(out))
        told("exit", out)
        told("last", last)
        return f.relu(entry), f.relu(second), f.relu(middle), last

    @staticmethod
    def _step(step: Step, x: Tensor, raw: Tensor, name: str, told: Callable[[str, Tensor], None]) -> Tensor:
        inner = f.relu(step.first(x))
        told(f"{name}.0", inner)
        pooled = f.max_pool2d(_padded(step.second(inner), float("-inf")), 3, 2)
        return torch.as_tensor(pooled + step.beside(raw))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 3, 112, 112) in 0..255 -> means of the last map (n, 512), the logit of "female" (n,), years (n,)."""
        seen = torch.mean(self.maps(x)[-1], dim=(2, 3))
        male, female = self.sex(seen).unbind(dim=1)
        return seen, female - male, self.years(seen)[:, 0]


def _padded(x: Tensor, value: float) -> Tensor:
    """Add what a window of 3 with a step of 2 wants at the edges, as TensorFlow's SAME does."""
    height, width = x.shape[2:]
    return f.pad(x, (width % 2, 1, height % 2, 1), value=value)
