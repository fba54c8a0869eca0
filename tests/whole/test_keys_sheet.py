"""board/KEYS.md is true: every command on it is typed, as it stands, by officers and an installer at a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
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
from tests.whole.bench import ROOT, write_settings

SHEET = ROOT / "board" / "KEYS.md"
PROMPT = re.compile(r'(?:Enter passphrase(?: for identity file)?(?: "([^"]*)")?:|Type ([A-Z]+) to go on:?) *$')
PUBLIC = re.compile(r"age1[02-9ac-hj-np-z]{58}")
WORDS = re.compile(r"passphrase +((?:[a-z]+-){8}[a-z]+)")
SECONDS = 60


def sections() -> dict[int, list[str]]:
    """Return the commands of each numbered section, in order."""
    found: dict[int, list[str]] = {}
    number, console = 0, False
    for line in SHEET.read_text().splitlines():
        if heading := re.match(r"## (\d+) ", line):
            number = int(heading[1])
        if line.startswith("```"):
            console = line == "```console"
        elif console:
            assert line.startswith("$ "), line
            found.setdefault(number, []).append(line.removeprefix("$ "))
    return found


@dataclass
class Terminal:
    """Somebody who types what the sheet says, and knows the nine words of each key file once they were shown."""

    desk: Path
    config: Path
    words: dict[str, str] = field(default_factory=dict)
    typed: set[str] = field(default_factory=set)

    def type(self, command: str, *, state: Path | None = None, ends: int = 0) -> str:
        """Type one line; answer what it asks; return what stood on the screen."""
        real = command.replace("/etc/smartpole", str(self.config))
        real = real.replace("/var/lib/smartpole", str(state or self.config / "state"))
        main, side = pty.openpty()
        folder = Path(sys.executable).parent
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", "bash", "-o", "pipefail", "-c", real],  # age asks at its terminal
            cwd=self.desk,
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb", "COLUMNS": "300"},
            stdin=side,
            stdout=side,
            stderr=side,
        )
        os.close(side)
        screen = self._answer(main, process, real)
        assert process.wait() == ends, f"{real}\n{screen}"
        self.typed.add(command)
        return screen

    def _answer(self, main: int, process: subprocess.Popen[bytes], command: str) -> str:
        screen, fresh, until = "", "", time.monotonic() + SECONDS
        while time.monotonic() < until:
            if select.select([main], [], [], 0.1)[0]:
                try:
                    piece = os.read(main, 4096).decode()
                except OSError:
                    break
                screen, fresh = screen + piece, fresh + piece
            elif process.poll() is not None:
                break
            if prompt := PROMPT.search(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", fresh)):
                file = Path(prompt[1] or next((word for word in command.split() if word in self.words), "")).name
                os.write(main, ((prompt[2] or self.words[file]) + "\n").encode())
                fresh = ""
        process.wait(SECONDS)  # before the terminal goes: that would hang up on it
        os.close(main)
        return screen


async def secret_of(config: Path) -> bytes | None:
    settings = load_settings(config)
    keystore, _ = await open_pole_keys(
        settings.footage, settings.state, settings.place.ledger_origin, Log(Silence()), "pole"
    )
    return await keystore.read_secret(0)


async def test_every_command_of_the_sheet_does_what_the_sheet_says(tmp_path: Path) -> None:
    sheet = sections()
    desk = tmp_path / "desk"
    desk.mkdir()
    at = Terminal(desk, tmp_path / "config")

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
            write_settings(at.config, pole={"state_directory": state}, footage=footage, a=a, b=b)

        board(first, "state")
        provision, show, copy = sheet[2]
        assert "provisioned\r" in at.type(provision)
        assert "provisioned already: nothing was changed" in at.type(provision)
        old_key = at.type(show).split("\r")[0]
        at.type(copy)
        assert (desk / "tpm-owner.age").exists()

        await TpmTools(first.tcti).call("pcrextend", f"7:sha256={'ab' * 32}")  # the boot chain was updated
        with pytest.raises(KeystoreError, match="E-KEY-BOOT"):
            await secret_of(at.config)
        for command in sheet[4]:
            at.type(command)
        assert not (desk / "owner.pem").exists()
        assert await secret_of(at.config) is None  # nothing was recorded yet, and the chip says so again

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
