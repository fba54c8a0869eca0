"""The power goes at every single step of seal, hold, release and erase, just before it and just after it.

Every step that reaches the disk or the keystore is cut once each way; then the pole starts again. A chunk is absent or
authentic; a hold or a case's step is in force with its line, act and signatures, or not at all; a bundle is whole under
its name, or not there; an erasure is told once, its keys are gone from every copy, and what was due is erased; the same
deed can then be done anew. (7.1(3), 7.1(4), 7.2(1), 7.3(1)3)
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyrage
import pytest

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.fields import Basis, Conditions, RecipientKind, Span
from firmware.ground.clock import NS_PER_SECOND, iso_utc
from tests.histories.model import MINUTE_NS, Facts
from tests.histories.rules import AGE_KEYS, PAPER, Thing, after_crash, dossier_now
from tests.histories.world import World, lean
from tests.parts.crashing import PowerCut
from tests.parts.footage_parts import SOMEBODY

CASE = "2026-0001"
LEAST_CUTS = 50


class Steady:
    """After each cut: another boot, at once, with a good RTC."""

    def number(self, least: int, most: int) -> int:
        del most
        return least

    def pick(self, things: Sequence[Thing]) -> Thing:
        return things[0]

    def chance(self, percent: int) -> bool:
        return percent == 70


@dataclass
class Deed:
    """What is being done when the power goes: work, the act in it (if it is one), and what must be so afterwards."""

    work: Coroutine[Any, Any, Any]
    afterwards: Callable[[bool], Awaitable[None]]
    act: AnyAct | None = None
    apply: Callable[[], None] = field(default=lambda: None)


Prepare = Callable[[World], Awaitable[Deed]]


# ---- scenes


async def film_minutes(world: World, count: int) -> None:
    for _ in range(count):
        await world.film(1)
        await world.pass_time((-world.model.line_ns % MINUTE_NS) // NS_PER_SECOND + 1)


async def do(world: World, deed: Deed) -> None:
    assert await deed.work
    deed.apply()
    world.model.acts += 1


def act_of(world: World, kind: type[AnyAct], by: str, what: str, facts: Facts, /, **fields: Any) -> Deed:
    """An act of the office; ``facts`` is what the model knows of it."""
    model = world.model
    act = world.draw_up(kind, by, **fields)
    house = what.partition(".")[0]

    def apply() -> None:
        if house == "case":
            model.do_case(what, by, facts)
        elif house == "hold":
            model.do_hold(what, facts)
        else:
            model.do_recipient(what, facts)

    async def afterwards(done: bool) -> None:
        """Act, line and signatures are all there, or none of them; the folder holds nothing else."""
        numbers = {path.name[:6] for path in (world.state / "custody" / "acts").iterdir() if path.is_file()}
        assert numbers == {f"{number:06}" for number in range(1, model.acts + 1)}
        told = [line for line in world.office_ledger.lines(what) if line.fields["act"] == act.sha256()]
        assert len(told) == done
        if not done:
            await world.pass_time(120)  # the clock is proven again
            await do(world, act_of(world, kind, by, what, facts, **fields))

    return Deed(world.act(act, allowed=True), afterwards, act, apply)


def placing(world: World) -> Deed:
    first = world.live()[0]
    facts: Facts = {
        "hold": 1, "first": first, "last": first + 1, "paper": None, "called": True, "ends": world.model.now + 300,
    }  # fmt: skip
    return act_of(
        world, acts.HoldPlaced, "duty", "hold.placed", facts, hold=1, basis=Basis.REQUEST, office="小田原警察署",
        called_back=True, span=Span(camera="cam0", first_epoch=first, last_epoch=first + 1), ends_epoch=facts["ends"],
    )  # fmt: skip


def confirming(world: World) -> Deed:
    facts: Facts = {"hold": 1, "ends": world.model.now + 500}
    return act_of(
        world, acts.HoldConfirmed, "manager", "hold.confirmed", facts, hold=1, document=PAPER, ends_epoch=facts["ends"]
    )


def renewing(world: World) -> Deed:
    facts: Facts = {"hold": 1, "ends": world.model.now + 700}
    return act_of(
        world, acts.HoldRenewed, "manager", "hold.renewed", facts, hold=1, reason="継続", ends_epoch=facts["ends"]
    )


def lifting(world: World) -> Deed:
    return act_of(world, acts.HoldLifted, "manager", "hold.lifted", {"hold": 1}, hold=1, reason="不要")


def case_steps(world: World) -> Iterator[Callable[[], Deed]]:
    """Lead a case from nothing to its seal."""
    model, first = world.model, world.live()[0]
    until = model.now + 60_000
    recipient: Facts = {"recipient": "ps-1", "until": until, "key": AGE_KEYS[0], "most": None}
    spans = ((first, first + 1),)
    asked = (Span(camera="cam0", first_epoch=first, last_epoch=first + 1),)
    yield lambda: act_of(
        world, acts.RecipientAdded, "manager", "recipient.added", recipient, recipient="ps-1",
        organisation="小田原警察署", kind=RecipientKind.POLICE_STATION, age_recipient=AGE_KEYS[0],
        not_after=iso_utc(until * MINUTE_NS), conditions=Conditions(),
    )  # fmt: skip
    yield lambda: act_of(world, acts.CaseOpened, "handler", "case.opened", {"case": CASE, "hold": None}, case=CASE)
    yield lambda: act_of(
        world, acts.CaseDocumented, "handler", "case.documented",
        {"case": CASE, "document": "1", "paper": "inquiry", "again": None}, case=CASE, basis=Basis.REQUEST,
        document=PAPER,
    )  # fmt: skip
    yield lambda: act_of(
        world, acts.CaseScoped, "handler", "case.scoped", {"case": CASE, "spans": spans, "to": "ps-1"}, case=CASE,
        spans=asked, recipient="ps-1",
    )  # fmt: skip
    for who in ("manager", "chief"):
        yield lambda who=who: act_of(  # type: ignore[misc]  # bound now
            world, acts.CaseApproved, who, "case.approved", {"case": CASE, "dossier": dossier_now(world, CASE)},
            case=CASE, dossier=dossier_now(world, CASE),
        )  # fmt: skip
    yield lambda: act_of(
        world, acts.CaseSealed, "handler", "case.sealed", {"case": CASE, "dossier": dossier_now(world, CASE)},
        case=CASE, dossier=dossier_now(world, CASE),
    )  # fmt: skip


async def seal_minutes(world: World, frames: int) -> Deed:
    """A chunk of its own for each frame: eleven seconds lie between them."""

    async def afterwards(_done: bool) -> None:
        for epoch in world.parts.store.recorded():
            for path in world.parts.store.chunks(epoch):
                assert pyrage.decrypt(path.read_bytes(), [SOMEBODY]).startswith(b"age1")  # whole
        await film_minutes(world, 1)

    return Deed(world.film(frames), afterwards)


async def seal_more_of_a_minute(world: World) -> Deed:
    await world.film(1)
    return await seal_minutes(world, 1)


async def hold(world: World, before: Sequence[Callable[[World], Deed]], now: Callable[[World], Deed]) -> Deed:
    for earlier in before:
        await do(world, earlier(world))
    return now(world)


async def lead_a_case(world: World, steps: int) -> Deed:
    """Lead it so far; what comes next is cut."""
    *earlier, last = list(case_steps(world))[: steps + 1]
    for each in earlier:
        await do(world, each())
    return last()


async def make_the_bundle(world: World) -> Deed:
    for each in case_steps(world):
        await do(world, each())
    out = world.folder / "out" / "bundle.tar"
    world.model.bundling = world.model.cases[CASE]

    async def afterwards(_done: bool) -> None:
        told = len(list(world.office_ledger.lines("case.bundled")))
        assert {path.name for path in out.parent.iterdir()} <= {"bundle.tar", "bundle.tar.part"}  # never read as one
        if out.exists():
            assert told == 1
            world.check_bundle(out, CASE)
            out.unlink()
        await world.pass_time(120)  # the clock is proven again
        assert await world.bundle(CASE, out), world.bundle_error
        world.check_bundle(out, CASE)
        assert len(list(world.office_ledger.lines("case.bundled"))) == told + 1

    return Deed(world.bundle(CASE, out), afterwards)


def let_time_pass(world: World, minutes: int) -> None:
    """As on a pole that hangs: no rewrite in between."""
    world.clock._pass(minutes * MINUTE_NS)
    world.model.go_on(world.model.line_ns + minutes * MINUTE_NS)


async def due_minutes(world: World) -> Callable[[bool], Awaitable[None]]:
    await do(world, placing(world))
    held, due = set(world.live()[:2]), set(world.live()[2:])
    let_time_pass(world, 70)

    async def afterwards(_done: bool) -> None:
        assert due <= world.model.erased
        assert held <= set(world.live())
        assert not world.readable() & due

    return afterwards


async def erase_what_is_due(world: World) -> Deed:
    afterwards = await due_minutes(world)
    return Deed(world.sweep(), afterwards)


async def erase_at_boot(world: World) -> Deed:
    afterwards = await due_minutes(world)
    return Deed(world.start(), afterwards)


async def erase_to_make_room(world: World) -> Deed:
    await do(world, placing(world))
    held, early = set(world.live()[:2]), set(world.live()[2:-1])
    low = iter([True, False, False])
    world.eraser._is_low = lambda: next(low, False)  # type: ignore[method-assign]  # one round of room is made

    async def afterwards(_done: bool) -> None:
        assert held <= set(world.live())
        assert {epoch for epoch in early if epoch in world.model.erased} in (set(), early)  # all of them or none

    return Deed(world.eraser.make_room(), afterwards)


DEEDS: dict[str, dict[str, Prepare]] = {
    "seal": {
        "a minute": lambda world: seal_minutes(world, 2),
        "two minutes": lambda world: seal_minutes(world, 7),
        "a minute that goes on": seal_more_of_a_minute,
    },
    "hold": {
        "placed": lambda world: hold(world, (), placing),
        "confirmed": lambda world: hold(world, (placing,), confirming),
        "renewed": lambda world: hold(world, (placing, confirming), renewing),
        "lifted": lambda world: hold(world, (placing, confirming), lifting),
    },
    "release": {
        "second approval": lambda world: lead_a_case(world, 5),
        "case sealed": lambda world: lead_a_case(world, 6),
        "bundle": make_the_bundle,
    },
    "erase": {"hourly": erase_what_is_due, "at boot": erase_at_boot, "to make room": erase_to_make_room},
}


async def is_cut(prepare: Prepare, cut: tuple[int, bool]) -> bool:
    """Play one deed with the power going at ``cut``; tell whether there was such a step."""
    folder = Path(tempfile.mkdtemp(prefix="cut-", dir="/dev/shm"))
    world = World(folder)
    try:
        await world.begin()
        await film_minutes(world, 4)
        deed = await prepare(world)
        acts_before = world.model.acts
        if await world.deed(deed.work, cut) is not PowerCut:
            return False
        await after_crash(world, Steady(), deed.act, deed.apply, allowed=deed.act is not None)
        await world.check_all()
        await deed.afterwards(world.model.acts > acts_before)
        await world.look()
        await world.check_all()
    finally:
        shutil.rmtree(folder)
    return True


@pytest.mark.parametrize("name", sorted(DEEDS))
async def test_the_power_goes_at_every_step(name: str) -> None:
    cuts = 0
    with lean():
        for what, prepare in DEEDS[name].items():
            before = cuts
            while await is_cut(prepare, (1 + (cuts - before) // 2, bool((cuts - before) % 2))):
                cuts += 1
            print(f"\n{name}, {what}: {cuts - before} cuts")
    assert cuts >= LEAST_CUTS
