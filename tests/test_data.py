"""From raw rows to three splits: no row is lost or in two splits, and the same rows give the same
bytes."""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from lmspec.errors import LmspecError
from lmspec.formats import documents, sides
from lmspec.methods import cleaning, grouping, labelling, splitting
from lmspec.specs.corpus import (
    PERSONAL,
    Clean,
    ColumnLabel,
    CorpusSpec,
    Group,
    ThresholdLabel,
)
from lmspec.specs.numerics import Machine
from lmspec.specs.splits import SplitsSpec
from lmspec.stage import Needs, Report
from stages import corpus, splits
from tests.neighbours import jaccard, with_neighbours

CLEAN = {"fix_unicode": True, "unescape_html": True, "min_chars": 3, "max_chars": 60}
NEAR = {"shingle_chars": 3, "threshold": 0.6, "permutations": 128}
WORDS = [a + b + c for a in ("br", "k", "st", "m") for b in "aeiou" for c in ("n", "lt", "sk", "p")]
NASTY = [
    "",
    " ",
    "\0",
    "\ufeffx",
    "&nbsp;",
    "&#xD800;",
    "&&amp;;",
    "&amp",
    "<&lt;>",
    "e\u0301",
    "\u200bz",
    "ﬁ",
    "Ã la",
    "â€™",
    "\x1b[1mz",
]


def repaired(text: str, **changes: object) -> str:
    """A text after cleaning; changes are to the fields of CLEAN."""
    return cleaning.repair(text, Clean.model_validate({**CLEAN, **changes}))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("AT&amp;amp;T &amp;amp;lt;3", "AT&T <3"),
        ("it&#39;s &quot;so&quot;&nbsp;&nbsp;so", 'it\'s "so" so'),
        ("itâ€™s dÃ©jÃ  vu", "it's déjà vu"),
        ("cafÃƒÂ© noir", "café noir"),
        (" a\t b\r\n\u2003c\xa0\x0bd ", "a b c d"),
        ("cafe\u0301", "café"),
        ("plain text, 3 < 4 & so on;", "plain text, 3 < 4 & so on;"),
    ],
)
def test_repair_repairs_html_mojibake_and_white_space(raw: str, clean: str) -> None:
    """Entities that were escaped twice, text that was decoded twice, every kind of white space;
    what is correct stays."""
    assert repaired(raw) == clean


def test_repair_repairs_only_what_the_spec_names() -> None:
    """White space is always repaired, HTML and Unicode each on their own."""
    raw = "itâ€™s  &amp;amp;"
    assert repaired(raw, fix_unicode=False) == "itâ€™s &"
    assert repaired(raw, unescape_html=False) == "it's &amp;amp;"
    assert repaired(raw, fix_unicode=False, unescape_html=False) == "itâ€™s &amp;amp;"


def test_repair_twice_is_repair_once() -> None:
    """On nasty strings and on all pairs of them with something between."""
    for text in NASTY + [f"{a}|{b}" for a in NASTY for b in NASTY]:
        assert repaired(repaired(text)) == repaired(text)


@pytest.mark.parametrize("text", ["Ã\nb", "Ã\tla", "Â\n5", "âœ\n œ", " Ã la"])
def test_repair_twice_is_repair_once_where_a_space_completes_mojibake(text: str) -> None:
    """A line break becomes a space, or one at the edge goes; what a second run would then repair,
    the first must."""
    assert repaired(repaired(text)) == repaired(text)


@pytest.mark.parametrize(
    "other",
    ["STRASSE  Nr. 1", "straße nr. 1", "\tStraße\u2003Nr.\n1 ", "Ｓtraße Nr. 1", "straſse nr. 1"],
)
def test_document_id_is_equal_for_texts_that_count_as_the_same(other: str) -> None:
    """Case, white space and compatibility forms do not count."""
    assert cleaning.document_id(other) == cleaning.document_id("Straße Nr. 1")


@pytest.mark.parametrize("letter", ["ΐ", "ΰ"])
def test_document_id_is_equal_where_folding_takes_a_letter_apart(letter: str) -> None:
    """A Greek letter with two marks and its capital are the same text."""
    assert cleaning.document_id(letter) == cleaning.document_id(letter.upper())


def test_document_id_differs_for_other_texts() -> None:
    """Punctuation, accents, order of words and missing spaces count; 16 hexadecimal digits
    distinguish 10,000 texts."""
    texts = ["a b", "ab", "b a", "a b.", "á b", "a-b", ""] + [f"text {i}" for i in range(10_000)]
    names = {cleaning.document_id(text) for text in texts}
    assert len(names) == len(texts) and all(
        len(name) == 16 and int(name, 16) >= 0 for name in names
    )


def test_length_fault_includes_both_bounds() -> None:
    """A text of exactly min_chars or max_chars is kept."""
    clean = Clean.model_validate(CLEAN)
    faults = [cleaning.length_fault("x" * n, clean) for n in (2, 3, 60, 61)]
    assert faults == ["too short", None, None, "too long"]


