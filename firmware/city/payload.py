"""From a record to the bytes that leave, and the gate that every byte passes.

Knows:  who this pole is, the closed shapes.
Never:  a field or a value outside the shapes, a second spelling of the same record, a repaired message.
Leaves: canonical JSON (one spelling a message), or :class:`CityError` ``E-CITY-EGRESS``.
Clauses: 4.1 (no personal data on the city's platform), 6.2(2).

Integers become decimal fractions here and nowhere else: ``26`` tenths divided by ten is the double nearest to 2.6,
and the shortest text of that double is ``2.6`` again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from firmware.city import shapes, standing
from firmware.city.shapes import SCHEMA_VERSION, GapMessage, MinutePublished, MinuteSuppressed, Tile
from firmware.city.topics import Kind, Topics
from firmware.flow.record import (
    CATEGORIES,
    AttributeTile,
    Dimension,
    Gap,
    PublishedMinute,
    Record,
    SuppressedMinute,
)
from firmware.ground.clock import MinuteNumber, iso_utc, start_of
from firmware.ground.errors import CityError

SHAPES: Final[dict[Kind, Any]] = {
    Kind.MINUTE: MinutePublished | MinuteSuppressed,
    Kind.ATTR: Tile,
    Kind.GAP: GapMessage,
    Kind.META: standing.Description,
    Kind.STATUS: standing.State,
    Kind.METER: standing.Meter,
}
"""The shape of each JSON message."""

TEXTS: Final = {Kind.CHECKPOINT: standing.CHECKPOINT, Kind.GROWTH: standing.GROWTH}
"""The form of each message that is text."""

Saying = standing.Description | standing.State | standing.Meter

_DECODERS: Final = {kind: msgspec.json.Decoder(shape) for kind, shape in SHAPES.items()}
_ENCODER: Final = msgspec.json.Encoder()
_SMART_DATA: Final = (
    "https://raw.githubusercontent.com/smart-data-models/dataModel.Transportation/master/context.jsonld"
)
_SHARES: Final[dict[Dimension, type[msgspec.Struct]]] = {
    Dimension.SEX: shapes.SexShares,
    Dimension.AGE: shapes.AgeShares,
    Dimension.MASK: shapes.MaskShares,
}


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who speaks: constants of one camera on one pole.

    ``longitude`` and ``latitude`` in degrees (WGS 84); ``site`` is the host of the public pages; ``notice`` and
    ``config`` are ``sha256:...`` of the notice object and of the running configuration.
    """

    municipality: shapes.Municipality
    pole: shapes.PoleId
    camera: shapes.CameraId
    longitude: shapes.Longitude
    latitude: shapes.Latitude
    site: shapes.SiteName
    notice: shapes.Digest
    config: shapes.Digest

    @property
    def topics(self) -> Topics:
        """Names of this camera's topics."""
        return Topics(self.municipality, self.pole, self.camera)

    @property
    def name(self) -> str:
        """``142069:sp03:cam0``, the last part of the entity's name."""
        return f"{self.municipality}:{self.pole}:{self.camera}"

    @property
    def ledger_origin(self) -> str:
        """The origin under which this pole's ledger checkpoints must be signed: ``<site>/<pole>``."""
        return f"{self.site}/{self.pole}"

    def observed(self) -> dict[str, Any]:
        """Return the constants of a minute or tile, by field name."""
        return {
            "entity": f"urn:ngsi-ld:CrowdFlowObserved:{self.name}",
            "kind": "CrowdFlowObserved",
            "location": shapes.Point(kind="Point", coordinates=(self.longitude, self.latitude)),
            "data_provider": f"urn:sp:operator:{self.municipality}",
            "source": f"https://{self.site}/p/{self.pole}",
            "sp_notice": self.notice,
            "sp_config": self.config,
            "context": self.context,
            **self.speaker(),
        }

    def speaker(self) -> dict[str, Any]:
        """Return the constants of every message, by field name."""
        return {"sp_schema": SCHEMA_VERSION, "sp_pole": self.pole}

    @property
    def context(self) -> tuple[str, str]:
        """The two JSON-LD contexts."""
        return (f"https://{self.site}/context/v1.jsonld", _SMART_DATA)


