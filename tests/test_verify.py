"""`lmspec verify` over a whole project: what a rebuild elsewhere gives, and what it finds."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import miniature

PLANTED = {
    "stages/splits.py": (
        "    return stage.Report(metrics)",
        '    import time\n\n    metrics["clock"] = {"at": time.time()}\n',
    ),
    "stages/corpus.py": (
        "    tables = {\n",
        '    import random\n\n    (out / "note.json").write_text(f\'{{"planted": {random.random()}}}\')\n',
    ),
}


@pytest.fixture
def project(built: Path) -> Iterator[Path]:
    """The built project; what a test does to it is undone."""
    yield built
    miniature.run(built, "git", "reset", "-q", "--hard", "main")
    miniature.dvc(built, "checkout", "-q", "--force")


@pytest.mark.slow
def test_every_stage_gives_the_same_bytes_but_what_is_measured(built: Path) -> None:
    """In another folder, with another hash seed, language, time zone and home."""
    output = miniature.lmspec(built, "verify")
    assert "21 of 21 reproduced" in output
    assert output.count(": same bytes (") == 17
    assert (
        output.count("has its declared hash") == 3
        and "speed.release: measured, not compared" in output
    )


@pytest.mark.slow
def test_a_clock_and_an_unseeded_draw_are_found_and_named(project: Path) -> None:
    """Both are the only ones that are named, with the key that differs."""
    for path, (mark, planted) in PLANTED.items():
        source = (project / path).read_text()
        assert source.count(mark) == 1
        (project / path).write_text(source.replace(mark, planted + mark))
    miniature.dvc(project, "repro", "corpus-old", "splits-old", "splits-new")
    output = miniature.lmspec(project, "verify", "corpus.old", "splits.old", "sources.old", code=1)
    assert "corpus.old: different" in output and "note.json: planted: " in output
    assert "splits.old: different" in output and "splits-old.json: clock.at: " in output
    assert "1 of 3 reproduced" in output


@pytest.mark.slow
def test_a_card_that_claims_what_no_artifact_shows_is_found(project: Path) -> None:
    """Its manifest and DVC's hashes were changed with it; the line is named, and what it should
    be."""
    bundle = project / "data/bundle/release"
    card, manifest = bundle / "README.md", bundle / "manifest.json"
    old = card.read_text()
    line = next(line for line in old.splitlines() if line.startswith("| new | "))
    claimed = old.replace(line, "| new | 0.9999 |")
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in (old, claimed)]
    for path, text in (
        (card, claimed),
        (manifest, manifest.read_text().replace(*digests)),
    ):
        path.unlink()  # a link into the cache
        path.write_text(text)
    miniature.dvc(project, "commit", "-q", "--force", "bundle-release")
    output = miniature.lmspec(project, "verify", "bundle.release", code=1)
    assert "'| new | 0.9999 |'" in output and line in output
    assert "differs from its provenance" in miniature.lmspec(
        project, "verify", "--provenance", "bundle.release", code=1
    )
