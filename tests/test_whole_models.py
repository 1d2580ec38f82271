"""A model is loaded whole or refused: no tensor of a file is left out, none is drawn at random."""

import importlib.util
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    RobertaConfig,
)

from lmspec.architectures import cnn, rnn, transformer
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, graph
from lmspec.formats.checkpoint import Checkpoint
from lmspec.specs.architecture import Cnn, Rnn, Transformer
from tests import miniature

Tensors = dict[str, Tensor]
SPEC = Transformer(
    kind="transformer",
    weights="sources.bert",
    max_length=24,
    long_texts="truncate",
    dropout=0.1,
    classifier_dropout=0.1,
    frozen_embeddings=False,
    frozen_layers=0,
)
TEXTS = [text for _, text, _ in miniature.sentences("")][:60]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source: a BERT of three layers, its tokenizer, and their configuration."""
    folder = tmp_path_factory.mktemp("source") / "bert"
    miniature.write_weights(folder)
    return folder


@pytest.fixture
def source(bert: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return shutil.copytree(bert, tmp_path / "source")


def edit(
    folder: Path,
    change: Callable[[Tensors], Tensors] = lambda tensors: tensors,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Change tensors, or the configuration."""
    file = folder / "model.safetensors"
    tensors = {name: value.clone() for name, value in change(load_file(file)).items()}
    save_file(tensors, file, {"format": "pt"})
    values = json.loads((folder / "config.json").read_text()) | dict(config or {})
    (folder / "config.json").write_text(json.dumps(values))


def under(prefix: str) -> Callable[[Tensors], Tensors]:
    """Rename all tensors."""
    return lambda tensors: {f"{prefix}{name}": value for name, value in tensors.items()}


def without(part: str) -> Callable[[Tensors], Tensors]:
    """Remove tensors."""
    return lambda tensors: {name: t for name, t in tensors.items() if part not in name}


def added(**more: Tensor) -> Callable[[Tensors], Tensors]:
    """Add tensors: `__` in a name is a dot."""
    return lambda tensors: tensors | {name.replace("__", "."): t for name, t in more.items()}


def share(folder: Path) -> float:
    """Of the matrices in the body of the model that transformers makes of a folder, how many are in
    its file."""
    config = AutoConfig.from_pretrained(folder, num_labels=2)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, config=config, dtype=torch.float32, ignore_mismatched_sizes=True
    )
    own = list(load_file(folder / "model.safetensors").values())
    body = [value for name, value in model.base_model.state_dict().items() if value.ndim > 1]
    return float(
        np.mean([any(torch.equal(t.double(), value.double()) for t in own) for value in body])
    )


def twice_as_precise(tensors: Tensors) -> Tensors:
    """What fp32 cannot hold."""
    return {name: value.double() / 3 for name, value in tensors.items()}


def another_layer(tensors: Tensors) -> Tensors:
    """A fourth layer, of which config.json knows nothing."""
    last = {name: value for name, value in tensors.items() if ".layer.2." in name}
    return tensors | {name.replace(".2.", ".3."): value for name, value in last.items()}


