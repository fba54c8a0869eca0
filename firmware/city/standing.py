"""Shapes of what a pole says about itself: what stands at the broker, retained, until the next is said.

Knows:  rules in force, states of the systems, bands of residence, a signed checkpoint's form.
Never:  an officer, a case, a hold (but a band of how many), a free string.
Leaves: one ``msgspec`` struct a message, and the form of the checkpoint text.
Clauses: 5.1(1), 5.2(1) (how long pictures exist is published), 6.2(3) (the prohibition travels with the data),
         7.3(1)3 (the checkpoint that makes a rewritten ledger visible).
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, field

from firmware.city.shapes import (
    HOST,
    CameraId,
    ContextUrl,
    Digest,
    EntityId,
    Instant,
    MinuteRule,
    PoleId,
    SmartDataContext,
    TileRule,
)
from firmware.ground.growth import FORM

_FAMILIES: Final = "CONFIG|CAMERA|MODEL|JAIL|STORE|KEY|LEDGER|CITY|CASE"
_STATES: Final = (
    "stopped|maintenance|notice_mismatch|model_mismatch|overload|camera_fault|clock_unproven|power|egress_blocked"
    "|undelivered|connection_lost|disk_full"
)
REASON_PATTERN: Final = rf"^(ok|{_STATES}|E-({_FAMILIES})(-[A-Z0-9]{{2,16}}){{1,4}}|E-UNEXPECTED)$"

ReasonCode = Annotated[str, Meta(pattern=REASON_PATTERN)]
ContractUrl = Annotated[str, Meta(pattern=rf"^https://{HOST}/contracts/v1/$")]
Count = Annotated[int, Meta(ge=0, le=4_000_000_000)]
BAND_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
Band = Literal[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, "longer"]
"""A residence was at most that many milliseconds."""

CHECKPOINT: Final = re.compile(
    rf"(?P<origin>{HOST}(/[a-z0-9][a-z0-9-]{{0,31}}){{1,3}})\n(0|[1-9][0-9]{{0,15}})\n[A-Za-z0-9+/]{{43}}=\n\n"
    r"(\u2014 (?P=origin) [A-Za-z0-9+/]{88,112}={0,2}\n){1,2}"
)
"""A C2SP checkpoint signed under its own origin; origin, size, root, one or two signatures, nothing else."""

GROWTH: Final = re.compile(FORM + CHECKPOINT.pattern)
"""What shows that the ledger only grew: sizes and hashes, then the checkpoint (``firmware.ground.growth``)."""


def reason_code(code: str) -> str:
    """Return ``code`` if it may leave, else ``E-UNEXPECTED`` (an exception's class, say)."""
    return code if re.fullmatch(REASON_PATTERN.strip("^$"), code) else "E-UNEXPECTED"


def band(residence_us: int) -> Band:
    """Return the band of ``residence_us`` (microseconds)."""
    return next((edge for edge in BAND_MS if residence_us <= edge * 1000), "longer")


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    sp_schema: Literal["1.0.0"] = "1.0.0"
    sp_pole: PoleId


class UseConstraint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What nobody may do with the records (6.2(3)); constants."""

    clause: Literal["6.2(3)"] = "6.2(3)"
    prohibits: tuple[Literal["re-identification"], Literal["cross-pole-linkage-of-individuals"]] = (
        "re-identification",
        "cross-pole-linkage-of-individuals",
    )
    law: Literal["https://w3id.org/dpv/legal/jp#law-APPI"] = "https://w3id.org/dpv/legal/jp#law-APPI"


class Units(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """Units of the numbers; constants."""

    occupancy: Literal["fraction-of-slices"] = "fraction-of-slices"
    sp_mean_occupancy: Literal["persons"] = "persons"
    sp_peak_occupancy: Literal["persons"] = "persons"
    shares: Literal["fraction-of-person-time"] = "fraction-of-person-time"
    time: Literal["UTC"] = "UTC"


class MeanFactor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """What ``spMeanOccupancy`` has to be multiplied by, in hundredths: the counter's bias as commissioning found it.

    By day is while the sun is above the pole's horizon. Records say what was counted; whoever reads them multiplies.
    """

    day_percent: Annotated[int, Meta(ge=50, le=200)] = 100
    night_percent: Annotated[int, Meta(ge=50, le=200)] = 100


class Description(
    _Said, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel", tag_field="spTold", tag="meta"
):
    """``$meta``: the rules under which one camera counts."""

    sp_camera: CameraId
    entity: EntityId
    sp_rule: MinuteRule
    sp_attributes: Annotated[tuple[Literal["sex", "age", "mask"], ...], Meta(max_length=3)] = ()
    sp_window_min: Literal[1, 5, 15] = 15
    sp_tile_rule: TileRule
    sp_slice_seconds: Annotated[int, Meta(ge=1, le=60)] = 1
    sp_mean_factor: MeanFactor = MeanFactor()
    sp_units: Units = Units()
    sp_use_constraint: UseConstraint = UseConstraint()
    sp_notice: Digest
    sp_config: Digest
    contracts: ContractUrl
    context: tuple[ContextUrl, SmartDataContext] = field(name="@context")


class SystemState(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One system of the pole: what it does, and why not more."""

    state: Literal["off", "starting", "running", "degraded", "failed", "stopped"]
    reason: ReasonCode = "ok"


class State(
    _Said, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel", tag_field="spTold", tag="status"
):
    """``status``: the three systems, each with its reason. The last will says ``offline``, ``connection_lost``."""

    sp_status: Literal["online", "offline"]
    sp_reason: ReasonCode = "ok"
    profile: Literal["bench", "pole"]
    keystore: Literal["software", "tpm2", "none"] = "none"
    flow: SystemState
    footage: SystemState
    city: SystemState


class Meter(
    _Said, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel", tag_field="spTold", tag="meter"
):
    """``privacy/meter``, hourly: what happened to pictures and minutes since the pole's start at ``spSince``."""

    sp_since: Instant
    sp_at: Instant
    residence_p50_ms: Band
    residence_p999_ms: Band
    residence_max_ms: Band
    slots_overwritten: Count
    wipe_failures: Count
    egress_blocked: Count
    minutes_published: Count
    minutes_suppressed: Count
    minutes_gap: Count
    epochs_erased: Count
    live_holds: Literal["0", "1-4", "5+"]


def holds_band(holds: int) -> Literal["0", "1-4", "5+"]:
    """Return how many live holds there are, as a band."""
    return "0" if holds == 0 else "1-4" if holds < 5 else "5+"
