"""Explanations of models that write: which words of a prompt an answer rests on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from lmspec import stage
from lmspec.compare import texts
from lmspec.errors import LmspecError
from lmspec.formats import attributions, decoder, writer
from lmspec.methods.wordspans import spans
from lmspec.specs.explained import ExplainedSpec, IntegratedGradients
from lmspec.specs.numerics import Machine
from lmspec.specs.quantized import WeightOnly
from lmspec.writing import answergradients, blockwise, exporting
from lmspec.writing.growing import UNFINISHED
from lmspec.writing.prompted import ANSWER, Prompted
from lmspec.writing.torchdecoder import TorchDecoder
from lmspec.writing.wordwriter import Prompt, WordWriter
from stages import explained
from tests import explaining, learnedwriter
from tests.test_attacked import decided
from tests.test_prompting import TALK
from tests.test_training import NUMERICS
from tests.tinywriter import CHAT, END, NAMES, PAIR, tokenizer
from tests.writingbundles import INT8

SPEC: Mapping[str, Any] = {
    **explaining.SPEC,
    "answers": {"text": "generated", "tokens": 12},
    "rows": {"split": "test", "texts": 12},
    "control": {"seed": 1, "texts": 4},
}
OCCLUSION = {"kind": "occlusion"}
GRADIENTS = {"kind": "integrated_gradients", "steps": 16, "max_completeness_delta": 0.05}
WAYS = [(OCCLUSION, "remove"), (GRADIENTS, "mask")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model that writes what a name says, its graph in int8, and prompts with names."""
    folder = tmp_path_factory.mktemp("explained")
    model = learnedwriter.learned(learnedwriter.asked(), 30)
    made = {
        "model.a": learnedwriter.written(model, folder / "model"),
        "splits.a": learnedwriter.parted(folder / "splits", test=learnedwriter.asked(20)),
        "quantized.a": folder / "int8",
    }
    about = {"prompt": PAIR, "end_id": model.writer.end_id, "pad_id": model.pad_id}
    about |= {"max_length": 96, "long_texts": "leave_out", "clean": {}, "max_past": 96}
    made["quantized.a"].mkdir()
    graph = blockwise.rewritten(
        exporting.export(model.model, 96, 20), WeightOnly.model_validate(INT8)
    )
    decoder.write(graph, model.tokenizer, about, made["quantized.a"])
    return made


def build(
    out: Path, folders: Mapping[str, Path], **changes: Any
) -> tuple[stage.Report, ExplainedSpec]:
    """What the stage reports of a spec with some fields changed."""
    spec = ExplainedSpec.model_validate({**SPEC, **changes})
    out.mkdir(parents=True)
    return explained.build(spec, stage.Needs(folders, NUMERICS, Machine(device="cpu")), out), spec


