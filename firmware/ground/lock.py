"""One lock a pole: who holds it may touch table, keystore, ledger and stored footage.

Knows:  one file; the kernel's flock on it.
Never:  a critical section cut in half by a cancelled task, a lock that outlives its process, a thread waiting for ever
        while its holder needs one.
Leaves: nothing; the file stays empty.
Clauses: 7.3(1)3 (erasing and handing out never overlap).

``pole`` and ``custodian`` each open the file anew for every section, so tasks of one process exclude each other too.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from firmware.ground.errors import StoreError

Outcome = TypeVar("Outcome")


class PoleLock:
    """The lock at ``path`` (made if missing, mode 0600). One instance serves one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._here = asyncio.Lock()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the lock for the block; keep it short. Not re-entrant. Raises StoreError when the file cannot be made.

        Tasks of this process queue on an asyncio lock, so at most one thread ever waits for another process.
        """
        async with self._here:
            descriptor = _opened(self._path)
            try:
                await _locked(descriptor)
                yield
            finally:
                os.close(descriptor)  # closing the only descriptor of this opening releases the flock

    async def during(self, section: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Run ``section`` with the lock held, to its end even when the caller is cancelled meanwhile.

        The cancellation is delivered after the section; a section that was never begun is closed.
        """
        try:
            async with self.held():
                return await uncut(section)
        finally:
            section.close()


async def uncut(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Await ``work`` to its end; a cancellation of the caller is delivered only then."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # taken, so that it is not reported as never retrieved
        raise cancelled
    return task.result()


async def _locked(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        await uncut(asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX))


@contextmanager
def held_for_life(path: Path) -> Iterator[None]:
    """Hold ``path`` for the block, or refuse at once: one process a state directory. Raises StoreError."""
    descriptor = _opened(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                "E-STORE-RUNNING",
                "another pole runs on this state directory",
                where=str(path),
                todo="stop it first, or name another state directory",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(
            "E-STORE-LOCK",
            f"cannot open the pole's lock: {error.strerror}",
            where=str(path),
            todo="check that the state directory exists and is writable",
            clause="7.3(1)3",
        ) from None
