"""``pole-custodian``: the officers' command line. Construction and words; the rules live in ``custody``.

Knows:  its commands, one module a group; a pole's folders; at the desk an officer's key file and passphrase.
Never:  camera, network, people flow; a private half on a pole; a traceback on an officer's screen.
Leaves: key files, bundles, opened films, verdicts; exit code 0 done, 1 refused, 2 wrong usage or settings.
Clauses: 5.1 (apart from people flow), 7.2(1), 7.3(1)1-3.
"""

from __future__ import annotations

from typing import Annotated

import typer

from firmware.custodian.acts import act
from firmware.custodian.audit import conserve, verify_ledger
from firmware.custodian.bundles import check, open_
from firmware.custodian.cases import case
from firmware.custodian.clock import time
from firmware.custodian.erasures import certificate, verify
from firmware.custodian.holds import hold
from firmware.custodian.keys import keygen, pole_key
from firmware.custodian.language import choose
from firmware.custodian.media import medium
from firmware.custodian.morning import morning
from firmware.custodian.officers import officer
from firmware.custodian.packages import package
from firmware.custodian.recipients import recipient, retrievals
from firmware.custody.languages import Language

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
audit = typer.Typer(no_args_is_help=True, help="Judge a ledger, balance its minutes. (監査)")
erasure = typer.Typer(no_args_is_help=True, help="Certify what was erased. (消去証明)")

DAY, DESK, OFFICE, PROOF = "Every day", "At the desk", "The office itself", "What can be proven afterwards"
"""The panels of --help, in the order of an officer's day."""


@app.callback()
def speak(
    *,
    lang: Annotated[Language | None, typer.Option("--lang", help="Of all answers; else the terminal's.")] = None,
) -> None:
    """Keep, hold and hand out footage as the guideline allows, or refuse and say why."""
    choose(lang)


app.command("morning", rich_help_panel=DAY)(morning)
for name, group, panel in (
    ("hold", hold, DAY), ("case", case, DAY), ("time", time, DAY),
    ("medium", medium, DAY), ("retrievals", retrievals, DAY),
    ("officer", officer, OFFICE), ("recipient", recipient, OFFICE), ("act", act, OFFICE),
    ("erasure", erasure, PROOF), ("audit", audit, PROOF),
):  # fmt: skip
    app.add_typer(group, name=name, rich_help_panel=panel)
app.command(rich_help_panel=DESK)(check)
app.command(rich_help_panel=DESK)(package)
app.command("open", rich_help_panel=DESK)(open_)
app.command(rich_help_panel=OFFICE)(keygen)
app.command("pole-key", rich_help_panel=OFFICE)(pole_key)
app.command("verify-ledger", rich_help_panel=PROOF, hidden=True)(verify_ledger)  # its name before there were audits
audit.command("verify")(verify_ledger)
audit.command("conserve")(conserve)
erasure.command("certificate")(certificate)
erasure.command("verify")(verify)


def main() -> None:
    """Run the command line."""
    app()
