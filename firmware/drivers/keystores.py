"""Which keystore and signer the settings ask for; the pole and the office open the same ones.

Knows:  both keystores, where their files or indices are.
Never:  a secret.
Leaves: a keystore and a signer.
Clauses: 7.3(1)1 (the secret's place), 7.3(1)3 (the ledger's signature).
"""

from __future__ import annotations

from pathlib import Path

from firmware.drivers.keystore_software import SoftwareKeystore
from firmware.drivers.signer_software import SoftwareSigner
from firmware.drivers.signer_tpm import TpmSigner
from firmware.drivers.tpm import TpmKeystore, TpmTools
from firmware.footage.ports import Keystore
from firmware.footage.settings import FootageSettings
from firmware.ground.log import Log
from firmware.ground.note import Signer


async def open_keystore(settings: FootageSettings, state: Path, origin: str, log: Log) -> tuple[Keystore, Signer]:
    """Return the keystore and the signer of checkpoints under ``origin``. Raises KeystoreError."""
    if settings.keystore == "software":
        folder = state / "keystore"
        return SoftwareKeystore(folder, log), SoftwareSigner(folder / "ledger.key", origin)
    tools = TpmTools(settings.tcti)
    return TpmKeystore(tools, settings.nv_index), await TpmSigner.open(tools, origin, settings.signing_handle)
