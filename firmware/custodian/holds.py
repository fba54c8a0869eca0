"""Commands about holds: place, confirm, renew, lift, list, slip.

Knows:  which minutes, on which call or paper, until when; what of them is gone already.
Never:  a picture looked at, minutes kept that nobody named, a hold that says it keeps what is gone.
Leaves: acts; lists with what ends soon; a slip to print.
Clauses: 7.1(4), 7.1(3).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.acting import Office
from firmware.custodian.answers import Facts
from firmware.custodian.commands import acting, lines_of, reading
from firmware.custodian.language import language
from firmware.custodian.scopes import (
    Authority,
    Camera,
    Date,
    Number,
    Paper,
    Reason,
    Scan,
    Spans,
    asked_for,
    paper_of,
    seen_of,
    spans_of,
)
from firmware.custodian.times import minute_from
from firmware.custody.bundle.making import describe, look, nothing_left
from firmware.custody.bundle.span import Span
from firmware.custody.office.acts import AnyAct, HoldConfirmed, HoldLifted, HoldPlaced, HoldRenewed
from firmware.custody.office.fields import Basis, Instrument
from firmware.custody.office.holds import (
    MINUTES_A_DAY,
    MOST_PROVISIONAL_DAYS,
    MOST_REVIEW_DAYS,
    KeptMinutes,
    warnings,
)
from firmware.custody.office.instruments import RULES
from firmware.custody.office.sentences import asking
from firmware.custody.papers.letters import hold_slip
from firmware.ground.clock import NS_PER_MINUTE, MinuteNumber, iso_utc, start_of
from firmware.ground.durable import write_file
from firmware.ground.errors import CaseError

hold = typer.Typer(
    no_args_is_help=True, help="Keep minutes beyond 336 hours (7.1(4)); nobody looks at them by it. (保全)"
)

NumberWord = Annotated[int, typer.Argument(help="The hold's number.")]
Until = Annotated[str | None, typer.Option("--until", help="Its end; the longest there is where none is given.")]


@acting(hold, "place")
async def place(
    office: Office,
    *,
    span: Spans = None,
    camera: Camera = "",
    asking: Annotated[str, typer.Option("--office", help="The office that asks, no person's name.")],
    called_back: Annotated[
        bool, typer.Option("--called-back", help="It was called back on its public number.")
    ] = False,
    document: Number = "",
    date: Date = "",
    authority: Authority = "",
    instrument: Paper = None,
    scan: Scan = None,
    until: Until = None,
    number: Annotated[int, typer.Option("--number", help="At the desk: the hold's number.")] = 0,
) -> tuple[AnyAct, Facts]:
    """Keep minutes: ten days on a call that was called back, thirty on a document."""
    asked = asked_for(office, span, camera)
    if len(asked) != 1:
        raise CaseError(
            "E-CASE-HOLD-SPAN", "a hold is one stretch of minutes", where="--span", todo="place one hold a stretch",
            clause="7.1(4)",
        )  # fmt: skip
    paper = paper_of(document, date, authority, instrument, scan) if document else None
    seen = await _gone_already(office, Span.of(asked[0]))  # first: it also reads which numbers were used
    days = MOST_REVIEW_DAYS if paper else MOST_PROVISIONAL_DAYS
    act = office.draft(
        HoldPlaced, hold=number or _next(office), span=asked[0], office=asking, called_back=called_back,
        basis=RULES[paper.instrument].basis if paper else Basis.REQUEST, document=paper,
        ends_epoch=_end(office, until, days),
    )  # fmt: skip
    return act, seen


@acting(hold, "confirm")
def confirm(
    office: Office,
    number: NumberWord,
    *,
    document: Number,
    date: Date,
    authority: Authority,
    instrument: Annotated[Instrument, typer.Option("--instrument", help="What kind of paper it is.")],
    scan: Scan = None,
    until: Until = None,
) -> AnyAct:
    """Confirm a provisional hold by the document that has come."""
    paper = paper_of(document, date, authority, instrument, scan)
    return office.draft(HoldConfirmed, hold=number, document=paper, ends_epoch=_end(office, until, MOST_REVIEW_DAYS))


@acting(hold, "renew")
def renew(
    office: Office,
    number: NumberWord,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why it is still needed; no person's name.")],
    until: Until = None,
) -> AnyAct:
    """Decide anew that a confirmed hold goes on, for thirty days at most."""
    return office.draft(HoldRenewed, hold=number, reason=reason, ends_epoch=_end(office, until, MOST_REVIEW_DAYS))


@acting(hold, "lift")
def lift(office: Office, number: NumberWord, *, reason: Reason = None) -> AnyAct:
    """End a hold now; a mistaken one too. Its record stays."""
    return office.draft(HoldLifted, hold=number, reason=reason or "lifted")


@reading(hold, "list", "hold list")
async def list_(office: Office) -> tuple[Facts, str]:
    """Show every hold there was, what ends soon first; and those that only a damaged ledger still tells of."""
    now = office.now_ns // NS_PER_MINUTE
    entries = sorted(office.register.holds.entries.values(), key=lambda each: (not each.lives(now), each.ends_epoch))
    rows = [_facts(each, now) for each in entries]
    soon = [
        {"hold": found.hold.number, "days": found.days, "until": _utc(found.hold.ends_epoch)}
        for found in warnings(entries, now)
    ]
    text = "\n\n".join(lines_of(row) for row in rows) or "no holds"
    warned = "".join(f"hold {each['hold']} ends within {each['days']} days, at {each['until']}\n" for each in soon)
    rescued = await _rescued(office)
    if rescued:
        warned += f"kept on the word of a damaged ledger alone: {', '.join(map(str, rescued))}\n"
    return {"holds": rows, "ends_soon": soon, "rescued": rescued}, warned + text


@reading(hold, "slip", "hold list")
def slip(
    office: Office,
    number: NumberWord,
    *,
    out: Annotated[Path, typer.Option("--out", help="The slip (HTML, to print); must not exist.")],
) -> tuple[Facts, str]:
    """Write the slip of a hold: what is kept, until when, on what, and what it does not allow."""
    found = office.register.holds.known(number)
    refuse_existing(out)
    write_file(out, hold_slip(office.pole, found, office.now_ns // NS_PER_MINUTE).encode())
    return {"hold": number, "file": str(out)}, f"slip         {out}"


def refuse_existing(out: Path) -> None:
    """Raise :class:`CaseError` (E-CASE-OUT) where there is something of that name."""
    if out.exists():
        raise CaseError(
            "E-CASE-OUT", "cannot write: there is a file of that name", where=str(out), todo="choose another name"
        )


async def _gone_already(office: Office, span: Span) -> Facts:
    """Look what is there; tell what is gone, exactly. Raises :class:`CaseError` where nothing is left to keep."""
    if office.holdings is None:
        return {}
    found = await look(office.holdings, [span])
    if not found.minutes:
        raise nothing_left([span], found)
    if found.missing and not office.options.as_json:
        gone = describe(found.missing)
        typer.echo(asking("partial", language(), count=found.missing_epochs, gone=gone), err=True)
    return {"asked": span.text(), **seen_of(found)}


async def _rescued(office: Office) -> list[int]:
    if office.holdings is None:
        return []
    holds = office.holdings.holds
    await office.holdings.lock.during(asyncio.to_thread(holds))
    return sorted(holds.rescued)


def _next(office: Office) -> int:
    """Return the next free number; 0 at the desk, where none is known."""
    told = office.holdings.holds.highest if office.holdings else 0
    return max([told, *office.register.holds.entries], default=0) + 1


def _end(office: Office, until: str | None, days: int) -> int:
    latest = office.now_ns // NS_PER_MINUTE + days * MINUTES_A_DAY
    typed = minute_from(until, "--until")
    return latest if typed is None else typed


def _facts(each: KeptMinutes, now: int) -> Facts:
    return {
        "hold": each.number,
        "state": each.standing(now),
        "spans": spans_of([each.span]),
        "until": _utc(each.ends_epoch),
        "organisation": each.office,
        "basis": each.basis,
        "document": each.document.number if each.document else None,
        "by": each.by,
        "placed": _utc(each.placed_epoch),
        "decisions": each.decisions,
    }


def _utc(epoch: int) -> str:
    return iso_utc(start_of(MinuteNumber(epoch)))
