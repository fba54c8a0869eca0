"""The keystore and the ledger's signing key of one pole, as its settings name them.

Knows:  footage.toml's keystore, where a pole's state lies.
Never:  another place for the same key: `pole` and `custodian` both come here, or they would sign as two poles.
Leaves: a keystore and a signer.
Clauses: 7.3(1)1, 7.3(1)3.
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


async def open_pole_keys(settings: FootageSettings, state: Path, origin: str, log: Log) -> tuple[Keystore, Signer]:
    """Return the pole's keystore and the signer of its ledger, whose name is ``origin`` (``site/pole``).

    Keys that do not exist yet are made. Raises KeystoreError.
    """
    if settings.keystore == "software":
        folder = state / "keystore"
        return SoftwareKeystore(folder, log), SoftwareSigner(folder / "ledger.key", origin)
    tools = TpmTools(settings.tcti)
    return TpmKeystore(tools, settings.nv_index), await TpmSigner.open(tools, origin, settings.signing_handle)
