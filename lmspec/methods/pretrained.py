"""pretrained: a model from files as transformers keeps them, whole: what does not fit is refused.

transformers draws at random what a file lacks, and leaves out what the model has no place for.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from tokenizers import Tokenizer

from lmspec.errors import LmspecError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER = "adapter_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
EXACT = frozenset({"F16", "BF16", "F32"})  # number formats whose every value is one of fp32
# What classes of transformers call what they have beside the body, which a new head replaces.
HEADS = (
    "classifier",
    "cls",
    "decoder.bias",
    "decoder.weight",
    "discriminator_predictions",
    "generator_lm_head",
    "generator_predictions",
    "lm_head",
    "lm_loss",
    "lm_predictions",
    "logits_proj",
    "mask_predictions",
    "pooler",
    "pre_classifier",
    "pred_layer",
    "predictions",
    "qa_outputs",
    "score",
    "sequence_summary",
    "sop_classifier",
    "vocab_layer_norm",
    "vocab_projector",
    "vocab_transform",
)
SHOWN = 3  # names of tensors in a message
PADDING = ("[PAD]", "<pad>")
ROLES = ("pad_token", "cls_token", "sep_token", "unk_token")
SPECIAL = ("special_tokens_map.json", "tokenizer_config.json")
# Rows of embeddings are rounded up to a multiple, or kept for later tokens: 99 of 128,100 in
# DeBERTa-v3. BERT's cased vocabulary lacks 5 % of the uncased one.
SPARE_ROWS, SPARE_SHARE = 128, 0.02
REMEDY = "take config.json, weights and tokenizer.json from one model"
RESTORE = "its files are not of one build: `dvc checkout` restores them, `dvc repro -f` builds it"


def load(
    model_class: Any, folder: Path, new_head: bool = False, remedy: str = "", **given: Any
) -> "PreTrainedModel":
    """A model in fp32, each of its tensors from the folder.

    model_class  has `from_pretrained`, which gets `given`
    new_head     the head may be missing and is drawn at random; the file's own may be left out
    remedy       of files that do not fit; by default that of a source, if its head is new, else
                 that of what was built here
    Raises LmspecError if the weights are no safetensors, or have tensors missing, too many, of
    other shapes, or in other numbers than fp32 holds.
    """
    file, remedy = file_of_weights(folder), remedy or (REMEDY if new_head else RESTORE)
    try:
        model, loaded = model_class.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # else it raises, without the names
            output_loading_info=True,
            **given,
        )
    except Exception as error:  # half a dozen libraries read these files
        raise LmspecError(str(file), f"it cannot be loaded: {shown(error)}", remedy) from error
    prefix = f"{model.base_model_prefix}."

    def counts(name: str) -> bool:
        return not (new_head and is_of_head(name, prefix))

    missing = [
        name
        for name in loaded["missing_keys"]
        if counts(name) and (not new_head or name.startswith(prefix))
    ]
    unexpected = list(filter(counts, loaded["unexpected_keys"]))
    others = {name: shapes for name, *shapes in loaded["mismatched_keys"] if counts(name)}
    require_fit(file, model.config.model_type, missing, unexpected, others, remedy)
    require_exact(file)
    return model


def require_fit(
    file: Path,
    model_type: str,
    missing: Sequence[str],
    unexpected: Sequence[str],
    others: Mapping[str, Sequence[Any]],
    remedy: str,
) -> None:
    """Raise LmspecError if tensors are missing, without a place, or of other shapes.

    others  name -> shape in the file, and in the model
    """
    problems = [
        f"{_named(missing)} missing" if missing else "",
        f"{_named(unexpected)} without a place" if unexpected else "",
        _shapes(others),
    ]
    if found := "; ".join(filter(None, problems)):
        kind = f"it does not fit config.json (model_type {model_type})"
        raise LmspecError(str(file), f"{kind}: {found}", remedy)


def require_exact(file: Path) -> None:
    """Raise LmspecError if fp32 does not hold the numbers of all weights."""
    if inexact := _inexact(file.parent, file):
        found = f"{_named(inexact)} in other numbers than float32, bfloat16 or float16"
        raise LmspecError(str(file), found, "take a source with one of those")


def tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder. Raises LmspecError if it is none."""
    file = folder / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises plain Exception
        raise LmspecError(str(file), f"it cannot be read: {shown(error)}", REMEDY) from error


