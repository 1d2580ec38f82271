"""sandbox: limit this process, and all that it starts, to its files and no network.

The Linux kernel enforces it (Landlock, without root). It protects the content of files; that a
file exists, and its size, remain visible.
Source: Linux, Documentation/userspace-api/landlock.rst; numbers from include/uapi/linux/landlock.h.
"""

import ctypes
import errno
import functools
import os
import platform
import socket
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
PR_SET_NO_NEW_PRIVS = 38
PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | LIST
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
EVERYTHING = (  # all rights that Landlock knows, by its version
    0,
    (1 << 13) - 1,
    (1 << 14) - 1,  # adds moving a file to another folder
    (1 << 15) - 1,  # adds truncating it
    (1 << 15) - 1,
    (1 << 16) - 1,  # adds controlling a device
)
TCP = 0b11  # bind and connect, from version 4 on
KERNEL, UNENFORCED = "kernel", "unenforced"
OPEN = "open"  # no sandbox: sources use the network, and their hashes are declared
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
# number of the system call `socket`, and the kernel's audit name of the architecture
SOCKET = MappingProxyType({"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)})
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES


STREAM, TCP_NUMBER = 1, 6  # type of a socket, protocol
BIND, CONNECT, NET_PORT = 1 << 0, 1 << 1, 2
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class NoNetworkError(PermissionError):
    """A stage asked for the network."""


@dataclass(frozen=True)
class Peers:
    """Other processes of the same build, which compiled libraries may reach by TCP.

    alone  is nothing else in this process's network?
    port   where they meet, if they are on several machines
    """

    alone: bool
    port: int | None


@dataclass(frozen=True)
class Allowed:
    """Absolute paths without links; a folder includes its content. Missing paths are skipped.

    read   files may be read and executed
    write  files may also be written, made and removed
    names  folders may be listed
    peers  None: no network at all
    """

    read: tuple[Path, ...]
    write: tuple[Path, ...]
    names: tuple[Path, ...]
    peers: Peers | None = None

    def reads(self, real: Path) -> bool:
        """Whether a file may be read. real: its path without links."""
        return not self._readable.isdisjoint((real, *real.parents))

    def writes(self, path: Path) -> bool:
        """Whether a file may be written."""
        real = path.resolve()
        return not {real, *real.parents}.isdisjoint(self.write)

    @functools.cached_property
    def _readable(self) -> frozenset[Path]:
        return frozenset((*self.read, *self.write))


def version() -> int:
    """Version of Landlock; 0 if this kernel has none or does not let this process use it."""
    if sys.platform != "linux":
        return 0
    return max(
        0,
        int(
            _libc().syscall(
                ctypes.c_long(CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint32(1)
            )
        ),
    )


def close(allowed: Allowed) -> str:
    """Deny all other files and the network, to this process and its children, for good.

    Returns what enforces it. Call it while there is one thread: others would stay unrestricted.
    Without Landlock an audit hook denies what Python opens, but not what compiled libraries open.
    Raises OSError if the kernel refuses the rules.
    """
    sys.addaudithook(_refuse_connections)
    peers = allowed.peers
    _refuse_sockets(peers is not None)
    abi = version()
    if abi == 0:
        sys.addaudithook(lambda event, arguments: _refuse_files(allowed, event, arguments))
        return UNENFORCED
    everything = EVERYTHING[min(abi, len(EVERYTHING) - 1)]
    # the loopback that a process is alone with needs no rules
    handled = (ctypes.c_uint64 * 2)(everything, 0 if peers and peers.alone else TCP)
    size = ctypes.sizeof(handled) if abi >= 4 else ctypes.sizeof(ctypes.c_uint64)
    ruleset = _call(
        CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(size), ctypes.c_uint32(0)
    )
    try:
        for paths, rights in (
            (allowed.read, READ),
            (allowed.write, everything),
            (allowed.names, LIST),
        ):
            _allow(ruleset, paths, rights & everything)
        if peers and not peers.alone and abi >= 4:
            _allow_ports(ruleset, peers)
        _control(PR_SET_NO_NEW_PRIVS, 1)
        _call(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return KERNEL


def _refuse_sockets(but_tcp: bool) -> None:
    """Deny internet sockets of any kind by a system call filter: Landlock covers plain TCP only.

    but_tcp  allow those of plain TCP: Landlock says which ports they reach

    Source: Linux, Documentation/userspace-api/seccomp_filter.rst; classic BPF of
    linux/bpf_common.h.
    """
    if sys.platform != "linux" or platform.machine() not in SOCKET:
        return
    number, architecture = SOCKET[platform.machine()]
    load, equal, give, both = 0x20, 0x15, 0x06, 0x54
    steps = (
        (load, 0, 0, 4),  # the architecture
        (equal, 0, 11, architecture),
        (load, 0, 0, 0),  # which call
        (equal, 0, 9, number),
        (load, 0, 0, 16),  # its first argument: the family
        (equal, 1, 0, 2),  # AF_INET
        (equal, 0, 6, 10),  # AF_INET6
        (load, 0, 0, 24),  # the type, without its flags
        (both, 0, 0, 0xF),
        (equal, 0, 4, STREAM if but_tcp else 0xFF),
        (load, 0, 0, 32),  # the protocol
        (equal, 1, 0, 0),
        (equal, 0, 1, TCP_NUMBER),
        (give, 0, 0, ALLOW),
        (give, 0, 0, REFUSE),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    _control(PR_SET_NO_NEW_PRIVS, 1)
    _control(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(program))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def _allow(ruleset: int, paths: Iterable[Path], rights: int) -> None:
    for path in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise
            continue
        try:
            fit = rights if path.is_dir() else rights & OF_FILES
            beneath = _Beneath(fit, place)
            if fit:
                _call(
                    ADD_RULE,
                    ctypes.c_int(ruleset),
                    ctypes.c_int(PATH_BENEATH),
                    ctypes.byref(beneath),
                    ctypes.c_uint32(0),
                )
        finally:
            os.close(place)


class _Port(ctypes.Structure):
    _fields_ = [("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64)]


def _allow_ports(ruleset: int, peers: Peers) -> None:
    """Those that the kernel chooses for who listens without one, as ranks do, on any host.

    Landlock knows no hosts; services have other ports.
    """
    first, last = map(int, EPHEMERAL.read_text().split())
    ports = [(0, BIND), *((port, CONNECT) for port in range(first, last + 1))]
    for port, access in [*ports, *([(peers.port, CONNECT)] if peers.port else [])]:
        rule = _Port(access, port)
        _call(
            ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(NET_PORT),
            ctypes.byref(rule),
            ctypes.c_uint32(0),
        )


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _control(option: int, value: int, more: object = 0) -> None:
    if _libc().prctl(option, ctypes.c_ulong(value), more, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _call(number: int, *arguments: object) -> int:
    result: int = _libc().syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _refuse_connections(event: str, arguments: tuple[object, ...]) -> None:
    """Say why, where Python asks for a socket that the kernel would deny."""
    internet = event == "socket.__new__" and arguments[1] in (socket.AF_INET, socket.AF_INET6)
    if internet or event in ("socket.getaddrinfo", "socket.gethostbyname"):
        raise NoNetworkError(errno.EACCES, "a stage other than sources may not reach the network")


def _refuse_files(allowed: Allowed, event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str | bytes):
        name = os.fsdecode(arguments[0])
        if not allowed.reads(Path(os.path.realpath(name))) and not Path(name).is_dir():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
