"""converted: a GGUF file as a folder that transformers reads, the weights in float32."""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError, some
from lmspec.formats import gguf
from lmspec.methods import gguf_llama, gguf_tokenizer
from lmspec.methods.gguf_llama import Tensor

TEMPLATE = "tokenizer.chat_template"


def convert(fetched: Path, out: Path) -> None:
    """Write config.json, model.safetensors, tokenizer.json and tokenizer_config.json.

    fetched  a folder with one GGUF file
    The template of chats is kept as text, in chat_template.jinja: nothing here evaluates it.
    Raises LmspecError if the file is not whole, or holds what is not converted.
    """
    file, tensors = described(fetched, out)
    _write_tensors(out / "model.safetensors", file, tensors)


def described(fetched: Path, out: Path) -> tuple[gguf.File, Mapping[str, Tensor]]:
    """Write all but the weights: from the header, so at once. Raises LmspecError as `convert`."""
    file = gguf.read(_only(fetched))
    name, settings = file.path.name, file.settings
    gguf_llama.require(settings, name)
    tokenizer = gguf_tokenizer.convert(settings, name)
    tied = gguf_llama.HEAD not in file.tensors
    config = gguf_llama.config(settings, name, tokenizer.get_vocab_size(), tied)
    tensors = gguf_llama.tensors(config)
    shapes = {name: stored.shape for name, stored in file.tensors.items()}
    gguf_llama.require_tensors(tensors, shapes, name)
    _write_json(out / "config.json", config)
    _write_json(out / "tokenizer_config.json", gguf_tokenizer.tokenizer_config(settings, name))
    tokenizer.save(str(out / "tokenizer.json"))
    if isinstance(template := settings.get(TEMPLATE), str):
        (out / "chat_template.jinja").write_text(template, encoding="utf-8", newline="")
    return file, tensors


def _only(folder: Path) -> Path:
    """Raises LmspecError unless the folder has exactly one GGUF file."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".gguf")
    if len(files) == 1:
        return files[0]
    held = files or sorted(path for path in folder.rglob("*") if path.is_file())
    names = some([path.relative_to(folder).as_posix() for path in held])
    found = f"it must fetch one .gguf file, and fetches {len(files)}"
    raise LmspecError("convert: gguf", found, f"name one in `members`, `path` or `allow`: {names}")


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8", newline="")


def _write_tensors(path: Path, file: gguf.File, tensors: Mapping[str, Tensor]) -> None:
    """Those of the file in float32, one at a time, so that memory holds one.

    The bytes are those of `safetensors.save_file`: a length, a header of JSON, and the numbers in
    the order of the names. Source: https://github.com/huggingface/safetensors, "Format".
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    ordered = sorted(tensors.items(), key=lambda item: item[1].name)
    for _, tensor in ordered:
        start, end = end, end + 4 * prod(tensor.shape)
        offsets = {"data_offsets": [start, end]}
        header[tensor.name] = {"dtype": "F32", "shape": list(tensor.shape), **offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name, tensor in ordered:
            values = file.values(name, gguf_llama.order(tensor))
            stream.write(values.astype("<f4", copy=False).data)