@dataclass(frozen=True, slots=True)
class Outbound:
    """One record on its way: canonical JSON, and the minutes it tells of."""

    kind: Kind
    sequence: int
    first_minute: int
    last_minute: int
    payload: bytes


def encode(record: Record, place: Place) -> Outbound:
    """Return ``record`` as it leaves, gated. Raises :class:`CityError` when it may not leave."""
    kind, first, last, sequence = _span(record)
    try:
        message = _message(record, place, _times(first, last, sequence))
        payload = _ENCODER.encode(message)
    except (ValueError, KeyError, TypeError, OverflowError):  # a record that no shape describes
        raise _refused(kind) from None
    return Outbound(kind, sequence, first, last, gate(kind, payload, place))


def say(kind: Kind, saying: Saying, place: Place) -> bytes:
    """Return ``$meta``, ``status`` or ``privacy/meter`` as it leaves, gated. Raises :class:`CityError`."""
    return gate(kind, _ENCODER.encode(saying), place)


def gate(kind: Kind, payload: bytes, place: Place) -> bytes:
    """Return ``payload`` unchanged if it may leave as ``kind`` from ``place``; else raise :class:`CityError`.

    It may leave when it is ASCII without any escape, fits its closed shape, names this pole, and is spelled exactly as
    the shape spells it (so no doubled key, no spare space, no long fraction carries anything). Nothing is repaired.
    """
    if kind in TEXTS:
        found = TEXTS[kind].fullmatch(payload.decode("utf-8", "replace"))
        if found is None or found["origin"] != place.ledger_origin:
            raise _refused(kind)
        return payload
    if not payload.isascii() or b"\\" in payload:  # an escape could hide a line feed that "$" in a pattern lets pass
        raise _refused(kind)
    try:
        message = _DECODERS[kind].decode(payload)
    except (msgspec.ValidationError, msgspec.DecodeError):
        raise _refused(kind) from None  # the library's text could quote the value
    if _ENCODER.encode(message) != payload or not _is_ours(message, place):
        raise _refused(kind)
    return payload


def _is_ours(message: shapes.Told | Saying, place: Place) -> bool:
    """Tell whether every constant of the place is the place's own: patterns alone would let a neighbour's name pass."""
    if message.sp_pole != place.pole:
        return False
    if isinstance(message, shapes.Observed):
        return all(getattr(message, name) == value for name, value in place.observed().items())
    if isinstance(message, GapMessage):
        return bool(message.entity == f"urn:ngsi-ld:SmartPoleGap:{place.name}")
    if isinstance(message, standing.Description):
        ours = describe(place, k=3).context == message.context and message.contracts == _contracts(place)
        return ours and message.entity == f"urn:ngsi-ld:CrowdFlowObserved:{place.name}"
    return True


def describe(
    place: Place,
    *,
    k: int,
    k_tile: int = 5,
    k_cell: int = 3,
    attributes: tuple[Dimension, ...] = (),
    window_minutes: int = 15,
    slice_seconds: int = 1,
    mean_percent: tuple[int, int] = (100, 100),
) -> standing.Description:
    """Return ``$meta``: the rules in force, with the prohibition of clause 6.2(3) beside them.

    ``mean_percent`` is what a mean has to be multiplied by, by day and by night, in hundredths.
    """
    fields: dict[str, Any] = {
        **place.speaker(),
        "sp_camera": place.camera,
        "entity": f"urn:ngsi-ld:CrowdFlowObserved:{place.name}",
        "sp_rule": f"peak>={k}",
        "sp_attributes": tuple(dimension.value for dimension in CATEGORIES if dimension in attributes),
        "sp_window_min": window_minutes,
        "sp_tile_rule": f"peak>={k_tile},cell>={k_cell}",
        "sp_slice_seconds": slice_seconds,
        "sp_mean_factor": standing.MeanFactor(day_percent=mean_percent[0], night_percent=mean_percent[1]),
        "sp_notice": place.notice,
        "sp_config": place.config,
        "contracts": _contracts(place),
        "context": place.context,
    }
    return standing.Description(**fields)


def _contracts(place: Place) -> str:
    return f"https://{place.site}/contracts/v1/"


