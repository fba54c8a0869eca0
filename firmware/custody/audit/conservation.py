"""Recorded = live + erased + lost: which minutes do not balance. Pure.

Knows:  the ledger's lines, the names and manifest hashes of the minutes that lie in the store.
Never:  a file, a clock, a minute that is counted twice or not at all.
Leaves: a balance; each minute that does not fit, by name and why.
Clauses: 7.3(1)3 (the cycle of recording, carrying and erasing is accounted for), 7.1(3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from firmware.ground.ledger_lines import Line


class Fault(StrEnum):
    """Why a minute does not balance."""

    MISSING = "missing"  # recorded, not in the store, and no line says that it was erased or lost
    STILL_THERE = "still_there"  # a line says that it was erased or lost, and its files lie in the store
    RECORDED_AGAIN = "recorded_again"  # recorded after a line said that it was erased
    ERASED_TWICE = "erased_twice"  # two lines say that it was erased or lost
    CHANGED = "changed"  # in the store, with another manifest than any line vouches for
    UNTOLD = "untold"  # in the store, older than the newest recorded minute, and no line tells of it


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Minutes ``first_epoch`` to ``last_epoch`` (included) with one fault; ``line``: the ledger's line in question."""

    first_epoch: int
    last_epoch: int
    fault: Fault
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """Minutes: ``recorded`` by the ledger, of these ``live`` in the store, ``erased``, ``lost`` (declared so).

    ``in_hand`` lie in the store and are newer than the newest that the ledger tells of.
    """

    recorded: int
    live: int
    erased: int
    lost: int
    in_hand: int
    faults: tuple[Imbalance, ...]

    @property
    def balanced(self) -> bool:
        """Whether every minute is accounted for."""
        return not self.faults and self.recorded == self.live + self.erased + self.lost


@dataclass(slots=True)
class Account:
    """Adds lines in their order, then balances. ``living``: recorded and not ended, manifest hash to line."""

    living: dict[int, dict[str, int]] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    recorded: int = 0
    erased: int = 0
    lost: int = 0
    newest: int = -1
    faults: list[Imbalance] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Take one line of the ledger; lines of other events change nothing."""
        match line.event:
            case "minute.sealed":
                self._sealed(int(line.fields["epoch"]), str(line.fields["manifest"]), line.index)
            case "epochs.erased":
                self.erased += self._ended(line)
            case "epochs.lost":
                self.lost += self._ended(line)

    def balance(self, listing: Mapping[int, str | None]) -> Balance:
        """Balance against what lies in the store: epoch to the SHA-256 (hex) of its manifest, None without one."""
        faults, live, in_hand = list(self.faults), 0, 0
        for epoch, manifests in self.living.items():
            if epoch not in listing:
                faults.append(Imbalance(epoch, epoch, Fault.MISSING, max(manifests.values())))
                continue
            live += 1
            if listing[epoch] not in manifests:
                faults.append(Imbalance(epoch, epoch, Fault.CHANGED, max(manifests.values())))
        for epoch in listing:
            if epoch in self.living:
                continue
            if epoch in self.ended:
                faults.append(Imbalance(epoch, epoch, Fault.STILL_THERE, self.ended[epoch]))
            elif epoch > self.newest:
                in_hand += 1
            else:
                faults.append(Imbalance(epoch, epoch, Fault.UNTOLD))
        return Balance(self.recorded, live, self.erased, self.lost, in_hand, tuple(_runs(faults)))

    def _sealed(self, epoch: int, manifest: str, index: int) -> None:
        self.newest = max(self.newest, epoch)
        if epoch in self.ended:
            self.faults.append(Imbalance(epoch, epoch, Fault.RECORDED_AGAIN, index))
        elif epoch not in self.living:
            self.recorded += 1
        self.living.setdefault(epoch, {})[manifest] = index

    def _ended(self, line: Line) -> int:
        """End the minutes of a line; return how many of them were recorded and are ended by it."""
        run = range(int(line.fields["first_epoch"]), int(line.fields["last_epoch"]) + 1)
        known = [epoch for epoch in run if epoch in self.living] if len(run) < 100_000 else self._within(run)
        count = 0
        for epoch in known:
            del self.living[epoch]
            count += epoch not in self.ended
            self.ended[epoch] = line.index
        twice = [
            epoch for epoch in (run if len(run) < 100_000 else ()) if self.ended.get(epoch, line.index) != line.index
        ]
        self.faults += [Imbalance(epoch, epoch, Fault.ERASED_TWICE, line.index) for epoch in twice]
        return count

    def _within(self, run: range) -> list[int]:
        return [epoch for epoch in self.living if epoch in run]


def conserve(lines: Iterable[Line], listing: Mapping[int, str | None]) -> Balance:
    """Return the balance of ``lines``, in their order, and ``listing`` (see :meth:`Account.balance`)."""
    account = Account()
    for line in lines:
        account.add(line)
    return account.balance(listing)


def _runs(faults: Iterable[Imbalance]) -> list[Imbalance]:
    """Return faults in order of time, neighbours with one fault and one line joined."""
    found = list[Imbalance]()
    for one in sorted(faults, key=lambda one: (one.fault, one.first_epoch)):
        last = found[-1] if found else None
        if last and last.fault is one.fault and last.last_epoch + 1 == one.first_epoch:
            found[-1] = Imbalance(last.first_epoch, one.last_epoch, one.fault, last.line)
        else:
            found.append(one)
    return sorted(found, key=lambda one: (one.first_epoch, one.fault))
