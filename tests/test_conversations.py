"""Corpora of prompts and answers: what is read from each format, what is refused and counted."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.formats import documents, nested, rawtable
from lmspec.methods import conversing
from lmspec.specs.corpus import CorpusSpec, Table
from lmspec.specs.numerics import Machine
from lmspec.specs.splits import SplitsSpec
from lmspec.specs.turns import Nested
from lmspec.stage import Needs, Report
from stages import corpus, splits

PAGES = {
    "common": {
        "git-notes": {"s": "Notes", "e": [["Show the notes", "git notes show {{x}}"]]},
        "ls": {"s": "List", "e": [["List all", "ls -a"], ["List most", "ls -A"], ["Nothing", ""]]},
    },
    "linux": {"ip": {"s": "Net", "e": [["Show links", "ip link"]]}},
}
CLEAN = {"fix_unicode": True, "unescape_html": False, "min_chars": 1, "max_chars": 999}
PAIR = {
    "kind": "pair",
    "prompt": ["page", "request"],
    "joined_by": ": ",
    "answer": "command",
    "system": None,
    "replace": [{"pattern": r"\{\{(\w+)\}\}", "by": r"<\1>"}],
}
JSON = {
    "kind": "json",
    "rows": ["common", "*", "e", "*"],
    "columns": [
        {"kind": "key", "name": "page", "star": 1},
        {"kind": "value", "name": "about", "at": ["common", "*", "s"]},
        {"kind": "value", "name": "request", "at": ["common", "*", "e", "*", "0"]},
        {"kind": "value", "name": "command", "at": ["common", "*", "e", "*", "1"]},
    ],
}
WORDS = {"system": "system", "user": "human", "assistant": "gpt"}
SHAREGPT = {
    "kind": "messages",
    "column": "conversations",
    "role": "from",
    "content": "value",
    "roles": WORDS,
}


def table(file: str, form: dict[str, Any], turns: dict[str, Any] | None, **more: Any) -> Table:
    """A table of a corpus."""
    given = {"name": "t", "of": "sources.raw", "file": file, "format": form, "missing": [""]}
    given |= {"text": None, "turns": turns, "label": None, "group": None}
    return Table.model_validate(given | more)


def build(folder: Path, one: Table, **changes: Any) -> tuple[Report, pl.DataFrame, pl.DataFrame]:
    """(report, what is kept, what is rejected) of a corpus of one table in folder/raw."""
    out = folder / "out"
    out.mkdir()
    spec = {
        "tables": [one.model_dump()],
        "labels": [],
        "clean": CLEAN,
        "contradictions": "keep_all",
        "near_duplicates": None,
        "without": [],
        **changes,
    }
    needs = Needs({"sources.raw": folder / "raw"}, None, Machine(device="cpu"))
    report = corpus.build(CorpusSpec.model_validate(spec), needs, out)
    kept = documents.read(out / "documents.parquet")
    return report, kept, documents.read(out / "rejected.parquet")


def turns_in(frame: pl.DataFrame) -> list[list[tuple[str, str]]]:
    """The turns of each row."""
    return [[(turn["role"], turn["content"]) for turn in turns] for turns in frame["turns"]]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """The folder of the source."""
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.mark.parametrize("packed", [False, True])
def test_nested_json_becomes_rows(raw: Path, packed: bool) -> None:
    """Keys, values beside the row and values of it; other platforms are not selected."""
    data = json.dumps(PAGES).encode()
    (raw / "pages.json").write_bytes(gzip.compress(data) if packed else data)
    one = table("pages.json", JSON, PAIR, group={"column": "page", "pattern": None})
    report, kept, rejected = build(raw.parent, one)
    assert sorted(turns_in(kept)) == [
        [("user", "git-notes: Show the notes"), ("assistant", "git notes show <x>")],
        [("user", "ls: List all"), ("assistant", "ls -a")],
        [("user", "ls: List most"), ("assistant", "ls -A")],
    ]
    assert Counter(kept["group"]) == {"t:git-notes": 1, "t:ls": 2}
    assert rejected.select("row", "reason").rows() == [(4, "no answer")]
    assert report.metrics["documents"] == 3
    assert documents.read_clean(raw.parent / "out")["keep_lines"]


@pytest.mark.parametrize(
    ("text", "rows", "found"),
    [
        (b'{"a": [1', ["a", "*"], "line 1 does not parse as JSON"),
        (b'{"a": 1}\n{"a": 2}', ["a"], "Extra data"),
        (b'{"a": {"b": 1, "b": 2}}', ["a", "*"], "has the key 'b' twice"),
        (b'{"a": "text"}', ["a", "*"], "`*` stands for the entries"),
        (b'{"a": [1]}', ["c", "*"], "selects no row"),
        (b'{"a": "\xff"}', ["a"], "not UTF-8"),
        (b"\x1f\x8b\x08broken", ["a"], "no whole gzip file"),
    ],
)
def test_what_is_no_such_document_is_refused(
    tmp_path: Path, text: bytes, rows: list[str], found: str
) -> None:
    """With the place, and nothing is read in silence."""
    path = tmp_path / "a.json"
    path.write_bytes(text)
    columns = [{"kind": "value", "name": "v", "at": rows}]
    form = Nested.model_validate({"kind": "json", "rows": rows, "columns": columns})
    with pytest.raises(LmspecError, match=r"sources\.raw a\.json") as error:
        list(nested.rows(path, form, {"v"}, "sources.raw a.json"))
    assert found in str(error.value)


CHATS = [
    [
        ("system", "Be brief"),
        ("human", "Hi\n  there"),
        ("gpt", "Hello"),
        ("human", "2+2?"),
        ("gpt", "4"),
    ],
    [("human", "a question"), ("gpt", "an answer")],
    [("gpt", "an answer"), ("human", "a question")],
    [("human", "a question"), ("gpt", "answered"), ("human", "thanks")],
    [("human", "a question"), ("tool", "x"), ("gpt", "y")],
    [("human", " "), ("gpt", "y")],
    [],
]


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "json"])
def test_conversations_are_read_from_each_format(raw: Path, kind: str) -> None:
    """ShareGPT's names; what is no conversation is counted by its reason, lines stay."""
    rows = [[{"from": role, "value": text} for role, text in turns] for turns in CHATS]
    file, form = f"a.{kind}", {"kind": kind}
    if kind == "parquet":
        pl.DataFrame({"conversations": rows}).write_parquet(raw / file)
    elif kind == "jsonl":
        lines = [json.dumps({"conversations": turns}) + "\n" for turns in rows]
        (raw / file).write_text("".join(lines))
    else:
        (raw / file).write_text(json.dumps(rows))
        column = {"kind": "value", "name": "conversations", "at": ["*"]}
        form |= {"rows": ["*"], "columns": [column]}
    report, kept, rejected = build(raw.parent, table(file, form, SHAREGPT))
    names = {"human": "user", "gpt": "assistant"}
    expected = [[(names.get(role, role), text) for role, text in turns] for turns in CHATS[:2]]
    assert sorted(turns_in(kept)) == sorted(expected)
    assert report.metrics["rejected"] == Counter(rejected["reason"])
    assert dict(rejected.select("row", "reason").rows()) == {
        3: "roles out of order",
        4: "no answer",
        5: "unknown role",
        6: "no prompt",
        7: "no prompt",
    }


