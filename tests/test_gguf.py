"""test_gguf: a GGUF file becomes what transformers makes of it, or one message that says where."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from lmspec.errors import LmspecError
from lmspec.formats import converted
from lmspec.methods import folders
from lmspec.pipeline.closure import OnDisk, closure
from lmspec.specs.numerics import Machine
from lmspec.specs.sources import FileSource
from lmspec.stage import Needs
from stages import sources
from tests import smollm2

ROOT = Path(__file__).parent.parent
TEXTS = (
    "",
    " ",
    "  ",
    "\n",
    "\t\n \r\n",
    "Hello world",
    "  two  spaces  ",
    "a1 b22",
    "x=3.14159",
    "def f(x):\n    return x**2\n\n\n    # done\t\n",
    "naïve café — “quotes” …",
    "日本語テキスト 한국어 العربية हिन्दी",
    "👩‍👩‍👧‍👦 🇩🇪 🏳️‍🌈",
    "e\u0301 \u200b\ufeff\u00a0x",
    "I'm you're we'LL THEY'VE don't",
    "<|im_start|>user\nhi<|im_end|>\n",
    "a<|endoftext|>b<|im_start",
    "\x01\x7f",
    "{{[-l|--long]}} `ls -la` | grep 'x' && rm -rf /tmp/*",
    "a" * 300,
    "1" * 100,
    "\u2028\u2029\u3000x",
    "$1,000.00 50% #1",
    "http://a.b/c?d=e&f=1#g2",
    "\U0001f9ff\U000e0041",
)
# Texts whose tokens depend on whether digits are alone.
NUMBERS = ("a  1", "   12 345", "1\n 3", "½ ² ٣ 七 Ⅷ")
LAYERS, WIDTH, INNER, HEADS, SHARED, POSITIONS = 2, 64, 96, 4, 2, 128
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
Q4, Q8, F16, BF16, F32 = (
    gguf.GGMLQuantizationType[name] for name in ("Q4_1", "Q8_0", "F16", "BF16", "F32")
)
KINDS = {  # a file of several kinds, as they are
    "token_embd": Q8,
    "attn_q": Q4,
    "attn_k": Q8,
    "attn_v": F16,
    "attn_output": BF16,
    "ffn_gate": Q4,
    "ffn_up": F16,
}


def vocabulary() -> Tokenizer:
    """A byte-level BPE that was trained on a few lines, special tokens first, as SmolLM2 has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*TEXTS, "  " * 9, "the cat sat on the mat " * 9], trainer)
    return tokenizer


def settings_of(tokenizer: Tokenizer) -> dict[str, Any]:
    """What the writer is given, by the keys of GGUF."""
    bpe = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    return {
        "general.type": "model",
        "llama.context_length": POSITIONS,
        "llama.embedding_length": WIDTH,
        "llama.block_count": LAYERS,
        "llama.feed_forward_length": INNER,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.rope.freq_base": 50000.0,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": SHARED,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in SPECIAL else 1 for token in tokens],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in bpe["merges"]],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": "{{ 1/0 }} ä",
    }


def model_of(tokens: int, tied: bool) -> LlamaForCausalLM:
    """A random Llama."""
    torch.manual_seed(3)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokens,
            hidden_size=WIDTH,
            intermediate_size=INNER,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=SHARED,
            max_position_embeddings=POSITIONS,
            rope_theta=50000.0,
            rms_norm_eps=1e-5,
            tie_word_embeddings=tied,
        )
    )


def as_llama_cpp(name: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """Name and rows, as convert_hf_to_gguf.py of llama.cpp has them."""
    short = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, LAYERS).get_name(name, (".weight",))
    heads = {"q_proj": HEADS, "k_proj": SHARED}.get(name.split(".")[-2])
    if heads:
        paired = values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:])
        values = paired.swapaxes(1, 2).reshape(values.shape)
    return f"{short}.weight".replace(".weight.weight", ".weight"), values


