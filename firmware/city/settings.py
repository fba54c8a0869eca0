"""The ``[broker]`` table of pole.toml: how to reach the city's broker.

Knows:  an address, names of certificate files.
Never:  a password, a key's bytes, TLS below 1.3.
Leaves: one frozen struct.
Clauses: 6.3(1) (nobody listens in), 4.1 (one broker, one identity).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from firmware.ground.config import OutOfLaw

HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$")]


class BrokerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Broker of the city's data platform. Files are relative to the folder of pole.toml.

    ``plain`` turns TLS off; only a bench may. ``hold_without_subscriber`` keeps records that the broker accepted
    while nobody subscribed (MQTT 5 reason 16); turn it off for a broker that stores messages by rules of its own.
    """

    host: HostName
    port: Annotated[int, Meta(ge=1, le=65535)] = 8883
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    plain: bool = False
    keepalive_seconds: Annotated[int, Meta(ge=5, le=600)] = 30
    hold_without_subscriber: bool = True

    def __post_init__(self) -> None:
        """Refuse half a TLS configuration; raises OutOfLaw."""
        files = (self.ca_file, self.certificate_file, self.key_file)
        if self.plain and any(files):
            raise OutOfLaw(
                "broker.plain",
                "certificates are named, but plain = true would not use them",
                clause="6.3(1)",
                todo="remove plain, or remove the three files",
            )
        if not self.plain and not all(files):
            raise OutOfLaw(
                "broker.ca_file",
                "the session with the city needs ca_file, certificate_file and key_file",
                clause="6.3(1)",
                todo="name the three files; a bench without TLS says plain = true",
            )