BANDS = [
    {"label": "negative", "at_least": None, "at_most": -0.5},
    {"label": "neutral", "at_least": -0.25, "at_most": 0.25},
    {"label": "positive", "at_least": 0.5, "at_most": None},
]
LABELS = ("negative", "neutral", "positive")


@pytest.mark.parametrize(
    ("score", "label"),
    [
        ("-0.5", "negative"), ("-1e3", "negative"),
        ("-0.25", "neutral"), ("0.25", "neutral"), ("0", "neutral"), ("-0.0", "neutral"),
        ("0.5", "positive"), (" 7 ", "positive"), ("+.5", "positive"),
    ],
)  # fmt: skip
def test_score_gets_the_label_of_its_band(score: str, label: str) -> None:
    """Both borders belong to the band, and a missing border bounds nothing."""
    rule = ThresholdLabel.model_validate({"kind": "threshold", "column": "score", "bands": BANDS})
    assert labelling.label_of(score, rule, LABELS) == label


@pytest.mark.parametrize(
    "score", ["-0.4999", "0.2501", "0.49999999", "nan", "", "good", "1,5", "0x1"]
)
def test_score_in_no_band_gets_no_label(score: str) -> None:
    """Between two bands, or not a number: rejected with the value that is the reason."""
    rule = ThresholdLabel.model_validate({"kind": "threshold", "column": "score", "bands": BANDS})
    result = labelling.label_of(score, rule, LABELS)
    assert isinstance(result, labelling.NoLabel) and result.detail == score
    if score in ("", "good", "1,5", "0x1"):
        assert result.reason == "score is not a number"


def test_label_of_a_column_is_its_value_or_what_that_is_renamed_to() -> None:
    """A value that is renamed, one that is a label already, one that is neither, and none."""
    rename = {"1": "positive", "neutral": "negative"}
    rule = ColumnLabel.model_validate(
        {"kind": "column", "column": "y", "values": "text", "rename": rename}
    )
    found = [
        labelling.label_of(value, rule, LABELS)
        for value in ("1", " neutral", "positive ", "2", "Positive")
    ]
    assert found[:3] == ["positive", "negative", "positive"]
    assert found[3:] == [
        labelling.NoLabel("not a label", "2"),
        labelling.NoLabel("not a label", "Positive"),
    ]


def test_group_is_named_by_its_source() -> None:
    """Two tables may use the same names; a row without a value is a group of its own, and so is
    each without a rule."""
    whole, part = Group(column="id", pattern=None), Group(column="id", pattern=r"^(\d+)_")
    assert grouping.group_of({"id": "12_3"}, whole, "a") == "a:12_3"
    assert (
        grouping.group_of({"id": "12_3"}, part, "a")
        == "a:12"
        != grouping.group_of({"id": "12_3"}, part, "b")
    )
    assert (
        grouping.group_of({"id": None}, part, "a")
        is None
        is grouping.group_of({"id": "12_3"}, None, "a")
    )


def test_group_pattern_that_does_not_match_is_refused() -> None:
    """The error names the table, the pattern and the value."""
    with pytest.raises(LmspecError, match=r"table a: .*'\^x\(\.\)' finds no group in '12_3'"):
        grouping.group_of({"id": "12_3"}, Group(column="id", pattern="^x(.)"), "a")


def test_group_pattern_whose_group_takes_no_part_is_refused() -> None:
    """Otherwise all such rows are one group, called `a:None`."""
    with pytest.raises(LmspecError):
        grouping.group_of({"id": "12"}, Group(column="id", pattern="(x)?12"), "a")


def test_components_are_connected_by_groups_and_pairs() -> None:
    """Chains through both kinds of bond are one component; None is no group."""
    groups = ["a", None, "b", "a", None, "b", None, None]
    assert splitting.components(8, groups, [(3, 4), (4, 5), (7, 7)]) == [
        [0, 2, 3, 4, 5],
        [1],
        [6],
        [7],
    ]
    assert (
        splitting.components(3, [None] * 3, ()) == [[0], [1], [2]]
        and splitting.components(0, [], ()) == []
    )


def drawn(seed: int, size: int = 400) -> tuple[list[str], list[str | None], list[tuple[str, str]]]:
    """Ids, groups (a third have none; a group is of one stratum) and strata of random rows."""
    draw = random.Random(seed)
    ids = [f"{draw.getrandbits(64):016x}" for _ in range(size)]
    groups = [
        draw.choice([None, f"g{draw.randrange(60)}", f"g{draw.randrange(60)}"]) for _ in range(size)
    ]
    strata = [
        (f"l{hash_of(group or name) % 3}", f"s{hash_of(group or name) % 2}")
        for name, group in zip(ids, groups, strict=True)
    ]
    return ids, groups, strata


def hash_of(text: str) -> int:
    """The same in every process, as `hash` is not."""
    return int(cleaning.document_id(text), 16)


