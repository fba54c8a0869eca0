"""Commands that act and commands that ask, made from plain functions: one set of options, one way to answer.

Knows:  options that all of them have.
Never:  a command that acts without the flow in ``acting``, one that asks without showing who asks.
Leaves: commands of a Typer application.
Clauses: 5.1(1), 7.3(1)2.

A command is a function from :class:`Office` (and its own options) to an act, under :func:`acting`; or to facts and a
text, under :func:`reading`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer

from firmware.custodian.acting import Options, open_office, prove_who_asks
from firmware.custodian.answers import Facts, Json, answering
from firmware.custodian.pole_folder import CONFIG, Config, State
from firmware.custody.office.acts import AnyAct

By = Annotated[str, typer.Option("--as", help="Your account: the officer who acts.")]
With = Annotated[list[str] | None, typer.Option("--with", help="Another officer who signs too; may be repeated.")]
SignWith = Annotated[
    list[Path] | None,
    typer.Option("--sign-with", help="Key file, in the order of --as and --with; without one your ssh agent signs."),
]
DrawUp = Annotated[Path | None, typer.Option("--draw-up", help="Write the act to this file, to be signed elsewhere.")]
Pole = Annotated[str, typer.Option("--pole", help="At the desk, with --draw-up: for which pole.")]
Yes = Annotated[str, typer.Option("--yes", help="The word that would be asked for, typed beforehand.")]

_READS: Final[Mapping[str, Any]] = {"by": By, "sign_with": SignWith, "config": Config, "state": State, "as_json": Json}
_ACTS: Final[Mapping[str, Any]] = {**_READS, "others": With, "draw_up": DrawUp, "pole": Pole, "yes": Yes}
_DEFAULTS: Final[Mapping[str, Any]] = {
    "by": "", "sign_with": None, "config": CONFIG, "state": None, "as_json": False, "others": None, "draw_up": None,
    "pole": "", "yes": "",
}  # fmt: skip


def acting(app: typer.Typer, name: str) -> Callable[[Callable[..., AnyAct]], Callable[..., AnyAct]]:
    """Make a command of ``app`` from a function that returns the act to be done."""

    def register(function: Callable[..., AnyAct]) -> Callable[..., AnyAct]:
        async def work(options: Options, own: dict[str, Any]) -> tuple[Facts, str]:
            office = await open_office(options)
            facts = await office.settle(function(office, **own))
            return facts, lines_of(facts)

        _command(app, name, function, work, _ACTS)
        return function

    return register


def reading(app: typer.Typer, name: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a command of ``app`` from a function that returns ``(facts, text)``; ``what`` stands in ``authority.READS``.

    Once a pole has officers, whoever asks shows who they are: their key signs a fresh challenge.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        async def work(options: Options, own: dict[str, Any]) -> tuple[Facts, str]:
            office = await open_office(options)
            await prove_who_asks(office, what)
            facts, text = function(office, **own)
            return facts, text

        _command(app, name, function, work, _READS)
        return function

    return register


def lines_of(facts: Facts) -> str:
    """Return facts as lines of a label and a value."""
    return "\n".join(f"{key:<13}{_flat(value)}" for key, value in facts.items())


def _flat(value: object) -> str:
    if isinstance(value, list):
        return ", ".join("/".join(item) if isinstance(item, list) else str(item) for item in value) or "-"
    return "-" if value is None else str(value)


def _command(
    app: typer.Typer, name: str, function: Callable[..., Any], work: Callable[..., Any], common: Mapping[str, Any]
) -> None:
    """Register a command with the function's own options and the common ones."""
    hints = get_type_hints(function, include_extras=True)
    _, *own = inspect.signature(function).parameters.values()
    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    parameters += [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[key], annotation=kind)
        for key, kind in common.items()
    ]

    def run(**given: object) -> None:
        shared: dict[str, Any] = {key: given.pop(key) for key in common}
        options = Options(**shared)
        with answering(as_json=options.as_json) as answer:
            answer(*asyncio.run(work(options, given)))

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect and Typer read
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = function.__doc__
    app.command(name)(run)
