"""Commands about cases: from the draft to the receipt, or to the letter.

Knows:  documents, stretches of minutes, recipients, approvals; of footage its minutes and gaps, never a picture.
Never:  a rule (those stand in ``custody.office``), a bundle of a case that is not sealed.
Leaves: acts; bundles; lists and letters.
Clauses: 7.2(1), 4.2(3), 7.3(1)2, 7.3(1)3.
"""

from __future__ import annotations

import asyncio
import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.acting import Office
from firmware.custodian.answers import Facts
from firmware.custodian.bundles import summary_of
from firmware.custodian.case_facts import case_facts, refuse_without_bundle
from firmware.custodian.commands import acting, lines_of, reading
from firmware.custodian.holds import refuse_existing
from firmware.custodian.japanese import in_japanese
from firmware.custodian.language import language
from firmware.custodian.scopes import (
    Authority,
    Camera,
    Date,
    Number,
    Reason,
    Scan,
    Spans,
    asked_for,
    paper_of,
    seen_of,
    spans_of,
)
from firmware.custody.bundle.making import describe, look, make_bundle
from firmware.custody.bundle.span import Span
from firmware.custody.languages import Language
from firmware.custody.office.acts import (
    AnyAct,
    CaseApproved,
    CaseClosed,
    CaseDocumented,
    CaseHandedOver,
    CaseOpened,
    CaseReceipted,
    CaseRefused,
    CaseScoped,
    CaseSealed,
    CaseWithdrawn,
)
from firmware.custody.office.cases import dossier_of
from firmware.custody.office.fields import Instrument
from firmware.custody.office.instruments import RULES, Subject, Use, judge
from firmware.custody.papers.letters import answer_letter
from firmware.footage.settings import LegalBases
from firmware.ground.clock import iso_utc
from firmware.ground.durable import write_file
from firmware.ground.errors import ConfigError

case = typer.Typer(
    no_args_is_help=True, help="Hand footage out, or refuse: on a document, by two officers (7.2). (案件・提供)"
)

CaseWord = Annotated[str, typer.Argument(help="The case's number, for instance 2026-0012.")]
DossierWord = Annotated[str, typer.Option("--dossier", help="At the desk: the dossier's SHA-256 (case show).")]
Words = Annotated[str | None, typer.Option("--words", help="A line for the letter; no person's name.")]
Out = Annotated[Path, typer.Option("--out", help="Where it goes; must not exist.")]


class Why(StrEnum):
    """Why nothing is handed out."""

    WRONG_INSTRUMENT = "wrong-instrument"
    NOT_NEEDED = "not-needed"
    TOO_WIDE = "too-wide"
    GONE = "gone"
    FORGED = "forged"
    RECIPIENT = "recipient"
    OTHER = "other"


@acting(case, "open")
def open_(
    office: Office,
    number: Annotated[str, typer.Argument(help="A new number; the next of this year where none is given.")] = "",
    *,
    hold: Annotated[int | None, typer.Option("--hold", help="The hold it comes from.")] = None,
) -> AnyAct:
    """Begin a case as a draft."""
    return office.draft(CaseOpened, case=number or _next(office), hold=hold)


@acting(case, "document")
def document(
    office: Office,
    number: CaseWord,
    *,
    paper: Number,
    date: Date,
    authority: Authority,
    instrument: Annotated[Instrument, typer.Option("--instrument", help="What kind of paper it is.")],
    scan: Scan = None,
    reason: Reason = None,
    asks: Annotated[Subject, typer.Option("--asks", help="What the paper asks for.")] = Subject.FOOTAGE,
) -> AnyAct:
    """Enter the paper that asks. Its scan stays in the office; only the scan's hash is kept."""
    judge(instrument, Use.RELEASE, office.bases or LegalBases(), subject=asks)
    return office.draft(
        CaseDocumented, case=number, basis=RULES[instrument].basis, reason=reason,
        document=paper_of(paper, date, authority, instrument, scan),
    )  # fmt: skip


@acting(case, "scope")
async def scope(
    office: Office,
    number: CaseWord,
    *,
    span: Spans = None,
    camera: Camera = "",
    to: Annotated[str, typer.Option("--to", help="The recipient's code.")],
    reason: Reason = None,
) -> tuple[AnyAct, Facts]:
    """Say which minutes go to whom. Scoping again voids approvals; over 24 hours or two cameras needs --reason."""
    asked = asked_for(office, span, camera)
    act = office.draft(CaseScoped, case=number, spans=asked, recipient=to, reason=reason)
    if office.holdings is None:
        return act, {}
    return act, seen_of(await look(office.holdings, [Span.of(each) for each in asked]))


