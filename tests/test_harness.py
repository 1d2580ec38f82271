"""lm-evaluation-harness measures our models as its own reader of them does, and multiple choice as
our scores do."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("lm_eval", reason="pip install -e '.[lm-eval]'")

from lm_eval.api.instance import Instance  # noqa: E402

from lmspec.architectures import causal  # noqa: E402
from lmspec.errors import LmspecError  # noqa: E402
from lmspec.formats import decoder, writer  # noqa: E402
from lmspec.formats.harness import Harness  # noqa: E402
from lmspec.writing import choosing, exporting  # noqa: E402
from lmspec.writing.choosing import Chosen  # noqa: E402
from lmspec.writing.prompting import Writer  # noqa: E402
from stages import choosing_scores  # noqa: E402
from tests import tinywriter  # noqa: E402

TEXTS = ["anna anna", " ben", "\nclara 3", "say dora now", "x"]
# It would move a line break at the end of a prompt to the choices, and count it in each.
TEMPLATE = tinywriter.CHAT | {"assistant": f"{tinywriter.START}assistant:"}
GREEDY = {"until": ["\n", "dora"], "max_gen_toks": 9}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built model, whose template is ChatML."""
    top = tmp_path_factory.mktemp("model")
    source = tinywriter.write_weights(top / "tiny")
    model, words, pad, _ = causal.create(tinywriter.spec_of(prompt=TEMPLATE), source)
    clean = {"fix_unicode": False, "unescape_html": False}
    made = writer.WriterModel(model, words, pad, TEMPLATE, 48, "leave_out", clean)
    (top / "built").mkdir()
    writer.write(made, top / "built")
    return top / "built"


@pytest.fixture(scope="module")
def ours(folder: Path) -> Harness:
    return Harness(str(folder))


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    """Its own reader of transformers' models."""
    pytest.importorskip("accelerate")
    huggingface = pytest.importorskip("lm_eval.models.huggingface")
    return huggingface.HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=3)


def requests(kind: Any, arguments: Sequence[tuple[Any, ...]]) -> list[Instance]:
    return [Instance(kind, {}, given, i) for i, given in enumerate(arguments)]


def test_likelihoods_are_those_of_its_own_reader(ours: Harness, theirs: Any) -> None:
    """With spaces at the seam, without a context, longer than what the model reads."""
    pairs = [(one, other) for one in TEXTS for other in TEXTS]
    pairs += [("", text) for text in TEXTS] + [("anna " * 200, "ben"), ("a  ", "b")]
    asked = requests("loglikelihood", pairs)
    for mine, other in zip(
        ours.loglikelihood(asked, True), theirs.loglikelihood(asked), strict=True
    ):
        assert mine[0] == pytest.approx(other[0], abs=1e-4) and mine[1] == other[1]


def test_whole_texts_are_those_of_its_own_reader(ours: Harness, theirs: Any) -> None:
    """In windows, each token once."""
    texts = [(text,) for text in (*TEXTS, "say ben " * 120)]
    asked = requests("loglikelihood_rolling", texts)
    mine, other = ours.loglikelihood_rolling(asked, True), theirs.loglikelihood_rolling(asked)
    assert mine == pytest.approx(other, rel=1e-5)
    assert len(ours.tok_encode(texts[-1][0])) > ours.max_length


def test_generated_texts_are_those_of_its_own_reader(ours: Harness, theirs: Any) -> None:
    """Greedy, up to a stop string. Sampled ones do not depend on their company."""
    asked = requests("generate_until", [(text, GREEDY) for text in TEXTS])
    assert ours.generate_until(asked, True) == theirs.generate_until(asked)
    rule = {"do_sample": True, "temperature": 0.9, "top_k": 40, "seed": 3, "max_gen_toks": 12}
    drawn = requests("generate_until", [(text, rule) for text in TEXTS])
    whole = ours.generate_until(drawn, True)
    assert whole == [ours.generate_until([one], True)[0] for one in drawn]
    assert whole != ours.generate_until(
        requests("generate_until", [(text, rule | {"seed": 4}) for text in TEXTS]), True
    )


def test_a_template_gives_the_ids_of_training(ours: Harness) -> None:
    """Rendered as text and encoded again."""
    turns = [("user", "say anna 2 times, 7"), ("assistant", "anna anna"), ("user", "again")]
    shown = ours.apply_chat_template([{"role": r, "content": c} for r, c in turns])
    assert ours.tok_encode(shown) == ours.writer.prompt_ids(turns).tolist()
    begun = ours.apply_chat_template(
        [{"role": r, "content": c} for r, c in turns[:2]], add_generation_prompt=False
    )
    assert begun.endswith("anna anna")


