"""An artifact is what its entry in dvc.lock says only if the entry has all that built it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmspec.compare import declared, out_of_date, revision
from lmspec.compare.declared import Compiled, Declared
from lmspec.errors import LmspecError
from lmspec.git import kept
from lmspec.run import declaration, provenance
from lmspec.specs.names import ArtifactName
from tests import history
from tests.history import Project

ROOT = Path(__file__).parents[1]
GATE = "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}"
SCORES = "scores-cnn"
Entry = dict[str, Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a gate that passes."""
    project = history.make(tmp_path_factory.mktemp("entries") / "original")
    project.gate("level", GATE)
    project.commit("a gate")
    return project.root


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Project:
    """A copy of it."""
    return Project(shutil.copytree(original, tmp_path / "project"))


def gate(project: Project) -> dict[str, Any]:
    """What `lmspec gate` says of the only gate, in the working tree."""
    report = project.report("HEAD")
    (found,) = report["gates"]
    return dict(found)


def unheld(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if entries were believed: the control of every test here."""
    monkeypatch.setattr(Declared, "lacking", lambda self, run: iter(()))
    monkeypatch.setattr(out_of_date._Check, "_provenance", lambda self, artifact, run: iter(()))


def without(key: str, *paths: str) -> Callable[[Entry], None]:
    def cut(entry: Entry) -> None:
        rest = [file for file in entry[key] if file["path"] not in paths]
        assert len(rest) == len(entry[key]) - len(paths)
        entry[key] = rest

    return cut


def without_parameter(file: str, name: str) -> Callable[[Entry], None]:
    return lambda entry: entry["params"][file].pop(name)


def without_hash(key: str, path: str) -> Callable[[Entry], None]:
    def cut(entry: Entry) -> None:
        (file,) = [file for file in entry[key] if file["path"] == path]
        file["md5"] = None

    return cut


SAYS_NOT = "dvc.lock does not say with which"
RECORDS_NOT = "dvc.lock does not record its build's"
CUTS: dict[str, tuple[Callable[[Entry], object], str]] = {
    "no parameters": (lambda entry: entry.pop("params"), f"{SAYS_NOT} scores.cnn of params.yaml"),
    "not its spec": (
        without_parameter("params.yaml", "scores.cnn"),
        f"{SAYS_NOT} scores.cnn of params.yaml",
    ),
    "no numerics": (
        without_parameter("params.yaml", "numerics"),
        f"{SAYS_NOT} numerics of params.yaml",
    ),
    "no Python": (
        without_parameter("toolchain.yaml", "python"),
        f"{SAYS_NOT} python of toolchain.yaml",
    ),
    "no code": (
        lambda entry: entry.update(deps=[d for d in entry["deps"] if ".py" not in d["path"]]),
        f"{SAYS_NOT} lmspec/architectures/cnn.py",
    ),
    "not its stage": (without("deps", "stages/scores.py"), f"{SAYS_NOT} stages/scores.py"),
    "not the network's code": (
        without("deps", "lmspec/architectures/cnn.py"),
        f"{SAYS_NOT} lmspec/architectures/cnn.py",
    ),
    "not its model": (without("deps", "data/model/cnn"), f"{SAYS_NOT} data/model/cnn"),
    "not its test set": (without("deps", "data/splits/reviews"), f"{SAYS_NOT} data/splits/reviews"),
    "no hash of its model": (without_hash("deps", "data/model/cnn"), "from another data/model/cnn"),
    "no output": (without("outs", "data/scores/cnn"), f"{RECORDS_NOT} data/scores/cnn"),
    "no hash of its output": (
        without_hash("outs", "data/scores/cnn"),
        f"{RECORDS_NOT} data/scores/cnn",
    ),
    "no metrics": (
        without("outs", "data/metrics/scores-cnn.json"),
        f"{RECORDS_NOT} data/metrics/scores-cnn.json",
    ),
    "no predictions": (
        without("outs", "data/metrics/scores-cnn/predictions.csv"),
        f"{RECORDS_NOT} data/metrics/scores-cnn/predictions.csv",
    ),
    "no provenance": (
        without("outs", "data/provenance/scores-cnn.json"),
        f"{RECORDS_NOT} data/provenance/scores-cnn.json",
    ),
    "another command": (lambda entry: entry.update(cmd="python cheat.py"), "by another command"),
    "no command": (lambda entry: entry.pop("cmd"), "by another command"),
    "another artifact's command": (
        lambda entry: entry.update(cmd=entry["cmd"].replace("cnn", "gru")),
        "by another command",
    ),
}
HELD_BEFORE = {"no hash of its model", "no metrics"}  # by other checks


@pytest.mark.parametrize("cut", CUTS)
def test_an_entry_that_lacks_something_passes_no_gate(
    project: Project, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a merge or a hand took out of it; the reason says what is not known."""
    entries = project.locked
    change, reason = CUTS[cut]
    change(entries[SCORES])
    project.save_lock(entries)
    found = gate(project)
    assert found["verdict"] == "out of date" and not found["passed"] and reason in found["observed"]
    unheld(monkeypatch)
    assert (gate(project)["verdict"] == "pass") == (cut not in HELD_BEFORE)


def test_a_whole_entry_passes(project: Project) -> None:
    """Further files and parameters in it do no harm: those are held to their hashes as well."""
    entries = project.locked
    shared = hashlib.md5((project.root / "stages/model.py").read_bytes()).hexdigest()
    entries[SCORES]["deps"].append({"path": "stages/model.py", "md5": shared})
    project.save_lock(entries)
    found = gate(project)
    assert found["verdict"] == "pass" and project.report("HEAD")["notes"] == []


def test_a_command_that_dvc_yaml_has_as_well_is_not_believed(project: Project) -> None:
    """dvc.yaml was edited by hand, and `dvc repro` ran that: it is compiled again."""
    entries = project.locked
    entries[SCORES]["cmd"] = "python cheat.py"
    project.save_lock(entries)
    project.write("dvc.yaml", "stages: {scores-cnn: {cmd: python cheat.py}}\n")
    assert (
        "it was built by another command than its own: run `lmspec sync`"
        in gate(project)["observed"]
    )


def test_a_module_that_dvc_yaml_never_had_is_missed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code outside of lmspec/ and stages/ as well, and what that imports."""
    project.write("helpers/counting.py", "from helpers import words\n")
    project.write("helpers/words.py", "")
    project.write("stages/scores.py", f"import helpers.counting\n{history.CODE}")
    project.lock()
    project.commit()
    for name in ("HEAD", "worktree"):
        found = revision.read(name, project.root)
        reasons = out_of_date.artifacts(found)
        assert reasons == {"scores.cnn": f"{SAYS_NOT} helpers/counting.py it was built"}
        found.tree.close()
    unheld(monkeypatch)
    assert gate(project)["verdict"] == "pass"


def test_packages_of_its_imports_must_be_recorded(project: Project) -> None:
    """By the names that toolchain.yaml has, even if another version is installed here."""
    project.edit("toolchain.yaml", "numpy: 2.4.6", "numpy: 1.0.0")
    project.write("stages/scores.py", f"import numpy\n{history.CODE}")
    project.lock()
    assert gate(project)["verdict"] == "pass"
    entries = project.locked
    del entries[SCORES]["params"]["toolchain.yaml"]["packages.numpy"]
    project.save_lock(entries)
    assert f"{SAYS_NOT} packages.numpy of toolchain.yaml" in gate(project)["observed"]


def test_a_spec_that_is_not_valid_builds_nothing(project: Project) -> None:
    """Neither the artifact, nor what is made from it; the others are up to date."""
    project.edit("params.yaml", "opset: 18", "opset: eighteen")
    project.lock()
    found = revision.read("worktree", project.root)
    reasons = out_of_date.artifacts(found)
    assert reasons.keys() == {"exported.cnn", "speed.cnn"}
    assert reasons["exported.cnn"] == declared.INVALID


# Provenance


def test_a_table_and_its_hash_edited_by_hand_contradict_provenance(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dvc.lock has the new hash; the record of the build has the old one."""
    path = "data/metrics/scores-cnn.json"
    text = project.text(path)
    project.write(path, text.replace('"log_loss": 0', '"log_loss": 1', 1))
    project.lock()
    assert f"{path} is not what data/provenance/scores-cnn.json says" in gate(project)["observed"]
    unheld(monkeypatch)
    assert gate(project)["verdict"] == "pass"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "data/provenance/scores-cnn.json is missing"),
        ("[]", "data/provenance/scores-cnn.json is not provenance"),
        ("data/provenance/model-cnn.json", "does not have data/metrics/scores-cnn.json"),
    ],
)
def test_provenance_of_that_build_must_be_there(
    project: Project, text: str | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not another artifact's, and not an empty file; dvc.lock has its hash."""
    path = "data/provenance/scores-cnn.json"
    project.write(path, project.text(text) if text and "/" in text else text or "")
    project.lock()
    if text is None:
        project.remove(path)
    assert reason in gate(project)["observed"]
    unheld(monkeypatch)
    assert gate(project)["verdict"] == "pass"


def test_provenance_must_have_what_its_maker_made(project: Project) -> None:
    """The model that was scored is not the one that its own record has."""
    folder = "data/model/cnn"
    for artifact, digest in (("model.cnn", "1" * 64), ("scores.cnn", "2" * 64)):
        name = f"data/provenance/{artifact.replace('.', '-')}.json"
        ((statement,),) = json.loads(project.text(name))
        entry = {"name": folder, "digest": {"dirHash": digest}}
        build = statement["predicate"]["buildDefinition"]
        side = statement["subject"] if artifact == "model.cnn" else build["resolvedDependencies"]
        side.append(entry)
        project.write(name, json.dumps([statement]))
    project.lock()
    assert f"and the provenance of model.cnn disagree on {folder}" in gate(project)["observed"]


def build_with_record(project: Project) -> None:
    """The record of the scores' build has what dvc.lock has, which is all that was read."""
    name, spec = "data/provenance/scores-cnn.json", project.spec
    stated = provenance.read(project.text(name).encode())
    assert stated
    code = "stages/scores.py"
    entries = [
        provenance.of_path(project.root / code, code),
        provenance.of_package("numpy", "2.4.6+cpu", declared=True),
    ]
    params = {"scores.cnn": spec["scores"]["cnn"], "numerics": spec["numerics"]}
    outputs = [*stated.outputs.values()]
    project.write(name, provenance.statement("scores.cnn", params, entries, outputs, {}))
    project.lock()


@pytest.mark.parametrize(
    ("path", "old", "new", "named"),
    [
        ("params.yaml", "calibration_bins: 5", "calibration_bins: 6", "scores.cnn of params.yaml"),
        ("params.yaml", "threads: 1", "threads: 2", "numerics of params.yaml"),
        ("stages/scores.py", "LIMIT = 3", "LIMIT = 4", "stages/scores.py"),
        ("toolchain.yaml", "numpy: 2.4.6", "numpy: 2.4.7", "packages.numpy of toolchain.yaml"),
    ],
)
def test_what_dvc_commit_takes_for_built_passes_no_gate(
    project: Project, path: str, old: str, new: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes the new inputs beside the old output, and DVC then says up to date."""
    project.write("stages/scores.py", f"import numpy\n{project.text('stages/scores.py')}")
    build_with_record(project)
    assert gate(project)["verdict"] == "pass"
    project.edit(path, old, new)
    project.lock()
    found = gate(project)
    assert found["verdict"] == "out of date"
    assert f"{named} is not what its provenance has" in found["observed"]
    assert "dvc repro --force" in found["observed"]
    monkeypatch.setattr(out_of_date._Check, "_recorded", lambda self, record, run: iter(()))
    assert gate(project)["verdict"] == "pass"


def test_what_lmspec_keep_keeps_is_what_the_record_has(project: Project) -> None:
    """A comment or an empty line in the code that was read."""
    build_with_record(project)
    project.write("stages/scores.py", f"# why\n\n{project.text('stages/scores.py')}")
    project.lock()
    assert gate(project)["verdict"] == "pass"


# Files of sources


def declare(project: Project, path: str) -> None:
    """A source of another file, built and committed."""
    project.edit("params.yaml", "path: raw/reviews.csv", f"path: {path}")
    project.lock()
    project.commit()


@pytest.mark.parametrize("place", ["worktree", "commit"])
def test_a_source_whose_file_changed_puts_its_followers_out_of_date(
    project: Project, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In git alone: neither params.yaml nor dvc.lock changed, and nothing was built."""
    project.write("raw/reviews.csv", "1,awful\n")
    revisions = ["HEAD"]
    if place == "commit":
        project.commit("other data")
        revisions = ["HEAD~1", "HEAD"]
    report = project.report(*revisions)
    (found,) = report["gates"]
    assert found["verdict"] == "out of date"
    assert report["notes"][0].endswith(
        "raw/reviews.csv changed, and its hash in params.yaml did not: put the new hash there and "
        "run `dvc repro`, or `git checkout` the file" + " there, and commit" * (place == "commit")
    )
    monkeypatch.setattr(revision, "source_files", lambda artifacts: {})
    (found,) = project.report(*revisions)["gates"]
    assert found["verdict"] == "pass"


def test_a_folder_of_a_source_has_the_hash_that_dvc_gives_it(project: Project) -> None:
    """Of the names and contents of its files; one more file is another folder."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.tree import Tree

    files = {"a/ä b.csv": b"1", "b.csv": b"2", "a.csv": b""}
    tree = Tree()
    for name, content in files.items():
        project.write(f"raw/all/{name}", content)
        key = tuple(name.split("/"))
        tree.add(key, None, HashInfo("md5", hashlib.md5(content).hexdigest()))
    tree.digest()
    assert tree.hash_info is not None
    project.edit("params.yaml", "path: raw/reviews.csv", "path: raw/all")
    project.lock({"raw/all": str(tree.hash_info.value)})
    project.commit()
    assert gate(project)["verdict"] == "pass"
    project.write("raw/all/c.csv", "")
    assert "sources.raw is out of date" in project.report("HEAD")["notes"][0]


def test_a_file_in_dvcs_cache_is_held_by_the_hash_beside_it(project: Project) -> None:
    """`dvc add` puts `reviews.csv.dvc` into git, and the file into .gitignore."""
    old, new = ("0123456789abcdef" * 2, "f" * 32)
    project.write("raw/.gitignore", "/large.csv\n")
    project.write("raw/large.csv", "in the cache")
    project.write("raw/large.csv.dvc", f"outs:\n- md5: {old}\n  path: large.csv\n")
    project.edit("params.yaml", "path: raw/reviews.csv", "path: raw/large.csv")
    project.lock({"raw/large.csv": old})
    project.commit()
    assert gate(project)["verdict"] == "pass"
    project.edit("raw/large.csv.dvc", old, new)
    assert "sources.raw is out of date" in project.report("HEAD")["notes"][0]


def test_a_pointer_of_git_lfs_is_held_by_its_sha256(project: Project) -> None:
    """Against that of provenance: the file itself need not be there."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 9\n"
    project.write("raw/lfs.csv", pointer.format("1" * 64))
    project.edit("params.yaml", "path: raw/reviews.csv", "path: raw/lfs.csv")
    name = "data/provenance/sources-raw.json"
    ((statement,),) = json.loads(project.text(name))
    entry = {"name": "raw/lfs.csv", "digest": {"sha256": "1" * 64}}
    statement["predicate"]["buildDefinition"]["resolvedDependencies"].append(entry)
    project.write(name, json.dumps([statement]))
    project.lock({"raw/lfs.csv": "0123456789abcdef" * 2})
    project.commit()
    assert gate(project)["verdict"] == "pass"
    project.write("raw/lfs.csv", pointer.format("2" * 64))
    assert "sources.raw is out of date" in project.report("HEAD")["notes"][0]


def test_a_large_file_is_hashed_in_pieces(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a commit and on disk; beyond what a metric may have as well."""
    monkeypatch.setattr("lmspec.git.tree.LARGEST_BYTES", 100_000)
    monkeypatch.setattr("lmspec.git.tree.CHUNK", 4096)
    project.write("raw/reviews.csv", b"0123456789" * 20_000)
    project.lock()
    project.commit()
    for name in ("HEAD", "worktree"):
        found = revision.read(name, project.root)
        assert out_of_date.artifacts(found) == {}
        found.tree.close()


# Another lmspec


def another_lmspec(project: Project) -> None:
    """Its compiler is in the project, and wrote no numerics and no network's code."""
    project.write("lmspec/pipeline/compiler.py", "# another one\n")
    project.lock()
    entries = project.locked
    stages: dict[str, Any] = {}
    for stage, entry in entries.items():
        entry["cmd"] = f"exec python{entry['cmd'].partition(' python')[2].partition(' #')[0]}"
        entry["params"]["params.yaml"].pop("numerics", None)
        entry["deps"] = [dep for dep in entry["deps"] if "architectures" not in dep["path"]]
        stages[stage] = {
            "cmd": entry["cmd"],
            "deps": [dep["path"] for dep in entry["deps"]],
            "params": [*entry["params"]["params.yaml"]],
            "outs": [out["path"] for out in entry["outs"]],
        }
    project.save_lock(entries)
    project.write("dvc.yaml", json.dumps({"stages": stages}))


def test_a_commit_of_another_lmspec_is_held_against_its_own_dvc_yaml(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade puts no baseline out of date; the report says how it was held."""
    another_lmspec(project)
    project.commit("another lmspec")
    assert gate(project)["verdict"] == "pass"
    (note, _) = project.report("HEAD")["notes"]
    assert note.startswith("another lmspec wrote dvc.yaml of HEAD: ")
    assert "compared with that dvc.yaml" in note
    monkeypatch.setattr(Compiled, "foreign", False)
    assert gate(project)["verdict"] == "out of date"


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        ("not its spec", f"{SAYS_NOT} scores.cnn"),
        ("not its stage", f"{SAYS_NOT} stages/scores.py"),
        ("not its model", f"{SAYS_NOT} data/model/cnn"),
        ("no output", f"{RECORDS_NOT} data/scores/cnn"),
        ("no provenance", f"{RECORDS_NOT} data/provenance/scores-cnn.json"),
        ("no predictions", f"{RECORDS_NOT} data/metrics/scores-cnn/predictions.csv"),
        ("another command", declared.OTHER_COMMAND),
    ],
)
def test_no_lmspec_leaves_that_out(project: Project, cut: str, reason: str) -> None:
    """Not even if its dvc.yaml does."""
    another_lmspec(project)
    entries = project.locked
    CUTS[cut][0](entries[SCORES])
    project.save_lock(entries)
    pipeline = json.loads(project.text("dvc.yaml"))
    stage, entry = pipeline["stages"][SCORES], entries[SCORES]
    stage["cmd"] = entry["cmd"]
    stage["deps"] = [dep["path"] for dep in entry["deps"]]
    if cut != "no predictions":  # an older one may have had none
        stage["outs"] = [out["path"] for out in entry["outs"]]
    project.write("dvc.yaml", json.dumps(pipeline))
    assert reason in gate(project)["observed"]


# How it is known


def test_what_is_compiled_from_git_is_what_sync_writes() -> None:
    """Of this repository: every stage of dvc.yaml, with its command, parameters and files."""
    found = revision.read("worktree", ROOT)
    key = declared._key(found)
    stages = declared._compiled(found, declared._Code(found))
    assert key == declared._key(found)
    assert len(stages) == len(declaration.load(ROOT / "dvc.yaml")["stages"])
    for artifact, stage in stages.items():
        name = ArtifactName.parse(artifact)
        entry = declaration.load(ROOT / "dvc.yaml")["stages"][name.stage]
        assert stage == declared._of_entry(name, entry)


def test_what_was_compiled_is_kept_where_no_commit_can_put_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the git folder; another file of the tree, or another lmspec, has another key."""
    first = revision.read("worktree", project.root)
    key, stages = declared._key(first), Compiled(first).stages
    monkeypatch.setattr(declared, "_compiled", lambda *_: pytest.fail("it was kept"))
    assert Compiled(revision.read("worktree", project.root)).stages == stages
    assert (project.root / ".git/lmspec" / key).is_file() and not project.git("status", "-s")
    monkeypatch.setattr(kept, "MOST", 1)
    kept.write(project.root, "another", "")
    assert len([*(project.root / ".git/lmspec").iterdir()]) == 1
    for path in ("stages/scores.py", "helpers.py", "params.yaml"):
        project.write(path, "")
        changed = declared._key(revision.of_tree(first.tree.__class__(**tree_of(project))))
        assert changed != key
        key = changed


def tree_of(project: Project) -> dict[str, Any]:
    """The fields of its working tree, read now."""
    tree = revision.repository.tree("worktree", project.root, revision.FOLDERS)
    return {"name": tree.name, "commit": None, "root": tree.root, "ids": tree.ids}


def test_a_stage_that_does_not_parse_is_a_reason(project: Project) -> None:
    """And no traceback."""
    project.write("stages/scores.py", "def\n")
    project.lock()
    reasons = out_of_date.artifacts(revision.read("worktree", project.root))
    assert reasons == {"scores.cnn": "stages/scores.py:1: it does not parse: invalid syntax"}


def test_only_a_link_or_a_lost_object_is_not_looked_at(project: Project) -> None:
    """A source that is a link in git is elsewhere; an object that git lacks is an error."""
    (project.root / "raw/link.csv").symlink_to("reviews.csv")
    declare(project, "raw/link.csv")
    assert gate(project)["verdict"] == "pass"
    with pytest.raises(LmspecError, match="git"):
        revision.read("no-such", project.root)
