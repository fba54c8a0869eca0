"""Shapes of the messages about people flow: closed, so that nothing else can leave.

Knows:  which fields exist, which values each may have, how they depend on one another.
Never:  a free string, an unknown field, a number about a suppressed minute, a person.
Leaves: one ``msgspec`` struct a message; the JSON Schemas in ``tools/contracts`` are generated from them.
Clauses: 4.1 (no personal data on the city's platform), 6.1(3) (cross-sections only), 6.2(2) (nobody singled out).

Minute and tile are a closed profile of Smart Data Models ``CrowdFlowObserved`` 0.0.3 (its required fields: ``id``,
``type``, ``dateObserved``). A gap is deliberately no ``CrowdFlowObserved``: there the absence of ``congested`` means
"not congested", and nobody can say that of a minute that was not observed.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from firmware.flow.record import CATEGORIES, GapReason
from firmware.ground.clock import MinuteNumber, iso_utc, start_of

SCHEMA_VERSION: Final = "1.0.0"

_DATE: Final = r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = _DATE + r"T([01][0-9]|2[0-3]):[0-5][0-9]:00Z"
_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
HOST: Final = rf"({_LABEL}\.){{1,8}}[a-z]{{2,24}}"
"""A host name; its last label is letters, so that no IP address fits."""

Municipality = Annotated[str, Meta(pattern=r"^[0-9]{6}$")]
PoleId = Annotated[str, Meta(pattern=r"^sp[0-9]{2,7}$")]
CameraId = Annotated[str, Meta(pattern=r"^cam[0-9]$")]
SiteName = Annotated[str, Meta(pattern=rf"^{HOST}$")]
Instant = Annotated[str, Meta(pattern=rf"^{_TIME}$")]
Period = Annotated[str, Meta(pattern=rf"^{_TIME}/{_TIME}$")]
Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
EntityId = Annotated[str, Meta(pattern=r"^urn:ngsi-ld:CrowdFlowObserved:[0-9]{6}:sp[0-9]{2,7}:cam[0-9]$")]
GapId = Annotated[str, Meta(pattern=r"^urn:ngsi-ld:SmartPoleGap:[0-9]{6}:sp[0-9]{2,7}:cam[0-9]$")]
ProviderId = Annotated[str, Meta(pattern=r"^urn:sp:operator:[0-9]{6}$")]
PageUrl = Annotated[str, Meta(pattern=rf"^https://{HOST}/p/sp[0-9]{{2,7}}$")]
ContextUrl = Annotated[str, Meta(pattern=rf"^https://{HOST}/context/v1\.jsonld$")]
SmartDataContext = Literal[
    "https://raw.githubusercontent.com/smart-data-models/dataModel.Transportation/master/context.jsonld"
]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]

Sequence = Annotated[int, Meta(ge=0, le=4_000_000_000)]
Slices = Annotated[int, Meta(ge=1, le=600)]
Persons = Annotated[int, Meta(ge=3, le=500)]
MinuteRule = Annotated[str, Meta(pattern=r"^peak>=([3-9]|[1-9][0-9])$")]
TileRule = Annotated[str, Meta(pattern=r"^peak>=([5-9]|[1-9][0-9]),cell>=([3-9]|[1-9][0-9])$")]

TENTHS: Final = tuple(tenths / 10 for tenths in range(11))
TWENTIETHS: Final = tuple(twentieths / 20 for twentieths in range(21))
Share = Annotated[float, Meta(ge=0, le=1, extra_json_schema={"enum": list(TENTHS)})]
Occupancy = Annotated[float, Meta(ge=0, le=1, extra_json_schema={"enum": list(TWENTIETHS)})]
Mean = Annotated[float, Meta(ge=0, le=500)]
NotCongested = Annotated[bool, Meta(extra_json_schema={"const": False})]

Reason = Literal[
    "stopped",
    "maintenance",
    "notice_mismatch",
    "model_mismatch",
    "overload",
    "camera_fault",
    "clock_unproven",
    "power",
    "egress_blocked",
    "undelivered",
]
"""The values of :class:`firmware.flow.record.GapReason` (a test compares them)."""

Folded = Literal[
    "sex:female", "sex:male", "age:0-19", "age:20-39", "age:40-64", "age:65+", "mask:worn", "mask:not_worn"
]  # fmt: skip


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """GeoJSON point of the pole (not of anybody in front of it): longitude, latitude in degrees (WGS 84)."""

    kind: Literal["Point"] = field(name="type")
    coordinates: tuple[Longitude, Latitude]


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """What every message about a stretch of time says. ``spSeq`` is a UTC minute number."""

    kind: Any = field(name="type")
    date_observed: Period
    date_observed_from: Instant
    date_observed_to: Instant
    sp_schema: Literal["1.0.0"]
    sp_pole: PoleId
    sp_seq: Sequence

    def check_times(self, first: int, minutes: int) -> None:
        """Refuse times that are not ``minutes`` whole minutes from UTC minute ``first``. Raises ValueError."""
        start = iso_utc(start_of(MinuteNumber(first)))
        end = iso_utc(start_of(MinuteNumber(first + minutes)))
        told = (self.date_observed_from, self.date_observed_to, self.date_observed)
        if told != (start, end, f"{start}/{end}"):
            message = "times and spSeq do not belong together"
            raise ValueError(message)


class Observed(Told, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel"):
    """What a minute and a tile have in common."""

    entity: EntityId = field(name="id")
    kind: Literal["CrowdFlowObserved"] = field(name="type")
    location: Point
    data_provider: ProviderId
    source: PageUrl
    sp_notice: Digest
    sp_config: Digest
    context: tuple[ContextUrl, SmartDataContext] = field(name="@context")


class MinutePublished(
    Observed, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel",
    tag_field="spStatus", tag="published",
):  # fmt: skip
    """A minute whose ranked peak reached k. ``spMeanOccupancy`` in persons, ``occupancy`` as a fraction of slices."""

    occupancy: Occupancy
    congested: bool
    sp_slices: Slices
    sp_slices_planned: Slices
    sp_mean_occupancy: Mean
    sp_peak_occupancy: Persons
    sp_rule: MinuteRule

    def __post_init__(self) -> None:
        """Refuse numbers finer than the rule allows, or that contradict each other. Raises ValueError."""
        self.check_times(self.sp_seq, 1)
        if self.occupancy not in TWENTIETHS or self.sp_mean_occupancy != round(self.sp_mean_occupancy * 10) / 10:
            message = "a number is finer than it may be told"  # 6.2(2): digits could carry something else
            raise ValueError(message)
        if self.sp_slices > self.sp_slices_planned:
            message = "more slices than planned"
            raise ValueError(message)
        if self.sp_peak_occupancy < int(self.sp_rule.removeprefix("peak>=")):
            message = "a peak below k is never told"
            raise ValueError(message)


class MinuteSuppressed(
    Observed, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel",
    tag_field="spStatus", tag="suppressed",
):  # fmt: skip
    """A minute below k. It has no number that was measured: 0, 1 or 2 people are the same bytes (6.2(2)).

    Not even the number of slices: how many were reached could depend on what there was to count.
    """

    congested: NotCongested
    sp_slices_planned: Slices
    sp_rule: MinuteRule

    def __post_init__(self) -> None:
        """Refuse a suppressed minute that says "congested". Raises ValueError."""
        self.check_times(self.sp_seq, 1)
        if self.congested:
            message = "a suppressed minute is never congested"
            raise ValueError(message)


class _Shares(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Person-time shares of one dimension; a category that was folded into ``unknown`` is absent."""

    def __post_init__(self) -> None:
        """Refuse shares finer than tenths. Raises ValueError."""
        shares = (getattr(self, name) for name in self.__struct_fields__)
        if any(share is not UNSET and share not in TENTHS for share in shares):
            message = "a share is finer than tenths"
            raise ValueError(message)


