"""The outbox's file against a plain model: kept, told once, dropped only with a word, whatever crashes."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from firmware.city.spool import Row, Spool, joined

MINUTE, GAP, ATTR = "t/minute", "t/gap", "t/attr"
LIFE = 50
MAX_BYTES = 600


@dataclass(frozen=True)
class Kept:
    topic: str
    sequence: int
    first: int
    last: int
    expires: int
    payload: bytes
    lost: bool = False


class SpoolMachine(RuleBasedStateMachine):
    """Time counts in minutes here; a row lives ``LIFE`` of them."""

    @initialize()
    def begin(self) -> None:
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="spool-", dir=memory if memory.is_dir() else None))
        self.now = 1000
        self.model: list[Kept] = []
        self.newest: dict[str, int] = {}
        self.told: set[int] = set()
        self.delivered: set[int] = set()
        self.generation = 0
        self.spool = self.open()

    def open(self) -> Spool:
        return Spool(self.path(), minute_topic=MINUTE, lost_topic=GAP, max_bytes=MAX_BYTES)

    def path(self) -> Path:
        return self.folder / f"outbox-{self.generation}.sqlite"

    def lost(self, first: int, last: int) -> Row:
        return Row(GAP, last, first, last, self.now + LIFE, b"lost %d-%d" % (first, last))

    @rule(ahead=st.integers(1, 3), size=st.integers(1, 60))
    def put_minute(self, ahead: int, size: int) -> None:
        self.now += ahead
        self.put(MINUTE, self.now, self.now, size)

    @rule(back=st.integers(0, 5))
    def put_an_old_minute(self, back: int) -> None:
        if MINUTE in self.newest:
            minute = self.newest[MINUTE] - back
            assert self.do_put(MINUTE, minute, minute, b"again") is None

    @rule(length=st.integers(1, 8))
    def put_gap(self, length: int) -> None:
        first = max(self.newest.get(MINUTE, 0) + 1, self.now - length + 1)
        if first <= self.now:
            self.put(GAP, first, self.now, 10)

    @rule()
    def put_tile(self) -> None:
        if self.now > self.newest.get(ATTR, 0):
            self.put(ATTR, self.now, self.now, 20)

    def put(self, topic: str, first: int, last: int, size: int) -> None:
        payload = b"x" * size
        swept = self.do_put(topic, first, last, payload)
        series = ATTR if topic == ATTR else MINUTE
        if last <= self.newest.get(series, -1):
            assert swept is None
            return
        assert swept is not None
        self.newest[series] = last
        if series == MINUTE:
            self.told |= set(range(first, last + 1))
        self.model.append(Kept(topic, last, first, last, last + LIFE, payload))
        self.expect_sweep()

    def do_put(self, topic: str, first: int, last: int, payload: bytes) -> object:
        series = ATTR if topic == ATTR else MINUTE
        row = Row(topic, last, first, last, last + LIFE, payload)
        return self.spool.put(row, series=series, now_utc_ns=self.now, lost=self.lost)

    def expect_sweep(self) -> None:
        gone = [kept for kept in self.model if kept.expires <= self.now and not kept.lost]
        rest = [kept for kept in self.model if kept not in gone]
        while sum(len(kept.payload) for kept in rest) > MAX_BYTES:
            oldest = next((kept for kept in rest if not kept.lost), None)
            if oldest is None:
                break
            gone.append(oldest)
            rest.remove(oldest)
        self.model = rest
        spans = [(kept.first, kept.last) for kept in gone if kept.topic != ATTR]
        if spans:
            said = [kept for kept in self.model if kept.lost]
            wanted = joined(spans + [(kept.first, kept.last) for kept in said])
            self.model = [kept for kept in self.model if not kept.lost or (kept.first, kept.last) in wanted]
            known = {(kept.first, kept.last) for kept in self.model if kept.lost}
            for first, last in wanted:
                if (first, last) not in known:
                    row = self.lost(first, last)
                    self.model.append(Kept(GAP, last, first, last, row.expires_utc_ns, row.payload, lost=True))

    @rule(minutes=st.integers(1, 60))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes
        self.spool.sweep(self.now, self.lost)
        self.expect_sweep()

    @rule(topic=st.sampled_from([MINUTE, GAP, ATTR]), count=st.integers(1, 4))
    def deliver(self, topic: str, count: int) -> None:
        rows, damaged = self.spool.oldest(topic, count)
        assert damaged == []
        expected = [kept for kept in self.model if kept.topic == topic][:count]
        assert [(row.sequence, row.payload) for row in rows] == [(kept.sequence, kept.payload) for kept in expected]
        self.spool.remove([row.position for row in rows])
        for kept in expected:
            self.model.remove(kept)
            if topic != ATTR:
                self.delivered |= set(range(kept.first, kept.last + 1))

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.spool = self.open()

    @rule()
    def crash(self) -> None:
        """What a power cut leaves: the files as they are on disk, the old process gone without a word."""
        old, self.generation = self.path(), self.generation + 1
        for ending in ("", "-wal"):
            side = old.with_name(old.name + ending)
            if side.exists():
                shutil.copy(side, self.path().with_name(self.path().name + ending))
        self.spool.close()
        self.spool = self.open()

    @invariant()
    def file_and_model_agree(self) -> None:
        if not hasattr(self, "spool"):
            return
        assert self.spool.waiting() == len(self.model)
        assert self.spool.newest(MINUTE) == self.newest.get(MINUTE)
        for topic in (MINUTE, GAP, ATTR):
            rows, damaged = self.spool.oldest(topic, 10_000)
            expected = [(kept.sequence, kept.payload) for kept in self.model if kept.topic == topic]
            assert [(row.sequence, row.payload) for row in rows] == expected
            assert damaged == []

    @invariant()
    def no_minute_vanishes(self) -> None:
        if not hasattr(self, "spool"):
            return
        waiting = {m for kept in self.model if kept.topic != ATTR for m in range(kept.first, kept.last + 1)}
        assert self.told <= waiting | self.delivered

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.folder)


SpoolMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestSpool = SpoolMachine.TestCase
