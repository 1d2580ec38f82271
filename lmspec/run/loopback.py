"""loopback: a network of their own for the ranks of one machine: they reach each other, and nothing
else reaches them.

Source: Linux, network_namespaces(7), user_namespaces(7); numbers from linux/sched.h, linux/if.h.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000
SET_FLAGS, UP = 0x8914, 0x1 | 0x40
PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class Loopback:
    """Descriptors of its namespaces. user: None if a process here may enter the network's itself"""

    user: int | None
    network: int

    def enter(self) -> None:
        """For this process and all that it starts. Raises OSError."""
        for place, kind in ((self.user, NEW_USER), (self.network, NEW_NETWORK)):
            if place is not None:
                _call("setns", place, kind)
                os.close(place)
        _stay_open()

    def close(self) -> None:
        """Once all have entered."""
        for place in (self.user, self.network):
            if place is not None:
                os.close(place)


def made() -> Loopback | None:
    """None where the system has none for its users: not Linux, or a container that forbids it."""
    if sys.platform != "linux":
        return None
    ready, done = os.pipe(), os.pipe()
    helper = os.fork()  # what makes namespaces is in them; this must not be
    if helper == 0:
        os.close(done[1])
        with contextlib.suppress(OSError):
            _make()
            os.write(ready[1], b"1")
            os.read(done[0], 1)
        os._exit(0)
    os.close(ready[1])
    try:
        return _opened(helper) if os.read(ready[0], 1) else None
    finally:
        for place in (ready[0], *done):
            os.close(place)
        os.waitpid(helper, 0)


def _opened(helper: int) -> Loopback:
    folder = Path(f"/proc/{helper}/ns")
    same = (folder / "user").samefile("/proc/self/ns/user")
    user = None if same else os.open(folder / "user", os.O_RDONLY)
    return Loopback(user, os.open(folder / "net", os.O_RDONLY))


def _make() -> None:
    """Raises OSError."""
    try:
        _call("unshare", NEW_NETWORK)
    except PermissionError:
        user, group = os.getuid(), os.getgid()
        _call("unshare", NEW_USER | NEW_NETWORK)
        _stay_open()
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            Path("/proc/self", name).write_text(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))


def _stay_open() -> None:
    """A change of rights makes what is in /proc of this process another user's."""
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
