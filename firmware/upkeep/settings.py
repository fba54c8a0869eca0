"""pole.toml: who and where this pole is.

Knows:  names, a place, folders, the profile, the broker.
Never:  a rule of counting (flow.toml), a rule of footage (footage.toml), a secret.
Leaves: one frozen struct, or a refusal with its clause.
Clauses: 5.1 (each system has a file of its own), 6.1(2) and 7.1(2) (the lamp), 6.3(1) (TLS), 4.1 (names that leave).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from firmware.city.payload import Place
from firmware.city.settings import BrokerSettings
from firmware.city.shapes import CameraId, Latitude, Longitude, Municipality, PoleId, SiteName
from firmware.ground.config import OutOfLaw

Profile = Literal["bench", "pole"]


class Location(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the pole stands: degrees, WGS 84."""

    longitude: Longitude
    latitude: Latitude


class PoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One pole. Folders may be relative to the folder of pole.toml on a bench, and are absolute on a pole.

    ``site`` is the host of the public pages; ``notice_sha256`` the hash of the notice that hangs at this pole;
    ``lamp`` is an LED under /sys/class/leds that burns while a picture can exist; empty: none, on a bench only.
    """

    pole: PoleId
    camera: CameraId = "cam0"
    municipality: Municipality = "142069"
    profile: Profile = "pole"
    site: SiteName
    location: Location
    notice_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    state_directory: Annotated[str, Meta(min_length=1)] = "/var/lib/smartpole"
    models_directory: Annotated[str, Meta(min_length=1)] = "/opt/smartpole/models"
    lamp: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9:_.-]{0,63})?$")] = ""
    broker: BrokerSettings | None = None

    def __post_init__(self) -> None:
        """Refuse what the guideline or the design forbids; raises OutOfLaw."""
        if self.profile == "bench":
            return
        if not self.lamp:
            raise OutOfLaw(
                "lamp",
                "nobody at this pole could see that a camera is running",
                clause="6.1(2)",
                todo='set lamp to the name of an LED in /sys/class/leds, or profile = "bench" on a bench',
            )
        if self.broker is None or self.broker.plain:
            raise OutOfLaw(
                "broker",
                "records would leave without TLS, or not at all",
                clause="6.3(1)",
                todo="add a [broker] table with its three certificate files",
            )
        if not (Path(self.state_directory).is_absolute() and Path(self.models_directory).is_absolute()):
            raise OutOfLaw(
                "state_directory",
                "a pole's folders are absolute, so that one pole has one state",
                clause="7.3(1)3",
                todo="write both folders from the root, /",
            )

    def place(self, config: str) -> Place:
        """Return the constants of every message; ``config`` is ``sha256:...`` of the running configuration."""
        return Place(
            municipality=self.municipality,
            pole=self.pole,
            camera=self.camera,
            longitude=self.location.longitude,
            latitude=self.location.latitude,
            site=self.site,
            notice=f"sha256:{self.notice_sha256}",
            config=config,
        )

    def state_path(self, folder: Path) -> Path:
        """Return the state directory; ``folder`` is where pole.toml lies."""
        return folder / self.state_directory

    def models_path(self, folder: Path) -> Path:
        """Return the folder of the models; ``folder`` is where pole.toml lies."""
        return folder / self.models_directory
