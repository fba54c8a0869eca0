"""Commands that judge records.

Knows:  a copy of a ledger, checkpoints kept elsewhere, witnesses' keys; names and hashes of stored minutes.
Never:  a private half.
Leaves: verdicts that name the line or the minute.
Clauses: 7.3(1)3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.answers import Json, answering, read_text
from firmware.custodian.pole_folder import PoleKeyFile, expected_key
from firmware.custody.audit.conservation import Balance, Fault
from firmware.custody.audit.evidence import Evidence, gather
from firmware.custody.audit.stocktaking import take_stock
from firmware.custody.audit.verdict import Verdict, judge
from firmware.custody.bundle.span import Span
from firmware.custody.keys.witness_key import WitnessKey
from firmware.ground.clock import NS_PER_SECOND, MinuteNumber, iso_utc
from firmware.ground.errors import LedgerError

StateFolder = Annotated[Path, typer.Option("--state", help="A pole's state directory, or a copy of it.")]


def verify_ledger(
    *,
    state: StateFolder,
    checkpoints: Annotated[
        list[Path] | None, typer.Option("--checkpoint", help="A checkpoint kept elsewhere; may be repeated.")
    ] = None,
    witnessed: Annotated[
        list[Path] | None, typer.Option("--witnessed", help="A witness's folder of this pole; may be repeated.")
    ] = None,
    witness_keys: Annotated[
        list[Path] | None, typer.Option("--witness-key", help="File with a witness's key; may be repeated.")
    ] = None,
    pole_key: PoleKeyFile = None,
    as_json: Json = False,
) -> None:
    """Judge a ledger against its own last checkpoint and any others; name the line that was changed."""
    with answering(as_json=as_json) as answer:
        folder, expected = state / "ledger", expected_key(pole_key)
        own = [folder / "checkpoint"] if (folder / "checkpoint").exists() else []
        witnesses = [WitnessKey.parse(read_text(path).split("\n")[0], where=str(path)) for path in witness_keys or []]
        evidence = gather([*own, *(checkpoints or [])], witnessed or [], expected, witnesses)
        if not (evidence.seen or (folder / "lines.jsonl").exists()):
            raise LedgerError("E-LEDGER-NONE", "there is no ledger", where=str(folder), todo="give a pole's --state")
        verdict = judge(folder, evidence)
        signed = "signatures judged" if expected else "signatures NOT judged: give --pole-key"
        answer(
            {
                "lines": verdict.lines,
                "root": verdict.root.hex(),
                "checkpoints": verdict.checkpoints,
                "signatures": bool(expected),
                "witnessed": {
                    name: {"lines": size, "utc": iso_utc(at * NS_PER_SECOND)}
                    for name, (size, at) in verdict.witnessed.items()
                },
                "unwitnessed_from": verdict.unwitnessed,
                "dated_backwards": list(verdict.backwards),
                "false_notes": evidence.unsigned,
            },
            "\n".join(
                [
                    f"ledger       {verdict.lines} lines, whole",
                    f"checkpoints  {verdict.checkpoints} agree, {signed}",
                    *_witness_lines(verdict, evidence),
                ]
            ),
        )


def conserve(*, state: StateFolder, as_json: Json = False) -> None:
    """Balance every minute: recorded = live + erased + lost; name those that do not fit. Exit code 1 if any."""
    with answering(as_json=as_json) as answer:
        balance = asyncio.run(take_stock(state))
        faults = [
            {"minutes": _minutes(one.first_epoch, one.last_epoch), "fault": str(one.fault), "line": one.line}
            for one in balance.faults
        ]
        answer(
            {
                "recorded": balance.recorded, "live": balance.live, "erased": balance.erased, "lost": balance.lost,
                "in_hand": balance.in_hand, "balanced": balance.balanced, "faults": faults,
            },
            "\n".join(_balance_lines(balance)),
        )  # fmt: skip
    if not balance.balanced:
        raise typer.Exit(1)


def _witness_lines(verdict: Verdict, evidence: Evidence) -> Iterable[str]:
    for name, (size, at) in verdict.witnessed.items():
        yield f"witness      {name} vouches for lines n=0 to n={size - 1} since {iso_utc(at * NS_PER_SECOND)}"
    if verdict.unwitnessed is not None:
        yield f"unwitnessed  lines n={verdict.unwitnessed} to n={verdict.lines - 1}: newer than what any witness saw"
    if verdict.backwards:
        named = ", ".join(f"n={index}" for index in verdict.backwards)
        yield f"remark       dated before the line ahead of them (a clock set back, or a false date): {named}"
    if evidence.unsigned:
        yield f"remark       {evidence.unsigned} notes in the witnesses' evidence are not signed by this pole"


def _balance_lines(balance: Balance) -> Iterable[str]:
    parts = f"{balance.live} live + {balance.erased} erased + {balance.lost} lost"
    yield f"minutes      {balance.recorded} recorded = {parts}"
    if balance.in_hand:
        yield f"in hand      {balance.in_hand} newer than the ledger's newest"
    for one in balance.faults:
        line = f" (line n={one.line})" if one.line is not None else ""
        yield f"DOES NOT FIT {_minutes(one.first_epoch, one.last_epoch)}: {_WORDS[one.fault]}{line}"
    if balance.balanced:
        yield "balance      every minute is accounted for"


def _minutes(first: int, last: int) -> str:
    return Span(MinuteNumber(first), MinuteNumber(last)).text()


_WORDS = {
    Fault.MISSING: "recorded, not in the store, and no line says that it was erased or lost",
    Fault.STILL_THERE: "erased or lost by the ledger, and its files lie in the store",
    Fault.RECORDED_AGAIN: "recorded after it was erased",
    Fault.ERASED_TWICE: "erased or lost twice",
    Fault.CHANGED: "in the store, but not as the ledger recorded it",
    Fault.UNTOLD: "in the store, and the ledger does not know of it",
}
