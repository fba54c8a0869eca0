"""Poles and bundles for the office's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.small_pole import FIRST, SmallPole


@pytest.fixture
async def pole(tmp_path: Path) -> SmallPole:
    """Five recorded minutes, five keys more."""
    pole = await SmallPole.begin(tmp_path / "state")
    for epoch in range(FIRST, FIRST + 5):
        pole.record(epoch)
    return pole
