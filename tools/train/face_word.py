"""What the teacher says of faces, brought into line with the few whose sex and age are known.

Knows:  the teacher, faces of known class, halves of faces put together.
Never:  a held-out face; the teacher's word against a known class.
Leaves: for each face the means of the teacher's last map, and shares of sex and age bands.
Clauses: 4.2(2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as f

from tools.train.face_nets import WHOLE, FaceTeacher
from tools.train.faces import AGES, SEXES, Face, close_ups, mixed

LEAST_TAUGHT = 24.0
"""Pixels: of smaller faces the teacher is not asked, of masked ones only what it sees, not what it makes of it."""

STEPS, DECAY = 80, 1e-3
CLOSE_LOOKS, LOOKS, TOGETHER = 4, 2, 12
"""Looks at a face of known sex and age, at another one (one less if masked); faces that are asked about at once."""


@dataclass(frozen=True, slots=True)
class Word:
    """Of each face: what the teacher saw (n, 512), and the shares of sexes (n, 2) and age bands (n, 4)."""

    seen: Tensor
    sex: Tensor
    age: Tensor


def asked(teacher: FaceTeacher, faces: Sequence[Face], looks: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the mean over each face's ``looks`` of what it saw (n, 512), and of logit and years (n, 2)."""
    seen, said = torch.zeros(len(faces), WHOLE.last), torch.zeros(len(faces), 2)
    with torch.no_grad():
        for first in range(0, len(faces), TOGETHER):
            some = looks[first : first + TOGETHER]
            pictures = [close_ups(face, most=most) for face, most in zip(faces[first:], some, strict=False)]
            every = torch.from_numpy(np.concatenate(pictures)).permute(0, 3, 1, 2).float()
            last, female, years = teacher(every.contiguous(memory_format=torch.channels_last))
            parts = torch.cat((last, female[:, None], years[:, None]), dim=1).split(list(some))
            means = torch.stack([part.mean(dim=0) for part in parts])
            seen[first : first + len(some)], said[first : first + len(some)] = means[:, :-2], means[:, -2:]
    return seen, said


def _columns(said: Tensor) -> Tensor:
    """Return what a line of classes is drawn from: the logit, the years, their products, youth."""
    female, years = said.unbind(dim=1)
    return torch.stack((female, years / 20, (years / 20).square(), female * years / 50, (years / 20 - 1).abs()), dim=1)


def _line(columns: Tensor, classes: npt.NDArray[np.int64], kinds: int) -> tuple[Tensor, Tensor]:
    """Fit classes (n) to columns (n, k) by logistic regression; returns weights (kinds, k) and bias."""
    known = torch.from_numpy(np.flatnonzero(classes >= 0))
    wanted = torch.from_numpy(classes)[known]
    weights = torch.zeros(kinds, columns.shape[1], requires_grad=True)
    bias = torch.zeros(kinds, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        whole = f.cross_entropy(columns[known] @ weights.T + bias, wanted) + DECAY * weights.square().sum()
        whole.backward()
        return whole

    optimiser.step(loss)
    return weights.detach(), bias.detach()


def words(teacher: FaceTeacher, faces: Sequence[Face], others: Sequence[Face]) -> tuple[Word, Word]:
    """Return the teacher's word on ``faces`` (close-ups of known sex set the lines) and on ``others``."""
    classes = np.array([face.classes for face in faces], np.int64)
    close = np.array([face.close_up for face in faces])
    looks = [CLOSE_LOOKS if face.close_up else LOOKS - (face.classes[2] == 0) for face in faces]
    seen, said = asked(teacher, faces, looks)
    lines = [
        _line(_columns(said), np.where(close, classes[:, number], -1), len(names))
        for number, names in enumerate((SEXES, AGES))
    ]
    more, they = asked(teacher, others, [LOOKS] * len(others))
    out = []
    for saw, told in ((seen, said), (more, they)):
        shares = [torch.softmax(_columns(told) @ weights.T + bias, dim=1) for weights, bias in lines]
        out.append(Word(saw, shares[0], shares[1]))
    return out[0], out[1]


def invented(faces: Sequence[Face], number: int, rng: np.random.Generator) -> list[Face]:
    """Return ``number`` faces put together from two bare ones each; none where none is large enough."""
    bare = [face for face in faces if face.classes[2] == 1 and face.height >= 2 * LEAST_TAUGHT]
    if not bare:
        return []
    return [mixed(*(bare[int(k)] for k in rng.integers(len(bare), size=2)), rng) for _ in range(number)]