def splits_by_id(
    ids: Sequence[str], groups: Sequence[str | None], strata: Sequence[Any],
    order: Sequence[int], seed: int = 7,
    fractions: Sequence[float] = (0.7, 0.2, 0.1),
) -> dict[str, str]:  # fmt: skip
    """Name -> split, with the rows in a given order."""
    units = splitting.components(len(order), [groups[i] for i in order], ())
    splits = splitting.assign(
        units, [ids[i] for i in order], [strata[i] for i in order], fractions, seed
    )
    return {ids[i]: split for i, split in zip(order, splits, strict=True)}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_assign_puts_every_row_into_one_split_and_no_group_into_two(seed: int) -> None:
    """The three splits together are all rows; the groups that there are stay whole, and not all on
    one split."""
    ids, groups, strata = drawn(seed)
    splits = splits_by_id(ids, groups, strata, range(400))
    assert splits.keys() == set(ids) and set(splits.values()) == set(splitting.SPLITS)
    of_group = {(group, splits[name]) for name, group in zip(ids, groups, strict=True) if group}
    assert (
        len(of_group) == len({group for group, _ in of_group})
        and len({split for _, split in of_group}) == 3
    )


def test_assign_keeps_each_stratum_in_proportion() -> None:
    """Rows without a group: every stratum, however small, is within two rows of its share on every
    split."""
    draw = random.Random(5)
    strata = [draw.choices("abcde", weights=[400, 200, 50, 10, 3])[0] for _ in range(700)]
    ids = [f"{i:04}" for i in range(700)]
    splits = splits_by_id(ids, [None] * 700, strata, range(700))
    counts, totals = (
        Counter((strata[int(name)], split) for name, split in splits.items()),
        Counter(strata),
    )
    for stratum, total in totals.items():
        for split, share in zip(splitting.SPLITS, (0.7, 0.2, 0.1), strict=True):
            assert abs(counts[stratum, split] - share * total) < 2


@pytest.mark.parametrize(
    "fractions", [(1.0, 0.0, 0.0), (0.8, 0.0, 0.2), (0.0, 0.5, 0.5), (0.0, 0.0, 1.0)]
)
def test_assign_leaves_a_split_of_fraction_zero_empty(fractions: tuple[float, ...]) -> None:
    """And no other."""
    ids, groups, strata = drawn(1)
    splits = set(splits_by_id(ids, groups, strata, range(400), fractions=fractions).values())
    assert splits == {
        split for split, share in zip(splitting.SPLITS, fractions, strict=True) if share
    }


def test_rows_of_an_earlier_cut_stay_where_they_were(tmp_path: Path) -> None:
    """Also with another seed and other rows beside them; near-duplicates of a test row follow it.

    The control: without the earlier cut they do not stay."""
    draw, fractions = random.Random(3), (0.7, 0.2, 0.1)
    ids, groups, strata = [f"{i:03}" for i in range(90)], [None] * 90, ["a"] * 90
    first = splits_by_id(ids[:60], groups[:60], strata[:60], range(60))
    sides.write(first, tmp_path / "sides.csv")
    earlier = sides.read(tmp_path, "sides.csv")
    assert earlier == first
    pairs = [(i, draw.randrange(60, 90)) for i in range(0, 60, 9)]
    units = splitting.components(90, groups, pairs)
    for seed in range(3):
        now = splitting.assign(units, ids, strata, fractions, seed, earlier)
        assert all(now[i] == earlier[ids[i]] for i in range(60) if i % 9)
        assert all(now[a] == now[b] for a, b in pairs)
        counts = Counter(now)
        for split, fraction in zip(splitting.SPLITS, fractions, strict=True):
            assert abs(counts[split] - 90 * fraction) < 9
        other = splitting.assign(units, ids, strata, fractions, seed + 5)
        assert any(other[i] != earlier[ids[i]] for i in range(60))


def test_what_is_tied_to_a_test_row_is_tested() -> None:
    """A row that was trained on may become a test row, and never the reverse."""
    ids, units = ["a", "b", "c", "d"], [[0, 1], [2], [3]]
    earlier = {"a": "train", "b": "test", "c": "dev"}
    now = splitting.assign(units, ids, ["x"] * 4, (0.5, 0.25, 0.25), 1, earlier)
    assert now == ["test", "test", "dev", "train"]


def test_assign_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    """Shuffled rows go to the same splits; another seed draws others."""
    ids, groups, strata = drawn(2)
    first = splits_by_id(ids, groups, strata, range(400))
    for shuffle in range(5):
        assert (
            splits_by_id(ids, groups, strata, random.Random(shuffle).sample(range(400), 400))
            == first
        )
    assert splits_by_id(ids, groups, strata, range(400), seed=8) != first


def test_assign_does_not_depend_on_the_order_of_rows_where_groups_mix_strata() -> None:
    """The same, for groups whose rows have different labels and sources."""
    draw = random.Random(0)
    for _ in range(100):
        ids = [f"{draw.getrandbits(64):016x}" for _ in range(60)]
        groups = [draw.choice("abcdefghij") for _ in ids]
        strata = [(draw.choice("xyz"), draw.choice("12")) for _ in ids]
        first = splits_by_id(ids, groups, strata, range(60), fractions=(0.34, 0.33, 0.33))
        assert (
            splits_by_id(
                ids, groups, strata, draw.sample(range(60), 60), fractions=(0.34, 0.33, 0.33)
            )
            == first
        )


