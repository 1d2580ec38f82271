"""A bundle answers only if its files are those that were built, and it says which one is not."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lmspec.formats import deployed, manifest, predict
from lmspec.formats.manifest import Damaged
from tests import bundles


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    """One that a test may damage."""
    return shutil.copytree(whole, tmp_path / "bundle")


def changed_byte(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return change


def edited(**values: object) -> Callable[[Path], None]:
    """A manifest with other values."""

    def edit(folder: Path) -> None:
        file = folder / manifest.NAME
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return edit


NAMES = [*predict.DATA, *deployed.code(), "requirements.txt", "README.md"]
DAMAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    **{f"a byte of {name}": (name, changed_byte(name)) for name in NAMES},
    **{f"no {n}": (n, lambda folder, n=n: (folder / n).unlink()) for n in NAMES},  # type: ignore[misc]
    "an empty graph": ("model.onnx", lambda folder: (folder / "model.onnx").write_bytes(b"")),
    "no manifest": (manifest.NAME, lambda folder: (folder / manifest.NAME).unlink()),
    "half a manifest": (
        manifest.NAME,
        lambda folder: (folder / manifest.NAME).write_text('{"version": 1'),
    ),
    "brackets": (manifest.NAME, lambda folder: (folder / manifest.NAME).write_text("[" * 99_999)),
    "a list": (manifest.NAME, lambda folder: (folder / manifest.NAME).write_text("[]")),
    "another version": (manifest.NAME, edited(version=2)),
    "nothing listed": (manifest.NAME, edited(files={})),
    "a path out": (manifest.NAME, edited(files={"../model.onnx": "0" * 64})),
    "an absolute path": (manifest.NAME, edited(files={"/etc/passwd": "0" * 64})),
    "no hash": (manifest.NAME, edited(files={"model.onnx": "0"})),
    "limits that are none": (manifest.NAME, edited(serving=[1])),
}


@pytest.mark.parametrize(("file", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_bundle_is_refused(
    bundle: Path, file: str, damage: Callable[[Path], None]
) -> None:
    """With the name of the file, and what to do; before anything of it is loaded."""
    damage(bundle)
    with pytest.raises(Damaged) as refused:
        predict.Classifier(bundle)
    assert refused.value.file == file
    assert str(refused.value).startswith(f"{file}: ") and refused.value.remedy


def test_a_whole_bundle_answers(bundle: Path) -> None:
    """The control: as it is, and with other files beside."""
    (bundle / "__pycache__").mkdir()
    (bundle / "notes.txt").write_text("ours")
    assert predict.Classifier(bundle).predict("the film was great")


def test_predict_py_says_which_file_is_damaged(bundle: Path) -> None:
    """On one line, without an answer; the exit status is 1. The control is in test_predict.py."""
    changed_byte("tokenizer.json")(bundle)
    command = [sys.executable, str(bundle / "predict.py"), "the film"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=bundle.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("predict.py: tokenizer.json: it is not the file that was built")
    assert done.stderr.count("\n") == 1


def test_a_manifest_comes_back(tmp_path: Path) -> None:
    """And is the same for the same files; its digest changes with any of them."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("1")
        manifest.write(tmp_path / name, "Größe", {"exported.a": "0" * 64}, {"queue": 3})
    one, other = (manifest.read(tmp_path / name) for name in ("a", "b"))
    assert one == other and one.title == "Größe" and one.serving == {"queue": 3}
    assert list(one.files) == ["x.txt"] and one.made_from == {"exported.a": "0" * 64}
    (tmp_path / "a" / "x.txt").write_text("2")
    manifest.write(tmp_path / "a", "Größe", {"exported.a": "0" * 64}, {"queue": 3})
    assert manifest.read(tmp_path / "a").digest != one.digest
