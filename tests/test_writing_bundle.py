"""A bundle that writes: predict.py gives the texts that were scored, and works by itself."""

import csv
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import (
    conversations,
    deployed_writing,
    documents,
    manifest,
    predict_writing,
    writer,
)
from lmspec.formats.predict_writing import Refused, Writer
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.numerics import Machine
from lmspec.specs.scores import ScoresSpec
from lmspec.writing import answers, card
from lmspec.writing.sampling import Sampling
from stages import bundle as stages_bundle
from stages import scores as stages_scores
from stages import writing_bundle
from tests.test_decoder import GREEDY, export, needs, quantize
from tests.tinywriter import CHAT, END, MOST, PAIR, pairs, tokenizer, write_split, write_weights

CLEAN = {"fix_unicode": True, "unescape_html": False, "keep_lines": True}
DECODING = {name: value for name, value in GREEDY.items() if name != "rows"}
SAMPLE = {"kind": "sample", "temperature": 0.9, "top_k": 40, "top_p": 0.9, "min_p": None, "seed": 5}
# No module of lmspec can be imported, though it is installed.
ALONE = """
import runpy, sys
class Lost:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "lmspec":
            raise ImportError(name)
sys.meta_path.insert(0, Lost())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model, splits, and what the stages make of them, up to the scores of the int8 graph."""
    root = tmp_path_factory.mktemp("project")
    model = AutoModelForCausalLM.from_pretrained(write_weights(root / "source", tied=False))
    torch.manual_seed(0)
    for weight in model.parameters():  # large, so that it writes more than one token
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, 0, 0.3)
    own = writer.WriterModel(model, tokenizer(), 1, PAIR, MOST, "leave_out", CLEAN)
    (root / "model").mkdir()
    writer.write(own, root / "model")
    for split, part in (("dev", pairs()[:40]), ("test", pairs()[40:60])):
        write_split(part, root / "splits", split)
    counts = {"documents": 20, "rejected": {}, "contradictions": {"texts": 0}}
    (root / "splits/counts.json").write_text(json.dumps(counts))
    (root / "splits/test.ids").write_text("".join(f"{i:016x}\n" for i in range(20)))
    for noun, build in (("exported", export), ("quantized", quantize)):
        (root / noun).mkdir()
        keep(root, f"{noun}-pairs", build(root, root / noun))
    score(root, "pairs", GREEDY)
    score(root, "other", GREEDY | {"decode": SAMPLE, "repetition_penalty": 1.2, "end_penalty": 1.0})
    return root


def keep(root: Path, name: str, report: stage.Report) -> None:
    """What git keeps of a build."""
    folder = root / "data/metrics" / name
    folder.mkdir(parents=True)
    folder.with_suffix(".json").write_text(json.dumps(report.metrics))
    for table, rows in report.tables.items():
        with (folder / f"{table}.csv").open("w", newline="") as file:
            written = csv.DictWriter(file, list(rows[0]))
            written.writeheader()
            written.writerows(rows)


def score(root: Path, name: str, generation: dict[str, Any]) -> None:
    fields = {"of": "quantized.pairs", "on": ["splits.pairs"], "batch_size": 4}
    spec = ScoresSpec.model_validate(fields | {"generation": generation, "accepted_overlap": []})
    (root / f"scores-{name}").mkdir()
    keep(root, f"scores-{name}", stages_scores.build(spec, needs(root), root / f"scores-{name}"))


def bundled(root: Path, out: Path, **changes: Any) -> str:
    """Build a bundle; its card."""
    fields: dict[str, Any] = {"of": "quantized.pairs", "scores": "scores.pairs", "title": "t"}
    fields |= {"license": "MIT"}
    fields |= {"intended_use": "u", "limitations": "l", "attribution": "pages, CC BY 4.0"}
    spec = BundleSpec.model_validate(
        fields | {"generation": DECODING, "beside": ["scores.other"]} | changes
    )
    folders = {"quantized.pairs": root / "quantized", "scores.pairs": root / "scores-pairs"}
    folders |= {"scores.other": root / "scores-other"}
    out.mkdir()
    stages_bundle.build(spec, stage.Needs(folders, None, Machine(device="cpu"), root), out)
    return (out / "README.md").read_text()


