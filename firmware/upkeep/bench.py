"""Settings of a bench, for a replay that was given none; what of them a pole may not keep.

Knows:  a pole that stands nowhere, and officers that nobody is.
Never:  a private key: the two recipients below have none that anybody knows, so such footage opens for nobody.
Leaves: the three structs of settings, or a refusal.
Clauses: 7.3(1)1 (footage without named officers stays shut), 6.1(2), 7.1(2) (a notice hangs), 1 (a bench is none).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from firmware.flow.settings import FlowSettings
from firmware.footage.settings import FootageSettings, Officers
from firmware.ground.errors import ConfigError
from firmware.upkeep.settings import Location, PoleSettings

NOBODY_A: Final = "age1kaefhv457j3zk6adluza6lv5e3y4rf5lxaz0sx5s689lnd4l323s3wn9me"
NOBODY_B: Final = "age1mq792ys9cd5c4ykq6qxqsfdnzzysnxmg0d52qc8p75n7ty8zzs2su9ck54"
"""X25519 points that are SHA-256("smart-pole bench, group a") and "... b": hashes, so nobody has a private half."""
NO_NOTICE: Final = "0" * 64
"""The hash of no file: nothing hangs at a bench."""


def bench_settings() -> tuple[PoleSettings, FlowSettings, FootageSettings]:
    """Return settings under which any video can be replayed: software keystore, no broker, officers that nobody is."""
    return (
        PoleSettings(
            pole="sp00",
            profile="bench",
            site="smartpole.example",
            location=Location(longitude=139.1559, latitude=35.2525),
            notice_sha256=NO_NOTICE,
            state_directory="state",
            models_directory="models",
        ),
        FlowSettings(),
        FootageSettings(officers=Officers(a=(NOBODY_A,), b=(NOBODY_B,)), keystore="software", time_source="none"),
    )


def refuse_examples(pole: PoleSettings, footage: FootageSettings, *, folder: Path) -> None:
    """Refuse what stands in the example settings to be replaced. Raises ConfigError under ``profile = "pole"``.

    The two officers first: a pole that seals to keys nobody holds keeps footage that no lawful case can ever open.
    """
    if pole.profile == "bench":
        return
    for group, recipients in zip(footage.officers.names, footage.officers.groups, strict=True):
        if {NOBODY_A, NOBODY_B} & set(recipients):
            raise ConfigError(
                "E-CONFIG-LAW",
                "this key is the example's, which nobody holds: footage sealed to it opens for nobody, ever",
                where=f"{folder / 'footage.toml'}: officers.{group}",
                clause="7.3(1)1",
                todo="replace it by an officer's own, made with: pole-custodian keygen",
            )
    if pole.notice_sha256 == NO_NOTICE:
        raise ConfigError(
            "E-CONFIG-LAW",
            "this is the hash of no notice, so nothing tells people here that a camera runs, and what for",
            where=f"{folder / 'pole.toml'}: notice_sha256",
            clause="6.1(2)",
            todo="hang the notice and write its hash: sha256sum notice.pdf",
        )
