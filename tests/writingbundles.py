"""writingbundles: a small bundle of a model that writes, made in a second."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmspec.formats import decoder, deployed_writing, manifest
from tests.tinywriter import CHAT, MOST, tokenizer, write_weights

POSITIONS = 96
CLEAN = {"fix_unicode": True, "unescape_html": False, "keep_lines": True}
INT8 = {"kind": "weight_only", "bits": 8, "block": 32, "symmetric": True}
INT8 |= {"head_bits": 8, "embedding_bits": 8, "activations": "int8"}
GREEDY: dict[str, Any] = {
    "decode": {"kind": "greedy"},
    "new_tokens": 24,
    "stop": [],
    "repetition_penalty": None,
    "constraint": None,
    "end_penalty": None,
}


def make(
    folder: Path,
    serving: Mapping[str, Any] | None = None,
    prompt: Mapping[str, Any] = CHAT,
    **about: Any,
) -> Path:
    """A bundle of random weights in int8, large enough that it writes more than one token.

    about  other fields of lmspec.json
    """
    import torch
    from transformers import AutoModelForCausalLM

    from lmspec.specs.quantized import WeightOnly
    from lmspec.writing import blockwise, exporting

    folder.mkdir(parents=True, exist_ok=True)
    source = write_weights(folder.parent / f"{folder.name}-source", tied=False)
    model = AutoModelForCausalLM.from_pretrained(source)
    torch.manual_seed(0)
    for weight in model.parameters():
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, 0, 0.3)
    words = tokenizer()
    end = words.token_to_id(prompt["end"])
    values = {"prompt": dict(prompt), "end_id": end, "pad_id": end, "max_length": MOST}
    values |= {"long_texts": "leave_out", "clean": CLEAN, "max_past": POSITIONS}
    exported = folder.parent / f"{folder.name}-exported"
    exported.mkdir()
    decoder.write(exporting.export(model, POSITIONS, 20), words, values, exported)
    rule = WeightOnly.model_validate(INT8)
    decoder.write(blockwise.rewritten(decoder.load(exported), rule), words, values, folder)
    deployed_writing.write(folder, constrained=True)
    (folder / "README.md").write_text("# Commands\n")
    changed(folder, {"generation": GREEDY, "batch_invariant": True} | about, serving)
    return folder


def changed(
    folder: Path, about: Mapping[str, Any], serving: Mapping[str, Any] | None = None
) -> Path:
    """The bundle with other fields in lmspec.json, or other limits."""
    path = folder / "lmspec.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | dict(about)))
    return listed(folder, serving)


def listed(folder: Path, serving: Mapping[str, Any] | None = None) -> Path:
    """The bundle with a manifest of the files that it has now."""
    manifest.write(folder, "Commands", {"quantized.a": "1" * 64, "scores.a": "2" * 64}, serving)
    return folder
