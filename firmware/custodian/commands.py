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
from collections.abc import Callable
from typing import Any, Final, get_type_hints

import typer

from firmware.custodian.acting import Options, open_office, prove_who_asks
from firmware.custodian.answers import Facts, answering

_READS: Final = ("by", "sign_with", "config", "state", "as_json")
_ACTS: Final = (*_READS, "others", "draw_up", "pole", "yes")


def acting(app: typer.Typer, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a command of ``app`` from a function that returns the act to be done, or the act and facts to be told.

    The function, under :func:`reading` too, may be a coroutine: where it must look at the pole first.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        async def work(options: Options, own: dict[str, Any]) -> tuple[Facts, str]:
            office = await open_office(options)
            planned = function(office, **own)
            if inspect.isawaitable(planned):
                planned = await planned
            act, seen = planned if isinstance(planned, tuple) else (planned, {})
            facts = await office.settle(act) | seen
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
            answer = function(office, **own)
            if inspect.isawaitable(answer):
                answer = await answer
            facts, text = answer
            return facts, text

        _command(app, name, function, work, _READS)
        return function

    return register


def lines_of(facts: Facts) -> str:
    """Return facts as lines of a label and a value."""
    width = max([13, *(len(key) + 2 for key in facts)])
    return "\n".join(f"{key:<{width}}{_flat(value)}" for key, value in facts.items())


def _flat(value: object) -> str:
    if isinstance(value, list):
        return ", ".join("/".join(item) if isinstance(item, list) else _flat(item) for item in value) or "-"
    if isinstance(value, dict):
        return " ".join(_flat(part) for part in value.values() if part not in (None, [], "")) or "-"
    return "-" if value is None else str(value)


def _command(
    app: typer.Typer, name: str, function: Callable[..., Any], work: Callable[..., Any], common: tuple[str, ...]
) -> None:
    """Register a command with the function's own options and the common ones."""
    hints = get_type_hints(function, include_extras=True)
    _, *own = inspect.signature(function).parameters.values()
    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    kinds, defaults = get_type_hints(Options, include_extras=True), Options()
    parameters += [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=getattr(defaults, key), annotation=kinds[key])
        for key in common
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
