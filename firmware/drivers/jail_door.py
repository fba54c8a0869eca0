"""The child's side of the jail: the door it shuts behind itself before it sees a single pixel.

Knows:  the descriptors lent to it, its limits, the list of system calls its work needs.
Never:  opens it again; there is no call here that gives back a right, and the kernel has none either.
Leaves: a report of the walls that stand and of those this machine cannot build; then answers, one a request.
Clauses: 2, 5.1, 7.1(1) (two processing systems, completely separated), 6.2 (nothing but the answer leaves).

Order matters. Libraries load and memory is mapped first, with the door open and no request yet. Then: no extra
descriptors, no shared streams, another user, no capabilities, death with the parent, no dump, limits, Landlock, and
last the list of system calls. A wall that cannot be built is reported by name, never passed over.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from landlock import LandlockError, plumbing

CONTROL: Final = 3
"""The descriptor number of the one socket to the parent, in every child."""
REQUEST_BYTES_AT_MOST: Final = 16_384
DESCRIPTORS_AT_MOST: Final = 4

WALLS: Final = (
    "descriptors",  # every descriptor but the lent ones is closed
    "streams",  # 0, 1 and 2 are a read-only /dev/null
    "one_thread",  # Landlock and limits hold for the thread that asks for them: there must be one only
    "user",  # not root
    "capabilities",  # none, in no set that counts
    "parent_death",  # killed by the kernel when the parent dies
    "no_new_privileges",
    "not_dumpable",  # no core, no /proc/<pid>/mem for equals
    "limits",
    "landlock",  # no path of any file system; by the kernel's version also no TCP, abstract socket, foreign signal
    "system_calls",
)

SYSTEM_CALLS: Final = (
    "recvmsg", "sendto",  # requests and answers (only over CONTROL), descriptors in, never out
    "close",  # what came with a request
    "brk", "munmap", "mremap", "madvise",  # memory; mmap and mprotect are allowed without PROT_EXEC
    "futex", "sched_yield",  # locks of the interpreter and of libraries
    "clock_gettime", "clock_nanosleep",  # where the kernel's page of clocks cannot answer; a library's pause
    "getrandom",  # hash seeds, keys of a seal
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall",  # the interpreter's own signals
    "exit", "exit_group",
)  # fmt: skip
"""What every jailed child may call; a program adds the few its own libraries need, each with its reason."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x20080522
_PROT_EXEC: Final = 4
_LANDLOCK_TCP: Final = 0b11  # bind, connect (version 4 on)
_LANDLOCK_SCOPE: Final = 0b11  # abstract UNIX sockets, signals (version 6 on)


@dataclass(frozen=True, slots=True)
class Report:
    """What stands around a child: names from :data:`WALLS`, and the kernel's Landlock version (0: none)."""

    applied: tuple[str, ...]
    missing: tuple[str, ...]
    landlock_version: int


class Door:
    """One child's way in and out. Built first thing in a child program, shut before the first request."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.argument: dict[str, Any] = plan["argument"]
        self._limits: dict[str, int] = plan["limits"]
        self._user: list[int] | None = plan["user"]
        self._parent: int = plan["parent"]
        self._lent: dict[str, int] = _renumber(plan["control"], plan["lend"])
        self._applied: list[str] = []
        self._landlock_version = 0
        self._socket = socket.socket(fileno=CONTROL)
        _die_with(self._parent)

    @classmethod
    def from_argv(cls) -> Door:
        """Read the plan that the parent put into the last argument (no secret: command lines are public)."""
        return cls(json.loads(sys.argv[-1]))

    def descriptor(self, name: str) -> int:
        """Return the number under which the descriptor lent as ``name`` is open here; KeyError if none was."""
        return self._lent[name]

    def shut(self, system_calls: Sequence[str] = ()) -> Report:
        """Build every wall, then tell the parent. ``system_calls``: what this child needs beyond the common list."""
        rules = _system_call_rules((*SYSTEM_CALLS, *system_calls))
        threads = len(list(Path("/proc/self/task").iterdir()))
        self._wall("one_thread", built=threads == 1)
        null = self._descriptors()
        self._privileges()
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._wall("no_new_privileges", built=prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        self._wall("not_dumpable", built=prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
        self._landlock_version = _landlock()
        self._wall("landlock", built=self._landlock_version > 0)
        self._streams(null)
        self._set_limits()
        self._wall("system_calls", built=rules is not None and _load(rules))
        report = Report(
            tuple(self._applied),
            tuple(wall for wall in WALLS if wall not in self._applied),
            self._landlock_version,
        )
        self._say_ready(report)
        return report

    def requests(self) -> Iterator[tuple[bytes, list[int]]]:
        """Yield each request with the descriptors that came with it, until the parent closes its end.

        The receiver closes the descriptors. A request longer than ``REQUEST_BYTES_AT_MOST`` ends the child.
        """
        while True:
            message, descriptors, flags, _ = socket.recv_fds(self._socket, REQUEST_BYTES_AT_MOST, DESCRIPTORS_AT_MOST)
            if not message or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                return
            yield message, descriptors

    def answer(self, message: bytes) -> None:
        """Send one answer; the parent expects exactly one a request."""
        self._socket.sendall(message)

    def _say_ready(self, report: Report) -> None:
        self.answer(
            json.dumps(
                {
                    "applied": report.applied,
                    "missing": report.missing,
                    "landlock": report.landlock_version,
                }
            ).encode()
        )

    def _wall(self, name: str, *, built: bool) -> None:
        if built:
            self._applied.append(name)

    def _descriptors(self) -> int:
        """Close all but the lent descriptors and /dev/null, while standard error can still say what fails."""
        os.closerange(CONTROL + 1 + len(self._lent), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._wall(
            "descriptors",
            built=_open_descriptors() <= {0, 1, 2, CONTROL, null, *self._lent.values()},
        )
        return null

    def _streams(self, null: int) -> None:
        """Leave nothing on 0, 1, 2 that a library's stray write could reach."""
        sys.stdout = sys.stderr = None  # documented: no stream at all
        for stream in range(3):
            os.dup2(null, stream, inheritable=False)
        os.close(null)
        self._wall("streams", built=True)

    def _privileges(self) -> None:
        """Become nobody, then ask again to die with the parent: the kernel forgets that wish when the user changes."""
        if os.geteuid() == 0 and self._user is not None:
            user, group = self._user
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
        self._wall("user", built=0 not in (*os.getresuid(), *os.getresgid()))
        self._wall("capabilities", built=_drop_capabilities())
        self._wall("parent_death", built=_die_with(self._parent))

    def _set_limits(self) -> None:
        for name, value in self._limits.items():
            kind = getattr(resource, f"RLIMIT_{name}")
            hard = resource.getrlimit(kind)[1]
            ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (ceiling, ceiling))
        self._wall("limits", built=True)


