"""footage.toml: what the owner of the security footage may set, and what nobody may.

Knows:  numbers of the recording, the keystore's place, the officers' public keys, the city's switches of legal bases.
Never:  a private key, more than 336 hours, a value clamped in silence.
Leaves: one frozen struct, or a refusal with its clause.
Clauses: 7.1(3) (at most 14 days), 7.1(4), 7.2(1) (on which papers), 7.3(1)1 (who can open), 5.1 (a file of its own).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from firmware.ground.config import OutOfLaw
from firmware.ground.errors import ConfigError

LONGEST_RETENTION_HOURS: Final = 336
"""14 days counted in hours from a chunk's first frame: shorter than any reading of clause 7.1(3)."""

_SECONDS_A_MINUTE: Final = 60
_OFFICERS: Final = 3

AgeRecipient = Annotated[str, Meta(pattern=r"^age1[02-9ac-hj-np-z]{58}$")]
"""An X25519 recipient (the public half) of C2SP age."""


class Officers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose keys open footage: one key of each of the two groups ``a`` and ``b``, or any two of three officers.

    ``two_of_three`` lists three officers, each with one or several keys (a spare token), instead of ``a`` and ``b``.
    """

    a: tuple[AgeRecipient, ...] = ()
    b: tuple[AgeRecipient, ...] = ()
    two_of_three: tuple[tuple[AgeRecipient, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuse groups without a key, and one key in two places (one officer must not be both groups)."""
        if self.two_of_three and (self.a or self.b):
            raise OutOfLaw(
                "officers",
                "two rules at once: a and b, or two_of_three",
                clause="7.3(1)1",
                todo="keep one of them; the other officers sign the change (board/KEYS.md)",
            )
        if self.two_of_three and (len(self.two_of_three) != _OFFICERS or not all(self.two_of_three)):
            raise OutOfLaw(
                "officers.two_of_three",
                "two of three needs exactly three officers, each with a key",
                clause="7.3(1)1",
                todo='write two_of_three = [["age1..."], ["age1..."], ["age1..."]], or use the groups a and b',
            )
        if not self.a and not self.two_of_three:
            raise OutOfLaw(
                "officers.a",
                "group A has no key, so nobody could ever open footage lawfully",
                clause="7.3(1)1",
                todo="make one with: pole-custodian keygen",
            )
        everybody = [recipient for group in self.groups for recipient in group]
        if len(set(everybody)) != len(everybody):
            raise OutOfLaw(
                "officers",
                "the same key stands twice; the groups must be different people",
                clause="7.3(1)1",
                todo="give each officer one key in one group",
            )

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The groups in order: one (a bench), two, or three of which any two open."""
        return self.two_of_three or ((self.a, self.b) if self.b else (self.a,))

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each of :attr:`groups`: ``a`` and ``b``, or the officers ``1``, ``2`` and ``3``."""
        return ("1", "2", "3") if self.two_of_three else ("a", "b")[: len(self.groups)]


Decision = Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""The number of the city's decision that switches something on; empty: it is off."""


class LegalBases(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which papers the city lets its officers act on (7.1(4), 7.2(1)). What each is good for, nobody can set.

    The last three are off until the city decides; a decision is named, never merely switched on.
    """

    warrant: bool = True
    investigation_inquiry: bool = True
    disclosure_request: bool = True
    bar_inquiry: Decision = ""
    court_commission: Decision = ""
    life_protection: Decision = ""


class FootageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Security footage of one pole. Sizes in pixels, times in the unit of the name.

    ``time_source``: who proves UTC; ``officer``: nobody but an officer's signed time; ``none``: on a bench only.
    """

    officers: Officers
    enabled: bool = True
    camera: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,16}$")] = "cam0"
    width: Annotated[int, Meta(ge=320, le=3840, multiple_of=2)] = 1280
    height: Annotated[int, Meta(ge=180, le=2160, multiple_of=2)] = 720
    fps: Annotated[int, Meta(ge=1, le=30)] = 15
    bitrate_kbps: Annotated[int, Meta(ge=100, le=20_000)] = 2000
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = "ultrafast"
    chunk_seconds: Annotated[int, Meta(ge=5, le=30)] = 10
    retention_hours: Annotated[int, Meta(ge=2)] = LONGEST_RETENTION_HOURS
    keystore: Literal["software", "tpm2"] = "tpm2"
    tcti: Annotated[str, Meta(pattern=r"^(device|swtpm|tabrmd)(:[A-Za-z0-9_./,=:-]+)?$")] = "device:/dev/tpmrm0"
    nv_index: Annotated[int, Meta(ge=0x0150_0000, le=0x01BF_FF00)] = 0x0150_0010
    signing_handle: Annotated[int, Meta(ge=0x8100_0000, le=0x817F_FFF0)] = 0x8101_5000
    boot_pcrs: tuple[Annotated[int, Meta(ge=0, le=15)], ...] = ()
    time_source: Literal["chrony", "officer", "none"] = "chrony"
    min_free_bytes: Annotated[int, Meta(ge=0)] = 256 * 1024 * 1024
    min_free_percent: Annotated[int, Meta(ge=0, le=50)] = 5
    stall_seconds: Annotated[int, Meta(ge=1, le=60)] = 5
    legal_bases: LegalBases = LegalBases()

    def __post_init__(self) -> None:
        """Refuse what the guideline forbids; raises OutOfLaw."""
        if self.retention_hours > LONGEST_RETENTION_HOURS:
            raise OutOfLaw(  # 7.1(3): refused, never clamped
                "retention_hours",
                f"{self.retention_hours} h is longer than 14 days ({LONGEST_RETENTION_HOURS} h)",
                clause="7.1(3)",
                todo=f"set retention_hours to {LONGEST_RETENTION_HOURS} or less; a hold keeps single minutes",
            )
        if _SECONDS_A_MINUTE % self.chunk_seconds:
            raise OutOfLaw(
                "chunk_seconds",
                f"{self.chunk_seconds} s does not divide a minute, and no chunk may cross one",
                clause="7.1(3)",
                todo="use 5, 6, 10, 12, 15, 20 or 30",
            )

    def refuse_unfit(self, profile: Literal["bench", "pole"], *, where: str = "footage.toml") -> None:
        """Refuse what only a bench may have. Raises ConfigError under ``profile = "pole"``."""
        if profile == "bench":
            return
        if self.keystore == "software":
            raise ConfigError(
                "E-CONFIG-LAW",
                "the software keystore cannot erase: a copied secret file reopens old epoch tables",
                where=f"{where}: keystore",
                clause="7.3(1)1",
                todo='set keystore = "tpm2", or profile = "bench" on a bench',
            )
        if self.time_source == "none":
            raise ConfigError(
                "E-CONFIG-LAW",
                "nothing would ever prove this pole's clock, so footage could never be handed out",
                where=f"{where}: time_source",
                clause="7.1(3)",
                todo='set time_source = "chrony" (NTS), or "officer" where there is no network',
            )
        if len(self.officers.groups) == 1:
            raise ConfigError(
                "E-CONFIG-LAW",
                "one group of officers could open footage alone",
                where=f"{where}: officers.b",
                clause="7.3(1)1",
                todo="name at least one key of a second officer under b",
            )
