"""Another chip on the board, a cleared one, another system on the same board: refused, said, and nothing begun anew."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from firmware.drivers.mint_process import MintProcess
from firmware.footage.parts import Parts
from firmware.footage.run import boot
from firmware.footage.settings import FootageSettings
from firmware.footage.sweep import Eraser
from firmware.ground.clock import NS_PER_MINUTE, SimulatedClock, minute_of
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from tests.attacks.test_erasure import record_a_minute
from tests.parts.footage_parts import Silence, make_parts
from tests.parts.provisioned import Chip
from tests.parts.swtpm import Swtpm, swtpm
from tests.whole.bench import film, ledger, officers, replay, say, spans, status, write_settings

START_NS = 29_923_200 * NS_PER_MINUTE


async def started(chip: Chip, clock: SimulatedClock, settings: FootageSettings | None = None) -> Parts:
    """Build the footage house of ``chip``'s pole as a new process would; nothing has asked the chip yet."""
    settings = settings or chip.settings
    keystore, _ = await chip.keys()
    mint = MintProcess(settings.officers, profile="bench", clock=clock, log=Log(Silence()))
    return make_parts(chip.state, clock, keystore, settings=settings, mint=mint)


def files(parts: Parts) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in parts.store.folder.rglob("*") if path.is_file()}


async def refused(parts: Parts, code: str, reason: str) -> KeystoreError:
    """Start footage three times, as supervision does; return the refusal. It touches nothing and is told once."""
    before, told = files(parts), len(list(parts.ledger.lines("keystore.refused")))
    for _ in range(3):
        with pytest.raises(KeystoreError) as raised:
            await boot(parts, Eraser(parts))
        assert raised.value.code == code
    assert files(parts) == before
    lines = [dict(line.fields) for line in parts.ledger.lines("keystore.refused")]
    assert lines[told:] == [{"reason": reason}]
    return raised.value


async def recorded(tpm: Swtpm, folder: Path, *, boot_pcrs: tuple[int, ...] = ()) -> tuple[Chip, SimulatedClock, int]:
    chip, clock = Chip.beside(tpm, folder, boot_pcrs=boot_pcrs), SimulatedClock(START_NS)
    await chip.provision()
    parts = await started(chip, clock)
    await boot(parts, Eraser(parts))
    epoch = minute_of(clock.utc_ns())
    await record_a_minute(parts, clock)
    return chip, clock, epoch


async def test_another_chip_is_refused_by_name_and_the_old_one_put_back_opens_everything(tmp_path: Path) -> None:
    async with swtpm() as old, swtpm() as new:
        chip, clock, epoch = await recorded(old, tmp_path / "pole")
        stranger = Chip.beside(new, tmp_path / "another pole")
        other = (await stranger.provision()).record.chip
        own = chip.settings
        chip.settings = stranger.settings.__class__(
            **{name: getattr(own, name) for name in own.__struct_fields__} | {"tcti": new.tcti}
        )
        error = await refused(await started(chip, clock), "E-KEY-CHIP", "chip")
        assert other[:16] in error.what
        assert (await Chip.beside(old, tmp_path / "pole").provision()).record.chip[:16] in error.what
        with pytest.raises(KeystoreError, match="E-KEY-CHIP"):
            await chip.provision()  # provisioning is no back door
        _, signer = await chip.keys()
        with pytest.raises(KeystoreError, match="E-KEY-CHIP"):
            await signer.sign(b"x")  # nor does the new chip sign in the old one's name
        chip.settings = own
        parts = await started(chip, clock)
        await boot(parts, Eraser(parts))
        assert await parts.table.sealed_identity(epoch)  # type: ignore[arg-type]  # a minute number


async def test_people_are_counted_all_the_same_and_status_says_which_system_is_down(tmp_path: Path) -> None:
    """The whole pole on another chip: footage refuses, people flow does not notice (2, 5.1)."""
    a, b = (str(identity.to_public()) for identity in officers())
    async with swtpm() as old, swtpm() as new:
        config = write_settings(tmp_path / "config", footage={"keystore": "tpm2", "tcti": old.tcti}, a=a, b=b)
        done = await asyncio.to_thread(say, "provision", "--config", config, "--confirm", "PROVISION", "--json")
        assert done.returncode == 0, done.stdout
        assert json.loads(done.stdout)["changed"]
        write_settings(config, footage={"keystore": "tpm2", "tcti": new.tcti}, a=a, b=b)
        done = await asyncio.to_thread(replay, film(tmp_path / "street.mp4", 70), config, "--minutes", 1.1)
        said = json.loads(done.stdout)
        assert said["slices"] > 50
        assert said["footage"]["chunks"] == 0
        state = status(config / "state")
        assert (state["footage"]["state"], state["footage"]["reason"]) == ("failed", "E-KEY-CHIP")
        assert state["flow"]["state"] in ("running", "stopped")
        assert [line["reason"] for line in ledger(config / "state", "keystore.refused")] == ["chip"]
        assert spans(config / "state")  # minutes wait for the city


async def test_a_cleared_chip_is_another_chip(tmp_path: Path) -> None:
    """Whoever boots a board without firmware may clear its chip; the pole must not take it for a fresh one."""
    async with swtpm() as tpm:
        chip, clock, _ = await recorded(tpm, tmp_path)
        await chip.tools.call("clear", "-c", "p")
        error = await refused(await started(chip, clock), "E-KEY-CHIP", "chip")
        assert "cleared or never provisioned" in error.what


async def test_another_boot_is_refused_and_the_measured_one_opens(tmp_path: Path) -> None:
    """A stolen pole whose thief starts a system of the thief's own: the chip has measured it."""
    async with swtpm() as tpm:
        chip, clock, epoch = await recorded(tpm, tmp_path, boot_pcrs=(4, 7))
        await chip.tools.call("pcrextend", f"4:sha256={'66' * 32}")
        await refused(await started(chip, clock), "E-KEY-BOOT", "boot")
        await tpm.stop()  # the pole's own system again: registers begin at zero, and it measures as before
        await tpm.start()
        parts = await started(chip, clock)
        await boot(parts, Eraser(parts))
        assert await parts.table.sealed_identity(epoch)  # type: ignore[arg-type]  # a minute number


async def test_a_lost_record_is_no_way_to_a_new_start(tmp_path: Path) -> None:
    """tpm.json removed: the pole does not run unprovisioned, and its chip does not let itself be taken again."""
    async with swtpm() as tpm:
        chip, _, _ = await recorded(tpm, tmp_path)
        record = (tmp_path / "tpm.json").rename(tmp_path / "away")
        with pytest.raises(KeystoreError, match="E-KEY-UNPROVISIONED"):
            await chip.keys()
        with pytest.raises(KeystoreError, match="E-KEY-OWNED"):
            await chip.provision()
        await asyncio.to_thread(record.rename, tmp_path / "tpm.json")
        await (await chip.keys())[0].read_secret(0)
