"""Queue: rows of the pool that have no label yet, the most useful first."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from lmspec.errors import LmspecError
from lmspec.formats import documents, worklist
from lmspec.methods import cleaning, querying
from lmspec.specs.numerics import Machine
from lmspec.specs.queue import QueueSpec
from lmspec.stage import Needs, Report
from stages import queue
from tests.test_suspects import LABELS, NGRAMS, NUMERICS, TEXTS, TRUTH

STRATEGIES = ("margin", "entropy", "diverse", "random")


def write(folder: Path, part: str, rows: list[int], labelled: bool = True) -> None:
    """Some of the texts."""
    folder.mkdir(exist_ok=True)
    texts = [TEXTS[i] for i in rows]
    ids = [cleaning.document_id(text) for text in texts]
    values = {
        "id": ids,
        "text": texts,
        "label": [TRUTH[i] if labelled else None for i in rows],
        "group": [None] * len(rows),
        "table": ["t"] * len(rows),
    }
    documents.write(pl.DataFrame(values, schema=documents.DOCUMENT), folder / f"{part}.parquet")
    documents.write_ids(ids, folder, part)
    documents.write_labels(LABELS if labelled else [], folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pool of all texts, and splits of some of them."""
    write(tmp_path / "pool", "documents", [*range(len(TEXTS))], labelled=False)
    write(tmp_path / "of", "train", [0, 1, 2, 60, 61, 62])
    write(tmp_path / "of", "dev", [3])
    write(tmp_path / "of", "test", [4, 63])
    (tmp_path / "out").mkdir()
    return tmp_path


def queued(folder: Path, strategy: str, **changes: Any) -> Report:
    """The stage's build."""
    features = None if strategy == "random" else NGRAMS
    spec = {"pool": "corpus.pool", "of": "splits.of", "strategy": strategy, "features": features}
    spec |= {"n": 12, "seed": 1, **changes}
    folders = {
        "corpus.pool": folder / "pool",
        "splits.of": folder / "of",
        "corpus.of": folder / "of",
    }
    needs = Needs(folders, NUMERICS, Machine(device="cpu"))
    return queue.build(QueueSpec.model_validate(spec), needs, folder / "out")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_row_has_a_label_already(folder: Path, strategy: str) -> None:
    """In whichever split; the rows are those of the pool, each once, as many as asked for."""
    report = queued(folder, strategy)
    rows = worklist.read(folder / "out")
    assert [row.id for row in rows] == [row["id"] for row in report.tables["rows"]]
    known = {TEXTS[i] for i in (0, 1, 2, 60, 61, 62, 3, 4, 63)}
    texts = [row.text for row in rows]
    assert len(set(texts)) == 12 and not known & {*texts} and {*texts} < {*TEXTS}
    assert report.metrics["pool"] == len(TEXTS) - 9 and report.metrics["labelled"] == 6
    assert all(row.label is None for row in rows)
    assert documents.read_labels(folder / "out") == LABELS


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_rows(folder: Path, strategy: str) -> None:
    """In the same order."""
    first = queued(folder, strategy).tables
    assert queued(folder, strategy).tables == first


def test_the_least_sure_rows_come_first(folder: Path) -> None:
    """By margin; the table shows it rise."""
    margins = [row["margin"] for row in queued(folder, "margin").tables["rows"]]
    assert margins == sorted(margins)
    assert all(row["suggested"] in LABELS for row in queued(folder, "margin").tables["rows"])
    assert all(row["suggested"] is None for row in queued(folder, "random").tables["rows"])


def test_fewer_rows_than_asked_for(folder: Path) -> None:
    """All of them; with none left the message says so."""
    assert len(queued(folder, "diverse", n=500).tables["rows"]) == len(TEXTS) - 9
    write(folder / "of", "train", [*range(len(TEXTS))])
    with pytest.raises(LmspecError, match=r"every text of corpus\.pool is in splits\.of already"):
        queued(folder, "margin")


def test_a_start_without_labels_is_explained(folder: Path) -> None:
    """Random order needs none."""
    write(folder / "of", "train", [0, 1])
    with pytest.raises(LmspecError, match="have 1 labels") as caught:
        queued(folder, "margin")
    assert "random" in caught.value.remedy
    assert queued(folder, "random").metrics["rows"] == 12


def test_a_corpus_has_labels_as_splits_have(folder: Path) -> None:
    """All of its rows teach."""
    write(folder / "of", "documents", [0, 1, 2, 60])
    report = queued(folder, "margin", of="corpus.of")
    assert report.metrics["labelled"] == 4 and report.metrics["pool"] == len(TEXTS) - 4


def test_margins_and_entropies_by_hand() -> None:
    """Of three labels; of two, both give the same order."""
    probabilities = np.array([[0.5, 0.4, 0.1], [0.4, 0.3, 0.3], [0.8, 0.1, 0.1]])
    assert np.allclose(querying.margins(probabilities), [0.1, 0.1, 0.7])
    assert np.allclose(querying.entropies(np.array([[0.5, 0.5], [1.0, 0.0]])), [np.log(2), 0])
    two = np.linspace(0.01, 0.95, 40)
    binary = np.stack([two, 1 - two], 1)
    orders = [querying.order(s, binary, binary, 40, 1).tolist() for s in ("margin", "entropy")]
    assert orders[0] == orders[1]


def test_diverse_rows_are_apart() -> None:
    """Of three far groups of unsure rows it takes one each, where margin takes three of one."""
    draw = np.random.default_rng(1)
    centres = np.repeat([[9.0, 0.0], [0.0, 9.0], [-9.0, -9.0]], 10, axis=0)
    features = centres + draw.normal(0, 0.1, centres.shape)
    unsure = np.concatenate([np.full(10, 0.5), np.full(10, 0.51), np.full(10, 0.52)])
    probabilities = np.stack([unsure, 1 - unsure], 1)
    for given in (features, sparse.csr_array(features)):
        diverse = querying.order("diverse", probabilities, given, 3, 1)
        assert {int(i) // 10 for i in diverse} == {0, 1, 2}
    margin = querying.order("margin", probabilities, features, 3, 1)
    assert {int(i) // 10 for i in margin} == {0}


def test_equal_rows_do_not_shorten_the_queue() -> None:
    """Clusters of equal rows are empty: the next by margin take their place."""
    features, probabilities = np.zeros((20, 3)), np.full((20, 2), 0.5)
    chosen = querying.order("diverse", probabilities, features, 5, 1)
    assert len(set(chosen.tolist())) == 5
