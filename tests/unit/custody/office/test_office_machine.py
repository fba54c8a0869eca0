"""Any history of acts against a plain model: who may, what is then in force; and the fold of all acts is the present.

The model is dictionaries and sentences of the guideline; it knows nothing of the table, of variants or of contexts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.fields import RecipientKind, Role
from firmware.custody.office.register import Register, decide
from firmware.ground.clock import iso_utc
from firmware.ground.errors import CaseError
from tests.parts.role_sweep import DAY, NOW, POLE, age_keys, officer

ACCOUNTS = ("chief", "manager", "anna", "bert", "cleo", "dora")
FOOTAGE = {"chief", "manager", "handler", "duty"}
DECIDE = {"chief", "manager"}
WHO = st.sampled_from([["chief"], ["manager"], ["chief", "manager"], ["manager", "chief"]]) | st.lists(
    st.sampled_from(ACCOUNTS), min_size=1, max_size=2, unique=True
)
BODIES = st.sampled_from(["odawara-ps", "kanagawa-hq"])
STICKS = st.sampled_from(["usb-1", "usb-2"])
ROLES = st.sampled_from(list(Role))


@dataclass
class Plain:
    """One officer as the model has it."""

    role: str
    also: str | None = None
    group: str | None = None
    until: int | None = None
    gone: bool = False


@dataclass
class Model:
    """What is in force, plainly."""

    now: int = NOW
    officers: dict[str, Plain] = field(default_factory=dict)
    overrides: dict[str, int] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)
    sticks: dict[str, str] = field(default_factory=dict)

    def serving(self) -> dict[str, Plain]:
        return {
            name: one
            for name, one in self.officers.items()
            if not one.gone and (one.until is None or self.now < one.until)
        }

    def roles(self, name: str) -> set[str]:
        one = self.serving().get(name)
        if one is None:
            return set()
        return {one.role, one.also} if one.also and self.now < self.overrides.get(name, 0) else {one.role}

    def two(self, who: list[str]) -> bool:
        """A chief and a manager sign, two people."""
        return len(who) == 2 and any(
            "chief" in self.roles(a) and "manager" in self.roles(b) for a, b in (who, reversed(who))
        )

    def one(self, who: list[str], roles: set[str]) -> bool:
        return len(who) == 1 and bool(self.roles(who[0]) & roles)

    def headless(self, but: str, role: str | None) -> bool:
        left = {name: one.role for name, one in self.serving().items() if name != but} | ({but: role} if role else {})
        return not set(left.values()) >= DECIDE

    def weighty(self, one: Plain | None) -> bool:
        return one is not None and (one.role in DECIDE or one.group is not None or one.also in DECIDE)

    def may_name(self, who: list[str], *ones: Plain | None) -> bool:
        """Who decides about these officers, before and after."""
        if any(self.weighty(one) for one in ones):
            return self.two(who)
        outside = any(one is not None and (one.role not in FOOTAGE or one.also is not None) for one in ones)
        return self.one(who, {"chief"} if outside else DECIDE)


class OfficeMachine(RuleBasedStateMachine):
    """The register and the model side by side."""

    @initialize()
    def found(self) -> None:
        self.model, self.register, self.history = Model(), Register(POLE), list[tuple[AnyAct, list[str], int]]()
        self.count = 0
        officers = (officer("chief", Role.CHIEF), officer("manager", Role.MANAGER))
        for one in officers:
            self.model.officers[one.account] = Plain(str(one.role), group=one.group)
        self.do(acts.OfficersFounded, ["chief", "manager"], expected=True, officers=officers)

    def do(self, kind: type[AnyAct], who: list[str], /, *, expected: bool, **fields: Any) -> bool:
        self.count += 1
        act = kind(pole=POLE, utc=iso_utc(self.model.now), by=who[0], nonce=f"{self.count:032x}", **fields)
        try:
            after = decide(self.register, act, who, self.model.now, proven=True)
        except CaseError as error:
            assert not expected, f"{error}"
            assert error.what
            assert error.todo
            return False
        assert expected, f"{act} by {who} was let through"
        self.register = after
        self.history.append((act, who, self.model.now))
        return True

    @rule(who=WHO, name=st.sampled_from(ACCOUNTS), role=ROLES, group=st.sampled_from([None, None, "a", "b"]),
          also=st.none() | ROLES, days=st.none() | st.integers(-1, 40))  # fmt: skip
    def grant(
        self, who: list[str], name: str, role: Role, group: str | None, also: Role | None, days: int | None
    ) -> None:
        model, until = self.model, None if days is None else self.model.now + days * DAY
        new, old = Plain(str(role), also and str(also), group, until), model.officers.get(name)
        crossing = also is None or ({role, also} & {Role.FLOW_MANAGER} and {str(role), str(also)} & FOOTAGE)
        allowed = (
            all(model.roles(signer) for signer in who)
            and model.may_name(who, new, old)
            and (until is None or until > model.now)
            and bool(crossing)
            and (also is None or model.now < model.overrides.get(name, 0))
            and not model.headless(name, str(role))
        )
        granted = officer(name, role, group=group, also=also, not_after=until and iso_utc(until))
        if self.do(acts.RoleGranted, who, expected=allowed, officer=granted):
            model.officers[name] = new

    @rule(who=WHO, name=st.sampled_from(ACCOUNTS))
    def revoke(self, who: list[str], name: str) -> None:
        model, old = self.model, self.model.officers.get(name)
        allowed = old is not None and not old.gone and model.may_name(who, old) and not model.headless(name, None)
        if self.do(acts.RoleRevoked, who, expected=allowed, account=name):
            model.officers[name].gone = True

    @rule(who=WHO, name=st.sampled_from(ACCOUNTS), days=st.integers(0, 31))
    def override(self, who: list[str], name: str, days: int) -> None:
        model = self.model
        one = model.officers.get(name)
        entitled = model.two(who) if one is not None and one.role == "chief" else model.one(who, {"chief"})
        allowed = entitled and name in model.serving() and 0 < days <= 30
        until = model.now + days * DAY
        if self.do(acts.LinesOverridden, who, expected=allowed, account=name, until=iso_utc(until), reason="-"):
            model.overrides[name] = until

    @rule(who=WHO, code=BODIES, step=st.sampled_from(["added", "suspended", "resumed", "removed"]))
    def recipient(self, who: list[str], code: str, step: str) -> None:
        model, now = self.model, self.model.bodies.get(code)
        kind = {"added": acts.RecipientAdded, "suspended": acts.RecipientSuspended, "resumed": acts.RecipientResumed,
                "removed": acts.RecipientRemoved}[step]  # fmt: skip
        order = {"added": now is None, "suspended": now == "active", "resumed": now == "suspended",
                 "removed": now in ("active", "suspended")}[step]  # fmt: skip
        roles = DECIDE | {"handler"} if step == "suspended" else DECIDE
        fields: dict[str, Any] = {"recipient": code}
        if step == "added":
            fields |= {"organisation": "署", "kind": RecipientKind.POLICE_STATION}
            fields |= {"not_after": iso_utc(model.now + DAY), "age_recipient": age_keys()[len(code) % 2]}
        if self.do(kind, who, expected=model.one(who, roles) and order, **fields):
            model.bodies[code] = {"added": "active", "suspended": "suspended", "resumed": "active",
                                  "removed": "removed"}[step]  # fmt: skip

    @rule(who=WHO, code=STICKS, step=st.sampled_from(["registered", "sanitised", "destroyed", "lost", "returned"]))
    def medium(self, who: list[str], code: str, step: str) -> None:
        model, now = self.model, self.model.sticks.get(code)
        kind = {"registered": acts.MediumRegistered, "lost": acts.MediumLost, "returned": acts.MediumReturned}.get(
            step, acts.MediumSanitised
        )
        order = {"registered": now is None, "lost": now in ("registered", "sanitised", "returned"),
                 "returned": now == "lost"}.get(step, now in ("registered", "sanitised", "returned"))  # fmt: skip
        roles = {"manager"} if step == "registered" else {"manager", "handler"}
        fields: dict[str, Any] = {"medium": code}
        if step == "registered":
            fields |= {"kind": "usb", "serial": code}
        elif kind is acts.MediumSanitised:
            fields["method"] = "destroy" if step == "destroyed" else "purge"
        if self.do(kind, who, expected=model.one(who, roles) and order, **fields):
            model.sticks[code] = step

    @rule(days=st.integers(1, 20))
    def days_pass(self, days: int) -> None:
        self.model.now += days * DAY

    @invariant()
    def the_present_is_the_same(self) -> None:
        if not hasattr(self, "register"):
            return
        now, register = self.model.now, self.register
        assert {
            one.account: set(map(str, register.officers.roles(one, now))) for one in register.officers.in_force(now)
        } == {name: self.model.roles(name) for name in self.model.serving()}
        assert {code: entry.state for code, entry in register.recipients.entries.items()} == self.model.bodies
        assert {code: medium.state for code, medium in register.media.entries.items()} == self.model.sticks

    @invariant()
    def nobody_holds_both_lines_unseen(self) -> None:
        """5.1(1): both only while a dated override is in force."""
        if hasattr(self, "model"):
            for name in self.model.serving():
                roles = self.register.officers.roles(self.register.officers.standings[name].officer, self.model.now)
                if Role.FLOW_MANAGER in roles and set(map(str, roles)) & FOOTAGE:
                    assert self.model.now < self.model.overrides[name] <= self.model.now + 30 * DAY

    def teardown(self) -> None:
        if hasattr(self, "history"):
            assert fold(self.history) == self.register
            for act, who, now in self.history[-3:]:
                try:
                    decide(self.register, act, who, now, proven=True)
                except CaseError as error:
                    assert error.code == "E-OFFICE-REPLAYED"
                else:
                    raise AssertionError(act)


def fold(history: Iterator[tuple[AnyAct, list[str], int]] | list[tuple[AnyAct, list[str], int]]) -> Register:
    """Everything the office knows, from the acts alone."""
    register = Register(POLE)
    for act, who, now in history:
        register = decide(register, acts.decode(act.encoded()), who, now, proven=True)
    return register


def test_any_history() -> None:
    quick = settings(max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(OfficeMachine, settings=quick)
