"""Makes the tiny models of the people-flow tests. Run once in a training environment; its results are committed.

    python tests/vectors/make_models.py tests/vectors/models

Needs ``torch``, ``litert-torch`` and ``ai-edge-quantizer``, which the project itself does not depend on. Each model has
its behaviour planted, so that a test can draw a picture and know the answer:

* ``detector``: the mean of Y over a cell of 8x8 model pixels (192 x 384) is its heat (logit 20 * mean - 10); every box
  stands about its cell's middle, one cell wide and 2 * 4 ** (mean of U) cells tall. The two coarser grids see nobody.
* ``attributes``: Y bright is ``female``, dark ``male``; U in four steps is the age band; V bright is ``worn``.
* ``embedding``: ``attributes`` with a fourth head of 128 numbers a person.
* ``wide_box``: ``detector`` whose box head has 16 channels. ``extra``: ``detector`` with a third output.
* ``float``: ``detector`` before quantisation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import litert_torch
import numpy as np
import torch
from ai_edge_quantizer import quantizer, recipe
from torch import nn


class Detector(nn.Module):
    def __init__(self, box_channels: int = 4, seventh: bool = False) -> None:
        super().__init__()
        self.heats = nn.ModuleList([nn.Conv2d(3, 1, stride, stride) for stride in (8, 16, 32)])
        self.boxes = nn.ModuleList(
            [nn.Conv2d(3, box_channels if stride == 8 else 4, stride, stride) for stride in (8, 16, 32)]
        )
        self.seventh = nn.Conv2d(3, 16, 8, 8) if seventh else None
        with torch.no_grad():
            for heat, box in zip(self.heats, self.boxes, strict=True):
                for head in (heat, box):
                    head.weight.fill_(
                        0.03 / head.weight[0].numel()
                    )  # all zeros have no scale, and too few no room for the bias
                    head.bias.zero_()
                heat.bias.fill_(-10)
                box.bias[:2] = 0.5
                box.bias[3] = float(np.log(2))
            self.heats[0].weight[0, 0] = 20 / 64
            self.boxes[0].weight[3, 1] = float(np.log(4)) / 64

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = [head(picture) for pair in zip(self.heats, self.boxes, strict=True) for head in pair]
        return tuple(outputs) if self.seventh is None else (*outputs, self.seventh(picture))


class Attributes(nn.Module):
    def __init__(self, embedding: bool = False) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d((96, 72))
        self.heads = nn.ModuleList([nn.Linear(3, classes) for classes in (2, 4, 2)])
        with torch.no_grad():
            for head, channel in zip(self.heads, (0, 1, 2), strict=True):
                head.weight.fill_(0.001)
                classes = head.out_features
                for place in range(classes):
                    # Straight lines whose upper envelope changes hands at equal steps.
                    at = (classes - 1 - place) / (classes - 1) if classes == 2 else place / (classes - 1)
                    head.weight[place, channel] = 48 * at
                    head.bias[place] = -24 * at * at
        self.vector = nn.Linear(3, 128) if embedding else None

    def forward(self, people: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mean = self.pool(people).reshape(8, 3)
        outputs = tuple(head(mean) for head in self.heads)
        return outputs if self.vector is None else (*outputs, self.vector(mean))


def pictures(shape: tuple[int, ...], count: int = 24) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(1)
    for number in range(count):
        picture = rng.random(shape, dtype=np.float32)
        if number % 3 == 1:
            picture = np.broadcast_to(rng.random((shape[0], 1, 1, 3), dtype=np.float32), shape).copy()
        # The ends of every range in every picture: calibration takes a moving average.
        dark, bright = (picture[0, :, :192], picture[0, :, 192:]) if shape[0] == 1 else (picture[0], picture[1])
        dark[:], bright[:] = 0, 1
        yield picture


def write(module: Detector | Attributes, name: str, folder: Path, *, quantised: bool = True) -> None:
    module.eval()
    is_detector = isinstance(module, Detector)
    shape = (1, 192, 384, 3) if is_detector else (8, 96, 72, 3)
    outputs = list(range(6 + (module.seventh is not None))) if is_detector else None
    ported = litert_torch.to_channel_last_io(module, args=[0], outputs=outputs)
    edge = litert_torch.convert(ported, (torch.rand(*shape),))
    plain = folder / f"{name}.float.tflite"
    edge.export(str(plain))
    target = folder / f"{name}.tflite"
    if not quantised:
        plain.rename(target)
        return
    quantise = quantizer.Quantizer(str(plain))
    quantise.load_quantization_recipe(recipe.static_wi8_ai8())
    calibrated = quantise.calibrate({"serving_default": [{"args_0": one} for one in pictures(shape)]})
    quantise.quantize(calibrated).export_model(str(target), overwrite=True)
    plain.unlink()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    write(Detector(), "detector", folder)
    write(Attributes(), "attributes", folder)
    write(Attributes(embedding=True), "embedding", folder)
    write(Detector(box_channels=16), "wide_box", folder)
    write(Detector(seventh=True), "extra", folder)
    write(Detector(), "float", folder, quantised=False)


main()
