"""A real software TPM of its own for one test: its state in a folder, its socket in that folder, ended by its id."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Swtpm:
    """One TPM; ``tcti`` reaches it. Stopping it and starting it again is a power cycle."""

    folder: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def tcti(self) -> str:
        return f"swtpm:path={self.folder}/tpm.sock"

    async def start(self) -> None:
        (self.folder / "state").mkdir(exist_ok=True)
        for stale in ("tpm.sock", "tpm.sock.ctrl"):
            (self.folder / stale).unlink(missing_ok=True)
        self.process = await asyncio.create_subprocess_exec(
            *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}/state"),
            *("--server", f"type=unixio,path={self.folder}/tpm.sock"),
            *("--ctrl", f"type=unixio,path={self.folder}/tpm.sock.ctrl"),
            *("--flags", "not-need-init,startup-clear"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        while not (self.folder / "tpm.sock.ctrl").exists():
            if self.process.returncode is not None:
                message = f"swtpm ended with {self.process.returncode}"
                raise RuntimeError(message)
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            await self.process.wait()
        self.process = None


@asynccontextmanager
async def swtpm() -> AsyncIterator[Swtpm]:
    """Give a fresh running TPM (a short path: UNIX sockets allow 107 characters)."""
    folder = Path(tempfile.mkdtemp(prefix="tpm"))
    tpm = Swtpm(folder)
    try:
        await tpm.start()
        yield tpm
    finally:
        await tpm.stop()
        shutil.rmtree(folder)