UNFIT = {
    "names of another model": (under("foo."), {}, "53 tensors (bert.embeddings.LayerNorm.bias, "),
    "a layer is missing": (without("layer.1."), {}, "16 tensors (bert.encoder.layer.1."),
    "the embedding is missing": (without("word_embeddings"), {}, "1 tensor (bert.embeddings.word"),
    "config.json has more layers": (under(""), {"num_hidden_layers": 6}, "48 tensors (bert."),
    "it has fewer layers": (under(""), {"num_hidden_layers": 1}, "32 tensors (encoder.layer.1."),
    "a layer too many": (another_layer, {}, "without a place"),
    "a tensor too many": (added(embeddings__tone=torch.ones(3)), {}, "embeddings.tone) without"),
    "the decoder of a translator": (added(decoder__layer__0__w=torch.ones(3)), {}, "decoder.layer"),
    "another width": (under(""), {"hidden_size": 64}, "of other shapes, the first [32] instead of"),
    "another vocabulary": (under(""), {"vocab_size": 500}, "32] instead of [500, 32]"),
    "numbers of 64 bits": (twice_as_precise, {}, "in other numbers than float32"),
    "whole numbers": (
        lambda tensors: {name: t.to(torch.int8) for name, t in tensors.items()},
        {},
        "embeddings.LayerNorm.bias (I8)",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_weights_that_do_not_fit_are_refused(source: Path, name: str) -> None:
    """One error, which names the file and tensors. The control: transformers takes each, and draws
    the body at random, leaves tensors out or rounds them."""
    change, config, words = UNFIT[name]
    edit(source, change, config)
    with pytest.raises(LmspecError) as error:
        transformer.create(SPEC, source, TEXTS, 2)
    assert error.value.place == str(source / "model.safetensors") and words in error.value.found
    assert len(error.value.found) < 400
    whole = share(source) == 1
    used = set(load_file(source / "model.safetensors")) <= set(load_file_of_model(source))
    assert not (whole and used) or name == "whole numbers"  # exact, but there is no scale


def load_file_of_model(folder: Path) -> set[str]:
    """Names of the tensors that the body of a model of that configuration has."""
    config = AutoConfig.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_config(config)
    return set(model.base_model.state_dict())


FIT = {
    "as transformers saves it": under(""),
    "with the name of the body": under("bert."),
    "with the head of a masked model": added(cls__predictions__bias=torch.ones(400)),
    "with old buffers": added(embeddings__position_ids=torch.arange(48)[None]),
    "without a pooler": without("pooler"),
    "with a head for three labels": lambda tensors: (
        under("bert.")(tensors) | {"classifier.weight": torch.ones(3, 32)}
    ),
    "in 16 bits": lambda tensors: {name: value.bfloat16() for name, value in tensors.items()},
    "with old names of norms": lambda tensors: {
        name.replace("LayerNorm.weight", "LayerNorm.gamma"): t for name, t in tensors.items()
    },
}


@pytest.mark.parametrize("name", FIT)
def test_what_belongs_to_a_head_may_be_missing_or_left_out(source: Path, name: str) -> None:
    """A head is new in any case; the body is all there."""
    edit(source, FIT[name])
    model, *_ = transformer.create(SPEC, source, TEXTS, 2)
    own = load_file(source / "model.safetensors")
    body = model.base_model.state_dict()
    assert model.num_labels == 2 and len(body) == 55
    for name, value in body.items():
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        there = [own[n].float() for n in (name, f"bert.{name}", old) if n in own]
        assert name.startswith("pooler.") or torch.equal(there[0], value)


def test_a_masked_language_model_is_a_source(bert: Path, source: Path) -> None:
    """With tied weights, as its own class saves it."""
    config = BertConfig.from_pretrained(bert)
    BertForMaskedLM(config).save_pretrained(source)
    model, *_ = transformer.create(SPEC, source, TEXTS, 2)
    own = load_file(source / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    assert torch.equal(model.get_input_embeddings().weight, own)


def test_a_configuration_of_another_model_is_refused(source: Path) -> None:
    """A RoBERTa has the tensors of a BERT, and reads its positions otherwise."""
    roberta = RobertaConfig(**json.loads((source / "config.json").read_text()))
    for given, words in (
        ({"model_type": "roberta"}, "model_type is roberta, and its weights are of a BertModel"),
        (roberta.to_dict() | {"architectures": ["RobertaModel"], "pad_token_id": 1}, "its padding"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config"),
        ({"auto_map": {"AutoModel": "own.Model"}}, "auto_map"),
        ({"model_type": "no-such"}, "cannot be read"),
        ({"layer_norm_eps": "x"}, "cannot be read: .*layer_norm_eps"),
        ({"hidden_act": "no-such"}, "cannot be loaded: KeyError: 'no-such'"),
    ):
        before = (source / "config.json").read_text()
        edit(source, config=given)
        assert share(source) == 1 if "padding" in words else True  # the control: all tensors fit
        with pytest.raises(LmspecError, match=words):
            transformer.create(SPEC, source, TEXTS, 2)
        (source / "config.json").write_text(before)
    values = json.loads((source / "config.json").read_text())
    del values["model_type"]
    (source / "config.json").write_text(json.dumps(values))
    with pytest.raises(LmspecError, match="model_type"):
        transformer.create(SPEC, source, TEXTS, 2)


def test_weights_are_safetensors_in_one_file_or_in_named_shards(bert: Path, tmp_path: Path) -> None:
    """A pickle is not opened; a shard that is missing, cut short or not named is refused."""
    model = AutoModelForSequenceClassification.from_pretrained(bert, dtype=torch.float32)
    sharded = tmp_path / "sharded"
    model.save_pretrained(sharded, max_shard_size="40KB")
    shutil.copyfile(bert / "tokenizer.json", sharded / "tokenizer.json")
    shards = sorted(sharded.glob("model-*.safetensors"))
    assert len(shards) > 2
    taken, *_ = transformer.create(SPEC, sharded, TEXTS, 2)
    assert all(torch.equal(taken.state_dict()[name], t) for name, t in model.state_dict().items())

    def broken(name: str, change: Callable[[Path], object], words: str) -> None:
        folder = shutil.copytree(sharded, tmp_path / name)
        change(folder)
        with pytest.raises(LmspecError, match=words):
            transformer.create(SPEC, folder, TEXTS, 2)

    broken("gone", lambda folder: (folder / shards[0].name).unlink(), "cannot be loaded")
    broken("cut", lambda folder: (folder / shards[0].name).write_bytes(b"1234"), "cannot be loaded")
    broken("both", lambda f: shutil.copy(bert / "model.safetensors", f), "has both")

    def forgotten(folder: Path) -> None:
        path = folder / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        index["weight_map"] = {
            name: shard for name, shard in index["weight_map"].items() if shard != shards[0].name
        }
        path.write_text(json.dumps(index))

    broken("forgotten", forgotten, "missing")

    def pickled(folder: Path) -> None:
        for path in folder.glob("model*"):
            path.unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")

    broken("pickled", pickled, "pytorch_model.bin is a pickle, which can run code")


def test_an_adapter_is_not_left_out(source: Path) -> None:
    """Without peft, transformers loads the weights beside it alone (the control)."""
    about = {"peft_type": "LORA", "base_model_name_or_path": str(source)}
    (source / "adapter_config.json").write_text(json.dumps(about))
    assert importlib.util.find_spec("peft") or share(source) == 1
    with pytest.raises(LmspecError, match="an adapter would not be applied"):
        transformer.create(SPEC, source, TEXTS, 2)


def wider(tokenizer: Tokenizer) -> None:
    """A token that the model does not embed."""
    tokenizer.add_tokens(["unheard-of"])


def starting(tokenizer: Tokenizer) -> None:
    """A first token under the number of another."""
    tokenizer.post_processor = TemplateProcessing(single="[PAD] $A", special_tokens=[("[PAD]", 7)])


TOKENIZERS: dict[str, tuple[Callable[[Tokenizer], None], dict[str, Any], str]] = {
    "a token too many": (wider, {}, "it has token 386, and the model embeds 386 tokens"),
    "a first token of another vocabulary": (starting, {}, r"it adds \[PAD\] as 7, and has it as 0"),
    "another padding": (lambda _: None, {"pad_token": "Ġfilm"}, "that of config.json 0"),
    "no unknown token": (lambda _: None, {"unk_token": "[UNK]"}, r"it lacks \[UNK\]"),
    "no first token": (lambda _: None, {"cls_token": {"content": "[CLS]"}}, r"it lacks \[CLS\]"),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_of_another_model_is_refused(source: Path, name: str) -> None:
    """Its tokens would be embedded as others, or as none. The control: it loads unchanged."""
    change, special, words = TOKENIZERS[name]
    transformer.create(SPEC, source, TEXTS, 2)
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    change(tokenizer)
    tokenizer.save(str(source / "tokenizer.json"))
    (source / "special_tokens_map.json").write_text(json.dumps(special))
    with pytest.raises(LmspecError, match=words) as error:
        transformer.create(SPEC, source, TEXTS, 2)
    assert error.value.place == str(source / "tokenizer.json")


def test_a_vocabulary_may_be_smaller_by_what_is_rounded_up(source: Path) -> None:
    """128 spare rows are as usual; two thirds of the vocabulary are another model's."""
    width = torch.ones(1, 32)
    for rows, fits in ((386 + 128, True), (2 * 386, False)):
        edit(
            source,
            lambda tensors, rows=rows: {
                name: width.expand(rows, 32) if "word_embeddings" in name else value
                for name, value in tensors.items()
            },
            {"vocab_size": rows},
        )
        if fits:
            transformer.create(SPEC, source, TEXTS, 2)
        else:
            with pytest.raises(LmspecError, match="it has 386 tokens, and the model embeds 772"):
                transformer.create(SPEC, source, TEXTS, 2)


@pytest.fixture(scope="module", params=["transformer", "cnn", "rnn"])
def trained(request: pytest.FixtureRequest, bert: Path, tmp_path_factory: Any) -> Path:
    """A checkpoint of each kind."""
    torch.manual_seed(1)
    read = {"max_length": 24, "long_texts": "truncate"}
    common = {"vocabulary": 300, **read, "dropout": 0.1, "embedding_dim": 8}
    module, spec = {
        "transformer": (transformer, SPEC),
        "cnn": (cnn, Cnn(kind="cnn", filters=4, widths=(1, 2), **common)),
        "rnn": (
            rnn,
            Rnn(kind="rnn", cell="gru", bidirectional=True, layers=2, hidden_dim=8, **common),
        ),
    }[request.param]
    model, tokenizer, pad_id = module.create(spec, bert, TEXTS, 2)
    folder = tmp_path_factory.mktemp("trained") / request.param
    folder.mkdir()
    made = Checkpoint(
        request.param, model, tokenizer, ("bad", "good"), pad_id, "truncate", {"fix_unicode": True}
    )
    checkpoint.write(made, folder)
    return folder


def test_a_checkpoint_has_each_tensor_and_no_other(trained: Path, tmp_path: Path) -> None:
    """Its head too: without any one of its tensors, with one more, or with one of another shape, it
    is refused. The control: transformers takes such a model of its own."""
    assert checkpoint.read(trained).labels == ("bad", "good")
    tensors = load_file(trained / "model.safetensors")
    names = [*list(tensors)[:2], *list(tensors)[-2:]]
    spoilt = [{n: t for n, t in tensors.items() if n != name} for name in names]
    spoilt += [tensors | {"more": torch.ones(1)}, tensors | {names[0]: torch.ones(2, 3)}]
    for i, given in enumerate(spoilt):
        folder = shutil.copytree(trained, tmp_path / str(i))
        save_file(given, folder / "model.safetensors", {"format": "pt"})
        if trained.name == "transformer":
            AutoModelForSequenceClassification.from_pretrained(folder, ignore_mismatched_sizes=True)
        with pytest.raises(LmspecError, match=r"model\.safetensors: it does not fit config\.json"):
            checkpoint.read(folder)


@pytest.mark.parametrize("trained", ["cnn", "rnn"], indirect=True)
def test_a_network_of_another_kind_is_refused(trained: Path, tmp_path: Path) -> None:
    """So are a config.json that is none, and weights that fp32 does not hold."""
    folder = shutil.copytree(trained, tmp_path / "other")
    config, weights = folder / "config.json", folder / "model.safetensors"
    values = json.loads(config.read_text())
    for wrong, words in (({"model_type": "bert"}, "model_type is bert"), ({}, "cannot be loaded")):
        config.write_text(json.dumps({"id2label": values["id2label"]} | wrong))
        with pytest.raises(LmspecError, match=words):
            checkpoint.read(folder)
    config.write_text(json.dumps(values))
    save_file({name: t.double() for name, t in load_file(weights).items()}, weights)
    with pytest.raises(LmspecError, match="in other numbers than float32"):
        checkpoint.read(folder)


def test_a_checkpoint_is_of_one_build(trained: Path, tmp_path: Path) -> None:
    """Labels and tokenizer are those of the weights."""
    for name, change, words in (
        ("labels", lambda a: a | {"labels": ["good", "bad"]}, "its labels are good, bad"),
        ("fewer", lambda a: a | {"labels": ["bad"]}, "its labels are bad"),
        ("padding", lambda a: a | {"pad_id": 10**6}, "it has padding 1000000"),
    ):
        folder = shutil.copytree(trained, tmp_path / name)
        about = json.loads((folder / "lmspec.json").read_text())
        (folder / "lmspec.json").write_text(json.dumps(change(about)))
        with pytest.raises(LmspecError, match=words):
            checkpoint.read(folder)
    shutil.copyfile(trained / "lmspec.json", folder / "lmspec.json")
    for change, words in (
        (lambda t: t.add_tokens([AddedToken(f"more{i}") for i in range(300)]), "it has token"),
        (lambda t: t.no_truncation(), "it cuts no text to the length"),
    ):
        tokenizer = Tokenizer.from_file(str(trained / "tokenizer.json"))
        change(tokenizer)
        tokenizer.save(str(folder / "tokenizer.json"))
        with pytest.raises(LmspecError, match=words):
            checkpoint.read(folder)


def drawn(rows: int, labels: int, mask: str = "attention_mask") -> onnx.ModelProto:
    """A graph: the mean over tokens of a row of logits each."""
    table = np.random.default_rng(1).normal(size=(rows, labels)).astype(np.float32)
    shape = ["batch", "length"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", mask)
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceMean", ["rows", "axes"], ["logits"], keepdims=0),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])]
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([1]), "axes"),
    ]
    made = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda rows: drawn(rows, 2), ""),
        (lambda rows: drawn(rows + 50, 2), ""),
        (lambda rows: drawn(rows, 3), "it gives 3 logits, and lmspec.json has 2 labels"),
        (lambda rows: drawn(rows - 1, 2), "it takes no token"),
        (lambda rows: drawn(rows, 2, "token_type_ids"), "its inputs are input_ids, token_type_ids"),
    ],
)
def test_a_graph_takes_each_token_and_gives_a_logit_a_label(
    bert: Path, tmp_path: Path, model: Callable[[int], onnx.ModelProto], words: str
) -> None:
    """Graph, tokenizer and labels are of one model. The control: onnxruntime opens each."""
    tokenizer = Tokenizer.from_file(str(bert / "tokenizer.json"))
    about = {"labels": ["bad", "good"], "pad_id": 0, "masks": ["full"]}
    about |= {"long_texts": "truncate", "clean": {}}
    graph.write(model(tokenizer.get_vocab_size()), tokenizer, about, tmp_path)
    assert graph.session(tmp_path / "model.onnx", 1).get_outputs()
    if not words:
        assert graph.read(tmp_path, 1).labels == ("bad", "good")
        return
    with pytest.raises(LmspecError, match=words):
        graph.read(tmp_path, 1)
