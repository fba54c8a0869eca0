"""The port: one session with the broker.

Knows:  a topic name, bytes, how long they are worth delivering; the broker's answer as a number.
Never:  a subscription, a message without acknowledgement.
Leaves: reason codes of MQTT 5 (0 is success; 3.1.1 knows no other).
Clauses: 4.1 (publish only).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

SUCCESS: Final = 0x00
NO_SUBSCRIBER: Final = 0x10
NOT_AUTHORISED: Final = 0x87


@dataclass(frozen=True, slots=True)
class Message:
    """One publication with QoS 1. ``expiry_seconds`` is None for what never expires."""

    topic: str
    payload: bytes
    retain: bool = False
    expiry_seconds: int | None = None


class Session(Protocol):
    """An open, authenticated session; leaving its context ends it."""

    @property
    def window(self) -> int:
        """How many publications may be under way at once (at least 1)."""

    @property
    def protocol(self) -> str:
        """``"5"`` or ``"3.1.1"``."""

    async def publish(self, message: Message) -> int:
        """Send ``message``, wait for its PUBACK, return the reason code in it.

        Raises CityError when the session ends first; the message may or may not have arrived then.
        """


Connect = Callable[[Message], AbstractAsyncContextManager[Session]]
"""Opens a session with the given last will. Raises CityError with the reason why not."""
