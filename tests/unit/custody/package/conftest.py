"""A package's tree, and what it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.small_case import Handed, hand_over


@pytest.fixture
async def handed(tmp_path: Path) -> Handed:
    """See :func:`tests.parts.small_case.hand_over`."""
    return await hand_over(tmp_path)