def needs(**folders: Path) -> Needs:
    """What a build is handed: folders by key, all of them of sources but `corpus`."""
    named = {
        f"{'corpus' if key == 'corpus' else 'sources'}.{key}": folder
        for key, folder in folders.items()
    }
    return Needs(folders=named, numerics=None, machine=Machine(device="cpu"), root=Path())


def table(form: Mapping[str, object], file: str, **changes: object) -> dict[str, object]:
    """Fields of a table with the columns text, y and author."""
    label = {"kind": "column", "column": "y", "values": "text", "rename": {"1": "good", "0": "bad"}}
    fields = {
        "name": file.replace(".", "-"),
        "of": "sources.raw",
        "file": file,
        "format": form,
        "missing": [""],
        "text": "text",
        "label": label,
    }
    return {**fields, "group": {"column": "author", "pattern": None}, **changes}


def build_corpus(raw: Path, out: Path, *tables: Mapping[str, object], **changes: object) -> Report:
    """Build a corpus of the tables; changes are to its other fields."""
    out.mkdir(parents=True)
    fields = {
        "tables": list(tables),
        "labels": ["bad", "good"],
        "clean": CLEAN,
        "contradictions": "keep_first",
        "near_duplicates": NEAR,
        "without": [],
        **changes,
    }
    return corpus.build(CorpusSpec.model_validate(fields), needs(raw=raw), out)


ROWS: list[tuple[str | None, int | str | None, str | None]] = [
    ("The very first, a &amp;quot;good&amp;quot; one", 1, "ann"),
    ("no", 1, "ann"),
    (None, 1, "ann"),
    ("x" * 61, 0, "bob"),
    ("a text without any label", None, "bob"),
    ("a text with an unknown label", 2, None),
    ("THE VERY FIRST,  a \"good\" one", 0, "cy"),
    ("the very first, a \"good\" one!", 0, "cy"),
    ("something else; entirely different", 0, None),
]  # fmt: skip
REASONS = [None, "too short", "no text", "too long", "no label", "not a label",
           "contradictory label",
           "near-duplicate with another label", None]  # fmt: skip
FORMS = {
    "rows.tsv": {"kind": "tsv", "quoting": "none", "columns": None},
    "bare.tsv": {"kind": "tsv", "quoting": "none", "columns": ["text", "y", "author"]},
    "rows.csv": {"kind": "csv", "quoting": "double", "columns": None},
    "rows.jsonl": {"kind": "jsonl"},
    "rows.parquet": {"kind": "parquet"},
}


def write_rows(folder: Path, file: str) -> None:
    """ROWS in the format that the file's name says."""
    folder.mkdir(exist_ok=True)
    cells = [["" if value is None else str(value) for value in row] for row in ROWS]
    names = [] if file.startswith("bare") else [["text", "y", "author"]]
    if file.endswith("tsv"):
        text = "".join("\t".join(row) + "\n" for row in names + cells)
    elif file.endswith("csv"):
        text = "".join(
            ",".join('"{}"'.format(cell.replace('"', '""')) if cell else "" for cell in row) + "\n"
            for row in names + cells
        )
    elif file.endswith("jsonl"):
        text = "".join(
            json.dumps(dict(zip(("text", "y", "author"), row, strict=True))) + "\n" for row in ROWS
        )
    else:
        return pl.DataFrame(ROWS, schema=["text", "y", "author"], orient="row").write_parquet(
            folder / file
        )
    (folder / file).write_text(text, encoding="utf-8")
    return None


@pytest.mark.parametrize("file", FORMS)
def test_corpus_accounts_for_every_row(tmp_path: Path, file: str) -> None:
    """In each format every row is in exactly one of the two tables, with the right reason, and the
    report counts them."""
    write_rows(tmp_path / "raw", file)
    report = build_corpus(tmp_path / "raw", tmp_path / "out", table(FORMS[file], file))
    kept, rejected = (
        documents.read(tmp_path / "out/documents.parquet"),
        pl.read_parquet(tmp_path / "out/rejected.parquet"),
    )
    assert dict(zip(rejected["row"], rejected["reason"], strict=True)) == {
        i: r for i, r in enumerate(REASONS, start=1) if r
    }
    name = file.replace(".", "-")
    assert sorted(kept.drop("id").iter_rows()) == [
        ('The very first, a "good" one', "good", f"{name}:ann", name),
        ("something else; entirely different", "bad", None, name),
    ]
    assert kept["id"].to_list() == sorted(cleaning.document_id(text) for text in kept["text"])
    assert dict(kept.schema) == documents.DOCUMENT and dict(rejected.schema) == documents.REJECTED
    assert documents.read_labels(tmp_path / "out") == ["bad", "good"]
    assert report.metrics == {
        "documents": 2,
        "rejected": dict(sorted(Counter(filter(None, REASONS)).items())),
        "contradictions": {"texts": 1, "rows": 2, "near_duplicates": 1},
        "personal_data": dict.fromkeys(PERSONAL, 0),
        "redacted": dict.fromkeys(PERSONAL, 0),
        "table": {name: {"documents": 2, "label": {"bad": 1, "good": 1}}},
    }


