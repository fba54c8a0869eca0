"""Films and settings that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.whole.bench import film, officers, write_settings

LONG_SECONDS = 130


@pytest.fixture(scope="session")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """130 s in an MP4."""
    return film(tmp_path_factory.mktemp("film") / "street.mp4", LONG_SECONDS)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A bench's folder of settings; its state will be ``state`` in it."""
    a, b = officers()
    return write_settings(tmp_path / "config", a=str(a.to_public()), b=str(b.to_public()))