def write(
    path: Path,
    settings: Mapping[str, Any],
    weights: Mapping[str, np.ndarray],
    kinds: Mapping[str, gguf.GGMLQuantizationType],
    architecture: str = "llama",
) -> Path:
    """A file. weights: by the names of GGUF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path, architecture)
    for name, value in settings.items():
        match value:
            case bool():
                writer.add_bool(name, value)
            case int():
                writer.add_uint32(name, value)
            case float():
                writer.add_float32(name, value)
            case str():
                writer.add_string(name, value)
            case _:
                writer.add_array(name, value)
    for name, values in weights.items():
        kind = kinds.get(name.split(".")[-2], F32)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class Parts:
    """What a file is written from; a test changes some of it."""

    def __init__(self, tied: bool = True) -> None:
        self.tokenizer = vocabulary()
        self.settings = settings_of(self.tokenizer)
        self.model = model_of(self.tokenizer.get_vocab_size(), tied)
        state = self.model.state_dict()
        names = [name for name in state if not (tied and name == "lm_head.weight")]
        self.weights = dict(as_llama_cpp(name, state[name].numpy()) for name in names)
        self.kinds: dict[str, gguf.GGMLQuantizationType] = dict(KINDS)
        self.architecture = "llama"

    def write(self, folder: Path) -> Path:
        """Their file."""
        return write(
            folder / "tiny.gguf", self.settings, self.weights, self.kinds, self.architecture
        )


@pytest.fixture
def parts() -> Parts:
    """Those of a tiny model."""
    return Parts()


def convert(file: Path) -> Path:
    """The folder that a file becomes."""
    out = file.parent.with_name("out")
    out.mkdir(exist_ok=True)
    converted.convert(file.parent, out)
    return out


def by_transformers(file: Path) -> LlamaForCausalLM:
    """The model that transformers makes of a file."""
    given = {"gguf_file": file.name, "dtype": torch.float32, "local_files_only": True}
    return LlamaForCausalLM.from_pretrained(file.parent, **given)


def equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    """The same names, and the same bits."""
    return one.keys() == other.keys() and all(
        torch.equal(one[name].view(torch.int32), other[name].view(torch.int32)) for name in one
    )


@pytest.mark.parametrize("tied", [True, False])
def test_weights_are_those_that_transformers_reads(tmp_path: Path, tied: bool) -> None:
    """Bit for bit, of quantized and of plain numbers, with a head of its own and without; and the
    file is the one that `save_file` writes."""
    parts = Parts(tied)
    file = parts.write(tmp_path / "in")
    out = convert(file)
    theirs = by_transformers(file)
    ours, loaded = LlamaForCausalLM.from_pretrained(
        out, dtype=torch.float32, output_loading_info=True
    )
    assert not any(loaded[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert equal(ours.state_dict(), theirs.state_dict())
    saved = load_file(out / "model.safetensors")
    assert len(saved) == 9 * LAYERS + (2 if tied else 3)
    save_file(saved, tmp_path / "again", {"format": "pt"})
    assert (tmp_path / "again").read_bytes() == (out / "model.safetensors").read_bytes()
    names = ("_name_or_path", "quantization_config", "unk_token_id")
    one, other = (
        {key: value for key, value in model.config.to_dict().items() if key not in names}
        for model in (ours, theirs)
    )
    assert one == other | {"architectures": ["LlamaForCausalLM"]}


def test_a_model_in_float32_comes_back(tmp_path: Path, parts: Parts) -> None:
    """What llama.cpp's converter does to names and rows is undone. Control: with the rows of keys
    in the file's order, it would be another model."""
    parts.kinds = {}
    out = convert(parts.write(tmp_path / "in"))
    state = dict(parts.model.state_dict())
    del state["lm_head.weight"]
    saved = load_file(out / "model.safetensors")
    assert equal(saved, state)
    name = "model.layers.0.self_attn.k_proj.weight"
    assert not np.array_equal(parts.weights["blk.0.attn_k.weight"], saved[name].numpy())


@pytest.mark.parametrize("adds", [(), ("bos",), ("bos", "eos")])
def test_texts_become_the_tokens_of_transformers(
    tmp_path: Path, parts: Parts, adds: tuple[str, ...]
) -> None:
    """Of odd texts too, alone and in pairs, and back again; a user's token is never cut."""
    token = next(t for t in parts.settings["tokenizer.ggml.tokens"] if t == "Ġthe")
    number = parts.settings["tokenizer.ggml.tokens"].index(token)
    parts.settings["tokenizer.ggml.tokens"][number] = "<think>"
    parts.settings["tokenizer.ggml.token_type"][number] = 4
    parts.settings["tokenizer.ggml.merges"] = [
        merge
        for merge in parts.settings["tokenizer.ggml.merges"]
        if token not in (merge.replace(" ", ""), *merge.split(" "))
        and not merge.replace(" ", "").startswith(token)
    ]
    parts.settings |= {f"tokenizer.ggml.add_{role}_token": role in adds for role in ("bos", "eos")}
    file = parts.write(tmp_path / "in")
    out = convert(file)
    theirs = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    ours = Tokenizer.from_file(str(out / "tokenizer.json"))
    loaded = AutoTokenizer.from_pretrained(out)
    for text in (*TEXTS, *NUMBERS, "a<think>b"):
        ids = theirs(text)["input_ids"]
        assert ours.encode(text).ids == loaded(text)["input_ids"] == ids, text
        assert ours.encode(text, "b").ids == theirs(text, "b")["input_ids"], text
        assert ours.decode(ids) == loaded.decode(ids, skip_special_tokens=True)
    for role in ("bos_token", "eos_token", "unk_token", "pad_token"):
        assert getattr(loaded, role) == getattr(theirs, role)
    assert "<think>" in ours.encode("a<think>b").tokens


