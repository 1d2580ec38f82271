"""keep: outputs that an edit cannot have changed: the AST is the same, or the values are."""

import functools
from collections.abc import Iterator
from pathlib import Path

from lmspec.pipeline import codediff, dvc, dvc_stage, edits, plan

RUNNER = "lmspec/run/"  # it compiles and hashes code, but puts none of its text into an output
Edits = dict[str, str]  # code file -> what its edit changed


def check(root: Path) -> tuple[Edits, dict[str, list[str]]]:
    """(edits of code, stage out of date -> why it cannot be kept, if so)."""
    files: Edits = {}
    with dvc.stages(root) as stages:
        reasons = {
            stage.name: list(_reasons(root, stage, files)) if stage.ran else ["it has never run"]
            for stage in stages
            if stage.changes
        }
    return files, reasons


def _reasons(root: Path, stage: dvc_stage.Stage, files: Edits) -> Iterator[str]:
    """Why the stage's outputs may change. Adds the files that it looks at to `files`."""
    readers = (path for path in stage.code if not path.startswith(RUNNER))
    texts = frozenset[str]().union(*(_read_as_text(root, path) for path in readers))
    for change in stage.changes:
        if plan.is_moved(change):
            continue
        if (
            change.kind == dvc_stage.FILE
            and change.path in stage.code
            and change.state == "modified"
        ):
            files[change.path] = edits.described(root, change.path, change.old)
            if files[change.path] == edits.LAYOUT:
                if "*" in texts or Path(change.path).stem in texts:
                    yield f"{change.path}: its text is part of the output"
                continue
        yield from plan.reasons_of(change, root)


@functools.cache
def _read_as_text(root: Path, path: str) -> frozenset[str]:
    try:
        return codediff.read_as_text((root / path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return frozenset("*")


def keep(root: Path, stages: list[str], files: Edits) -> None:
    """Record the stages as up to date, and remember the text of the edited files."""
    dvc.commit(root, stages)
    for path, edit in files.items():
        if edit == edits.LAYOUT:
            edits.remember(root, path)
