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
from firmware.custodian.officers import officer
from firmware.custodian.packages import package
from firmware.custodian.recipients import recipient, retrievals
from firmware.custody.languages import Language

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
audit = typer.Typer(no_args_is_help=True, help="Judge records.")
erasure = typer.Typer(no_args_is_help=True, help="Certify what was erased.")
app.add_typer(audit, name="audit")
app.add_typer(erasure, name="erasure")
app.add_typer(time, name="time")
for name, group in (
    ("officer", officer), ("recipient", recipient), ("retrievals", retrievals), ("medium", medium), ("hold", hold),
    ("case", case), ("act", act),
):  # fmt: skip
    app.add_typer(group, name=name)


@app.callback()
def speak(
    *,
    lang: Annotated[Language | None, typer.Option("--lang", help="Of all answers; else the terminal's.")] = None,
) -> None:
    """Keep, hold and hand out footage as the guideline allows, or refuse and say why."""
    choose(lang)


app.command()(keygen)
app.command("open")(open_)
app.command()(check)
app.command()(package)
app.command("pole-key")(pole_key)
app.command("verify-ledger")(verify_ledger)
audit.command("verify")(verify_ledger)
audit.command("conserve")(conserve)
erasure.command("certificate")(certificate)
erasure.command("verify")(verify)


def main() -> None:
    """Run the command line."""
    app()
