"""Rows that are deleted by their ids are in nothing that is made afterwards, and it is shown."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.formats import rowids
from lmspec.methods import cleaning
from tests import miniature


def ids(folder: Path, split: str, count: int) -> list[str]:
    return pl.read_parquet(folder / f"data/splits/old/{split}.parquet")["id"].to_list()[:count]


def write(folder: Path, names: list[str]) -> None:
    (folder / "deleted.txt").write_text("# asked for it\n" + "".join(f"{n}\n" for n in names))


def test_a_deleted_row_is_in_nothing_that_is_made(built: Path, tmp_path: Path) -> None:
    """Before, the command names each place where it still is; afterwards it is in none, its text is
    not among the rejected, and the provenance of the chain agrees."""
    project = shutil.copytree(built, tmp_path / "project", symlinks=True)
    gone = [*ids(project, "train", 2), *ids(project, "test", 1)]
    write(project, gone)
    command = ("verify", "--without", "deleted.txt", "splits.old")
    before = miniature.lmspec(project, *command, code=1)
    assert "splits.old: data/splits/old/train.parquet has 2 of the rows" in before
    assert "corpus.old: data/corpus/old/documents.ids has 3 of the rows" in before
    assert "3 rows: not shown" in before

    texts = pl.read_parquet(project / "data/corpus/old/documents.parquet")
    text = texts.filter(pl.col("id") == gone[0])["text"][0]
    path = project / "params.yaml"
    path.write_text(
        path.read_text().replace(
            "    contradictions: keep_first\n",
            "    contradictions: keep_first\n    deleted: deleted.txt\n",
            1,
        )
    )
    miniature.lmspec(project, "sync")
    nowhere = cleaning.document_id("a text that is nowhere")
    write(project, [*gone, nowhere])
    built_again = miniature.dvc(project, "repro", "splits-old")
    assert "warning: 1 of 4 ids in deleted.txt are of no row" in built_again
    assert nowhere in built_again
    write(project, gone)
    miniature.dvc(project, "repro", "splits-old")
    after = miniature.lmspec(project, *command)
    assert "3 rows: none is in what they were made from" in after
    rejected = pl.read_parquet(project / "data/corpus/old/rejected.parquet")
    assert rejected.filter(pl.col("reason") == "deleted")["text"].to_list() == ["", "", ""]
    assert text not in rejected["text"].to_list()
    counts = json.loads((project / "data/metrics/corpus-old.json").read_text())
    assert counts["rejected"]["deleted"] == 3

    # what was not built again still has them: a release of it fails
    assert "of the rows" not in after
    model = miniature.lmspec(project, "verify", "--without", "deleted.txt", "model.cnn", code=1)
    assert "model-cnn" in model

    # planted: a file that was changed by hand is not what its provenance says
    table = project / "data/splits/old/train.ids"
    whole = table.read_text()
    table.chmod(0o644)
    table.unlink()
    table.write_text(whole + f"{gone[0]}\n")
    planted = miniature.lmspec(project, *command, code=1)
    assert f"train.ids has 1 of the rows: {gone[0]}" in planted


def test_a_line_that_is_no_id_is_refused(tmp_path: Path) -> None:
    """By its number; comments and empty lines are none; a file without an id deletes nothing."""
    path = tmp_path / "ids.txt"
    name = cleaning.document_id("a text")
    path.write_text(f"# people\n\n{name}  # 2026-11-30\n")
    assert rowids.read(path, "ids.txt") == {name}
    path.write_text(f"{name}\na text\n")
    with pytest.raises(LmspecError, match="'a text' is no id of a row") as refused:
        rowids.read(path, "ids.txt")
    assert refused.value.place == "ids.txt:2"
    path.write_text("# nothing\n")
    with pytest.raises(LmspecError, match="it has no id"):
        rowids.read(path, "ids.txt")
    with pytest.raises(LmspecError, match="cannot be read"):
        rowids.read(tmp_path / "other.txt", "other.txt")
