"""Three files read together: one fingerprint over their meaning, folders relative to where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.ground.errors import ConfigError
from firmware.upkeep.whole import load_settings
from tests.whole.bench import officers, write_settings

A, B = (str(identity.to_public()) for identity in officers())


def test_the_fingerprint_follows_the_meaning_and_nothing_else(tmp_path: Path) -> None:
    folder = write_settings(tmp_path / "config", a=A, b=B)
    before = load_settings(folder).fingerprint
    path = folder / "flow.toml"
    path.write_text("# a remark\nk_total = 3\n")
    assert load_settings(folder).fingerprint == before, "the default, spelt out"
    path.write_text("k_total = 4\n")
    assert load_settings(folder).fingerprint != before


def test_relative_folders_lie_beside_the_files(tmp_path: Path) -> None:
    changes = {"state_directory": "s", "models_directory": "m"}
    settings = load_settings(write_settings(tmp_path / "config", pole=changes, a=A, b=B))
    assert (settings.state, settings.models) == (tmp_path / "config" / "s", tmp_path / "config" / "m")


@pytest.mark.parametrize("file", ["pole.toml", "flow.toml", "footage.toml"])
def test_each_file_is_needed(tmp_path: Path, file: str) -> None:
    folder = write_settings(tmp_path / "config", a=A, b=B)
    (folder / file).unlink()
    with pytest.raises(ConfigError, match=f"E-CONFIG-MISSING.*{file}"):
        load_settings(folder)
