"""Provisioning a chip: its keys, its places, its policy, its owner. Begun anew or finished wherever it was cut short.

Knows:  a chip and what it was found to hold, footage's settings.
Never:  a step done twice, a secret or password left in clear, a chip taken that belongs to somebody.
Leaves: a provisioned chip, its record, the owner's key sealed to the officers.
Clauses: 7.3(1)1, 7.1(3), 7.3(1)3.

Until ownership is taken, anything at our places is the rest of an attempt that was cut short and is removed. After the
record is written, nothing is removed any more: what follows only adds. Taking the owner's hierarchy is the last act.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from firmware.drivers import tpm_owner, tpm_policy
from firmware.drivers.signer_tpm import make_signing_key, read_signing_key
from firmware.drivers.tpm import TpmKeystore, TpmTools, handles, memory_file
from firmware.drivers.tpm_guard import Guard, chip_at, other_chip, pcr_list, read_pcrs
from firmware.drivers.tpm_owner import HIERARCHIES, Hierarchy, OwnerKey
from firmware.drivers.tpm_record import ChipRecord, read_record
from firmware.footage.nesting import seal_for
from firmware.footage.ports import SECRET_BYTES, SecretSlot
from firmware.footage.settings import FootageSettings
from firmware.ground.durable import write_file
from firmware.ground.errors import KeystoreError

_POLICY_PLACE: Final = "ownerwrite|authread|no_da|writeall"
_ERASER_PLACE: Final = "policyread|policywrite|no_da|writeall"
_SIGNING: Final = "fixedtpm|fixedparent|sensitivedataorigin|sign|noda"
_LOCKOUT: Final = ("-n", "32", "-t", "600", "-l", "86400")
"""After 32 wrong passwords the chip refuses for 10 minutes each; a lockout's own password once a day."""

_SLOTS: Final[tuple[SecretSlot, SecretSlot]] = (0, 1)
_FLAGS: Final[Mapping[Hierarchy, str]] = {"l": "lockoutAuthSet", "e": "endorsementAuthSet", "o": "ownerAuthSet"}
_NAME: Final = re.compile(r"name: ([0-9a-f]{68})")

Tell = Callable[[str, str], None]
"""Is given a step's name and what it makes possible or impossible, in one sentence, before the step is done."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What came of it: the record, and whether anything was changed (False: it had been done already)."""

    record: ChipRecord
    changed: bool


