"""The project's own release in a browser: 200 texts get the labels of its service."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from lmspec.formats import browser, deployed, manifest, predict
from tests import browser as chromium
from tests.browser import Browser
from tests.serving import Client
from tests.test_browser_bundle import SENTENCES, answers, require_quiet, sources
from tests.test_repairing import odd
from tests.visiting import until

ROOT = Path(__file__).parent.parent
GRAPH, SCORES = ROOT / "data/quantized/release", ROOT / "data/scores/release"
TEXTS = 200
pytestmark = pytest.mark.slow
assert sources  # a fixture


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """Of the project's own params.yaml."""
    if not GRAPH.is_dir() or not SCORES.is_dir():
        pytest.skip("the release is not built: `dvc repro scores@release`")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Test texts of three domains, joined to long ones, odd ones, other languages."""
    table = pl.read_parquet(SCORES / "predictions.parquet")
    rows = table["text"].to_list()
    own = rows[:: len(rows) // 110][:110]
    long = [" ".join(rows[i : i + 12]) for i in range(0, 240, 12)]
    found = [*SENTENCES, *long, *odd(9, 40), *own]
    found = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in found]
    return list(dict.fromkeys(text for text in found if text.strip()))[:TEXTS]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release without the repairs that no browser makes, so that both read the same."""
    folder = tmp_path_factory.mktemp("graph") / "release"
    shutil.copytree(GRAPH, folder)
    about = json.loads((folder / predict.ABOUT).read_text(encoding="utf-8"))
    about["clean"] = {
        name: is_done for name, is_done in about["clean"].items() if name in browser.REPAIRS
    }
    (folder / predict.ABOUT).unlink()  # a link into DVC's cache may not be written to
    (folder / predict.ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tab(
    graph: Path, sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """The page, opened as a file."""
    folder = tmp_path_factory.mktemp("release") / "browser"
    about = browser.Described("Sentiment", "quantized.release", 32_768)
    browser.write(folder, graph, sources, about)
    with chromium.opened() as opened:
        opened.open(folder / "index.html")
        until(opened, "document.querySelector('button').disabled === false")
        yield opened


def test_the_page_gives_the_labels_of_the_service(
    tab: Browser, texts: list[str], graph: Path, tmp_path: Path
) -> None:
    """All 200; probabilities are near. Nothing is logged, and no one is asked."""
    assert len(texts) == TEXTS
    for name in predict.DATA:
        shutil.copyfile(graph / name, tmp_path / name)
    deployed.write(tmp_path)
    manifest.write(tmp_path, "Sentiment", {}, None)
    client = Client(tmp_path)
    try:
        served = [client.post({"text": text}).values["answers"][0] for text in texts]
    finally:
        client.close()
    found = answers(tab, texts)
    require_quiet(tab)
    labels = [answer["label"] for answer in served]
    assert [next(iter(answer), None) for answer in found] == labels
    apart = [
        max(abs(p - answer["probabilities"][label]) for label, p in own.items())
        for own, answer in zip(found, served, strict=True)
    ]
    mean = sum(apart) / len(apart)
    print(f"\nprobabilities differ by at most {max(apart):.4f}, on average by {mean:.4f}")
    assert max(apart) < 0.15 and mean < 0.005
