"""A pole whose TPM was provisioned, and a listener on the wire between the tools and the chip."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyrage

from firmware.drivers.pole_keys import open_pole_keys
from firmware.drivers.signer_tpm import TpmSigner
from firmware.drivers.tpm import TpmKeystore, TpmTools
from firmware.drivers.tpm_owner import OwnerKey
from firmware.drivers.tpm_provision import Provisioned, Provisioner
from firmware.drivers.tpm_record import ChipRecord
from firmware.footage.settings import FootageSettings, Officers
from firmware.ground.log import Log
from tests.parts.footage_parts import Silence, bench_settings, recipient_and_key
from tests.parts.swtpm import Swtpm

ORIGIN = "smartpole.example/sp03"


@dataclass
class Chip:
    """One pole's state folder, its settings, its officers' private halves, and the chip it was provisioned with."""

    state: Path
    settings: FootageSettings
    of_a: pyrage.x25519.Identity
    of_b: pyrage.x25519.Identity
    steps: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def beside(cls, tpm: Swtpm, state: Path, *, boot_pcrs: tuple[int, ...] = ()) -> Chip:
        state.mkdir(parents=True, exist_ok=True)
        (a, of_a), (b, of_b) = recipient_and_key(), recipient_and_key()
        settings = bench_settings(tcti=tpm.tcti, boot_pcrs=boot_pcrs, officers=Officers(a=(a,), b=(b,)))
        return cls(state, settings, of_a, of_b)

    @property
    def tools(self) -> TpmTools:
        return TpmTools(self.settings.tcti)

    async def provision(self) -> Provisioned:
        return await Provisioner(
            self.tools, self.settings, self.state, lambda step, says: self.steps.append((step, says))
        ).run()

    async def keys(self) -> tuple[TpmKeystore, TpmSigner]:
        keystore, signer = await open_pole_keys(self.settings, self.state, ORIGIN, Log(Silence()), "pole")
        assert isinstance(keystore, TpmKeystore)
        assert isinstance(signer, TpmSigner)
        return keystore, signer

    def owner(self, record: ChipRecord) -> OwnerKey:
        """Open the sealed owner's key as both officers do."""
        sealed = (self.state / "tpm-owner.age").read_bytes()
        return OwnerKey.from_pem(pyrage.decrypt(pyrage.decrypt(sealed, [self.of_a]), [self.of_b]), record)


@asynccontextmanager
async def tapped(tpm: Swtpm) -> AsyncIterator[tuple[str, bytearray]]:
    """Give ``(tcti, heard)`` of a relay that writes down every byte between the tools and the chip."""
    heard = bytearray()

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(4096):
            heard.extend(piece)
            writer.write(piece)
            await writer.drain()
        writer.close()

    def relay(target: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            back_reader, back_writer = await asyncio.open_unix_connection(target)
            await asyncio.gather(pipe(reader, back_writer), pipe(back_reader, writer))
            await writer.wait_closed()

        return serve

    folder = tpm.folder
    servers = [
        await asyncio.start_unix_server(relay(f"{folder}/tpm.sock{end}"), path=f"{folder}/bus{end}")
        for end in ("", ".ctrl")
    ]
    try:
        yield f"swtpm:path={folder}/bus", heard
    finally:
        for server in servers:
            server.close()
            await server.wait_closed()