def test_corpus_gives_the_reason_for_each_rejected_row(tmp_path: Path) -> None:
    """The length, the value, the column, or the id of the document that is kept in its place."""
    write_rows(tmp_path / "raw", "rows.csv")
    build_corpus(tmp_path / "raw", tmp_path / "out", table(FORMS["rows.csv"], "rows.csv"))
    first = cleaning.document_id('The very first, a "good" one')
    rejected = pl.read_parquet(tmp_path / "out/rejected.parquet").sort("row")
    details = ["2 characters", "", "61 characters", "", "2", first, first]
    assert rejected["detail"].to_list() == details
    other = rejected.select("label", "other_table", "other_row", "other_label").tail(2).rows()
    assert other == [("bad", "rows-csv", 1, "good")] * 2


def test_corpus_keeps_the_first_of_two_duplicates_across_tables(tmp_path: Path) -> None:
    """The order of the tables decides, and the group is named by its table."""
    for file in FORMS:
        write_rows(tmp_path / "raw", file)
    for order in (list(FORMS), list(FORMS)[::-1]):
        out = tmp_path / order[0]
        build_corpus(tmp_path / "raw", out, *(table(FORMS[file], file) for file in order))
        assert set(documents.read(out / "documents.parquet")["table"]) == {
            order[0].replace(".", "-")
        }
        assert pl.read_parquet(out / "rejected.parquet").height == 9 * len(FORMS) - 2


def test_corpus_names_a_kept_document_for_a_duplicate_of_a_near_duplicate(tmp_path: Path) -> None:
    """The third row repeats the second, which gives way to the first: both name the first."""
    lines = [
        "what a very good film it was",
        "what a very good film it was!",
        "What a very good film it was!",
    ]
    (tmp_path / "a.tsv").write_text("".join(f"{line}\t1\tann\n" for line in lines))
    build_corpus(tmp_path, tmp_path / "out", table(FORMS["bare.tsv"], "a.tsv"))
    rejected = pl.read_parquet(tmp_path / "out/rejected.parquet")
    assert (
        rejected["detail"].to_list()
        == documents.read(tmp_path / "out/documents.parquet")["id"].to_list() * 2
    )


def test_corpus_without_near_duplicates_keeps_them(tmp_path: Path) -> None:
    """null turns only exact ones away."""
    write_rows(tmp_path / "raw", "rows.csv")
    report = build_corpus(
        tmp_path / "raw",
        tmp_path / "out",
        table(FORMS["rows.csv"], "rows.csv"),
        near_duplicates=None,
    )
    assert report.metrics["documents"] == 3 and "near-duplicate" not in report.metrics["rejected"]


def test_corpus_keeps_no_two_near_duplicates(tmp_path: Path) -> None:
    """Of 100 texts with neighbours, no pair far above the threshold is left, and each that went
    names one that stayed."""
    (tmp_path / "a.tsv").write_text("".join(f"{text}\t1\t\n" for text in with_neighbours(6)))
    build_corpus(
        tmp_path,
        tmp_path / "out",
        table(FORMS["bare.tsv"], "a.tsv"),
        clean={**CLEAN, "max_chars": 100},
    )
    kept, rejected = (
        documents.read(tmp_path / "out/documents.parquet"),
        pl.read_parquet(tmp_path / "out/rejected.parquet"),
    )
    assert all(jaccard(one, other, 3) < 0.8 for one, other in combinations(kept["text"], 2))
    text_of = dict(kept.select("id", "text").iter_rows())
    for text, reason, detail in rejected.select("text", "reason", "detail").iter_rows():
        assert reason == "near-duplicate" and jaccard(text, text_of[detail], 3) >= 0.6


def test_corpus_reads_commas_quotes_and_line_breaks_within_quotes(tmp_path: Path) -> None:
    """In CSV they are text; in TSV a quote is a character like any other."""
    (tmp_path / "a.csv").write_text('y,text,more\n1,"one, ""two""\nthree",x\n0,"four ""five",x\n')
    (tmp_path / "a.tsv").write_text('y\ttext\n1\t"six seven\n0\teight" nine\n')
    label = {"kind": "column", "column": "y", "values": "text", "rename": {"1": "good", "0": "bad"}}
    tables = [
        table(
            {"kind": f"{k}sv", "quoting": q, "columns": None}, f"a.{k}sv", label=label, group=None
        )
        for k, q in (("c", "double"), ("t", "none"))
    ]
    build_corpus(tmp_path, tmp_path / "out", *tables)
    texts = documents.read(tmp_path / "out/documents.parquet")["text"]
    assert sorted(texts) == ['"six seven', 'eight" nine', 'four "five', 'one, "two" three']