def test_plain_text_becomes_rows(raw: Path) -> None:
    """A line, a paragraph or all of it; carriage returns end lines, too."""
    (raw / "a.txt").write_bytes(b"one\r\ntwo\r\n\r\n \r\nthree\n\n")
    for unit, expected in (
        ("line", ["one", "two", "three"]),
        ("paragraph", ["one two", "three"]),
        ("file", ["one two three"]),
    ):
        one = table("a.txt", {"kind": "text", "unit": unit}, None, text="text")
        texts = [row["text"] for row in rawtable.rows(raw / "a.txt", one)]
        assert [" ".join((text or "").split()) for text in texts] == expected


def pairs(raw: Path, rows: list[tuple[str, str]]) -> Table:
    """A table of those prompts and answers."""
    lines = [json.dumps({"q": prompt, "a": answer}) + "\n" for prompt, answer in rows]
    (raw / "a.jsonl").write_text("".join(lines))
    turns = PAIR | {"prompt": ["q"], "answer": "a", "replace": []}
    return table("a.jsonl", {"kind": "jsonl"}, turns)


@pytest.mark.parametrize(
    ("rule", "answers", "reasons"),
    [
        ("keep_all", ["ls", "ls -A", "ls -a"], {"exact duplicate": 1}),
        ("keep_first", ["ls", "ls -a"], {"exact duplicate": 1, "contradictory answer": 1}),
        ("majority", ["ls", "ls -a"], {"exact duplicate": 1, "contradictory answer": 1}),
        ("drop", ["ls"], {"contradictory answer": 3}),
    ],
)
def test_answers_to_one_prompt_are_kept_by_rule(
    raw: Path,
    capsys: pytest.CaptureFixture[str],
    rule: str,
    answers: list[str],
    reasons: dict[str, int],
) -> None:
    """Upper case in an answer makes another answer, in a prompt it does not."""
    rows = [("list all", "ls -a"), ("List  all", "ls -A"), ("list all", "ls -a"), ("list", "ls")]
    report, kept, _ = build(raw.parent, pairs(raw, rows), contradictions=rule)
    assert sorted(turns[-1][1] for turns in turns_in(kept)) == answers
    assert report.metrics["rejected"] == reasons
    assert ("1 prompts have different answers" in capsys.readouterr().err) == (rule != "keep_all")