@pytest.fixture(scope="module")
def usual(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(what the stage reports, its spec, its folder)."""
    out = tmp_path_factory.mktemp("usual") / "out"
    return *build(out, folders), out


def heaviest(out: Path) -> list[str]:
    """Of each text, the word of most weight."""
    return [
        row["text"][row["starts"][place] : row["ends"][place]]
        for row in attributions.read(out).rows(named=True)
        for place in [int(np.argmax(row["attributions"]))]
    ]


@pytest.mark.parametrize(("method", "masking"), WAYS, ids=["occlusion", "gradients"])
@pytest.mark.parametrize("text", ["generated", "reference"])
def test_the_word_that_decides_has_the_weight(
    folders: dict[str, Path], tmp_path: Path, method: Any, masking: str, text: str
) -> None:
    """Answers follow from a name: in most prompts it is the heaviest of six words, and what is lost
    without the heaviest words is more than without random ones."""
    out, answers = tmp_path / "out", {"text": text, "tokens": 12}
    report, _ = build(out, folders, method=method, masking=masking, answers=answers)
    assert sum(word in NAMES for word in heaviest(out)) >= 8
    assert report.metrics["over_random"]["comprehensiveness"]["low"] > 0.1
    assert report.metrics["randomized_weights"]["mean"] < 0.5
    if method is GRADIENTS:
        assert report.metrics["completeness_delta"]["max"] <= 0.05


def gated(folder: Path, report: stage.Report) -> str:
    """What the gate of docs/explanations.md says, with a lower bound."""
    metric = "over_random.comprehensiveness.low"
    return decided(folder, "explained.a", report.metrics, metric, 0.1, kind="floor")


def test_a_random_explanation_fails_its_gate(
    folders: dict[str, Path], usual: Any, tmp_path: Path
) -> None:
    """A fault: the same gate passes occlusion."""
    report, _ = build(tmp_path / "out", folders, method={"kind": "random"})
    assert gated(tmp_path / "usual", usual[0]) == "pass"
    assert gated(tmp_path / "random", report) == "fail"


def test_a_graph_and_its_model_look_at_the_same_words(
    folders: dict[str, Path], usual: Any, tmp_path: Path
) -> None:
    """In int8 the weights are nearly those of the model, and `beside` says so."""
    both = {**folders, "explained.b": usual[2]}
    report, _ = build(tmp_path / "graph", both, of="quantized.a", beside=["explained.b"])
    assert gated(tmp_path / "gate", report) == "pass"
    agreement = report.metrics["agreement"]["b"]
    assert agreement["texts"] == 12 and agreement["mean"] > 0.9
    assert abs(report.metrics["randomized_weights"]["mean"]) < 0.6


def test_bytes_repeat_and_git_has_no_text(folders: dict[str, Path], tmp_path: Path) -> None:
    """Of files and tables; the words of prompts are in the table of words alone."""
    few = {"rows": {"split": "test", "texts": 4}, "control": {"seed": 1, "texts": 1}}
    ways = {"method": GRADIENTS, "masking": "mask", **few}
    made = [build(tmp_path / str(i), folders, **ways) for i in (1, 2)]
    assert made[0] == made[1]
    files = [(tmp_path / str(i) / attributions.FILE).read_bytes() for i in (1, 2)]
    assert files[0] == files[1]
    rows = made[0][0].tables["texts"]
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    contents = " ".join(str(value) for row in rows for value in row.values())
    assert not any(name in contents for name in NAMES)


def test_each_token_loses_what_the_answer_loses(usual: Any) -> None:
    """The mean of a token's losses over the answer is the weight of the word, by occlusion."""
    for row in attributions.read(usual[2]).rows(named=True):
        lost = np.array(row["lost"])
        assert lost.shape == (len(row["tokens"]), len(row["starts"]))
        assert lost.mean(0) == pytest.approx(row["attributions"], rel=2e-3, abs=1e-4)
        assert "".join(row["tokens"]).endswith(END)
        assert row["label"] == row["predicted"] == ANSWER  # as the table in git has it


@pytest.mark.parametrize("text", ["generated", "reference"])
def test_an_answer_may_be_one_token(folders: dict[str, Path], tmp_path: Path, text: str) -> None:
    """Then what is lost is what that token loses."""
    few = {"rows": {"split": "test", "texts": 2}, "control": {"seed": 1, "texts": 1}}
    build(tmp_path / "out", folders, answers={"text": text, "tokens": 1}, **few)
    for row in attributions.read(tmp_path / "out").rows(named=True):
        (lost,) = row["lost"]
        assert len(row["tokens"]) == 1 and lost == pytest.approx(row["attributions"], rel=2e-3)


def test_what_is_declared_is_written(usual: Any) -> None:
    """Every metric but those of labels, and of other explanations."""
    report, spec, _ = usual
    for metric in spec.metrics:
        if metric.of == ("labels",):
            assert metric.steps[0] not in report.metrics
        elif "{other}" not in metric.steps:
            value: Any = report.metrics
            for step in metric.steps:
                value = value[step]
            assert isinstance(value, int | float), metric.path


def shown(prompt: Mapping[str, Any], max_length: int = 96, long_texts: str = "leave_out") -> Any:
    return WordWriter(tokenizer(), prompt, max_length, long_texts)


def test_only_the_words_of_the_last_prompt_are_explained() -> None:
    """Template, system and earlier turns are of no word; ids are those of scores."""
    turns = [("system", "be kind"), ("user", "say anna"), ("assistant", "anna")]
    turns += [("user", f"and now {END} 3 times?"), ("assistant", "anna anna anna")]
    writes = shown(CHAT)
    words = writes.words(turns)
    expected = ["and", "now", "<|", "im_end", "|>", "3", "times", "?"]
    assert [words[i] for i in range(len(words))] == expected
    (ids,), (place,) = words.ids, words.places
    assert ids.tolist() == writes.prompt_ids(turns).tolist()
    read = {number: writes.text(ids[place == number]).strip() for number in range(len(words))}
    assert read == {i: words[i] for i in range(len(words))}
    inside = np.flatnonzero(place >= 0)
    assert place[: inside[0]].max() == place[inside[-1] + 1 :].max() == -1
    assert writes.pieces(np.array([writes.end_id])) == [END]


@pytest.mark.parametrize(
    "text", ["你好，请写一首诗", "Écris « salut » à 3 h !", "напиши имя Анна", "👍🏽 ok"]
)
def test_words_of_any_script_have_their_tokens(text: str) -> None:
    """Also those that a tokenizer of bytes cuts into bytes."""
    words = shown(PAIR).words([("user", text), ("assistant", "a")])
    (ids,), (place,) = words.ids, words.places
    assert "".join(words[i] for i in range(len(words))) == "".join(text.split())
    joined = shown(PAIR).text(ids[place >= 0])
    assert "".join(joined.split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["орехи, лактоза", "坚果，乳糖", "👩🏽‍🚀 ok", "دقيق", "tar -x"])
def test_the_tokens_of_an_answer_are_readable_in_any_script(text: str) -> None:
    """Each adds what is certain with it, so that none is a part of a character; what is cut is
    shown as such."""
    writes = shown(PAIR)
    ids = writes.answer([("user", "a"), ("assistant", text)])
    pieces = writes.pieces(ids)
    assert "".join(pieces) == f"{text}{END}" and len(pieces) == len(ids)
    assert all(UNFINISHED not in piece for piece in pieces)
    if not text.isascii():
        assert "" in pieces and UNFINISHED in writes.pieces(ids[: pieces.index("") + 1])[-1]


def test_words_that_are_cut_have_no_weight() -> None:
    """Of a prompt that is too long the beginning is not read."""
    text = " ".join(NAMES * 6)
    writes = shown(PAIR, 64, "cut_prompt")
    words = writes.words([("user", text), ("assistant", "a")])
    assert 0 < len(words) < len(spans(text))
    assert words[len(words) - 1] == NAMES[-1]
    assert words.ids[0].tolist() == writes.prompt_ids([("user", text)]).tolist()


def asked(folders: Mapping[str, Path], leave_out: bool = True) -> tuple[Any, Prompted]:
    """A network, and a prompt with its answer."""
    model = writer.read(folders["model.a"])
    writes = WordWriter(model.tokenizer, model.prompt, model.max_length, model.long_texts)
    row = learnedwriter.asked(1)[0]
    words = writes.words(row)
    prompt = Prompt(words.text, words.spans, words.ids, words.places, writes.answer(row))
    return model.model, Prompted(TorchDecoder(model.model), prompt, writes.filler_id, leave_out)


def likelihood(network: PreTrainedModel, ids: Any, answer: Any) -> Any:
    """Nats per token, as transformers has them."""
    with torch.no_grad():
        logits = network(torch.from_numpy(np.concatenate([ids, answer]))[None]).logits[0]
    each = torch.log_softmax(logits[len(ids) - 1 : -1].double(), -1)
    return each[range(len(answer)), answer].mean().item()


@pytest.mark.parametrize("leave_out", [True, False])
def test_a_word_is_left_out_or_filled(folders: dict[str, Path], leave_out: bool) -> None:
    """All of its tokens, and nothing else; the log probability is that of transformers."""
    network, text = asked(folders, leave_out)
    (ids,), (place,) = text.words.ids, text.words.places
    for kept in (text.without([]), text.without([0]), text.without(range(len(text.words)))):
        removed = (place >= 0) & ~kept[place]
        expected = ids[~removed] if leave_out else np.where(removed, text.filler_id, ids)
        wanted = likelihood(network, expected, text.words.answer)
        assert text(kept[None])[0, 0] == pytest.approx(wanted, abs=1e-5)
    assert text.filler_id == tokenizer().encode(" ").ids[0]


def test_gradients_are_those_by_hand(folders: dict[str, Path]) -> None:
    """Summed over the points of the way, each with its own pass; they sum to the change."""
    network, text = asked(folders, leave_out=False)
    method = IntegratedGradients(kind="integrated_gradients", steps=64, max_completeness_delta=1.0)
    found = answergradients.made(method, network, text.filler_id)(text, 0, "a")
    (ids,), (place,), answer = text.words.ids, text.words.places, text.words.answer
    look_up = network.get_input_embeddings()
    start = look_up(torch.from_numpy(np.where(place >= 0, text.filler_id, ids)))
    end, rest = look_up(torch.from_numpy(ids)), look_up(torch.from_numpy(answer))
    total = torch.zeros_like(end)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = (start + node * (end - start)).detach().requires_grad_()
        logits = network(inputs_embeds=torch.cat([point, rest])[None]).logits[0]
        each = torch.log_softmax(logits[len(ids) - 1 : -1], -1)
        each[range(len(answer)), answer].mean().backward()
        total += weight * point.grad
    tokens = ((end - start) * total).sum(-1).detach().numpy()
    expected = [tokens[place == number].sum() for number in range(len(text.words))]
    assert found == pytest.approx(expected, abs=1e-4)
    nothing = np.zeros((1, len(text.words)), bool)
    assert found.sum() == pytest.approx(text.whole[0] - text(nothing)[0, 0], abs=0.05)


def test_other_answers_are_not_compared(
    folders: dict[str, Path], usual: Any, tmp_path: Path
) -> None:
    """Weights are of an answer: `beside` refuses those of another one, of the same words."""
    other = {**folders, "explained.b": usual[2]}
    answers = {"text": "generated", "tokens": 2}
    with pytest.raises(LmspecError, match=r"explained\.b explains no text"):
        build(tmp_path / "short", other, answers=answers, beside=["explained.b"])


def test_a_report_has_the_words_of_prompts(folders: dict[str, Path]) -> None:
    """Of those that are at hand."""
    file = folders["splits.a"] / "test.parquet"
    assert texts.of_prompts(file, ["test-1", "x"]) == {"test-1": "please call ben if you can"}
    assert texts.of_prompts(file.with_name("gone.parquet"), ["test-1"]) == {}


def test_what_cannot_be_explained_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    """Gradients of a graph; turns that a template has no place for."""
    with pytest.raises(LmspecError, match="looks into a network"):
        build(tmp_path / "a", folders, of="quantized.a", method=GRADIENTS)
    talk = learnedwriter.parted(tmp_path / "talk", test=[TALK])
    with pytest.raises(LmspecError, match="a pair is one prompt"):
        build(tmp_path / "b", {**folders, "splits.a": talk})
    full = learnedwriter.parted(
        tmp_path / "full", test=[[("user", "a " * 200), ("assistant", "b")]]
    )
    with pytest.raises(LmspecError, match="has a word that"):
        build(tmp_path / "c", {**folders, "splits.a": full})
