"""How the officers' command line answers: facts as JSON or as lines, refusals as one line and an exit code.

Knows:  an answer, an error.
Never:  a traceback on an officer's screen, personal data in a message.
Leaves: standard output; exit code 0 done, 1 refused, 2 wrong usage or settings.
Clauses: 7.3(1)2 (every step is answered for).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from firmware.custodian.japanese import in_japanese, refusal_in_japanese
from firmware.custodian.language import language
from firmware.custody.languages import Language
from firmware.ground.errors import CaseError, ConfigError, PoleError

Facts = dict[str, Any]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]


@contextlib.contextmanager
def answering(*, as_json: bool) -> Iterator[Callable[[Facts, str], None]]:
    """Give a function that prints facts or text; a PoleError becomes a refusal and exit code 1 (settings: 2).

    In Japanese the text is made of the facts themselves, each under its label.
    """
    japanese = language() is Language.JA

    def answer(facts: Facts, text: str) -> None:
        typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else in_japanese(facts) if japanese else text)

    try:
        with _in_words():
            yield answer
    except PoleError as error:
        if as_json:
            typer.echo(json.dumps({"error": error.facts()}, ensure_ascii=False))
        else:
            typer.echo(refusal_in_japanese(error) if japanese else str(error), err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Make a failing disk or medium an error that says where: no traceback on an officer's screen."""
    try:
        yield
    except OSError as error:
        where = str(error.filename or "the system")
        raise CaseError("E-CASE-DISK", f"{error.strerror}", where=where, todo="check medium and rights") from None


def read_text(path: Path) -> str:
    """Return a file as text. Raises :class:`ConfigError` for a file that is none."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            "E-CONFIG-FILE", "cannot be read as text", where=str(path), todo="give another file"
        ) from None
