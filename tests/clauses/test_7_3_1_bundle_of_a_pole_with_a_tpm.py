"""7.3(1): the whole way with the keys where they belong: table secret and ledger key in a TPM (a software TPM here)."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.custody.bundle.span import Span
from firmware.custody.desk.opening import open_bundle
from firmware.custody.desk.report import Reporter
from firmware.drivers.mp4 import Mp4Film
from firmware.drivers.signer_tpm import TpmSigner
from firmware.drivers.tpm import TpmKeystore, TpmTools
from firmware.ground.clock import MinuteNumber
from firmware.ground.errors import CaseError
from firmware.ground.note import ECDSA_P256
from tests.parts.small_pole import FIRST, FRAMES, SmallPole
from tests.parts.swtpm import swtpm


async def test_bundled_opened_erased_refused(tmp_path: Path) -> None:
    async with swtpm() as tpm:
        tools = TpmTools(tpm.tcti)
        key = await TpmSigner.open(tools, "smartpole.example/sp03")
        pole = await SmallPole.begin(tmp_path / "state", minutes=3, key=key, keystore=TpmKeystore(tools))
        for epoch in (FIRST, FIRST + 1):
            pole.record(epoch, chunks=2)
        path, span = tmp_path / "bundle.tar", Span(FIRST, MinuteNumber(FIRST + 1))
        made = await pole.bundle(path, span)
        assert (made.epochs, pole.public_key().algorithm) == ((FIRST, FIRST + 1), ECDSA_P256)
        await pole.erase(FIRST, FIRST + 1)
        with pytest.raises(CaseError, match="erased at"):
            await pole.bundle(tmp_path / "again.tar", span)
    report = Reporter(path, compared=True)
    opened = open_bundle(
        path, pole.officers.keys(), tmp_path / "out", Mp4Film, report.write, pole.prove, pole.public_key()
    )
    assert opened.parts[0].frames == 4 * FRAMES  # the lawful copy outlives the pole's, and even its TPM
