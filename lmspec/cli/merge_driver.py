"""merge_driver: git's merge driver for dvc.lock and results; git runs it, people do not."""

from pathlib import Path

import click

from lmspec.cli import mistakes
from lmspec.errors import LmspecError, some
from lmspec.git import merge_driver
from lmspec.methods import folders

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("merge-driver")
@click.argument("base", type=FILE)
@click.argument("ours", type=FILE)
@click.argument("theirs", type=FILE)
@click.argument("path")
def command(base: Path, ours: Path, theirs: Path, path: str) -> None:
    """Merge three versions of PATH into OURS. Git calls it, with %O %A %B %P.

    In dvc.lock each stage is taken from the side that changed it; if both did, it is left out, and
    `dvc repro` rebuilds it. Metrics, tables and provenance that both branches changed stay those of
    the current branch until then.

    \b
    Example:
      lmspec init --merge-driver       # once in each clone: git uses it from then on
      lmspec merge-driver base.lock ours.lock theirs.lock dvc.lock
    """
    if Path(path).name != merge_driver.LOCK:
        stage = merge_driver.stage_of(path) or "it"
        mistakes.tell(
            f"{path}: both branches changed it: that of the current branch stays "
            f"until `dvc repro` rebuilds {stage}"
        )
        return
    merged = merge_driver.lock(*map(_text, (base, ours, theirs)))
    folders.write(ours, merged.text)
    if merged.dropped:
        stages = f"both branches changed {some(merged.dropped)} in different ways: left out"
        mistakes.tell(f"{path}: {stages}\n  -> run `dvc repro`")


def _text(version: Path) -> str:
    """Raises LmspecError if it is not UTF-8."""
    try:
        return version.read_bytes().decode()
    except UnicodeDecodeError:
        raise LmspecError(merge_driver.LOCK, "it is not UTF-8", merge_driver.REMEDY) from None
