"""progress: what a training prints while it runs."""

import sys
import time
from typing import Any

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Print a plain line every few seconds, which reads well in a terminal and in a log."""

    def __init__(self, total: int, batch_size: int, first: int = 0) -> None:
        self.total, self.batch_size, self.first = total, batch_size, first
        self.start = self.last = time.monotonic()

    def show(self, step: int, loss: float) -> None:
        """Print where it is, if the last line is a while ago."""
        now = time.monotonic()
        if now - self.last >= SECONDS_BETWEEN_LINES:
            self.last = now
            rate = (step - self.first) * self.batch_size / (now - self.start)
            left = (self.total - step) * self.batch_size / rate
            self.say(
                f"step {step}/{self.total}  loss {loss:.4f}  {rate:.0f} texts/s  {left:.0f} s left"
            )

    def evaluated(self, step: int, row: dict[str, Any]) -> None:
        """Print the result of an evaluation."""
        shown = (
            f"{name} {value:.4f}"
            for name, value in row.items()
            if name.startswith(("dev", "train"))
        )
        self.say(f"step {step}/{self.total}  " + "  ".join(shown))

    def say(self, line: str) -> None:
        """Print a line at once."""
        print(f"  {line}", file=sys.stderr, flush=True)
