"""texts: what test examples say, and what was answered, where the data are at hand."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lmspec.specs.names import ArtifactName


class Written(NamedTuple):
    """A generated text, with what it answers."""

    prompt: str
    reference: str
    text: str


def of_documents(path: Path, ids: Collection[str]) -> dict[str, str]:
    """Id -> text of a table of documents; empty if it is not here or cannot be read."""
    return {row[0]: row[1] for row in _rows(path, ("id", "text"), ids)}


def of_prompts(path: Path, ids: Collection[str]) -> dict[str, str]:
    """Id -> last prompt of a conversation, likewise."""
    from lmspec.writing.prompting import prompt_of  # here: few projects have any

    return {
        name: prompt_of([(turn["role"], turn["content"]) for turn in turns])
        for name, turns in _rows(path, ("id", "turns"), ids)
    }


def of_answers(
    root: Path, scores: str, dataset: str, hashes: Mapping[str, tuple[str, str]]
) -> dict[str, Written]:
    """Id -> what some scores answered to a test split, where that is at hand.

    hashes  id -> (hash of the reference, of the answer): what another commit answered is left out
    """
    from lmspec.writing import answers, measuring  # here: few projects have any

    path = root / ArtifactName.parse(scores).folder / answers.FILE
    found = {}
    for row in _rows(path, answers.TEXTS, hashes):
        name, *texts = row[1:]
        written = Written(*(text or "" for text in texts))
        own = measuring.digest(written.reference), measuring.digest(written.text)
        if row[0] == dataset and hashes[name] == own:
            found[name] = written
    return found


def of_cases(root: Path, examined: str, suite: str, ids: Collection[str]) -> dict[str, str]:
    """Id -> text of cases of a suite, where they are at hand."""
    path = root / ArtifactName.parse(examined).folder / "cases.parquet"
    found = _rows(path, ("id", "suite", "text"), ids)
    return {name: text for name, own, text in found if own == suite}


def _rows(path: Path, columns: tuple[str, ...], ids: Collection[str]) -> list[tuple[Any, ...]]:
    """The rows of some ids; none if the file is not here, or not such a table."""
    if not ids or not path.is_file():
        return []
    import polars as pl  # here: it takes 0.1 s, and few reports need it

    try:
        frame = pl.read_parquet(path, columns=list(columns)).select(columns)
        return frame.filter(pl.col("id").is_in(sorted(ids))).rows()
    except (pl.exceptions.PolarsError, OSError):
        return []
