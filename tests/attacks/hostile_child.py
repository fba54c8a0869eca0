"""A child that wants out. It is started through the very same jail as the real ones and tries one way after another.

Each attack returns normally only when it has got what it wanted; the parent compares a child behind its shut door with
one that never shut it, so that an attack which could not work anyway proves nothing.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyseccomp

from firmware.drivers.jail_door import WALLS, Door, Report

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_long
LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
PAGE = mmap.PAGESIZE
READ_IMPLIES_EXEC = 0x0400000
PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
AT_FDCWD = -100


def call(name: str, *arguments: Any) -> int:
    """Make a system call by its number; raise the OSError it gives."""
    whole = (ctypes.c_long(value) if isinstance(value, int) else value for value in arguments)
    return check(LIBC.syscall(ctypes.c_long(NUMBERS[name]), *whole))


def check(result: int) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def map_page(descriptor: int, rights: int) -> int:
    """Map a page without what Python's own mmap asks the kernel besides; return its address."""
    return check(LIBC.mmap(None, PAGE, rights, mmap.MAP_SHARED, descriptor, 0))


NAMES = (
    "add_key", "bpf", "clone3", "io_uring_setup", "kcmp", "memfd_create", "memfd_secret", "mount", "mprotect",
    "open_by_handle_at", "perf_event_open", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "pkey_mprotect",
    "process_vm_readv", "process_vm_writev", "seccomp", "shmget", "syslog", "tgkill", "umount2", "userfaultfd",
)  # fmt: skip
HOLES = (
    "openat", "newfstatat", "fstat", "lseek", "ioctl", "socket", "bind", "kill", "clone", "clone3", "vfork", "execve",
    "prlimit64", "process_vm_readv", "ptrace", "setresuid", "chroot", "mkdirat", "mknodat", "unlinkat",
)  # fmt: skip
"""Calls let through to show that other walls stand behind the list."""
NUMBERS = {name: pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name) for name in NAMES}
if NUMBERS["memfd_secret"] < 0:  # an older libseccomp does not know it; the number is the same everywhere
    NUMBERS["memfd_secret"] = 447


