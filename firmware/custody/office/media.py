"""Media that carry packages: registered, out, returned, sanitised, lost. Pure.

Knows:  codes, kinds, serial numbers, in which case one is out.
Never:  a medium out that still has another case on it, an unregistered one.
Leaves: where each medium is, and what may be done with it next.
Clauses: 7.3(1)3 (carried securely, the cycle kept).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal

from firmware.custody.office.acts import (
    MediumLost,
    MediumOut,
    MediumRegistered,
    MediumReturned,
    MediumSanitised,
)
from firmware.custody.office.context import Context
from firmware.ground.errors import CaseError

MediumAct = MediumRegistered | MediumOut | MediumReturned | MediumSanitised | MediumLost
State = Literal["registered", "out", "returned", "sanitised", "lost", "destroyed"]

_MAY_FOLLOW: Final[Mapping[type[MediumAct], frozenset[State]]] = MappingProxyType(
    {
        MediumOut: frozenset({"registered", "sanitised"}),
        MediumReturned: frozenset({"out", "lost"}),
        MediumSanitised: frozenset({"registered", "returned", "sanitised"}),
        MediumLost: frozenset({"registered", "out", "returned", "sanitised"}),
    }
)
_NEXT: Final[Mapping[State, str]] = MappingProxyType(
    {
        "registered": "it can go out",
        "out": "record its return, or that it is lost",
        "returned": "sanitise it before it goes out again",
        "sanitised": "it can go out",
        "lost": "report it; if it is found, record its return",
        "destroyed": "register another one",
    }
)


@dataclass(frozen=True, slots=True)
class Medium:
    """One medium as it stands; ``case`` is the last it was out in, ``at_ns`` when it came to stand so (UTC ns)."""

    code: str
    kind: Literal["usb", "disc", "card", "disk"]
    serial: str
    state: State
    at_ns: int
    case: str | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """All media there were, by code."""

    entries: Mapping[str, Medium] = field(default_factory=lambda: MappingProxyType({}))

    def refuse_unless_out(self, code: str, case: str) -> None:
        """Raise :class:`CaseError` (E-OFFICE-MEDIUM) unless that medium is out in that case."""
        medium = self.known(code)
        if (medium.state, medium.case) != ("out", case):
            raise _refused(f"{code} is {medium.state}, not out in case {case}", code, "record medium out first")

    def known(self, code: str) -> Medium:
        """Return the entry of ``code``. Raises :class:`CaseError` (E-OFFICE-MEDIUM)."""
        if code not in self.entries:
            raise _refused(f"there is no medium {code}", code, "register it with medium register")
        return self.entries[code]


def apply(state: Media, act: MediumAct, context: Context) -> Media:
    """Return the media after ``act``, whose signers were authorised already. Raises CaseError (E-OFFICE-MEDIUM)."""
    if isinstance(act, MediumRegistered):
        return _put(state, _new(state, act, context))
    medium = state.known(act.medium)
    if medium.state not in _MAY_FOLLOW[type(act)]:
        raise _refused(f"{medium.code} is {medium.state}", medium.code, _NEXT[medium.state])
    match act:
        case MediumOut():
            after = replace(medium, state="out", case=act.case)
        case MediumReturned():
            after = replace(medium, state="returned")
        case MediumSanitised():
            after = replace(medium, state="destroyed" if act.method == "destroy" else "sanitised")
        case MediumLost():
            after = replace(medium, state="lost")
    return _put(state, replace(after, at_ns=context.now_ns))


def _new(state: Media, act: MediumRegistered, context: Context) -> Medium:
    if act.medium in state.entries:
        raise _refused(f"the code {act.medium} was used already", act.medium, "choose another code")
    for other in state.entries.values():
        if (other.kind, other.serial) == (act.kind, act.serial) and other.state != "destroyed":
            raise _refused(f"that serial number is {other.code}'s", act.medium, f"use {other.code}")
    return Medium(act.medium, act.kind, act.serial, "registered", context.now_ns)


def _put(state: Media, medium: Medium) -> Media:
    return replace(state, entries=MappingProxyType({**state.entries, medium.code: medium}))


def _refused(what: str, code: str, todo: str) -> CaseError:
    return CaseError("E-OFFICE-MEDIUM", what, where=f"medium {code}", todo=todo, clause="7.3(1)3")
