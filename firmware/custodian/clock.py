"""Commands about the clock: how good it is, and an officer's signed time where no network proves it.

Knows:  a pole's line of time; at the desk an officer's own clock and key.
Never:  a clock set.
Leaves: a challenge, a signed statement, what it proved.
Clauses: 7.1(3), 7.2(1).

On the pole ``time challenge``; at the officer's desk ``time state``, which signs at once; back on the pole ``time
confirm``, all within ten minutes.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from firmware.custodian.answers import Facts, Json, answering
from firmware.custodian.pole_folder import CONFIG, Config, State, refuse_on_a_pole, settings_of
from firmware.custody.office import stated_time
from firmware.custody.office.acts import MOST_BYTES, TimeStated
from firmware.custody.office.journal import Journal
from firmware.custody.office.signatures import MOST_SIGNATURE_BYTES
from firmware.drivers.pole_keys import open_pole_keys
from firmware.drivers.ssh_keygen import SshKeygen
from firmware.footage.clock_files import WORD_SECONDS, followed_line
from firmware.ground.clock import SystemClock, iso_utc
from firmware.ground.durable import write_file
from firmware.ground.errors import CaseError
from firmware.ground.ledger import Ledger
from firmware.ground.lock import PoleLock
from firmware.ground.log import Log

time = typer.Typer(no_args_is_help=True, help="The pole's clock, and an officer's signed time. (時刻)")


@time.command("show")
def show(*, config_folder: Config = CONFIG, state: State = None, as_json: Json = False) -> None:
    """On a pole: tell who vouches for the clock, how closely, and whether footage may leave."""
    with answering(as_json=as_json) as answer:
        _, _, folder = settings_of(config_folder, state)
        facts = _standing(folder)
        answer(
            facts,
            f"clock        {'proven' if facts['clock_proven'] else 'not proven'} ({facts['clock_source']})\n"
            f"uncertainty  {_width(facts)}\nfootage      {'may leave' if facts['release_open'] else 'is locked'}",
        )


@time.command("challenge")
def challenge(*, config_folder: Config = CONFIG, state: State = None, as_json: Json = False) -> None:
    """On a pole: draw a challenge for an officer's own clock to answer, within ten minutes."""
    with answering(as_json=as_json) as answer:
        pole, _, folder = settings_of(config_folder, state)
        drawn = asyncio.run(
            stated_time.draw_challenge(folder / "footage", pole.pole, SystemClock(), PoleLock(folder / "lock"))
        )
        answer(
            {"pole": pole.pole, "challenge": drawn.nonce, "good_for_seconds": WORD_SECONDS},
            f"challenge    {drawn.nonce}\n"
            "At the desk: pole-custodian time state "
            f"{pole.pole} {drawn.nonce} --by ACCOUNT --key KEYFILE --out time.act\n"
            f"Bring time.act and time.act.ACCOUNT.sig back within {WORD_SECONDS // 60} minutes: time confirm time.act",
        )


@time.command("state")
def state_time(
    pole: Annotated[str, typer.Argument(help="The pole, as on its sign.")],
    nonce: Annotated[str, typer.Argument(help="The challenge that the pole drew.")],
    *,
    by: Annotated[str, typer.Option("--by", help="The officer's account.")],
    key: Annotated[Path, typer.Option("--key", help="The officer's SSH key file (its .pub beside it).")],
    out: Annotated[Path, typer.Option("--out", help="The statement; its signature lies beside it.")],
    as_json: Json = False,
) -> None:
    """At the desk: state what this machine's clock says, in answer to a pole's challenge, and sign it."""
    with answering(as_json=as_json) as answer:
        refuse_on_a_pole()
        public = " ".join(key.with_name(key.name + ".pub").read_text("utf-8").split()[:2])
        now = iso_utc(SystemClock().utc_ns())
        act = TimeStated(pole=pole, utc=now, by=by, nonce=secrets.token_hex(16), challenge=nonce, officers_utc=now)
        signature = asyncio.run(SshKeygen(os.environ).sign(act.encoded(), public, key))
        beside = out.with_name(f"{out.name}.{by}.sig")
        write_file(out, act.encoded(), mode=0o644)
        write_file(beside, signature, mode=0o644)
        answer(
            {"file": str(out), "signature": str(beside), "stated_utc": now}, f"stated       {now}\nfile         {out}"
        )


@time.command("confirm")
def confirm(
    file: Annotated[Path, typer.Argument(help="The statement; its signature lies beside it as FILE.ACCOUNT.sig.")],
    *,
    config_folder: Config = CONFIG,
    state: State = None,
    as_json: Json = False,
) -> None:
    """On a pole: judge an officer's statement; the running pole then takes its clock as proven."""
    with answering(as_json=as_json) as answer:
        data = file.read_bytes()[: MOST_BYTES + 1]
        facts = asyncio.run(_confirm(config_folder, state, data, _signatures(file)))
        answer(
            facts,
            f"signed by    {facts['by']}\nuncertainty  {_width(facts)}\n"
            "The pole takes it within ten seconds, erases what is due by it, and then footage may leave: time show",
        )


def _signatures(file: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(file.parent.glob(f"{file.name}.*.sig")):
        account = path.name.removeprefix(f"{file.name}.").removesuffix(".sig")
        found[account] = path.read_bytes()[: MOST_SIGNATURE_BYTES + 1]
    if not found:
        raise CaseError(
            "E-OFFICE-SIGNERS", "there is no signature beside the statement", where=str(file),
            todo=f"bring {file.name}.ACCOUNT.sig too", clause="7.3(1)2",
        )  # fmt: skip
    return found


async def _confirm(config_folder: Path, state: Path | None, data: bytes, given: dict[str, bytes]) -> Facts:
    pole, footage, folder = await asyncio.to_thread(settings_of, config_folder, state)
    clock, lock = SystemClock(), PoleLock(folder / "lock")
    _, signer = await open_pole_keys(footage, folder, pole.ledger_origin, Log())
    ledger = await asyncio.to_thread(lambda: Ledger.open(folder / "ledger", signer, clock, mend=False))

    def instant() -> tuple[int, bool]:
        line = followed_line(clock, folder / "footage")
        return line.now_ns(), line.settled

    signatures = SshKeygen(os.environ)
    journal = await Journal.open(folder / "custody" / "acts", pole.pole, ledger, lock, signatures, instant)
    entry, word = await stated_time.confirm(journal, data, given, folder / "footage", clock, lock)
    return {"by": entry.act.by, "ledger_line": entry.line, "uncertainty_ms": word.uncertainty_ms}


def _standing(folder: Path) -> Facts:
    line = followed_line(SystemClock(), folder / "footage")
    state = line.state
    return {
        "clock_proven": state.proven,
        "clock_source": state.source,
        "uncertainty_ms": state.uncertainty_ms,
        "release_open": line.settled,
    }


def _width(facts: Facts) -> str:
    return f"±{facts['uncertainty_ms'] / 1000:g} s" if facts["uncertainty_ms"] >= 0 else "unknown"