@pytest.mark.parametrize("file", ["rows.tsv", "bare.tsv", "rows.csv", "rows.jsonl"])
def test_corpus_is_the_same_from_a_file_with_a_byte_order_mark(tmp_path: Path, file: str) -> None:
    """A UTF-8 BOM is part of no column's name and of no text."""
    write_rows(tmp_path / "raw", file)
    build_corpus(tmp_path / "raw", tmp_path / "plain", table(FORMS[file], file))
    (tmp_path / "raw" / file).write_bytes(b"\xef\xbb\xbf" + (tmp_path / "raw" / file).read_bytes())
    build_corpus(tmp_path / "raw", tmp_path / "marked", table(FORMS[file], file))
    assert bytes_of(tmp_path / "marked") == bytes_of(tmp_path / "plain")


@pytest.mark.parametrize("file", ["rows.tsv", "bare.tsv", "rows.csv", "rows.jsonl"])
def test_corpus_is_the_same_from_a_file_of_another_system(tmp_path: Path, file: str) -> None:
    """CRLF ends a line as LF does, and the last column holds no CR."""
    write_rows(tmp_path / "raw", file)
    build_corpus(tmp_path / "raw", tmp_path / "plain", table(FORMS[file], file))
    (tmp_path / "raw" / file).write_bytes(
        (tmp_path / "raw" / file).read_bytes().replace(b"\n", b"\r\n")
    )
    build_corpus(tmp_path / "raw", tmp_path / "crlf", table(FORMS[file], file))
    assert bytes_of(tmp_path / "crlf") == bytes_of(tmp_path / "plain")


