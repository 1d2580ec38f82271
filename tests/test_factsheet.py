"""factsheet: a longer model card from artifacts, its page, and claims that no artifact shows."""

import dataclasses
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lmspec import stage
from lmspec.audit import contents
from lmspec.errors import LmspecError
from lmspec.formats import attributions, documents
from lmspec.methods import factsheet
from lmspec.methods.card import STATED
from lmspec.methods.evidence import Row
from lmspec.methods.factsheet import Explained
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.examined import ExaminedSpec
from lmspec.specs.numerics import Machine
from stages import bundle, card_bundle, examined
from tests import calibrating as made
from tests import explaining
from tests.test_training import NUMERICS

CARD: Mapping[str, Any] = {
    "examined": "examined.a",
    "explained": "explained.a",
    "texts": 20,
    "contact": "Ann <ann@example.org>",
    "data": None,
    "considerations": "Not for decisions about <script>people</script>.",
}
SPEC: Mapping[str, Any] = {
    "of": "calibrated.a",
    "scores": "scores.a",
    "title": "Good or bad",
    "license": "MIT",
    "intended_use": "Tests.",
    "limitations": "None is known.",
    "card": CARD,
}
CASES = """source: ours
license: MIT
suites:
  plain:
    {kind: minimum, templates: ['the film was {w}'], words: {w: [dull, wonderful]}, label: good}
  typo: {kind: invariance, perturb: typo}
  people:
    kind: groups
    templates: ['{t} saw it', 'it was {t}']
    words: {t: [men, women]}
    vary: t
    label: good
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A calibrated graph that abstains, and all that its card draws on."""
    root = tmp_path_factory.mktemp("card")
    found = made.make(root, rows=400)
    found["calibrated.a"] = root / "calibrated"
    made.build(found["calibrated.a"], found)
    found["scores.a"] = root / "scores"
    made.score(found["scores.a"], found)
    found["explained.a"] = root / "explained"
    rows = {"split": "test", "texts": 60}
    changes = {"of": "calibrated.a", "rows": rows, "batch_size": 1}
    explaining.build(found["explained.a"], found, **changes)
    found["examined.a"] = root / "examined"
    found["examined.a"].mkdir()
    (root / "cases.yaml").write_text(CASES)
    spec = {"of": "calibrated.a", "cases": "cases.yaml", "on": "splits.a", "rows": 40, "seed": 1}
    given = stage.Needs(found, NUMERICS, Machine(device="cpu"), root)
    examined.build(ExaminedSpec.model_validate(spec), given, found["examined.a"])
    return found


def build(out: Path, folders: Mapping[str, Path], **card: Any) -> str:
    """The card of a bundle whose spec has some fields of its card changed."""
    out.mkdir(parents=True)
    spec = BundleSpec.model_validate({**SPEC, "card": {**CARD, **card}})
    bundle.build(spec, made.needs(folders), out)
    return (out / "README.md").read_text()


def section(card: str, title: str) -> str:
    return re.split(r"^## ", card.partition(f"## {title}\n")[2], flags=re.M)[0]


def test_a_card_has_what_its_artifacts_show(folders: dict[str, Path], tmp_path: Path) -> None:
    """Groups and suites with intervals, ten typical and ten wrong texts, abstention, origin."""
    card = build(tmp_path / "out", folders)
    assert "| a, movies |" in section(card, "Groups of texts").replace("\\", "")
    whole, chosen = section(card, "Groups of texts").split("that its authors chose")
    assert whole.count(" to ") == 3 * 4
    assert chosen.count(" to ") == 3 * 4 and "| a, tables: largest gap |" in chosen
    behaviour = section(card, "How it behaves")
    assert re.search(r"\| typo \| 40 \| [01]\.\d{3} \(0\.\d{3} to [01]\.\d{3}\) \|", behaviour)
    assert re.search(r"\| people \| 4 \| gap 0\.\d{3} in 2 templates: (wo)?men ", behaviour)
    looks = section(card, "What it looks at")
    typical, wrong = looks.split("Wrong answers:")
    assert typical.count("\n- ") == wrong.count("\n- ") == 10 and "**" in typical
    assert wrong.count("in place of") == 10 and "in place of" not in typical
    assert "true label kept" in section(card, "When it is unsure")
    assert re.findall(
        "`(\\w+\\.a)` \\| `[0-9a-f]{64}`", section(card, "What this card draws on")
    ) == [
        "calibrated.a",
        "scores.a",
        "examined.a",
        "explained.a",
    ]
    assert "do not say" in section(card, "Where the data come from")
    assert "words of its authors" in section(card, "Ethical considerations")
    assert "energy" in section(card, "Not measured")
    assert section(card, "What its answers give away").startswith("\nNot measured")


