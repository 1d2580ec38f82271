"""ranks: the processes that train one model together, and where they meet.

A stage has `numerics.world` of them if its spec is trained by gradient descent, else one. Those of
one machine meet in a file; those of several where torchrun says, which starts `dvc repro` on each.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError
from lmspec.run import declaration
from lmspec.run.declaration import Declaration
from lmspec.specs import blocks

NODE, NODES = "GROUP_RANK", "GROUP_WORLD_SIZE"  # torchrun's
ADDRESS, PORT = "MASTER_ADDR", "MASTER_PORT"
MEETING = "LMSPEC_MEETING"  # a file, or host:port/stage


@dataclass(frozen=True)
class Rank:
    """One of them.

    number  from 0, over all machines
    here    from 0, on this one
    port    where all of them meet, if they are on several machines; else they reach only each other
    """

    number: int
    here: int
    world: int
    meeting: str
    port: int | None

    @property
    def first_here(self) -> bool:
        """It writes the output; the others compute with it."""
        return self.here == 0

    def variables(self) -> dict[str, str]:
        """As torchrun sets them, and where they meet. Gloo and NCCL take the loopback, if named."""
        alone = {} if self.port else {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
        return alone | {
            "TORCH_CPP_LOG_LEVEL": "ERROR",  # DDP warns of what it is asked for
            "RANK": str(self.number),
            "LOCAL_RANK": str(self.here),
            "WORLD_SIZE": str(self.world),
            MEETING: self.meeting,
        }


def of(
    declared: Declaration, values: Mapping[str, Mapping[str, Any]], temporary: Path
) -> list[Rank]:
    """The ranks of a stage on this machine; none where one process builds it.

    values     file -> name -> value of the parameters
    temporary  a folder that they share
    Raises LmspecError if they cannot be divided among the machines.
    """
    params = blocks.without(values[declaration.PARAMS])
    world = (params.get("numerics") or {}).get("world")
    trained = declaration.trains(declared, values)
    if not isinstance(world, int) or world < 2 or not trained:
        return []
    node, nodes = (int(os.environ.get(name, default)) for name, default in ((NODE, 0), (NODES, 1)))
    if world % nodes:
        found = f"{world} ranks cannot be divided among {nodes} machines"
        raise LmspecError("params.yaml: numerics.world", found, "start torchrun on another number")
    port = int(os.environ[PORT]) if nodes > 1 else None
    meeting = str(temporary / "meeting")
    if port is not None:
        # by its number: no name is resolved in a sandbox
        address = socket.gethostbyname(os.environ[ADDRESS])
        meeting = f"{address}:{port}/{declared.stage}"
    share = world // nodes
    return [Rank(node * share + i, i, world, meeting, port) for i in range(share)]