def test_special_tokens_are_never_cut(tmp_path: Path, parts: Parts) -> None:
    """Those that the file gives a role, where it does not say of which kind its tokens are."""
    del parts.settings["tokenizer.ggml.token_type"]
    file = parts.write(tmp_path / "in")
    ours = Tokenizer.from_file(str(convert(file) / "tokenizer.json"))
    theirs = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    text = "a<|im_start|>b<|im_end|>c<|endoftext|>"
    assert ours.encode(text).ids == theirs(text)["input_ids"]
    assert ours.encode(text).tokens == ["a", SPECIAL[1], "b", SPECIAL[2], "c", SPECIAL[0]]


def test_digits_are_alone_where_the_model_was_trained_so(tmp_path: Path, parts: Parts) -> None:
    """`smollm` cuts texts before and after each digit, as llama.cpp does; transformers ignores that
    and gives other tokens to white space before a digit, and to numbers."""
    parts.settings["tokenizer.ggml.pre"] = "smollm"
    file = parts.write(tmp_path / "in")
    ours = Tokenizer.from_file(str(convert(file) / "tokenizer.json"))
    theirs = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    for text in (*TEXTS, *NUMBERS):
        tokens = ours.encode(text).tokens
        assert not [t for t in tokens if len(t) > 1 and any("0" <= sign <= "9" for sign in t)]
        if not any(sign.isnumeric() for sign in text):
            assert ours.encode(text).ids == theirs(text)["input_ids"], text
    assert ours.encode("a  1").tokens == ["a", "ĠĠ", "1"]
    assert theirs.convert_ids_to_tokens(theirs("a  1")["input_ids"]) != ["a", "ĠĠ", "1"]