class Attacks:
    """One method an attack; ``plan`` says where the parent has put what is worth having."""

    def __init__(self, door: Door) -> None:
        self.plan: dict[str, Any] = door.argument
        self.frames = door.descriptor("frames")
        self.parent = os.getppid()
        self.seen = map_page(self.frames, mmap.PROT_READ)
        self.own = mmap.mmap(-1, PAGE)
        self.own_address = ctypes.addressof(ctypes.c_char.from_buffer(self.own))
        self.thread = threading.Thread(target=lambda: None)

    # ---- files

    def read_a_file(self) -> None:
        Path("/etc/passwd").read_bytes()

    def write_a_file(self) -> None:
        Path(self.plan["folder"], f"loot-{os.getpid()}").write_bytes(b"loot")

    def make_a_pipe_in_the_file_system(self) -> None:
        os.mkfifo(f"{self.plan['folder']}/fifo-{os.getpid()}")

    def list_a_folder(self) -> None:
        list(Path("/").iterdir())

    def ask_about_a_file(self) -> None:
        Path("/etc/passwd").stat()

    def change_folder(self) -> None:
        os.chdir("/tmp")

    def open_by_handle(self) -> None:
        handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
        check(LIBC.name_to_handle_at(AT_FDCWD, b"/etc/passwd", handle, ctypes.byref(ctypes.c_int()), 0))
        root = os.open("/", os.O_RDONLY)
        os.read(call("open_by_handle_at", root, handle, os.O_RDONLY), 1)

    def reopen_what_is_lent(self) -> None:
        os.open(f"/proc/self/fd/{self.frames}", os.O_RDWR)

    def write_own_memory_as_a_file(self) -> None:
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(self.own_address)
            memory.write(b"x")

    # ---- the parent

    def read_the_parents_memory_as_a_file(self) -> None:
        with Path(f"/proc/{self.parent}/mem").open("rb", buffering=0) as memory:
            memory.seek(self.plan["address"])
            assert memory.read(16) == self.plan["treasure"].encode()

    def read_the_parents_memory(self) -> None:
        loot = ctypes.create_string_buffer(16)
        local = (ctypes.c_ulong * 2)(ctypes.addressof(loot), 16)
        remote = (ctypes.c_ulong * 2)(self.plan["address"], 16)
        call("process_vm_readv", self.parent, local, 1, remote, 1, 0)
        assert loot.raw == self.plan["treasure"].encode()

    def write_the_parents_memory(self) -> None:
        local = (ctypes.c_ulong * 2)(self.own_address, 1)
        remote = (ctypes.c_ulong * 2)(self.plan["address"] + 32, 1)
        call("process_vm_writev", self.parent, local, 1, remote, 1, 0)

    def trace_the_parent(self) -> None:
        check(LIBC.ptrace(PTRACE_SEIZE, self.parent, 0, 0))

    def signal_the_parent(self) -> None:
        os.kill(self.parent, 0)

    def signal_a_thread_of_the_parent(self) -> None:
        call("tgkill", self.parent, self.parent, 0)

    def hold_the_parent_by_pidfd(self) -> None:
        call("pidfd_send_signal", call("pidfd_open", self.parent, 0), 0, None, 0)

    def take_the_parents_descriptor(self) -> None:
        call("pidfd_getfd", call("pidfd_open", self.parent, 0), 0, 0)

    def hand_a_descriptor_to_the_parent(self) -> None:
        control = socket.socket(fileno=os.dup(3))
        socket.send_fds(control, [b'{"got": "handed"}'], [self.frames])
        raise SystemExit

    # ---- more processes, other programs

    def fork(self) -> None:
        if os.fork() == 0:
            os._exit(0)

    def clone3(self) -> None:
        arguments = (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17, 0, 0, 0)
        if call("clone3", arguments, 64) == 0:
            os._exit(0)

    def start_a_thread(self) -> None:
        self.thread.start()

    def become_another_program(self) -> None:
        os.execv("/bin/true", ["true"])  # noqa: S606 - the attack itself

    # ---- the network

    def open_an_internet_socket(self) -> None:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def send_a_datagram(self) -> None:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"loot", ("127.0.0.1", 9))

    def connect_a_unix_socket(self) -> None:
        socket.socket(socket.AF_UNIX).connect(f"{self.plan['folder']}/listener")

    def open_a_netlink_socket(self) -> None:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)

    def make_a_socket_pair(self) -> None:
        socket.socketpair()

    def listen(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{self.plan['folder']}/child-{os.getpid()}")
        listener.listen()

    def listen_to_the_internet(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("127.0.0.1", 0))

    # ---- memory: code of its own, shared or hidden memory

    def map_executable(self) -> None:
        mmap.mmap(-1, PAGE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)

    def make_executable(self) -> None:
        check(LIBC.mprotect(ctypes.c_void_p(self.own_address), PAGE, mmap.PROT_READ | mmap.PROT_EXEC))

    def make_executable_with_a_key(self) -> None:
        call("pkey_mprotect", ctypes.c_void_p(self.own_address), PAGE, mmap.PROT_READ | mmap.PROT_EXEC, -1)

    def imply_executable(self) -> None:
        check(LIBC.personality(READ_IMPLIES_EXEC))

    def make_a_memory_file(self) -> None:
        os.memfd_create("loot")

    def make_secret_memory(self) -> None:
        call("memfd_secret", 0)

    def make_shared_memory(self) -> None:
        call("shmget", 0, PAGE, 0o1600)

    def lock_memory(self) -> None:
        check(LIBC.mlock(ctypes.c_void_p(self.own_address), PAGE))

    # ---- what is lent to read

    def map_frames_to_write(self) -> None:
        ctypes.memset(map_page(self.frames, mmap.PROT_READ | mmap.PROT_WRITE), 1, PAGE)

    def turn_frames_writable(self) -> None:
        check(LIBC.mprotect(ctypes.c_void_p(self.seen), PAGE, mmap.PROT_READ | mmap.PROT_WRITE))
        ctypes.memset(self.seen, 1, PAGE)

    def write_into_frames(self) -> None:
        os.write(self.frames, b"loot")

    def write_into_frames_at(self) -> None:
        os.pwrite(self.frames, b"loot", 0)

    def grow_frames(self) -> None:
        os.ftruncate(self.frames, 64 * PAGE)

    def cut_frames(self) -> None:
        os.ftruncate(self.frames, 0)

    def seal_frames_further(self) -> None:
        fcntl.fcntl(self.frames, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)

    def write_to_the_streams(self) -> None:
        refusals = []
        for stream in range(3):
            try:
                os.write(stream, b"loot")
            except OSError as error:
                refusals.append(error)
        if len(refusals) == 3:
            raise refusals[0]

    # ---- giving itself rights back

    def raise_its_limits(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))

    def become_dumpable(self) -> None:
        check(LIBC.prctl(4, 1, 0, 0, 0))

    def survive_the_parent(self) -> None:
        check(LIBC.prctl(1, 0, 0, 0, 0))

    def add_a_filter(self) -> None:
        allow_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
        check(LIBC.prctl(38, 1, 0, 0, 0))
        call("seccomp", 1, 0, (ctypes.c_ulong * 2)(1, ctypes.addressof(allow_all)))

    def become_root(self) -> None:
        os.setresuid(0, 0, 0)

    def change_root(self) -> None:
        os.chroot("/")

    def mount(self) -> None:
        folder = self.plan["folder"].encode()
        check(LIBC.mount(b"none", folder, b"tmpfs", 0, None))
        check(LIBC.umount2(folder, 2))

    def make_a_user_namespace(self) -> None:
        check(LIBC.unshare(CLONE_NEWUSER))

    # ---- side doors of the kernel

    def set_up_a_ring(self) -> None:
        call("io_uring_setup", 4, ctypes.create_string_buffer(256))

    def load_a_program_into_the_kernel(self) -> None:
        call("bpf", 0, ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1) + bytes(112)), 128)

    def count_performance(self) -> None:
        call("perf_event_open", ctypes.create_string_buffer(struct.pack("IIQ", 1, 128, 1) + bytes(112)), 0, -1, -1, 0)

    def catch_page_faults(self) -> None:
        call("userfaultfd", os.O_CLOEXEC | 1)

    def keep_a_key_in_the_kernel(self) -> None:
        call("add_key", b"user", b"loot", b"x", 1, -2)

    def read_the_kernels_log(self) -> None:
        call("syslog", 3, ctypes.create_string_buffer(64), 64)

    def control_a_device(self) -> None:
        fcntl.ioctl(3, 0x541B, bytes(4))

    def watch_files(self) -> None:
        check(LIBC.inotify_init1(0))


