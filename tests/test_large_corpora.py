"""A split is read part by part, and its tokens are kept in one array, mapped from a file if large:
the windows and the bits of a training are those of lists in memory."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmspec.formats import documents, examples
from lmspec.methods import bytepair, encoding, ngrams, packing, reading
from lmspec.training import loop, seeds, supervision
from lmspec.training.task import Task
from tests.test_training import NUMERICS, TEXTS, TRUTH, make, recipe

LABELS = ("bad", "good")
LONG = [text * (1 + i % 4) for i, text in enumerate(TEXTS)]  # some need several windows


@pytest.fixture(params=["in memory", "mapped"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where tokens are kept; the threshold is lowered to a few windows."""
    monkeypatch.setattr(packing, "AT_ONCE", 100)
    if request.param == "mapped":
        monkeypatch.setattr(packing, "IN_MEMORY", 4000)
    return str(request.param)


def is_mapped(ids: object) -> bool:
    assert isinstance(ids, packing.Packed)
    array = ids.values
    while array.base is not None and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, np.memmap)


@pytest.fixture
def splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a train split, in groups of 64 rows."""
    monkeypatch.setattr(documents, "GROUP", 64)
    frame = pl.DataFrame(
        {
            "id": [f"d{i}" for i in range(len(LONG))],
            "text": LONG,
            "label": [LABELS[i] for i in TRUTH],
            "group": [None] * len(LONG),
            "table": ["a"] * len(LONG),
        },
        documents.DOCUMENT,
    )
    documents.write(frame, tmp_path / "train.parquet")
    documents.write_labels(LABELS, tmp_path)
    return tmp_path


def reader(way: str = "windows") -> reading.Reader:
    return reading.Reader(bytepair.train(LONG, 300, 16), way)


@pytest.mark.parametrize("way", ["windows", "truncate", "head_tail"])
def test_a_split_is_read_as_all_its_texts_at_once(way: str, place: str, splits: Path) -> None:
    """Ids, windows, counts, labels and names; in int32."""
    got = examples.read(splits, "train", reader(way), LABELS)
    expected = reader(way).read(LONG)
    assert is_mapped(got.windows.ids) is (place == "mapped")
    assert isinstance(got.windows.ids, packing.Packed) and got.windows.ids.values.dtype == np.int32
    assert [i.tolist() for i in got.windows.ids] == [i.tolist() for i in expected.ids]
    assert {i.dtype for i in got.windows.ids} == {np.dtype(np.int64)}
    assert reading.lengths(got.windows.ids).tolist() == [len(i) for i in expected.ids]
    for name in ("of_text", "tokens", "unread", "unknown"):
        one, two = getattr(got.windows, name), getattr(expected, name)
        assert one.dtype == two.dtype and np.array_equal(one, two)
    assert got.truth.tolist() == TRUTH.tolist()
    texts = expected.of_text[[0, 0, 7]].tolist()
    assert got.named(np.asarray([0, 0, 7])) == [f"d{text}" for text in dict.fromkeys(texts)]


def test_texts_are_read_part_by_part_as_often_as_wanted(splits: Path) -> None:
    """Of a file with several row groups, and the same of one with a single group."""
    texts = documents.Texts(splits, "train")
    assert list(texts) == list(texts) == LONG
    parts, file = (splits / "train.parquet").read_bytes(), splits / "one.parquet"
    frame = documents.read_split(splits, "train")
    frame.write_parquet(file, compression="zstd", statistics=False, row_group_size=len(frame))
    assert file.read_bytes() != parts
    assert list(documents.Texts(splits, "one")) == LONG


def test_how_a_table_is_put_together_is_not_in_its_bytes(splits: Path) -> None:
    """Chunks of a frame are no row groups."""
    frame = documents.read_split(splits, "train")
    pieces = pl.concat([frame[:7], frame[7:100], frame[100:]], rechunk=False)
    documents.write(pieces, splits / "pieces.parquet")
    assert (splits / "pieces.parquet").read_bytes() == (splits / "train.parquet").read_bytes()


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=5)), st.integers(1, 8))
def test_what_is_packed_is_what_it_was(windows: list[list[int]], at_once: int) -> None:
    """Empty windows too; slices, and windows in another order."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(packing, "AT_ONCE", at_once)
        patched.setattr(packing, "IN_MEMORY", 16)
        got = packing.packed(np.asarray(each, np.int64) for each in windows)
    assert [i.tolist() for i in got] == windows
    assert [i.tolist() for i in got[1:]] == windows[1:]
    backwards = list(range(len(windows)))[::-1]
    assert [i.tolist() for i in packing.taken(got, backwards)] == windows[::-1]


def test_numbers_of_n_grams_do_not_wrap() -> None:
    """They can be larger than an int32."""
    tokenizer = ngrams.NgramTokenizer(("great", "fun"), (), (1, 1), None)
    number = 2**40
    packed = packing.of(reading.Reader(tokenizer, None))(iter([np.asarray([number])]))
    assert packed[0].tolist() == [number]


def test_texts_of_several_datasets_are_joined(place: str, splits: Path) -> None:
    """As those of lists are."""
    packed = examples.read(splits, "train", reader(), LABELS).windows
    listed = reader().read(LONG)
    chosen = [3, 150, 7]
    one, two = (encoding.joined([(each, chosen), (each, [5])]) for each in (packed, listed))
    assert [i.tolist() for i in one.ids] == [i.tolist() for i in two.ids]
    assert one.of_text.tolist() == two.of_text.tolist()


def test_a_training_has_the_same_bits(place: str) -> None:
    """From a list, in memory, and mapped; the control is a window that differs in one token."""

    def trained(keep: reading.Keep) -> bytes:
        network, listed, pad = make("cnn")
        ids = keep(iter(listed))
        windows = reading.Windows(ids[:40], np.arange(40), TRUTH[:40], TRUTH[:40], None)
        evaluate = supervision.evaluation(network, windows, TRUTH[:40], pad)
        seeds.seed_weights(NUMERICS)
        task = Task(ids, pad, supervision.supervised(TRUTH), evaluate, dev=ids[:40])
        loop.fit(network, task, recipe(epochs=1), NUMERICS)
        return b"".join(value.numpy().tobytes() for value in network.state_dict().values())

    def damaged(windows: object) -> packing.Packed:
        packed = packing.packed(windows)  # type: ignore[arg-type]
        values = packed.values.copy()
        values[0] += 1
        return packing.Packed(values, packed.first, packed.lengths)

    expected = trained(list)
    assert trained(packing.packed) == expected
    assert trained(damaged) != expected


def test_the_file_goes_when_the_array_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no name in the folder for temporary files, so a killed stage leaves nothing."""
    monkeypatch.setattr(packing, "IN_MEMORY", 16)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    packed = packing.packed([np.arange(100)])
    assert is_mapped(packed) and packed[0].tolist() == list(range(100))
    assert not list(tmp_path.iterdir())
    assert torch.from_numpy(packed[0]).sum() == 4950
