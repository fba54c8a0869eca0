"""The officer's morning: on a pole its facts, at the desk one page of all poles.

Knows:  a pole's holdings and register; at the desk files of facts, brought from the poles.
Never:  a picture, a person, a pole left out because its file is bad.
Leaves: a file of facts; a sheet to print, or what needs somebody as lines.
Clauses: 7.1(3), 7.1(4), 7.3(1)2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.acting import By, Options, SignWith, open_office, prove_who_asks
from firmware.custodian.answers import Facts, Json, answering
from firmware.custodian.holds import refuse_existing
from firmware.custodian.language import language
from firmware.custodian.pole_folder import CONFIG, Config, State, settings_of
from firmware.custody.languages import Language
from firmware.custody.papers.morning import PoleFacts, Unread, as_facts, read_facts, sheet, todos
from firmware.custody.papers.morning_words import WORDS
from firmware.custody.papers.pole_facts import facts_of
from firmware.ground.clock import SystemClock
from firmware.ground.durable import write_file
from firmware.ground.errors import ConfigError

Files = Annotated[list[Path] | None, typer.Argument(help="At the desk: the files of facts of all poles.")]
FactsFile = Annotated[Path | None, typer.Option("--facts", help="On a pole: write its facts to this file.")]
Sheet = Annotated[Path | None, typer.Option("--out", help="At the desk: the sheet (HTML, one page to print).")]


def morning(
    files: Files = None,
    *,
    facts: FactsFile = None,
    out: Sheet = None,
    by: By = "",
    sign_with: SignWith = None,
    config: Config = CONFIG,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Show what needs somebody today (朝の点検表): on each pole --facts; at the desk one sheet of all poles."""
    with answering(as_json=as_json) as answer:
        if (facts is None) == (not files):
            raise ConfigError(
                "E-CONFIG-FILE", "neither or both of --facts and files of facts were given", where="morning",
                todo="on a pole: morning --facts FILE --as ACCOUNT; at the desk: morning FILE... --out SHEET.html",
            )  # fmt: skip
        if facts is not None:
            options = Options(by=by, sign_with=sign_with, config=config, state=state, as_json=as_json)
            answer(*asyncio.run(_on_the_pole(options, facts)))
        else:
            answer(*_at_the_desk(files or [], out))


async def _on_the_pole(options: Options, file: Path) -> tuple[Facts, str]:
    office = await open_office(options)
    await prove_who_asks(office, "morning")
    if office.holdings is None:
        raise ConfigError("E-CONFIG-STATE", "there is no pole here", where="--config", todo="do it on the pole")
    _, footage, _ = settings_of(options.config, options.state)
    reading = asyncio.to_thread(facts_of, office.holdings, office.register, footage.keystore)
    found = await office.holdings.lock.during(reading)
    await asyncio.to_thread(write_file, file, found.encoded())
    told = as_facts([found], office.now_ns, language())
    return {"file": str(file), **told}, f"facts        {file}\n" + "\n".join(_lines([found], office.now_ns))


def _at_the_desk(files: Sequence[Path], out: Path | None) -> tuple[Facts, str]:
    now_ns = SystemClock().utc_ns()
    poles = [_read(path) for path in files]
    if out is not None:
        refuse_existing(out)
        write_file(out, sheet(poles, now_ns, language()).encode(), mode=0o644)
    text = "\n".join([*([f"sheet        {out}"] if out else []), *_lines(poles, now_ns)])
    return {"file": None if out is None else str(out), **as_facts(poles, now_ns, language())}, text


def _read(path: Path) -> PoleFacts | Unread:
    try:
        return read_facts(path.read_bytes(), str(path))
    except OSError as error:
        return Unread(str(path), error.strerror or "cannot be read")


def _lines(poles: Sequence[PoleFacts | Unread], now_ns: int) -> Iterator[str]:
    words, known = WORDS[Language.EN], [each for each in poles if isinstance(each, PoleFacts)]
    for row in as_facts(known, now_ns, Language.EN)["poles"]:
        state = words["recording"] if row["recording"] else "STOPPED"
        clock = words["proven"] if row["clock_proven"] else "UNPROVEN"
        yield (
            f"{row['pole']:<13}{state}, {row['missing_24h']} minutes of 24 h missing, {row['kept_days']} days kept, "
            f"clock {clock}, {row['free_percent']} % free, {row['holds']} holds, {row['cases']} cases"
        )
    for each in poles:
        if isinstance(each, Unread):
            yield f"NOT READ     {each.file}: {each.why}"
    for todo in todos(known, now_ns):
        when = words["today"] if todo.days <= 0 else f"{todo.days} days"
        yield f"{when:<13}{todo.pole}: {words[f'todo_{todo.code}']} {todo.what}".rstrip()
