"""The rows of a file are read as they are, or the file is refused with the line."""

import csv
import io
import json
import os
import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.formats import rawtable
from lmspec.methods import swallowed
from lmspec.scaffold import quoting
from lmspec.scaffold import table as table_of
from lmspec.specs.corpus import Table

Rows = list[tuple[str, str]]
PIECES = [
    '"',
    '""',
    ",",
    "\t",
    "\n",
    "\r\n",
    "\\",
    '\\"',
    "\\\\",
    "'",
    "a",
    "é",
    "词",
    " ",
    ";",
    "😀",
]
SEPARATORS = {"csv": ",", "tsv": "\t"}


def table(kind: str, file: str, how: str | None) -> Table:
    """A table with the columns text and label."""
    form = {"kind": kind} | ({"quoting": how, "columns": None} if how else {})
    label = {"kind": "column", "column": "label", "values": "text", "rename": None}
    fields = {"name": "t", "of": "sources.raw", "file": file, "format": form, "text": "text"}
    return Table.model_validate({**fields, "missing": [""], "label": label, "group": None})


def read(path: Path, kind: str = "csv", how: str | None = "double") -> list[tuple[Any, Any]]:
    """(text, label) of each row."""
    rows = rawtable.rows(path, table(kind, path.name, how))
    return [(row["text"], row["label"]) for row in rows]


def refusal(content: bytes, path: Path, kind: str = "csv", how: str | None = "double") -> str:
    """The message about a file that is refused; short, whatever the file is."""
    path.write_bytes(content)
    with pytest.raises(LmspecError) as caught:
        read(path, kind, how)
    assert caught.value.place == f"sources.raw {path.name}" and len(str(caught.value)) < 400
    return str(caught.value)


def nasty(seed: int, pieces: Sequence[str], count: int = 60) -> Rows:
    """Rows of pieces that readers trip over."""
    draw = random.Random(seed)
    return [
        ("x" + "".join(draw.choices(pieces, k=draw.randrange(1, 9))), draw.choice(["pos", "neg"]))
        for _ in range(count)
    ]


