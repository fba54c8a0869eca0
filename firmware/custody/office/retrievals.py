"""The record of retrievals (映像取得実績): who received which minutes, when, in which case, on which paper. Pure.

Knows:  acts that took effect, in their order.
Never:  a row taken away, whatever became of recipient, officer or case later.
Leaves: one row a delivery, refusal or withdrawal; CSV that a spreadsheet of the office opens, JSON.
Clauses: 7.3(1)2 (防犯カメラ映像取得実績の管理), 7.2(1).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal

import msgspec

from firmware.custody.office import acts
from firmware.custody.office.fields import Document, Span
from firmware.custody.office.journal import Entry
from firmware.custody.office.recipients import minutes_of, normal
from firmware.ground.clock import NS_PER_MINUTE, iso_utc

Result = Literal["sealed", "handed-over", "receipted", "refused", "withdrawn"]
_BOM: Final = "\ufeff"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One row. ``at`` is when the result came about (UTC); minutes are those of the scope, each camera's counted."""

    case: str
    result: Result
    at: str
    by: str
    approved_by: tuple[str, ...]
    recipient: str
    organisation: str
    document: str
    authority: str
    spans: tuple[Span, ...]
    minutes: int
    package: str
    medium: str
    receipt: str
    act: int


@dataclass(slots=True)
class _Dossier:
    document: Document | None = None
    scope: acts.CaseScoped | None = None
    approved_by: tuple[str, ...] = ()
    row: int | None = None


def retrievals(entries: Iterable[Entry]) -> tuple[Retrieval, ...]:
    """Return all rows, in the order in which they came about."""
    rows: list[Retrieval] = []
    dossiers: dict[str, _Dossier] = {}
    organisations: dict[str, str] = {}
    for entry in entries:
        act = entry.act
        if isinstance(act, acts.RecipientAdded):
            organisations[act.recipient] = act.organisation
        case = getattr(act, "case", None)
        if case is not None and not isinstance(act, acts.MediumOut):
            _follow(rows, dossiers.setdefault(case, _Dossier()), entry, case, organisations)
    return tuple(rows)


def _follow(rows: list[Retrieval], dossier: _Dossier, entry: Entry, case: str, organisations: dict[str, str]) -> None:
    match entry.act:
        case acts.CaseDocumented(document=document):
            dossier.document, dossier.approved_by = document, ()
        case acts.CaseScoped():
            dossier.scope, dossier.approved_by = entry.act, ()
        case acts.CaseApproved():
            dossier.approved_by = tuple(dict.fromkeys((*dossier.approved_by, *entry.signers)))
        case acts.CaseSealed():
            dossier.row = len(rows)
            rows.append(_row("sealed", entry, case, dossier, organisations))
        case acts.CaseRefused():
            rows.append(_row("refused", entry, case, dossier, organisations))
        case acts.CaseWithdrawn():
            rows.append(_row("withdrawn", entry, case, dossier, organisations))
        case acts.CaseHandedOver(package=package, medium=medium) if dossier.row is not None:
            rows[dossier.row] = replace(
                rows[dossier.row], result="handed-over", at=iso_utc(entry.at_ns), by="/".join(entry.signers),
                package=package, medium=medium or "", act=entry.number,
            )  # fmt: skip
        case acts.CaseReceipted(date=date) if dossier.row is not None:
            rows[dossier.row] = replace(rows[dossier.row], result="receipted", receipt=date)
        case _:
            pass


def _row(result: Result, entry: Entry, case: str, dossier: _Dossier, organisations: dict[str, str]) -> Retrieval:
    scope, document = dossier.scope, dossier.document
    spans = normal(scope.spans) if scope else ()
    recipient = scope.recipient if scope else ""
    return Retrieval(
        case=case, result=result, at=iso_utc(entry.at_ns), by="/".join(entry.signers), approved_by=dossier.approved_by,
        recipient=recipient, organisation=organisations.get(recipient, ""),
        document=document.number if document else "", authority=document.authority if document else "",
        spans=spans, minutes=minutes_of(spans), package="", medium="", receipt="", act=entry.number,
    )  # fmt: skip


def as_facts(row: Retrieval) -> dict[str, Any]:
    """Return a row as JSON has it."""
    facts: dict[str, Any] = msgspec.to_builtins(row)
    return facts


def as_csv(rows: Iterable[Retrieval]) -> bytes:
    """Return UTF-8 with a byte order mark and CRLF, as the offices' spreadsheets want it; no cell is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    names = [column.name for column in fields(Retrieval)]
    writer.writerow(names)
    for row in rows:
        facts = as_facts(row)
        facts["spans"] = "; ".join(_words(span) for span in row.spans)
        facts["approved_by"] = "/".join(row.approved_by)
        writer.writerow([_plain(str(facts[name])) for name in names])
    return (_BOM + text.getvalue()).encode()


def _words(span: Span) -> str:
    begin, end = iso_utc(span.first_epoch * NS_PER_MINUTE), iso_utc((span.last_epoch + 1) * NS_PER_MINUTE)
    return f"{span.camera} {begin}/{end}"


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