def require_tokens(
    tokenizer: Tokenizer, rows: int, pad_id: int, file: Path, remedy: str = RESTORE
) -> None:
    """Raise LmspecError if a token, or the padding, has no row among so many of the embedding."""
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if highest >= rows or not 0 <= pad_id < rows:
        what = f"token {highest}" if highest >= rows else f"padding {pad_id}"
        found = f"it has {what}, and the model embeds {rows:,} tokens"
        raise LmspecError(str(file), found, remedy)
    if tokenizer.id_to_token(pad_id) is None:
        raise LmspecError(str(file), f"it has no token {pad_id}, the model's padding", remedy)
    added = tokenizer.encode("")
    for token, number in zip(added.tokens, added.ids, strict=True):
        if tokenizer.token_to_id(token) != number:
            found = f"it adds {token} as {number}, and has it as {tokenizer.token_to_id(token)}"
            raise LmspecError(str(file), found, remedy)


def require_own_tokenizer(tokenizer: Tokenizer, rows: int, pad_id: int | None, file: Path) -> None:
    """Raise LmspecError if a source's tokenizer is not the one that its weights were trained with.

    pad_id  that of config.json, if it has one
    Known by the size of the vocabulary, the padding, and the special tokens that the folder names.
    """
    require_tokens(tokenizer, rows, pad_id or 0, file, REMEDY)
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    special = _special_tokens(file.parent)
    absent = [token for token in special.values() if tokenizer.token_to_id(token) is None]
    unknown = getattr(tokenizer.model, "unk_token", None)
    absent += [unknown] if unknown and tokenizer.token_to_id(unknown) is None else []
    padding = [special["pad_token"]] if "pad_token" in special else PADDING
    numbers = [n for n in map(tokenizer.token_to_id, padding) if n is not None]
    found = ""
    if rows - size > max(SPARE_ROWS, SPARE_SHARE * rows):
        found = f"it has {size:,} tokens, and the model embeds {rows:,}"
    elif absent:
        found = f"it lacks {', '.join(dict.fromkeys(absent))}, which it or a file beside it names"
    elif pad_id is not None and numbers and pad_id not in numbers:
        found = f"its padding is {numbers[0]}, and that of config.json {pad_id}"
    if found:
        raise LmspecError(str(file), found, REMEDY)


def file_of_weights(folder: Path) -> Path:
    """The file that names all weights. Raises LmspecError."""
    if (folder / ADAPTER).is_file():  # without peft, transformers ignores it
        remedy = "merge it into the weights: `merge_and_unload` of peft, then `save_pretrained`"
        raise LmspecError(str(folder / ADAPTER), "an adapter would not be applied", remedy)
    found = [name for name in (WEIGHTS, INDEX) if (folder / name).is_file()]
    if len(found) == 1:
        return folder / found[0]
    pickled = sorted(path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt")))
    what = f"it has both {WEIGHTS} and {INDEX}" if found else f"it has no {WEIGHTS}"
    remedy = "take a source with its weights as safetensors"
    if pickled and not found:
        what += f"; {pickled[0]} is a pickle, which can run code, and is not read"
        remedy = "convert it with `save_pretrained` of transformers, or take a newer revision"
    raise LmspecError(str(folder), what, "remove the older" if found else remedy)


def is_of_head(name: str, prefix: str) -> bool:
    """Does a tensor or module, by its name, belong to what a new head replaces?"""
    own = name.removeprefix(prefix)
    return any(own == head or own.startswith(f"{head}.") for head in HEADS)


def _inexact(folder: Path, file: Path) -> list[str]:
    """Tensors of doubles, which fp32 rounds, or of integers, which lack their scale.

    Positions are no weights.
    """
    files = [file]
    if file.name == INDEX:
        shards = json.loads(file.read_text(encoding="utf-8"))["weight_map"].values()
        files = [folder / shard for shard in dict.fromkeys(shards)]
    found = []
    for path in files:
        with safe_open(path, "pt") as tensors:
            formats = {name: tensors.get_slice(name).get_dtype() for name in tensors.keys()}  # noqa: SIM118
        found += [
            f"{name} ({number})"
            for name, number in formats.items()
            if number not in EXACT and not name.endswith("position_ids")
        ]
    return found


def _shapes(others: Mapping[str, Sequence[Any]]) -> str:
    if not others:
        return ""
    first = min(others)
    here, wanted = map(list, others[first])
    return f"{_named(list(others))} of other shapes, the first {here} instead of {wanted}"


def _named(names: Sequence[str]) -> str:
    """`5 tensors (a, b, c and 2 more)`."""
    first = ", ".join(sorted(names)[:SHOWN])
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} tensor{'s' if len(names) > 1 else ''} ({first}{more})"


def _special_tokens(folder: Path) -> dict[str, str]:
    """Role -> token, as the files beside tokenizer.json name them."""
    tokens: dict[str, str] = {}
    for name in SPECIAL:
        try:
            values = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for role in ROLES:
            token = values.get(role) if isinstance(values, dict) else None
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                tokens.setdefault(role, token)
    return tokens


def shown(error: Exception) -> str:
    """The first line of another library's error."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