def test_what_no_artifact_has_is_not_measured(folders: dict[str, Path], tmp_path: Path) -> None:
    """Without artifacts the sections stay, and say so."""
    card = build(tmp_path / "out", folders, examined=None, explained=None, texts=0)
    assert section(card, "How it behaves").startswith("\nNot measured: negation")
    assert section(card, "What it looks at").startswith("\nNot measured")
    assert "examined.a" not in card


def test_no_test_text_leaves_with_a_card_unless_it_is_asked_for(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """With texts: 0."""
    card = build(tmp_path / "out", folders, texts=0)
    assert "none is shown here" in section(card, "What it looks at")
    assert not re.search("once more and again|the film", section(card, "What it looks at"))


def test_the_page_is_the_card_and_loads_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    """Every heading, table and number; what authors write is text, never a tag."""
    card = build(tmp_path / "out", folders)
    page = (tmp_path / "out/card.html").read_text()
    titles = re.findall("^## (.*)$", card, re.M)
    assert re.findall("<h2>(.*?)</h2>", page) == titles
    numbers = set(re.findall(r"\b0\.\d{3}\b", card))
    assert len(numbers) > 20 and numbers <= set(re.findall(r"\b0\.\d{3}\b", page))
    assert "<strong>" in page and "&lt;script&gt;people" in page
    assert not re.search(r"<script|<img|<link|src=|url\(|@import|http-equiv=.refresh", page)
    assert "license:" not in page.partition("<main>")[2][:60]


def test_a_card_that_claims_what_no_artifact_shows_is_found(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """`lmspec verify` builds it again, and has the same bytes; of an edited one it has the line."""
    card = build(tmp_path / "a", folders)
    build(tmp_path / "b", folders)
    assert contents.findings(tmp_path / "a", tmp_path / "b") == []
    old = re.search(r"\| typo \| 40 \| ([01]\.\d{3})", card)
    assert old is not None
    claimed = card.replace(old[0], "| typo | 40 | 0.999")
    (tmp_path / "b/README.md").write_text(claimed)
    (found,) = contents.findings(tmp_path / "a", tmp_path / "b")
    assert found.file == "README.md" and found.verdict == contents.DIFFERENT
    assert "0.999" in found.what


def test_train_texts_do_not_leave_with_a_card(folders: dict[str, Path], tmp_path: Path) -> None:
    """The planted fault: two texts of the explanations are none of the test split. Without shown
    texts nothing leaves."""
    table = attributions.read(folders["explained.a"])
    leaked = table.with_columns(
        id=pl.when(pl.int_range(table.height) < 2)
        .then(pl.lit("t") + "x" + pl.col("id"))
        .otherwise("id")
    )
    folder = Path(shutil.copytree(folders["explained.a"], tmp_path / "explained"))
    documents.write(leaked, folder / attributions.FILE)
    faulty = {**folders, "explained.a": folder}
    with pytest.raises(LmspecError, match=r"2 of its 60 texts are no test texts of scores\.a"):
        build(tmp_path / "out", faulty)
    build(tmp_path / "none", faulty, texts=0)


CLAIM = "It is right on 99.97 % of all texts, of anyone."


def test_what_its_authors_claim_is_marked_as_their_words(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """In each field of prose, in the card and on its page: no artifact shows it, and the card says
    so right above it. It can be no number of a table."""
    fields = ("contact", "data", "considerations", "compute")
    out = tmp_path / "out"
    out.mkdir()
    prose = {"intended_use": CLAIM, "limitations": CLAIM}
    card = {**CARD, **dict.fromkeys(fields, CLAIM)}
    spec = BundleSpec.model_validate({**SPEC, **prose, "card": card})
    bundle.build(spec, made.needs(folders), out)
    text, page = (out / "README.md").read_text(), (out / "card.html").read_text()
    assert text.count(CLAIM) == text.count(f"{STATED}{CLAIM}") == len(prose) + len(fields)
    mark = f"<p><em>{STATED.strip().strip('_')}</em></p>"
    assert page.count(CLAIM) == page.count(f"{mark}\n<p>{CLAIM}") == len(prose) + len(fields)
    assert not re.search(r"^\|.*99\.97", text, re.M)


def test_a_card_says_how_well_train_texts_are_known(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """The numbers of `attacked`, with their intervals; with canaries theirs, too."""
    ends = {"auc": 0.612, "auc_low": 0.581, "auc_high": 0.643}
    ends |= {"tpr": 0.031, "tpr_low": 0.01, "tpr_high": 0.062}
    metrics = {"confidence": ends, "members": 1200, "others": 400}
    place = tmp_path / "data/metrics/attacked-a.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(metrics))
    (tmp_path / "attacked").mkdir()
    needs = made.needs({**folders, "attacked.a": tmp_path / "attacked"})
    out = tmp_path / "out"
    out.mkdir()
    spec = BundleSpec.model_validate({**SPEC, "card": {**CARD, "attacked": "attacked.a"}})
    bundle.build(spec, dataclasses.replace(needs, root=tmp_path), out)
    card = (out / "README.md").read_text()
    found = section(card, "What its answers give away")
    row = "| probability of the label | 0.612 (0.581 to 0.643) | 0.031 (0.010 to 0.062) |"
    assert row in found and "1,200 train texts against 400 test texts, by one simple" in found
    assert "`attacked.a`" in section(card, "What this card draws on")
    canaries = {"exposure": 2.0, "exposure_low": 1.0, "exposure_high": 3.0}
    canaries |= {"highest": 5.0, "planted": 8, "candidates": 8}
    more = factsheet.membership("attacked.a", {**metrics, "canaries": canaries})
    assert "2.000 (1.000 to 3.000) bits on average, 5.000 at most" in more


def test_words_in_cells_of_the_page_are_whole(folders: dict[str, Path], tmp_path: Path) -> None:
    """Elsewhere a long word breaks; a table of many columns is scrolled instead."""
    build(tmp_path / "out", folders)
    style = (tmp_path / "out/card.html").read_text().partition("</style>")[0]
    (cells,) = re.findall(r"^th, td \{(.*)\}$", style, re.M)
    (table,) = re.findall(r"^table \{(.*)\}$", style, re.M)
    assert "overflow-wrap: normal" in cells and "overflow-x: auto" in table
    assert "overflow-wrap: anywhere" in style


def test_texts_cannot_write_markdown() -> None:
    """Marks, tags, links and lines of a test text are letters of it; marked are words alone."""
    text = "**so** [good](http://x) <b>!\n# no | `code`"
    row = Explained("t", text, "a", "b", 0.9, [2, 8, 26], [4, 12, 27], [0.1, 0.5, 0.9], [1])
    shown = factsheet.explanations("explained.x", [row], 2)
    page = card_bundle.page(f"---\nlicense: MIT\n---\n\n{shown}")
    (item,) = re.findall("<li>([^<]*<code>.*?)</li>", page, re.S)
    assert "<a " not in item and "<h1" not in item
    words = re.findall("<strong>(.*?)</strong>", item)
    assert words == ["so", "good"]  # not the mark of most weight
    plain = re.sub("<[^>]+>", "", item)
    for name, letter in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        plain = plain.replace(name, letter)
    assert plain.endswith(text.replace("\n", " "))


def test_groups_have_recall_by_label() -> None:
    """Of texts in documents the interval is wider."""
    rows = [
        Row("d", "t", group, "x", "a" if i % 2 else "b", "a", 0.9)
        for i, group in enumerate([None] * 40)
    ]
    alone = factsheet.groups(rows, ["a", "b", "c"])
    cells = alone.splitlines()[-1].split(" | ")
    assert cells[2].startswith("0.500 (") and cells[3].startswith("1.000 (")
    assert cells[4].startswith("0.000 (") and cells[5] == "no text |"
    together = factsheet.groups(
        [row._replace(group=str(i // 10)) for i, row in enumerate(rows)], []
    )
    bounds = [
        [float(x) for x in re.findall(r"\((0\.\d+) to (0\.\d+)\)", card)[0]]
        for card in (alone, together)
    ]
    assert bounds[1][0] < bounds[0][0] and bounds[0][1] < bounds[1][1]


def test_a_copied_card_is_whole(folders: dict[str, Path], tmp_path: Path) -> None:
    """The manifest lists the page, and what the card draws on."""
    build(tmp_path / "out", folders)
    copy = shutil.copytree(tmp_path / "out", tmp_path / "copy")
    about = bundle.manifest.checked(copy, ("card.html", "README.md"))
    assert {"examined.a", "explained.a"} <= about.made_from.keys()
