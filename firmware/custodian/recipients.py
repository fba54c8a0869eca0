"""Commands about recipients and what they received.

Knows:  codes, organisations, age public keys, conditions.
Never:  a private person, a history removed.
Leaves: acts; the list of recipients; the record of retrievals (映像取得実績) as text, CSV or JSON.
Clauses: 7.3(1)2, 4.2(3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from firmware.custodian.acting import Office
from firmware.custodian.answers import Facts
from firmware.custodian.commands import acting, lines_of, reading
from firmware.custodian.times import instant_of, minute_from
from firmware.custody.office.acts import (
    AnyAct,
    RecipientAdded,
    RecipientChanged,
    RecipientRemoved,
    RecipientResumed,
    RecipientSuspended,
)
from firmware.custody.office.context import NS_PER_DAY
from firmware.custody.office.fields import RecipientKind
from firmware.custody.office.retrievals import as_csv, as_facts
from firmware.custody.office.retrievals import retrievals as rows_of
from firmware.ground.clock import iso_utc
from firmware.ground.durable import write_file
from firmware.ground.errors import CaseError

recipient = typer.Typer(no_args_is_help=True, help="Bodies that may receive footage (映像取得者).")
retrievals = typer.Typer(no_args_is_help=True, help="The record of what was handed out (映像取得実績).")

DAYS = 30
CodeWord = Annotated[str, typer.Argument(help="The code of the body, for instance odawara-ps.")]
Key = Annotated[str, typer.Option("--key", help="Its own age public key (age1...); words: none, nine words a package.")]
Until = Annotated[str | None, typer.Option("--until", help=f"End, not included; {DAYS} days where none is given.")]
Cameras = Annotated[list[str] | None, typer.Option("--camera", help="Only this camera; may be repeated.")]
Cases = Annotated[list[str] | None, typer.Option("--case", help="Only in this case; may be repeated.")]
From = Annotated[str | None, typer.Option("--from", help="No minute before this time.")]
To = Annotated[str | None, typer.Option("--to", help="No minute from this time on.")]
Minutes = Annotated[int | None, typer.Option("--most-minutes", help="So many minutes in all.")]
Deliveries = Annotated[int | None, typer.Option("--most-deliveries", help="So many deliveries in all.")]


@acting(recipient, "add")
def add(
    office: Office,
    code: CodeWord,
    *,
    organisation: Annotated[str, typer.Option("--organisation", help="The body's name, no person's.")],
    kind: Annotated[RecipientKind, typer.Option("--kind", help="What kind of body.")],
    key: Key,
    until: Until = None,
    cameras: Cameras = None,
    cases: Cases = None,
    begin: From = None,
    end: To = None,
    most_minutes: Minutes = None,
    most_deliveries: Deliveries = None,
) -> AnyAct:
    """Register a body that may receive footage, until when and under which conditions (閲覧条件)."""
    conditions = _conditions(cameras, cases, begin, end, most_minutes, most_deliveries)
    return office.draft(
        RecipientAdded, recipient=code, organisation=organisation, kind=kind, age_recipient=key,
        not_after=_until(office, until), conditions=conditions,
    )  # fmt: skip


@acting(recipient, "change")
def change(
    office: Office,
    code: CodeWord,
    *,
    key: Annotated[str | None, typer.Option("--key", help="A new age public key; else it keeps its own.")] = None,
    until: Until = None,
    cameras: Cameras = None,
    cases: Cases = None,
    begin: From = None,
    end: To = None,
    most_minutes: Minutes = None,
    most_deliveries: Deliveries = None,
) -> AnyAct:
    """Give a body a new key, end and conditions; conditions that are not repeated fall away."""
    key = key or office.register.recipients.known(code).age_recipient
    conditions = _conditions(cameras, cases, begin, end, most_minutes, most_deliveries)
    return office.draft(
        RecipientChanged, recipient=code, age_recipient=key, not_after=_until(office, until), conditions=conditions
    )


@acting(recipient, "suspend")
def suspend(office: Office, code: CodeWord) -> AnyAct:
    """Let a body receive nothing until it is resumed."""
    return office.draft(RecipientSuspended, recipient=code)


@acting(recipient, "resume")
def resume(office: Office, code: CodeWord) -> AnyAct:
    """End a suspension."""
    return office.draft(RecipientResumed, recipient=code)


@acting(recipient, "remove")
def remove(office: Office, code: CodeWord) -> AnyAct:
    """Remove a body for good; its history stays."""
    return office.draft(RecipientRemoved, recipient=code)


@reading(recipient, "list", "recipient list")
def list_recipients(office: Office) -> tuple[Facts, str]:
    """Show every body there was, and how long it may still receive."""
    rows: list[Facts] = [
        {
            "code": entry.code, "organisation": entry.organisation, "kind": entry.kind,
            "state": "expired" if entry.state == "active" and office.now_ns >= entry.not_after_ns else entry.state,
            "until": iso_utc(entry.not_after_ns),
            "days_left": max(0, (entry.not_after_ns - office.now_ns) // NS_PER_DAY),
            "conditions": msgspec.to_builtins(entry.conditions), "key": entry.age_recipient, "since_act": entry.since,
        }
        for entry in office.register.recipients.entries.values()
    ]  # fmt: skip
    return {"recipients": rows}, "\n\n".join(lines_of(row) for row in rows) or "no recipients"


@reading(retrievals, "list", "retrievals list")
def list_retrievals(office: Office) -> tuple[Facts, str]:
    """Show who received which minutes, when, in which case, on which paper; refusals and withdrawals too."""
    rows = _rows(office)
    return {"retrievals": rows}, "\n\n".join(lines_of(row) for row in rows) or "nothing was handed out or refused"


@reading(retrievals, "export", "retrievals export")
def export(
    office: Office,
    *,
    out: Annotated[Path, typer.Option("--out", help="A new file: .csv for a spreadsheet, .json for a program.")],
) -> tuple[Facts, str]:
    """Write the record of retrievals to a file."""
    if out.exists() or out.suffix not in (".csv", ".json"):
        raise CaseError(
            "E-OFFICE-OUT", "the file exists, or is neither .csv nor .json", where=str(out), todo="choose another name"
        )
    rows = rows_of(office.journal.entries) if office.journal else ()
    content = as_csv(rows) if out.suffix == ".csv" else msgspec.json.encode([as_facts(r) for r in rows], order="sorted")
    write_file(out, content)
    return {"file": str(out), "rows": len(rows)}, f"file         {out}\nrows         {len(rows)}"


def _rows(office: Office) -> list[dict[str, Any]]:
    return [as_facts(row) for row in rows_of(office.journal.entries)] if office.journal else []


def _until(office: Office, until: str | None) -> str:
    return instant_of(until, "--until") if until else iso_utc(office.now_ns + DAYS * NS_PER_DAY)


def _conditions(
    cameras: list[str] | None,
    cases: list[str] | None,
    begin: str | None,
    end: str | None,
    most_minutes: int | None,
    most_deliveries: int | None,
) -> dict[str, Any]:
    return {
        "cameras": cameras or [], "cases": cases or [], "first_epoch": minute_from(begin, "--from"),
        "last_epoch": minute_from(end, "--to", before=True), "most_minutes": most_minutes,
        "most_deliveries": most_deliveries,
    }  # fmt: skip
