"""The three files of settings of one pole, read together.

Knows:  the folder they lie in, what they mean to each other.
Never:  a missing file taken for a default.
Leaves: one :class:`Settings`, or a refusal.
Clauses: 5.1 (each system has a file of its own), 7.3(1)1 (what only a bench may have), 1.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from firmware.city.payload import Place
from firmware.flow.settings import FlowSettings
from firmware.footage.settings import FootageSettings
from firmware.ground import config
from firmware.upkeep.bench import refuse_examples
from firmware.upkeep.settings import PoleSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one pole; ``folder`` is what relative paths in them are relative to."""

    folder: Path
    pole: PoleSettings
    flow: FlowSettings
    footage: FootageSettings

    @property
    def state(self) -> Path:
        """The state directory."""
        return self.pole.state_path(self.folder)

    @property
    def models(self) -> Path:
        """The folder with MANIFEST.toml."""
        return self.pole.models_path(self.folder)

    @property
    def fingerprint(self) -> str:
        """``sha256:...`` over the three files' meaning; stands in every record and manifest."""
        parts = (config.fingerprint(each) for each in (self.pole, self.flow, self.footage))
        return "sha256:" + hashlib.sha256("\n".join(parts).encode("ascii")).hexdigest()

    @property
    def place(self) -> Place:
        """Who speaks."""
        return self.pole.place(self.fingerprint)


def load_settings(folder: Path) -> Settings:
    """Read ``pole.toml``, ``flow.toml`` and ``footage.toml`` in ``folder``. Raises ConfigError."""
    settings = Settings(
        folder=folder,
        pole=config.load(folder / "pole.toml", PoleSettings),
        flow=config.load(folder / "flow.toml", FlowSettings),
        footage=config.load(folder / "footage.toml", FootageSettings),
    )
    settings.footage.refuse_unfit(settings.pole.profile, where=str(folder / "footage.toml"))
    refuse_examples(settings.pole, settings.footage, folder=folder)
    return settings
