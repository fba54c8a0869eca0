"""Every role tries every act in every state, and every pair of roles what two must sign: the answers as a table.

``python -m tests.parts.role_sweep`` prints the table; ``tools/role-sweep`` writes it to where a test compares it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from pyrage import x25519

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.authority import ACTS, READS, authorise, needed
from firmware.custody.office.cases import dossier_of
from firmware.custody.office.fields import Basis, Document, Instrument, Officer, RecipientKind, Role, Span
from firmware.custody.office.register import Register, decide, of
from firmware.footage.settings import LegalBases
from firmware.ground.clock import NS_PER_MINUTE, iso_utc
from firmware.ground.errors import CaseError

POLE: Final = "sp03"
NOW: Final = 29_940_000 * NS_PER_MINUTE
DAY: Final = 24 * 60 * NS_PER_MINUTE
SPAN: Final = Span(camera="cam0", first_epoch=29_940_000 - 300, last_epoch=29_940_000 - 200)
INQUIRY: Final = Document(
    number="小刑発第123号", date="2026-12-01", authority="小田原警察署", instrument=Instrument.INVESTIGATION_INQUIRY
)
COLUMNS: Final = (*(str(role) for role in Role), "former", "nobody")
"""Who tries: one officer of each role, one whose time is over, somebody who never was an officer."""


@cache
def age_keys() -> tuple[str, ...]:
    """Real public keys; which ones never shows in the table."""
    return tuple(str(x25519.Identity.generate().to_public()) for _ in range(10))


def officer(account: str, role: Role, **other: Any) -> Officer:
    group = {"chief": "a", "manager": "b", "chief-2": "a", "manager-2": "b", "handler": "b", "handler-2": "a"}
    letters = "".join(chr(ord("A") + int(digit, 16)) for digit in account.encode().hex())
    key = f"ssh-ed25519 {letters:A<60}"
    return Officer(account=account, role=role, key=key, **{"group": group.get(account), **other})


STAFF: Final = (
    *(officer(role, role) for role in Role),
    *(officer(f"{role}-2", role) for role in Role),
    officer("former", Role.MANAGER, not_after=iso_utc(NOW - 10 * DAY)),
)


@dataclass(frozen=True)
class Scene:
    """A register in a certain state, and the instant and clock in which acts are tried."""

    register: Register = field(default_factory=lambda: Register(POLE))
    now_ns: int = NOW
    proven: bool = True

    def act(self, kind: type[AnyAct], by: str, /, **fields: Any) -> AnyAct:
        nonce = f"{self.register.number:032x}"
        made: AnyAct = kind(pole=POLE, utc=iso_utc(self.now_ns), by=by, nonce=nonce, **fields)
        return made

    def after(self, act: AnyAct, *signers: str) -> Scene:
        who = signers or (act.by,)
        register = decide(self.register, act, who, self.now_ns, proven=self.proven, bases=LegalBases())
        return replace(self, register=register)

    def do(self, kind: type[AnyAct], /, *signers: str, **fields: Any) -> Scene:
        return self.after(self.act(kind, signers[0], **fields), *signers)

    def later(self, days: int) -> Scene:
        return replace(self, now_ns=self.now_ns + days * DAY)

    def try_it(self, act: AnyAct, *signers: str) -> str:
        """Return ``yes``, or why not: code and clause."""
        try:
            self.after(act, *signers)
        except CaseError as error:
            return _refusal(error)
        return "yes"


# ---- states


@cache
def founded() -> Scene:
    early = Scene(now_ns=NOW - 20 * DAY).do(acts.OfficersFounded, "chief", "manager", officers=STAFF)
    return replace(early, now_ns=NOW)


def with_recipient(scene: Scene) -> Scene:
    return scene.do(
        acts.RecipientAdded, "manager", recipient="odawara-ps", organisation="小田原警察署",
        kind=RecipientKind.POLICE_STATION, age_recipient=age_keys()[1], not_after=iso_utc(scene.now_ns + 30 * DAY),
    )  # fmt: skip


def approve(scene: Scene, by: str) -> Scene:
    return scene.do(acts.CaseApproved, by, case="2026-0012", dossier=dossier(scene))


def dossier(scene: Scene) -> str:
    """The dossier of the case as it stands; any hash where there is none."""
    case = scene.register.cases.entries.get("2026-0012")
    if case is None or case.recipient is None:
        return "0" * 64
    return dossier_of(case, scene.register.recipients, POLE).sha256()


def place(scene: Scene, **fields: Any) -> Scene:
    return scene.after(a_hold(scene, "manager", **fields))


def a_hold(scene: Scene, by: str, **fields: Any) -> AnyAct:
    whole = {
        "hold": 1, "span": SPAN, "basis": Basis.REQUEST, "office": "小田原警察署", "called_back": True,
        "ends_epoch": scene.now_ns // NS_PER_MINUTE + 9 * 24 * 60,
    }  # fmt: skip
    return scene.act(acts.HoldPlaced, by, **{**whole, **fields})


def confirmed(scene: Scene) -> Scene:
    ends = scene.now_ns // NS_PER_MINUTE + 30 * 24 * 60
    return place(scene).do(acts.HoldConfirmed, "manager", hold=1, document=INQUIRY, ends_epoch=ends)


def nearly_a_year(scene: Scene) -> Scene:
    scene = confirmed(replace(scene, now_ns=NOW))
    while scene.now_ns < NOW + 350 * DAY:
        scene = scene.later(25)
        ends = scene.now_ns // NS_PER_MINUTE + 30 * 24 * 60
        scene = scene.do(acts.HoldRenewed, "manager", hold=1, ends_epoch=min(ends, 29_940_000 + 365 * 24 * 60),
                         reason="捜査継続中")  # fmt: skip
    return scene.later(1)


def cases_of(scene: Scene) -> dict[str, Scene]:
    """A case in every stage it can be in."""
    scene = with_recipient(scene)
    draft = scene.do(acts.CaseOpened, "manager", case="2026-0012")
    documented = draft.do(acts.CaseDocumented, "manager", case="2026-0012", basis=Basis.REQUEST, document=INQUIRY)
    scoped = documented.do(acts.CaseScoped, "manager", case="2026-0012", spans=(SPAN,), recipient="odawara-ps")
    by_chief, by_manager = approve(scoped, "chief"), approve(scoped, "manager")
    by_two_managers = approve(by_manager, "manager-2")
    approved = approve(by_chief, "manager")
    sealed = approved.do(acts.CaseSealed, "handler", case="2026-0012", dossier=dossier(approved))
    out = sealed.do(acts.CaseHandedOver, "handler", case="2026-0012", package="1" * 64)
    receipted = out.do(acts.CaseReceipted, "handler", case="2026-0012", date="2026-12-05")
    return {
        "no case": scene,
        "draft": draft,
        "documented": documented,
        "scoped": scoped,
        "scoped, chief approved": by_chief,
        "scoped, manager approved": by_manager,
        "scoped, two managers approved": by_two_managers,
        "scoped, approved by chief and manager": approved,
        "approved, clock unproven": replace(approved, proven=False),
        "approved, recipient expired": approved.later(31),
        "approved, recipient suspended": approved.do(acts.RecipientSuspended, "manager", recipient="odawara-ps"),
        "sealed": sealed,
        "sealed, recipient expired": sealed.later(31),
        "handed over": out,
        "receipted": receipted,
        "closed": receipted.do(acts.CaseClosed, "manager", case="2026-0012"),
        "refused": scoped.do(acts.CaseRefused, "chief", case="2026-0012", reason="too-wide"),
        "withdrawn": scoped.do(acts.CaseWithdrawn, "handler", case="2026-0012"),
    }


def holds_of(scene: Scene) -> dict[str, Scene]:
    provisional = place(scene)
    return {
        "no hold": scene,
        "provisional hold": provisional,
        "confirmed hold": confirmed(scene),
        "hold lapsed": provisional.later(11),
        "hold lifted": provisional.do(acts.HoldLifted, "manager", hold=1, reason="カメラ違い"),
        "hold at twelve months": nearly_a_year(scene),
    }


def recipients_of(scene: Scene) -> dict[str, Scene]:
    active = with_recipient(scene)
    return {
        "no recipient": scene,
        "recipient active": active,
        "recipient expired": active.later(31),
        "recipient suspended": active.do(acts.RecipientSuspended, "manager", recipient="odawara-ps"),
        "recipient removed": active.do(acts.RecipientRemoved, "manager", recipient="odawara-ps"),
    }


def media_of(scene: Scene) -> dict[str, Scene]:
    scene = with_recipient(scene).do(acts.CaseOpened, "manager", case="2026-0012")
    registered = scene.do(acts.MediumRegistered, "manager", medium="usb-07", kind="usb", serial="X1")
    out = registered.do(acts.MediumOut, "handler", medium="usb-07", case="2026-0012")
    back = out.do(acts.MediumReturned, "handler", medium="usb-07")
    return {
        "no medium": scene,
        "registered": registered,
        "out": out,
        "returned": back,
        "sanitised": back.do(acts.MediumSanitised, "handler", medium="usb-07", method="purge"),
        "destroyed": back.do(acts.MediumSanitised, "handler", medium="usb-07", method="destroy"),
        "lost": out.do(acts.MediumLost, "handler", medium="usb-07"),
    }


def officers_of(scene: Scene) -> dict[str, Scene]:
    until = iso_utc(scene.now_ns + 30 * DAY)
    overridden = scene.do(acts.LinesOverridden, "chief", account="manager-2", until=until, reason="小さな市")
    return {
        "officers": scene,
        "manager-2 may hold both lines": overridden,
        "that override is over": overridden.later(31),
    }


FAMILIES: Final[dict[str, Callable[[Scene], dict[str, Scene]]]] = {
    "officers": officers_of, "role": officers_of, "groups": officers_of, "recipient": recipients_of,
    "hold": holds_of, "case": cases_of, "medium": media_of, "clock": lambda scene: {"officers": scene},
}  # fmt: skip


# ---- what is tried


def attempt(what: str, scene: Scene, by: str) -> AnyAct:
    """Draw up the act that ``what`` names, fit for ``scene``."""
    in_28_days, until = (scene.now_ns + 28 * DAY) // NS_PER_MINUTE, iso_utc(scene.now_ns + 20 * DAY)
    case, body, stick = {"case": "2026-0012"}, {"recipient": "odawara-ps"}, {"medium": "usb-07"}
    both = officer("manager-2", Role.MANAGER, also=Role.FLOW_MANAGER)
    table: dict[str, tuple[type[AnyAct], dict[str, Any]]] = {
        "officers.founded": (acts.OfficersFounded, {"officers": STAFF[:-1]}),
        "role.granted": (acts.RoleGranted, {"officer": officer("newcomer", Role.HANDLER)}),
        "role.granted:decider": (acts.RoleGranted, {"officer": officer("newcomer", Role.CHIEF)}),
        "role.granted:decider, both lines": (acts.RoleGranted, {"officer": both}),
        "role.granted:outside": (acts.RoleGranted, {"officer": officer("newcomer", Role.AUDITOR)}),
        "role.revoked": (acts.RoleRevoked, {"account": "duty-2"}),
        "role.revoked:decider": (acts.RoleRevoked, {"account": "manager-2"}),
        "role.revoked:outside": (acts.RoleRevoked, {"account": "flow-manager-2"}),
        "role.override": (acts.LinesOverridden, {"account": "manager-2", "until": until, "reason": "小さな市"}),
        "role.override:own": (acts.LinesOverridden, {"account": "chief-2", "until": until, "reason": "小さな市"}),
        "groups.changed": (acts.GroupsChanged, {"group_a": (age_keys()[8],), "group_b": (age_keys()[9],)}),
        "recipient.added": (
            acts.RecipientAdded,
            {**body, "organisation": "警察署", "kind": RecipientKind.POLICE_STATION, "age_recipient": age_keys()[2],
             "not_after": until},
        ),
        "recipient.changed": (acts.RecipientChanged, {**body, "age_recipient": age_keys()[3], "not_after": until}),
        "recipient.suspended": (acts.RecipientSuspended, body),
        "recipient.resumed": (acts.RecipientResumed, body),
        "recipient.removed": (acts.RecipientRemoved, body),
        "hold.confirmed": (acts.HoldConfirmed, {"hold": 1, "document": INQUIRY, "ends_epoch": in_28_days}),
        "hold.renewed": (acts.HoldRenewed, {"hold": 1, "ends_epoch": in_28_days, "reason": "捜査継続中"}),
        "hold.lifted": (acts.HoldLifted, {"hold": 1, "reason": "カメラ違い"}),
        "case.opened": (acts.CaseOpened, case),
        "case.documented": (acts.CaseDocumented, {**case, "basis": Basis.REQUEST, "document": INQUIRY}),
        "case.scoped": (acts.CaseScoped, {**case, "spans": (SPAN,), "recipient": "odawara-ps"}),
        "case.approved": (acts.CaseApproved, {**case, "dossier": dossier(scene)}),
        "case.refused": (acts.CaseRefused, {**case, "reason": "too-wide"}),
        "case.withdrawn": (acts.CaseWithdrawn, case),
        "case.sealed": (acts.CaseSealed, {**case, "dossier": dossier(scene)}),
        "case.handed_over": (acts.CaseHandedOver, {**case, "package": "1" * 64}),
        "case.receipted": (acts.CaseReceipted, {**case, "date": "2026-12-05"}),
        "case.closed": (acts.CaseClosed, case),
        "medium.registered": (acts.MediumRegistered, {**stick, "kind": "usb", "serial": "X1"}),
        "medium.out": (acts.MediumOut, {**stick, **case}),
        "medium.returned": (acts.MediumReturned, stick),
        "medium.sanitised": (acts.MediumSanitised, {**stick, "method": "purge"}),
        "medium.lost": (acts.MediumLost, stick),
        "clock.stated": (acts.TimeStated, {"challenge": "0" * 64, "officers_utc": until}),
    }  # fmt: skip
    table["hold.renewed:year"] = table["hold.renewed"]
    if what == "hold.placed":
        return a_hold(scene, by)
    if what == "hold.placed:document":
        return a_hold(scene, by, called_back=False, document=INQUIRY)
    kind, fields = table[what]
    return scene.act(kind, by, **fields)


def names() -> list[str]:
    """Everything that can be tried, in the order of ``authority.ACTS``."""
    return [name for what in ACTS for name in (what, *(["role.granted:decider, both lines"] if ":decider" in what and
            "granted" in what else []))]  # fmt: skip


def rule_of(what: str) -> str:
    """The name in ``authority.ACTS`` by which an attempt is judged."""
    return what.partition(",")[0]


@dataclass(frozen=True)
class Answer:
    """What ``signers`` were told in that state."""

    what: str
    state: str
    signers: tuple[str, ...]
    told: str


def states_for(what: str) -> dict[str, Scene]:
    """The states in which ``what`` is tried: a pole without officers, and those of its own family."""
    return {"no officers yet": Scene(), **FAMILIES[what.partition(".")[0]](founded())}


def tried(what: str, state: str, scene: Scene, signers: Sequence[str]) -> Answer:
    act = attempt(what, scene, signers[0])
    judged_as = of(scene.register, act)
    exact = judged_as == rule_of(what) or not scene.register.officers.founded
    if not exact and what.startswith("hold.renewed"):
        return Answer(what, state, tuple(signers), f"({judged_as})")
    return Answer(what, state, tuple(signers), scene.try_it(act, *signers))


def alone(what: str) -> Iterator[Answer]:
    """Every column tries alone, in every state."""
    for state, scene in states_for(what).items():
        for account in COLUMNS:
            yield tried(what, state, scene, [account])


def together(what: str) -> Iterator[Answer]:
    """Every two officers sign together (two of the same role too), in either order, in every state."""
    for state, scene in states_for(what).items():
        for one, other in itertools.combinations_with_replacement(COLUMNS, 2):
            second = f"{other}-2" if one == other else other
            for signers in ([one, second], [second, one]):
                yield tried(what, state, scene, signers)


# ---- the table


def table() -> str:
    """Return the whole sweep as a person reads it."""
    pieces = [HEAD]
    for what in names():
        rows: dict[str, list[str]] = {}
        for answer in alone(what):
            rows.setdefault(answer.state, []).append(answer.told)
        need = " and ".join("/".join(roles) for roles in needed(rule_of(what)))
        pieces.append(
            f"## {what}\n\nneeds {need}; clause {ACTS[what.split(',')[0]].clause}\n\n{_grid('state', rows)}\n"
        )
        pieces.append(_pairs(what))
    pieces.append("# Questions\n")
    pieces.append(_grid("question", {what: [_asked(what, account) for account in COLUMNS] for what in READS}) + "\n")
    return "\n".join(pieces)


HEAD: Final = """# Who may do what

