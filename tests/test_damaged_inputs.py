"""Damaged inputs: a stage builds only on what its maker built, whatever DVC takes for it."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lmspec.audit import objects
from lmspec.cli import ci
from lmspec.errors import LmspecError
from lmspec.methods import folders
from lmspec.pipeline import plan
from lmspec.reports import plans
from lmspec.run import declaration, digests, inputs, provenance
from lmspec.specs.names import ArtifactName
from tests import miniature

CORPUS, SPLITS = ArtifactName("corpus", "old"), ArtifactName("splits", "old")
DOCUMENTS = Path(CORPUS.folder, "documents.parquet")
STAGE = (sys.executable, "-m", "lmspec.run", *SPLITS)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def object_of(project: Path, content: bytes) -> Path:
    """Where DVC's cache keeps that content."""
    return project / ".dvc/cache/files/md5" / md5(content)[:2] / md5(content)[2:]


def overwrite(place: Path, content: bytes) -> None:
    """Also an object: DVC trusts one that cannot be written to."""
    mode = place.stat().st_mode
    place.chmod(0o644)
    place.write_bytes(content)
    place.chmod(mode)


@pytest.fixture
def corpus(built: Path, tmp_path: Path) -> Path:
    """What the check of splits.old reads."""
    for path in (CORPUS.folder, CORPUS.provenance, "dvc.yaml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (built / path).is_dir() else shutil.copy)(built / path, tmp_path / path)
    return tmp_path


@pytest.fixture
def damaged(built: Path, tmp_path: Path) -> Path:
    """A project in which an object of DVC's cache has 0 bytes, as after `dvc pull` of such a one,
    and so has the file; DVC knows nothing of it."""
    project = tmp_path / "project"
    shutil.copytree(built, project, symlinks=True)
    overwrite(object_of(project, (project / DOCUMENTS).read_bytes()), b"")
    shutil.rmtree(project / CORPUS.folder)
    miniature.dvc(project, "checkout", "-q", CORPUS.stage)
    assert (project / DOCUMENTS).stat().st_size == 0
    return project


def check(project: Path) -> list[provenance.Entry]:
    """That of splits.old."""
    return inputs.as_made(project, declaration.read(project, SPLITS), folders.of_file)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "other bytes": lambda folder: (folder / "labels.json").write_text("[]"),
    "no bytes": lambda folder: (folder / "documents.parquet").write_bytes(b""),
    "one more file": lambda folder: (folder / "more").touch(),
    "one less": lambda folder: (folder / "rejected.parquet").unlink(),
    "another name": lambda folder: (folder / "labels.json").rename(folder / "label.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_its_maker_did_not_make_is_refused(corpus: Path, damage: str) -> None:
    """The output, its maker and the remedy are named."""
    (entry,) = check(corpus)
    assert entry["name"] == CORPUS.folder
    DAMAGES[damage](corpus / CORPUS.folder)
    with pytest.raises(LmspecError) as error:
        check(corpus)
    assert str(error.value).startswith("data/corpus/old: it is not what corpus-old built")
    assert "`lmspec verify --cache`" in error.value.remedy


@pytest.mark.parametrize("text", [None, "", "[", '[{"subject": []}]', "[]"])
def test_an_input_without_evidence_is_refused(corpus: Path, text: str | None) -> None:
    """Provenance that is missing, malformed or silent about the output holds nothing."""
    path = corpus / CORPUS.provenance
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(LmspecError) as error:
        check(corpus)
    assert error.value.place == CORPUS.provenance and "dvc repro corpus-old" in error.value.remedy


def test_every_output_of_another_stage_is_held(built: Path) -> None:
    """What dvc.yaml declares below data/, in every stage; a part of an output holds the whole."""
    stages = declaration.load(built / "dvc.yaml")["stages"]
    declared = [declaration.read(built, ArtifactName.of_stage(stage)) for stage in stages]
    for stage in declared:
        assert set(stage.made) == {dep for dep in stage.deps if dep.startswith("data/")}
    assert {maker.noun for stage in declared for maker in stage.made.values()} >= {
        "sources", "corpus", "splits", "model", "exported", "quantized", "scores",
    }  # fmt: skip


def test_a_part_of_an_output_holds_the_whole(corpus: Path) -> None:
    """A stage that depends on one file of another's output."""
    document = declaration.load(corpus / "dvc.yaml")
    document["stages"][SPLITS.stage]["deps"] = [f"{CORPUS.folder}/labels.json"]
    (corpus / "dvc.yaml").write_text(json.dumps(document))
    check(corpus)
    (corpus / DOCUMENTS).write_bytes(b"")
    with pytest.raises(LmspecError):
        check(corpus)


def test_damage_that_dvc_overlooks_stops_a_stage_before_it_builds(damaged: Path) -> None:
    """DVC says up to date. The stage says why it stops, not what a reader of the file says; without
    the check (the control) it does."""
    assert "up to date" in miniature.dvc(damaged, "status", CORPUS.stage)
    output = miniature.run(damaged, *STAGE, code=1)
    assert output.startswith("lmspec: data/corpus/old: it is not what corpus-old built")
    assert "Traceback" not in output
    supervisor = damaged / "lmspec/run/supervisor.py"
    text, call = supervisor.read_text(), "inputs.as_made(root, declared, store.sha256)"
    assert text.count(call) == 1
    supervisor.write_text(text.replace(call, "[]"))
    assert "it is not what" not in miniature.run(damaged, *STAGE, code=1)


def test_ci_plan_and_verify_know_of_it(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lmspec ci` fails in a step of its own, `plan` sees that the size is another one, and `verify
    --cache` names object, artifact and file; none of them before the damage."""
    monkeypatch.chdir(damaged)
    with pytest.raises(LmspecError, match="corpus-old: data/corpus/old differs"):
        ci._check_provenance(ci.Options("HEAD", Path("ci"), False, False))
    assert [*ci.STEPS].index("provenance") == [*ci.STEPS].index("build") + 1
    steps = plan.plan(damaged, (CORPUS.stage,))
    assert [step.stage for step in steps if step.reasons] == [CORPUS.stage]
    assert "1 of them damaged" in plans.as_text(steps) and CORPUS.folder in plans.as_markdown(steps)
    (damage,) = objects.inspect(damaged).damages
    assert damage.place == CORPUS.folder and f"{DOCUMENTS}: .dvc/cache/files/md5/" in damage.found
    assert "has 0 bytes" in damage.found


@pytest.mark.slow
def test_what_verify_advises_brings_it_back(damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Object and output removed, `dvc repro` builds both again; `dvc checkout` alone does not."""
    monkeypatch.chdir(damaged)
    miniature.dvc(damaged, "checkout", "-q", "--force", CORPUS.stage)
    (damage,) = objects.inspect(damaged).damages
    miniature.run(damaged, "sh", "-c", damage.remedy.split("`")[1])
    miniature.dvc(damaged, "repro", "-q", CORPUS.stage)
    inspection = objects.inspect(damaged)
    assert inspection.damages == () and inspection.absent == 0
    check(damaged)


def test_an_undamaged_cache_is_whole(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every object of every output, and a plan that says nothing of damage."""
    monkeypatch.chdir(built)
    inspection = objects.inspect(built)
    assert inspection.damages == () and inspection.absent == 0 and inspection.whole > 50
    assert not any(step.reasons for step in plan.plan(built))


def test_each_kind_of_damage_has_its_remedy(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of a folder; an object of a run that is not the last; a file here, though the cache
    is whole; what is not here is no damage."""
    project = tmp_path / "project"
    shutil.copytree(built, project, symlinks=True)
    monkeypatch.chdir(project)
    lock = (project / "dvc.lock").read_text()
    listed = lock.partition(f"- path: {SPLITS.folder}\n")[2].partition("md5: ")[2].split()
    listing = next(word for word in listed if word.endswith(".dir"))
    place = project / ".dvc/cache/files/md5" / listing[:2] / listing[2:]
    overwrite(place, b"[" + place.read_bytes())
    overwrite(project / CORPUS.folder / "labels.json", b"[]")
    object_of(project, (project / "data/model/cnn/config.json").read_bytes()).unlink()
    earlier = project / ".dvc/cache/runs/aa/aa/aa"
    run = next(file for file in (project / ".dvc/cache/runs").rglob("*") if file.is_file())
    name = md5(b"earlier")
    text = run.read_text()
    old = text.partition("outs:")[2].partition("md5: ")[2].split()[0]
    earlier.parent.mkdir(parents=True)
    earlier.write_text(text.replace(old, name))
    (project / ".dvc/cache/files/md5" / name[:2]).mkdir(exist_ok=True)
    (project / ".dvc/cache/files/md5" / name[:2] / name[2:]).write_bytes(b"")
    inspection = objects.inspect(project)
    remedies = {damage.place: damage.remedy for damage in inspection.damages}
    assert f"dvc repro {SPLITS.stage}" in remedies[SPLITS.folder]
    assert remedies[CORPUS.folder] == "`rm -rf data/corpus/old`, then `dvc checkout corpus-old`"
    assert remedies[f".dvc/cache/files/md5/{name[:2]}/{name[2:]}"].startswith("`rm -f .dvc/cache")
    assert len(remedies) == 3 and inspection.absent == 1
    assert {d.place for d in objects.inspect(project, [CORPUS.stage]).damages} == {CORPUS.folder}


@pytest.mark.slow
def test_a_remote_of_damaged_objects_ends_ci_and_verify_of_the_remote_heals_it(
    built: Path, tmp_path: Path
) -> None:
    """A clone pulls 0 bytes and `lmspec ci` says so; with `verify` DVC leaves the object out, and
    it is built again."""
    project, remote = tmp_path / "project", tmp_path / "remote"
    shutil.copytree(built, project, symlinks=True)
    text = (project / "params.yaml").read_text().replace("at_least: 0.6}", "at_least: 0.1}")
    (project / "params.yaml").write_text(text.replace("at_most: 0.6}", "at_most: 5.0}"))
    miniature.dvc(project, "remote", "add", "-d", "near", str(remote))
    miniature.dvc(project, "push")
    miniature.run(project, "git", "commit", "-q", "-a", "-m", "a remote")
    content = (project / DOCUMENTS).read_bytes()
    overwrite(remote / object_of(Path(), content).relative_to(".dvc/cache"), b"")
    for clone, verify, code in (("trusting", "false", 1), ("checking", "true", 0)):
        miniature.run(tmp_path, "git", "clone", "-q", str(project), clone)
        miniature.dvc(tmp_path / clone, "remote", "modify", "near", "verify", verify)
        output = miniature.lmspec(tmp_path / clone, "ci", "--base", "HEAD", code=code)
        stopped = "stopped at step 5 of 7, provenance" in output and "data/corpus/old" in output
        assert stopped == (code == 1)
        assert miniature.ran(output) == ([] if code else [CORPUS.stage])


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read to hash them, as they are."""
    names: list[str] = []
    digest = hashlib.file_digest

    def watched(stream: object, kind: str) -> object:
        names.append(Path(getattr(stream, "name", "")).name)
        return digest(stream, kind)  # type: ignore[arg-type]

    monkeypatch.setattr(folders.hashlib, "file_digest", watched)
    return names


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute has passed since files were written."""
    now = digests.time.time_ns
    monkeypatch.setattr(digests.time, "time_ns", lambda: now() + 60 * 10**9)


def sha256(root: Path, *names: str) -> list[str]:
    """What one run of a stage computes, and saves."""
    store = digests.Store(root)
    hashes = [store.sha256(root / name) for name in names]
    store.save()
    return hashes


EDITS: dict[str, Callable[[Path], object]] = {
    "an edit": lambda file: file.write_text("two"),
    "a new inode": lambda file: (file.rename(f"{file}.old"), file.write_text("two")),
    "a restored file": lambda file: (file.write_text("two"), os.utime(file, ns=(1, 1))),
    "a link to another": lambda file: (
        file.unlink(),
        file.with_name("b").write_text("two"),
        file.symlink_to("b"),
    ),
}


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("edit", EDITS)
def test_a_digest_is_kept_for_the_file_that_was_hashed(
    tmp_path: Path, read: list[str], edit: str
) -> None:
    """The second run does not read it; after an edit of the same size, with the same time, it is
    read."""
    file = tmp_path / "a"
    file.write_text("one")
    os.utime(file, ns=(1, 1))
    first = sha256(tmp_path, "a")
    assert first == [hashlib.sha256(b"one").hexdigest()] and read == ["a"]
    assert sha256(tmp_path, "a") == first and read == ["a"]
    EDITS[edit](file)
    assert sha256(tmp_path, "a") == [hashlib.sha256(b"two").hexdigest()]
    assert len(read) == 2


def test_a_file_that_was_written_just_now_is_hashed_again(tmp_path: Path, read: list[str]) -> None:
    """A later write within the same tick of the clock would leave size and times as they are."""
    (tmp_path / "a").write_text("one")
    sha256(tmp_path, "a")
    assert not (tmp_path / digests.STORE).exists()
    sha256(tmp_path, "a")
    assert read == ["a", "a"]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 0, "files": {}}', "forged"])
def test_a_store_that_is_not_ours_is_ignored(tmp_path: Path, read: list[str], text: str) -> None:
    """Cut short, of another version, or with an entry that has no digest; it is written again."""
    (tmp_path / "a").write_text("one")
    first = sha256(tmp_path, "a")
    store = tmp_path / digests.STORE
    forged = json.loads(store.read_text())
    forged["files"]["a"][-1] = "of the right device, inode, size and times"
    store.write_text(json.dumps(forged) if text == "forged" else text)
    assert sha256(tmp_path, "a") == first and read == ["a", "a"]
    assert sha256(tmp_path, "a") == first and read == ["a", "a"]


@pytest.mark.usefixtures("settled")
def test_stages_side_by_side_keep_each_others_digests(tmp_path: Path, read: list[str]) -> None:
    """The later one adds its own; files that are gone are dropped; a store that cannot be written
    is no error."""
    for name in "abc":
        (tmp_path / name).write_text(name)
    one, two = digests.Store(tmp_path), digests.Store(tmp_path)
    one.sha256(tmp_path / "a"), two.sha256(tmp_path / "b"), two.sha256(tmp_path / "c")
    (tmp_path / "c").unlink()
    one.save(), two.save()
    assert [*json.loads((tmp_path / digests.STORE).read_text())["files"]] == ["a", "b"]
    sha256(tmp_path, "a", "b")
    assert read == ["a", "b", "c"]
    shutil.rmtree(tmp_path / ".lmspec")
    (tmp_path / ".lmspec").touch()
    sha256(tmp_path, "a")
