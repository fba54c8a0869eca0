"""Poles, bundles and openings for the office's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firmware.custody.bundle.span import Span
from firmware.custody.desk.opening import Opened, open_bundle
from firmware.custody.desk.report import Reporter
from firmware.drivers.mp4 import Mp4Film
from firmware.ground.clock import MinuteNumber
from tests.parts.small_pole import FIRST, SmallPole

ALL = Span(FIRST, MinuteNumber(FIRST + 4))

Open = Callable[..., Opened]


@pytest.fixture
async def pole(tmp_path: Path) -> SmallPole:
    """Five recorded minutes, five keys more."""
    pole = await SmallPole.begin(tmp_path / "state")
    for epoch in ALL.minutes:
        pole.record(epoch)
    return pole


@pytest.fixture
async def bundle(tmp_path: Path, pole: SmallPole) -> Path:
    """The bundle of all five minutes."""
    path = tmp_path / "bundle.tar"
    await pole.bundle(path, ALL)
    return path


@pytest.fixture
def open_it(tmp_path: Path, pole: SmallPole) -> Open:
    """Open a bundle with both groups' keys into ``tmp_path/out``, the pole's key compared."""

    def opening(bundle: Path, out: Path | None = None) -> Opened:
        reporter = Reporter(bundle, compared=True)
        out = out or tmp_path / "out"
        return open_bundle(bundle, pole.officers.keys(), out, Mp4Film, reporter.write, pole.prove, pole.public_key())

    return opening
