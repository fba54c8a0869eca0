"""What can happen to a pole and its office: one set of rules for both drivers.

A rule draws what it needs, asks the model what is allowed, has the real program do it, and writes it into the model.
Wrong steps are drawn as well: they must be refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from pyrage import x25519

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.cases import dossier_of
from firmware.custody.office.fields import Basis, Conditions, Document, Instrument, RecipientKind, Span
from firmware.ground.clock import iso_utc
from firmware.ground.errors import StoreError
from tests.histories.model import MINUTE_NS, Facts
from tests.histories.world import NS_PER_SECOND, POLE, World
from tests.parts.crashing import PowerCut

Thing = TypeVar("Thing")
BODIES: Final = ("ps-1", "ps-2", "ps-3", "ps-4")
AGE_KEYS: Final = tuple(str(x25519.Identity.generate().to_public()) for _ in range(6))
PAPER: Final = Document(
    number="1", date="2026-11-20", authority="小田原警察署", instrument=Instrument.INVESTIGATION_INQUIRY
)
HOURS_OFF: Final = (1, -1, 2, -2, 3, -3, 360, -360)


class Draw(Protocol):
    """Where a rule's choices come from."""

    def number(self, least: int, most: int) -> int: ...

    def pick(self, things: Sequence[Thing]) -> Thing: ...

    def chance(self, percent: int) -> bool: ...


Apply = Callable[[], None]


def cut_of(draw: Draw, percent: int, most: int) -> tuple[int, bool] | None:
    return (draw.number(1, most), draw.chance(50)) if draw.chance(percent) else None


async def after_crash(
    world: World, draw: Draw, act: AnyAct | None = None, apply: Apply | None = None, *, allowed: bool = False
) -> None:
    """Start again; find out whether the act took effect: entirely, and only where it was allowed."""
    before_ns = world.model.line_ns
    cold = draw.chance(70)
    off = draw.pick((0, 1, 20, 70)) if cold else 0
    await world.start_again(cold=cold, off_minutes=off, rtc_lost=cold and draw.chance(10))
    if await world.compare_acts(act, allowed=allowed) and apply:
        after_ns, world.model.line_ns = world.model.line_ns, before_ns
        apply()
        world.model.line_ns = after_ns
        world.model.acts += 1
    world.model.swept()
    await world.look()


async def play(world: World, draw: Draw, work: Any, *, percent: int = 4, most: int = 40) -> bool:
    """Do ``work`` with a chance of a power cut in it; tell whether it came to its end."""
    with contextlib.closing(work):  # a driver may end a history in the middle of a draw
        if await world.deed(work, cut_of(draw, percent, most)) is not PowerCut:
            return True
    await after_crash(world, draw)
    return False


async def do_act(world: World, draw: Draw, act: AnyAct, apply: Apply, *, allowed: bool) -> None:
    forged = draw.chance(3)
    work = world.act(act, allowed=allowed, forged=forged)
    with contextlib.closing(work):
        outcome = await world.deed(work, cut_of(draw, 2, 20))
    if outcome is PowerCut:
        await after_crash(world, draw, act, apply, allowed=allowed and not forged)
    elif outcome:
        apply()
        world.model.acts += 1


# ---- the pole


