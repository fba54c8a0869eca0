"""The parent's side of the jail: start a child, ask it, and end it when it is late.

Knows:  a module's name, the descriptors to lend, limits, a profile.
Never:  forks itself, reads a child's output but its one answer, waits for a child past its deadline, keeps a dead one.
Leaves: one :class:`Jailed` a child; :class:`Keeper` keeps one alive.
Clauses: 2, 5.1, 7.1(1) (two processing systems, completely separated), 6.2 (nothing but the answer leaves).

The child is exec'd, so it never holds a copy of this process's memory. Its standard error is read only until its door
is shut, that is, before it is asked about a first frame: a crash at the start can be explained, later it is a number.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from firmware.drivers.jail_child import ANSWER_BYTES_AT_MOST, Jailed
from firmware.drivers.jail_door import CONTROL, WALLS, Report
from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.errors import JailError
from firmware.ground.log import Log

__all__ = ["ANSWER_BYTES_AT_MOST", "INTERPRETER", "NOBODY", "Jailed", "Keeper", "Limits", "Profile", "spawn"]

Profile = Literal["bench", "pole"]

NOBODY: Final = (65_534, 65_534)
INTERPRETER: Final = (sys.executable, "-P", "-s", "-B")
"""Nothing from a working folder or a user's own packages; the environment is ours alone."""
_STDERR_BYTES_AT_MOST: Final = 8_192
_ENVIRONMENT: Final = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",  # threads could not be made once the door is shut
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_PERTURB_": "165",  # freed heap is overwritten (6.2(2): no picture stays behind)
    # A thread's cache of small pieces would be passed over; a freed picture's pages go back at once.
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=1048576",
    "PYTHONMALLOC": "malloc",  # so would the interpreter's own pools
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a child may use at most."""

    file_bytes: int = 0
    """Largest offset it may write in any lent file; 0: none."""
    data_bytes: int = 768 * 1024 * 1024
    """Private writable memory (address space, not resident)."""
    incoming_descriptors: int = 0
    """How many descriptors it may hold that came with a request."""
    start_seconds: float = 30.0
    """From exec to the report that its door is shut."""

    def as_resources(self, lent: int) -> dict[str, int]:
        """Return the values by the names of ``RLIMIT_*``, for a child with ``lent`` descriptors."""
        return {
            "CORE": 0,
            "NOFILE": CONTROL + 1 + lent + self.incoming_descriptors,
            "FSIZE": self.file_bytes,
            "DATA": self.data_bytes,
            "NPROC": 0,
            "MEMLOCK": 0,
        }


async def spawn(
    module: str,
    *,
    argument: Mapping[str, Any],
    lend: Mapping[str, int],
    limits: Limits,
    profile: Profile,
    clock: Clock,
    log: Log,
    user: tuple[int, int] = NOBODY,
    interpreter: Sequence[str] = INTERPRETER,
) -> Jailed:
    """Start ``python -m module`` and return when its door is shut.

    ``argument`` is JSON-able and public (it stands in the command line). ``lend`` names descriptors of this process;
    the child gets them and no other. ``user`` (uid, gid) is taken when this process is root. ``interpreter`` comes
    before ``-m module``; only tests, whose hostile children are not installed, have another.
    Call it from the main thread: the kernel ends the child when the thread that started it ends.
    Raises :class:`JailError`: ``E-JAIL-START`` (with the child's last line), and under profile ``pole`` ``E-JAIL-WALL``
    for any wall that could not be built.
    """
    began_ns = clock.stopwatch_ns()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(0)
    plan = {
        "control": theirs.fileno(),
        "lend": dict(lend),
        "limits": limits.as_resources(len(lend)),
        "user": list(user),
        "parent": os.getpid(),
        "argument": dict(argument),
    }
    with theirs:
        command = [*interpreter, "-m", module, json.dumps(plan)]
        process = _execute(command, (theirs.fileno(), *lend.values()))
    child = Jailed(module, process, ours)
    try:
        child.report = await _door_shut(child, process, limits.start_seconds)
        _judge(child, profile, log)
    except BaseException:
        await child.kill()
        raise
    log.event("jail.ready", module=module, start_ms=(clock.stopwatch_ns() - began_ns) // 1_000_000)
    return child


def _execute(command: list[str], descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Run a fresh interpreter: cleaned environment, a session of its own, at ``/``, no descriptor but those named."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=descriptors,
        env=_ENVIRONMENT,
        cwd="/",
        umask=0o077,
        start_new_session=True,
    )


async def _door_shut(child: Jailed, process: subprocess.Popen[bytes], seconds: float) -> Report:
    """Wait for the child's report; on failure say what its last line on standard error was."""
    stderr = process.stderr
    assert stderr is not None  # noqa: S101  # asked for a pipe
    os.set_blocking(stderr.fileno(), False)
    tail = bytearray()

    def drain() -> None:
        piece = _read_some(stderr.fileno())
        tail.extend(piece)
        del tail[:-_STDERR_BYTES_AT_MOST]
        if not piece:
            loop.remove_reader(stderr.fileno())

    loop = asyncio.get_running_loop()
    loop.add_reader(stderr.fileno(), drain)
    try:
        async with asyncio.timeout(seconds):
            report = await child.receive()
    except TimeoutError:
        raise _start_error(child.module, f"door not shut within {seconds:g} s", tail) from None
    except EOFError:
        tail.extend(_read_some(stderr.fileno()))
        raise _start_error(child.module, "ended before its door was shut", tail) from None
    finally:
        loop.remove_reader(stderr.fileno())
        stderr.close()
    return _parse(report, child.module)


def _parse(message: bytes, module: str) -> Report:
    try:
        facts = json.loads(message)
        applied, missing = tuple(facts["applied"]), tuple(facts["missing"])
        report = Report(applied, missing, int(facts["landlock"]))
    except (ValueError, KeyError, TypeError):
        raise _start_error(module, "report unreadable", b"") from None
    if sorted((*applied, *missing)) != sorted(WALLS):
        raise _start_error(module, "report does not name every wall", b"")
    return report


def _judge(child: Jailed, profile: Profile, log: Log) -> None:
    for wall in child.report.missing:
        log.event("jail.wall_missing", module=child.module, wall=wall)
    if child.report.missing and profile == "pole":
        raise JailError(
            "E-JAIL-WALL",
            f"walls that could not be built: {', '.join(child.report.missing)}",
            where=child.module,
            clause="2",
            todo="run on a kernel with seccomp and Landlock, with libseccomp installed",
        )


def _start_error(module: str, what: str, stderr: bytes | bytearray) -> JailError:
    lines = bytes(stderr).decode("ascii", "replace").strip().splitlines()
    last = "".join(letter for letter in lines[-1] if letter.isprintable())[:200] if lines else "it said nothing"
    return JailError("E-JAIL-START", f"{what}: {last}", where=module, clause="2", todo="mend its installation")


def _read_some(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _STDERR_BYTES_AT_MOST)
    except BlockingIOError:
        return b""


class Keeper:
    """Keeps one child alive: a dead one is replaced, the more slowly the more often it dies.

    ``child()`` never waits out a pause: it refuses with ``E-JAIL-RESTING``, so that no frame is held meanwhile. The
    first replacement is immediate, then ``first_pause_seconds`` doubled each time up to ``longest_pause_seconds``; a
    child that lived ``steady_seconds`` wipes the slate. All by the clock's stopwatch.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[Jailed]],
        *,
        clock: Clock,
        log: Log,
        on_ready: Callable[[Jailed], Awaitable[None]] | None = None,
        first_pause_seconds: float = 1.0,
        longest_pause_seconds: float = 60.0,
        steady_seconds: float = 60.0,
    ) -> None:
        self.restarts = 0
        """Children started after the first one."""
        self._start = start
        self._clock = clock
        self._log = log
        self._on_ready = on_ready
        self._first_pause_ns = int(first_pause_seconds * NS_PER_SECOND)
        self._longest_pause_ns = int(longest_pause_seconds * NS_PER_SECOND)
        self._steady_ns = int(steady_seconds * NS_PER_SECOND)
        self._child: Jailed | None = None
        self._starts = 0
        self._failures = 0
        self._born_ns = 0
        self._not_before_ns = 0
        self._gate = asyncio.Lock()

    async def child(self) -> Jailed:
        """Return the living child, starting one if need be. Call it before taking a lease: a start takes a second.

        Raises :class:`JailError`: ``E-JAIL-RESTING`` during a pause, or what :func:`spawn` raises.
        """
        async with self._gate:
            if self._child is not None and self._child.alive:
                return self._child
            if self._child is not None:
                await self._bury(self._child)
            if self._clock.stopwatch_ns() < self._not_before_ns:
                raise JailError(
                    "E-JAIL-RESTING",
                    "died too often; not started again yet",
                    where="keeper",
                    clause="2",
                    todo="it is tried again by itself",
                )
            return await self._replace()

    async def ask(self, message: bytes, deadline_seconds: float, descriptors: Sequence[int] = ()) -> bytes:
        """Ask the living child; see :meth:`Jailed.ask`. The child is not asked twice: what failed has failed."""
        child = await self.child()
        return await child.ask(message, deadline_seconds, descriptors)

    async def close(self) -> None:
        """Let the child leave."""
        async with self._gate:
            if self._child is not None:
                await self._child.close()
                self._child = None

    async def _bury(self, child: Jailed) -> None:
        await child.kill()
        self._child = None
        self._failed(lived_ns=self._clock.stopwatch_ns() - self._born_ns)

    async def _replace(self) -> Jailed:
        self._starts += 1
        self.restarts = self._starts - 1
        try:
            child = await self._start()
        except JailError:
            self._failed(lived_ns=0)
            raise
        self._child = child
        self._born_ns = self._clock.stopwatch_ns()
        try:
            if self._on_ready is not None:
                await self._on_ready(child)
        except BaseException:
            await self._bury(child)  # nobody meets a child that was not introduced
            raise
        return child

    def _failed(self, lived_ns: int) -> None:
        if lived_ns >= self._steady_ns:
            self._failures = 0
        pause_ns = 0
        if self._failures:
            pause_ns = min(self._first_pause_ns << min(self._failures - 1, 30), self._longest_pause_ns)
        self._failures += 1
        self._not_before_ns = self._clock.stopwatch_ns() + pause_ns
        self._log.event("jail.replacing", failures=self._failures, pause_ms=pause_ns // 1_000_000)