def cut(folder: Path, **more: Any) -> tuple[Report, dict[str, pl.DataFrame]]:
    """The splits of the corpus that `build` wrote."""
    fields = {"of": "corpus.c", "train": 0.6, "dev": 0.2, "test": 0.2, "seed": 1}
    spec = SplitsSpec.model_validate(fields | {"keep_together": None} | more)
    needs = Needs({"corpus.c": folder / "out"}, None, Machine(device="cpu"))
    out = folder / f"cut{len(more)}"
    out.mkdir()
    report = splits.build(spec, needs, out)
    return report, {part: documents.read_split(out, part) for part in ("train", "dev", "test")}


def test_a_prompt_is_in_one_split_and_repeated_answers_are_counted(raw: Path) -> None:
    """All answers to a prompt share a split; `same_answers: together` keeps answers apart, too."""
    rows = [(f"prompt {i} of them", f"answer {i % 15}") for i in range(40)]
    rows += [(f"prompt {i} of them", "another answer to it") for i in range(0, 40, 2)]
    build(raw.parent, pairs(raw, rows))
    report, parts = cut(raw.parent)
    prompts = [{turns[0][1] for turns in turns_in(part)} for part in parts.values()]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 40
    learned = {turns[1][1] for turns in turns_in(parts["train"])}
    known = sum(turns[1][1] in learned for turns in turns_in(parts["test"]))
    assert report.metrics["test"]["answers_in_train"] == known > 0

    build_again = raw.parent / "again"
    (build_again / "raw").mkdir(parents=True)
    build(build_again, pairs(build_again / "raw", rows[:40]))
    report, parts = cut(build_again, same_answers="together")
    assert report.metrics["test"]["answers_in_train"] == 0
    assert all(part.height for part in parts.values())


def test_ids_tell_apart_what_differs() -> None:
    """Roles, and letters of either case; a prompt's id is the same in every corpus."""
    one = [conversing.Turn("user", "a"), conversing.Turn("assistant", "ls -a")]
    other = [conversing.Turn("user", "a"), conversing.Turn("assistant", "ls -A")]
    joined = [conversing.Turn("user", 'a"], ["assistant", "ls -a')]
    assert len({conversing.row_id(turns) for turns in (one, other, joined)}) == 3
    assert conversing.prompt_id(one) == conversing.prompt_id(other)
    assert conversing.answer_id(one) != conversing.answer_id(other)
