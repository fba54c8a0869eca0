"""What an officer is told before signing: in one sentence, what will and what will not be possible afterwards.

Knows:  acts, by the names that ``authority`` has for them.
Never:  a sentence in a command, an irreversible act without a word to type.
Leaves: sentences, and for what cannot be undone the word to type.
Clauses: 7.3(1)2, 7.2(1), 7.1(4), 5.1(1).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from firmware.custody.languages import Language
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.register import name_of
from firmware.custody.office.sentences_ja import AFTERWARDS_JA, ASKING_JA
from firmware.ground.clock import NS_PER_MINUTE, iso_utc

AFTERWARDS: Final[Mapping[str, str]] = MappingProxyType({
    "officers.founded":
        "These officers alone decide on this pole from now on, and only they can name others; nobody can found a "
        "second time.",
    "role.granted":
        "{officer[account]} acts as {officer[role]} on this pole from now on, in the place of whatever they were "
        "before; approving a release stays with chief and manager.",
    "role.granted:decider":
        "{officer[account]} can decide as {officer[role]} from now on, also about footage leaving the pole or about "
        "whose keys open it; alone they still release nothing.",
    "role.granted:outside":
        "{officer[account]} can look on as {officer[role]}, and can place, approve and hand out nothing here.",
    "role.revoked": "{account} signs nothing more on this pole; what they signed before stays valid.",
    "role.revoked:decider":
        "{account} decides nothing more on this pole, and cases that wait for their approval need another's; what "
        "they signed before stays valid.",
    "role.revoked:outside": "{account} has no role on this pole any more; what was recorded stays.",
    "role.override":
        "{account} may hold both lines of administration until {until}, which everybody can see in the ledger; then "
        "the second role rests by itself.",
    "role.override:own":
        "{account} may hold both lines of administration until {until}, which everybody can see in the ledger; then "
        "the second role rests by itself.",
    "groups.changed":
        "What is recorded from the next keys on opens only with the new groups; what was recorded before opens only "
        "with the old ones, so keep those keys.",
    "recipient.added":
        "{organisation} can receive footage in an approved case until {not_after}, sealed to its key; without a "
        "case it receives nothing.",
    "recipient.changed":
        "{recipient} receives by the new key, date and conditions from now on; what was handed out before stays as "
        "it is.",
    "recipient.suspended": "{recipient} receives nothing until it is resumed; its history stays.",
    "recipient.resumed":
        "{recipient} can receive footage in an approved case again, until its date and under its conditions.",
    "recipient.removed":
        "{recipient} receives nothing ever again under this code, and the code is used up; its history stays for "
        "good.",
    "hold.placed":
        "{minutes} of {span[camera]} are kept until {ends} and no longer, unless a document confirms the hold; "
        "nobody can look at them by it.",
    "hold.placed:document":
        "{minutes} of {span[camera]} are kept until {ends}, then a new decision is needed; nobody can look at them "
        "by it.",
    "hold.confirmed":
        "Hold {hold} lasts until {ends}, then a new decision is needed; nobody can look at its minutes by it.",
    "hold.renewed": "Hold {hold} lasts until {ends}, then a new decision is needed.",
    "hold.renewed:year":
        "Hold {hold} lasts until {ends}, beyond twelve months after it was placed; then two must decide anew.",
    "hold.lifted":
        "The minutes of hold {hold} go as if it had never been: what is older than 336 hours is erased with the "
        "next rewrite and nobody can bring it back.",
    "case.opened": "Case {case} is a draft; nothing can leave the pole by it yet.",
    "case.documented":
        "Case {case} has its document; approvals given before are void, and nothing leaves before two officers "
        "approve.",
    "case.scoped":
        "Case {case} asks for exactly these minutes; approvals given before are void, and nothing beyond them can "
        "leave by it.",
    "case.approved":
        "Once a chief and a manager approved exactly this dossier, the minutes of case {case} can leave the pole; "
        "any later change voids your approval.",
    "case.refused": "Case {case} ends here with a letter: nothing leaves by it, and it cannot be opened again.",
    "case.withdrawn": "Case {case} ends here: nothing leaves by it, and it cannot be opened again.",
    "case.sealed":
        "The minutes of case {case} leave the pole in a bundle that both groups of officers can open, also after "
        "they are erased here; that cannot be called back.",
    "case.handed_over": "The package of case {case} is in the recipient's hands; the city cannot erase it there.",
    "case.receipted": "Case {case} has its receipt and can be closed.",
    "case.closed": "Case {case} is closed: nothing can be added to it, and its record stays.",
    "medium.registered": "{medium} can carry packages of this pole's cases from now on.",
    "medium.out": "{medium} is out in case {case}; it must come back and be sanitised, or be reported lost.",
    "medium.returned": "{medium} is back and stays here until it is sanitised.",
    "medium.sanitised": "What was on {medium} is gone ({method}); after destroy it can never go out again.",
    "medium.lost": "{medium} counts as lost, which must be reported; what it carries is sealed to its recipient.",
    "clock.stated":
        "The pole takes {officers_utc} for proven: what is older than 336 hours by it is erased and nobody can "
        "bring it back.",
})  # fmt: skip
"""By :func:`register.of`. Fields of the act stand in braces; ``ends`` and ``minutes`` for numbers of minutes."""

_WORDS: Final[Mapping[str, str]] = MappingProxyType({
    "officers.founded": "{pole}",
    "role.revoked": "{account}",
    "role.override": "{account}",
    "groups.changed": "{pole}",
    "recipient.removed": "{recipient}",
    "hold.lifted": "{hold}",
    "case.refused": "{case}",
    "case.withdrawn": "{case}",
    "case.sealed": "{case}",
    "case.handed_over": "{case}",
    "case.closed": "{case}",
    "medium.sanitised": "{medium}",
    "clock.stated": "{pole}",
})  # fmt: skip

ASKING: Final[Mapping[str, str]] = MappingProxyType({
    "word": "This cannot be undone. Type {word} to go on",
    "drawn-up":
        "Sign it with: ssh-keygen -Y sign -n act.smartpole -f YOUR_KEY {file}\n"
        "then rename {file}.sig to {file}.ACCOUNT.sig, bring all files to the pole within 72 hours, and there: act "
        "submit {file}",
    "aside": "An act was cut off before it took effect; its files lie in {path}. Do it again if it is still wanted.",
    "partial": "PARTIAL HOLD: {count} minutes cannot be kept: {gone}",
    "nine-words": "Nine words of group {group}'s key {file}",
    "minutes": "The minutes {first} to {last}",
})  # fmt: skip


def afterwards(what: str, act: AnyAct, language: Language = Language.EN) -> str:
    """Return the sentence for ``act``, which :func:`register.of` calls ``what``."""
    sentences = AFTERWARDS_JA if language is Language.JA else AFTERWARDS
    return sentences[what].format(**_facts(act, language))


def asking(which: str, language: Language = Language.EN, /, **fields: object) -> str:
    """Return what else an officer is asked or told on the way; ``which`` is a key of ``ASKING``."""
    return (ASKING_JA if language is Language.JA else ASKING)[which].format(**fields)


def word_for(act: AnyAct) -> str | None:
    """Return the word to type before an act that cannot be undone (a code of the act itself); None for one that can."""
    word = _WORDS.get(name_of(act))
    return None if word is None else word.format(**_facts(act))


def _facts(act: AnyAct, language: Language = Language.EN) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(act)
    if "ends_epoch" in facts:
        facts["ends"] = iso_utc(facts["ends_epoch"] * NS_PER_MINUTE)
    if "span" in facts:
        span = facts["span"]
        first, last = (iso_utc(span[name] * NS_PER_MINUTE) for name in ("first_epoch", "last_epoch"))
        facts["minutes"] = asking("minutes", language, first=first, last=last)
    return facts