def written(rows: Rows, **dialect: Any) -> str:
    """As Python's csv module writes it."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", **dialect).writerows([("text", "label"), *rows])
    return text.getvalue()


@pytest.mark.parametrize("kind", ["csv", "tsv"])
@pytest.mark.parametrize("seed", range(4))
def test_quoted_fields_come_back(tmp_path: Path, kind: str, seed: int) -> None:
    """Whatever they hold, from two writers, and init finds the quoting."""
    rows, path = nasty(seed, PIECES), tmp_path / f"a.{kind}"
    path.write_text(written(rows, delimiter=SEPARATORS[kind]), newline="")
    assert read(path, kind) == rows and quoting.choose(path, kind) == "double"
    frame = pl.DataFrame(rows, schema=["text", "label"], orient="row")
    frame.write_csv(path, separator=SEPARATORS[kind])
    assert read(path, kind) == rows and quoting.choose(path, kind) == "double"


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_quotes_behind_a_backslash_come_back(tmp_path: Path, kind: str) -> None:
    """As Spark and MySQL write them; another backslash is text."""
    rows, path = nasty(1, [*PIECES, "C:\\new"]), tmp_path / f"a.{kind}"
    fields = [[f.replace("\\", "\\\\").replace('"', '\\"') for f in row] for row in rows]
    lines = [SEPARATORS[kind].join(f'"{f}"' for f in row) for row in [["text", "label"], *fields]]
    path.write_text("\n".join(lines), newline="")
    assert read(path, kind, "backslash") == rows and quoting.choose(path, kind) == "backslash"
    assert "quoting: backslash" in refusal(path.read_bytes(), path, kind)  # the control
    path.write_text('text,label\n"C:\\new \\"x\\"",pos\n')
    assert read(path, "csv", "backslash") == [('C:\\new "x"', "pos")]


def test_without_quoting_a_quote_is_text(tmp_path: Path) -> None:
    """A tsv as IANA defines it: quotes anywhere, no line breaks, and no row swallows another."""
    texts = ['"tis the season', 'a pipe of 5"', 'he says "no"', '"yes" she says', '"']
    rows = [(text, "neg" if i % 2 else "pos") for i, text in enumerate(texts * 20)]
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n" + "".join(f"{a}\t{b}\n" for a, b in rows))
    assert quoting.choose(path, "tsv") == "none" and read(path, "tsv", "none") == rows
    path = tmp_path / "a.csv"
    rows = [('"tis the season', "pos"), ("here is text", "neg"), ('a pipe of 5"', "neg")] * 20
    path.write_text("text,label\n" + "".join(f"{a},{b}\n" for a, b in rows))
    assert quoting.choose(path, "csv") == "none" and read(path, how="none") == rows
    assert len(read(path)) == 20  # the control: every third row swallows the two after it


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_line_end_and_a_byte_order_mark_are_read(tmp_path: Path, end: str, mark: str) -> None:
    """CR alone too; an empty line is no row."""
    for name, how in (("a.csv", "double"), ("a.jsonl", None)):
        row = "a b,pos" if how else '{"text": "a b", "label": "pos"}'
        lines = [*(["text,label"] if how else []), row, "", row]
        (tmp_path / name).write_bytes((mark + end.join(lines) + end).encode())
        assert read(tmp_path / name, name[2:], how) == [("a b", "pos")] * 2


GOOD = "text,label\na b,pos\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"{GOOD}c d\n", "line 3 has 1 fields instead of 2"),
        (f"{GOOD}c, d,pos\n", "line 3 has 3 fields instead of 2"),
        (f'{GOOD}"a\nb",pos\nc\n', "line 5 has 1 fields"),
        (f"{GOOD}{GOOD}", "line 3 repeats the names"),
        (f'{GOOD}"c ""d\ne,pos\n', "the quote that opens in line 3 is never closed: '\"c"),
        (f'{GOOD}"c\nd" e,pos\n', "line 4 has more text after the quote"),
        (f'{GOOD}"c\nd" e,pos\n', "that field begins in line 3"),
        (f"{GOOD}c\0d,pos\n", "line 3 has a NUL byte"),
        (GOOD.encode("utf-16"), "it is UTF-16, not UTF-8"),
        (GOOD.encode("utf-32"), "it is UTF-32, not UTF-8"),
        (GOOD.encode("utf-16-le"), "line 1 has a NUL byte, as UTF-16"),
        (GOOD.encode() + b"caf\xe9 noir,pos\n", "line 3 is not UTF-8: byte 0xE9; as cp1252 it"),
        (GOOD.encode() + b"caf\xe9 noir,pos\n", "reads 'café noir,pos'"),
        (GOOD.encode() + b"x\xe2\x82", "line 3 is not UTF-8: byte 0xE2"),
        (b"\xff\xd8\xff" + b"x" * 1000, "line 1 is not UTF-8"),
        ("", "it is empty"),
        (f"sep=,\n{GOOD}", "line 1 is 'sep=', which Excel reads"),
        ("text,label,text\na,b,c\n", "it has two columns 'text'"),
        ("x" * 600_000, "it has no column 'label', 'text'"),
        (",".join(f"c{i}" for i in range(100_000)), "'c0', 'c1', 'c2', 'c3', 'c4', 'c5'"),
        ("text,label\nstring,discrete\nmeta,class\n", "lines 2 and 3 are no rows"),
    ],
)
def test_a_delimited_file_that_is_none_is_refused_with_the_line(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    """Where, what is there, and what to do."""
    data = content.encode() if isinstance(content, str) else content
    assert words in refusal(data, tmp_path / "a.csv")


def test_a_wrong_byte_is_found_wherever_it_is(tmp_path: Path) -> None:
    """Across the borders of the chunks that are checked, and after characters of several bytes."""
    for before in ("é" * 524_287 + "\n", "a" + "é" * 524_287 + "\n", "詞\n" * 400_000):
        for wrong in (b"\xe9", b"\xe2\x82", b"\x82"):
            text = f"text,label\n{before}".encode()
            line = text.count(b"\n") + 1
            message = refusal(text + b"z" + wrong + b" z\n", tmp_path / "a.csv")
            assert f"line {line} is not UTF-8: byte 0x{wrong[0]:02X}" in message


ONE = '{"text": "a b", "label": "pos"}\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{ONE}{{"text": "c", "label": "pos"}},\n', "line 2 does not parse as JSON: Extra data"),
        (f'{ONE}{{"text": "c", "label": NaN}}\n', "line 2 does not parse as JSON: NaN is no JSON"),
        (f'{ONE}{{"text": "c", "label": -Infinity}}\n', "-Infinity is no JSON"),
        (f'{ONE}{{"text": "c", "label": ["pos"]}}\n', "line 2 has a list in 'label': '[\"pos\"]'"),
        (f'{ONE}{{"text": "c", "label": {{"a": 1}}}}\n', "line 2 has an object in 'label'"),
        (f'{ONE}{{"text": "c", "text": "d", "label": "x"}}\n', "line 2 has the key 'text' twice"),
        (f"{ONE}7\n", "line 2 is no object: '7'"),
        (f"[{ONE.strip()},\n{ONE.strip()}]\n", "it is a JSON array"),
        (f"[{ONE.strip()}]\n", "line 1 is a JSON array"),
        ("[" * 100_000 + "\n", "it is a JSON array"),
        (f"{ONE}{'[' * 100_000}\n", "line 2 does not parse"),
        ('{"text": "a"}\n' * 3, "it has no column 'label'"),
        (f'{ONE}{{"text": "c', "line 2 does not parse as JSON"),
        (f'{ONE}{{"text": "\\ud83d", "label": "x"}}', "line 2 has \\ud83d, half a surrogate pair"),
    ],
)
def test_a_jsonl_file_that_is_none_is_refused_with_the_line(
    tmp_path: Path, content: str, words: str
) -> None:
    """Where, what is there, and what to do."""
    message = refusal(content.encode(), tmp_path / "a.jsonl", "jsonl", None)
    assert words in message and "commas" not in message


def test_values_of_json_are_read_as_they_are_written(tmp_path: Path) -> None:
    """A number keeps its digits, a key that is lacking is null, and objects beside do no harm."""
    values = ["1", "1.0", "1e3", "true", "null", '"null"', "9" * 5000]
    path = tmp_path / "a.jsonl"
    lines = [f'{{"text": "a", "label": {value}, "more": {{"a": 1, "a": 2}}}}' for value in values]
    path.write_text("\n".join([*lines, '{"text": "b"}']))
    assert [label for _, label in read(path, "jsonl", None)] == [
        "1", "1.0", "1e3", "true", None, "null", "9" * 5000, None,
    ]  # fmt: skip


def test_parquet_columns_of_numbers_and_lists(tmp_path: Path) -> None:
    """NaN is null; a list is refused."""
    path = tmp_path / "a.parquet"
    pl.DataFrame({"text": ["a", "b", "c"], "label": [1.0, float("nan"), None]}).write_parquet(path)
    assert read(path, "parquet", None) == [("a", "1.0"), ("b", None), ("c", None)]
    pl.DataFrame({"text": ["a"], "label": [["pos"]]}).write_parquet(path)
    with pytest.raises(LmspecError, match=r"column 'label' holds List\(String\)"):
        read(path, "parquet", None)


def swallowing() -> Iterator[tuple[str, int]]:
    """Texts, and how many other rows they hold."""
    yield "a good film\nham\tOk. I asked\nspam\tWin now\nham\tbye", 3
    yield "a film,pos\nanother film,neg\na pipe of 5", 2
    yield "Dear all,\n\nthe meeting, as you know, is today.\nBye,\nAnn", 0
    yield "roses are red, pos or neg,\nviolets are blue", 0
    yield "def f():\n\treturn 1\n\ndef g():\n\treturn 2", 0
    yield "one line, pos", 0


def test_texts_that_hold_other_rows_are_found() -> None:
    """Rows of this table and of the one that it was made from; prose and code are none."""
    pattern = swallowed.row_pattern(["pos", "neg"])
    for text, rows in swallowing():
        assert swallowed.rows_within(text, pattern) == rows, text


def words(count: int, seed: int = 3) -> list[str]:
    """Different texts."""
    draw = random.Random(seed)
    return [f"text {i} {draw.getrandbits(40):x} {draw.getrandbits(40):x}" for i in range(count)]


def started(path: Path, rows: Sequence[tuple[str, str]]) -> table_of.LabelledTable:
    """What init reads of a CSV."""
    path.write_text(written(list(rows)), newline="")
    return table_of.read(path, "text", "label")


def test_labels_are_the_same_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    """Numbers by size, words by their letters; values that mean nothing are no label."""
    for values in (["3.0", "nan", "1.0", "20.0"], ["pos", "NA", "neg ", " ", "None"]):
        found = []
        for seed in range(4):
            rows = [(text, values[i % len(values)]) for i, text in enumerate(words(100))]
            found.append(started(tmp_path / "a.csv", random.Random(seed).sample(rows, 100)))
        assert all(list(other.labels.items()) == list(found[0].labels.items()) for other in found)
        assert list(found[0].labels) == sorted(
            found[0].labels, key=lambda name: (float(name) if "." in name else 0, name)
        )
        assert all(other.spec == found[0].spec for other in found)


def test_init_says_what_it_takes_for_missing_and_for_the_same(tmp_path: Path) -> None:
    """And writes it into the spec; `none` is a label."""
    values = ["pos", " pos", "neg", "Neg", "NA", "NaN", "", "none", "n/a"]
    rows = [(text, values[i % 9]) for i, text in enumerate(words(180))]
    rows += [("", "pos"), ("nan", "neg"), ("the same", "pos"), ("the  same", "neg")]
    labelled = started(tmp_path / "a.csv", rows)
    assert labelled.labels == {"Neg": 20, "neg": 21, "none": 20, "pos": 41}
    assert labelled.spec["missing"] == ["", "NA", "n/a", "nan", "NaN"]
    assert labelled.spec["label"]["values"] == "text"
    notes = "\n".join(labelled.notes)
    for part in (
        "rows without a text: empty 1, nan 1 (`missing`",
        "rows without a label: NA 20, NaN 20, empty 20, n/a 20 (`missing`",
        "read as another: ' pos' as 'pos' (20 rows)",
        "labels that differ in case stay apart: 'Neg' and 'neg' (`rename`",
        "texts with more than one label: 1 (`contradictions: majority`",
    ):
        assert part in notes
    plain = started(tmp_path / "b.csv", [(t, "ab"[i % 2]) for i, t in enumerate(words(60))])
    assert plain.notes == [] and plain.spec["missing"] == [""]  # the control


def test_one_number_that_is_written_in_two_ways_is_one_label(tmp_path: Path) -> None:
    """`values: number`; numbers that are written in one way stay as they are."""
    rows = [(text, ["1", "1.0", "2"][i % 3]) for i, text in enumerate(words(60))]
    labelled = started(tmp_path / "a.csv", rows)
    assert labelled.labels == {"1": 40, "2": 20} and labelled.spec["label"]["values"] == "number"
    rows = [(text, ["1.0", "2.0"][i % 2]) for i, text in enumerate(words(60))]
    labelled = started(tmp_path / "a.csv", rows)
    assert labelled.labels == {"1.0": 30, "2.0": 30} and labelled.spec["label"]["values"] == "text"


@pytest.mark.parametrize(
    ("scores", "names"),
    [
        ([round(i / 10 - 4, 1) for i in range(81)], ["low", "middle", "high"]),
        (range(101), ["low", "middle", "high"]),
        ([1 + i / 10 for i in range(41)], ["negative", "neutral", "positive"]),
        ([0.0] * 300 + [i / 7 for i in range(1, 60)], ["low", "high"]),
        ([1e-7 * i for i in range(200)], ["low", "middle", "high"]),
        ([1 + i % 9 / 2 for i in range(90)], ["negative", "neutral", "positive"]),
    ],
)
def test_scores_become_bands(tmp_path: Path, scores: Sequence[float], names: list[str]) -> None:
    """Each has rows, together they have all; what is written is what the corpus reads."""
    rows = [(text, str(score)) for text, score in zip(words(len(scores)), scores, strict=True)]
    labelled = started(tmp_path / "a.csv", rows * 2)
    assert list(labelled.labels) == names and all(labelled.labels.values())
    assert sum(labelled.labels.values()) == 2 * len(scores)
    assert any("bands" in note for note in labelled.notes)
    if len(set(scores)) == len(scores):
        assert max(labelled.labels.values()) < 0.5 * 2 * len(scores)


def test_numbers_of_classes_and_of_rows_are_no_scores(tmp_path: Path) -> None:
    """Few whole numbers are labels, with the bands that they could be; one a row is an id."""
    rows = [(text, str(i % 20)) for i, text in enumerate(words(200))]
    labelled = started(tmp_path / "a.csv", rows)
    assert len(labelled.labels) == 20
    (note,) = labelled.notes
    assert "20 different numbers are labels; if they are scores" in note
    assert "{label: low, at_least: null, at_most: 6.0}" in note
    rows = [(text, str(i % 5)) for i, text in enumerate(words(60))]
    assert started(tmp_path / "a.csv", rows).notes == []
    with pytest.raises(LmspecError, match="200 different values"):
        started(tmp_path / "a.csv", [(text, str(i)) for i, text in enumerate(words(200))])


def test_a_file_that_is_no_table_is_shown(tmp_path: Path) -> None:
    """Its first line, since its name says nothing."""
    path = tmp_path / "labels.txt"
    path.write_text("DESC:manner How did serfdom develop?\nENTY:cremat What films?\n")
    with pytest.raises(LmspecError, match="its first line is 'DESC:manner How did"):
        table_of.read(path, "text", "label")


def test_a_file_without_a_header_is_suspected(tmp_path: Path) -> None:
    """Where the label column is called like one of its labels; and not otherwise."""
    path = tmp_path / "a.csv"
    lines = [f"{text},{'ab'[i % 2]}" for i, text in enumerate(words(60))]
    path.write_text("\n".join(lines))
    (note,) = table_of.read(path, lines[0][:-2], "a").notes
    assert note.startswith("'a' is the name of the label column and one of its labels")
    path.write_text("\n".join(["text,label", *lines]))
    assert table_of.read(path, "text", "label").notes == []


def test_a_file_of_another_separator_is_refused_with_a_command(tmp_path: Path) -> None:
    """The command is run as it is printed, and what it writes is read; tabs ask for a name."""
    path = tmp_path / "an export.csv"
    rows = [(f'"{text}"; it\nsays', "ab"[i % 2]) for i, text in enumerate(words(60))]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=";").writerows([("Größe", "label"), *rows])
    with pytest.raises(LmspecError, match="it has one column, 'Größe;label'") as caught:
        table_of.read(path, "Größe", "label")
    command = caught.value.remedy.split("`")[1]
    subprocess.run(
        ["sh", "-c", command], check=True, cwd=tmp_path, env={"PATH": os.environ["PATH"]}
    )
    assert table_of.read(tmp_path / "NEW.csv", "Größe", "label").labels == {"a": 30, "b": 30}
    path.write_text("text\tlabel\na\tb\n")
    with pytest.raises(LmspecError) as caught:
        table_of.read(path, "text", "label")
    assert caught.value.remedy == "its columns are separated by tabs: name it .tsv"


def test_what_is_no_file_of_a_known_kind_says_what_to_do(tmp_path: Path) -> None:
    """A folder; a JSON array; a spreadsheet."""
    (tmp_path / "a.json").write_text('[{"text": "a", "label": "b"}]')
    (tmp_path / "a.xlsx").write_bytes(b"PK\3\4")
    for name, found, remedy in (
        ("", "it is a folder", "name the file"),
        ("a.json", "its first line is", "`jq -c '.[]' a.json > NEW.jsonl`"),
        ("a.xlsx", "it is no .csv", "save it as CSV UTF-8"),
    ):
        with pytest.raises(LmspecError) as caught:
            table_of.read(tmp_path / name, "text", "label")
        assert found in caught.value.found and remedy in caught.value.remedy


def test_init_reads_json_as_it_is_written(tmp_path: Path) -> None:
    """Numbers beside texts of numbers."""
    path = tmp_path / "a.jsonl"
    rows = [{"text": text, "label": [1, "1", 2][i % 3]} for i, text in enumerate(words(60))]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert table_of.read(path, "text", "label").labels == {"1": 40, "2": 20}
