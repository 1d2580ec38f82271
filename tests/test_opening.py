"""A service starts only with a whole bundle of its own code that no other user can change."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from lmspec.cli.main import main
from lmspec.errors import LmspecError
from lmspec.formats import manifest
from lmspec.git import origin
from lmspec.methods import folders
from lmspec.serving import keys, opening
from lmspec.serving.limits import Limits, limits
from tests import bundles
from tests.test_manifest import DAMAGES


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    """One that a test may change."""
    return shutil.copytree(whole, tmp_path / "data" / "bundle" / "release")


def rewritten(folder: Path, name: str, content: bytes) -> None:
    """Another file, of which the manifest knows."""
    (folder / name).write_bytes(content)
    about = json.loads((folder / manifest.NAME).read_text())
    about["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / manifest.NAME).write_text(json.dumps(about))


def test_a_whole_bundle_is_opened(bundle: Path) -> None:
    """The control of all that is refused below."""
    opened = opening.opened(bundle)
    assert (opened.name, opened.limits) == ("release", Limits())
    assert opened.classifier.predict("the film")


@pytest.mark.parametrize(("file", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_bundle_does_not_start(
    bundle: Path, file: str, damage: Callable[[Path], None]
) -> None:
    """The command says which file, and what to do; there is no traceback."""
    damage(bundle)
    done = CliRunner().invoke(main, ["serve", str(bundle), "--port", "0"])
    assert done.exit_code == 1 and f"lmspec: {bundle / file}: " in done.output
    assert "\n  -> " in done.output and "Traceback" not in done.output


@pytest.mark.parametrize("name", ["predict.py", "reading.py", "repairing.py", "ngrams.py"])
def test_a_bundle_of_other_code_is_refused(bundle: Path, name: str) -> None:
    """Its answers could differ from those of its predict.py; it is not executed."""
    rewritten(bundle, name, (bundle / name).read_bytes() + b"\nraise SystemExit('executed')\n")
    with pytest.raises(LmspecError, match="another version of lmspec") as refused:
        opening.opened(bundle)
    assert refused.value.place == str(bundle / name)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "lmspec.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x04\x95garbage", b"[" * 99_999])
def test_a_bundle_that_does_not_load_is_refused(bundle: Path, name: str, content: bytes) -> None:
    """Even if its manifest agrees: one message."""
    rewritten(bundle, name, content)
    with pytest.raises(LmspecError, match="does not load"):
        opening.opened(bundle)


def test_a_bundle_that_would_write_needs_the_code_for_it(bundle: Path) -> None:
    """It cannot be served as what it is not."""
    rewritten(bundle, "lmspec.json", b'{"generation": {}}')
    with pytest.raises(LmspecError, match="another version of lmspec"):
        opening.opened(bundle)


class Acts:
    """Unpickling it writes a file."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("unpickled"),)


def test_what_is_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle, an archive whose files would be outside, a path to nowhere: none is read."""
    monkeypatch.chdir(tmp_path)
    pickled = tmp_path / "model.pkl"
    pickled.write_bytes(pickle.dumps(Acts()))
    archive = tmp_path / "bundle.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(pickled, "../climbed")
    for path, found in (
        (pickled, "a file"),
        (archive, "a file"),
        (tmp_path / "no", "no such folder"),
    ):
        with pytest.raises(LmspecError, match=found):
            opening.opened(path)
    with pytest.raises(LmspecError, match="missing"):
        opening.opened(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.pkl", "bundle.tar"}
    assert not (tmp_path.parent / "climbed").exists()


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "lmspec.json", "predict.py"])
def test_a_pickle_in_a_bundle_is_never_unpickled(
    bundle: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the manifest has it; nor is one that is beside the files of a bundle."""
    monkeypatch.chdir(bundle)
    (bundle / "model.pkl").write_bytes(pickle.dumps(Acts()))
    opening.opened(bundle)
    rewritten(bundle, name, pickle.dumps(Acts()))
    with pytest.raises(LmspecError):
        opening.opened(bundle)
    assert not (bundle / "unpickled").exists()
    pickle.loads(pickle.dumps(Acts()))  # the control
    assert (bundle / "unpickled").exists()


