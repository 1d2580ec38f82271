"""A model that writes is made from a source, learns the rows of a split, and is read as it was."""

import json
import math
from pathlib import Path
from typing import Any

import peft
import polars as pl
import pytest
import torch
import transformers
from safetensors import safe_open
from transformers import PreTrainedTokenizerFast

from lmspec import stage
from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import conversations, documents, kinds, writer
from lmspec.methods import layers
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Machine
from lmspec.training import writing
from lmspec.writing import prompting
from lmspec.writing.prompting import Writer
from stages import model as model_stage
from tests.test_prompting import TALK
from tests.test_training import NUMERICS
from tests.tinywriter import (
    CHAT,
    END,
    MOST,
    PAIR,
    START,
    STOPPING,
    Turns,
    pairs,
    spec_of,
    tokenizer,
    training,
    write_splits,
    write_weights,
)

LORA = {
    "method": "lora",
    "rank": 4,
    "alpha": 8,
    "dropout": 0.1,
    "targets": ["all_linear"],
    "bias": "none",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("source") / "tiny")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_splits(tmp_path_factory.mktemp("splits") / "pairs")


@pytest.mark.parametrize("tied", [True, False])
def test_added_tokens_resize_once(tmp_path: Path, tied: bool) -> None:
    """They begin as the mean of all rows, in the head, too; a second time they are refused."""
    source = write_weights(tmp_path / "tiny", tied)
    template = PAIR | {"template": f"<|ask|>{PAIR['template']}"}
    spec = spec_of(added_tokens=["<|ask|>", "<|key|>"], prompt=template)
    model, words, pad_id, _ = causal.create(spec, source)
    size = tokenizer().get_vocab_size()
    assert words.get_vocab_size() == model.config.vocab_size == size + 2
    for table in (model.get_input_embeddings(), model.get_output_embeddings()):
        assert table.weight.shape[0] == size + 2
        expected = table.weight[:size].mean(0).expand(2, -1)
        torch.testing.assert_close(table.weight[size:], expected)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    special = words.get_added_tokens_decoder()
    assert [special[size + i].special for i in (0, 1)] == [True, False]
    written = writer.WriterModel(model, words, pad_id, template, MOST, "leave_out", {})
    (tmp_path / "out").mkdir()
    writer.write(written, tmp_path / "out")
    read = writer.read(tmp_path / "out")
    assert read.model.config.vocab_size == size + 2
    with safe_open(tmp_path / "out/model.safetensors", "pt") as stored:
        assert ("lm_head.weight" in stored.keys()) == (not tied)  # noqa: SIM118
    with pytest.raises(LmspecError, match=r"has <\|ask\|>, <\|key\|> already"):
        causal.create(spec, tmp_path / "out")


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    """One that reads in both directions sees what it is to guess."""
    words = tokenizer()
    config = transformers.BertConfig(
        vocab_size=words.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.1,
    )
    torch.manual_seed(0)
    transformers.BertLMHeadModel(config).save_pretrained(tmp_path)
    words.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(LmspecError, match="a bert that reads in both directions"):
        causal.create(spec_of(), tmp_path)