def quiz(count: int = 40) -> list[dict[str, Any]]:
    """Questions of the tiny model's task, with three answers."""
    rows = []
    for i, (ask, reply) in enumerate(tinywriter.pairs(count)):
        others = [f"{tinywriter.NAMES[(i + 3) % 10]} or so", tinywriter.NAMES[(i + 7) % 10] * 2]
        choices = [*others[: i % 3], reply[1], *others[i % 3 :]]
        rows.append({"question": ask[1], "choices": choices, "right": choices.index(reply[1])})
    return rows


def chosen(ours: Harness) -> list[Chosen]:
    """As our scores choose, without the ends of answers."""
    unlimited = Writer(ours.writer.tokenizer, ours.writer.prompt, 10**6, "leave_out")
    rows = [
        choosing_scores.Row(
            str(i),
            "t",
            None,
            [("user", row["question"]), ("assistant", row["choices"][row["right"]])],
            row["choices"],
        )
        for i, row in enumerate(quiz())
    ]
    pairs = [ids for row in rows for ids in choosing_scores.encoded(row, ours.writer, unlimited)]
    values = iter(choosing_scores.log_likelihoods(pairs, ours.decoder, with_end=False))
    return [row.chosen([next(values) for _ in row.choices]) for row in rows]


def test_choices_are_those_of_its_evaluator(
    ours: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`acc` and `acc_bytes` of a task in its own form, by its own code; and each likelihood."""
    pytest.importorskip("datasets")
    evaluator = pytest.importorskip("lm_eval.evaluator")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    file = tmp_path / "quiz.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in quiz()))
    task = {
        "task": "quiz",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(file)}, "cache_dir": str(tmp_path / "home")},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "right",
        "target_delimiter": "",
        "metric_list": [{"metric": name} for name in ("acc", "acc_norm", "acc_bytes")],
    }
    result = evaluator.simple_evaluate(
        ours, tasks=[task], apply_chat_template=True, bootstrap_iters=0, log_samples=True
    )
    found, rows = result["results"]["quiz"], chosen(ours)
    metrics = choosing.metrics(rows, choosing.rows("quiz", rows))
    assert 0 < found["acc,none"] == metrics["accuracy"] < 1
    assert 0 < found["acc_bytes,none"] == metrics["accuracy_per_byte"] < 1
    for row, sample in zip(rows, result["samples"]["quiz"], strict=True):
        values = [float(each[0][0]) for each in sample["resps"]]
        assert values == pytest.approx(list(row.log_likelihoods), abs=1e-4)


def test_what_is_no_model_that_writes_is_refused(tmp_path: Path, ours: Harness) -> None:
    """And settings that would be ignored."""
    with pytest.raises(LmspecError, match="holds no model"):
        Harness(str(tmp_path))
    (tmp_path / "lmspec.json").write_text(json.dumps({"kind": "cnn"}))
    with pytest.raises(LmspecError, match="a cnn writes nothing"):
        Harness(str(tmp_path))
    for rule, message in (
        ({"num_beams": 4}, "cannot generate with num_beams"),
        ({"max_gen_toks": 500}, "500 new tokens are more than it reads"),
    ):
        with pytest.raises(LmspecError, match=message):
            ours.generate_until(requests("generate_until", [("a", rule)]), True)
    with pytest.raises(LmspecError, match="more than it reads"):
        ours.loglikelihood(requests("loglikelihood", [("a", "ben " * 300)]), True)


def test_a_graph_is_measured_as_its_model(folder: Path, ours: Harness, tmp_path: Path) -> None:
    """Both have one interface; it needs no torch to be read."""
    model = writer.read(folder)
    about = json.loads((folder / "lmspec.json").read_text()) | {"max_past": 96}
    kept = {name: about[name] for name in about if name != "kind"}
    decoder.write(exporting.export(model.model, 96, 20), model.tokenizer, kept, tmp_path)
    graph = Harness(str(tmp_path), threads=1)
    assert graph.max_length == 96
    asked = requests("loglikelihood", [(one, other) for one in TEXTS for other in TEXTS])
    mine, other = graph.loglikelihood(asked, True), ours.loglikelihood(asked, True)
    assert [one for one, _ in mine] == pytest.approx([one for one, _ in other], abs=1e-3)
    written = requests("generate_until", [(text, GREEDY) for text in TEXTS])
    assert graph.generate_until(written, True) == ours.generate_until(written, True)
