"""Blocks: values that several fields refer to are the same to every part as if written in place."""

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lmspec.attribution import factors, worktrees
from lmspec.attribution.factors import DATA, SPEC
from lmspec.errors import LmspecError
from lmspec.language import document, uses, validate
from lmspec.pipeline import compiler, difference, plan
from lmspec.run import declaration, provenance
from lmspec.specs import blocks
from lmspec.specs.names import NO_NOUNS, ArtifactName
from lmspec.specs.project import Project
from tests import history, miniature, mutations, specs

GOOD: dict[str, Any] = YAML(typ="safe").load(specs.GOOD)
CLEAN = "{fix_unicode: true, unescape_html: true, min_chars: 3, max_chars: 200}"


@dataclass
class Read:
    """What `factors` reads of a revision."""

    params: dict[str, Any]
    toolchain: dict[str, Any]


def mappings(value: Any, steps: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Paths of the mappings below a value, the innermost first."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items if isinstance(value, dict | list) else ():
        if isinstance(item, dict | list):
            yield from mappings(item, (*steps, key))
        if isinstance(item, dict):
            yield (*steps, key)


def moved(values: dict[str, Any]) -> dict[str, Any]:
    """The same params.yaml with every mapping below an artifact in a block of its own."""
    values, named = copy.deepcopy(values), {}
    fields = [
        steps
        for noun in values
        if noun not in NO_NOUNS
        for steps in mappings(values[noun], (noun,))
    ]
    for i, (*steps, last) in enumerate(fields):
        if len(steps) > 1:
            owner = values
            for step in steps:
                owner = owner[step]
            named[f"b{i}"], owner[last] = owner[last], f"blocks.b{i}"
    return values | {"blocks": named}


def test_every_mapping_of_an_artifact_may_be_a_block(tmp_path: Path) -> None:
    """Optimizers in trainings, bands in labels, entries of lists: nothing else changes."""
    written = moved(GOOD)
    assert len(written["blocks"]) > 30
    text = mutations.written(mutations.tree(written))
    assert [p for p in validate.file(specs.written(text, tmp_path)).problems if not p.warning] == []
    one, other = Project.model_validate(written), Project.model_validate(GOOD)
    assert [*one.artifacts()] == [*other.artifacts()]
    assert blocks.without(written) == GOOD
    assert uses.compared(GOOD, written)[0] == {**GOOD, "blocks": {}}
    assert [*difference.described(*uses.compared(GOOD, written))] == []


def test_a_text_that_names_no_block_is_a_text() -> None:
    """A file may be called blocks.csv, also where there are blocks."""
    values = {"a": {"file": "blocks.csv", "other": "blocks.near"}}
    assert blocks.resolved(values, {"near": {"x": 1}})["a"] == {
        "file": "blocks.csv",
        "other": {"x": 1},
    }


def test_blocks_of_blocks_are_bounded() -> None:
    """Ten lines must not stand for a billion values."""
    named = {f"b{i}": {"x": f"blocks.b{i + 1}", "y": f"blocks.b{i + 1}"} for i in range(30)}
    with pytest.raises(LmspecError, match="more than 200,000 values"):
        blocks.resolved({"a": "blocks.b0"}, named | {"b30": {}})
    assert blocks.resolved({"a": "blocks.b"}, {"b": {"x": "blocks.b"}}) == {"a": {"x": "blocks.b"}}


def with_clean(text: str) -> str:
    """A spec in which both corpora name the same block."""
    return text.replace(f"clean: {CLEAN}", "clean: blocks.clean") + f"blocks:\n  clean: {CLEAN}\n"


def test_dvc_watches_the_blocks_of_a_stage_and_no_others() -> None:
    """Of the artifact itself, and through other blocks; not those of what it is made from."""
    values = moved(GOOD)
    project = Project.model_validate(values)
    named = blocks.of(values)
    for name, _ in project.artifacts():
        noun, own = ArtifactName.parse(name)
        text = json.dumps(values[noun][own])
        watched = project.blocks_of(name)
        assert {b for b in named if f'"blocks.{b}"' in text} <= {
            w[len("blocks.") :] for w in watched
        }
    bert = project.blocks_of("model.bert")
    assert any(values["model"]["bert"]["training"] == b for b in bert)
    assert len(bert) == 4  # architecture, training, its optimizer and early stopping
    assert project.blocks_of("exported.cnn") == ()


def test_a_stage_refuses_a_block_that_dvc_does_not_watch(tmp_path: Path) -> None:
    """A reference that was written after the last sync."""
    text = "model:\n  a: {training: blocks.fast}\nblocks:\n  fast: {epochs: 1}\n"
    (tmp_path / "params.yaml").write_text(text)
    declared = declaration.of_entry(ArtifactName("model", "a"), {"params": ["model.a"]})
    with pytest.raises(LmspecError, match=r"model-a uses blocks\.fast, which it does not declare"):
        declaration.values(tmp_path, declared)
    declared = declaration.of_entry(
        ArtifactName("model", "a"), {"params": ["model.a", "blocks.fast"]}
    )
    values = declaration.values(tmp_path, declared)["params.yaml"]
    assert blocks.without(values)["model.a"] == {"training": {"epochs": 1}}


def changes(project: history.Project) -> list[tuple[Any, ...]]:
    """Parameters of `lmspec diff`."""
    report = project.report("HEAD~1", "HEAD")
    return [
        (c["name"], c["baseline"], c["candidate"], c["used_by"])
        for c in report["changes"]["parameters"]
    ]


def test_diff_tells_a_change_in_a_block_once_and_whom_it_reaches(tmp_path: Path) -> None:
    """A value that moved into a block did not change; a changed block is one row."""
    project = history.make(tmp_path / "p")
    optimizer = next(line for line in project.text("params.yaml").splitlines() if "adamw" in line)
    block = optimizer.strip().removeprefix("optimizer: ")
    project.edit("params.yaml", block, "blocks.adamw")
    project.edit("params.yaml", "numerics:", f"blocks:\n  adamw: {block}\nnumerics:")
    project.commit()
    assert changes(project) == []
    project.edit("params.yaml", "weight_decay: 0.01", "weight_decay: 0.02")
    project.commit()
    assert changes(project) == [("blocks.adamw.weight_decay", 0.01, 0.02, ["model.cnn"])]
    assert "model.cnn" in project.run("diff", "HEAD~1", "HEAD").stdout
    project.edit("params.yaml", "blocks.adamw", block.replace("0.01", "0.5"))
    project.commit()
    assert [c[:3] for c in changes(project)] == [
        ("model.cnn.training.optimizer.weight_decay", 0.02, 0.5)
    ]


def test_a_mix_of_two_commits_takes_each_block_with_its_users() -> None:
    """DVC's cache has what either built. Of two blocks of one name, one is written out."""
    old = {
        "corpus": {"a": {"clean": "blocks.x"}},
        "model": {"a": {"training": "blocks.y"}},
        "blocks": {"x": {"n": 1}, "y": {"n": 2}},
    }
    new = copy.deepcopy(old)
    new["blocks"] = {"x": {"n": 3}, "y": {"n": 4}}
    mixed = worktrees.params(old, new, frozenset({DATA}))
    assert mixed == old | {"blocks": {"x": {"n": 3}, "y": {"n": 2}}}
    assert worktrees.params(old, new, frozenset({DATA, SPEC})) == new
    new["corpus"]["a"]["clean"] = "blocks.y"  # the same name for another use
    mixed = worktrees.params(old, new, frozenset({DATA}))
    assert blocks.without(mixed) == {
        "corpus": {"a": {"clean": {"n": 4}}},
        "model": {"a": {"training": {"n": 2}}},
    }


def test_a_changed_block_belongs_to_the_factor_of_its_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cleaning is data, training is spec; a value that only moved is neither."""
    monkeypatch.setattr(factors, "_raw", lambda *_: ())
    monkeypatch.setattr(factors.changes, "code", lambda *_: ())
    old = {
        "corpus": {"a": {"clean": "blocks.x"}},
        "model": {"a": {"training": "blocks.y", "optimizer": {"n": 5}}},
        "blocks": {"x": {"n": 1}, "y": {"n": 2}},
    }
    new = copy.deepcopy(old)
    new["blocks"] |= {"y": {"n": 4}, "z": {"n": 5}}
    new["model"]["a"]["optimizer"] = "blocks.z"
    found = factors.differing(*(Read(params, {}) for params in (old, new)))  # type: ignore[arg-type]
    assert (found[DATA], found[SPEC]) == ((), ("blocks.y.n: 2 -> 4",))
    new["blocks"]["x"] = {"n": 3}
    found = factors.differing(*(Read(params, {}) for params in (old, new)))  # type: ignore[arg-type]
    assert (found[DATA], found[SPEC]) == (("blocks.x.n: 1 -> 3",), ("blocks.y.n: 2 -> 4",))


def test_explain_says_who_uses_a_block(tmp_path: Path) -> None:
    """Directly; a field of a block is described where the block is used."""
    project = history.Project(tmp_path)
    specs.written(with_clean(specs.GOOD), tmp_path)
    users = "used by corpus.old.clean, corpus.new.clean"
    assert users in project.run("explain", "blocks").stdout
    assert users in project.run("explain", "blocks.clean").stdout
    assert "shorter texts" in project.run("explain", "blocks.clean.min_chars").stdout
    unknown = project.run("explain", "blocks.claen")
    assert unknown.exit_code == 1
    assert "has no block 'claen'\n  -> did you mean 'clean'?" in unknown.output


def test_a_problem_names_the_line_of_the_block(tmp_path: Path) -> None:
    """The path of the problem is the block's; a value in place keeps its own."""
    text = with_clean(specs.GOOD).replace("max_chars: 200", "max_chars: 2")
    (problem,) = validate.file(specs.written(text, tmp_path)).problems
    assert (problem.what, problem.span.line) == ("blocks.clean.min_chars", text.count("\n"))
    assert [text for _, text in problem.others][1:] == [
        "used by corpus.old.clean",
        "used by corpus.new.clean",
    ]
    text = specs.GOOD.replace("max_chars: 200", "max_chars: 2")
    assert {p.what for p in validate.file(specs.written(text, tmp_path)).problems} == {
        "corpus.old.clean.min_chars",
        "corpus.new.clean.min_chars",
    }


@pytest.fixture(scope="module")
def project(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature, built, then with one block for the cleaning of both corpora."""
    folder = tmp_path_factory.mktemp("blocks") / "project"
    shutil.copytree(built, folder, symlinks=True)
    path = folder / "params.yaml"
    path.write_text(with_clean(path.read_text()))
    miniature.run(folder, "lmspec", "sync")
    return folder


def reasons(folder: Path) -> dict[str, tuple[str, ...]]:
    """Why stages of the plan will run."""
    return {step.stage: step.reasons for step in plan.plan(folder) if step.verdict == plan.RUN}


def test_a_value_in_a_block_builds_the_same_bytes(project: Path, tmp_path: Path) -> None:
    """The stage that names it runs once more, since DVC compares the text; what follows does not.
    Then a change of the block reruns its users, and is their reason."""
    before = reasons(project)
    assert list(before) == ["corpus-old", "corpus-new"]
    assert all("the same values" in line for lines in before.values() for line in lines)
    kept = shutil.copytree(project, tmp_path / "kept", symlinks=True)
    assert "kept corpus-old, corpus-new" in miniature.run(kept, "lmspec", "keep")
    miniature.run(kept, "lmspec", "verify", "--provenance")
    assert reasons(kept) == {}
    old = provenance.read((project / "data/provenance/corpus-new.json").read_bytes())
    miniature.dvc(project, "repro")
    new = provenance.read((project / "data/provenance/corpus-new.json").read_bytes())
    assert old and new and new.params == old.params
    assert new.outputs["data/corpus/new"] == old.outputs["data/corpus/new"]
    assert reasons(project) == {}
    lock = (project / "dvc.lock").read_text()
    assert lock.count("blocks.clean:") == 2
    miniature.run(project, "lmspec", "verify", "--provenance")
    miniature.run(project, "git", "commit", "-qam", "a block")
    printed = miniature.run(project, "lmspec", "set", "blocks.clean.max_chars=201")
    assert "blocks.clean.max_chars: 200 -> 201, used by corpus.old, corpus.new" in printed
    assert reasons(project) == dict.fromkeys(before, ("blocks.clean.max_chars: 200 -> 201",))
    miniature.dvc(project, "repro", "corpus-old", "corpus-new")
    assert reasons(project) == {}  # no text is that long: what follows has the same input
    miniature.run(project, "lmspec", "validate")
    miniature.run(project, "lmspec", "sync", "--check")
    # 1: the gate on the gru fails, as in the miniature as it is
    printed = miniature.run(project, "lmspec", "diff", "HEAD", "--format", "json", code=1)
    report = json.loads(printed)
    (change,) = report["changes"]["parameters"]
    assert (change["name"], change["used_by"]) == (
        "blocks.clean.max_chars",
        ["corpus.old", "corpus.new"],
    )


def test_sync_writes_the_parameters_of_a_block(project: Path) -> None:
    """And `sync --check` sees one that is missing."""
    declared = declaration.read(project, ArtifactName("corpus", "old"))
    assert declared.watched["params.yaml"] == ("corpus.old", "blocks.clean")
    values = document.read(project / "params.yaml").values
    assert compiler.DVC_YAML not in compiler.out_of_date(Project.model_validate(values), project)
    other = blocks.without(values)
    assert compiler.DVC_YAML in compiler.out_of_date(Project.model_validate(other), project)