def test_a_row_without_a_learned_token_is_named(
    splits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask that is wrong is an error, not a training on nothing."""
    plain = Writer.example

    def unlearned(self: Writer, turns: Turns) -> Any:
        ids, learned = plain(self, turns)
        return ids, learned & ("clara 3" not in turns[0][1])

    monkeypatch.setattr(Writer, "example", unlearned)
    words = Writer(tokenizer(), PAIR, MOST, "leave_out")
    with pytest.raises(LmspecError, match="row train-22: nothing of it is learned"):
        conversations.read(splits, "train", words)


def test_what_is_read_of_a_split_is_counted(splits: Path, tmp_path: Path) -> None:
    """Rows that are drawn, left out, cut; the bytes of the answers; what is learned first."""
    words = Writer(tokenizer(), PAIR, 29, "leave_out")
    few = conversations.read(splits, "train", words, 50, 3)
    again = conversations.read(splits, "train", words, 50, 3)
    assert few.documents.equals(again.documents) and len(few.documents) == 50
    other = conversations.read(splits, "train", words, 50, 4)
    assert not few.documents.equals(other.documents)
    counts = few.metrics
    assert 0 < counts["left_out"] < 50 and counts["rows"] == 50 - counts["left_out"]
    assert counts["tokens"] == sum(map(len, few.ids)) and counts["cut"] == 0
    assert (
        counts["learned_tokens"] == few.weight.sum() == sum(int(row.sum()) for row in few.learned)
    )
    kept = [turns[-1][1] for turns in pairs() if f"train-{turns[0][1].split()[-1]}" in _ids(few)]
    assert few.text_bytes == sum(map(len, kept))
    lines = list(few.described("train", words))
    assert "longer than 29 tokens and are left out" in lines[1] and END in lines[-1]
    cut = conversations.read(splits, "train", Writer(tokenizer(), PAIR, 30, "cut_prompt"))
    assert cut.metrics["cut"] > 0
    with pytest.raises(LmspecError, match="all of its 160 train rows are longer than 8 tokens"):
        conversations.read(splits, "train", Writer(tokenizer(), PAIR, 8, "leave_out"))
    plain = documents.read(splits / "train.parquet").drop("turns")
    (tmp_path / "texts").mkdir()
    documents.write(plain, tmp_path / "texts/train.parquet")
    with pytest.raises(LmspecError, match="without prompts and answers"):
        conversations.read(tmp_path / "texts", "train", words)


def _ids(part: conversations.Conversations) -> set[str]:
    return set(part.documents.filter(pl.Series(part.tokens == 0))["id"])


@pytest.mark.parametrize("prompt", [PAIR, CHAT], ids=["pair", "chat"])
def test_transformers_renders_the_same_conversation(
    source: Path, tmp_path: Path, prompt: dict[str, Any]
) -> None:
    """From the folder alone: the ids of our own encoding, and what is learned of them."""
    model, words, pad_id, _ = causal.create(spec_of(), source)
    ours = writer.WriterModel(model, words, pad_id, prompt, 99, "leave_out", {})
    writer.write(ours, tmp_path)
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert theirs.eos_token == theirs.pad_token == END
    for turns in (TALK,) if prompt is CHAT else pairs(5):
        messages = [{"role": role, "content": content} for role, content in turns]
        ids, learned = ours.writer.example(turns)
        found = theirs.apply_chat_template(
            messages, return_dict=True, return_assistant_tokens_mask=True
        )
        assert found["input_ids"] == ids.tolist()
        assert found["assistant_masks"] == learned.astype(int).tolist()
        before = theirs.apply_chat_template(
            messages[:-1], add_generation_prompt=True, return_dict=True
        )
        assert before["input_ids"] == ours.writer.prompt_ids(turns).tolist()
    assert prompting.read(tmp_path).prompt_ids(TALK[1:2]).tolist() == (
        ours.writer.prompt_ids(TALK[1:2]).tolist()
    )


def built(
    spec: dict[str, Any], source: Path, splits: Path, out: Path, **more: Any
) -> tuple[Any, Any]:
    """Metrics and tables of a build."""
    out.mkdir()
    known = ModelSpec.model_validate({"on": "splits.pairs"} | spec)
    folders = {"sources.tiny": source, "splits.pairs": splits}
    needs = stage.Needs(folders, NUMERICS, Machine(device="cpu"), **more)
    report = model_stage.build(known, needs, out)
    return report.metrics, report.tables


def test_a_model_learns_to_write(source: Path, splits: Path, tmp_path: Path) -> None:
    """Its loss falls, its folder is read as it was, and a second build gives the same bytes; as it
    is, it has the loss of the source."""
    descent = training(
        early_stopping=STOPPING | {"evaluation_steps": 40},
        epochs=12,
        packing={"max_tokens": 128},
        checkpointing="layers",
        micro_batch_size=8,
    ).model_dump()
    architecture = spec_of().model_dump()
    spec = {"architecture": architecture, "training": descent}
    metrics, tables = built(spec, source, splits, tmp_path / "one")
    untrained = spec | {"training": {"kind": "none"}}
    before, curve = built(untrained, source, splits, tmp_path / "before")
    assert metrics["dev"]["log_loss"] < before["dev"]["log_loss"] - 2
    assert metrics["dev"]["accuracy"] > before["dev"]["accuracy"] + 0.3
    assert (before["steps"], before["best_step"], len(curve["curve"])) == (0, 0, 1)
    assert metrics["train"]["rows"] == 160 and metrics["train"]["left_out"] == 0
    assert 0 < metrics["train"]["learned_tokens"] < metrics["train"]["tokens"] / 2
    assert [row["learned"] for row in tables["example"]] == [False, True]
    assert tables["example"][1]["part"] == pairs(1)[0][1][1] + END
    assert kinds.kind_of(tmp_path / "one") == "causal"
    model = writer.read(tmp_path / "one")
    dev = conversations.read(splits, "dev", model.writer)
    again = writing.evaluation(model.model, dev.ids, dev.learned, dev.text_bytes, 1)()
    assert again == metrics["dev"]
    nats = again["log_loss"] * metrics_of(dev)
    assert again["bits_per_byte"] == pytest.approx(nats / math.log(2) / dev.text_bytes)
    short = spec | {"training": descent | {"epochs": 1}}
    for name in ("two", "three"):
        built(short, source, splits, tmp_path / name)
    for file in sorted((tmp_path / "two").iterdir()):
        assert file.read_bytes() == (tmp_path / "three" / file.name).read_bytes(), file.name
    generation = json.loads((tmp_path / "one/generation_config.json").read_text())
    assert generation["eos_token_id"] == generation["pad_token_id"] == 1
    # what people run: the answer, and then its end
    ids = model.writer.prompt_ids(pairs()[165])
    (answer,) = causal.greedy(model.model, [ids], model.writer.end_id, 12)
    assert answer[-1] == model.writer.end_id
    assert model.writer.text(answer) == pairs()[165][1][1]


def metrics_of(part: conversations.Conversations) -> int:
    return part.metrics["learned_tokens"]


def test_an_adapter_learns_to_write(source: Path, splits: Path, tmp_path: Path) -> None:
    """Beside weights that stay as they are; merged, the model answers as with it. Twice the same
    bytes; one that is removed instead of merged is an error."""
    architecture = spec_of(frozen_embeddings=True, adapter=LORA).model_dump()
    spec = {"architecture": architecture, "training": training(batch_size=16).model_dump()}
    metrics, _ = built(spec, source, splits, tmp_path / "one")
    built(spec, source, splits, tmp_path / "two")
    for name in ("model.safetensors", "adapter/adapter_model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert 0 < metrics["adapter"]["max_logit_difference"] < 1e-4
    assert metrics["adapter"]["same_answers"] == 1.0
    merged = writer.read(tmp_path / "one").model.state_dict()
    first = causal.create(spec_of(), source)[0].state_dict()
    moved = {name for name in merged if not torch.equal(merged[name], first[name])}
    stack, _ = layers.stack(causal.create(spec_of(), source)[0])
    assert len(moved) == 14 and all(n.startswith(f"{stack}.") and "proj" in n for n in moved)


def test_a_merge_that_is_wrong_fails(
    source: Path, splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights to which the adapter was not added are not the model that was trained."""
    architecture = spec_of(frozen_embeddings=True, adapter=LORA).model_dump()
    spec = {"architecture": architecture, "training": training(batch_size=16).model_dump()}
    monkeypatch.setattr(peft.LoraModel, "merge_and_unload", peft.LoraModel.unload)
    with pytest.raises(LmspecError, match="apart from its own on dev texts"):
        built(spec, source, splits, tmp_path / "out")


def test_plain_texts_are_learned_whole(source: Path, tmp_path: Path) -> None:
    """Without a prompt; each ends with the token that its tokenizer has for that."""
    texts = [" ".join(content for _, content in row) for row in pairs()]
    for split, part in (("train", texts[:160]), ("dev", texts[160:])):
        frame = {column: [None] * len(part) for column in documents.DOCUMENT}
        frame |= {"id": [str(i) for i in range(len(part))], "text": part}
        (tmp_path / "splits").mkdir(exist_ok=True)
        documents.write(
            pl.DataFrame(frame, schema=documents.DOCUMENT), tmp_path / f"splits/{split}.parquet"
        )
    documents.write_clean({"fix_unicode": False, "unescape_html": False}, tmp_path / "splits")
    architecture = spec_of(prompt=None, long_texts="windows", max_length=16).model_dump()
    spec = {"architecture": architecture, "training": training(batch_size=16).model_dump()}
    metrics, tables = built(spec, source, tmp_path / "splits", tmp_path / "out")
    assert metrics["train"]["learned_tokens"] == metrics["train"]["tokens"] - _windows(texts[:160])
    assert [row["learned"] for row in tables["example"]] == [True]
    about = json.loads((tmp_path / "out/lmspec.json").read_text())
    assert about["prompt"] == {"kind": "none", "end": END}
    assert START not in tables["example"][0]["part"] and metrics["dev"]["bits_per_byte"] > 0


def _windows(texts: list[str]) -> int:
    plain = Writer(tokenizer(), {"kind": "none", "end": END}, 16, "windows")
    return sum(len(list(plain.windows(text))) for text in texts)