def bytes_of(folder: Path) -> dict[str, bytes]:
    """File name -> content."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_corpus_and_splits_give_the_same_bytes_again(tmp_path: Path) -> None:
    """Built twice from the same files."""
    for file in FORMS:
        write_rows(tmp_path / "raw", file)
    for run in ("one", "two"):
        build_corpus(
            tmp_path / "raw",
            tmp_path / run / "corpus",
            *(table(FORMS[file], file) for file in FORMS),
        )
        build_splits(
            tmp_path / run / "corpus", tmp_path / run / "splits", train=0.5, dev=0.5, test=0.0
        )
    for noun in ("corpus", "splits"):
        assert bytes_of(tmp_path / "one" / noun) == bytes_of(tmp_path / "two" / noun)


@pytest.mark.parametrize("file", ["rows.jsonl", "rows.parquet"])
def test_corpus_does_not_look_at_columns_that_it_does_not_use(tmp_path: Path, file: str) -> None:
    """A list in a column that the spec does not name does no harm."""
    frame = pl.DataFrame(
        {"text": ["a good text"], "y": [1], "author": ["ann"], "tags": [["a", "b"]]}
    )
    frame.write_parquet(tmp_path / file) if file.endswith("parquet") else frame.write_ndjson(
        tmp_path / file
    )
    assert (
        build_corpus(tmp_path, tmp_path / "out", table(FORMS[file], file)).metrics["documents"] == 1
    )


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("rows.tsv", b"text\ty\tauthor\na\t1\tann\textra\n", "line 2 has 4 fields"),
        ("rows.tsv", b"text\ty\tauthor\ncaf\xe9\t1\tann\n", "line 2 is not UTF-8: byte 0xE9"),
        ("bare.tsv", b"a\t1\n", "line 1 has 2 fields"),
        ("rows.csv", b'text,y,author\n"never closed,1,ann\n', "line 2 is never closed"),
        ("rows.csv", b"", "it is empty"),
        ("rows.jsonl", b'{"text": "a", "y": 1}\nnot json\n', "line 2 does not parse as JSON"),
        ("rows.jsonl", b'{"text": "a", "y": 1}\n{"text": "cut o', "line 2 does not parse"),
        ("rows.parquet", b"PAR1 it is not", "it does not parse as parquet"),
    ],
)
def test_corpus_of_a_file_that_does_not_parse_is_refused(
    tmp_path: Path, file: str, content: bytes, found: str
) -> None:
    """The error names the table, the file, and the line."""
    (tmp_path / file).write_bytes(content)
    with pytest.raises(LmspecError) as caught:
        build_corpus(tmp_path, tmp_path / "out", table(FORMS[file], file))
    assert caught.value.place == f"sources.raw {file}"
    assert found in caught.value.found


@pytest.mark.parametrize("header", ["text,y,y", "text,y,author,text"])
def test_corpus_of_a_file_with_two_columns_of_a_name_is_refused(
    tmp_path: Path, header: str
) -> None:
    """As a join leaves them; polars alone would take the first."""
    columns = header.count(",") + 1
    (tmp_path / "rows.csv").write_text(f"{header}\n{','.join('a1bc'[:columns])}\n")
    with pytest.raises(LmspecError, match="it has two columns"):
        build_corpus(tmp_path, tmp_path / "out", table(FORMS["rows.csv"], "rows.csv"))


@pytest.mark.parametrize("file", FORMS)
def test_corpus_without_a_file_or_a_column_is_refused(tmp_path: Path, file: str) -> None:
    """The error names the table and the file, what is missing, and what there is instead."""
    write_rows(tmp_path / "raw", file)
    with pytest.raises(LmspecError) as caught:
        build_corpus(tmp_path / "raw", tmp_path / "one", table(FORMS[file], "none.txt"))
    assert (
        caught.value.place == "sources.raw none.txt"
        and "no such file" in caught.value.found
        and file in caught.value.remedy
    )
    label = {"kind": "column", "column": "label", "values": "text", "rename": None}
    for column, change in (
        ("body", {"text": "body"}),
        ("label", {"label": label}),
        ("who", {"group": {"column": "who", "pattern": None}}),
    ):
        if FORMS[file].get(
            "columns"
        ):  # the spec names the columns: it is wrong before any file is read
            with pytest.raises(ValidationError, match=f"the file has no column '{column}'"):
                build_corpus(
                    tmp_path / "raw", tmp_path / column, table(FORMS[file], file, **change)
                )
            continue
        with pytest.raises(LmspecError) as caught:
            build_corpus(tmp_path / "raw", tmp_path / column, table(FORMS[file], file, **change))
        assert (caught.value.place, caught.value.found) == (
            f"sources.raw {file}",
            f"it has no column '{column}'",
        )
        assert "'text', 'y', 'author'" in caught.value.remedy


def test_corpus_with_no_row_left_is_refused(tmp_path: Path) -> None:
    """The error counts the reasons."""
    (tmp_path / "a.tsv").write_text("no\t1\tann\nlong enough\t9\tann\n")
    with pytest.raises(LmspecError, match="no row is left") as caught:
        build_corpus(tmp_path, tmp_path / "out", table(FORMS["bare.tsv"], "a.tsv"))
    assert "1 not a label, 1 too short" in caught.value.found
    assert "the labels are bad, good; the tables have '9' 1 row" in caught.value.remedy


def build_splits(folder: Path, out: Path, **changes: object) -> Report:
    """Cut a corpus into three; changes are to the fields of the spec."""
    out.mkdir()
    fields = {
        "of": "corpus.corpus",
        "train": 0.6,
        "dev": 0.2,
        "test": 0.2,
        "seed": 1,
        "keep_together": NEAR,
        **changes,
    }
    return splits.build(SplitsSpec.model_validate(fields), needs(corpus=folder), out)


def test_splits_with_too_few_documents_are_refused(tmp_path: Path) -> None:
    """A split that the spec wants and that is empty is an error, not a surprise in training."""
    write_rows(tmp_path / "raw", "rows.tsv")
    build_corpus(tmp_path / "raw", tmp_path / "corpus", table(FORMS["rows.tsv"], "rows.tsv"))
    with pytest.raises(LmspecError, match="split is empty"):
        build_splits(tmp_path / "corpus", tmp_path / "splits", train=0.98, dev=0.01, test=0.01)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 160 documents of two labels, 60 of them in groups of three, with near-duplicates
    among them."""
    folder = tmp_path_factory.mktemp("mixed")
    texts = [text for seed in (11, 12) for text in with_neighbours(seed)]
    lines = [
        f"{text}\t{i % 2}\t{f'author{i // 3}' if i < 60 else ''}\n" for i, text in enumerate(texts)
    ]
    (folder / "a.tsv").write_text("".join(lines))
    tables = table(FORMS["bare.tsv"], "a.tsv")
    build_corpus(
        folder, folder / "corpus", tables, near_duplicates=None, clean={**CLEAN, "max_chars": 100}
    )
    return folder / "corpus"


@pytest.mark.parametrize("seed", [1, 2])
def test_splits_are_the_corpus_in_three(tmp_path: Path, mixed: Path, seed: int) -> None:
    """Each document is on one split, unchanged and ordered by id; no group and no near pair is on
    two; the report counts."""
    report = build_splits(mixed, tmp_path / "out", seed=seed)
    splits = {split: documents.read_split(tmp_path / "out", split) for split in splitting.SPLITS}
    whole = documents.read(mixed / "documents.parquet")
    assert pl.concat(splits.values()).sort("id").equals(whole)
    assert all(
        part["id"].is_sorted() and dict(part.schema) == documents.DOCUMENT
        for part in splits.values()
    )
    split_of = {name: split for split, part in splits.items() for name in part["id"]}
    of_group = {
        (group, split_of[name]) for name, group in whole.select("id", "group").iter_rows() if group
    }
    assert len(of_group) == len({group for group, _ in of_group}) == 20
    ids, texts = whole["id"].to_list(), whole["text"].to_list()
    near = [
        (a, b) for a, b in combinations(range(len(ids)), 2) if jaccard(texts[a], texts[b], 3) >= 0.8
    ]
    assert len(near) > 20 and all(split_of[ids[a]] == split_of[ids[b]] for a, b in near)
    assert documents.read_labels(tmp_path / "out") == ["bad", "good"]
    assert report.metrics == {
        split: {
            "documents": part.height,
            "label": dict(sorted(Counter(part["label"]).items())),
            "empty_labels": 0,
        }
        for split, part in splits.items()
    }


