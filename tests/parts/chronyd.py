"""Real chronyd processes on the loopback, told never to touch this machine's clock (``-x``)."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.parts.mosquitto import Authority

KEYS = f"1 SHA256 HEX:{'3a' * 32}\n2 MD5 HEX:{'4b' * 16}\n"


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Chronyd:
    """One daemon in ``folder``; its control socket is ``control``."""

    folder: Path
    name: str
    lines: list[str]
    process: asyncio.subprocess.Process | None = None

    @property
    def control(self) -> Path:
        return self.folder / self.name / "c.sock"

    async def start(self) -> None:
        own = self.folder / self.name
        own.mkdir(mode=0o700, exist_ok=True)
        conf = own / "chrony.conf"
        fixed = ["cmdport 0", f"bindcmdaddress {self.control}", f"pidfile {own}/pid"]
        conf.write_text("\n".join([*fixed, *self.lines]) + "\n")
        program = shutil.which("chronyd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        assert program, "these tests need chronyd (Debian package chrony)"
        with (own / "log").open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(program, "-x", "-d", "-U", "-u", getpass.getuser(), "-f", str(conf)), stdout=log, stderr=log
            )
        while not self.control.exists():
            assert self.process.returncode is None, (own / "log").read_text()
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            await self.process.wait()
        self.process = None


@dataclass
class TimeServers:
    """A server that answers NTS, keyed and plain requests, and clients that ask it."""

    folder: Path
    authority: Authority
    stranger: Authority
    port: int = field(default_factory=free_udp_port)
    nts_port: int = field(default_factory=free_tcp_port)
    daemons: list[Chronyd] = field(default_factory=list)

    async def serve(self) -> Chronyd:
        certificate, key = self.authority.issue("time", server=True)
        key.chmod(0o600)
        (self.folder / "keys").write_text(KEYS)
        (self.folder / "keys").chmod(0o600)
        return await self._begin(
            "server",
            [
                f"port {self.port}",
                f"ntsport {self.nts_port}",
                "bindaddress 127.0.0.1",
                f"ntsserverkey {key}",
                f"ntsservercert {certificate}",
                f"keyfile {self.folder / 'keys'}",
                "local stratum 1",
                "allow 127.0.0.1",
            ],
        )

    async def ask(self, how: str, *more: str, name: str = "client", trusted: Authority | None = None) -> Chronyd:
        """Start a client; ``how``: what authenticates the server (``nts``, ``key 1``, or nothing)."""
        nts = f"nts ntsport {self.nts_port}" if how == "nts" else how
        return await self._begin(
            name,
            [
                "port 0",
                f"server localhost port {self.port} {nts} iburst minpoll -2 maxpoll 0",
                f"ntstrustedcerts {(trusted or self.authority).ca_file}",
                f"keyfile {self.folder / 'keys'}",
                *more,
            ],
        )

    async def _begin(self, name: str, lines: list[str]) -> Chronyd:
        daemon = Chronyd(self.folder, name, lines)
        self.daemons.append(daemon)
        await daemon.start()
        return daemon


@asynccontextmanager
async def time_servers() -> AsyncIterator[TimeServers]:
    """Give a running server (short paths: UNIX sockets allow 107 characters)."""
    folder = Path(tempfile.mkdtemp(prefix="time"))
    servers = TimeServers(folder, Authority(folder), Authority(folder, "stranger"))
    try:
        await servers.serve()
        yield servers
    finally:
        for daemon in reversed(servers.daemons):
            await daemon.stop()
        shutil.rmtree(folder)
