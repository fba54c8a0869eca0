"""One jailed child as its parent holds it: ask, be answered in time, or end it.

Knows:  a process, a socket, a deadline.
Never:  reads more of a child than its one answer, waits past a deadline, leaves a child unreaped.
Leaves: answers, or a :class:`JailError` that says how the child ended.
Clauses: 2, 5.1, 7.1(1) (two processing systems, completely separated), 6.2 (nothing but the answer leaves).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from typing import Final

from firmware.drivers.jail_door import REQUEST_BYTES_AT_MOST, WALLS, Report
from firmware.ground.errors import JailError

ANSWER_BYTES_AT_MOST: Final = 16_384
_REAP_SECONDS: Final = 5.0
_LAST_WORDS_SECONDS: Final = 0.25


class Jailed:
    """One child with its door shut. Made by :func:`spawn` only."""

    def __init__(self, module: str, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self.module = module
        self.pid: Final = process.pid
        self.report = Report((), WALLS, 0)
        self._process = process
        self._control = control
        self._pidfd = os.pidfd_open(process.pid)
        self._asking = False
        self._reaping = asyncio.Lock()

    @property
    def alive(self) -> bool:
        """False once the child has ended, for whatever reason."""
        return self._process.poll() is None

    async def ask(self, message: bytes, deadline_seconds: float, descriptors: Sequence[int] = ()) -> bytes:
        """Send ``message`` (and duplicates of ``descriptors``); return the child's one answer.

        Late: the child is killed and reaped, :class:`JailError` ``E-JAIL-DEADLINE``. Dead, talking unasked or too
        long: killed and reaped, ``E-JAIL-DEATH`` or ``E-JAIL-ANSWER``. Cancelled: killed too, because its answer would
        otherwise meet the next question. One question at a time.
        """
        if self._asking:
            text = "one question at a time"
            raise RuntimeError(text)
        if not 0 < len(message) <= REQUEST_BYTES_AT_MOST:
            text = f"a request has 1 to {REQUEST_BYTES_AT_MOST} bytes"
            raise ValueError(text)
        self._asking = True
        answered = False
        try:
            self._refuse_unasked()
            async with asyncio.timeout(deadline_seconds):
                await self._send(message, descriptors)
                answer = await self.receive()
            answered = True
        except TimeoutError:
            raise self._error("E-JAIL-DEADLINE", f"no answer within {deadline_seconds:g} s; killed") from None
        except EOFError:
            with contextlib.suppress(JailError):
                await self._reaped(_LAST_WORDS_SECONDS)  # so that its own exit code is seen, not that of a kill
            await self.kill()
            raise self._error("E-JAIL-DEATH", f"the child has ended: {self._how()}") from None
        finally:
            self._asking = False
            if not answered:
                await self.kill()
        return answer

    async def kill(self) -> None:
        """Kill and reap; returns when the kernel has taken the child's memory back. Idempotent."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        await asyncio.shield(self._reaped(_REAP_SECONDS))

    async def close(self, grace_seconds: float = 2.0) -> None:
        """Let the child leave by itself (it sees the end of its socket), then kill it. Idempotent."""
        if not self._asking:
            self._control.close()
            with contextlib.suppress(JailError):
                await self._reaped(grace_seconds)
        await self.kill()

    async def _reaped(self, seconds: float) -> None:
        async with self._reaping:
            if self._process.returncode is None:
                await self._ended(seconds)
                self._process.wait()
            if self._pidfd >= 0:
                os.close(self._pidfd)
                self._pidfd = -1
            if not self._asking:  # else the end of the socket is still to be read by whoever asks
                self._control.close()

    async def _ended(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        loop.add_reader(self._pidfd, _resolve, ended)
        try:
            async with asyncio.timeout(seconds):
                await ended
        except TimeoutError:
            raise self._error("E-JAIL-UNDEAD", "still there after SIGKILL: stuck in a device") from None
        finally:
            loop.remove_reader(self._pidfd)

    def _how(self) -> str:
        code = self._process.returncode
        return "socket closed" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"

    def _refuse_unasked(self) -> None:
        try:
            unasked = self._control.recv(1)
        except BlockingIOError:
            return
        except OSError:
            unasked = b""
        if unasked:
            raise self._error("E-JAIL-ANSWER", "spoke without being asked; killed")
        raise EOFError

    async def _send(self, message: bytes, descriptors: Sequence[int]) -> None:
        try:
            while True:
                try:
                    socket.send_fds(self._control, [message], list(descriptors))
                except BlockingIOError:
                    await _writable(self._control)
                else:
                    return
        except (BrokenPipeError, ConnectionResetError):
            raise EOFError from None

    async def receive(self) -> bytes:
        """Return one message, whenever it comes; a descriptor sent along is closed by the kernel. Raises EOFError."""
        try:
            answer = await asyncio.get_running_loop().sock_recv(self._control, ANSWER_BYTES_AT_MOST + 1)
        except ConnectionResetError:
            answer = b""
        if not answer:
            raise EOFError
        if len(answer) > ANSWER_BYTES_AT_MOST:
            raise self._error("E-JAIL-ANSWER", "answer too long; killed")
        return answer

    def _error(self, code: str, what: str) -> JailError:
        return JailError(
            code,
            what,
            where=f"{self.module} pid {self.pid}",
            clause="2",
            todo="it is replaced; look at the counts",
        )


async def _writable(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(channel.fileno(), _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(channel.fileno())


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
