"""reloading: another bundle takes the place of the one that is served, and no request is lost."""

import asyncio
from collections.abc import Callable
from typing import Any

from lmspec.errors import LmspecError
from lmspec.serving.releases import AnyService, Given

Reopen = Callable[[], Given]


class Reloading:
    """Opens a bundle beside the one that is served, when it is asked to.

    reopen  what is to be served; called in a thread. Raises LmspecError.
    """

    def __init__(self, service: AnyService[Any], reopen: Reopen) -> None:
        self._service, self._reopen = service, reopen
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def ask(self) -> None:
        """Reload now, or once more after the reload that goes on."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._reload())
        else:
            self._again = True

    async def finished(self) -> None:
        """Wait for the reload that goes on."""
        if self._task is not None:
            await self._task

    async def _reload(self) -> None:
        again = True
        while again:
            self._again = False
            await self._once()
            again = self._again

    async def _once(self) -> None:
        """A bundle that is refused changes nothing: the former one goes on."""
        service = self._service
        try:
            former = service.replace(await asyncio.to_thread(self._reopen))
        except (LmspecError, OSError) as error:
            service.measures.reloads.add("refused")
            service.log("reload refused", serving=service.current.digest, error=str(error))
            return
        service.measures.reloads.add("done")
        service.log("reloaded", serving=service.current.digest, former=former.digest)
        await asyncio.to_thread(former.close)  # after all that waits in it
