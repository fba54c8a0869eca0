"""The few facts of pole.toml that the custodian needs, read without the houses that own the rest.

Knows:  which pole this is, which profile, where its state lies.
Never:  the broker, people flow, the place: the custodian's program must not even be able to read them (5.1).
Leaves: one frozen struct.
Clauses: 5.1 (footage's administration knows nothing of people flow).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class PoleFile(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in pole.toml, as far as it concerns footage; ``pole check-config`` judges the rest."""

    pole: Annotated[str, Meta(pattern=r"^sp[0-9]{2,7}$")]
    site: Annotated[str, Meta(pattern=r"^[a-z0-9.-]+$")]
    profile: Literal["bench", "pole"] = "pole"
    state_directory: str = "/var/lib/smartpole"

    @property
    def ledger_origin(self) -> str:
        """The name under which this pole signs its ledger: ``<site>/<pole>``, the same that it publishes."""
        return f"{self.site}/{self.pole}"

    def state_path(self, folder: Path) -> Path:
        """Return the state directory; ``folder`` is where pole.toml lies."""
        return folder / self.state_directory
