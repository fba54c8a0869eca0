"""Legal bases as data: what each paper is good for, who may bring it, which law stands behind it. Pure.

Knows:  the closed list of instruments, the city's switches.
Never:  a telephone call that is enough to hand footage out, a paper of a body that may not write it, a rule in code.
Leaves: a verdict, or a refusal that names the clause and the paper that would do.
Clauses: 4.2(3), 7.1(4) (keeping longer), 7.2(1) (handing out), 8.1(2) (communications are another house's).

「法令等」 of 7.1(4)1 and 7.2(1)1 does not include a telephone call; 「要請」 of 7.1(4)2 does, for a short hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from firmware.custody.office.fields import Basis, Instrument, RecipientKind
from firmware.footage.settings import LegalBases
from firmware.ground.errors import CaseError


class Use(StrEnum):
    """What is asked for on the strength of a paper or a call."""

    HOLD_PROVISIONAL = "hold-provisional"
    HOLD_CONFIRMED = "hold-confirmed"
    RELEASE = "release"


class Subject(StrEnum):
    """Of what: this house has footage, and nothing else."""

    FOOTAGE = "footage"
    WIFI_LOG = "wifi-log"


@dataclass(frozen=True, slots=True)
class Rule:
    """One instrument: its Japanese name, its law, the clause it serves, what it is good for, and in whose hand.

    ``switch`` names the field of :class:`LegalBases`; empty: always on. ``instead``: what would do for a release.
    """

    japanese: str
    law: str
    basis: Basis
    uses: frozenset[Use]
    bodies: frozenset[RecipientKind]
    switch: str
    instead: str


_INVESTIGATORS: Final = frozenset(
    {
        RecipientKind.POLICE_STATION, RecipientKind.POLICE_HEADQUARTERS, RecipientKind.PROSECUTOR,
        RecipientKind.COAST_GUARD, RecipientKind.NARCOTICS_CONTROL, RecipientKind.LABOUR_STANDARDS,
    }
)  # fmt: skip
_HOLDS: Final = frozenset({Use.HOLD_PROVISIONAL, Use.HOLD_CONFIRMED})
_ALL: Final = frozenset(Use)
_INQUIRY: Final = "捜査関係事項照会書 (刑訴法197条2項, with a document number) or a warrant (令状)"

RULES: Final[Mapping[Instrument, Rule]] = MappingProxyType(
    {
        Instrument.INVESTIGATION_INQUIRY: Rule(
            "捜査関係事項照会書", "刑事訴訟法197条2項", Basis.REQUEST, _ALL, _INVESTIGATORS, "investigation_inquiry", ""
        ),
        Instrument.WARRANT: Rule("令状", "刑事訴訟法218条等", Basis.LAW, _ALL, _INVESTIGATORS, "warrant", ""),
        Instrument.TELEPHONE: Rule(
            "電話による要請", "小田原市スマートポールプライバシーガイドライン7.1(4)②", Basis.REQUEST,
            frozenset({Use.HOLD_PROVISIONAL}), _INVESTIGATORS, "", _INQUIRY,
        ),
        Instrument.DISCLOSURE_REQUEST: Rule(
            "開示請求", "個人情報の保護に関する法律76条", Basis.LAW, _HOLDS, frozenset(), "disclosure_request",
            "the city's own disclosure decision (開示決定), which is made at the desk and masks others",
        ),
        Instrument.BAR_INQUIRY: Rule(
            "弁護士会照会", "弁護士法23条の2", Basis.LAW, _ALL, frozenset({RecipientKind.BAR_ASSOCIATION}),
            "bar_inquiry", "",
        ),
        Instrument.COURT_COMMISSION: Rule(
            "文書送付嘱託・調査嘱託", "民事訴訟法226条・186条", Basis.LAW, _ALL, frozenset({RecipientKind.COURT}),
            "court_commission", "",
        ),
        Instrument.LIFE_PROTECTION: Rule(
            "行方不明者の捜索等", "ガイドラインに定めなし", Basis.LAW, _ALL, _INVESTIGATORS, "life_protection", "",
        ),
    }
)  # fmt: skip
"""Every instrument there is. A new one is a line here, or it is refused."""


JUDGED_THEN: Final = LegalBases(bar_inquiry="then", court_commission="then", life_protection="then")
"""For acts read again out of the ledger: the switches were judged when it was done, and may have been turned since."""


def judge(
    instrument: Instrument,
    use: Use,
    switches: LegalBases,
    *,
    basis: Basis | None = None,
    kind: RecipientKind | None = None,
    subject: Subject = Subject.FOOTAGE,
) -> Rule:
    """Return the rule by which ``instrument`` is good for ``use``; ``basis`` and ``kind`` must fit where given.

    Raises :class:`CaseError`: E-CASE-OTHER-HOUSE, E-CASE-BASIS-OFF, E-CASE-INSTRUMENT, E-CASE-BASIS, E-CASE-BODY.
    """
    rule = RULES[instrument]
    if subject is Subject.WIFI_LOG:
        raise _other_house(rule)
    if rule.switch and not getattr(switches, rule.switch):
        raise _off(instrument, rule, use)
    if use not in rule.uses:
        raise _wrong(rule, use)
    if basis is not None and basis is not rule.basis:
        raise CaseError(
            "E-CASE-BASIS", f"{rule.japanese} falls under {_sign(rule.basis)}, not {_sign(basis)}", where="basis",
            todo=f"enter --basis {rule.basis}", clause=_clause(use),
        )  # fmt: skip
    if kind is not None and kind not in rule.bodies:
        raise CaseError(
            "E-CASE-BODY", f"a {kind} does not write a {rule.japanese} ({rule.law})", where=str(instrument),
            todo=f"check who wrote it; it may come from: {', '.join(sorted(rule.bodies)) or 'nobody but the person'}",
            clause=_clause(use),
        )  # fmt: skip
    return rule


def is_on(instrument: Instrument, switches: LegalBases) -> bool:
    """Tell whether the city acts on ``instrument`` at all."""
    switch = RULES[instrument].switch
    return not switch or bool(getattr(switches, switch))


def _clause(use: Use) -> str:
    return "7.2(1)" if use is Use.RELEASE else "7.1(4)"


def _sign(basis: Basis) -> str:
    return "① 法令等" if basis is Basis.LAW else "② 捜査機関"


def _wrong(rule: Rule, use: Use) -> CaseError:
    if use is Use.RELEASE:
        what = f"{rule.japanese} is good for keeping minutes, not for handing them out"
        return CaseError("E-CASE-INSTRUMENT", what, where="instrument", todo=f"ask for {rule.instead}", clause="7.2(1)")
    return CaseError(
        "E-CASE-INSTRUMENT", f"{rule.japanese} alone keeps minutes for ten days, provisionally", where="instrument",
        todo=f"to keep them longer ask for {rule.instead}", clause="7.1(4)",
    )  # fmt: skip


def _off(instrument: Instrument, rule: Rule, use: Use) -> CaseError:
    if instrument is Instrument.LIFE_PROTECTION:
        what = "a search for a missing person is not among the cases the guideline allows"
        todo = f"ask the chief officer (総括責任者) now; until the city decides, only {_INQUIRY} will do"
    else:
        what = f"the city does not act on {rule.japanese} ({rule.law})"
        todo = f"refuse with the letter, or have the city decide and name the decision in footage.toml: {rule.switch}"
    return CaseError("E-CASE-BASIS-OFF", what, where=f"legal_bases.{rule.switch}", todo=todo, clause=_clause(use))


def _other_house(rule: Rule) -> CaseError:
    return CaseError(
        "E-CASE-OTHER-HOUSE",
        f"Wi-Fi logs are communications (通信の秘密); {rule.japanese} given to the keeper of the footage opens none",
        where="subject",
        todo="only a warrant (令状) opens them, and it goes to the free Wi-Fi's own controller",
        clause="8.1(2)",
    )
