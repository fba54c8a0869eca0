"""The two languages of everything an officer reads.

Knows:  their codes.
Never:  a third language put together from the two.
Leaves: an enumeration.
Clauses: 0 (explained so that it is understood), 7.3(1)2.
"""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    """A language that every sentence for an officer exists in."""

    JA = "ja"
    EN = "en"
