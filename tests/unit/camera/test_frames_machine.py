"""Any order of claiming, publishing, leasing, releasing, leaking, closing: the slots keep their promises."""

from __future__ import annotations

import asyncio
import os
from contextlib import AbstractAsyncContextManager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firmware.camera.frames import (
    CaptureStamp,
    Filling,
    Frame,
    MainFrames,
    SlotMemory,
    SlotPool,
    SmallFrames,
    StreamEnded,
)
from firmware.ground.clock import SimulatedClock
from firmware.ground.errors import CameraError

RARELY = st.integers(0, 9).map(lambda dice: dice == 9)
FRAME_BYTES = 5000  # two pages less some padding


def stamp(number: int) -> CaptureStamp:
    return CaptureStamp(utc_ns=number, boot_ns=number, stopwatch_ns=number, sensor_ns=None, pts_90k=number)


class Slots(RuleBasedStateMachine):
    """The model is a few dictionaries: what each hand holds, by the byte its frame is full of."""

    @initialize(kind=st.sampled_from([SmallFrames, MainFrames]), slots=st.integers(1, 4))
    def begin(self, kind: type[SlotPool], slots: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.memory = SlotMemory(FRAME_BYTES, slots)
        self.pool = kind(self.memory, SimulatedClock(0))
        self.number = 0
        self.filling: dict[int, tuple[Filling, int]] = {}
        self.waiting: list[int] = []
        self.leased: dict[int, tuple[AbstractAsyncContextManager[Frame], Frame, int]] = {}
        self.retired: set[int] = set()
        self.leaked: list[memoryview] = []
        self.published = self.dropped = self.gone = 0
        self.closed = False

    def free(self) -> int:
        return self.memory.slots - len(self.filling) - len(self.waiting) - len(self.leased) - len(self.retired)

    @rule()
    def claim(self) -> None:
        free = self.free()
        if self.closed:
            with pytest.raises(StreamEnded):
                self.pool.claim()
            return
        filling = self.pool.claim()
        assert (filling is None) == (free == 0)
        if filling is None:
            self.dropped += 1
            return
        assert filling.slot not in {*self.filling, *self.leased, *self.retired}
        assert not any(filling.view), "a claimed slot holds an old picture"
        self.number = self.number % 255 + 1
        filling.view[:] = bytes([self.number]) * FRAME_BYTES
        self.filling[filling.slot] = (filling, self.number)

    @precondition(lambda self: self.filling)
    @rule(data=st.data(), leak=RARELY, withdraw=RARELY)
    def end_filling(self, data: st.DataObject, leak: bool, withdraw: bool) -> None:
        slot = data.draw(st.sampled_from(sorted(self.filling)))
        filling, number = self.filling.pop(slot)
        if leak:
            self.leaked.append(filling.view[10:20])
            with pytest.raises(CameraError, match="E-CAMERA-LEAK"):
                filling.abandon() if withdraw else filling.publish(stamp(number))
            self.retired.add(slot)
            self.gone += 1
        elif withdraw:
            filling.abandon()
            self.gone += 1
        else:
            filling.publish(stamp(number))
            self.accept(number)
        for use in (lambda: filling.view, filling.abandon, lambda: filling.publish(stamp(0))):
            with pytest.raises(CameraError, match="E-CAMERA-HANDLE"):
                use()

    def accept(self, number: int) -> None:
        if self.closed:
            self.gone += 1
            return
        if self.pool.keeps_only_newest and self.waiting:
            self.waiting.clear()
            self.gone += 1
        self.waiting.append(number)
        self.published += 1

    @rule()
    def lease(self) -> None:
        lease = self.pool.lease()
        if not self.waiting:
            if self.closed:
                with pytest.raises(StreamEnded):
                    self.loop.run_until_complete(lease.__aenter__())
            else:
                self.loop.run_until_complete(self.give_up_waiting(lease))
            return
        frame = self.loop.run_until_complete(lease.__aenter__())
        number = self.waiting.pop(0)
        assert frame.slot not in {*self.filling, *self.leased, *self.retired}
        assert (frame.stamp.pts_90k, frame.length) == (number, FRAME_BYTES)
        assert frame.view.readonly
        self.leased[frame.slot] = (lease, frame, number)

    async def give_up_waiting(self, lease: AbstractAsyncContextManager[Frame]) -> None:
        task = asyncio.ensure_future(lease.__aenter__())
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    @precondition(lambda self: self.leased)
    @rule(data=st.data(), leak=RARELY, cancelled=st.booleans())
    def release(self, data: st.DataObject, leak: bool, cancelled: bool) -> None:
        slot = data.draw(st.sampled_from(sorted(self.leased)))
        lease, frame, _ = self.leased.pop(slot)
        view = frame.view
        self.gone += 1
        if leak:
            self.leaked.append(view[5:9])
            with pytest.raises(CameraError, match="E-CAMERA-LEAK"):
                self.loop.run_until_complete(lease.__aexit__(None, None, None))
            self.retired.add(slot)
        elif cancelled:
            cancel = asyncio.CancelledError()
            assert not self.loop.run_until_complete(lease.__aexit__(type(cancel), cancel, None))
        else:
            self.loop.run_until_complete(lease.__aexit__(None, None, None))
        with pytest.raises(ValueError, match="released"):
            view[0]
        for name in ("slot", "length", "keyframe", "stamp", "view"):
            with pytest.raises(CameraError, match="E-CAMERA-HANDLE"):
                getattr(frame, name)

    @precondition(lambda self: self.published > 4)
    @rule(discard=st.booleans())
    def close(self, discard: bool) -> None:
        self.pool.close(discard=discard)
        self.closed = True
        if discard:
            self.gone += len(self.waiting)
            self.waiting.clear()

    @invariant()
    def every_slot_nobody_holds_is_blank_and_every_held_one_is_intact(self) -> None:
        if not hasattr(self, "memory"):
            return
        held = {slot: number for slot, (_, number) in self.filling.items()}
        held |= {slot: number for slot, (_, _, number) in self.leased.items()}
        seen = []
        for slot in range(self.memory.slots):
            content = os.pread(self.memory.descriptor, self.memory.slot_bytes, slot * self.memory.slot_bytes)
            if slot in held:
                assert content[:FRAME_BYTES] == bytes([held[slot]]) * FRAME_BYTES
            elif any(content):
                seen.append(content[0])
                assert content[:FRAME_BYTES] == bytes([content[0]]) * FRAME_BYTES
            assert not any(content[FRAME_BYTES:]), "padding"
        assert sorted(seen) == sorted(self.waiting)
        assert not any(any(view) for view in self.leaked), "a leaked view sees a picture"

    @invariant()
    def the_books_balance(self) -> None:
        if not hasattr(self, "pool"):
            return
        counters = self.pool.counters
        assert (counters.published, counters.dropped) == (self.published, self.dropped)
        assert counters.overwritten == self.gone == self.pool.residence.count
        assert (counters.retired, counters.wipe_failures) == (len(self.retired), 0)
        assert self.pool.waiting == len(self.waiting)
        assert not self.pool.keeps_only_newest or self.pool.waiting <= 1
        assert os.fstat(self.memory.descriptor).st_size == self.memory.total_bytes

    @invariant()
    def drained_means_that_nobody_holds_anything(self) -> None:
        if not hasattr(self, "pool"):
            return

        async def is_drained() -> bool:
            task = asyncio.ensure_future(self.pool.drained())
            await asyncio.sleep(0)
            done = task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return done

        assert self.loop.run_until_complete(is_drained()) == (not self.filling and not self.waiting and not self.leased)

    def teardown(self) -> None:
        if not hasattr(self, "memory"):
            return
        for view in self.leaked:
            view.release()
        for filling, _ in self.filling.values():
            filling.abandon()
        for lease, _, _ in self.leased.values():
            self.loop.run_until_complete(lease.__aexit__(None, None, None))
        self.pool.close(discard=True)
        self.memory.close()
        self.loop.close()


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
