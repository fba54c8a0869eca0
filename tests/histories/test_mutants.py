"""Histories find what they are there to find: each mutant of the program breaks one within some hundred steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from firmware.custody.office import case_stages, cases, recipients
from firmware.footage import retention, sweep
from firmware.footage.clock_trust import TrustedTime
from firmware.footage.holds import LedgerHolds
from firmware.footage.sweep import Eraser
from tests.histories.play import BrokenHistoryError, play_many

Patch = pytest.MonkeyPatch
STEPS = 3_000


def hold_ignored_by_the_sweep(patch: Patch) -> None:
    patch.setattr(sweep, "due", lambda epochs, _holds, now_ns, **how: retention.due(epochs, (), now_ns, **how))


def horizon_an_hour_late(patch: Patch) -> None:
    patch.setattr(
        sweep,
        "due",
        lambda epochs, holds, now_ns, **how: retention.due(epochs, holds, now_ns, **{**how, "horizon_seconds": 0}),
    )


def horizon_an_hour_early(patch: Patch) -> None:
    patch.setattr(
        sweep, "due",
        lambda epochs, holds, now_ns, **how: retention.due(epochs, holds, now_ns, **{**how, "horizon_seconds": 7200}),
    )  # fmt: skip


def lifted_hold_still_counted(patch: Patch) -> None:
    follow = LedgerHolds._follow
    patch.setattr(
        LedgerHolds, "_follow", lambda self, line: None if line.event == "hold.lifted" else follow(self, line)
    )


def lapsed_hold_still_counted(patch: Patch) -> None:
    patch.setattr(sweep, "still_keeping", lambda holds, _at_ns: list(holds))
    patch.setattr(retention, "still_keeping", lambda holds, _at_ns: list(holds))


def hold_revives_what_is_gone(patch: Patch) -> None:
    patch.setattr(LedgerHolds, "_living", lambda _self, asked, _first: [asked])


def ledger_before_the_keys(patch: Patch) -> None:
    real = Eraser._rewrite

    async def told_first(self: Eraser, drop: Any, fresh: Any, here: Any, *, early: bool) -> None:
        for run in () if early else sweep.runs_of(sweep.RunKind.ERASED, drop):
            await self._parts.note(
                "epochs.erased", first_epoch=run.first, last_epoch=run.last, epochs=run.epochs,
                generation=self._parts.table.generation + 1, method="secret_overwritten", keystore="tpm2",
            )  # fmt: skip
        note = self._parts.note

        async def rest(event: str, **fields: Any) -> None:
            if early or event != "epochs.erased":
                await note(event, **fields)

        object.__setattr__(self, "_parts", _Muted(self._parts, rest))
        try:
            await real(self, drop, fresh, here, early=early)
        finally:
            object.__setattr__(self, "_parts", self._parts.real)  # type: ignore[attr-defined]  # put back

    patch.setattr(Eraser, "_rewrite", told_first)


class _Muted:
    def __init__(self, real: Any, note: Callable[..., Any]) -> None:
        self.real, self.note = real, note

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def one_approval_is_enough(patch: Patch) -> None:
    patch.setattr(
        cases, "approved_by",
        lambda case, dossier: next(((a.account, a.account) for a in case.approvals if a.dossier == dossier), None),
    )  # fmt: skip


def approvals_outlive_another_scope(patch: Patch) -> None:
    real = cases._scoped

    def scoped(state: Any, case: Any, act: Any, context: Any, bodies: Any) -> Any:
        after = real(state, case, act, context, bodies)
        dossier = cases.dossier_of(after, bodies, act.pole).sha256()
        return replace(after, approvals=tuple(replace(old, dossier=dossier) for old in case.approvals))

    patch.setattr(cases, "_scoped", scoped)


def expired_recipient_receives(patch: Patch) -> None:
    real = recipients._flat_refusals
    patch.setattr(
        recipients, "_flat_refusals",
        lambda *given, **how: (found for found in real(*given, **how) if found.why != "expired"),
    )  # fmt: skip


def release_needs_no_proof(patch: Patch) -> None:
    real = cases._refuse_unless_covered
    patch.setattr(cases, "_refuse_unless_covered", lambda *given, proven: real(*given, proven=True) if proven else None)


def proof_survives_a_step(patch: Patch) -> None:
    patch.setattr(TrustedTime, "doubt", lambda _self: None)


def a_refused_case_goes_on(patch: Patch) -> None:
    both = {act: {*stages, case_stages.Stage.REFUSED} for act, stages in case_stages.FROM.items()}
    patch.setattr(cases, "FROM", both)


def spoofed_clock_is_followed(patch: Patch) -> None:
    patch.setattr("firmware.footage.clock_trust._CREDIT_NS", 10**18)


MUTANTS: dict[str, tuple[Callable[[Patch], None], int, str]] = {
    "hold ignored": (hold_ignored_by_the_sweep, 1, "a held minute is erased"),
    "an hour late": (horizon_an_hour_late, 1, "readable past its time"),
    "an hour early": (horizon_an_hour_early, 1, "erased young"),
    "lifted hold counts": (lifted_hold_still_counted, 1, "readable past its time"),
    "lapsed hold counts": (lapsed_hold_still_counted, 1, "readable past its time"),
    "hold revives": (hold_revives_what_is_gone, 7, "readable past its time"),
    "ledger first": (ledger_before_the_keys, 4, "told erased"),
    "one approval": (one_approval_is_enough, 1, "done: CaseSealed"),
    "swapped scope": (approvals_outlive_another_scope, 1, "approved it already"),
    "expired recipient": (expired_recipient_receives, 7, "done: Case"),
    "no proof needed": (release_needs_no_proof, 1, "done: CaseSealed"),
    "proof after a step": (proof_survives_a_step, 1, "settled without a proof"),
    "refused goes on": (a_refused_case_goes_on, 1, "done: Case"),
    "spoofed clock": (spoofed_clock_is_followed, 1, "the line leapt"),
}
"""Each with a seed that finds it soon, and what the history says then."""


@pytest.mark.parametrize("name", sorted(MUTANTS))
async def test_a_mutant_breaks_a_history(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant, seed, says = MUTANTS[name]
    mutant(monkeypatch)
    with pytest.raises(BrokenHistoryError, match=says) as caught:
        await play_many(seed, STEPS)
    print(f"\n{name}: {caught.value}")
