"""The record of retrievals: a row for each outcome, whatever became of the recipient; no cell is a formula."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

from firmware.custody.office import acts
from firmware.custody.office.acts import AnyAct
from firmware.custody.office.fields import Basis, RecipientKind, Span
from firmware.custody.office.journal import Entry
from firmware.custody.office.retrievals import Retrieval, as_csv, as_facts, retrievals
from firmware.ground.clock import iso_utc
from tests.parts.role_sweep import DAY, INQUIRY, NOW, POLE, SPAN, age_keys

CASE = {"case": "2026-0012"}


@dataclass
class History:
    """Acts that took effect, a day apart."""

    entries: list[Entry] = field(default_factory=list)

    def then(self, kind: type[AnyAct], by: str, /, **fields: Any) -> History:
        number = len(self.entries) + 1
        at_ns = NOW + number * DAY
        act = kind(pole=POLE, utc=iso_utc(at_ns), by=by, nonce=f"{number:032x}", **fields)
        self.entries.append(Entry(number, act, (by,), at_ns, True, number))
        return self

    def rows(self) -> tuple[Retrieval, ...]:
        return retrievals(self.entries)


def scoped(organisation: str = "小田原警察署") -> History:
    return (
        History()
        .then(acts.RecipientAdded, "manager", recipient="odawara-ps", organisation=organisation,
              kind=RecipientKind.POLICE_STATION, age_recipient=age_keys()[0], not_after=iso_utc(NOW + 90 * DAY))
        .then(acts.CaseOpened, "handler", **CASE)
        .then(acts.CaseDocumented, "handler", **CASE, basis=Basis.REQUEST, document=INQUIRY)
        .then(acts.CaseScoped, "handler", **CASE, spans=(SPAN,), recipient="odawara-ps")
    )  # fmt: skip


def delivered(history: History) -> History:
    return (
        history.then(acts.CaseApproved, "chief", **CASE, dossier="2" * 64)
        .then(acts.CaseApproved, "manager", **CASE, dossier="2" * 64)
        .then(acts.CaseSealed, "handler", **CASE, dossier="2" * 64)
        .then(acts.CaseHandedOver, "handler", **CASE, package="1" * 64, medium="usb-07")
    )


def test_nothing_stands_there_before_an_outcome() -> None:
    assert scoped().rows() == ()


def test_a_delivery_says_who_when_what_and_on_which_paper() -> None:
    (row,) = delivered(scoped()).rows()
    assert (row.result, row.by, row.approved_by) == ("handed-over", "handler", ("chief", "manager"))
    assert (row.document, row.authority, row.organisation) == ("小刑発第123号", "小田原警察署", "小田原警察署")
    assert (row.minutes, row.spans, row.package, row.medium) == (101, (SPAN,), "1" * 64, "usb-07")
    assert (row.at, row.act) == (iso_utc(NOW + 8 * DAY), 8)


def test_a_receipt_and_a_removed_recipient_change_no_other_fact() -> None:
    history = delivered(scoped())
    (before,) = history.rows()
    history.then(acts.CaseReceipted, "handler", **CASE, date="2026-12-20")
    history.then(acts.RecipientRemoved, "manager", recipient="odawara-ps")
    (after,) = history.rows()
    changed = {name for name, value in as_facts(after).items() if value != as_facts(before)[name]}
    assert (changed, after.result, after.receipt) == ({"result", "receipt"}, "receipted", "2026-12-20")


def test_an_extension_is_a_row_of_its_own_and_approved_anew() -> None:
    more = Span(camera="cam0", first_epoch=SPAN.last_epoch + 1, last_epoch=SPAN.last_epoch + 5)
    history = delivered(scoped()).then(acts.CaseScoped, "handler", **CASE, spans=(more,), recipient="odawara-ps")
    first, second = delivered(history).rows()
    assert (first.minutes, second.minutes, first.act < second.act) == (101, 5, True)
    assert second.approved_by == ("chief", "manager")


def test_refusals_and_withdrawals_stand_there_too() -> None:
    refused = scoped().then(acts.CaseRefused, "chief", **CASE, reason="too-wide").rows()
    withdrawn = scoped().then(acts.CaseWithdrawn, "handler", **CASE).rows()
    assert [(row.result, row.package) for row in (*refused, *withdrawn)] == [("refused", ""), ("withdrawn", "")]


def test_a_spreadsheet_of_the_office_opens_it() -> None:
    content = as_csv(delivered(scoped("=HYPERLINK(1)")).rows())
    assert content.startswith(b"\xef\xbb\xbf")
    assert content.endswith(b"\r\n")
    (row,) = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert row["organisation"] == "'=HYPERLINK(1)"
    assert row["approved_by"] == "chief/manager"
    assert row["spans"].startswith("cam0 2026-")