async def record(world: World, draw: Draw) -> None:
    done = await play(world, draw, world.film(draw.number(1, 2)), percent=5, most=30)
    if done and draw.chance(85):
        await world.pass_time((-world.model.line_ns % MINUTE_NS) // NS_PER_SECOND + 1)


async def wait(world: World, draw: Draw) -> None:
    await play(world, draw, world.pass_time(60 * draw.number(1, 50)), percent=6, most=60)


async def rewrite(world: World, draw: Draw) -> None:
    await play(world, draw, world.sweep(), percent=20)


async def fill_the_disk(world: World, draw: Draw) -> None:
    low = iter([True, False, False])
    world.eraser._is_low = lambda: next(low, False)  # type: ignore[method-assign]  # one round of room is made
    try:
        await play(world, draw, world.eraser.make_room(), percent=20)
    except StoreError as error:
        assert error.code == "E-STORE-FULL"
    world.eraser.__dict__.pop("_is_low", None)


async def start_again(world: World, draw: Draw) -> None:
    await after_crash(world, draw)


async def cut_while_starting(world: World, draw: Draw) -> None:
    """A start that is itself cut, then a good one."""
    cut = draw.number(1, 25), draw.chance(50)
    if await world.deed(world.start(), cut) is not PowerCut:
        world.model.swept()
    await after_crash(world, draw)


async def step_the_clock(world: World, draw: Draw) -> None:
    """Spoofed, as a rule; else the network's own correction."""
    world.network.answers = draw.chance(30)
    world.clock.step(draw.pick(HOURS_OFF) * 60 * MINUTE_NS)
    if draw.chance(70):
        await play(world, draw, world.pass_time(60))


async def set_the_clock_right(world: World, draw: Draw) -> None:
    world.clock.step(world.model.line_ns - world.clock.utc_ns())
    world.network.answers = draw.chance(80)
    ended = await play(world, draw, world.pass_time(120)) and await play(world, draw, world.pass_time(60))
    if ended and world.network.answers:
        assert world.parts.trust.settled, "a proof and no release"


async def lose_the_network(world: World, draw: Draw) -> None:
    world.network.answers = False
    if draw.chance(6):
        await play(world, draw, world.pass_time(90_000))


# ---- holds


def the_hold(world: World, draw: Draw) -> int:
    """A living hold, as a rule."""
    model = world.model
    living = [number for number, hold in model.holds.items() if not hold["lifted"] and hold["ends"] > model.now + 60]
    if living and draw.chance(90):
        return draw.pick(living)
    return draw.pick(sorted(model.holds)) if model.holds and draw.chance(80) else draw.number(1, 9)


def an_end(world: World, draw: Draw) -> int:
    days = draw.pick((0, 0, 0, 0, 0, 0, 9, 11, 29, 31))
    return world.model.now + (days * 24 * 60 if days else draw.number(55, 400))


def by(draw: Draw, usual: str) -> str:
    return draw.pick(("chief", "manager", "deputy", "handler", "duty")) if draw.chance(8) else usual


async def place_a_hold(world: World, draw: Draw) -> None:
    model, live = world.model, world.live()
    first = draw.pick(live[-40:]) if live and draw.chance(85) else model.now - draw.number(0, 200)
    number = max(model.holds, default=0) + 1 if draw.chance(95) else draw.number(1, 4)
    paper = PAPER if draw.chance(50) else None
    facts: Facts = {
        "hold": number, "first": first, "last": first + draw.number(0, 3) - draw.chance(3) * 5, "paper": paper,
        "called": draw.chance(95), "ends": an_end(world, draw),
    }  # fmt: skip
    who = by(draw, "manager" if paper else "duty")
    act = world.draw_up(
        acts.HoldPlaced, who, hold=number, basis=Basis.REQUEST, office="小田原警察署", called_back=facts["called"],
        span=Span(camera="cam0", first_epoch=first, last_epoch=facts["last"]), document=paper, ends_epoch=facts["ends"],
    )  # fmt: skip
    await do_act(
        world, draw, act, lambda: model.do_hold("hold.placed", facts),
        allowed=model.judge_hold("hold.placed", who, facts),
    )  # fmt: skip


async def keep_on(world: World, draw: Draw) -> None:
    """Confirm or renew."""
    model, number = world.model, the_hold(world, draw)
    known = model.holds.get(number, {"kind": "provisional"})
    what = "hold.confirmed" if (known["kind"] == "provisional") == draw.chance(90) else "hold.renewed"
    facts: Facts = {"hold": number, "ends": an_end(world, draw)}
    who, ends = by(draw, draw.pick(("manager", "deputy"))), facts["ends"]
    if what == "hold.confirmed":
        act = world.draw_up(acts.HoldConfirmed, who, hold=number, document=PAPER, ends_epoch=ends)
    else:
        act = world.draw_up(acts.HoldRenewed, who, hold=number, reason="継続", ends_epoch=ends)
    await do_act(world, draw, act, lambda: model.do_hold(what, facts), allowed=model.judge_hold(what, who, facts))


async def lift_a_hold(world: World, draw: Draw) -> None:
    model, facts = world.model, {"hold": the_hold(world, draw)}
    who = by(draw, "manager")
    act = world.draw_up(acts.HoldLifted, who, hold=facts["hold"], reason="不要")
    allowed = model.judge_hold("hold.lifted", who, facts)
    await do_act(world, draw, act, lambda: model.do_hold("hold.lifted", facts), allowed=allowed)


# ---- recipients


async def see_to_a_recipient(world: World, draw: Draw) -> None:
    model, code = world.model, draw.pick(BODIES)
    state = model.recipients.get(code, {"state": "new"})["state"]
    usual = {"new": "added", "suspended": "resumed"}.get(state, draw.pick(("changed", "changed", "suspended")))
    what = "recipient." + (
        draw.pick(("added", "changed", "suspended", "resumed", "removed")) if draw.chance(6) else usual
    )
    facts: Facts = {"recipient": code}
    who = by(draw, "manager")
    if what in ("recipient.added", "recipient.changed"):
        until = model.now + draw.pick((300, 3_000, 60_000, 60_000, 60_000, 600_000))
        most = draw.pick((None, None, None, None, None, 3, 12))
        facts |= {"until": until, "key": draw.pick(AGE_KEYS), "most": most}
    kinds: dict[str, type[AnyAct]] = {
        "recipient.added": acts.RecipientAdded, "recipient.changed": acts.RecipientChanged,
        "recipient.suspended": acts.RecipientSuspended, "recipient.resumed": acts.RecipientResumed,
        "recipient.removed": acts.RecipientRemoved,
    }  # fmt: skip
    fields: Facts = {"recipient": code}
    if "key" in facts:
        fields |= {
            "age_recipient": facts["key"], "not_after": iso_utc(facts["until"] * MINUTE_NS),
            "conditions": Conditions(most_minutes=facts["most"]),
        }  # fmt: skip
    if what == "recipient.added":
        fields |= {"organisation": "小田原警察署", "kind": RecipientKind.POLICE_STATION}
    act = world.draw_up(kinds[what], who, **fields)
    allowed = model.judge_recipient(what, who, facts)
    await do_act(world, draw, act, lambda: model.do_recipient(what, facts), allowed=allowed)


# ---- cases


async def open_a_case(world: World, draw: Draw) -> None:
    model = world.model
    number = f"2026-{len(model.cases) + 1 if draw.chance(97) else 1:04}"
    facts: Facts = {"case": number, "hold": draw.pick(sorted(model.holds)) if model.holds and draw.chance(50) else None}
    await case_act(world, draw, "case.opened", facts, acts.CaseOpened, hold=facts["hold"])


async def case_act(world: World, draw: Draw, what: str, facts: Facts, kind: type[AnyAct], **fields: Any) -> None:
    model = world.model
    usual = facts.pop("who", "chief" if what == "case.refused" else "manager" if what == "case.closed" else "handler")
    who = by(draw, usual)
    allowed = model.judge_case(what, who, facts, proven=world.instant()[1])
    act = world.draw_up(kind, who, case=facts["case"], **fields)
    await do_act(world, draw, act, lambda: model.do_case(what, who, facts), allowed=allowed)


def dossier_now(world: World, number: str) -> str:
    """The hash that officers approve; the same facts always give the same one, others another."""
    register, model = world.journal.register, world.model
    case = model.cases[number]
    if case["to"] not in model.recipients or not case["spans"]:
        return "0" * 64
    found = dossier_of(register.cases.known(number), register.recipients, POLE).sha256()
    fingerprint = model.fingerprint(case)
    assert model.dossiers.setdefault(found, fingerprint) == fingerprint, "one dossier for two scopes"
    return found


async def document(world: World, draw: Draw, number: str) -> None:
    paper = "telephone" if draw.chance(4) else "inquiry"
    text = "口頭" if draw.chance(4) else str(draw.number(1, 40))
    again = "別件" if draw.chance(60) else None
    instrument = Instrument.TELEPHONE if paper == "telephone" else Instrument.INVESTIGATION_INQUIRY
    written = Document(number=text, date="2026-11-20", authority="小田原警察署", instrument=instrument)
    facts: Facts = {"case": number, "document": text, "paper": paper, "again": again}
    await case_act(
        world, draw, "case.documented", facts, acts.CaseDocumented, basis=Basis.REQUEST, document=written, reason=again
    )


async def scope(world: World, draw: Draw, number: str) -> None:
    live, now = world.live(), world.model.now
    first = draw.pick(live) if live and draw.chance(92) else now - draw.number(0, 200)
    spans = [(first, first + draw.number(0, 3))]
    if draw.chance(25):
        spans.append((spans[0][1] + draw.number(1, 4), spans[0][1] + draw.number(4, 6)))
    known = sorted(world.model.recipients)
    to = draw.pick(known) if known and draw.chance(95) else "nobody"
    facts: Facts = {"case": number, "spans": tuple(spans), "to": to}
    asked = tuple(Span(camera="cam0", first_epoch=a, last_epoch=b) for a, b in spans)
    await case_act(world, draw, "case.scoped", facts, acts.CaseScoped, spans=asked, recipient=to)


async def approve(world: World, draw: Draw, number: str) -> None:
    dossier, model = dossier_now(world, number), world.model
    if model.dossiers and draw.chance(8):
        dossier = draw.pick(sorted(model.dossiers))
    have = model.cases[number]["approvals"]
    missing = [who for who in ("manager", "chief") if who not in have]
    who = missing[0] if missing and draw.chance(88) else draw.pick(("chief", "manager", "deputy"))
    await case_act(
        world,
        draw,
        "case.approved",
        {"case": number, "dossier": dossier, "who": who},
        acts.CaseApproved,
        dossier=dossier,
    )


async def seal(world: World, draw: Draw, number: str) -> None:
    dossier, model = dossier_now(world, number), world.model
    if model.dossiers and draw.chance(8):
        dossier = draw.pick(sorted(model.dossiers))
    await case_act(world, draw, "case.sealed", {"case": number, "dossier": dossier}, acts.CaseSealed, dossier=dossier)


async def hand_over(world: World, draw: Draw, number: str) -> None:
    await case_act(world, draw, "case.handed_over", {"case": number}, acts.CaseHandedOver, package="ab" * 32)


async def receipt(world: World, draw: Draw, number: str) -> None:
    await case_act(world, draw, "case.receipted", {"case": number}, acts.CaseReceipted, date="2026-12-01")


async def close(world: World, draw: Draw, number: str) -> None:
    await case_act(world, draw, "case.closed", {"case": number}, acts.CaseClosed)


async def refuse(world: World, draw: Draw, number: str) -> None:
    await case_act(world, draw, "case.refused", {"case": number}, acts.CaseRefused, reason="too-wide")


async def withdraw(world: World, draw: Draw, number: str) -> None:
    await case_act(world, draw, "case.withdrawn", {"case": number}, acts.CaseWithdrawn)


async def bundle(world: World, draw: Draw, number: str) -> None:
    """Ask for the minutes of a case: exactly those that may leave and are there, or none."""
    model = world.model
    case, proven = model.cases.get(number), world.instant()[1]
    assert not proven or not world.utc_moved, "the office believes a clock that stepped"
    may = model.may_leave(case, proven=proven)
    there = [
        epoch
        for first, last in (case["spans"] if case else ())
        for epoch in range(first, last + 1)
        if epoch in model.recorded - model.erased
        and (not model.is_over(epoch, model.line_ns) or model.is_held(epoch, model.now))
    ]
    out = world.folder / "out" / f"{world.bundles}.tar"
    world.bundles += 1
    model.bundling = case if may and there else None
    cut = cut_of(draw, 15, 40)
    made = await world.deed(world.bundle(number, out), cut)
    if made is PowerCut:
        await after_crash(world, draw)
    else:
        assert (made is not None) == bool(may and there), (may, there, world.bundle_error)
        assert made is None or list(made.epochs) == there
    await world.look()
    model.bundling = None
    if out.exists():
        assert may and there, "a bundle that may not be"
        world.check_bundle(out, number)
        out.unlink()
    for part in out.parent.glob("*.part"):
        part.unlink()


CaseStep = Callable[[World, Draw, str], Awaitable[None]]
NEXT: Final[dict[str, tuple[CaseStep, ...]]] = {
    "draft": (document,), "documented": (scope,), "scoped": (approve,), "decided": (seal,),
    "sealed": (bundle, bundle, hand_over), "handed-over": (receipt, receipt, receipt, scope),
    "receipted": (close, close, scope), "closed": (close,), "refused": (scope,), "withdrawn": (scope,),
}  # fmt: skip
ANY: Final[tuple[CaseStep, ...]] = (
    document, scope, approve, seal, hand_over, receipt, close, refuse, withdraw, bundle,
)  # fmt: skip


async def go_on_with_a_case(world: World, draw: Draw) -> None:
    """The next step as a rule, any other one else."""
    cases = world.model.cases
    open_ones = [number for number, case in cases.items() if case["stage"] not in ("closed", "refused", "withdrawn")]
    if not cases or (not open_ones and draw.chance(90)):
        await open_a_case(world, draw)
        return
    number = draw.pick(open_ones) if open_ones and draw.chance(95) else draw.pick(sorted(cases))
    stage = cases[number]["stage"]
    if stage == "scoped" and world.model.is_decided(cases[number]):
        stage = "decided"
    await draw.pick(ANY if draw.chance(15) else NEXT[stage])(world, draw, number)


Rule = Callable[[World, Draw], Awaitable[None]]
WEIGHTS: Final[dict[Rule, int]] = {
    record: 32, wait: 14, rewrite: 3, fill_the_disk: 2, start_again: 1, cut_while_starting: 1, step_the_clock: 2,
    set_the_clock_right: 4, lose_the_network: 2, place_a_hold: 18, keep_on: 14, lift_a_hold: 4, see_to_a_recipient: 10,
    open_a_case: 4, go_on_with_a_case: 89,
}  # fmt: skip
RULES: Final[dict[str, Rule]] = {rule.__name__: rule for rule in WEIGHTS}


async def step(world: World, name: str, draw: Draw) -> None:
    """One step of a history, and what must be true after it."""
    await RULES[name](world, draw)
    await world.look()
