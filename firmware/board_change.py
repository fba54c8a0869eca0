"""A pole's chip over its life: provisioned, bound anew, retired, replaced. One procedure each.

Knows:  settings, the chip's driver, the ledger; the owner's key while an owner's act is done.
Never:  an officer's key, a chip emptied without a line in the ledger first, a new start that hides the old one.
Leaves: ``tpm.*`` and ``board.*`` lines; a certificate of what a retired board cannot open any more.
Clauses: 7.3(1)1 (whose chip), 7.1(3) (keys that are gone), 7.3(1)3 (the cycle accounted for, over boards too).
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from firmware.drivers import tpm_owner
from firmware.drivers.pole_keys import open_pole_keys
from firmware.drivers.tpm import TpmTools
from firmware.drivers.tpm_owner import OwnerKey
from firmware.drivers.tpm_provision import Provisioner, Tell
from firmware.drivers.tpm_record import NAME, ChipRecord, read_record
from firmware.footage import recipients
from firmware.footage.epochs import Run, RunKind, runs_of
from firmware.footage.holds import LedgerHolds
from firmware.footage.retention import still_keeping
from firmware.footage.table import EpochTable
from firmware.ground import note
from firmware.ground.clock import Clock, iso_utc, minute_of
from firmware.ground.durable import sync_folder, write_file
from firmware.ground.errors import CaseError, ConfigError, KeystoreError, LedgerError
from firmware.ground.ledger import Ledger
from firmware.ground.ledger_start import start_ledger
from firmware.ground.lock import PoleLock, held_for_life
from firmware.ground.log import Log
from firmware.ground.note import Checkpoint, Signer
from firmware.upkeep.whole import Settings

OLD_CHECKPOINT: Final = "ledger-of-the-old-board"
_MOST_CHECKPOINT_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Provisioning:
    """What ``pole provision`` came to, for the screen: nothing in it is secret."""

    changed: bool
    pole_key: str
    facts: dict[str, Any]


async def provision(
    settings: Settings, clock: Clock, log: Log, tell: Tell, *, replace: bool = False, succeeds: Path | None = None
) -> Provisioning:
    """Provision this pole's chip, or finish what was cut short; write the ledger's line.

    ``replace``: the record names another chip, which is gone for good; its ledger is continued. ``succeeds``: the old
    ledger is gone too; this is its last checkpoint, kept outside. Raises PoleError; what was done is then kept and a
    second call goes on from there.
    """
    _need_tpm(settings)
    state = settings.state
    await asyncio.to_thread(lambda: state.mkdir(mode=0o700, parents=True, exist_ok=True))
    lock = PoleLock(state / "lock")
    with ExitStack() as stack:
        stack.enter_context(held_for_life(state / "running"))
        if replace or succeeds:
            await lock.during(_give_up_old_chip(settings, clock, succeeds))
        done = await Provisioner(TpmTools(settings.footage.tcti), settings.footage, state, tell).run()
        signer = await _signer(settings, log)
        await lock.during(_tell_provisioned(settings, done.record, signer, clock))
    return Provisioning(
        done.changed,
        note.verifier_text(signer.name, signer.algorithm, signer.public_key),
        {
            "chip": done.record.chip,
            "maker": done.record.maker,
            "policy": done.record.policy,
            "owner": _hash(done.record.owner_key.encode()),
            "boot_pcrs": list(settings.footage.boot_pcrs),
            "key": _hash(done.record.signing_key),
            "recipients": recipients.fingerprints(settings.footage.officers.groups),
        },
    )


async def rebind(settings: Settings, owner_pem: bytes, clock: Clock, log: Log) -> None:
    """Bind the chip's policy to this boot and these ``boot_pcrs``. Raises KeystoreError, LedgerError."""
    record, key = await _owner(settings, owner_pem)
    signer = await _signer(settings, log)

    async def write() -> None:
        ledger = await _ledger(settings, signer, clock)
        await asyncio.to_thread(
            lambda: ledger.append("tpm.rebound", chip=record.chip, boot_pcrs=_bits(settings.footage.boot_pcrs))
        )
        await tpm_owner.bind(TpmTools(settings.footage.tcti), record, key, settings.footage.boot_pcrs)

    await PoleLock(settings.state / "lock").during(write())


