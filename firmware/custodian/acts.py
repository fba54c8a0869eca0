"""Commands about acts themselves: shown before and after they took effect, brought from the desk and done.

Knows:  an act's file and the signatures beside it.
Never:  an act changed on its way.
Leaves: acts that took effect; what an act says.
Clauses: 7.2(1), 7.3(1)2.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from firmware.custodian.acting import Office, Options, facts_of, open_office
from firmware.custodian.answers import Facts, Json, answering
from firmware.custodian.commands import lines_of, reading
from firmware.custodian.language import language
from firmware.custodian.pole_folder import CONFIG, Config, State
from firmware.custody.office.acts import MOST_BYTES, AnyAct
from firmware.custody.office.journal import decoded
from firmware.custody.office.register import of
from firmware.custody.office.sentences import afterwards
from firmware.custody.office.signatures import MOST_SIGNATURE_BYTES
from firmware.ground.errors import CaseError, ConfigError

act = typer.Typer(no_args_is_help=True, help="Acts signed at the desk, and what an act says. (署名した行為)")

ActFile = Annotated[Path, typer.Argument(help="The file of --draw-up; signatures lie beside it: FILE.ACCOUNT.sig.")]


@act.command("submit")
def submit(file: ActFile, *, config: Config = CONFIG, state: State = None, as_json: Json = False) -> None:
    """On a pole: do an act that was drawn up and signed elsewhere. Each signature is FILE.ACCOUNT.sig."""
    with answering(as_json=as_json) as answer:
        data = _read(file, MOST_BYTES)
        found = decoded(data)
        given = signatures_beside(file, found)
        facts = asyncio.run(_submitted(Options(config=config, state=state, as_json=as_json), data, given))
        answer(facts, lines_of(facts))


@reading(act, "show", "act show")
def show(office: Office, number: Annotated[int, typer.Argument(help="The act's number.")]) -> tuple[Facts, str]:
    """Show an act that took effect, with its signatures as stock ssh-keygen verifies them."""
    entries = office.journal.entries if office.journal else ()
    if office.journal is None or not 1 <= number <= len(entries):
        raise CaseError(
            "E-OFFICE-MISSING", f"there are acts 1 to {len(entries)}", where=f"act {number}", todo="give another number"
        )
    entry = entries[number - 1]
    signed = [
        {"account": account, "signature": office.journal.signature(number, account).decode("ascii", "replace")}
        for account in entry.signers
    ]
    facts: Facts = {**facts_of(entry), "sha256": entry.act.sha256(), "content": msgspec.to_builtins(entry.act)}
    text = lines_of(facts) + "\n" + "\n".join(f"{one['account']}\n{one['signature']}" for one in signed)
    return {**facts, "signatures": signed}, text


@act.command("read")
def read(file: ActFile, *, as_json: Json = False) -> None:
    """At the desk, before signing: show what the act in a file says."""
    with answering(as_json=as_json) as answer:
        found = decoded(_read(file, MOST_BYTES))
        content: dict[str, Any] = msgspec.to_builtins(found)
        facts: Facts = {"file": str(file), "sha256": found.sha256(), "drawn_up": found.utc, "content": content}
        answer(facts, lines_of(facts))


def signatures_beside(file: Path, act: AnyAct) -> dict[str, bytes]:
    """Return the signatures beside an act's file by account, first whoever drew it up. Raises :class:`CaseError`.

    ``FILE.sig``, as ssh-keygen names it, counts as that of whoever drew the act up.
    """
    found = {}
    for path in sorted(file.parent.glob(f"{file.name}.*sig")):
        account = path.name.removeprefix(f"{file.name}.").removesuffix("sig").removesuffix(".")
        found[account or act.by] = _read(path, MOST_SIGNATURE_BYTES)
    if act.by not in found:
        raise CaseError(
            "E-OFFICE-SIGNERS", f"{act.by} drew it up and has not signed it", where=str(file),
            todo=f"put the signature beside it as {file.name}.{act.by}.sig", clause="7.3(1)2",
        )  # fmt: skip
    return {act.by: found.pop(act.by), **found}


async def _submitted(options: Options, data: bytes, given: dict[str, bytes]) -> Facts:
    office = await open_office(options)
    if office.journal is None:
        raise ConfigError("E-CONFIG-STATE", "there is no pole here", where=str(options.state), todo="give --state")
    found = decoded(data)
    what = of(office.register, found)
    entry = await office.journal.submit(data, given, office.bases)
    return {"what": what, "pole": office.pole, "afterwards": afterwards(what, found, language()), **facts_of(entry)}


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ConfigError("E-CONFIG-FILE", f"{error.strerror}", where=str(path), todo="give another file") from None
    if len(content) > most:
        raise CaseError("E-OFFICE-BYTES", "too long for an act or a signature", where=str(path), todo="check the file")
    return content
