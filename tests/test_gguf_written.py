"""A model that writes becomes a GGUF file that our own reader, transformers and llama.cpp read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
)

from lmspec import stage
from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import converted, decoder, gguf_written, writer
from lmspec.formats import gguf as reader
from lmspec.pipeline.closure import OnDisk, closure
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.numerics import Machine
from lmspec.writing import llamacpp
from stages import exported, writing_gguf
from tests.test_decoder import APART, SHAPE
from tests.test_gguf import by_transformers, equal
from tests.test_training import NUMERICS
from tests.tinywriter import CHAT, END, MOST, PAIR, pairs, tokenizer, write_split, write_weights

ROOT = Path(__file__).parent.parent
PLAIN = {"kind": "none", "end": END}
FORM = {"kind": "gguf", "weights": "f32", "prompts": "splits.pairs"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model and splits."""
    root = tmp_path_factory.mktemp("project")
    model = AutoModelForCausalLM.from_pretrained(write_weights(root / "source"))
    write_model(root / "model", model)
    write_split(pairs()[:40], root / "splits", "dev")
    return root


def write_model(
    folder: Path, model: PreTrainedModel, words: Tokenizer | None = None, prompt: Any = PAIR
) -> Path:
    """What the stage of a model writes."""
    folder.mkdir(parents=True)
    own = words or tokenizer()
    pad_id = own.token_to_id(END)
    writer.write(writer.WriterModel(model, own, pad_id, prompt, MOST, "leave_out", {}), folder)
    return folder


def export(root: Path, out: Path, **changes: Any) -> stage.Report:
    """What the stage makes of root/model."""
    form = FORM | {name: changes.pop(name) for name in [*changes] if name in FORM}
    fields = {"of": "model.pairs", "max_logit_difference": 1e-6, "format": form} | changes
    nouns = ("model", "splits")
    needs = stage.Needs({f"{n}.pairs": root / n for n in nouns}, NUMERICS, Machine(device="cpu"))
    out.mkdir(parents=True, exist_ok=True)
    return exported.build(ExportedSpec.model_validate(fields), needs, out)


def of_type(config: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config).eval()


def written(root: Path, model: PreTrainedModel, **given: Any) -> Path:
    """The folder of a model's GGUF."""
    out = root / "out"
    out.mkdir(parents=True)
    write_model(root / "model", model, **given)
    writing_gguf.write(writer.read(root / "model"), "f32", out)
    return out


def test_a_model_in_32_bits_comes_back_bit_for_bit(project: Path, tmp_path: Path) -> None:
    """By our own reader and by that of transformers, and so do its logits and answers."""
    report = export(project, tmp_path / "out")
    assert set(report.metrics) == {
        "largest_logit_difference",
        "greedy_same",
        "same_prompts",
        "bytes",
    }
    assert report.metrics["largest_logit_difference"] == 0.0
    assert report.metrics["greedy_same"] == report.metrics["same_prompts"] == 1.0
    assert report.metrics["bytes"] == (tmp_path / "out/model.gguf").stat().st_size
    state = writer.read(project / "model").model.state_dict()
    theirs = by_transformers(tmp_path / "out/model.gguf")
    assert equal(theirs.state_dict(), state)
    assert theirs.config.eos_token_id == tokenizer().token_to_id(END)


def test_the_same_model_gives_the_same_bytes(project: Path, tmp_path: Path) -> None:
    """Without a path or a name of a machine in them."""
    for weights in ("f32", "q8_0"):
        files = []
        for name in ("one", "two"):
            out = tmp_path / weights / name
            export(project, out, weights=weights, max_logit_difference=1.0)
            files.append({path.name: path.read_bytes() for path in out.iterdir()})
        assert files[0] == files[1] and {*files[0]} == {"model.gguf", "lmspec.json"}
        assert str(project).encode() not in files[0]["model.gguf"]


@pytest.mark.parametrize("weights", ["f16", "q8_0"])
def test_fewer_bits_are_rounded_and_no_more(project: Path, tmp_path: Path, weights: str) -> None:
    """The tolerance decides; norms stay in 32 bits; a number that is not the nearest is noticed."""
    report = export(project, tmp_path / "out", weights=weights, max_logit_difference=1.0)
    assert 0 < report.metrics["largest_logit_difference"] < 1
    assert 0 <= report.metrics["greedy_same"] <= 1
    file = reader.read(tmp_path / "out/model.gguf")
    kinds = {len(tensor.shape): tensor.kind.name.lower() for tensor in file.tensors.values()}
    assert kinds == {1: "f32", 2: weights}
    with pytest.raises(LmspecError, match=f"with weights in {weights}, a logit differs .* by 0"):
        export(project, tmp_path / "again", weights=weights, max_logit_difference=1e-6)
    model = writer.read(project / "model").model
    converted.convert(tmp_path / "out", tmp_path)
    read = causal.load(tmp_path)
    writing_gguf.require_stored(model, read, weights, "here")
    with torch.no_grad():
        read.model.layers[1].mlp.up_proj.weight[3, 5] += 2e-3
    with pytest.raises(LmspecError, match=r"layers\.1\.mlp\.up_proj\.weight is read back with"):
        writing_gguf.require_stored(model, read, weights, "here")


