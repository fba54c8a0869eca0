"""Settings of a bench, for a replay that was given none.

Knows:  a pole that stands nowhere, and officers that nobody is.
Never:  a private key: the two recipients below have none that anybody knows, so such footage opens for nobody.
Leaves: the three structs of settings.
Clauses: 7.3(1)1 (footage without named officers stays shut), 1 (a bench is not a pole, and says so).
"""

from __future__ import annotations

from typing import Final

from firmware.flow.settings import FlowSettings
from firmware.footage.settings import FootageSettings, Officers
from firmware.upkeep.settings import Location, PoleSettings

NOBODY_A: Final = "age1kaefhv457j3zk6adluza6lv5e3y4rf5lxaz0sx5s689lnd4l323s3wn9me"
NOBODY_B: Final = "age1mq792ys9cd5c4ykq6qxqsfdnzzysnxmg0d52qc8p75n7ty8zzs2su9ck54"
"""X25519 points that are SHA-256("smart-pole bench, group a") and "... b": hashes, so nobody has a private half."""


def bench_settings() -> tuple[PoleSettings, FlowSettings, FootageSettings]:
    """Return settings under which any video can be replayed: software keystore, no broker, officers that nobody is."""
    return (
        PoleSettings(
            pole="sp00",
            profile="bench",
            site="smartpole.example",
            location=Location(longitude=139.1559, latitude=35.2525),
            notice_sha256="0" * 64,
            state_directory="state",
            models_directory="models",
        ),
        FlowSettings(),
        FootageSettings(officers=Officers(a=(NOBODY_A,), b=(NOBODY_B,)), keystore="software"),
    )
