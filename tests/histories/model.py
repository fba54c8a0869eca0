"""What must be true of a pole, in plain dicts and minutes, written from the guideline and not from the program.

Times are UTC minute numbers, but for ``line_ns`` (the line of time that ages follow). ``judge_*`` say whether the rules
allow a deed; ``do_*`` write down that it was done; :meth:`Model.hear` judges what the ledger tells.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, Final

MINUTE_NS: Final = 60 * 10**9
DAY: Final = 24 * 60
HORIZON: Final = 60
"""What ends within the hour may go with the present rewrite; a hold's last hour is the erasure's."""

OFFICERS: Final = {"chief": "chief", "manager": "manager", "deputy": "manager", "handler": "handler", "duty": "duty"}
PREPARE, DECIDE, MANAGE = {"manager", "handler"}, {"manager", "chief"}, {"manager"}
WHO: Final = {
    "hold.placed": {"chief", "manager", "handler", "duty"},
    "hold.papered": MANAGE, "hold.confirmed": MANAGE, "hold.renewed": MANAGE, "hold.lifted": MANAGE,
    "recipient.added": DECIDE, "recipient.changed": DECIDE, "recipient.resumed": DECIDE, "recipient.removed": DECIDE,
    "recipient.suspended": {"chief", "manager", "handler"},
    "case.opened": PREPARE, "case.documented": PREPARE, "case.scoped": PREPARE, "case.approved": DECIDE,
    "case.sealed": PREPARE, "case.handed_over": PREPARE, "case.receipted": PREPARE, "case.closed": MANAGE,
    "case.refused": DECIDE, "case.withdrawn": PREPARE,
}  # fmt: skip
EARLY: Final = ("draft", "documented", "scoped")
FROM: Final = {
    "case.documented": EARLY, "case.scoped": ("documented", "scoped", "sealed", "handed-over", "receipted"),
    "case.approved": ("scoped",), "case.sealed": ("scoped",), "case.handed_over": ("sealed",),
    "case.receipted": ("handed-over",), "case.closed": ("receipted",),
    "case.refused": (*EARLY, "sealed"), "case.withdrawn": (*EARLY, "sealed"),
}  # fmt: skip

Facts = dict[str, Any]


@dataclass
class Model:
    """One pole and its office."""

    retention: int
    line_ns: int
    latest_ns: int = 0
    acts: int = 0
    recorded: set[int] = field(default_factory=set)
    erased: set[int] = field(default_factory=set)
    early: set[int] = field(default_factory=set)
    holds: dict[int, Facts] = field(default_factory=dict)
    cases: dict[str, Facts] = field(default_factory=dict)
    recipients: dict[str, Facts] = field(default_factory=dict)
    dossiers: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    bundles: int = 0
    abandoned: int = 0
    bundling: dict[str, Any] | None = None
    proven_until_ns: int | None = None
    """Until when (time since boot) the proof of the clock holds; None without one."""

    # ---- time

    @property
    def now(self) -> int:
        """The minute of the line."""
        return self.line_ns // MINUTE_NS

    def go_on(self, line_ns: int) -> None:
        self.line_ns = line_ns
        self.latest_ns = max(self.latest_ns, line_ns)

    def is_over(self, epoch: int, at_ns: int) -> bool:
        """Tell whether the minute's retention is over."""
        return (epoch + self.retention) * MINUTE_NS <= at_ns

    # ---- holds

    def keeps(self, hold: Facts, at: int) -> bool:
        return not hold["lifted"] and not hold["lapsed"] and hold["ends"] > at

    def is_held(self, epoch: int, at: int) -> bool:
        """Tell whether a hold that ends after ``at`` keeps the minute."""
        return any(epoch in hold["kept"] and self.keeps(hold, at) for hold in self.holds.values())

    def may_stay(self, epoch: int) -> bool:
        """Tell whether something allows the minute to be readable though its retention is over.

        A hold in force; or one lifted just now, until the next rewrite.
        """
        return any(
            epoch in hold["kept"] and not hold["swept"] and hold["ends"] * MINUTE_NS > self.line_ns
            for hold in self.holds.values()
        )

    def swept(self) -> None:
        """A rewrite is complete: what was lifted before it is gone."""
        for hold in self.holds.values():
            if hold["lifted"] or hold["lapsed"] or hold["ends"] <= self.now + HORIZON:
                hold["swept"] = True

    def judge_hold(self, what: str, by: str, facts: Facts) -> bool:
        """Tell whether the act about a hold is allowed now."""
        hold, now = self.holds.get(facts["hold"]), self.now
        paper = facts.get("paper")
        if OFFICERS[by] not in WHO["hold.papered" if what == "hold.placed" and paper else what]:
            return False
        fits = (
            now + HORIZON
            < facts.get("ends", now + 61)
            <= now + (10 if what == "hold.placed" and not paper else 30) * DAY
        )
        if what == "hold.placed":
            return hold is None and facts["first"] <= facts["last"] < now and (bool(paper) or facts["called"]) and fits
        if hold is None or hold["lifted"] or now >= hold["ends"] - HORIZON:
            return False
        if what == "hold.confirmed":
            return hold["kind"] == "provisional" and fits
        if what == "hold.renewed":
            return hold["kind"] == "confirmed" and fits
        return True

    def do_hold(self, what: str, facts: Facts) -> None:
        if what == "hold.placed":
            span = range(facts["first"], facts["last"] + 1)
            kept = {e for e in span if not self.is_over(e, self.line_ns) or self.is_held(e, self.now)}
            kind = "confirmed" if facts.get("paper") else "provisional"
            self.holds[facts["hold"]] = {
                "kept": kept, "ends": facts["ends"], "kind": kind, "lifted": False, "lapsed": False, "swept": False,
                "must": kept & self.recorded - self.erased,
            }  # fmt: skip
            return
        hold = self.holds[facts["hold"]]
        if what == "hold.lifted":
            hold["lifted"] = True
        else:
            hold |= {"kind": "confirmed", "ends": facts["ends"]}

    # ---- recipients

    def judge_recipient(self, what: str, by: str, facts: Facts) -> bool:
        if OFFICERS[by] not in WHO[what]:
            return False
        known = self.recipients.get(facts["recipient"])
        dated = self.now < facts.get("until", self.now + 1) <= self.now + 366 * DAY
        key = facts.get("key")
        taken = key is not None and any(
            other["key"] == key and other["state"] != "removed" and code != facts["recipient"]
            for code, other in self.recipients.items()
        )
        if what == "recipient.added":
            return known is None and dated and not taken
        if known is None or known["state"] == "removed":
            return False
        allowed = {
            "recipient.suspended": known["state"] == "active",
            "recipient.resumed": known["state"] == "suspended",
        }
        return allowed.get(what, True) and dated and not taken

    def do_recipient(self, what: str, facts: Facts) -> None:
        code = facts["recipient"]
        state = {"recipient.suspended": "suspended", "recipient.resumed": "active", "recipient.removed": "removed"}
        if what in state:
            self.recipients[code]["state"] = state[what]
        else:
            before = self.recipients.get(code, {"state": "active", "received": []})
            self.recipients[code] = {**before, "key": facts["key"], "until": facts["until"], "most": facts["most"]}

    # ---- cases

    def fingerprint(self, case: Facts) -> tuple[Any, ...]:
        """What two officers approve: whatever is in here may not change unseen."""
        to = self.recipients[case["to"]]
        return (
            case["number"],
            case["document"],
            case["again"],
            case["spans"],
            case["to"],
            to["key"],
            to["until"],
            to["most"],
        )

    def covers(self, spans: tuple[tuple[int, int], ...], to: str) -> bool:
        """Tell whether the recipient may have all these minutes now."""
        body = self.recipients[to]
        received = sum(body["received"])
        wanted = sum(last - first + 1 for first, last in spans)
        within = body["most"] is None or received + wanted <= body["most"]
        return body["state"] == "active" and self.line_ns < body["until"] * MINUTE_NS and within

    def is_decided(self, case: Facts) -> bool:
        """Tell whether a manager and a chief, two people, approved exactly what stands in the case now."""
        current = self.fingerprint(case)
        roles = {OFFICERS[by] for by, approved in case["approvals"].items() if approved == current}
        return {"manager", "chief"} <= roles

    def judge_case(self, what: str, by: str, facts: Facts, *, proven: bool) -> bool:
        """Tell whether the step is allowed now."""
        case = self.cases.get(facts["case"])
        if OFFICERS[by] not in WHO[what]:
            return False
        if what == "case.opened":
            return case is None and (facts["hold"] is None or facts["hold"] in self.holds)
        if case is None or case["stage"] not in FROM[what]:
            return False
        if what == "case.documented":
            again = any(c["document"] == facts["document"] for n, c in self.cases.items() if n != case["number"])
            has_number = any(sign.isdigit() for sign in facts["document"])
            return has_number and facts["paper"] == "inquiry" and (not again or facts["again"] is not None)
        if what == "case.scoped":
            spans, to = facts["spans"], facts["to"]
            return (
                bool(spans)
                and all(first <= last < self.now for first, last in spans)
                and all(a[1] + 1 < b[0] for a, b in itertools.pairwise(spans))
                and to in self.recipients
                and self.covers(spans, to)
            )
        if what == "case.approved":
            current = self.fingerprint(case)
            return self.dossiers.get(facts["dossier"]) == current and case["approvals"].get(by) != current
        if what == "case.sealed":
            named = self.dossiers.get(facts["dossier"]) == self.fingerprint(case)
            return named and self.is_decided(case) and proven and self.covers(case["spans"], case["to"])
        if what == "case.handed_over":
            return self.may_leave(case, proven=proven)
        return True

    def may_leave(self, case: Facts | None, *, proven: bool) -> bool:
        """Tell whether this case's minutes may leave the pole now."""
        return (
            case is not None
            and case["stage"] == "sealed"
            and any(sign.isdigit() for sign in case["document"])
            and case["seal"] == self.fingerprint(case)
            and self.is_decided(case)
            and proven
            and self.covers(case["spans"], case["to"])
        )

    def do_case(self, what: str, by: str, facts: Facts) -> None:
        number = facts["case"]
        if what == "case.opened":
            self.cases[number] = {
                "number": number, "stage": "draft", "document": "", "again": None, "spans": (), "to": "",
                "approvals": {}, "seal": None, "delivered": 0, "receipts": 0,
            }  # fmt: skip
            return
        case = self.cases[number]
        match what:
            case "case.documented":
                case |= {"stage": "documented", "document": facts["document"], "again": facts["again"]}
                case |= {"spans": (), "approvals": {}}
            case "case.scoped":
                case |= {"stage": "scoped", "spans": facts["spans"], "to": facts["to"], "approvals": {}, "seal": None}
            case "case.approved":
                case["approvals"][by] = self.fingerprint(case)
            case "case.sealed":
                case |= {"stage": "sealed", "seal": self.fingerprint(case)}
            case "case.handed_over":
                case["stage"] = "handed-over"
                case["delivered"] += 1
                self.recipients[case["to"]]["received"].append(sum(b - a + 1 for a, b in case["spans"]))
            case "case.receipted":
                case["receipts"] += 1
                case["stage"] = "receipted" if case["receipts"] == case["delivered"] else "handed-over"
            case "case.closed":
                case["stage"] = "closed"
            case "case.refused" | "case.withdrawn":
                case |= {"approvals": {}, "seal": None, "stage": what.removeprefix("case.")}
                if case["delivered"]:
                    case["stage"] = "receipted" if case["receipts"] == case["delivered"] else "handed-over"

    # ---- what the ledger tells

    def hear(self, event: str, told: Facts) -> None:
        """Judge one line."""
        latest = self.latest_ns // MINUTE_NS
        if event == "minute.sealed":
            assert told["epoch"] not in self.erased, "recorded after it was erased"
            self.recorded.add(told["epoch"])
        elif event in ("epochs.erased", "epochs.dropped_early"):
            run = range(told["first_epoch"], told["last_epoch"] + 1)
            assert not any(self.is_held(epoch, latest + HORIZON) for epoch in run), "a held minute is erased"
            if event == "epochs.dropped_early":
                self.early |= set(run)
                return
            for epoch in run:
                assert epoch not in self.erased, "told erased twice"
                assert epoch in self.early or self.is_over(epoch, self.latest_ns + HORIZON * MINUTE_NS), "erased young"
            self.erased |= set(run)
        elif event == "hold.lapsed":
            hold = self.holds[told["hold"]]
            assert hold["ends"] <= latest + HORIZON, "a hold lapsed before its time"
            hold["lapsed"] = True
        elif event == "case.bundled":
            assert self.bundling is not None, "a bundle nobody may have"
            assert self.bundling["number"] == told["case"]
            self.bundles += 1
        elif event == "case.abandoned":
            self.abandoned += 1
        assert event not in ("epochs.lost", "chunk.damaged", "ledger.succeeded"), event