def test_rows_of_keys_in_another_order_are_noticed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mistake that makes a file load and write nonsense."""
    monkeypatch.setattr(llamacpp, "laid_out", lambda tensor, values: values)
    with pytest.raises(LmspecError, match=r"q_proj\.weight is read back with other numbers"):
        export(project, tmp_path)


TOKENS = {**SHAPE, "vocab_size": 320}
FAMILIES: dict[str, Callable[[], Any]] = {
    "a head of its own": lambda: LlamaConfig(**TOKENS | APART),
    "heads of another width": lambda: LlamaConfig(**TOKENS, head_dim=32),
    "a mistral": lambda: MistralConfig(**TOKENS, sliding_window=None),
    "more rows than tokens": lambda: LlamaConfig(**TOKENS | {"vocab_size": 333}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_kinds_of_llamas_come_back(family: str, tmp_path: Path) -> None:
    """With a head of their own, or one that is tied; rows without a token are unused ones."""
    model = of_type(FAMILIES[family]())
    words = tokenizer()
    out = written(tmp_path, model, words=words)
    converted.convert(out, tmp_path)
    back = causal.load(tmp_path)
    assert equal(back.state_dict(), model.state_dict())
    ids = torch.arange(60)[None]
    assert torch.equal(back(ids).logits, model(ids).logits)
    settings = reader.read(out / "model.gguf").settings
    kinds = settings["tokenizer.ggml.token_type"]
    spare = model.config.vocab_size - words.get_vocab_size()
    assert len(kinds) == model.config.vocab_size and kinds.count(llamacpp.UNUSED) == spare
    by_transformers(out / "model.gguf")


def test_settings_are_those_of_the_model(project: Path, tmp_path: Path) -> None:
    """Template, end and padding; no token is added to a text that has its own."""
    export(project, tmp_path)
    settings = reader.read(tmp_path / "model.gguf").settings
    words = tokenizer()
    start, end = words.token_to_id("<|im_start|>"), words.token_to_id(END)
    ids = {role: settings[f"tokenizer.ggml.{role}_token_id"] for role in ("bos", "eos", "padding")}
    assert ids == {"bos": start, "eos": end, "padding": end}
    assert settings["tokenizer.ggml.add_bos_token"] is False
    assert settings["tokenizer.ggml.pre"] == "gpt-2"
    assert settings["general.file_type"] == 0
    kinds = settings["tokenizer.ggml.token_type"]
    assert [i for i, kind in enumerate(kinds) if kind != 1] == [start, end]
    about = json.loads((project / "model/tokenizer_config.json").read_text())
    assert settings["tokenizer.chat_template"] == about["chat_template"]


def with_bos(words: Tokenizer) -> Tokenizer:
    words.post_processor = processors.TemplateProcessing(
        single="<|im_start|>:0 $A:0",
        pair="<|im_start|>:0 $A:0 <|im_start|>:1 $B:1",
        special_tokens=[("<|im_start|>", words.token_to_id("<|im_start|>"))],
    )
    return words


def digits_alone(words: Tokenizer) -> Tokenizer:
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(True), level])
    return words


@pytest.mark.parametrize("prompt", [PAIR, CHAT, PLAIN], ids=["pair", "chat", "plain"])
@pytest.mark.parametrize("change", [with_bos, digits_alone])
def test_prompts_are_the_tokens_of_training(
    change: Callable[[Tokenizer], Tokenizer], prompt: Any, tmp_path: Path
) -> None:
    """Of every kind, with a token before each text too: none is doubled, none is missing."""
    model = AutoModelForCausalLM.from_pretrained(write_weights(tmp_path / "source"))
    write_model(tmp_path / "model", model, change(tokenizer()), prompt)
    write_split(pairs()[:20], tmp_path / "splits", "dev")
    report = export(tmp_path, tmp_path / "out")
    assert report.metrics["same_prompts"] == 1.0
    settings = reader.read(tmp_path / "out/model.gguf").settings
    assert settings["tokenizer.ggml.add_bos_token"] == (change is with_bos)
    assert settings["tokenizer.ggml.pre"] == ("gpt-2" if change is with_bos else "smollm")
    assert ("tokenizer.chat_template" in settings) == (prompt != PLAIN)


def test_prompts_that_are_other_tokens_as_one_text_are_counted(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A template that ends with a space before the prompt: the space is a token of its own in
    training, and joins the word elsewhere."""
    prompt = {**PAIR, "template": "<|im_start|>please {prompt}<|im_end|>\n"}
    model = writer.read(project / "model").model
    write_model(tmp_path / "model", model, prompt=prompt)
    rows = [[("user", f"anna {i} times"), ("assistant", "anna")] for i in range(16)]
    write_split(rows, tmp_path / "splits", "dev")
    report = export(tmp_path, tmp_path / "out")
    assert report.metrics["same_prompts"] == 0.0
    assert "read as one text, a prompt is other tokens: [Ġanna]" in capsys.readouterr().err


