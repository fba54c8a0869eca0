"""board/KEYS.md is true: every command on it is typed, as it stands, by officers and an installer at a terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from firmware.custody.keys.pole_key import PoleKey
from firmware.drivers.pole_keys import open_pole_keys
from firmware.drivers.tpm import TpmTools
from firmware.ground import note
from firmware.ground.errors import KeystoreError
from firmware.ground.log import Log
from firmware.upkeep.whole import load_settings
from tests.parts.footage_parts import Silence
from tests.parts.swtpm import Swtpm, swtpm
from tests.parts.terminal import Terminal, consoles
from tests.whole.bench import ROOT, write_settings

SHEET = ROOT / "board" / "KEYS.md"
PUBLIC = re.compile(r"age1[02-9ac-hj-np-z]{58}")
WORDS = re.compile(r"passphrase +((?:[a-z]+-){8}[a-z]+)")


async def secret_of(config: Path) -> bytes | None:
    settings = load_settings(config)
    keystore, _ = await open_pole_keys(
        settings.footage, settings.state, settings.place.ledger_origin, Log(Silence()), "pole"
    )
    return await keystore.read_secret(0)


async def test_every_command_of_the_sheet_does_what_the_sheet_says(tmp_path: Path) -> None:
    sheet = consoles(SHEET)
    desk = tmp_path / "desk"
    desk.mkdir()
    config = tmp_path / "config"
    at = Terminal(desk, {"/etc/smartpole": str(config), "/var/lib/smartpole": str(config / "state")})

    recipients = {}
    for command in sheet[1]:  # the ceremony
        screen = at.type(command)
        if file := re.search(r"--out (\S+)", command):
            shown = WORDS.search(screen)
            assert shown
            at.words[file[1]], recipients[file[1]] = shown[1], PUBLIC.findall(screen)[0]
        else:
            assert PUBLIC.findall(screen)[0] == recipients[command.split()[2]]  # file and words belong together
    assert len(recipients) == 2

    async with swtpm() as first, swtpm() as second, swtpm() as third:
        a, b = recipients.values()

        def board(tpm: Swtpm, state: str) -> None:
            footage = {"keystore": "tpm2", "tcti": tpm.tcti, "boot_pcrs": [7]}
            write_settings(config, pole={"state_directory": state}, footage=footage, a=a, b=b)

        board(first, "state")
        provision, show, copy = sheet[2]
        assert "provisioned\r" in at.type(provision)
        assert "provisioned already: nothing was changed" in at.type(provision)
        old_key = at.type(show).split("\r")[0]
        at.type(copy)
        assert (desk / "tpm-owner.age").exists()

        await TpmTools(first.tcti).call("pcrextend", f"7:sha256={'ab' * 32}")  # the boot chain was updated
        with pytest.raises(KeystoreError, match="E-KEY-BOOT"):
            await secret_of(config)
        for command in sheet[4]:
            at.type(command)
        assert not (desk / "owner.pem").exists()
        assert await secret_of(config) is None  # nothing was recorded yet, and the chip says so again

        board(second, "state")  # another board, the old disk
        assert "E-KEY-CHIP" in at.type(provision, ends=1)
        replace, succeeds = sheet[6]
        assert "can never be opened" in at.type(replace).replace("\r\n", " ")
        new_key = at.type(show).split("\r")[0]
        assert new_key != old_key
        at.type(f"rm -f tpm-owner.age && {copy}")

        for command in sheet[5]:  # and out of service
            at.type(command)
        signed = (desk / "certificate.txt").read_text()
        certificate = note.open_note(signed, [PoleKey.parse(new_key, where="")], where="")
        assert json.loads(certificate.split("\n")[2])["pole"] == "sp09"

        board(third, "new-state")  # a third board, and nothing but the certificate
        at.type(succeeds)
        assert at.type(show).split("\r")[0] not in (old_key, new_key)
        assert set(sheet[1] + sheet[2] + sheet[4] + sheet[5] + sheet[6]) <= at.typed
        assert set(sheet) == {1, 2, 4, 5, 6}


def test_the_ceremonys_sheet_names_what_the_code_names() -> None:
    text = SHEET.read_text()
    for name in (
        "E-KEY-RECIPIENTS",
        "E-KEY-BOOT",
        "groups.changed",
        "two_of_three",
        "boot_pcrs",
    ):
        assert name in text
        found = [path for path in (ROOT / "firmware").rglob("*.py") if name in path.read_text()]
        assert found, name
