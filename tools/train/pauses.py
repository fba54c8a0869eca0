"""Keeps the best int8 model of a run: at each pause what was learnt so far is exported and measured.

Knows:  a checkpoint, views to calibrate with, the streets on which thresholds are chosen.
Never:  a street or photograph that the published figures are measured on.
Leaves: ``street_SIZE.best.tflite``, ``detector-SIZE.best.pt`` and ``street_SIZE.best.json`` in the run's folder.
Clauses: none.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tools.evaluate.drawn import streets_of
from tools.evaluate.measure import Detector, average_precision
from tools.train import export, release
from tools.train.nets import PERSONS
from tools.train.shards import Picture

SUITES, SLICES = ("day", "rain", "night"), 4


class Best:
    """Called with a checkpoint: exports it, measures it, keeps it if it is the best so far."""

    def __init__(self, out: Path, size: str, views: Picture) -> None:
        self._out, self._size, self._views = out, size, views
        self.checkpoint = out / f"detector-{size}.best.pt"
        self._score = out / f"street_{size}.best.json"

    def __call__(self, checkpoint: Path) -> None:
        """Measure ``checkpoint`` by its int8 file's AP50 on drawn streets by day, in rain and at night, together."""
        paused = self._out / f"paused-{self._size}"
        file = paused / f"street_{self._size}.tflite"
        made = export.export(export.detector_of(checkpoint), PERSONS, self._views, file)
        detector = Detector(paused, release.listed(paused, made))
        streets = [street for name in SUITES for street in streets_of(name, detector, SLICES, release.CHOOSING_SEED)]
        found = average_precision([seen for street in streets for seen in street])
        best = json.loads(self._score.read_text())["ap50"] if self._score.exists() else 0.0
        print(f"paused: int8 AP50 {found:.3f} on drawn streets, best so far {best:.3f}", flush=True)
        if found >= best:
            shutil.copyfile(file, self._out / f"street_{self._size}.best.tflite")
            shutil.copyfile(checkpoint, self.checkpoint)
            self._score.write_text(json.dumps({"ap50": round(found, 4)}) + "\n")