def _span(record: Record) -> tuple[Kind, MinuteNumber, MinuteNumber, MinuteNumber]:
    """Return kind, first minute, last minute and sequence number."""
    match record:
        case PublishedMinute() | SuppressedMinute():
            return Kind.MINUTE, record.minute, record.minute, record.minute
        case AttributeTile():
            last = MinuteNumber(record.first_minute + record.window_minutes - 1)
            return Kind.ATTR, record.first_minute, last, record.first_minute
        case Gap():
            return Kind.GAP, record.first_minute, record.last_minute, record.last_minute


def _message(record: Record, place: Place, times: dict[str, Any]) -> shapes.Told:
    match record:
        case PublishedMinute():
            return _published(record, place, times)
        case SuppressedMinute():
            return _suppressed(record, place, times)
        case AttributeTile():
            return _tile(record, place, times)
        case Gap():
            return _gap(record, place, times)


def _times(first: MinuteNumber, last: MinuteNumber, sequence: MinuteNumber) -> dict[str, Any]:
    start, end = iso_utc(start_of(first)), iso_utc(start_of(MinuteNumber(last + 1)))
    return {
        "date_observed": f"{start}/{end}",
        "date_observed_from": start,
        "date_observed_to": end,
        "sp_seq": sequence,
    }


def _published(record: PublishedMinute, place: Place, times: dict[str, Any]) -> MinutePublished:
    return MinutePublished(
        **place.observed(),
        **times,
        occupancy=record.occupancy_twentieths / 20,
        congested=record.congested,
        sp_slices=record.slices,
        sp_slices_planned=record.slices_planned,
        sp_mean_occupancy=record.mean_occupancy_tenths / 10,
        sp_peak_occupancy=record.peak_occupancy,
        sp_rule=f"peak>={record.k}",
    )


def _suppressed(record: SuppressedMinute, place: Place, times: dict[str, Any]) -> MinuteSuppressed:
    return MinuteSuppressed(
        **place.observed(),
        **times,
        congested=False,
        sp_slices_planned=record.slices_planned,
        sp_rule=f"peak>={record.k}",
    )


def _tile(record: AttributeTile, place: Place, times: dict[str, Any]) -> Tile:
    fields: dict[str, Any] = {
        f"sp_{dimension}_share": _shares(dimension, shares, record.folded.get(dimension, ()))
        for dimension, shares in record.share_tenths.items()
    }
    folded = {f"{dimension}:{category}" for dimension, names in record.folded.items() for category in names}
    if not folded <= set(shapes.FOLDABLE):
        raise KeyError(*folded)
    return Tile(
        **place.observed(),
        **times,
        **fields,
        sp_window_min=record.window_minutes,  # type: ignore[arg-type]  # the gate judges it
        sp_basis="person-time",
        sp_rule=f"peak>={record.k_total},cell>={record.k_cell}",
        sp_folded=tuple(name for name in shapes.FOLDABLE if name in folded),  # type: ignore[misc]  # as above
    )


def _shares(dimension: Dimension, share_tenths: dict[str, int], folded: tuple[str, ...]) -> msgspec.Struct:
    """Return a dimension's shares; raises KeyError for a category that is not on the list."""
    shape = _SHARES[dimension]
    names = {field.encode_name: field.name for field in msgspec.structs.fields(shape)}
    told = {category: tenths for category, tenths in share_tenths.items() if category not in folded}
    return shape(**{names[category]: tenths / 10 for category, tenths in told.items()})


def _gap(record: Gap, place: Place, times: dict[str, Any]) -> GapMessage:
    return GapMessage(
        **place.speaker(),
        **times,
        entity=f"urn:ngsi-ld:SmartPoleGap:{place.name}",
        kind="SmartPoleGap",
        sp_minutes=record.last_minute - record.first_minute + 1,
        sp_reason=record.reason.value,
    )


def _refused(kind: Kind) -> CityError:
    return CityError(
        "E-CITY-EGRESS",
        "a message does not fit its closed shape and stays here",
        where=kind.value.strip("$"),
        todo="compare pole.toml and the counting rules with tools/contracts",
        clause="4.1",
    )
