"""The TPM through tpm2-tools: two NV indices for the eraser, sessions that hide them on the bus.

Knows:  a TCTI, NV indices, argument lists.
Never:  a secret in an argument, in the environment or in a file: secrets pass through pipes, contexts through memory.
Leaves: 32-byte secrets in the TPM's NV, overwritten by zeros when erased.
Clauses: 7.1(3) (a secret overwritten in the TPM is gone), 7.3(1)1.

The programs of tpm2-tools are used rather than a library because they come with every distribution's TSS and need no
compiler on the pole. Every transfer of a secret goes through an HMAC session salted to the TPM's own storage key, with
parameter encryption: a probe on the bus sees ciphertext (an interposer that answers in the TPM's stead is not met by
this, see THREATS). ``/dev/tpmrm0`` lets other programs use the TPM meanwhile; between ``pole`` and ``custodian`` the
pole's lock decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Literal, Protocol

from firmware.drivers.keystore_software import refuse_unfit
from firmware.footage.ports import SECRET_BYTES, SecretSlot
from firmware.ground.errors import KeystoreError

_CALL_SECONDS: Final = 20.0
_UNINITIALISED: Final = "0x14A"
_NV_ATTRIBUTES: Final = "ownerread|ownerwrite|authread|authwrite|no_da"
_EXHAUSTED: Final = ("0x902", "0x903", "0x904", "0x905")
"""No place left for an object or a session: a process that was killed left its own behind."""
_HANDLE: Final = re.compile(r"0x[0-9A-Fa-f]+")


class TpmTools:
    """Runs one tpm2 program at a time against ``tcti`` (``device:/dev/tpmrm0``, ``swtpm:...``)."""

    def __init__(self, tcti: str) -> None:
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TPM2TOOLS_TCTI": tcti,
            "TSS2_LOG": "all+NONE",
        }
        self._tcti = tcti
        self._gate = asyncio.Lock()

    async def call(self, *arguments: str, give: bytes = b"", files: tuple[int, ...] = ()) -> bytes:
        """Run ``tpm2 arguments``, ``give`` on its input; return its output.

        ``files``: descriptors it inherits, named ``/proc/self/fd/N`` in the arguments. Raises KeystoreError E-KEY-TPM
        when the program is missing, fails or takes longer than 20 s (it is then killed).
        """
        async with self._gate:
            try:
                process = await asyncio.create_subprocess_exec(
                    "tpm2",
                    *arguments,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=self._environment,
                    pass_fds=files,
                )
            except OSError as error:
                raise self._failed(arguments[0], error.strerror or "cannot start") from None
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    output, errors = await process.communicate(give)
            except TimeoutError:
                raise self._failed(arguments[0], f"no answer within {_CALL_SECONDS:g} s") from None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        if process.returncode:
            raise self._failed(arguments[0], _last_code(errors, process.returncode))
        return output

    @asynccontextmanager
    async def hidden_session(self) -> AsyncIterator[tuple[str, int]]:
        """Open a salted, encrypting HMAC session on a chip that nobody owns; give ``(path, descriptor)`` of it.

        The context holds the session's key, so it must not touch a disk.
        """
        with memory_file("tpm-storage-key") as (path, parent):
            await self._with_room("createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", path, files=(parent,))
            await self.flush()
            async with self.session("--hmac-session", (path, parent)) as session:
                yield session

    @asynccontextmanager
    async def session(
        self, kind: Literal["--hmac-session", "--policy-session"], salt: tuple[str, int], *, hidden: bool = True
    ) -> AsyncIterator[tuple[str, int]]:
        """Open a session salted to the key in ``salt`` (path, descriptor); ``hidden``: it encrypts in both directions.

        Hidden or not, what it carries is authenticated: nobody on the bus can change it.
        """
        with memory_file("tpm-session") as (path, session):
            await self._with_room(
                *("startauthsession", kind, f"--tpmkey-context={salt[0]}", "-S", path), files=(salt[1], session)
            )
            try:
                if hidden:
                    await self.call("sessionconfig", "--enable-decrypt", "--enable-encrypt", path, files=(session,))
                yield path, session
            finally:
                with contextlib.suppress(KeystoreError):  # the first failure is the one to tell
                    await self.call("flushcontext", path, files=(session,))
                await self.flush()

    async def _with_room(self, *arguments: str, files: tuple[int, ...]) -> None:
        """Call; where the chip has no room left, free what a process that was killed left in it, and call again."""
        try:
            await self.call(*arguments, files=files)
        except KeystoreError as error:
            if not any(code in error.what for code in _EXHAUSTED):
                raise
            await self._flush_orphans()
            await self.call(*arguments, files=files)

    async def _flush_orphans(self) -> None:
        """Free every session and object: the pole's lock is held, so they are those of a process that was killed."""
        for kind in ("-t", "-l", "-s"):
            with contextlib.suppress(KeystoreError):
                await self.call("flushcontext", kind)

    async def flush(self) -> None:
        """Free the TPM's few transient places (a resource manager does it by itself; a bare socket does not)."""
        with contextlib.suppress(KeystoreError):
            await self.call("flushcontext", "-t")

    def _failed(self, tool: str, what: str) -> KeystoreError:
        return KeystoreError(
            "E-KEY-TPM",
            f"tpm2 {tool}: {what}",
            where=self._tcti,
            todo="check the TPM, its TCTI and that tpm2-tools is installed",
            clause="7.3(1)1",
        )