def lower(words: Tokenizer) -> None:
    words.normalizer = normalizers.Lowercase()


def spaced(words: Tokenizer) -> None:
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)


def stripped(words: Tokenizer) -> None:
    words.add_special_tokens([AddedToken("<|x|>", lstrip=True)])


TOKENIZERS: dict[str, tuple[Callable[[Tokenizer], None], str]] = {
    "a normalizer": (lower, r"it changes texts first \(Lowercase\)"),
    "another cut": (spaced, "it cuts texts in another way .* gpt-2 and smollm"),
    "a greedy token": (stripped, r"lstrip of its token <\|x\|> is true"),
}


@pytest.mark.parametrize("case", TOKENIZERS)
def test_tokenizers_that_llama_cpp_lacks_are_refused(case: str, tmp_path: Path) -> None:
    """In words, with the way that is left."""
    change, words = TOKENIZERS[case]
    own = tokenizer()
    change(own)
    with pytest.raises(LmspecError, match=words) as caught:
        written(tmp_path, of_type(LlamaConfig(**SHAPE | {"vocab_size": 333})), words=own)
    assert "kind: cache" in caught.value.remedy


CONFIGS: dict[str, tuple[Callable[[], Any], str]] = {
    "another type": (lambda: Qwen2Config(**SHAPE), "no GGUF is made of a qwen2, only of a llama"),
    "biases": (lambda: LlamaConfig(**SHAPE, attention_bias=True), r"biases \(attention_bias\)"),
    "positions": (
        lambda: LlamaConfig(
            **SHAPE, rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
        ),
        "its positions are of kind linear",
    ),
    "a window": (lambda: MistralConfig(**SHAPE, sliding_window=64), "looks back 64 tokens"),
    "an activation": (lambda: LlamaConfig(**SHAPE, hidden_act="gelu"), "activation is gelu"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_models_that_llama_cpp_would_compute_otherwise_are_refused(case: str) -> None:
    """Before anything is written."""
    config, words = CONFIGS[case]
    with pytest.raises(LmspecError, match=words):
        llamacpp.settings(config())


def test_numbers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Rows that are no whole blocks, and numbers that 16 bits cannot hold."""
    rows, large = np.ones((4, 40), np.float32), np.full((4, 32), 1e5, np.float32)
    for values, weights, words in (
        (rows, "q8_0", "rows of a have 40 numbers, no whole blocks of 32"),
        (large, "f16", r"a has 1e\+05, which 16 bits cannot hold"),
    ):
        settings = {"general.architecture": "llama"}
        with pytest.raises(LmspecError, match=words):
            gguf_written.write(
                tmp_path / "a", settings, {"a": values.shape}, [("a", values)], weights
            )


@pytest.mark.parametrize("weights", ["f32", "f16", "q8_0"])
def test_rounding_stays_within_its_bound(weights: str) -> None:
    """Of large, small and mixed numbers; half of the bound is not enough."""
    random = np.random.default_rng(0)
    scale = np.exp(random.normal(-6, 4, (512, 1)))
    values = (random.normal(size=(512, 64)) * scale).astype(np.float32).clip(-6e4, 6e4)
    kind = gguf_written.kind_of(values.shape, weights)
    back = gguf.dequantize(gguf.quantize(values, kind), kind)
    error, bound = np.abs(back - values), gguf_written.furthest(values, weights)
    assert (error <= bound).all()
    assert weights == "f32" or (error > bound / 2).any()


def test_a_file_for_llama_cpp_is_nothing_that_lmspec_runs(project: Path, tmp_path: Path) -> None:
    """A stage that is given one refuses it; graphs have no code of it in their key."""
    export(project, tmp_path)
    with pytest.raises(LmspecError, match="it is a GGUF, which nothing of lmspec runs"):
        decoder.read(tmp_path, 1)
    graphs = closure(("stages.exported", "stages.writing_exported"), OnDisk(ROOT)).files
    assert not [file for file in graphs if "gguf" in file or "llamacpp" in file]
    files = closure(("stages.exported", "stages.writing_gguf"), OnDisk(ROOT)).files
    assert "lmspec/formats/gguf_written.py" in files and "lmspec/formats/converted.py" in files
    assert not [file for file in files if "onnx" in file.split("/")[-1]]
