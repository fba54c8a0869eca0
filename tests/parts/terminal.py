"""Somebody at a terminal who types what a page of ours says, as it stands, and answers what is asked."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PROGRAMS: Final = Path(sys.executable).parent
PROMPT: Final = re.compile(
    r'(?:Enter passphrase(?: for identity file)?(?: "(?P<file>[^"]*)")?:'
    r"|Type (?P<word>\S+) to go on:?"
    r"|進めるには (?P<japanese>\S+) と入力してください:?"
    r"|Nine words of group .'s key (?P<key>\S+?): ) *$"  # its last space comes once typing is not thrown away any more
)
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def consoles(page: Path) -> dict[int, list[str]]:
    """Return the commands of each numbered section of a page, in order."""
    found: dict[int, list[str]] = {}
    number, console = 0, False
    for line in page.read_text().splitlines():
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
    """One folder and one person. ``places``: what stands on the page, and what it is in this test.

    ``words``: the nine words of each key file, once they were shown.
    """

    folder: Path
    places: Mapping[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    typed: set[str] = field(default_factory=set)
    seconds: float = 90

    def type(self, command: str, *, ends: int = 0) -> str:
        """Type one line; answer what it asks; return what stood on the screen."""
        real = command
        for old, new in self.places.items():
            real = real.replace(old, new)
        main, side = pty.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", "bash", "-o", "pipefail", "-c", real],  # age asks at its terminal
            cwd=self.folder,
            env={
                **os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "TERM": "dumb", "COLUMNS": "300",
                **self.environment,
            },
            stdin=side,
            stdout=side,
            stderr=side,
        )  # fmt: skip
        os.close(side)
        screen = self._answer(main, process, real)
        assert process.wait() == ends, f"{real}\n{screen}"
        self.typed.add(command)
        return screen

    def _answer(self, main: int, process: subprocess.Popen[bytes], command: str) -> str:
        screen, fresh, until = b"", b"", time.monotonic() + self.seconds
        while time.monotonic() < until:
            if select.select([main], [], [], 0.1)[0]:
                try:
                    piece = os.read(main, 4096)
                except OSError:
                    break
                screen, fresh = screen + piece, fresh + piece
            elif process.poll() is not None:
                break
            if prompt := PROMPT.search(_COLOURS.sub("", fresh.decode("utf-8", "ignore"))):
                os.write(main, (self._reply(prompt, command) + "\n").encode())
                fresh = b""
        if time.monotonic() >= until:
            process.kill()
        process.wait(self.seconds)  # before the terminal goes: that would hang up on it
        os.close(main)
        return screen.decode("utf-8", "replace")

    def _reply(self, prompt: re.Match[str], command: str) -> str:
        if word := prompt["word"] or prompt["japanese"]:
            return word
        named = prompt["file"] or prompt["key"] or next((word for word in command.split() if word in self.words), "")
        return self.words[Path(named).name]
