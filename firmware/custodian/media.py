"""Commands about media that carry packages.

Knows:  codes, kinds, serial numbers.
Never:  a medium's content.
Leaves: acts; the list of media.
Clauses: 7.3(1)3.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from firmware.custodian.acting import Office
from firmware.custodian.answers import Facts
from firmware.custodian.commands import acting, lines_of, reading
from firmware.custody.office.acts import (
    AnyAct,
    MediumLost,
    MediumOut,
    MediumRegistered,
    MediumReturned,
    MediumSanitised,
)
from firmware.ground.clock import iso_utc

medium = typer.Typer(no_args_is_help=True, help="Media that carry packages. (媒体)")

CodeWord = Annotated[str, typer.Argument(help="The code of the medium, for instance usb-07.")]


class MediumKind(StrEnum):
    """What a medium is."""

    USB = "usb"
    DISC = "disc"
    CARD = "card"
    DISK = "disk"


class Method(StrEnum):
    """How a medium was sanitised (NIST SP 800-88)."""

    CLEAR = "clear"
    PURGE = "purge"
    DESTROY = "destroy"


@acting(medium, "register")
def register(
    office: Office,
    code: CodeWord,
    *,
    kind: Annotated[MediumKind, typer.Option("--kind", help="What it is.")],
    serial: Annotated[str, typer.Option("--serial", help="Its serial number.")],
) -> AnyAct:
    """Register a medium that may carry packages."""
    return office.draft(MediumRegistered, medium=code, kind=kind, serial=serial)


@acting(medium, "out")
def out(
    office: Office, code: CodeWord, *, case: Annotated[str, typer.Option("--case", help="In which case.")]
) -> AnyAct:
    """Record that a medium leaves the office in a case."""
    return office.draft(MediumOut, medium=code, case=case)


@acting(medium, "return")
def return_(office: Office, code: CodeWord) -> AnyAct:
    """Record that a medium is back."""
    return office.draft(MediumReturned, medium=code)


@acting(medium, "sanitise")
def sanitise(
    office: Office, code: CodeWord, *, method: Annotated[Method, typer.Option("--method", help="How.")]
) -> AnyAct:
    """Record that what was on a medium is gone."""
    return office.draft(MediumSanitised, medium=code, method=method)


@acting(medium, "lost")
def lost(office: Office, code: CodeWord) -> AnyAct:
    """Record that a medium is lost."""
    return office.draft(MediumLost, medium=code)


@reading(medium, "list", "medium list")
def list_(office: Office) -> tuple[Facts, str]:
    """Show where every medium is."""
    rows: list[Facts] = [
        {
            "code": each.code, "kind": each.kind, "serial": each.serial, "state": each.state, "case": each.case,
            "since": iso_utc(each.at_ns),
        }
        for each in office.register.media.entries.values()
    ]  # fmt: skip
    return {"media": rows}, "\n\n".join(lines_of(row) for row in rows) or "no media"