class Policy(Protocol):
    """A provisioned chip's policy (``tpm_guard.Guard``): sessions in which one act is possible."""

    def session(self, act: Literal["read", "write"]) -> AbstractAsyncContextManager[tuple[str, int]]:
        """Give ``(path, descriptor)`` of a session for one ``act``. Raises KeystoreError."""


class TpmKeystore:
    """Implements ``footage.ports.Keystore`` in NV ``first_index`` and the one after it.

    With ``policy`` the two places were defined by ``pole provision`` and are reached through it alone; without, the
    chip belongs to nobody (a bench) and the places are defined when they are first written.
    """

    name: Literal["software", "tpm2"] = "tpm2"
    erases = True

    def __init__(self, tools: TpmTools, first_index: int = 0x0150_0010, policy: Policy | None = None) -> None:
        self._tools = tools
        self._first_index = first_index
        self._policy = policy

    async def read_secret(self, slot: SecretSlot) -> bytes | None:
        """See the port."""
        if self._policy is None and not await self._defined(slot):
            return None
        async with self._session("read") as (session, descriptor):
            try:
                secret = await self._tools.call(
                    *("nvread", self._index(slot), "-C", self._who(slot), "-P", f"session:{session}"),
                    *("-s", str(SECRET_BYTES)),
                    files=(descriptor,),
                )
            except KeystoreError as error:
                if _UNINITIALISED in error.what:  # defined, never written
                    return None
                raise
        return secret if len(secret) == SECRET_BYTES and any(secret) else None

    async def write_secret(self, slot: SecretSlot, secret: bytes) -> None:
        """See the port."""
        refuse_unfit(secret)
        if self._policy is None and not await self._defined(slot):
            await self._tools.call(
                "nvdefine", self._index(slot), "-Q", "-C", "o", "-s", str(SECRET_BYTES), "-a", _NV_ATTRIBUTES
            )
        await self._put(slot, secret)

    async def erase_secret(self, slot: SecretSlot) -> None:
        """See the port. Zeros go over the secret; the index stays defined, so that nothing can take its place."""
        if self._policy or await self._defined(slot):  # behind a policy the chip itself must say yes
            await self._put(slot, bytes(SECRET_BYTES))  # 7.1(3)

    async def _put(self, slot: SecretSlot, value: bytes) -> None:
        async with self._session("write") as (session, descriptor):
            await self._tools.call(
                *("nvwrite", self._index(slot), "-Q", "-C", self._who(slot), "-P", f"session:{session}", "-i", "-"),
                give=value,
                files=(descriptor,),
            )

    def _session(self, act: Literal["read", "write"]) -> AbstractAsyncContextManager[tuple[str, int]]:
        return self._policy.session(act) if self._policy else self._tools.hidden_session()

    def _who(self, slot: SecretSlot) -> str:
        """Return by whose right the place is used: its own policy's, or the owner's where nobody owns the chip."""
        return self._index(slot) if self._policy else "o"

    async def _defined(self, slot: SecretSlot) -> bool:
        return self._first_index + slot in await handles(self._tools, "nv-index")

    def _index(self, slot: SecretSlot) -> str:
        return f"0x{self._first_index + slot:08x}"


async def handles(tools: TpmTools, kind: Literal["nv-index", "persistent"]) -> set[int]:
    """Return what is defined in the chip. Raises KeystoreError."""
    listed = await tools.call("getcap", f"handles-{kind}")
    return {int(text, 16) for text in _HANDLE.findall(listed.decode("ascii", "replace"))}


@contextlib.contextmanager
def memory_file(name: str, content: bytes = b"") -> Iterator[tuple[str, int]]:
    """Give ``(path, descriptor)`` of a file in memory; a tool that inherits the descriptor opens the path."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}", descriptor
    finally:
        os.close(descriptor)


def _last_code(errors: bytes, returncode: int) -> str:
    """Return the TPM's own response codes (hexadecimal) out of the tool's free text, and its exit code."""
    found = re.findall(r"\(0x([0-9A-Fa-f]{1,8})\)", errors.decode("ascii", "replace"))
    codes = dict.fromkeys(f"0x{int(text, 16):X}" for text in found)
    return f"failed ({', '.join(codes) or 'no code'}; exit {returncode})"