ATTACKS = tuple(name for name, value in vars(Attacks).items() if callable(value) and not name.startswith("_"))


def open_descriptors() -> list[int]:
    """Find every open descriptor with the one allowed call that tells: mapping what is not open gives EBADF."""
    found = []
    for number in range(4096):
        try:
            LIBC.munmap(ctypes.c_void_p(map_page(number, mmap.PROT_READ)), ctypes.c_size_t(PAGE))
        except OSError as error:
            if error.errno == errno.EBADF:
                continue
        found.append(number)
    return found


def not_refused(numbers: list[int]) -> list[int]:
    """Make every system call with zeros for arguments; return those that were not refused with EPERM."""
    answered = []
    for number in numbers:
        ctypes.set_errno(0)
        result = LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(0),) * 6)
        if result != -1 or ctypes.get_errno() != errno.EPERM:
            answered.append(number)
    return answered


def try_attack(attack: Callable[[], None]) -> dict[str, str]:
    try:
        attack()
    except OSError as error:
        return {"got": "", "refused": errno.errorcode.get(error.errno or 0, str(error))}
    except (RuntimeError, ValueError) as error:  # Python's words for a thread or a limit refused
        return {"got": "", "refused": str(error)}
    return {"got": "it worked"}


def main() -> None:
    door = Door.from_argv()
    attacks = Attacks(door)
    if door.argument.get("forgets"):
        os.open("/etc/passwd", os.O_RDONLY)  # as a library does that keeps its file open
    if door.argument["shut"]:
        door.shut(door.argument.get("system_calls", ()))
    else:
        door._say_ready(Report((), WALLS, 0))
    for message, _ in door.requests():
        name, _, rest = message.decode().partition(" ")
        if name == "descriptors":
            answer: Any = open_descriptors()
        elif name == "sweep":
            answer = not_refused(json.loads(rest))
        else:
            answer = try_attack(getattr(attacks, name))
        door.answer(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