Made by `tools/role-sweep` from the rules themselves: each cell is one attempt, each `yes` an act that was done. A
refusal is the code without `E-` and the guideline's clause; `role` is OFFICE-ROLE (not this role's), `two sign` is
OFFICE-SIGNERS (not alone; which pairs may stands under the table, every pair of columns was tried in both orders),
`no officer` is OFFICE-UNKNOWN. `former` was an officer until ten days ago, `nobody` never was one. States whose answers
are the same share a row.
"""


SHORT: Final = {"OFFICE-ROLE": "role", "OFFICE-SIGNERS": "two sign", "OFFICE-UNKNOWN": "no officer"}


def _grid(first: str, rows: dict[str, list[str]]) -> str:
    """Return a table; states in which everybody is told the same share a row, in their order."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for state, cells in rows.items():
        merged.setdefault(tuple(cells), []).append(state)
    lines = [f"| {first} | " + " | ".join(COLUMNS) + " |", "|" + "---|" * (len(COLUMNS) + 1)]
    lines += [f"| {'; '.join(states)} | " + " | ".join(cells) + " |" for cells, states in merged.items()]
    return "\n".join(lines)


def _pairs(what: str) -> str:
    """Tell which pairs were let do it, by state, and how often the others were refused with what."""
    may: dict[str, list[str]] = {}
    refused: Counter[str] = Counter()
    for answer in together(what):
        if answer.told == "yes":
            pair = "+".join(sorted(answer.signers))
            may.setdefault(answer.state, []).append(pair)
        else:
            refused[answer.told] += 1
    states: dict[tuple[str, ...], list[str]] = {}
    for state, pairs in may.items():
        states.setdefault(tuple(dict.fromkeys(pairs)), []).append(state)
    lines = [f"- two may ({'; '.join(where)}): {', '.join(pairs)}" for pairs, where in states.items()]
    told = ", ".join(f"{count} {why}" for why, count in sorted(refused.items()))
    return "\n".join([*lines, f"- refused to two: {told}"]) + "\n"


def _asked(what: str, account: str) -> str:
    scene = founded()
    try:
        authorise(what, [scene.register.officers.signer(account, scene.now_ns)])
    except CaseError as error:
        return _refusal(error)
    return "yes"


def _refusal(error: CaseError) -> str:
    code = error.code.removeprefix("E-")
    return f"{SHORT.get(code, code)} {error.clause or '-'}"


if __name__ == "__main__":
    print(table(), end="")
