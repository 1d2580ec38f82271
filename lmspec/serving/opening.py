"""opening: a folder -> a bundle that can be served, or why it cannot."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.formats import deployed, manifest, predict
from lmspec.formats.manifest import Damaged, Manifest
from lmspec.formats.predict import Classifier
from lmspec.serving import card
from lmspec.serving.card import Card
from lmspec.serving.limits import Limits, limits


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


@dataclass(frozen=True)
class Bundle(Opened):
    """One that predicts labels.

    classifier  with one thread, which the threads of the service share
    """

    classifier: Classifier


def opened(folder: Path, any_owner: bool = False) -> Bundle:
    """The bundle in a folder: whole, and with the code of this lmspec, of which none is executed.

    any_owner  take files that another user could change. Raises LmspecError.
    """
    _require_folder(folder)
    try:
        about = manifest.checked(folder, predict.DATA)
        shown = card.read(folder, about)
        bounds = limits(about.serving)
    except Damaged as error:
        raise LmspecError(str(folder / error.file), error.found, error.remedy) from None
    except ValueError as error:
        place = str(folder / manifest.NAME)
        raise LmspecError(place, str(error), "build the bundle again with `dvc repro`") from None
    if not any_owner:
        _require_owner(folder, about)
    _require_labels(folder)
    _require_same_code(folder, about)
    return Bundle(folder.resolve().name, folder, about, bounds, shown, _loaded(folder))


def _loaded(folder: Path) -> Classifier:
    """Raise LmspecError for whatever its libraries raise: they share no class of errors."""
    try:
        classifier = Classifier(folder, check=False)
        classifier.predict("one text")  # the first takes longer
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        found = f"its graph or tokenizer does not load: {type(error).__name__}: {reason}"
        raise LmspecError(str(folder), found, "build the bundle again with `dvc repro`") from None
    return classifier


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
    for path in (folder, folder / manifest.NAME, *(folder / name for name in about.files)):
        status = path.stat()
        if status.st_uid not in (0, os.geteuid()):
            found = f"it belongs to another user (uid {status.st_uid}), who could change it"
        elif status.st_mode & stat.S_IWOTH:
            found = "every user may write to it"
        else:
            continue
        remedy = "change its owner or mode, or serve it all the same with --any-owner"
        raise LmspecError(str(path), found, remedy)


def _require_labels(folder: Path) -> None:
    """Raise LmspecError for a bundle of a model that writes."""
    about = (folder / predict.ABOUT).read_bytes()
    if b'"generation"' in about and b'"labels"' not in about:
        raise LmspecError(
            str(folder),
            "its model writes texts, and `lmspec serve` answers with labels so far",
            "use its predict.py",
        )


def _require_same_code(folder: Path, about: Manifest) -> None:
    """Raise LmspecError if `predict.py` of the bundle may answer otherwise than this lmspec."""
    for name, content in deployed.code().items():
        if about.files.get(name) != hashlib.sha256(content).hexdigest():
            raise LmspecError(
                str(folder / name),
                "the bundle was built by another version of lmspec, whose answers may differ",
                "build it again with `dvc repro`, which takes seconds, or serve it with the lmspec "
                "that built it",
            )