class Provisioner:
    """Provisions the chip of ``settings`` for the pole whose state lies in ``state``."""

    def __init__(self, tools: TpmTools, settings: FootageSettings, state: Path, tell: Tell) -> None:
        self._tools = tools
        self._settings = settings
        self._state = state
        self._tell = tell

    async def run(self) -> Provisioned:
        """Do what is left to do. Raises KeystoreError: E-KEY-CHIP, E-KEY-OWNED, E-KEY-TPM-OLD, E-KEY-TPM."""
        record = await asyncio.to_thread(read_record, self._state)
        if record is not None:
            found = await chip_at(self._tools, record.storage_handle)
            if found != record.chip:
                raise other_chip(record, found)
            if record.owned:
                return Provisioned(record, changed=False)
        taken = await self._taken()
        if record is None:
            record = await self._furnish(taken)
        record = await self._own(record, taken)
        return Provisioned(record, changed=True)

    # ---- keys and places

    async def _furnish(self, taken: set[Hierarchy]) -> ChipRecord:
        """Make everything but ownership, and write the record."""
        tools, settings = self._tools, self._settings
        if taken:
            raise _owned()
        commands = (await tools.call("getcap", "commands")).decode("ascii", "replace")
        if "TPM2_CC_PolicyAuthorizeNV" not in commands:
            raise _too_old()
        base, place = settings.signing_handle, settings.nv_index + 0x10
        await self._clean((base + 1, base + 2), (place, place + 1, place + 2))
        self._tell("storage key", "makes the key that sessions with the chip are hidden under; destroys nothing")
        storage_key = await self._make_storage_key(base + 2)
        self._tell("policy", f"binds this pole's secrets to {await self._boot()}; only the owner can bind them anew")
        policy = await self._make_policy(place)
        self._tell("places", "makes two places for the eraser's secret; no password reads them, the policy alone does")
        await self._make_places(policy, place + 1)
        self._tell("signing key", "makes the ledger's key inside the chip; it can never be copied or restored")
        await make_signing_key(tools, base + 1, _SIGNING, policy)
        record = ChipRecord(
            chip=await chip_at(tools, base + 2),
            maker=await self._maker(),
            storage_handle=base + 2,
            storage_key=storage_key,
            policy_index=place,
            first_index=place + 1,
            signing_handle=base + 1,
            signing_key=await read_signing_key(tools, base + 1),
            policy=policy.hex(),
        )
        await asyncio.to_thread(record.write, self._state)
        return record

    async def _clean(self, keys: tuple[int, ...], places: tuple[int, ...]) -> None:
        for handle in await handles(self._tools, "persistent") & set(keys):
            await self._tools.call("evictcontrol", "-Q", "-C", "o", "-c", f"0x{handle:08x}")
        for index in await handles(self._tools, "nv-index") & set(places):
            await self._tools.call("nvundefine", "-Q", "-C", "o", f"0x{index:08x}")

    async def _make_storage_key(self, handle: int) -> bytes:
        with memory_file("tpm-storage-key") as (path, number):
            await self._tools.call("createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", path, files=(number,))
            await self._tools.call("evictcontrol", "-Q", "-C", "o", "-c", path, f"0x{handle:08x}", files=(number,))
        await self._tools.flush()
        return await self._tools.call("readpublic", "-Q", "-c", f"0x{handle:08x}", "-t", "/dev/stdout")

    async def _make_policy(self, index: int) -> bytes:
        """Define the owner's index, write today's digest into it; return the digest that names it."""
        where = f"0x{index:08x}"
        pcrs = self._settings.boot_pcrs
        digest = tpm_policy.any_of(tpm_policy.branches(pcrs, await read_pcrs(self._tools, pcrs)))
        size = str(tpm_policy.STORED_BYTES)
        await self._tools.call("nvdefine", where, "-Q", "-C", "o", "-s", size, "-a", _POLICY_PLACE)
        await self._tools.call("nvwrite", where, "-Q", "-C", "o", "-i", "-", give=tpm_policy.stored(digest))
        public = (await self._tools.call("nvreadpublic", where)).decode("ascii", "replace")
        name = _NAME.search(public)
        if name is None:
            raise _too_old()
        return tpm_policy.as_the_owner_says(bytes.fromhex(name[1]))

    async def _make_places(self, policy: bytes, first: int) -> None:
        with memory_file("tpm-policy", policy) as (path, number):
            for slot in _SLOTS:
                await self._tools.call(
                    *("nvdefine", f"0x{first + slot:08x}", "-Q", "-C", "o", "-s", str(SECRET_BYTES)),
                    *("-a", _ERASER_PLACE, "-L", path),
                    files=(number,),
                )

    # ---- ownership

    async def _own(self, record: ChipRecord, taken: set[Hierarchy]) -> ChipRecord:
        if "o" not in taken:
            await self._move_secrets(record)
        if not record.owner_key:
            self._tell(
                "owner's key",
                "seals the chip's ownership to the officers of all groups in tpm-owner*.age; if they lose their keys, "
                "the chip can only be cleared, and with it goes all footage",
            )
            record = await self._make_owner(record)
        if "l" not in taken:
            self._tell("lockout", "makes the chip refuse for ten minutes after 32 wrong passwords")
            await self._tools.call("dictionarylockout", "-Q", "-s", *_LOCKOUT)
        self._tell(
            "ownership",
            "throws the chip's three passwords away; from now on nobody defines, removes or clears anything in it "
            "without the owner's key",
        )
        with memory_file("tpm-storage-key", record.storage_key) as salt:
            for hierarchy in HIERARCHIES:
                if hierarchy not in taken:
                    await tpm_owner.take(self._tools, hierarchy, bytes.fromhex(record.owner_name), salt)
        record = msgspec.structs.replace(record, owned=True)
        await asyncio.to_thread(record.write, self._state)
        return record

    async def _make_owner(self, record: ChipRecord) -> ChipRecord:
        key = OwnerKey.generate()
        for pair, sealed in seal_for(key.pem(), self._settings.officers.groups).items():
            await asyncio.to_thread(write_file, self._state / owner_file(pair), sealed)
        name = await tpm_owner.name_of(self._tools, key.public_pem)
        record = msgspec.structs.replace(record, owner_name=name.hex(), owner_key=key.public_pem)
        await asyncio.to_thread(record.write, self._state)
        return record

    async def _move_secrets(self, record: ChipRecord) -> None:
        """Carry the secrets of a pole that ran on an unowned chip behind the policy: written, read back, zeroed.

        Its signing key goes: anybody could use it. The ledger goes on under the new one, and its line says so.
        """
        old_places = {self._settings.nv_index + slot for slot in _SLOTS}
        if not old_places & await handles(self._tools, "nv-index"):
            return
        self._tell("move", "carries the secret of the earlier firmware behind the policy and overwrites its old place")
        old = TpmKeystore(self._tools, self._settings.nv_index)
        new = TpmKeystore(self._tools, record.first_index, Guard(self._tools, record, self._settings.boot_pcrs))
        for slot in _SLOTS:
            secret = await old.read_secret(slot)
            if secret is not None:
                await new.write_secret(slot, secret)
                if await new.read_secret(slot) != secret:
                    raise _unlike()
                await old.erase_secret(slot)
        await self._clean((self._settings.signing_handle,), tuple(old_places))

    # ---- facts

    async def _taken(self) -> set[Hierarchy]:
        told = (await self._tools.call("getcap", "properties-variable")).decode("ascii", "replace")
        return {hierarchy for hierarchy, flag in _FLAGS.items() if re.search(rf"{flag}:\s*1", told)}

    async def _maker(self) -> str:
        told = (await self._tools.call("getcap", "properties-fixed")).decode("ascii", "replace")
        found = re.findall(r'TPM2_PT_(?:MANUFACTURER|VENDOR_STRING_[1-4]):\s+raw: \S+\s+value: "([^"]*)"', told)
        return re.sub(r"[^A-Za-z0-9 ._-]", "", " ".join(text.strip() for text in found if text.strip()))[:32]

    async def _boot(self) -> str:
        pcrs = self._settings.boot_pcrs
        if not pcrs:
            return "no boot measurement (boot_pcrs is empty: any system on this board can ask the chip)"
        values = await read_pcrs(self._tools, pcrs)
        if not any(any(value) for value in values):
            return f"{pcr_list(pcrs)}, WHICH NOTHING MEASURES: they are all zero, and any system has them so"
        return f"the boot as measured now in {pcr_list(pcrs)}"


def owner_file(pair: str) -> str:
    """Return the name of the sealed owner's key for ``pair`` (see ``nesting.seal_for``)."""
    return f"tpm-owner-{pair}.age" if pair else "tpm-owner.age"


def _owned() -> KeystoreError:
    return KeystoreError(
        "E-KEY-OWNED",
        "this TPM belongs to somebody already, and this pole has no record of it",
        where="the TPM",
        todo="restore tpm.json of this pole; or clear the chip (tpm2_clear -c p), which destroys what it holds",
        clause="7.3(1)1",
    )


def _too_old() -> KeystoreError:
    return KeystoreError(
        "E-KEY-TPM-OLD",
        "this TPM cannot keep a policy that its owner may change (TPM2_PolicyAuthorizeNV)",
        where="the TPM",
        todo="use a TPM 2.0 of revision 1.38 or later",
        clause="7.3(1)1",
    )


def _unlike() -> KeystoreError:
    return KeystoreError(
        "E-KEY-VERIFY",
        "the moved secret reads differently; the old one is untouched",
        where="the TPM",
        todo="run pole provision again; if it stays so, replace the chip",
        clause="7.3(1)1",
    )