def _renumber(control: int, lend: dict[str, int]) -> dict[str, int]:
    """Move the socket to 3 and what is lent to 4, 5, ... so that the limit on descriptors can be exact."""
    high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 200) for number in (control, *lend.values())]
    os.closerange(CONTROL, 200)
    for target, number in enumerate(high, start=CONTROL):
        os.dup2(number, target, inheritable=False)
        os.close(number)
    return {name: CONTROL + 1 + place for place, name in enumerate(lend)}


def _open_descriptors() -> set[int]:
    listed = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    still_open = set()
    for number in listed:  # the list contains the descriptor it was read through
        with contextlib.suppress(OSError):
            os.fstat(number)
            still_open.add(number)
    return still_open


def _die_with(parent: int) -> bool:
    """Ask the kernel to kill this process when the parent's thread ends; leave now if it already has."""
    asked = ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0
    if os.getppid() != parent:  # it died between exec and the call above
        os._exit(1)
    return bool(asked)


def _drop_capabilities() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    return bool(libc.capset(header, nothing) == 0)


def _landlock() -> int:
    """Take away every path and, where the kernel can, TCP, abstract sockets, signals. Return its version, 0: none."""

    class Everything(plumbing.RulesetAttr):  # type: ignore[misc]  # the library has no types
        _fields_ = (("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))

    try:
        ctypes.set_errno(0)  # the library takes a stale errno for a failure
        version = int(plumbing.landlock_abi_version())
        size = 8 if version < 4 else 16 if version < 6 else 24
        rules = Everything(
            int(plumbing.FSAccess.all()),
            _LANDLOCK_TCP if version >= 4 else 0,
            _LANDLOCK_SCOPE if version >= 6 else 0,
        )
        ctypes.set_errno(0)
        ruleset = plumbing.get_create_ruleset()(ctypes.byref(rules), size, 0)
        ctypes.set_errno(0)
        plumbing.get_restrict_self()(ruleset, 0)
        os.close(ruleset)
    except (LandlockError, OSError):
        return 0
    return version


class _Rules(Protocol):
    def load(self) -> None: ...


def _system_call_rules(names: Sequence[str]) -> _Rules | None:
    """Return the allow-list, not loaded yet: everything else gets EPERM, a foreign architecture's call kills.

    None where libseccomp is missing.
    """
    try:
        import pyseccomp as sc  # noqa: PLC0415  # looks for libseccomp at import: a report, no crash
    except (ImportError, RuntimeError, OSError):
        return None
    rules = sc.SyscallFilter(sc.ERRNO(errno.EPERM))
    rules.set_attr(sc.Attr.ACT_BADARCH, sc.KILL_PROCESS)
    rules.set_attr(sc.Attr.CTL_TSYNC, 1)
    no_execution = sc.Arg(2, sc.MASKED_EQ, _PROT_EXEC, 0)
    for call in ("mmap", "mprotect"):
        rules.add_rule(sc.ALLOW, call, no_execution)
    only_control = sc.Arg(0, sc.EQ, CONTROL)
    for call in dict.fromkeys(names):
        conditions = (only_control,) if call in {"recvmsg", "sendto"} else ()
        with contextlib.suppress(OSError):  # not on this architecture: not allowed either
            rules.add_rule(sc.ALLOW, call, *conditions)
    loadable: _Rules = rules
    return loadable


def _load(rules: _Rules) -> bool:
    try:
        rules.load()
    except OSError:
        return False
    return True
