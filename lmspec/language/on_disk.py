"""on_disk: what a few lines of files on disk say: configurations, row ids. Never weights."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError
from lmspec.formats import cases, lockfile
from lmspec.formats import contrasts as pairs
from lmspec.specs import blocks
from lmspec.specs.contrasts import Contrast
from lmspec.specs.suites import Suite

MOST_HEADER = 2**25  # bytes
DEPTHS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")
POSITIONS = ("max_position_embeddings", "n_positions")
# Their position ids start after `padding_idx`, so the positions up to it are unusable.
# Source: transformers, create_position_ids_from_input_ids of each.
AFTER_PADDING = {
    "camembert",
    "data2vec-text",
    "ibert",
    "longformer",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


def exists(path: Path) -> bool:
    """Is it there? A name that no file can have is not."""
    try:
        return path.exists()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Is it there, and a file?"""
    return exists(path) and path.is_file()


def size(path: Path) -> int:
    """Bytes of a file, or of all files beneath a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files)


def config(folder: Path) -> Mapping[str, Any]:
    """The configuration of pretrained weights; empty if it is missing or not valid."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


@functools.lru_cache(maxsize=64)
def special_tokens(folder: Path | None) -> frozenset[str]:
    """Special tokens of a tokenizer.json; empty if there is none, or it is not valid."""
    try:
        tokenizer = json.loads((Path(folder or "") / "tokenizer.json").read_text(encoding="utf-8"))
        return frozenset(token["content"] for token in tokenizer["added_tokens"])
    except (OSError, ValueError, LookupError, TypeError):
        return frozenset()


@functools.lru_cache(maxsize=64)
def tensors(folder: Path | None) -> frozenset[str]:
    """Names of the tensors of a model.safetensors, from its header; empty if there is none."""
    return frozenset(header(Path(folder or "") / "model.safetensors")) - {"__metadata__"}


def header(file: Path) -> Mapping[str, Any]:
    """Name -> shape and kind of each tensor of a .safetensors; empty if it is none."""
    try:
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            found = json.loads(stream.read(size)) if size < MOST_HEADER else {}
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def depth(config: Mapping[str, Any]) -> int | None:
    """Number of layers; None if the configuration does not say."""
    return _first_number(config, DEPTHS)


def positions(config: Mapping[str, Any]) -> int | None:
    """Longest text in tokens; None if the configuration does not say."""
    size = _first_number(config, POSITIONS)
    if size is None or config.get("model_type") not in AFTER_PADDING:
        return size
    padding = config.get("pad_token_id")
    return size - (padding if isinstance(padding, int) else 1) - 1


def _first_number(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    return next((config[name] for name in names if isinstance(config.get(name), int)), None)


@functools.lru_cache(maxsize=256)
def ids(splits: Path, split: str) -> frozenset[str]:
    """Row ids of one split; empty if the splits are not built."""
    try:
        return frozenset((splits / f"{split}.ids").read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        return frozenset()


def recorded(root: Path, stage: str) -> Mapping[str, Any]:
    """Parameters of a stage at its last run, blocks resolved; empty if dvc.lock tells none."""
    try:
        run = lockfile.split(lockfile.text_in(root)).run(stage)
    except (OSError, UnicodeDecodeError, LmspecError):
        return {}
    return blocks.without(run.params.get("params.yaml", {})) if run else {}


def suites(root: Path, file: str) -> tuple[Suite, ...] | LmspecError:
    """The suites of a file of cases, or what is wrong with it."""
    try:
        state = (root / file).stat()
        return _suites(root, file, (state.st_mtime_ns, state.st_size))
    except (OSError, ValueError):  # no file, or no name that one can have
        return LmspecError(file, "there is no such file", "correct `cases`, or add the file")


@functools.lru_cache(maxsize=16)
def _suites(root: Path, file: str, state: tuple[int, int]) -> tuple[Suite, ...] | LmspecError:
    try:
        return cases.read(root, file)
    except LmspecError as error:
        return error


def contrasts(root: Path, file: str) -> tuple[Contrast, ...] | LmspecError:
    """The contrasts of a file of pairs, or what is wrong with it."""
    try:
        state = (root / file).stat()
        return _contrasts(root, file, (state.st_mtime_ns, state.st_size))
    except (OSError, ValueError):
        return LmspecError(file, "there is no such file", "correct `pairs`, or add the file")


@functools.lru_cache(maxsize=16)
def _contrasts(root: Path, file: str, state: tuple[int, int]) -> tuple[Contrast, ...] | LmspecError:
    try:
        return pairs.read(root, file)
    except LmspecError as error:
        return error
