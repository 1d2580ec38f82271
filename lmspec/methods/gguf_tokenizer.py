"""gguf_tokenizer: the byte-level BPE of a GGUF file, as `tokenizers` and transformers have it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from lmspec.errors import LmspecError

PREFIX = "tokenizer.ggml."
CONTROL, USER_DEFINED = 3, 4  # kinds of tokens
ROLES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}  # transformers', GGUF's
# How texts are cut before tokens are merged -> is each digit alone?
CUTS = {"gpt-2": False, "smollm": True}
OTHER = "take the model's safetensors with its tokenizer.json"


def convert(settings: Mapping[str, Any], file: str) -> Tokenizer:
    """The tokenizer that the settings describe, which neither truncates nor pads.

    Raises LmspecError if it is of another kind, or its tokens do not fit together.
    """
    digits = _cut(settings, file)
    tokens, merges = _texts(settings, "tokens", file), _texts(settings, "merges", file)
    kinds = settings.get(f"{PREFIX}token_type", [1] * len(tokens))
    if not isinstance(kinds, list) or len(kinds) != len(tokens):
        raise _error(file, "token_type", f"it is not one kind for each of {len(tokens):,} tokens")
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if len(vocabulary) < len(tokens):
        twice = next(token for i, token in enumerate(tokens) if vocabulary[token] != i)
        raise _error(file, "tokens", f"{twice!r} is there twice")
    pairs = [_pair(merge, file) for merge in merges]
    try:
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    except Exception as error:  # tokenizers raises plain Exception: a merge names no token
        raise _error(file, "merges", f"they do not fit the tokens: {error}") from error
    bytes_alone = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alone = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Sequence([alone, bytes_alone]) if digits else bytes_alone
    )
    tokenizer.decoder = decoders.ByteLevel()
    named = special(settings, file)
    for token, kind in zip(tokens, kinds, strict=True):
        if kind == CONTROL or token in named.values():  # some files have no kinds of tokens
            tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True)])
        elif kind == USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, normalized=False, special=False)])
    if template := _template(settings, named):
        tokenizer.post_processor = template
    return tokenizer


def special(settings: Mapping[str, Any], file: str) -> dict[str, str]:
    """Token by role in tokenizer_config.json, such as `eos_token`. Raises LmspecError."""
    tokens = _texts(settings, "tokens", file)
    found = {}
    for role, name in ROLES.items():
        number = settings.get(f"{PREFIX}{name}_token_id")
        if number is None:
            continue
        if not isinstance(number, int) or not 0 <= number < len(tokens):
            raise _error(file, f"{name}_token_id", f"there is no token {number}")
        found[f"{role}_token"] = tokens[number]
    for role in ("bos", "eos"):
        if _adds(settings, role) and f"{role}_token" not in found:
            raise _error(file, f"add_{role}_token", f"the file names no {role} token")
    return found


def tokenizer_config(settings: Mapping[str, Any], file: str) -> dict[str, Any]:
    """tokenizer_config.json of transformers."""
    return {
        "add_bos_token": _adds(settings, "bos"),
        "add_eos_token": _adds(settings, "eos"),
        **special(settings, file),
        "clean_up_tokenization_spaces": False,
        "model_max_length": settings["llama.context_length"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def _cut(settings: Mapping[str, Any], file: str) -> bool:
    """Is each digit alone? Raises LmspecError if texts are cut in another way."""
    model, cut = settings.get(f"{PREFIX}model"), settings.get(f"{PREFIX}pre")
    if model != "gpt2":
        found = f"it is {model!r}; only 'gpt2', byte-level BPE, is converted"
        raise _error(file, "model", found)
    if cut not in CUTS:
        found = f"it is {cut!r}: texts are cut in a way that is not converted; known are "
        raise _error(file, "pre", found + " and ".join(map(repr, CUTS)))
    if settings.get(f"{PREFIX}add_space_prefix", False):
        raise _error(file, "add_space_prefix", "a space before each text is not converted")
    return CUTS[cut]


def _pair(merge: str, file: str) -> tuple[str, str]:
    one, _, other = merge.partition(" ")
    if not other or " " in other:
        raise _error(file, "merges", f"{merge!r} is no pair of tokens")
    return one, other


def _adds(settings: Mapping[str, Any], role: str) -> bool:
    return bool(settings.get(f"{PREFIX}add_{role}_token", False))


def _template(settings: Mapping[str, Any], tokens: Mapping[str, str]) -> Any:
    """What is added before and after each text; None if nothing does."""
    bos, eos = (tokens[f"{r}_token"] if _adds(settings, r) else "" for r in ("bos", "eos"))
    if not bos and not eos:
        return None
    single = [*([f"{bos}:0"] if bos else []), "$A:0", *([f"{eos}:0"] if eos else [])]
    other = [*([f"{bos}:1"] if bos else []), "$B:1", *([f"{eos}:1"] if eos else [])]
    numbers = {
        tokens[f"{role}_token"]: settings[f"{PREFIX}{ROLES[role]}_token_id"]
        for role in ("bos", "eos")
        if _adds(settings, role)
    }
    return processors.TemplateProcessing(
        single=single, pair=[*single, *other], special_tokens=list(numbers.items())
    )


def _texts(settings: Mapping[str, Any], name: str, file: str) -> Sequence[str]:
    values = settings.get(f"{PREFIX}{name}")
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _error(file, name, "it is missing, or no list of texts")
    return values


def _error(file: str, name: str, found: str) -> LmspecError:
    return LmspecError(f"{file}, {PREFIX}{name}", found, OTHER)
