"""What is committed for subscribers is what the types say, and what the types say fits Smart Data Models."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from firmware.city.payload import SHAPES, gate
from firmware.city.shapes import FOLDABLE, REASONS, TENTHS, TWENTIETHS, Folded, Reason
from firmware.city.standing import BAND_MS, CHECKPOINT, REASON_PATTERN, Band, reason_code
from firmware.city.topics import Kind
from firmware.flow.record import CATEGORIES
from firmware.ground.errors import CityError
from tools.contracts import FOLDER, NAMES, PLACE, files, schema

EXAMPLES = [(name, text) for name, text in files().items() if name.endswith(".example.json")]
KINDS = {name: kind for kind, name in NAMES.items()}


def kind_of(file_name: str) -> Kind:
    return KINDS[file_name.partition(".")[0]]


def test_what_is_committed_is_what_the_types_say() -> None:
    committed = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in {".json", ".regex"}}
    assert committed == files(), "run: python -m tools.contracts"


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_examples_fit_their_schema_and_pass_the_gate(name: str, text: bytes) -> None:
    kind = kind_of(name)
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    jsonschema.Draft202012Validator(schema(kind)).validate(json.loads(text))
    assert gate(kind, text, PLACE) == text


@pytest.mark.parametrize("kind", list(SHAPES))
def test_schemas_are_closed(kind: Kind) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object":
                assert node["additionalProperties"] is False
            if node.get("type") == "string":
                pattern = node.get("pattern", "")
                assert pattern.startswith("^"), node
                assert pattern.endswith("$"), node
                assert "." not in pattern.replace(r"\.", ""), "a dot would let anything in"
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(schema(kind))


def test_minutes_and_tiles_are_crowd_flow_observed() -> None:
    """Smart Data Models CrowdFlowObserved 0.0.3 requires these, and says what a fraction and a flag mean."""
    for name in ("flow-minute.published", "flow-minute.suppressed", "flow-attr"):
        told = json.loads(files()[f"{name}.example.json"])
        assert told["type"] == "CrowdFlowObserved"
        assert {"id", "type", "dateObserved"} <= set(told)
        assert 0 <= told.get("occupancy", 0) <= 1
        assert isinstance(told.get("congested", False), bool)
    assert json.loads(files()["flow-gap.example.json"])["type"] != "CrowdFlowObserved"


def test_a_suppressed_minute_has_no_measured_number() -> None:
    told = json.loads(files()["flow-minute.suppressed.example.json"])
    numbers = {key for key, value in told.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    assert numbers == {"spSeq", "spSlicesPlanned"}
    assert told["congested"] is False
    crowded = files()["flow-minute.suppressed.example.json"].replace(b'"congested":false', b'"congested":true')
    with pytest.raises(CityError):
        gate(Kind.MINUTE, crowded, PLACE)
    assert not jsonschema.Draft202012Validator(schema(Kind.MINUTE)).is_valid(json.loads(crowded))


def test_lists_are_those_of_people_flow() -> None:
    assert set(Reason.__args__) == set(REASONS)
    assert Folded.__args__ == FOLDABLE
    assert set(Band.__args__) == {*BAND_MS, "longer"}
    shapes = schema(Kind.ATTR)["$defs"]
    for dimension, shape in zip(CATEGORIES, ("SexShares", "AgeShares", "MaskShares"), strict=True):
        assert tuple(shapes[shape]["properties"]) == CATEGORIES[dimension]
        assert shapes[shape]["required"] == ["unknown"]
    for reason in REASONS:
        assert reason_code(reason) == reason


def test_fractions_are_exact_decimal_text() -> None:
    assert [msgspec.json.encode(share).decode() for share in TENTHS] == [f"{n // 10}.{n % 10}" for n in range(11)]
    assert all(len(msgspec.json.encode(value)) <= 4 for value in TWENTIETHS)
    for tenths in range(5001):
        assert msgspec.json.encode(tenths / 10).decode() == f"{tenths // 10}.{tenths % 10}"


@pytest.mark.parametrize("code", ["ValueError", "E-CITY-tls", "ok\n", "E-CITY-TLS\n", "taro yamada", "E-NOBODY-X", ""])
def test_only_codes_leave_as_reasons(code: str) -> None:
    assert reason_code(code) == "E-UNEXPECTED"


def test_codes_leave_as_they_are() -> None:
    assert REASON_PATTERN.startswith("^(")
    for code in ("ok", "E-CITY-TLS", "E-CAMERA-STALL", "connection_lost", "E-UNEXPECTED"):
        assert reason_code(code) == code


NOTE = (
    "smartpole.example.lg.jp/sp03\n17\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n\n"
    f"\u2014 smartpole.example.lg.jp/sp03 {'A' * 92}\n"
)


def test_a_checkpoint_is_nothing_but_a_checkpoint() -> None:
    assert CHECKPOINT.fullmatch(NOTE)
    assert gate(Kind.CHECKPOINT, NOTE.encode(), PLACE) == NOTE.encode()
