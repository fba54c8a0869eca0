"""The contracts with the city: JSON Schemas and golden examples, generated from the types of ``firmware.city``.

``python -m tools.contracts`` writes them anew; a test compares what is committed with what the types say.
A change of a shape is therefore always seen in a review, next to the examples it changes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from firmware.city import payload, standing
from firmware.city.payload import Place, describe, encode, say
from firmware.city.topics import Kind
from firmware.flow.record import (
    AttributeTile,
    Dimension,
    Gap,
    GapReason,
    PublishedMinute,
    SuppressedMinute,
)
from firmware.ground.clock import MinuteNumber

FOLDER: Final = Path(__file__).parent
SITE: Final = "smartpole.example.lg.jp"
NAMES: Final = {
    Kind.MINUTE: "flow-minute",
    Kind.ATTR: "flow-attr",
    Kind.GAP: "flow-gap",
    Kind.META: "flow-meta",
    Kind.STATUS: "status",
    Kind.METER: "privacy-meter",
}
TITLES: Final = {
    Kind.MINUTE: "one minute of people flow, published or suppressed (closed profile of CrowdFlowObserved 0.0.3)",
    Kind.ATTR: "person-time shares over a tile of minutes (closed profile of CrowdFlowObserved 0.0.3)",
    Kind.GAP: "minutes that were not observed, or whose records were lost",
    Kind.META: "the rules under which a camera counts",
    Kind.STATUS: "state of a pole's systems; last will",
    Kind.METER: "what happened to pictures and minutes, hourly",
}
PLACE: Final = Place(
    municipality="142069",
    pole="sp03",
    camera="cam0",
    longitude=139.1559,
    latitude=35.2525,
    site=SITE,
    notice="sha256:5f1f0b0b2a8d9a4d0c0f1b1f4a7f1c8d6a5e4b3c2d1e0f9a8b7c6d5e4f3a2b1c",
    config="sha256:0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9",
)
_MINUTE: Final = MinuteNumber(29_923_296)


def schema(kind: Kind) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``kind``."""
    (root,), parts = msgspec.json.schema_components([payload.SHAPES[kind]], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://{SITE}/contracts/v1/{NAMES[kind]}.schema.json",
        "title": f"smart pole: {TITLES[kind]}",
        **{key: value for key, value in root.items() if key != "discriminator"},  # that word is OpenAPI's
        "$defs": {name: _closed(part) for name, part in sorted(parts.items())},
    }


def text_form(kind: Kind) -> str:
    """Return the form of ``audit/checkpoint`` or ``audit/growth``, which are text: one regular expression."""
    return re.sub(r"\(\?P<(\w+)>", r"(?<\1>", payload.TEXTS[kind].pattern).replace("(?P=origin)", r"\k<origin>")


def examples() -> dict[str, bytes]:
    """Return golden examples by file name: what a pole sends, byte for byte."""
    share = {
        Dimension.SEX: {"female": 5, "male": 4, "unknown": 1},
        Dimension.AGE: {"20-39": 4, "40-64": 3, "unknown": 3},
    }
    folded: dict[Dimension, tuple[str, ...]] = {Dimension.AGE: ("0-19", "65+")}
    running = standing.SystemState(state="running")
    state = standing.State(
        sp_pole="sp03", sp_status="online", profile="pole", keystore="tpm2", flow=running, footage=running, city=running
    )
    will = msgspec.structs.replace(state, sp_status="offline", sp_reason="connection_lost")
    meter = standing.Meter(
        sp_pole="sp03",
        sp_since="2026-11-23T00:00:00Z",
        sp_at="2026-11-23T01:00:00Z",
        residence_p50_ms=50,
        residence_p999_ms=100,
        residence_max_ms=200,
        slots_overwritten=3600,
        wipe_failures=0,
        egress_blocked=0,
        minutes_published=31,
        minutes_suppressed=28,
        minutes_gap=1,
        epochs_erased=60,
        live_holds="0",
    )
    records = {
        "flow-minute.published": PublishedMinute(_MINUTE, 60, 60, 26, 6, 19, congested=False, k=3),
        "flow-minute.suppressed": SuppressedMinute(_MINUTE, 60, 3),
        "flow-attr": AttributeTile(MinuteNumber(29_923_290), 15, share, folded, 5, 3),
        "flow-gap": Gap(_MINUTE, MinuteNumber(_MINUTE + 3), GapReason.CAMERA_FAULT),
    }
    told = {name: encode(record, PLACE).payload for name, record in records.items()}
    told["flow-meta"] = say(Kind.META, describe(PLACE, k=3, attributes=(Dimension.SEX, Dimension.AGE)), PLACE)
    told["status.online"] = say(Kind.STATUS, state, PLACE)
    told["status.will"] = say(Kind.STATUS, will, PLACE)
    told["privacy-meter"] = say(Kind.METER, meter, PLACE)
    return {f"{name}.example.json": text for name, text in told.items()}


def files() -> dict[str, bytes]:
    """Return every generated file by name."""
    schemas = {
        f"{name}.schema.json": (json.dumps(schema(kind), indent=1, ensure_ascii=False) + "\n").encode()
        for kind, name in NAMES.items()
    }
    texts = {f"{kind.replace('/', '-')}.regex": (text_form(kind) + "\n").encode() for kind in payload.TEXTS}
    return schemas | examples() | texts


def _closed(part: dict[str, Any]) -> dict[str, Any]:
    """Return ``part`` without the library's own title and defaults, which say nothing to a subscriber."""
    kept = {key: value for key, value in part.items() if key != "title"}
    if "properties" in kept:
        kept["properties"] = {
            name: {key: value for key, value in about.items() if key != "default"}
            for name, about in kept["properties"].items()
        }
    return kept
