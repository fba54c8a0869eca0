"""Stretches of minutes and papers as an officer types them.

Knows:  ``--span FROM/TO`` (ISO 8601, the end not included), documents' facts.
Never:  a time that could be read in two ways, a document's scan: only its hash.
Leaves: spans and documents as acts have them.
Clauses: 7.2(1), 7.1(4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.acting import Office
from firmware.custodian.answers import Facts
from firmware.custody.bundle.span import Span, parse_span, refused
from firmware.custody.bundle.survey import Survey
from firmware.custody.office.dossier import document_number
from firmware.custody.office.fields import Document, Instrument
from firmware.custody.office.fields import Span as Asked
from firmware.custody.office.recipients import normal
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import CaseError

ONE_CAMERA = "cam0"
Camera = Annotated[str, typer.Option("--camera", help="The camera; this pole's own where none is given.")]
Spans = Annotated[
    list[str] | None,
    typer.Option("--span", help="2026-11-23T18:00:00+09:00/2026-11-23T18:30:00+09:00; may be repeated."),
]
Number = Annotated[str, typer.Option("--document", help="The document's number (文書番号).")]
Date = Annotated[str, typer.Option("--date", help="The document's date, 2026-11-20.")]
Authority = Annotated[str, typer.Option("--authority", help="The office that issued it (発出官公署), no person.")]
Paper = Annotated[Instrument | None, typer.Option("--instrument", help="What kind of paper it is.")]
Scan = Annotated[Path | None, typer.Option("--scan", help="Its scan: only the hash is kept.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, in a line; no person's name.")]


def asked_for(office: Office, texts: Sequence[str] | None, camera: str) -> tuple[Asked, ...]:
    """Return the typed stretches, joined where they touch. Raises :class:`CaseError` (E-CASE-SPAN)."""
    found = []
    for text in texts or ():
        begin, stroke, end = text.partition("/")
        if not stroke:
            raise refused("--span has no stroke between its two times", text, "write FROM/TO")
        span = parse_span(begin, end, office.now_ns)
        found.append(Asked(camera=camera_of(office, camera), first_epoch=span.first, last_epoch=span.last))
    if not found:
        raise refused("no --span was given", "--span", "say which minutes: --span FROM/TO")
    return normal(found)


def camera_of(office: Office, camera: str) -> str:
    """Return the camera meant: the one named, else the pole's own."""
    return camera or (office.holdings.camera if office.holdings else ONE_CAMERA)


def paper_of(number: str, date: str, authority: str, instrument: Instrument | None, scan: Path | None) -> Document:
    """Return the document that was typed, its number made plain. Raises :class:`CaseError` (E-CASE-DOCUMENT)."""
    plain = document_number(number)
    if not (date and authority and instrument):
        raise CaseError(
            "E-CASE-DOCUMENT", "a document has number, date, issuing office and kind", where=f"document {plain}",
            todo="give --document, --date, --authority and --instrument", clause="7.2(1)2",
        )  # fmt: skip
    sha256 = hashlib.sha256(scan.read_bytes()).hexdigest() if scan else None
    return Document(number=plain, date=date, authority=authority, instrument=instrument, scan=sha256)


def spans_of(asked: Sequence[Asked]) -> list[Facts]:
    """Return stretches as facts."""
    return [{"camera": span.camera, "asked": Span.of(span).text()} for span in asked]


def seen_of(found: Survey) -> Facts:
    """Return what of the asked minutes is there and what is not, as facts."""
    return {
        "minutes": len(found.minutes),
        "missing_minutes": found.missing_epochs,
        "missing": [
            {
                "asked": Span(MinuteNumber(run.first_epoch), MinuteNumber(run.last_epoch)).text(),
                "reason": run.reason, "ledger_line": run.ledger_line, "ledger_utc": run.ledger_utc,
            }
            for run in found.missing
        ],
    }  # fmt: skip