def test_the_template_is_kept_and_not_evaluated(tmp_path: Path, parts: Parts) -> None:
    """It is there as text; evaluated, this one would raise."""
    out = convert(parts.write(tmp_path / "in"))
    assert (out / "chat_template.jinja").read_text(encoding="utf-8") == "{{ 1/0 }} ä"
    assert sorted(path.name for path in out.iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_bytes_do_not_depend_on_the_process(tmp_path: Path, parts: Parts) -> None:
    """Another hash seed, time zone, locale and number of threads give the same bytes, and torch and
    transformers are not imported."""
    file = parts.write(tmp_path / "in")
    code = (
        "import sys; from pathlib import Path; from lmspec.formats import converted\n"
        "converted.convert(*map(Path, sys.argv[1:]))\n"
        "assert not {'torch', 'transformers', 'requests', 'safetensors'} & set(sys.modules)"
    )
    found = []
    for seed, zone, threads in (("0", "UTC", "1"), ("7", "Asia/Tokyo", "2")):
        out = tmp_path / seed
        out.mkdir()
        given = {"PYTHONHASHSEED": seed, "TZ": zone, "OMP_NUM_THREADS": threads, "LC_ALL": "C"}
        command = [sys.executable, "-c", code, str(file.parent), str(out)]
        subprocess.run(command, check=True, env=os.environ | given)
        found.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert found[0] == found[1]


def test_a_source_says_that_it_is_converted(tmp_path: Path, parts: Parts) -> None:
    """`convert: gguf` gives the folder, and nothing else; without it, the file is kept as it is."""
    file = parts.write(tmp_path / "root")
    needs = Needs({}, None, Machine(device="cpu"), tmp_path / "root")
    fields = {"kind": "file", "path": file.name, "sha256": folders.sha256(file)}
    kept, made = {"tiny.gguf"}, {"config.json", "tokenizer.json"}
    for given, names in (({}, kept), ({"convert": "gguf"}, made)):
        out = tmp_path / str(len(given))
        out.mkdir()
        spec = FileSource.model_validate(fields | given)
        sources.build(spec, needs, out)
        assert names <= {path.name for path in out.iterdir()} and not list(out.glob("tmp*"))
        needed = closure(("stages.sources", *spec.modules()), OnDisk(ROOT)).foreign
        assert ("gguf" in needed, "torch" in needed) == (bool(given), False)  # in its cache key


# Fault -> what changes in the parts, and the words of the message.
Change = Callable[[Parts], Any]
FAULTS: dict[str, tuple[Change, tuple[str, ...]]] = {
    "another architecture": (
        lambda parts: setattr(parts, "architecture", "qwen2"),
        ("tiny.gguf, general.architecture: it is 'qwen2'", "safetensors"),
    ),
    "an adapter": (
        lambda parts: parts.settings.update({"general.type": "adapter"}),
        ("general.type: it is 'adapter'", "merge it"),
    ),
    "one part of three": (
        lambda parts: parts.settings.update({"split.count": 3}),
        ("one of 3 parts", "merge"),
    ),
    "scaled positions": (
        lambda parts: parts.settings.update({"llama.rope.scaling.type": "yarn"}),
        ("llama.rope.scaling.type: it is yarn",),
    ),
    "experts": (
        lambda parts: parts.settings.update({"llama.expert_count": 8}),
        ("llama.expert_count: it is 8",),
    ),
    "no width": (
        lambda parts: parts.settings.pop("llama.embedding_length"),
        ("llama.embedding_length: it is None",),
    ),
    "heads by layer": (
        lambda parts: parts.settings.update({"llama.attention.head_count": [4, 4]}),
        ("llama.attention.head_count: it is [4, 4]",),
    ),
    "heads that cannot be shared": (
        lambda parts: parts.settings.update({"llama.attention.head_count_kv": 3}),
        ("llama.attention.head_count_kv: it is 3, and does not divide the 4 heads",),
    ),
    "half of a head rotates": (
        lambda parts: parts.settings.update({"llama.rope.dimension_count": 8}),
        ("llama.rope.dimension_count: it is 8, and the heads are 16 wide",),
    ),
    "a tensor is missing": (
        lambda parts: parts.weights.pop("blk.1.ffn_up.weight"),
        ("it lacks 1 of 20 tensors: blk.1.ffn_up.weight",),
    ),
    "a tensor too many": (
        lambda parts: parts.weights.update({"rope_freqs.weight": np.ones(8, np.float32)}),
        ("tensors that a Llama does not: rope_freqs.weight",),
    ),
    "another shape": (
        lambda parts: parts.weights.update({"blk.1.attn_k.weight": np.ones((16, 64), np.float32)}),
        ("blk.1.attn_k.weight: its shape is (16, 64), and by the file's settings (32, 64)",),
    ),
    "fewer tokens than rows": (
        lambda parts: parts.settings.update({"llama.vocab_size": 500}),
        ("llama.vocab_size: it is 500, and the tokenizer has 400 tokens",),
    ),
    "another kind of tokenizer": (
        lambda parts: parts.settings.update({"tokenizer.ggml.model": "llama"}),
        ("tokenizer.ggml.model: it is 'llama'", "tokenizer.json"),
    ),
    "texts are cut in another way": (
        lambda parts: parts.settings.update({"tokenizer.ggml.pre": "llama-bpe"}),
        ("tokenizer.ggml.pre: it is 'llama-bpe'", "'gpt-2' and 'smollm'"),
    ),
    "no merges": (
        lambda parts: parts.settings.pop("tokenizer.ggml.merges"),
        ("tokenizer.ggml.merges: it is missing",),
    ),
    "a merge of tokens that are not there": (
        lambda parts: parts.settings["tokenizer.ggml.merges"].append("Ġxyz q"),
        ("tokenizer.ggml.merges: they do not fit the tokens",),
    ),
    "a merge of three": (
        lambda parts: parts.settings["tokenizer.ggml.merges"].append("a b c"),
        ("tokenizer.ggml.merges: 'a b c' is no pair",),
    ),
    "a token twice": (
        lambda parts: parts.settings["tokenizer.ggml.tokens"].__setitem__(9, "a"),
        ("tokenizer.ggml.tokens: 'a' is there twice",),
    ),
    "kinds of fewer tokens": (
        lambda parts: parts.settings["tokenizer.ggml.token_type"].pop(),
        ("tokenizer.ggml.token_type: it is not one kind for each of 400 tokens",),
    ),
    "a special token that is not there": (
        lambda parts: parts.settings.update({"tokenizer.ggml.eos_token_id": 400}),
        ("tokenizer.ggml.eos_token_id: there is no token 400",),
    ),
    "a beginning without a token": (
        lambda parts: (
            parts.settings.pop("tokenizer.ggml.bos_token_id"),
            parts.settings.update({"tokenizer.ggml.add_bos_token": True}),
        ),
        ("tokenizer.ggml.add_bos_token: the file names no bos token",),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_converted_is_named(tmp_path: Path, parts: Parts, fault: str) -> None:
    """File, place, and what to do; no output is written before everything is checked."""
    change, words = FAULTS[fault]
    change(parts)
    file = parts.write(tmp_path / "in")
    with pytest.raises(LmspecError) as caught:
        convert(file)
    assert all(word in str(caught.value) for word in ("tiny.gguf", *words)), caught.value
    assert list((tmp_path / "out").iterdir()) == []


def test_numbers_of_an_unknown_kind_are_named(tmp_path: Path, parts: Parts) -> None:
    """Of a kind without a number in the library, and of one that it knows and cannot read."""
    content = parts.write(tmp_path / "in").read_bytes()
    name = b"blk.0.ffn_gate.weight"
    place = content.index(name) + len(name) + 4 + 2 * 8
    assert content[place : place + 4] == int(Q4).to_bytes(4, "little")
    for number, words in ((99, "of kind 99, which"), (24, "its numbers are I8, which")):
        changed = content[:place] + number.to_bytes(4, "little") + content[place + 4 :]
        (tmp_path / "in/tiny.gguf").write_bytes(changed)
        with pytest.raises(LmspecError, match=f"blk.0.ffn_gate.weight: .*{words}"):
            convert(tmp_path / "in/tiny.gguf")


def test_a_file_that_is_cut_short_is_noticed_wherever_it_ends(tmp_path: Path, parts: Parts) -> None:
    """In its header, in its settings, between tensors or one byte before its end. Control: whole,
    it is converted."""
    file = parts.write(tmp_path / "in")
    content = file.read_bytes()
    last = max(i for i, byte in enumerate(content) if byte)  # what follows only fills a block
    ends = {0, 3, 4, 8, 23, last, *range(30, last, last // 60)}
    for end in sorted(ends):
        file.write_bytes(content[:end])
        with pytest.raises(LmspecError, match=r"tiny\.gguf.*(cut short|no GGUF|version)"):
            convert(file)
    file.write_bytes(content)
    convert(file)


def test_a_damaged_header_raises_nothing_else(tmp_path: Path, parts: Parts) -> None:
    """Whatever byte is wrong: either the file is converted, or one message names it."""
    file = parts.write(tmp_path / "in")
    content = file.read_bytes()
    header = content.index(b"blk.1.ffn_up.weight")
    draw = random.Random(5)
    settings = content.index(b"tokenizer.ggml.tokens")
    places = [*range(24), *draw.sample(range(24, settings), 120), *draw.sample(range(header), 60)]
    refused = 0
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << draw.randrange(8)
        file.write_bytes(changed)
        try:
            convert(file)
        except LmspecError as error:
            refused += 1
            assert "tiny.gguf" in str(error)
    assert refused > len(places) / 3


def test_a_source_has_one_file(tmp_path: Path, parts: Parts) -> None:
    """Of none or two, the message has the names to choose from."""
    file = parts.write(tmp_path / "in")
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(LmspecError, match=r"(?s)fetches 0.*tiny\.bin"):
        convert(file)
    parts.write(tmp_path / "in/a")
    parts.write(tmp_path / "in/b")
    with pytest.raises(LmspecError, match=r"(?s)fetches 2.*a/tiny\.gguf, b/tiny\.gguf"):
        convert(file)


@pytest.mark.slow
def test_smollm2_is_what_transformers_makes_of_it(tmp_path: Path) -> None:
    """The wheel of a model that people use: 272 tensors, bit for bit, and the tokens of texts in
    which no white space is before a digit."""
    needs = Needs({}, None, Machine(device="cpu"), tmp_path)
    for name, convert in (("ours", "gguf"), ("file", None)):
        (tmp_path / name).mkdir()
        sources.build(smollm2.WHEEL.model_copy(update={"convert": convert}), needs, tmp_path / name)
    (file,) = (tmp_path / "file").iterdir()
    theirs = by_transformers(file).state_dict()
    del theirs["lm_head.weight"]
    ours = load_file(tmp_path / "ours/model.safetensors")
    assert len(ours) == 272 and equal(ours, theirs)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    own = Tokenizer.from_file(str(tmp_path / "ours/tokenizer.json"))
    assert own.get_vocab() == tokenizer.get_vocab()
    for text in TEXTS:
        assert own.encode(text).ids == tokenizer(text)["input_ids"], text
    for text in NUMBERS:
        assert own.encode(text).ids != tokenizer(text)["input_ids"], text
