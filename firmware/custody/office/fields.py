"""What the fields of an act may hold: codes, dates, minutes, public keys, the city's own words for roles and papers.

Knows:  shapes of values, closed lists.
Never:  a person's name.
Leaves: types that refuse anything else at the edge.
Clauses: 4.2(3), 5.1(1), 7.1(4), 7.2(1), 7.3(1)2.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

PoleId = Annotated[str, Meta(pattern=r"^sp[0-9]{2,7}$")]
Account = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{1,23}$")]
"""An officer's code; whose it is stands in the city's own register, not on a pole."""

Code = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
CaseId = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{3,6}$")]
HoldId = Annotated[int, Meta(ge=1, le=999_999)]
Epoch = Annotated[int, Meta(ge=1, le=10**9)]
Instant = Annotated[str, Meta(pattern=r"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z$")]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[01][0-9]-[0-3][0-9]$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Camera = Annotated[str, Meta(pattern=r"^cam[0-9]{1,2}$")]
SshKey = Annotated[
    str,
    Meta(
        pattern=r"^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
        r" [A-Za-z0-9+/]{40,400}={0,2}$"
    ),
]
"""A public key as OpenSSH writes it, without a comment: of a file or of a FIDO2 token (``sk-``). RSA is not taken."""
AgeRecipient = Annotated[str, Meta(pattern=r"^age1[0-9a-z]{20,3000}$")]
WORDS: Final = "words"
SealedTo = Annotated[str, Meta(pattern=r"^(age1[0-9a-z]{20,3000}|words)$")]
"""To what a recipient's packages are sealed: its own age key, or ``words``: nine fresh words each, told another way."""

Words = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A line that a form asks for: an organisation, a document's number. Never a private person's name."""


class Role(StrEnum):
    """An officer's role; one line each in ``authority``. The city's by-laws use the Japanese words."""

    CHIEF = "chief"  # 総括責任者
    MANAGER = "manager"  # 管理責任者 (防犯カメラ管理者)
    HANDLER = "handler"  # 取扱担当者
    DUTY = "duty"  # 当直
    FLOW_MANAGER = "flow-manager"  # 人流管理者: the other administration line (5.1(1))
    AUDITOR = "auditor"  # 監査
    MAINTAINER = "maintainer"  # 保守


class Basis(StrEnum):
    """Why footage may be kept longer (7.1(4)) or handed out (7.2(1))."""

    LAW = "law"  # ① 法令等に基づく場合
    REQUEST = "request"  # ② 捜査機関の要請 (7.1(4)) / 公文書による照会 (7.2(1))


class Instrument(StrEnum):
    """The paper that asks. ``instruments`` says what each is good for and which of them the city has switched on."""

    INVESTIGATION_INQUIRY = "investigation-inquiry"  # 捜査関係事項照会書 (刑訴法197条2項)
    WARRANT = "warrant"  # 令状 (差押え等)
    BAR_INQUIRY = "bar-inquiry"  # 弁護士会照会 (弁護士法23条の2)
    COURT_COMMISSION = "court-commission"  # 文書送付嘱託・調査嘱託
    DISCLOSURE_REQUEST = "disclosure-request"  # 開示請求 (個人情報保護法)
    TELEPHONE = "telephone"  # 電話: good for a provisional hold, for nothing else
    LIFE_PROTECTION = "life-protection"  # 行方不明者の捜索等: not in the guideline (the city must decide)


class RecipientKind(StrEnum):
    """Kinds of bodies that may receive footage: those with powers of investigation, and who else a law names.

    ``instruments`` says which paper of whom is good for anything.
    """

    POLICE_STATION = "police-station"  # 警察署
    POLICE_HEADQUARTERS = "police-headquarters"  # 警察本部
    PROSECUTOR = "prosecutor"  # 検察庁
    COAST_GUARD = "coast-guard"  # 海上保安庁
    NARCOTICS_CONTROL = "narcotics-control"  # 麻薬取締部
    LABOUR_STANDARDS = "labour-standards"  # 労働基準監督署
    COURT = "court"  # 裁判所
    BAR_ASSOCIATION = "bar-association"  # 弁護士会: only where the city has decided for 弁護士会照会


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A paper that asks for footage or its keeping. Its scan is not on the pole, only the scan's hash."""

    number: Words
    date: Day
    authority: Words
    instrument: Instrument
    scan: Sha256 | None = None


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Minutes of one camera, both ends included."""

    camera: Camera
    first_epoch: Epoch
    last_epoch: Epoch


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a recipient may receive (7.3(1)2 閲覧条件); empty or None: no limit. Nothing here widens a case."""

    cameras: tuple[Camera, ...] = ()
    cases: tuple[CaseId, ...] = ()
    first_epoch: Epoch | None = None
    last_epoch: Epoch | None = None
    most_minutes: Annotated[int, Meta(ge=1)] | None = None
    most_deliveries: Annotated[int, Meta(ge=1)] | None = None


class Officer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One officer as the register has it. Until ``not_after``; a deputy has dates of both ends.

    ``group``: whose private half is one of that group's recipients, so that a change of recipients needs the officer.
    ``also``: a role of the other line of administration, good only while a ``role.override`` is in force (5.1(1)).
    """

    account: Account
    role: Role
    key: SshKey
    also: Role | None = None
    group: Literal["a", "b", "c"] | None = None
    not_before: Instant | None = None
    not_after: Instant | None = None