def test_splits_without_keep_together_part_near_duplicates(tmp_path: Path, mixed: Path) -> None:
    """The control of the test above: it is `keep_together` that keeps them together."""
    build_splits(mixed, tmp_path / "out", keep_together=None)
    splits = {
        split: documents.read_split(tmp_path / "out", split)["text"].to_list()
        for split in splitting.SPLITS
    }
    assert any(
        jaccard(a, b, 3) >= 0.8 for a in splits["train"] for b in splits["dev"] + splits["test"]
    )


def test_labels_too_small_for_a_split_are_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the output and in the metrics, by label; the control: no other label is."""
    rows = [f"text number {i}\t{int(i == 7)}\t\n" for i in range(60)]
    (tmp_path / "a.tsv").write_text("".join(rows))
    tables = table(FORMS["bare.tsv"], "a.tsv")
    build_corpus(tmp_path, tmp_path / "corpus", tables, near_duplicates=None)
    report = build_splits(tmp_path / "corpus", tmp_path / "out", keep_together=None)
    (split,) = (name for name, found in report.metrics.items() if not found["empty_labels"])
    empty = [name for name in splitting.SPLITS if name != split]
    printed = capsys.readouterr().err
    for name in empty:
        assert f"too small for the {name} split, which has none: 'good' (1 in all)" in printed
        assert report.metrics[name]["label"]["good"] == 0 < report.metrics[name]["label"]["bad"]
    assert "'bad'" not in printed and f"the {split} split" not in printed


def test_splits_with_a_fraction_of_zero_leave_that_split_empty(tmp_path: Path, mixed: Path) -> None:
    """Its file is there, with the same columns and no row."""
    report = build_splits(mixed, tmp_path / "out", train=0.0, dev=0.0, test=1.0)
    assert dict(documents.read_split(tmp_path / "out", "train").schema) == documents.DOCUMENT
    empty = {"documents": 0, "label": {}, "empty_labels": 0}
    assert report.metrics["train"] == report.metrics["dev"] == empty
    assert documents.read_split(tmp_path / "out", "test").equals(
        documents.read(mixed / "documents.parquet")
    )


def test_kept_columns_are_kept_and_no_other(tmp_path: Path) -> None:
    """As text, under their names, in each split; a missing one is null, a table without them has
    none, and a corpus that keeps nothing has the same bytes as ever."""
    raw = tmp_path / "raw"
    raw.mkdir()
    lines = [
        f"{word} is fine\tgood\t{i % 3}\t{'' if i % 5 else 'x'}" for i, word in enumerate(WORDS)
    ]
    (raw / "a.tsv").write_text("text\tlabel\tage\tregion\n" + "\n".join(lines) + "\n")
    other = [f"{word} was bad\tbad" for word in WORDS]
    (raw / "b.tsv").write_text("text\tlabel\n" + "\n".join(other) + "\n")
    form = {"kind": "tsv", "quoting": "none", "columns": None}
    label = {"kind": "column", "column": "label", "values": "text", "rename": None}
    tables = [table(form, f"{name}.tsv", group=None, label=label) for name in "ab"]
    plain = tmp_path / "plain"
    build_corpus(raw, plain, *tables, near_duplicates=None)
    tables[0]["keep"] = ["region", "age"]
    report = build_corpus(raw, tmp_path / "kept", *tables, near_duplicates=None)
    frame = documents.read(tmp_path / "kept/documents.parquet")
    assert frame.columns == [*documents.DOCUMENT, "region", "age"]
    assert documents.read(plain / "documents.parquet").equals(frame.select([*documents.DOCUMENT]))
    first = {line.split("\t")[0]: line.split("\t")[2:] for line in lines}
    for row in frame.iter_rows(named=True):
        age, region = first.get(row["text"], [None, None])
        assert (row["age"], row["region"]) == (age, region or None)
    assert report.metrics["documents"] == 2 * len(WORDS)


def test_a_text_that_is_made_has_what_its_origin_keeps(tmp_path: Path) -> None:
    """Of templates, which have none, nothing."""
    from tests import test_augmented as made

    splits = made.split(tmp_path / "splits")
    path = splits / "train.parquet"
    frame = documents.read(path)
    ages = pl.Series("age", [str(i) for i in range(frame.height)])
    documents.write(frame.with_columns(ages), path)
    of = dict(zip(frame["id"], ages, strict=True))
    needs = Needs({"splits.a": splits}, None, Machine(device="cpu"), root=tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    made.augmented.build(made.spec("typos", "templates"), needs, out)
    train = documents.read_split(out, "train")
    origin = pl.read_parquet(out / "made.parquet").rows_by_key(
        ["id", "label"], unique=True, named=True
    )
    assert {row["kind"] for row in origin.values()} == {"typos", "templates"}
    for row in train.iter_rows(named=True):
        if (row["id"], row["label"]) in origin:
            assert row["age"] == of.get(origin[row["id"], row["label"]]["made_from"])
        else:
            assert row["age"] == of[row["id"]]
