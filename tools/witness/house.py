"""All poles of one witness: their keys, their folders, the lines it says.

Knows:  a folder of poles' public keys, an archive.
Never:  a pole it has no key for; silence about what it found.
Leaves: one line a finding; ``ALARM`` lines for evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from firmware.custody.keys.pole_key import PoleKey
from firmware.ground.clock import NS_PER_SECOND, Clock
from firmware.ground.errors import ConfigError, LedgerError
from tools.witness.archive import Archive
from tools.witness.judge import ALARMS, Finding, read
from tools.witness.key import WitnessSigner

STALE_SECONDS: Final = 3 * 3600
"""A pole signs every 55 minutes; three hours without news are worth a look."""

_SPOKEN: Final = frozenset({Finding.KNOWN})


@dataclass(slots=True)
class House:
    """Poles by the name of their ledger. ``alarms`` counts the evidence found by this process."""

    archives: dict[str, Archive]
    say: Callable[[str], None]
    alarms: int = 0
    strangers: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, folder: Path, poles: Path, signer: WitnessSigner, clock: Clock, say: Callable[[str], None]) -> House:
        """Read every ``*.vkey`` in ``poles`` and open that pole's archive. Raises ConfigError, LedgerError, OSError."""
        keys = [
            PoleKey.parse(path.read_text("utf-8").split("\n")[0], where=str(path))
            for path in sorted(poles.glob("*.vkey"))
        ]
        if not keys:
            raise ConfigError(
                "E-CONFIG-FILE", "there is no pole's key", where=str(poles),
                todo="put the line that each pole's `pole-custodian pole-key` shows into a file <pole>.vkey there",
            )  # fmt: skip
        return cls({key.name: Archive(folder, key, signer, clock) for key in keys}, say)

    def take(self, topic: str, payload: bytes) -> Finding | None:
        """Take one message; None where it is none of ours. Never raises for what a message says."""
        try:
            text = payload.decode("utf-8")
            origin = read(text, where=topic).checkpoint.origin
        except (UnicodeDecodeError, LedgerError):
            self._alarm(f"unreadable: a message on {topic} is no checkpoint")
            return None
        archive = self.archives.get(origin)
        if archive is None:
            if origin not in self.strangers and len(self.strangers) < 1000:
                self.strangers.add(origin)
                self.say(f"unknown pole on {topic}: no key is kept for it")
            return None
        finding = archive.take(text)
        size = read(text, where=topic).checkpoint.size
        if finding in ALARMS:
            self._alarm(f"{finding}: {origin} at {size} lines; evidence in {archive.here}")
        elif finding not in _SPOKEN:
            self.say(f"{finding}: {origin} at {size} lines")
        return finding

    def standing(self, clock: Clock) -> list[tuple[str, str]]:
        """Return ``(state, line)`` of each pole: ``alarm``, ``silent``, ``waiting`` or ``good``."""
        now_seconds, found = clock.utc_ns() // NS_PER_SECOND, list[tuple[str, str]]()
        for name, archive in sorted(self.archives.items()):
            newest, evidence = archive.newest(), archive.evidence()
            seen = archive.seen_utc_seconds(newest.size) if newest else None
            state = (
                "alarm" if evidence
                else "silent" if seen is None or now_seconds - seen > STALE_SECONDS
                else "waiting" if archive.waiting() else "good"
            )  # fmt: skip
            size = f"{newest.size} lines" if newest else "nothing yet"
            age = "" if seen is None else f", {(now_seconds - seen) // 60} min ago"
            found.append((state, f"{state:<8}{name}  {size}{age}  evidence {len(evidence)}"))
        return found

    def _alarm(self, what: str) -> None:
        self.alarms += 1
        self.say(f"WITNESS ALARM {what}")
