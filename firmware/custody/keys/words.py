"""Passphrases a person can say on the telephone, write in kana and type on any keyboard.

Knows:  thirty-two syllables that every romanisation of Japanese spells in one way.
Never:  a passphrase a person made up, a list of somebody's words.
Leaves: nine words of three syllables, 135 bits, for instance ``kasane-tomiru-...``.
Clauses: 7.3(1)1 (a strong passphrase; requirements ask for eight words and 103 bits at least).
"""

from __future__ import annotations

import secrets
from typing import Final

from firmware.ground.errors import KeystoreError

SYLLABLES: Final = (
    "ka", "ki", "ku", "ke", "ko", "sa", "su", "se", "so", "ta", "te", "to", "na", "ni", "nu", "ne",
    "no", "ha", "hi", "he", "ho", "ma", "mi", "mu", "me", "mo", "ra", "ri", "ru", "re", "ro", "wa",
)  # fmt: skip
WORDS: Final = 9
SYLLABLES_A_WORD: Final = 3
BITS: Final = WORDS * SYLLABLES_A_WORD * 5  # each of 32 syllables is drawn alike


def new_passphrase() -> str:
    """Return a fresh passphrase of ``BITS`` bits from the system's random source."""
    return "-".join("".join(secrets.choice(SYLLABLES) for _ in range(SYLLABLES_A_WORD)) for _ in range(WORDS))


def tidy(typed: str) -> str:
    """Return what was typed in the one spelling that opens: lower case, one hyphen between words.

    Raises :class:`KeystoreError` (``E-KEY-WORDS``) that says how many words there are, or which is none of ours; it
    never repeats the word.
    """
    words = typed.casefold().replace("-", " ").replace("\u3000", " ").split()
    if len(words) != WORDS:
        raise _mistyped(f"{len(words)} words, {WORDS} expected")
    for place, word in enumerate(words, start=1):
        pieces = [word[at : at + 2] for at in range(0, len(word), 2)]
        if len(pieces) != SYLLABLES_A_WORD or any(piece not in SYLLABLES for piece in pieces):
            raise _mistyped(f"word {place} cannot be right")
    return "-".join(words)


def _mistyped(what: str) -> KeystoreError:
    return KeystoreError(
        "E-KEY-WORDS", what, where="the passphrase", todo="type it again as it was shown when the key was made",
        clause="7.3(1)1",
    )  # fmt: skip