async def retire(settings: Settings, owner_pem: bytes, certificate: Path, clock: Clock, log: Log) -> dict[str, Any]:
    """Destroy this board's secrets, say so in the ledger and in a signed certificate, empty the chip.

    Returns the certificate's facts. Raises PoleError; until the secrets are overwritten nothing is changed but the
    ledger, which then says that it was begun.
    """
    record, key = await _owner(settings, owner_pem)
    if await asyncio.to_thread(certificate.exists):
        raise ConfigError(
            "E-CONFIG-FILE", "there is a file of that name", where=str(certificate), todo="choose another"
        )
    with ExitStack() as stack:
        stack.enter_context(held_for_life(settings.state / "running"))
        facts = await PoleLock(settings.state / "lock").during(_destroy(settings, record, certificate, clock, log))
        await tpm_owner.clear(TpmTools(settings.footage.tcti), record, key)
        await asyncio.to_thread(_set_record_aside, settings.state, record)
    return facts


async def _destroy(settings: Settings, record: ChipRecord, certificate: Path, clock: Clock, log: Log) -> dict[str, Any]:
    """Overwrite both secrets, tell the ledger what is gone, certify it: nothing is claimed before it is so."""
    place = settings.place
    keystore, signer = await open_pole_keys(
        settings.footage, settings.state, place.ledger_origin, log, settings.pole.profile
    )
    ledger = await _ledger(settings, signer, clock)
    table = EpochTable(settings.state / "footage", keystore)
    await asyncio.to_thread(_refuse_held, ledger, settings, clock)
    await table.load(minute_of(clock.utc_ns()), repair=False, accept_loss=True)  # a second try after a cut
    await asyncio.to_thread(lambda: ledger.append("board.retired", chip=record.chip))
    await keystore.erase_secret(0)  # 7.1(3): from here on no copy of any table opens
    await keystore.erase_secret(1)
    runs = runs_of(RunKind.ERASED, {*table.epochs(), *table.dead})
    for run in runs:
        await asyncio.to_thread(_tell_erased, ledger, run, table.generation)
    facts: dict[str, Any] = {
        "pole": settings.pole.pole,
        "chip": record.chip,
        "at": iso_utc(clock.utc_ns()),
        "erased": "both secrets of the epoch table overwritten in the TPM; no copy of any table opens",
        "epochs": [[run.first, run.last] for run in runs],
        "checkpoint": await ledger.checkpoint(),
        "pole_key": note.verifier_text(signer.name, signer.algorithm, signer.public_key),
    }
    body = msgspec.json.encode(facts, order="sorted").decode()
    text = f"{place.ledger_origin}\nboard retired\n{body}\n"
    await asyncio.to_thread(write_file, certificate, (await note.sign_note(text, signer)).encode())
    return facts


# ---- inside


async def _give_up_old_chip(settings: Settings, clock: Clock, succeeds: Path | None) -> None:
    """Record which ledger is continued and that its keys are gone; then set the old chip's record aside."""
    state = settings.state
    record = await asyncio.to_thread(read_record, state)
    ledger = await _ledger(settings, _Unsigned(settings.place.ledger_origin), clock)
    told: dict[str, Any] | None = None
    if record is not None:
        last = await asyncio.to_thread(ledger.last_checkpoint)
        kept = last or Checkpoint(ledger.origin, 0, hashlib.sha256(b"").digest())
        told = {"old_chip": record.chip, "old_lines": kept.size, "old_root": kept.root.hex(), "ledger": "continued"}
    if succeeds is not None:
        text = await asyncio.to_thread(_read_checkpoint, succeeds, settings.place.ledger_origin)
        old = note.parse_checkpoint(text, where=str(succeeds))
        told = {"old_chip": "0" * 64, "old_lines": old.size, "old_root": old.root.hex(), "ledger": "lost"}
        await asyncio.to_thread(write_file, state / OLD_CHECKPOINT, text.encode())
    if told is None:
        raise ConfigError(
            "E-CONFIG-STATE",
            "there is no earlier chip to replace here",
            where=str(state / NAME),
            todo="leave --replace away; where the old board's disk is gone too, give its last checkpoint by --succeeds",
        )
    lines = await asyncio.to_thread(lambda: [dict(line.fields) for line in ledger.lines("board.replaced")])
    if told not in lines:  # a second attempt after a crash tells it once
        await asyncio.to_thread(lambda: ledger.append("board.replaced", **told))
    if record is not None:
        await asyncio.to_thread(_set_record_aside, state, record)


def _set_record_aside(state: Path, record: ChipRecord) -> None:
    (state / NAME).rename(state / f"tpm-{record.chip[:16]}.json")
    for sealed in state.glob("tpm-owner*.age"):
        sealed.rename(state / f"old-{record.chip[:16]}-{sealed.name}")
    sync_folder(state)