@pytest.fixture(scope="module")
def bundle(project: Path) -> Path:
    bundled(project, project / "bundle")
    return project / "bundle"


@pytest.fixture(scope="module")
def chats(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same graph with the template of a conversation."""
    folder = tmp_path_factory.mktemp("chats") / "bundle"
    shutil.copytree(bundle, folder)
    about = json.loads((folder / "lmspec.json").read_text()) | {"prompt": CHAT}
    (folder / "lmspec.json").write_text(json.dumps(about))
    manifest.write(folder, "t", {}, None)
    return folder


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run predict.py with arguments and bytes on standard input, of that bundle or another."""

    def call(*given: str, stdin: bytes = b"", of: Path = bundle) -> tuple[int, str, str]:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        stream = io.BufferedReader(io.BytesIO(stdin))  # type: ignore[arg-type]
        monkeypatch.setattr(predict_writing, "__file__", str(of / "predict.py"))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        code = predict_writing.main(given)
        out.flush()
        err.flush()
        texts = [stream.buffer.getvalue().decode() for stream in (out, err)]
        return code, *texts

    yield call


@pytest.fixture(scope="module")
def scored(project: Path) -> list[tuple[str, str]]:
    """(prompt, scored answer)"""
    frame = documents.read(project / "scores-pairs" / answers.FILE)
    return frame.select("prompt", "text").rows()


# --- the build ---


def test_a_card_says_what_was_shipped(project: Path, bundle: Path) -> None:
    """Template, learned tokens, decoding, scores with intervals beside others, figures, files."""
    text = (bundle / "README.md").read_text()
    prompt, answer = (content for _, content in pairs()[40])
    assert f"Read:\n\n```\n<|im_start|>user\n{prompt}{END}\n<|im_start|>assistant\n" in text
    assert f"Learned:\n\n```\n{answer}{END}\n```" in text
    assert "Made with pages, CC BY 4.0." in text
    assert "The most probable token each time; at most 12 tokens." in text
    rows = re.findall(r"^\| .*`scores\.(\w+)`.* \| 12 \|$", text, re.M)
    assert rows == ["pairs", "other"]
    assert re.search(r"\| \*\*`scores.pairs`.* \| 0\.0 % \(0\.0 to \d\d\.\d\) \|", text)
    assert "alone and beside others | 0 |" in text and "does not depend on what is" in text
    assert "answered 12 of the scored prompts" in text
    for file in bundle.iterdir():
        own = file.name in ("README.md", "manifest.json")
        assert own or f"| `{file.name}` | `" in text
    assert manifest.checked(bundle, predict_writing.DATA).made_from.keys() == {
        "quantized.pairs",
        "scores.pairs",
    }
    assert "in another way" not in text


def test_the_interval_of_a_card_is_that_of_its_metric(project: Path) -> None:
    """Around the value that the scores have; one of groups is wider."""
    table = writing_bundle.table(project, "scores.pairs")
    metrics = json.loads((project / "scores-pairs/metrics.json").read_text())["metrics"]["pairs"]
    values, size = card.measured(table, "pairs")
    assert size == 12 and set(values) == {*card.SHOWN}
    for name, value in values.items():
        assert value.value == pytest.approx(metrics[name], abs=1e-4)
        assert value.low <= value.value <= value.high
    for name in ("exact_match", "log_loss"):  # none of 12 right is no proof that none ever is
        assert values[name].low < values[name].high
    grouped, _ = card.measured(table | {"group": [str(i // 4) for i in range(12)]}, "pairs")
    assert grouped["log_loss"] != values["log_loss"]
    assert card.measured(table, "others") == ({}, 0)


def test_a_bundle_that_writes_otherwise_is_not_built(project: Path, tmp_path: Path) -> None:
    """One letter of one text is enough. The control is the bundle of the other tests."""
    copy = shutil.copytree(project, tmp_path / "copy")
    path = copy / "scores-pairs" / answers.FILE
    frame = documents.read(path)
    documents.write(frame.with_columns(pl.col("text") + "."), path)
    with pytest.raises(LmspecError, match=r"does not answer as scores\.pairs has it: 'write anna"):
        bundled(copy, tmp_path / "out")


def test_a_bundle_knows_whether_its_texts_depend_on_company(
    project: Path, bundle: Path, tmp_path: Path
) -> None:
    """By the measurement of its graph; without one it promises nothing."""
    assert Writer(bundle).batch_invariant
    copy = shutil.copytree(project, tmp_path / "copy")
    path = copy / "data/metrics/quantized-pairs.json"
    figures = json.loads(path.read_text())
    assert figures.pop("batch_difference") == 0
    for number, more in enumerate(({"batch_difference": 1e-6}, {})):
        path.write_text(json.dumps(figures | more))
        bundled(copy, tmp_path / f"out-{number}")
        assert not Writer(tmp_path / f"out-{number}").batch_invariant


def test_answers_that_were_generated_in_another_way_are_named(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check still answers as they were scored; the card says how that was."""
    rule = DECODING | {"decode": SAMPLE, "new_tokens": 5, "stop": ["\n\n"], "end_penalty": 0.5}
    text = bundled(project, tmp_path / "out", generation=rule, beside=[])
    assert "were generated in another way:** The most probable token each time" in text
    assert "Tokens are drawn: temperature 0.9, top_k 40, top_p 0.9, seed 5; at most 5" in text
    assert "another way" in capsys.readouterr().err
    settings = Writer(tmp_path / "out").settings
    assert settings.sampling == Sampling(0.9, 0.9, 40, None, 5) and settings.stop == ("\n\n",)
    assert settings.end_penalty == 0.5 and "the end is lowered by 0.5." in text


def test_drawn_texts_and_conversations_are_given_again(project: Path, tmp_path: Path) -> None:
    """With the penalties that were scored, and all turns before the last answer."""
    rule = DECODING | {"decode": SAMPLE, "repetition_penalty": 1.2, "end_penalty": 1.0}
    text = bundled(project, tmp_path / "drawn", scores="scores.other", generation=rule, beside=[])
    assert "answered 12 of the scored prompts" in text and "in another way" not in text
    copy = tmp_path / "copy"
    for name in ("quantized", "splits", "model", "exported", "data/metrics/quantized-pairs.json"):
        source, target = project / name, copy / name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.parent.mkdir(parents=True)
            shutil.copyfile(source, target)
    about = json.loads((copy / "quantized/lmspec.json").read_text()) | {"prompt": CHAT}
    (copy / "quantized/lmspec.json").write_text(json.dumps(about))
    talks = [[("system", "a"), *one, *other] for one, other in itertools.pairwise(pairs()[40:60])]
    write_split(talks, copy / "splits", "test")
    score(copy, "pairs", GREEDY)
    text = bundled(copy, tmp_path / "talks", beside=[])
    assert "Read:\n\n```\n<|im_start|>system\na<|im_end|>\n" in text
    assert "longer than an example of training, as all scored prompts are" in text
    assert "conversations that go on from the model's own answers" in text
    frame = documents.read(copy / "scores-pairs" / answers.FILE)
    messages, scored = frame.row(0, named=True)["turns"], frame["text"][0]
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "user"]
    own = Writer(tmp_path / "talks")
    assert own.chat(messages) == scored != own.write(messages[-1]["content"])


def test_a_bundle_suits_its_graph(project: Path, tmp_path: Path) -> None:
    """Each refusal says what to do."""
    with pytest.raises(LmspecError, match="nothing says how"):
        bundled(project, tmp_path / "a", generation=None, beside=[])
    labels = project / "data/metrics/scores-labels"
    with pytest.raises(LmspecError, match=r"scores\.labels has labels, no answers"):
        bundled(project, tmp_path / "b", beside=["scores.labels"])
    labels.mkdir()
    shutil.copyfile(project / "data/metrics/scores-pairs/answers.csv", labels / "answers.csv")
    text = (labels / "answers.csv").read_text().replace("\npairs,", "\nothers,")
    (labels / "answers.csv").write_text(text)
    with pytest.raises(LmspecError, match=r"scores\.labels is not on pairs"):
        bundled(project, tmp_path / "c", beside=["scores.labels"])


# --- the class ---


def test_ids_are_those_of_training_and_scores(project: Path, bundle: Path) -> None:
    """A prompt of predict.py begins its training example, token by token."""
    own, trained = Writer(bundle), writer.read(project / "model")
    rows = conversations.read(project / "splits", "dev", trained.writer)
    for turns, ids, learned in zip(pairs()[:40], rows.ids, rows.learned, strict=True):
        prompt = own.ids(turns[0][1])
        assert prompt is not None and prompt.tolist() == ids[~learned.astype(bool)].tolist()
        assert prompt.tolist() == trained.writer.prompt_ids(turns).tolist()


def test_an_answer_is_the_scored_one_in_any_company(
    bundle: Path, scored: list[tuple[str, str]]
) -> None:
    """Alone, beside others, as messages, piece by piece, with another number of threads."""
    own = Writer(bundle)
    prompts = [prompt for prompt, _ in scored]
    for size in (1, 5):
        written = own.write_many([*prompts, " \n"], size)
        assert written.pop() is None
        assert [each.text for each in written if each] == [text for _, text in scored]
    prompt, text = scored[3]
    assert own.chat([{"role": "user", "content": prompt}]) == text
    pieces = list(own.stream(prompt))
    assert "".join(pieces) == text and len(pieces) > 3
    assert Writer(bundle, threads=2).write(f"  {prompt}\n") == text
    assert own.write("  ") == ""


def test_drawn_answers_depend_on_prompt_and_seed_alone(bundle: Path) -> None:
    """And on no other request."""
    own = Writer(bundle)
    drawn = [replace(own.settings, sampling=Sampling(1.5, seed=seed)) for seed in (1, 2)]
    first, second = (own.write("say anna", each) for each in drawn)
    assert first != second and first == own.write("say anna", drawn[0])
    many = own.write_many(["say ben", "say anna", "x"], 3, drawn[0])
    assert many[1] is not None and many[1].text == first


def test_a_conversation_needs_a_template_for_it(bundle: Path, chats: Path) -> None:
    """Roles that it has no place for, an answer at the end, and what is no message."""
    talk = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user")]
    assert Writer(chats).chat(talk) != Writer(chats).chat(talk[1:])
    for messages, words in (
        (talk, "a pair is one prompt"),
        (talk[:3], "the last message is not the user's"),
        ([], "the last message is not the user's"),
        ([{"role": "tool", "content": "x"}], "a message has a role"),
        (["x"], "a message has a `role`"),
    ):
        with pytest.raises(Refused, match=words):
            Writer(bundle).chat(messages)  # type: ignore[arg-type]


# --- the command line ---


def test_each_prompt_has_its_line(run: Run, scored: list[tuple[str, str]]) -> None:
    """Line breaks of answers are written; one of white space has an empty line."""
    asked = "\n".join([*(prompt for prompt, _ in scored), "  ", ""])
    for size in ("1", "4"):
        code, out, err = run("--batch-size", size, stdin=asked.encode())
        lines = out.split("\n")
        assert (code, err, lines[-2:]) == (0, "", ["", ""])
        control = predict_writing.CONTROLS
        shown = [control.sub(" ", text.replace("\n", "\\n")) for _, text in scored]
        assert lines[:-2] == shown
    code, out, _ = run(scored[0][0])
    assert code == 0 and out == predict_writing.TERMINAL.sub(" ", scored[0][1]) + "\n"


def test_objects_and_tables_come_back_with_answers(run: Run, scored: list[tuple[str, str]]) -> None:
    """Texts, messages, numbers and null; every other field as it was."""
    prompt, text = scored[0]
    message = [{"role": "user", "content": prompt}]
    objects = [{"q": prompt, "id": 1}, {"q": message}, {"q": None}, {"q": 5}, {"q": "x" * 500}]
    asked = "".join(json.dumps(each) + "\n" for each in objects).encode()
    code, out, err = run("--jsonl", "-", "--text", "q", stdin=asked)
    got = [json.loads(line) for line in out.splitlines()]
    assert code == 3 and [{"q": one["q"]} for one in got] == [{"q": o["q"]} for o in objects]
    assert got[0]["id"] == 1 and [one["generated"] for one in got[:3]] == [text, text, None]
    assert got[0]["stopped"] in ("end", "limit") and got[4]["stopped"] == "positions"
    assert got[4]["generated"] is None and isinstance(got[3]["generated"], str)
    assert re.fullmatch(r"predict\.py: a prompt of \d+ tokens, and the model reads 96: .*\n", err)
    table = f'n,prompt\n1,"{prompt}"\n'.encode()
    code, out, _ = run("--csv", "-", stdin=table)
    (row,) = csv.DictReader(io.StringIO(out, newline=""))
    assert (row["n"], row["generated"], row["stopped"]) == ("1", text, got[0]["stopped"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"prompt": {}}', "its 'prompt' is neither a text nor a list of messages"),
        ('{"prompt": [{"role": "system", "content": "x"}]}', "the last message is not the user's"),
        ('{"prompt": [1]}', "a message has a `role` and a `content`"),
        ('{"prompt": "x", "generated": 1}', "a field 'generated' already"),
        ("[" * 100_000, "line 1 is not JSON"),
    ],
)
def test_an_object_that_asks_nothing_is_named(run: Run, line: str, words: str) -> None:
    """In one line, with its number and what it lacks."""
    code, _, err = run("--jsonl", "-", stdin=line.encode())
    assert code == 1 and words in err and err.count("\n") == 1


def test_arguments_change_how_it_writes(run: Run, bundle: Path, tmp_path: Path) -> None:
    """For one call; a pattern or a schema holds for the whole answer."""
    own = Writer(bundle)
    greedy = own.write("say anna")
    drawn = [run("--temperature", "1.5", "--seed", seed, "say anna")[1] for seed in "112"]
    assert drawn[0] == drawn[1] != drawn[2]
    assert run("--temperature", "0", "--new-tokens", "3", "say anna")[1].strip() in greedy
    assert run("--temperature", "1", "--top-k", "1", "say anna") == run("say anna")
    _, out, _ = run("--regex", "(yes|no)!", "say anna")
    assert out in ("yes!\n", "no!\n")
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}
    (tmp_path / "a.json").write_text(json.dumps(schema | {"additionalProperties": False}))
    code, out, _ = run("--json-schema", str(tmp_path / "a.json"), "--new-tokens", "40", "say anna")
    assert code == 0 and json.loads(out)["a"] in (1, 2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--seed", "1"), "--seed is of draws: give --temperature above 0, too"),
        (("--temperature", "0", "--top-p", "0.5"), "--top-p is of draws"),
        (("--temperature", "-1"), "temperature is more than 0"),
        (("--temperature", "nan"), "temperature is more than 0"),
        (("--temperature", "1", "--seed", "-1"), "seed is at least 0"),
        (("--temperature", "1", "--top-p", "1.5"), "top_p is more than 0 and at most 1"),
        (("--regex", "("), "the pattern '('"),
        (("--json-schema", "nowhere.json"), "nowhere.json: "),
    ],
)
def test_an_argument_that_cannot_be_followed_is_one_line(
    run: Run, given: tuple[str, ...], words: str
) -> None:
    """It names the argument, and nothing is answered."""
    code, out, err = run(*given, "x")
    assert (code, out) == (2, "") and words in err and err.count("\n") == 1


def test_a_bundle_without_llguidance_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is installed only where a bundle has a constraint of its own."""
    monkeypatch.setitem(sys.modules, "lmspec.writing.constraining", None)
    code, _, err = run("--regex", "a+", "x")
    assert code == 2 and "pip install 'llguidance" in err


# --- a conversation ---


def test_a_conversation_goes_on_until_it_is_reset(run: Run, chats: Path) -> None:
    """Each answer is that of all messages before it; /reset forgets them, not the system prompt."""
    own, opening = Writer(chats), [{"role": "system", "content": "be short"}]
    lines = "say anna\n\nsay ben\n/reset\nsay ben\n"
    code, out, err = run("--chat", "--system", "be short", stdin=lines.encode(), of=chats)
    first = [*opening, {"role": "user", "content": "say anna"}]
    answer = own.chat(first)
    again = {"role": "user", "content": "say ben"}
    longer = own.chat([*first, {"role": "assistant", "content": answer}, again])
    alone = own.chat([*opening, again])
    control = predict_writing.TERMINAL
    assert out == "".join(f"{control.sub(' ', text)}\n" for text in (answer, longer, alone))
    assert (code, err) == (0, "") and longer != alone
    code, _, err = run("--chat", "--system", "x", stdin=b"")
    assert code == 2 and "without system prompts" in err


def test_a_conversation_that_is_too_long_says_so(run: Run, chats: Path) -> None:
    """The line is left out, and the next one is answered as if it had not been there."""
    long = b"word " * 100
    code, out, err = run("--chat", stdin=long + b"\nsay ben\n", of=chats)
    assert code == 0 and "begin again with /reset" in err
    assert out.split("\n", 1)[0] == ""
    assert out.split("\n", 1)[1] == run("--chat", stdin=b"say ben\n", of=chats)[1]


def test_the_folder_works_by_itself(bundle: Path, tmp_path: Path, scored: Any) -> None:
    """Through a pipe, line by line, with no lmspec to import and its own folder out of the path."""
    copy = shutil.copytree(bundle, tmp_path / "copy")
    for file in copy.glob("*.py"):
        assert not re.search(r"^\s*(from|import) lmspec", file.read_text(), re.M)
    command = [sys.executable, "-I", "-c", ALONE, str(copy / "predict.py"), "--chat"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdin and process.stdout and process.stderr
        for prompt, text in scored[:2]:
            process.stdin.write(f"{prompt}\n".encode())
            process.stdin.flush()
            size = len(f"{predict_writing.TERMINAL.sub(' ', text)}\n".encode())
            got = process.stdout.read(size).decode()  # while the pipe is open
            assert got == predict_writing.TERMINAL.sub(" ", text) + "\n"
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and err.count(b"\n") == 1


# --- what is in the folder ---


def test_a_damaged_bundle_names_the_file(run: Run, bundle: Path, tmp_path: Path) -> None:
    """In one line, and with exit status 1."""
    vocabulary = json.loads((bundle / "tokenizer.json").read_text())
    vocabulary["model"]["vocab"]["a new one"] = 5000
    about = json.loads((bundle / "lmspec.json").read_text())
    data = (bundle / "model.onnx.data").read_bytes()
    for name, content in (
        ("model.onnx", b"no graph"),
        ("model.onnx.data", data[: len(data) // 2]),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", json.dumps(vocabulary).encode()),
        ("lmspec.json", b"[]"),
        ("lmspec.json", json.dumps(about | {"end_id": 7}).encode()),
        ("lmspec.json", b'{"clean": {}}'),
        ("lmspec.json", None),
        ("model.onnx.data", None),
    ):
        copy = shutil.copytree(bundle, tmp_path / "copy")
        (copy / name).unlink()
        if content is not None:
            (copy / name).write_bytes(content)
        for listed in (False, True):  # a file that is not the one that was built, or never worked
            if listed:
                manifest.write(copy, "t", {}, None)
            code, out, err = run("x", of=copy)
            assert (code, out, err.count("\n")) == (1, "", 1), (name, err)
            assert err.startswith("predict.py: ") and err.endswith(f": {manifest.AGAIN}\n")
            assert (
                name.removesuffix(".data") in err
                and ("that was built" in err or "file is missing" in err) != listed
            )
        shutil.rmtree(copy)


def test_the_package_of_constraints_is_installed_where_one_is_declared(tmp_path: Path) -> None:
    """With its hashes; the lines of the other packages are the same."""
    texts = []
    for constrained in (False, True):
        assert deployed_writing.write(tmp_path, constrained)
        texts.append((tmp_path / "requirements.txt").read_text())
    assert "llguidance" not in texts[0] and "\nllguidance==" in texts[1]
    start = texts[1].index("llguidance==")
    assert texts[0].startswith(texts[1][:start])
    for name in deployed_writing.SHARED:
        assert (tmp_path / f"{name}.py").is_file()


def test_a_constraint_of_the_spec_holds(project: Path, tmp_path: Path) -> None:
    """The schema is in lmspec.json, so the bundle needs no file of the project."""
    (project / "a.json").write_text(json.dumps({"enum": ["left", "right"]}))
    constraint = {"kind": "json_schema", "file": "a.json"}
    out = tmp_path / "out"
    text = bundled(project, out, generation=DECODING | {"constraint": constraint})
    assert "Every answer matches the JSON schema in `lmspec.json`." in text
    assert "llguidance==" in (out / "requirements.txt").read_text()
    written = Writer(shutil.copytree(out, tmp_path / "copy"))
    assert written.write("say anna") in ('"left"', '"right"')
    assert np.array_equal(written.ids("x"), written.ids(" x "))  # type: ignore[arg-type]