@pytest.mark.parametrize("location", ["../weights.bin", "/weights.bin", "link.bin"])
def test_a_graph_that_would_read_outside_of_its_bundle_is_refused(
    bundle: Path, location: str
) -> None:
    """Its weights may be in another file, by the format: not in one that the manifest lacks."""
    model = onnx.load(bundle / "model.onnx")
    (table,) = [one for one in model.graph.initializer if one.name == "table"]
    outside = bundle.parent / "weights.bin"
    outside.write_bytes(table.raw_data)
    (bundle / "link.bin").symlink_to(outside)
    table.ClearField("raw_data")
    table.data_location = onnx.TensorProto.EXTERNAL
    path = location.replace("/weights", f"{bundle.parent}/weights", location[0] == "/")
    table.external_data.add(key="location", value=path)
    rewritten(bundle, "model.onnx", model.SerializeToString())
    with pytest.raises(LmspecError, match="does not load"):
        opening.opened(bundle)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners")
def test_a_link_to_a_bundle_that_others_could_change_is_refused(
    bundle: Path, tmp_path: Path
) -> None:
    """The link is yours; what it leads to is not."""
    link = tmp_path / "mine"
    link.symlink_to(bundle)
    opening.opened(link)
    bundle.chmod(0o777)
    with pytest.raises(LmspecError, match="every user may write to it"):
        opening.opened(link)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners")
def test_files_that_others_could_change_are_refused(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's, or everybody's; `--any-owner` takes them."""
    (bundle / "model.onnx").chmod(0o666)
    with pytest.raises(LmspecError, match="every user may write to it") as refused:
        opening.opened(bundle)
    assert refused.value.place == str(bundle / "model.onnx")
    opening.opened(bundle, any_owner=True)
    (bundle / "model.onnx").chmod(0o644)
    opening.opened(bundle)
    real = Path.stat

    def of_another(path: Path, **options: bool) -> os.stat_result:
        values = real(path, **options)
        return os.stat_result([*values[:4], 12345, *values[5:10]])

    monkeypatch.setattr(Path, "stat", of_another)
    with pytest.raises(LmspecError, match="another user"):
        opening.opened(bundle)
    opening.opened(bundle, any_owner=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("queue", 0), ("queue", True), ("queue", "8"), ("empty_text", "x"), ("max_texts", 1.5)],
)
def test_limits_that_no_spec_has_are_refused(name: str, value: object) -> None:
    """A manifest that another program wrote."""
    good = Limits().values()
    assert limits(None) == limits(good) == Limits()
    with pytest.raises(ValueError, match=name):
        limits(good | {name: value})
    with pytest.raises(ValueError, match="other limits"):
        limits({key: other for key, other in good.items() if key != name})


def test_keys_are_read_from_a_file_of_ones_own(tmp_path: Path) -> None:
    """One a line; what is none is named by its line, but not shown."""
    file = tmp_path / "keys"
    file.write_text(f"# of the team\n{'a' * 16}\n\n  {'b' * 20}  \r\n")
    file.chmod(0o600)
    known = keys.read(file)
    assert known.hold(f"Bearer {'a' * 16}") and known.hold(f"Bearer {'b' * 20}")
    assert not known.hold("Bearer # of the team") and not known.hold("Bearer ")
    file.chmod(0o604)
    with pytest.raises(LmspecError, match="every user may read"):
        keys.read(file)
    file.chmod(0o600)
    for content, place in (("", ""), ("# none\n", ""), (f"{'a' * 16}\nshort\n", ":2")):
        file.write_text(content)
        with pytest.raises(LmspecError) as refused:
            keys.read(file)
        assert refused.value.place == f"{file}{place}" and "short" not in str(refused.value)


def test_the_commit_of_a_bundle_is_found(bundle: Path, tmp_path: Path) -> None:
    """The first one whose provenance has exactly these files; none for others, or without git."""
    opened = opening.opened(bundle)
    assert origin.folder_digest(opened) == folders.sha256(bundle)
    assert origin.commit(opened) is None
    provenance = tmp_path / "data/provenance/bundle-release.json"
    provenance.parent.mkdir()
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    hashes = []
    for digest in ("0" * 64, folders.sha256(bundle), "1" * 64):
        provenance.write_text(json.dumps([{"digest": {"dirHash": digest}}]))
        for command in (["init", "-q"], ["add", "data/provenance"], ["commit", "-qm", "x"]):
            subprocess.run([*git, *command], cwd=tmp_path, check=True)
        shown = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        hashes.append(shown.stdout.strip())
    assert origin.commit(opened) == hashes[1]
    (bundle / "__pycache__").mkdir()
    assert origin.commit(opened) == hashes[1]
    rewritten(bundle, "README.md", b"another")
    assert origin.commit(opening.opened(bundle)) is None
