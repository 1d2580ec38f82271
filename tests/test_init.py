"""`lmspec init`: a project that is valid and builds, with lmspec installed as a package."""

import csv
import json
import random
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pytest
from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.scaffold import beginning, project
from lmspec.scaffold import table as table_of
from lmspec.scaffold.table import LabelledTable
from tests import miniature
from tests.limits import largest_file

ROOT = Path(__file__).parent.parent
GOOD = ["fine", "great", "lovely", "splendid", "superb", "brilliant", "charming", "delightful"]
BAD = ["dull", "awful", "dreary", "horrid", "clumsy", "shoddy", "tedious", "dismal"]
FIRST = ("river", "garden", "winter", "copper", "harbour", "velvet", "lantern", "saddle")
WORDS = [
    first + second for first in FIRST for second in ("man", "side", "light", "door", "song", "work")
]


def table() -> list[dict[str, str]]:
    """240 texts of ten words, no two alike; one word of each says which label it has."""
    draw = random.Random(5)
    rows = []
    for i in range(240):
        words = draw.sample(WORDS, 9)
        words.insert(draw.randrange(10), draw.choice(GOOD if i % 2 else BAD))
        rows.append(
            {"id": str(i), "what they wrote": " ".join(words), "stars": "5" if i % 2 else "1"}
        )
    return rows


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    """With a header."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lmspec in it as a wheel unpacks, and with nothing else of this repository."""
    source = tmp_path_factory.mktemp("source")
    for name in ("lmspec", "stages"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "--wheel-dir", "dist", "."], cwd=source, check=True, capture_output=True)
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(next((source / "dist").glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.fixture
def elsewhere(installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder, for processes that find lmspec where it is installed."""
    monkeypatch.setenv("PYTHONPATH", str(installed))
    return tmp_path


def init(folder: Path, *arguments: str, code: int = 0) -> str:
    return miniature.lmspec(folder, "init", *arguments, code=code)


def test_the_wheel_has_the_page_of_the_service(installed: Path) -> None:
    """Each of its files, byte for byte."""
    folder = "lmspec/serving/static"
    files = {path.name: path.read_bytes() for path in (ROOT / folder).iterdir()}
    assert {path.name: path.read_bytes() for path in (installed / folder).iterdir()} == files
    assert {"index.html", "page.css", "main.js"} <= files.keys()


def test_a_project_from_a_csv_builds(elsewhere: Path, installed: Path) -> None:
    """Valid without a warning, builds, passes its gate; an upgrade reruns only what it changed."""
    write_csv(elsewhere / "What People Say.csv", table())
    init(
        elsewhere,
        "new",
        "--data",
        "What People Say.csv",
        "--text",
        "what they wrote",
        "--label",
        "stars",
    )
    project = elsewhere / "new"
    assert "warning" not in miniature.lmspec(project, "validate")
    key = "what-people-say"
    assert miniature.ran(miniature.dvc(project, "repro"))[-1] == f"bundle-{key}"
    assert "2 of 2 gates pass" in miniature.lmspec(project, "gate")
    accuracy = json.loads((project / f"data/metrics/scores-{key}.json").read_text())[key][
        "accuracy"
    ]
    assert accuracy > 0.8
    card = installed / "lmspec/methods/card.py"
    before = card.read_text()
    card.write_text(before + "\n# another version\n")
    try:
        refused = miniature.dvc(
            project, "repro", "--force", "--single-item", f"bundle-{key}", code=255
        )
        assert (
            "lmspec.methods.card differs from the recorded version" in refused
            and "lmspec sync" in refused
        )
        miniature.dvc(project, "checkout", "--quiet", "--force")
        miniature.lmspec(project, "sync")
        plan = json.loads(miniature.lmspec(project, "plan", "--format", "json"))
        (step,) = [step for step in plan if step["verdict"] != "hit"]
        assert (
            step["stage"] == f"bundle-{key}"
            and "toolchain.yaml: lmspec.methods.card modified" in step["reasons"]
        )
        assert miniature.ran(miniature.dvc(project, "repro")) == [f"bundle-{key}"]
    finally:
        card.write_text(before)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["balanced", "best"])
def test_a_project_with_weights_builds(elsewhere: Path, preset: str) -> None:
    """What ships is scored beside the baseline, and passes the gates."""
    write_csv(elsewhere / "x.csv", table())
    miniature.write_weights(elsewhere / "encoder")
    columns = ("--text", "what they wrote", "--label", "stars")
    weights = ("--weights", "encoder", "--preset", preset)
    printed = init(elsewhere, "new", "--data", "x.csv", *columns, *weights)
    assert "model.linear: " in printed and "model.hybrid ships" in printed
    project = elsewhere / "new"
    assert "warning" not in miniature.lmspec(project, "validate")
    stages = miniature.ran(miniature.dvc(project, "repro"))
    assert {"model-linear", "model-hybrid", "exported-x", "scores-linear"} <= set(stages)
    assert stages[-1] == "bundle-x"
    assert "3 of 3 gates pass" in miniature.lmspec(project, "gate")


def test_preset_fast_leaves_out_an_encoder(elsewhere: Path) -> None:
    """It says so, and no source has it."""
    write_csv(elsewhere / "x.csv", table())
    miniature.write_weights(elsewhere / "encoder")
    columns = ("--text", "what they wrote", "--label", "stars")
    weights = ("--weights", "encoder", "--preset", "fast")
    assert "left out, as preset fast" in init(
        elsewhere, "new", "--data", "x.csv", *columns, *weights
    )
    params = YAML(typ="safe").load(elsewhere / "new/params.yaml")
    assert list(params["sources"]) == ["x"] and list(params["model"]) == ["linear"]
    assert "warning" not in miniature.lmspec(elsewhere / "new", "validate")


def test_every_form_of_table_gives_a_valid_project(elsewhere: Path) -> None:
    """TSV, JSON lines and Parquet; labels that are words, numbers, or special in YAML."""
    import polars as pl

    rows = table()
    for i, row in enumerate(rows):
        row["stars"] = ("yes", "true", "1.0", "a: b")[i % 4]
    frame = pl.DataFrame(rows)
    frame.write_csv(elsewhere / "a.tsv", separator="\t", quote_style="never")
    frame.write_ndjson(elsewhere / "b.jsonl")
    frame.write_parquet(elsewhere / "c.parquet")
    frame.write_csv(elsewhere / "Ö ß.CSV")
    for name in ("a.tsv", "b.jsonl", "c.parquet", "Ö ß.CSV"):
        folder = elsewhere / f"of-{name}"
        init(
            elsewhere, str(folder), "--data", name, "--text", "what they wrote", "--label", "stars"
        )
        assert "warning" not in miniature.lmspec(folder, "validate")
        (corpus,) = YAML(typ="safe").load(folder / "params.yaml")["corpus"].values()
        assert corpus["labels"] == ["1.0", "a: b", "true", "yes"]


def test_what_it_writes_is_what_a_project_needs(elsewhere: Path) -> None:
    """Every stage, pinned packages, CI, and nothing of the machine that it was begun on."""
    write_csv(elsewhere / "x.csv", table())
    (elsewhere / "p").mkdir()
    printed = init(
        elsewhere / "p", "--data", "../x.csv", "--text", "what they wrote", "--label", "stars"
    )
    assert "240 texts with a label: 1 120, 5 120" in printed
    names = {path.name for path in (elsewhere / "p/stages").iterdir()}
    assert names == {path.name for path in (ROOT / "stages").glob("*.py")}
    for path in (
        path
        for path in (elsewhere / "p").rglob("*")
        if path.is_file() and ".git/" not in path.as_posix()
    ):
        assert str(elsewhere) not in path.read_text(encoding="utf-8", errors="replace"), path
    pins = (elsewhere / "p/requirements.txt").read_text().splitlines()
    assert any(pin.startswith("torch==2.13") for pin in pins) and any(
        pin.startswith("file:vendor/lmspec-") and "#sha256=" in pin for pin in pins
    )
    workflow = YAML(typ="safe").load(elsewhere / "p/.github/workflows/lmspec.yml")
    steps = [step.get("run", "") for step in workflow["jobs"]["model"]["steps"]]
    makefile = (elsewhere / "p/Makefile").read_text()
    assert (
        "make env" in steps
        and "\nenv:" in makefile
        and any("lmspec ci --base" in step for step in steps)
    )


def test_a_folder_that_is_not_empty_is_refused(elsewhere: Path) -> None:
    """Nothing in it is touched; a repository without files counts as empty."""
    write_csv(elsewhere / "x.csv", table())
    columns = ("--text", "what they wrote", "--label", "stars")
    output = init(elsewhere, "--data", "x.csv", *columns, code=1)
    assert "not empty: it holds x.csv" in output and [p.name for p in elsewhere.iterdir()] == [
        "x.csv"
    ]
    repository = elsewhere / "repository"
    miniature.run(elsewhere, "git", "init", "-q", "repository")
    init(repository, "--data", "../x.csv", *columns)
    assert (repository / "dvc.yaml").exists() and (
        repository / ".github/workflows/lmspec.yml"
    ).exists()
    assert "no CI workflow" in init(repository, "part", "--data", "../x.csv", *columns)
    assert (repository / "part/.dvc/config").exists() and not (repository / "part/.github").exists()


@pytest.mark.parametrize(
    ("rows", "arguments", "words"),
    [
        (240, (), "which columns hold the text and the label?"),
        (240, ("--text", "what they wrote", "--label", "star"), "it has no column 'star'"),
        (240, ("--text", "what they wrote", "--label", "id"), "240 different values"),
        (240, ("--text", "stars", "--label", "stars"), "it has 2 different texts"),
        (1, ("--text", "what they wrote", "--label", "stars"), "every label is '1'"),
        (20, ("--text", "what they wrote", "--label", "stars"), "it has 20 different texts"),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_refused(
    elsewhere: Path, rows: int, arguments: tuple[str, ...], words: str
) -> None:
    """What is missing, and what there is; and no folder is begun."""
    write_csv(elsewhere / "x.csv", table()[:rows])
    output = init(elsewhere, "new", "--data", "x.csv", *arguments, code=1)
    assert words in output and "->" in output and "Traceback" not in output
    assert not (elsewhere / "new").exists()


def test_a_file_that_is_no_table_is_refused(elsewhere: Path) -> None:
    """Another suffix, no file, no UTF-8, another sign between the columns."""
    (elsewhere / "x.csv").write_bytes(b"text,label\n\xff\xfe,1\n")
    (elsewhere / "x.docx").touch()
    (elsewhere / "y.csv").write_text("text;label\na b;1\n")
    for name, words in (
        ("x.docx", "it is no .csv"),
        ("none.csv", "there is no such file"),
        ("x.csv", "line 2 is not UTF-8: byte 0xFF"),
        ("y.csv", "it has one column, 'text;label'"),
    ):
        output = init(
            elsewhere, "new", "--data", name, "--text", "text", "--label", "label", code=1
        )
        assert words in output and "Traceback" not in output


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("a: b.csv", ["yes", "no"]),
        ("# '\"{é}.csv", ["1", "1e3", "true", "~"]),
        ("-.csv", ["{x}", "[y]", "a, b", '"q"', "it's", "&a", "*b", "!t", "@e", "`f", "a: #b"]),
        ("x.csv", [" x", "y ", "a\nb", "a\u2028b", "\ufeffz", "\U0001f600"]),
    ],
)  # fmt: skip
def test_odd_names_and_labels_are_texts_of_params_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, labels: list[str]
) -> None:
    """Whatever YAML would take them for; nothing is compiled here."""
    monkeypatch.setattr(project, "_run", lambda *command: None)
    monkeypatch.setattr(shutil, "which", lambda program: None)
    path = write_csv(tmp_path / name, odd(labels))
    create(tmp_path / "project", table_of.read(path, "t: {", "l#"))
    values = YAML(typ="safe").load(tmp_path / "project/params.yaml")
    ((key, corpus),) = values["corpus"].items()
    assert sorted(corpus["labels"]) == sorted(label.strip() for label in labels)
    assert corpus["tables"][0]["file"] == name and corpus["tables"][0]["text"] == "t: {"
    assert name in values["bundle"][key]["intended_use"]


@pytest.mark.parametrize(
    ("name", "labels", "found"),
    [
        ("a\nb.csv", ["x", "y"], "no project can hold its name"),
        ("a\\b.csv", ["x", "y"], "no project can hold its name"),
        ("a\udcffb.csv", ["x", "y"], "no project can hold its name"),
        ("${a}.csv", ["x", "y"], "DVC would replace"),
        ("a.csv", ["x", "y\x07"], "it has the control character U+0007"),
        ("a.csv", ["x", "y\x85z"], "it has a U+0085"),
    ],
)
def test_a_name_that_no_project_can_hold_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, labels: list[str], found: str
) -> None:
    """One message, and no folder."""
    path = write_csv(tmp_path / name, odd(labels))
    with pytest.raises(LmspecError, match=re.escape(found)):
        create(tmp_path / "project", table_of.read(path, "t: {", "l#"))
    assert not (tmp_path / "project").exists()


def create(folder: Path, table: LabelledTable) -> None:
    """A project without weights."""
    with beginning.begin(table, "balanced", None) as begun:
        project.create(folder, begun)


def odd(labels: list[str]) -> list[dict[str, str]]:
    """Thirty rows of each label, in columns of odd names."""
    return [{"t: {": f"text {i} of {label!r}", "l#": label} for i in range(30) for label in labels]


@pytest.mark.parametrize("half", ["\\ud800", "x\\ud83dy", "\\\\\\uDBFF"])
def test_half_a_character_in_json_is_refused_with_its_line(tmp_path: Path, half: str) -> None:
    """polars reads U+0000 in its place: that is the control. Whole pairs, and a backslash before
    `ud800`, are texts."""
    path = tmp_path / "a.jsonl"
    rows = [f'{{"text": "{i} \\ud83d\\ude00 \\\\ud800", "label": "{i % 2}"}}\n' for i in range(30)]
    path.write_text("".join(rows))
    assert len(table_of.read(path, "text", "label").lengths) == 30
    rows[7] = f'{{"text": "{half}", "label": "1"}}\n'
    path.write_text("".join(rows))
    assert "\0" in pl.read_ndjson(path)["text"][7]
    with pytest.raises(LmspecError, match=r"line 8 has \\u.*half a surrogate pair"):
        table_of.read(path, "text", "label")


def test_on_a_full_disk_nothing_is_left(tmp_path: Path) -> None:
    """So that the same command works once there is room; a folder that was there stays."""
    labelled = table_of.read(write_csv(tmp_path / "a.csv", odd(["x", "y"])), "t: {", "l#")
    (tmp_path / "mine").mkdir()
    for name in ("new", "mine"):
        with largest_file(20_000), pytest.raises(OSError, match="File too large"):
            create(tmp_path / name, labelled)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "mine"]
    assert not any((tmp_path / "mine").iterdir())
