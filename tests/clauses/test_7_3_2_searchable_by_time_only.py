"""7.3(2): 『個人データではない個人情報』, as long as nothing finds a person: no record of ours has a field for one."""

from __future__ import annotations

import re

import msgspec
import pytest

from firmware.custody.bundle import index
from firmware.footage import manifest
from firmware.ground import ledger_events
from firmware.ground.errors import LedgerError

OF_PEOPLE = set(
    "person persons people name names face faces head heads count counts gender sex age mask clothes colour color "  # noqa: SIM905  # read as a line
    "plate motion object track crowd thumb thumbnail image picture event scene".split()
)


def speaks_of_people(field: str) -> bool:
    return bool(set(field.split("_")) & OF_PEOPLE)


def fields_of(kind: type[msgspec.Struct]) -> set[str]:
    found = set(kind.__struct_fields__)
    for field in msgspec.structs.fields(kind):
        for part in re.findall(r"[A-Za-z_.]+", str(field.type)):
            other = getattr(manifest, part.split(".")[-1], None) or getattr(index, part.split(".")[-1], None)
            if isinstance(other, type) and issubclass(other, msgspec.Struct) and other is not kind:
                found |= fields_of(other)
    return found


def test_no_event_of_the_ledger_has_a_field_for_a_person_or_a_size() -> None:
    for event, fields in ledger_events.EVENTS.items():
        for name, shape in fields.items():
            assert not speaks_of_people(name), (event, name)
            assert name == "lost_bytes" or not re.search("byte|size|length|frames", name), (event, name)
            assert shape is int or isinstance(
                shape, frozenset | re.Pattern
            )  # whole numbers, codes, hashes: no free text


@pytest.mark.parametrize("kind", [manifest.Manifest, index.Index])
def test_neither_manifest_nor_bundle_can_be_searched_by_person(kind: type[msgspec.Struct]) -> None:
    fields = fields_of(kind)
    assert {"reason", "sequence"} <= fields  # inner structs were looked into
    assert {name for name in fields if speaks_of_people(name)} <= {"name"}  # a member's file name


def test_free_text_has_no_place_in_the_ledger() -> None:
    for event, fields in ledger_events.EVENTS.items():
        for name in fields:
            filled: dict[str, int | str] = {key: example(shape) for key, shape in fields.items()}
            ledger_events.check_event(event, filled)
            for text in ("Taro Odawara", "\u5c71\u7530", "a man in a red coat", "-", ""):
                with pytest.raises(LedgerError):
                    ledger_events.check_event(event, {**filled, name: text})


def example(shape: ledger_events.Shape) -> int | str:
    if isinstance(shape, frozenset):
        return min(shape)
    if isinstance(shape, re.Pattern):
        return next(text for text in ("sp03", "0" * 64, "2026-0001", "manager") if shape.fullmatch(text))
    return 1
