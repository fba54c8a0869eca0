"""The keystore and the ledger's signing key of one pole, as its settings and its chip's record name them.

Knows:  footage.toml's keystore, where a pole's state lies, the record that ``pole provision`` left there.
Never:  another place for the same key: `pole` and `custodian` both come here, or they would sign as two poles; a key
        made anew in silence where a record says that there is one.
Leaves: a keystore and a signer.
Clauses: 7.3(1)1, 7.3(1)3.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from firmware.drivers.keystore_software import SoftwareKeystore
from firmware.drivers.signer_software import SoftwareSigner
from firmware.drivers.signer_tpm import TpmSigner
from firmware.drivers.tpm import TpmKeystore, TpmTools
from firmware.drivers.tpm_guard import Guard
from firmware.drivers.tpm_record import read_record
from firmware.footage.ports import Keystore
from firmware.footage.settings import FootageSettings
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from firmware.ground.note import Signer


async def open_pole_keys(
    settings: FootageSettings, state: Path, origin: str, log: Log, profile: Literal["bench", "pole"] = "pole"
) -> tuple[Keystore, Signer]:
    """Return the pole's keystore and the signer of its ledger, whose name is ``origin`` (``site/pole``).

    A provisioned chip is not asked here: a pole whose chip is missing or another one still starts, and says so when
    footage first needs it. On a bench a chip that nobody owns will do, and keys that do not exist yet are made. Raises
    KeystoreError: E-KEY-UNPROVISIONED under profile ``pole``.
    """
    if settings.keystore == "software":
        folder = state / "keystore"
        return SoftwareKeystore(folder, log), SoftwareSigner(folder / "ledger.key", origin)
    tools, record = TpmTools(settings.tcti), await asyncio.to_thread(read_record, state)
    if record is not None and record.owned:
        guard = Guard(tools, record, settings.boot_pcrs)
        return TpmKeystore(tools, record.first_index, guard), TpmSigner.provisioned(tools, origin, guard)
    if profile == "pole" or record is not None:
        raise KeystoreError(
            "E-KEY-UNPROVISIONED",
            "this pole's TPM belongs to nobody yet" if record is None else "its provisioning was cut short",
            where=str(state),
            todo="run: pole provision",
            clause="7.3(1)1",
        )
    log.event("keystore.unprovisioned", weak="anybody_on_this_machine_reads_the_secret", clause="7.3_1_1")
    return TpmKeystore(tools, settings.nv_index), await TpmSigner.open(tools, origin, settings.signing_handle)