class SexShares(_Shares, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """推定性別."""

    female: Share | UnsetType = UNSET
    male: Share | UnsetType = UNSET
    unknown: Share


class AgeShares(_Shares, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """推定年代."""

    to_19: Share | UnsetType = field(name="0-19", default=UNSET)
    to_39: Share | UnsetType = field(name="20-39", default=UNSET)
    to_64: Share | UnsetType = field(name="40-64", default=UNSET)
    from_65: Share | UnsetType = field(name="65+", default=UNSET)
    unknown: Share


class MaskShares(_Shares, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """マスク着用有無."""

    worn: Share | UnsetType = UNSET
    not_worn: Share | UnsetType = UNSET
    unknown: Share


class Tile(
    Observed, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel",
    tag_field="spStatus", tag="attributes",
):  # fmt: skip
    """Attribute shares over a tile of minutes; ``spSeq`` is its first minute. A dimension is whole or absent."""

    sp_window_min: Literal[1, 5, 15]
    sp_basis: Literal["person-time"]
    sp_rule: TileRule
    sp_sex_share: SexShares | UnsetType = field(name="spGenderShare", default=UNSET)
    sp_age_share: AgeShares | UnsetType = UNSET
    sp_mask_share: MaskShares | UnsetType = UNSET
    sp_folded: Annotated[tuple[Folded, ...], Meta(max_length=8)] = ()

    def __post_init__(self) -> None:
        """Refuse a tile off the tiling, without a dimension, or with folded names out of order. Raises ValueError."""
        self.check_times(self.sp_seq, self.sp_window_min)
        if self.sp_seq % self.sp_window_min:
            message = "the tile is off the one tiling"  # 6.2(2): a second tiling would allow differences
            raise ValueError(message)
        shares = (self.sp_sex_share, self.sp_age_share, self.sp_mask_share)
        if all(share is UNSET for share in shares):
            message = "a tile without any dimension"
            raise ValueError(message)
        if self.sp_folded != tuple(name for name in FOLDABLE if name in self.sp_folded):
            message = "folded categories are out of order"
            raise ValueError(message)


class GapMessage(
    Told, frozen=True, forbid_unknown_fields=True, kw_only=True, rename="camel",
    tag_field="spStatus", tag="gap",
):  # fmt: skip
    """Minutes that were not observed, or were lost on the way. ``spSeq`` is the last of them."""

    entity: GapId = field(name="id")
    kind: Literal["SmartPoleGap"] = field(name="type")
    sp_minutes: Annotated[int, Meta(ge=1, le=5_256_000)]
    sp_reason: Reason

    def __post_init__(self) -> None:
        """Refuse times that do not fit. Raises ValueError."""
        self.check_times(self.sp_seq - self.sp_minutes + 1, self.sp_minutes)


FOLDABLE: Final = tuple(
    f"{dimension}:{category}" for dimension, names in CATEGORIES.items() for category in names if category != "unknown"
)
REASONS: Final = tuple(reason.value for reason in GapReason)
