"""opening: a folder -> a bundle that can be served, or why it cannot."""

import contextlib
import dataclasses
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmspec.errors import LmspecError
from lmspec.formats import deployed, manifest, predict, targets
from lmspec.formats.manifest import Damaged, Manifest
from lmspec.formats.predict import Classifier
from lmspec.formats.targets import Unsuited
from lmspec.serving import card
from lmspec.serving.card import Card
from lmspec.serving.limits import Limits, limits

if TYPE_CHECKING:  # at run time only if there is such a bundle
    from lmspec.formats.predict_writing import Writer


@dataclass(frozen=True)
class Opened:
    """A bundle of any kind.

    name      of its folder
    manifest  what its files are
    limits    of its service
    card      what it has for people
    """

    name: str
    folder: Path
    manifest: Manifest
    limits: Limits
    card: Card

    @property
    def target(self) -> str | None:
        """Which of its targets computes; None if it has one graph alone."""
        return None


@dataclass(frozen=True)
class Bundle(Opened):
    """One that predicts labels.

    classifier  with one thread, which the threads of the service share
    """

    classifier: Classifier

    @property
    def target(self) -> str | None:
        """Which of its targets computes; None if it has one graph alone."""
        return self.classifier.target.name if self.classifier.target else None


@dataclass(frozen=True)
class WritingBundle(Opened):
    """One that writes.

    writer      what its predict.py runs
    generation  how, as lmspec.json has it
    """

    writer: "Writer"
    generation: Mapping[str, Any]


def opened(
    folder: Path, any_owner: bool = False, threads: int = 1, target: str | None = None
) -> Opened:
    """The bundle in a folder: whole, and with the code of this lmspec, of which none is executed.

    any_owner  take files that another user could change
    threads    with which a model that writes computes
    target     name of the one that computes; None: the first that this machine runs
    Raises LmspecError.
    """
    _require_folder(folder)
    try:
        about = manifest.checked(folder, predict.DATA, predict.OPTIONAL)
        shown = card.read(folder, about)
        writes = _writes(folder)
        bounds = limits(about.serving, writes)
    except Damaged as error:
        raise LmspecError(str(folder / error.file), error.found, error.remedy) from None
    except ValueError as error:
        place = str(folder / manifest.NAME)
        raise LmspecError(place, str(error), "build the bundle again with `dvc repro`") from None
    if not any_owner:
        _require_owner(folder, about)
    name = folder.resolve().name
    if writes:
        if target is not None:
            found = "it is of a model that writes, which has no targets"
            raise LmspecError(str(folder), found, "leave --target out")
        _require_same_code(folder, about, _code_that_writes())
        with _loading(folder):
            writer, generation = _writer(folder, about, threads)
        return WritingBundle(name, folder, about, bounds, shown, writer, generation)
    _require_same_code(folder, about, deployed.code())
    with _loading(folder):
        classifier = Classifier(folder, check=False, target=target)
        classifier.predict("one text")  # the first takes longer
    return Bundle(name, folder, about, bounds, shown, classifier)


@contextlib.contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Raise LmspecError for whatever its libraries raise: they share no class of errors."""
    try:
        yield
    except Unsuited as error:
        raise LmspecError(str(folder / targets.NAME), error.found, error.remedy) from None
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        found = f"its graph or tokenizer does not load: {type(error).__name__}: {reason}"
        raise LmspecError(str(folder), found, "build the bundle again with `dvc repro`") from None


# Below, modules are imported where they are needed: they bring packages that labels do not need.


def _code_that_writes() -> Mapping[str, bytes]:
    from lmspec.formats import deployed_writing

    return deployed_writing.code()


def _writer(folder: Path, about: Manifest, threads: int) -> tuple["Writer", Mapping[str, Any]]:
    from lmspec.formats import predict_writing

    for name in predict_writing.DATA:
        if name not in about.files:
            raise Damaged(manifest.NAME, f"it does not list {name}")
    writer = predict_writing.Writer(folder, threads, check=False)
    settings = dataclasses.replace(writer.settings, new_tokens=2)
    writer.write("one text", settings)  # the first takes longer
    generation = json.loads((folder / predict.ABOUT).read_text(encoding="utf-8"))["generation"]
    return writer, generation


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        found = "it is a file" if folder.exists() else "there is no such folder"
        raise LmspecError(
            str(folder),
            f"{found}, and a bundle is a folder with {manifest.NAME}",
            "name one, such as data/bundle/release; `dvc repro` builds it",
        )


def _require_owner(folder: Path, about: Manifest) -> None:
    """Raise LmspecError if another user could change the bundle while it is served."""
    if not hasattr(os, "geteuid"):
        return
    inner = {str(parent) for name in about.files for parent in Path(name).parents}
    for path in (folder / each for each in (*sorted(inner), manifest.NAME, *about.files)):
        status = path.stat()
        if status.st_uid not in (0, os.geteuid()):
            found = f"it belongs to another user (uid {status.st_uid}), who could change it"
        elif status.st_mode & stat.S_IWOTH:
            found = "every user may write to it"
        else:
            continue
        remedy = "change its owner or mode, or serve it all the same with --any-owner"
        raise LmspecError(str(path), found, remedy)


def _writes(folder: Path) -> bool:
    """Is it a bundle of a model that writes?"""
    try:
        about = json.loads((folder / predict.ABOUT).read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(about, dict) and "generation" in about and "labels" not in about


def _require_same_code(folder: Path, about: Manifest, code: Mapping[str, bytes]) -> None:
    """Raise LmspecError if `predict.py` of the bundle may answer otherwise than this lmspec."""
    for name, content in code.items():
        if about.files.get(name) != hashlib.sha256(content).hexdigest():
            raise LmspecError(
                str(folder / name),
                "the bundle was built by another version of lmspec, whose answers may differ",
                "build it again with `dvc repro`, which takes seconds, or serve it with the lmspec "
                "that built it",
            )
