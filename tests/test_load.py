"""A bundle's service is asked by many clients, in turn with a model behind a plain application."""

import functools
from pathlib import Path

import polars as pl
import pytest

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.methods import clients
from lmspec.serving import measured
from lmspec.specs.load import CLIENTS, LoadSpec
from lmspec.specs.numerics import Machine
from stages import load
from tests import bundles, miniature
from tests.test_training import NUMERICS

SPEC = {"of": "bundle.a", "against": "exported.a", "on": "splits.a", "texts": 64, "rounds": 5}
SERVING = {"max_text_bytes": 1000, "max_texts": 1, "max_body_bytes": 4000, "queue": 1}
SERVING |= {"timeout_ms": 9000, "drain_seconds": 10, "empty_text": "no_answer"}


@pytest.fixture(scope="module")
def needs(tmp_path_factory: pytest.TempPathFactory) -> stage.Needs:
    """A bundle where one text waits, its graph, and test texts."""
    root = tmp_path_factory.mktemp("load")
    (root / "bundle").mkdir()
    bundle = bundles.make(root / "bundle", SERVING)
    texts = [text for _, text, _ in miniature.sentences("")][:64]
    (root / "splits").mkdir()
    pl.DataFrame({"text": texts}).write_parquet(root / "splits/test.parquet")
    folders = {"bundle.a": bundle, "exported.a": bundle, "splits.a": root / "splits"}
    return stage.Needs(folders, NUMERICS, Machine(device="cpu"))


@pytest.mark.slow
def test_a_service_is_asked_in_turn_with_a_model(
    needs: stage.Needs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every declared metric, one row a round; what finds no room is refused, and is no answer."""
    monkeypatch.setattr(load, "in_turn", functools.partial(once, load.in_turn))
    report = load.build(LoadSpec.model_validate(SPEC), needs, tmp_path)
    (row,) = report.tables["rounds"]
    for metric in LoadSpec.metrics:
        value = report.metrics
        for step in metric.steps:
            value = value[step]
        assert isinstance(value, float | int), metric.path
        if metric.column:
            assert row[f"of_{metric.column}"] == value > 0
            assert row[f"against_{metric.column}"] > 0
    refused = [report.metrics["of"][f"clients_{count}"]["refused"] for count in CLIENTS]
    assert refused[0] == 0 < refused[2] < 1
    assert report.metrics["against"]["clients_64"]["refused"] == 0
    assert report.metrics["of"]["peak_memory_bytes"] > 2**24


def once(in_turn, ends, requests, rounds):  # type: ignore[no-untyped-def]
    """One round, of five."""
    assert rounds == 5
    return in_turn(ends, requests, 1)


def broken() -> object:
    """Loads what answers with nothing but errors."""

    def predict(text: str) -> dict[str, float]:
        raise ValueError(text)

    return predict


def test_errors_are_no_answers() -> None:
    """A server that fails fast is not fast."""
    requests = [clients.request(measured.PATH, {"text": "a film"})] * 2
    serve = functools.partial(measured.plain, broken)
    with measured.server(serve) as end, pytest.raises(LmspecError, match="status 500"):
        load.asked(end, requests, 1)


def test_a_server_that_does_not_start_is_reported() -> None:
    """Not after two minutes."""
    with pytest.raises(RuntimeError, match="died"), measured.server(no_server):
        pass


def no_server(*_: object) -> None:
    """Ends at once."""
    raise SystemExit(3)
