"""hosts: names by which a service may be asked, so that no web page reaches it under its own.

A page of another site can let its own name lead to 127.0.0.1 (DNS rebinding), and a browser takes
that for the page's own server. The `Host` of such requests is a name, never an address.
"""

import functools
import ipaddress
import re
from collections.abc import Collection

from starlette.types import Scope

HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
OWN = ("localhost", ".localhost")  # browsers ask no name server for these


class Hosts:
    """Addresses, localhost, and further names."""

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = {name.lower().rstrip(".") for name in names}
        self._holds = functools.lru_cache(maxsize=64)(self._known)

    def hold(self, scope: Scope) -> bool:
        """Is a request to one of them? One without `Host` comes from no browser."""
        for name, value in scope["headers"]:
            if name == b"host":
                return self._holds(value)
        return True

    def _known(self, host: bytes) -> bool:
        parts = HOST.fullmatch(host)
        if parts is None:
            return False
        name = (parts[1] or parts[2]).decode("ascii").lower().rstrip(".")
        return name in self._names or name.endswith(OWN) or is_address(name)


def of(address: str, allowed: Collection[str]) -> Hosts | None:
    """What a service that listens there checks; None, and so nothing, if others can reach it anyway
    and no names are given."""
    return Hosts(allowed) if allowed or ipaddress.ip_address(address).is_loopback else None


def is_address(name: str) -> bool:
    """Is it an IP address?"""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