async def _tell_provisioned(settings: Settings, record: ChipRecord, signer: Signer, clock: Clock) -> None:
    ledger = await _ledger(settings, signer, clock)
    fields: dict[str, Any] = {
        "chip": record.chip,
        "key": _hash(record.signing_key),
        "policy": record.policy,
        "owner": _hash(record.owner_key.encode()),
        "boot_pcrs": _bits(settings.footage.boot_pcrs),
    }
    told = await asyncio.to_thread(lambda: [dict(line.fields) for line in ledger.lines("tpm.provisioned")])
    if fields["chip"] not in {line["chip"] for line in told}:
        await asyncio.to_thread(lambda: ledger.append("tpm.provisioned", **fields))
        await ledger.checkpoint()


async def _ledger(settings: Settings, signer: Signer, clock: Clock) -> Ledger:
    ledger, _ = await asyncio.to_thread(start_ledger, settings.state / "ledger", signer, clock, settings.pole.pole)
    return ledger


async def _signer(settings: Settings, log: Log) -> Signer:
    _, signer = await open_pole_keys(
        settings.footage, settings.state, settings.place.ledger_origin, log, settings.pole.profile
    )
    return signer


async def _owner(settings: Settings, owner_pem: bytes) -> tuple[ChipRecord, OwnerKey]:
    _need_tpm(settings)
    record = await asyncio.to_thread(read_record, settings.state)
    if record is None or not record.owned:
        raise KeystoreError(
            "E-KEY-UNPROVISIONED", "this pole's TPM belongs to nobody yet", where=str(settings.state),
            todo="run: pole provision", clause="7.3(1)1",
        )  # fmt: skip
    return record, OwnerKey.from_pem(owner_pem, record)


def _need_tpm(settings: Settings) -> None:
    if settings.footage.keystore != "tpm2":
        raise ConfigError(
            "E-CONFIG-KEYSTORE", "the software keystore has no chip to look after", where="footage.toml: keystore",
            todo='set keystore = "tpm2"', clause="7.3(1)1",
        )  # fmt: skip


def _read_checkpoint(path: Path, origin: str) -> str:
    """Return the checkpoint note in ``path``: a file with one, or a retired board's certificate."""
    try:
        text = path.read_bytes()[:_MOST_CHECKPOINT_BYTES].decode()
        if text.startswith(f"{origin}\nboard retired\n"):
            text = msgspec.json.decode(text.split("\n")[2], type=dict[str, Any])["checkpoint"]
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, KeyError):
        text = ""
    if not text or note.parse_checkpoint(text, where=str(path)).origin != origin:
        raise LedgerError(
            "E-LEDGER-NOTE",
            f"this is no checkpoint of {origin}",
            where=str(path),
            todo="give the old board's certificate, or its last checkpoint as witness or broker kept it",
            clause="7.3(1)3",
        )
    return text


def _refuse_held(ledger: Ledger, settings: Settings, clock: Clock) -> None:
    """Raise CaseError E-CASE-HELD while minutes are held: what is held is never lost (7.1(4))."""
    holds = LedgerHolds(ledger, settings.state / "ledger", settings.footage.retention_hours)()
    living = {hold.number for hold in still_keeping(holds, clock.utc_ns())}
    if living:
        raise CaseError(
            "E-CASE-HELD",
            f"minutes are held on this board (hold {', '.join(str(number) for number in sorted(living))})",
            where=str(settings.state),
            todo="hand them out or lift the holds first; a board that no longer runs needs no retiring",
            clause="7.1(4)",
        )


def _tell_erased(ledger: Ledger, run: Run, generation: int) -> None:
    ledger.append(
        "epochs.erased",
        first_epoch=run.first,
        last_epoch=run.last,
        epochs=run.epochs,
        generation=generation,
        method="secret_overwritten",
        keystore="tpm2",
    )


class _Unsigned:
    """A signer for the moment between two chips: it has the ledger's name and signs nothing."""

    algorithm: Literal[2] = 2

    def __init__(self, name: str) -> None:
        self.name = name
        self.public_key = b""

    async def sign(self, _message: bytes, /) -> bytes:
        """Raise KeystoreError: the old chip is gone and the new one is not provisioned yet."""
        raise KeystoreError("E-KEY-UNPROVISIONED", "no chip signs now", where="the TPM", todo="run: pole provision")


def _bits(pcrs: tuple[int, ...]) -> int:
    return sum(1 << pcr for pcr in pcrs)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
