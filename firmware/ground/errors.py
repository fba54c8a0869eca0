"""The one tree of errors.

Knows:  a stable code, what went wrong, where, which clause asks for it, what to do next.
Never:  personal data, a secret, a foreign exception's free text from a device.
Leaves: one line for a person, the same facts as a mapping for ``--json``.
Clauses: each error names its own.

    PoleError
    |- ConfigError         E-CONFIG-*     a file of settings is wrong; nothing was started
    |- CameraError         E-CAMERA-*     the camera, a video or its lamp
    |- ModelError          E-MODEL-*      a model is not the one the manifest describes
    |- JailError           E-JAIL-*       a child process, or a wall around it that could not be built
    |- StoreError          E-STORE-*      footage could not be kept, or what is kept is damaged
    |- KeystoreError       E-KEY-*        keystore, epoch table, officers' keys
    |- LedgerError         E-LEDGER-*     the ledger does not verify
    |- CityError           E-CITY-*       the broker, the outbox, a record that may not leave
    `- CaseError           E-CASE-*       the office asked for something the guideline does not allow (yet);
                           E-OFFICE-*     or an officer for something that is not theirs to do
"""

from __future__ import annotations


class PoleError(Exception):
    """An error a person can act on.

    ``code`` is stable and begins with ``E-``; ``clause`` is a clause of the guideline, or ``""`` where none asks.
    """

    def __init__(self, code: str, what: str, *, where: str, todo: str, clause: str = "") -> None:
        super().__init__(code, what, where, clause, todo)
        self.code = code
        self.what = what
        self.where = where
        self.clause = clause
        self.todo = todo

    def __str__(self) -> str:
        clause = f" [guideline {self.clause}]" if self.clause else ""
        return f"{self.code}: {self.what} ({self.where}){clause} -> {self.todo}"

    def facts(self) -> dict[str, str]:
        """Return the same facts under the keys ``code what where clause todo``."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "clause": self.clause,
            "todo": self.todo,
        }


class ConfigError(PoleError):
    """A file of settings is wrong; the program ends with exit code 2 and has started nothing."""


class CameraError(PoleError):
    """The camera, a video file or the lamp beside it failed."""


class ModelError(PoleError):
    """A model is not what its manifest says, or could carry an identity (guideline 4.2(2))."""


class JailError(PoleError):
    """A jailed child could not be started, answered nonsense, or missed its deadline."""


class StoreError(PoleError):
    """Footage could not be kept, or something kept is damaged."""


class KeystoreError(PoleError):
    """The keystore, the epoch table or an officer's key refused."""


class LedgerError(PoleError):
    """The ledger does not verify."""


class CityError(PoleError):
    """The broker or the outbox refused, or a record may not leave."""


class CaseError(PoleError):
    """The office asked for something that the guideline does not allow, or not yet."""
