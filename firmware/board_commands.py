"""``pole provision``, ``rebind`` and ``retire``: the installer's words for what happens to a board's chip.

Knows:  options, sentences, typed words.
Never:  a decision of its own; a secret on the screen.
Leaves: text or one JSON object; exit codes 0 done, 1 refused, 2 wrong usage or settings.
Clauses: 7.3(1)1, 7.3(1)3.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from firmware import board_change
from firmware.drivers.tpm_record import NAME as RECORD
from firmware.ground.clock import SystemClock
from firmware.ground.errors import ConfigError, PoleError
from firmware.ground.log import Log
from firmware.upkeep.whole import load_settings

Config = Annotated[Path, typer.Option("--config", help="Folder with pole.toml, flow.toml and footage.toml.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
Confirm = Annotated[str | None, typer.Option("--confirm", help="The word, instead of being asked for it.")]
OwnerKeyFile = Annotated[
    Path, typer.Option("--owner-key", help="The owner's key, opened at the desk with both officers' keys.")
]
CONFIG: Final = Path("/etc/smartpole")

_PROVISION: Final = (
    "This takes the TPM for this pole: afterwards nobody defines, removes or clears anything in it without the owner's "
    "key, which only the officers together can open. Footage that is there stays readable."
)
_REPLACE: Final = (
    "This gives the old TPM up for good: footage that it sealed can never be opened on this board, nor anywhere else; "
    "the ledger says so and goes on."
)
_RETIRE: Final = (
    "This destroys the keys of all footage on this board for ever; bundles handed out before stay "
    "readable. The board can be provisioned anew for another pole."
)


def provision(
    *,
    config: Config = CONFIG,
    replace: Annotated[bool, typer.Option("--replace", help="The board was changed; the disk came along.")] = False,
    succeeds: Annotated[
        Path | None, typer.Option("--succeeds", help="The disk is gone too: the old ledger's last checkpoint.")
    ] = None,
    confirm: Confirm = None,
    as_json: Json = False,
) -> None:
    """Make this board's TPM this pole's own: keys, policy, owner. Done already: changes nothing and says so."""
    steps: list[dict[str, str]] = []

    def tell(step: str, says: str) -> None:
        steps.append({"step": step, "says": says})
        if not as_json:
            typer.echo(f"{step:<14}{says}")

    with _answering(as_json=as_json):
        settings = load_settings(config)
        if replace or succeeds:
            _ask("REPLACE", _REPLACE, confirm, as_json=as_json)
        elif not (settings.state / RECORD).exists():
            _ask("PROVISION", _PROVISION, confirm, as_json=as_json)
        done = asyncio.run(
            board_change.provision(settings, SystemClock(), Log(), tell, replace=replace, succeeds=succeeds)
        )
        facts = {"changed": done.changed, "steps": steps, "pole_key": done.pole_key, **done.facts}
        groups = {name: str(value) for name, value in done.facts["recipients"].items()}
        _say(
            facts,
            "\n".join(
                [
                    "provisioned" if done.changed else "provisioned already: nothing was changed",
                    f"chip          {done.facts['chip'][:16]} ({done.facts['maker']})",
                    f"pole's key    {done.pole_key}",
                    f"policy        {done.facts['policy'][:16]}, boot registers {done.facts['boot_pcrs'] or 'none'}",
                    f"recipients    {groups['rule']}",
                    *(f"              {name} {value[:16]}" for name, value in groups.items() if name != "rule"),
                    "Give the pole's key to the office and the witness; carry tpm-owner*.age to the office (KEYS.md).",
                ]
            ),
            as_json=as_json,
        )


def rebind(*, owner_key: OwnerKeyFile, config: Config = CONFIG, as_json: Json = False) -> None:
    """After an update of the boot chain: bind the TPM's policy to this boot. Destroys nothing."""
    with _answering(as_json=as_json):
        settings = load_settings(config)
        asyncio.run(board_change.rebind(settings, _read(owner_key), SystemClock(), Log()))
        _say({"rebound": True}, "bound to this boot; the old boot chain is refused from now on", as_json=as_json)


def retire(
    *,
    owner_key: OwnerKeyFile,
    certificate: Annotated[Path, typer.Option("--certificate", help="Where the signed certificate goes; new.")],
    config: Config = CONFIG,
    confirm: Confirm = None,
    as_json: Json = False,
) -> None:
    """Take this board out of service: destroy its keys, certify it, empty the TPM."""
    with _answering(as_json=as_json):
        settings = load_settings(config)
        _ask("RETIRE", _RETIRE, confirm, as_json=as_json)
        facts = asyncio.run(board_change.retire(settings, _read(owner_key), certificate, SystemClock(), Log()))
        minutes = sum(last - first + 1 for first, last in facts["epochs"])
        _say(
            {"certificate": str(certificate), **facts},
            f"retired       {facts['chip'][:16]}: the keys of {minutes} minutes are destroyed\n"
            f"certificate   {certificate}",
            as_json=as_json,
        )


@contextlib.contextmanager
def _answering(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except PoleError as error:
        if not as_json:
            raise
        typer.echo(json.dumps({"error": error.facts()}, ensure_ascii=False))
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


def _say(facts: dict[str, Any], text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else text)


def _ask(word: str, sentence: str, given: str | None, *, as_json: bool) -> None:
    """Have ``word`` typed, after saying what will not be possible any more. Raises ConfigError for any other."""
    if given is None and not as_json:
        typer.echo(sentence)
        given = str(typer.prompt(f"Type {word} to go on", err=True))
    if given != word:
        raise ConfigError("E-CONFIG-WORD", f"not confirmed: {sentence}", where="--confirm", todo=f"type {word}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "E-CONFIG-FILE", f"cannot be read: {error.strerror}", where=str(path), todo="give another file"
        ) from None