@reading(case, "preview", "scope preview")
async def preview(office: Office, *, span: Spans = None, camera: Camera = "") -> tuple[Facts, str]:
    """Show what of a stretch is there: minutes, gaps, holds. No picture: to look at one needs a case (7.2)."""
    asked = asked_for(office, span, camera)
    if office.holdings is None:
        raise ConfigError("E-CONFIG-STATE", "there is no pole here", where="--config", todo="ask on the pole")
    found = await look(office.holdings, [Span.of(each) for each in asked])
    holds = [
        each.number
        for each in office.register.holds.living(office.now_ns // 60_000_000_000)
        if any(s.first_epoch <= each.span.last_epoch and each.span.first_epoch <= s.last_epoch for s in asked)
    ]
    facts = {"spans": spans_of(asked), **seen_of(found), "holds": holds}
    gone = describe(found.missing) or "-"
    return facts, f"minutes      {len(found.minutes)}\nnot there    {gone}\nholds        {holds or '-'}"


@acting(case, "approve")
def approve(office: Office, number: CaseWord, *, dossier: DossierWord = "") -> tuple[AnyAct, Facts]:
    """Approve exactly this dossier: document, minutes and recipient as they stand. Manager and chief, each alone."""
    seen, sha256 = _dossier(office, number, dossier)
    return office.draft(CaseApproved, case=number, dossier=sha256), seen


@acting(case, "refuse")
def refuse(
    office: Office,
    number: CaseWord,
    *,
    reason: Annotated[Why, typer.Option("--reason", help="Why nothing is handed out.")],
    words: Words = None,
) -> AnyAct:
    """Hand nothing out: an honest outcome, with its letter (case letter)."""
    return office.draft(CaseRefused, case=number, reason=reason, words=words)


@acting(case, "withdraw")
def withdraw(office: Office, number: CaseWord, *, words: Words = None) -> AnyAct:
    """Record that whoever asked does not ask any more."""
    return office.draft(CaseWithdrawn, case=number, words=words)


@acting(case, "seal")
def seal(office: Office, number: CaseWord, *, dossier: DossierWord = "") -> tuple[AnyAct, Facts]:
    """Let the approved minutes leave the pole. Needs both approvals, a live recipient and a proven clock."""
    seen, sha256 = _dossier(office, number, dossier)
    return office.draft(CaseSealed, case=number, dossier=sha256), seen


@reading(case, "bundle", "case bundle")
async def bundle(office: Office, number: CaseWord, *, out: Out) -> tuple[Facts, str]:
    """On the pole: write the bundle of a sealed case. Recorded in the ledger before anything leaves."""
    if office.holdings is None or office.journal is None:
        raise ConfigError("E-CONFIG-STATE", "there is no pole here", where="--config", todo="do it on the pole")
    made = await make_bundle(office.holdings, office.journal, number, out)
    missing, damaged, proven = describe(made.missing), len(made.damaged), office.holdings.trust.settled
    text = (
        f"bundle       {out}\nminutes      {len(made.epochs)}\nledger line  n={made.ledger_line}"
        + (f"\nnot in it    {missing}" if missing else "")
        + (f"\ndamaged      {damaged} chunks already lay damaged on the pole" if damaged else "")
        + ("" if proven else "\nclock        not proven: only a bench hands out all the same")
    )
    return {"file": str(out), "clock_proven": proven, **summary_of(made)}, text


@acting(case, "hand-over")
async def hand_over(
    office: Office,
    number: CaseWord,
    *,
    package: Annotated[Path, typer.Option("--package", help="The package as it goes to the recipient.")],
    medium: Annotated[str | None, typer.Option("--medium", help="The registered medium it is on.")] = None,
) -> AnyAct:
    """Record that the package went to the recipient."""
    await asyncio.to_thread(refuse_without_bundle, office, number)
    return office.draft(CaseHandedOver, case=number, package=await asyncio.to_thread(_sha256, package), medium=medium)


@acting(case, "receipt")
def receipt(office: Office, number: CaseWord, *, date: Date, scan: Scan = None) -> AnyAct:
    """Record that the signed receipt (受領書) has come."""
    return office.draft(CaseReceipted, case=number, date=date, scan=_sha256(scan) if scan else None)


@acting(case, "close")
def close(office: Office, number: CaseWord) -> AnyAct:
    """Close a case in which nothing more is owed."""
    return office.draft(CaseClosed, case=number)


@reading(case, "show", "case show")
def show(office: Office, number: CaseWord) -> tuple[Facts, str]:
    """Show one case: document, minutes, recipient, approvals, and the dossier's hash that is to be approved."""
    facts = case_facts(office, office.register.cases.known(number))
    return facts, lines_of(facts)


@reading(case, "list", "case list")
def list_(office: Office) -> tuple[Facts, str]:
    """Show every case there was."""
    rows: list[Facts] = [
        {"case": each.number, "state": each.stage, "opened": iso_utc(each.opened_ns), "by": each.by}
        for each in office.register.cases.entries.values()
    ]
    return {"cases": rows}, "\n\n".join(lines_of(row) for row in rows) or "no cases"


@reading(case, "letter", "case show")
def letter(office: Office, number: CaseWord, *, out: Out) -> tuple[Facts, str]:
    """Write the letter (回答書) of a case, or of an extension, that was refused or withdrawn."""
    text = answer_letter(office.pole, office.register.cases.known(number))
    refuse_existing(out)
    write_file(out, text.encode())
    return {"case": number, "file": str(out)}, f"letter       {out}"


def _dossier(office: Office, number: str, typed: str) -> tuple[Facts, str]:
    """Return what is approved or sealed, as it stands, and its hash; at the desk only the typed hash is known."""
    if office.journal is None:
        if not typed:
            raise ConfigError("E-CONFIG-STATE", "there is no pole here", where="--dossier", todo="give --dossier")
        return {}, typed
    known = office.register.cases.known(number)
    sha256 = typed or dossier_of(known, office.register.recipients, office.pole).sha256()
    facts = case_facts(office, known)
    if not office.options.as_json:
        typer.echo(in_japanese(facts) if language() is Language.JA else lines_of(facts), err=True)
    return {"case": number, "dossier": sha256}, sha256


def _next(office: Office) -> str:
    year = iso_utc(office.now_ns)[:4]
    taken = [int(each.split("-")[1]) for each in office.register.cases.entries if each.startswith(f"{year}-")]
    return f"{year}-{max(taken, default=0) + 1:04}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
