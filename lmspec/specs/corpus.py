"""corpus: cleaned, labelled documents, and the rejected rows with the reason for each."""

from typing import Annotated, Literal, TypeVar, get_args

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, Name, Ref, Spec, To
from lmspec.specs.checks import corpus as checks
from lmspec.specs.checks.bands import bands_are_apart
from lmspec.specs.ratings import RatingsLabel
from lmspec.specs.results import Metric
from lmspec.specs.results import Table as Report
from lmspec.specs.tabular import Band, Delimited, Label, Typed
from lmspec.specs.turns import Column, Messages, MultipleChoice, Nested, Pair, PlainText
from lmspec.specs.votes import VotesLabel

Personal = Literal["handles", "emails", "urls", "phones", "cards"]
PERSONAL: tuple[Personal, ...] = get_args(Personal)


class ColumnLabel(Spec):
    """The label is in a column."""

    holds = (checks.values_are_as_read,)
    kind: Literal["column"] = Field(description="read the label from a column")
    column: Column = Field(description="name of the label column")
    values: Literal["text", "number"] = Field(
        description="text: as written, without white space around it; number: 1, 1.0 and 01 are "
        "the same value, 1"
    )
    rename: dict[str, Label] | None = Field(
        description="value in the file -> label; null: the value is the label"
    )

    def as_read(self, value: str) -> str:
        """A value of the column, normalised."""
        return checks.as_read(value, self.values)


class ThresholdLabel(Spec):
    """The label follows from a score; a score in no band is rejected."""

    holds = (bands_are_apart,)
    kind: Literal["threshold"] = Field(description="derive the label from a number")
    column: Column = Field(description="name of the score column")
    bands: tuple[Band, ...] = Field(
        strict=False, min_length=2, description="which scores get which label"
    )


class Group(Spec):
    """Rows of one group (a document, an author) stay in the same split."""

    holds = (checks.pattern_has_a_group,)
    column: Column = Field(description="name of the group column")
    pattern: Annotated[str, Field(max_length=1000)] | None = Field(
        description="regular expression whose first group is the group; null: the whole value"
    )


class Table(Spec):
    """One file of a source, and how it is read."""

    holds = (
        checks.text_or_turns,
        checks.turns_have_no_label,
        checks.columns_are_named,
        checks.format_has_the_turns,
        checks.kept_columns_have_names_of_their_own,
    )
    name: Name = Field(description="value of the column `table`; metrics are broken down by it")
    of: Annotated[Ref, To(("sources",))] = Field(description="the source that holds the file")
    file: Inside = Field(description="path inside the source's folder")
    format: Annotated[
        Delimited | Typed | Nested | PlainText,
        Field(discriminator="kind", description="file format"),
    ]
    missing: tuple[Annotated[str, Field(max_length=100)], ...] = Field(
        strict=False,
        description="what stands for no text, label, answer or group, white space around it aside, "
        'such as "", NA or nan; null always does',
    )
    text: Column | None = Field(
        description="name of the text column; null: the rows are `turns`, for models that write"
    )
    turns: Annotated[Pair | Messages | MultipleChoice, Field(discriminator="kind")] | None = Field(
        default=None,
        description="prompts and answers, for models that write; without it, each row is a text",
    )
    label: (
        Annotated[
            ColumnLabel | ThresholdLabel | RatingsLabel | VotesLabel, Field(discriminator="kind")
        ]
        | None
    ) = Field(description="where the label comes from; null: no row has one, for pre-training")
    group: Group | None = Field(description="which rows belong together; null: each row alone")
    keep: tuple[Column, ...] = Field(
        default=(),
        strict=False,
        max_length=100,
        description="further columns that rows keep under their names, as text: for groups of"
        " scores and the balance of a training. `missing` stands for no value",
    )


class Clean(Spec):
    """How text is repaired, and which lengths are kept."""

    holds = (checks.bounds_are_in_order,)
    fix_unicode: bool = Field(description="repair mojibake, quotes, control characters; NFC (ftfy)")
    unescape_html: bool = Field(description="&amp; -> &, even if escaped twice")
    min_chars: int = Field(ge=1, le=10_000_000, description="shorter texts are rejected")
    max_chars: int = Field(ge=1, le=10_000_000, description="longer texts are rejected")
    look_alikes: Literal["fold"] | None = Field(
        default=None,
        description="fold: letters of other scripts in place of Latin ones, in a Latin text, become"
        " those; without it, they stay",
    )


class NearDuplicates(Spec):
    """Texts whose character shingles have at least this Jaccard similarity count as the same."""

    holds = (checks.few_pairs_are_missed,)
    shingle_chars: int = Field(ge=2, le=50, description="characters per shingle")
    threshold: float = Field(
        gt=0, le=1, description="Jaccard similarity from which two texts count as the same"
    )
    permutations: int = Field(
        ge=16,
        le=1024,
        description="MinHash permutations; more allow finer bands, so fewer needless comparisons",
    )

    def rows_per_band(self) -> int:
        """Permutations per band of the MinHash index."""
        return checks.rows_per_band(self.threshold, self.permutations)


Rule = TypeVar("Rule", RatingsLabel, VotesLabel)
# kind of a label that follows from the whole table -> what computes it
LABELLED_BY = {"ratings": "stages.rated_corpus", "votes": "stages.voted_corpus"}
CORRECTED = Report("corrected")  # of a corpus with corrections
RATERS = Report("raters")  # of tables whose raters a model knows
FUNCTIONS = Report("functions")  # of tables that labelling functions vote on
RATED = ("rows", "ratings", "raters", "suspected", "disagreed", "signal")
VOTED = {"covered": True, "overlapping": True, "conflicting": True}


class CorpusSpec(Artifact):
    """Documents from one or more files. Of rows with the same text only one is kept."""

    noun = "corpus"
    is_data = True
    metrics = (
        Metric("documents"),
        Metric("rejected.{reason}"),
        Metric("contradictions.texts"),
        Metric("contradictions.rows"),
        Metric("contradictions.near_duplicates"),
        *(Metric(f"personal_data.{kind}", "lower", evidence="count") for kind in PERSONAL),
        *(Metric(f"redacted.{kind}") for kind in PERSONAL),
        Metric("corrections.changed"),
        Metric("corrections.confirmed"),
        Metric("corrections.added"),
        Metric("corrections.left_out"),
        Metric("table.{table}.documents"),
        Metric("table.{table}.label.{label}"),
        *(Metric(f"ratings.{{table}}.{name}") for name in RATED),
        Metric("ratings.{table}.alpha", "higher"),
        *(Metric(f"votes.{{table}}.{name}", share=share) for name, share in VOTED.items()),
    )
    reports = (
        Report("rows", {"x": "table", "y": "label", "template": "confusion", "title": "rows"}),
        CORRECTED,
        RATERS,
        FUNCTIONS,
    )
    holds = (
        checks.labels_are_there,
        checks.labels_are_listed,
        checks.labels_are_given,
        checks.all_tables_have_turns_or_none,
        checks.all_tables_have_choices_or_none,
        checks.no_labels_to_contradict,
        checks.tables_have_their_own_names,
        checks.each_corpus_once,
        checks.each_kind_once,
        checks.corrections_are_of_labels,
    )
    tables: tuple[Table, ...] = Field(
        strict=False, min_length=1, description="in order: the first of two duplicates is kept"
    )
    labels: tuple[Label, ...] = Field(
        strict=False,
        max_length=10_000,
        description="all labels, in the order of the model's outputs; [] if no table has any",
    )
    clean: Clean = Field(description="how texts are repaired, and which are rejected")
    contradictions: Literal["drop", "keep_first", "majority", "keep_all"] = Field(
        description="what becomes of a text that has different labels, or a prompt that has"
        " different answers. drop: no row of it is kept; keep_first: the first one; majority: the"
        " first one with the most frequent label, none if two labels are as frequent; keep_all:"
        " each of them, of prompts alone"
    )
    near_duplicates: NearDuplicates | None = Field(description="null: near-duplicates are kept")
    without: tuple[Annotated[Ref, To(("corpus",))], ...] = Field(
        strict=False,
        description="corpora whose texts are left out: new data must not repeat old test texts",
    )
    deleted: Inside | None = Field(
        default=None,
        description="file of the repository with the ids of rows that are left out, one a line, as"
        " the column `id` has them: such as of people who asked for it. Their texts are not kept"
        " among the rejected; without it, none are",
    )
    redact: tuple[Personal, ...] = Field(
        default=(),
        strict=False,
        description="personal data that placeholders such as [@] stand for, here and in the"
        " bundle; handles: @name; phones, cards: by their form and check digit. What is found is"
        " counted in any case",
    )
    corrections: tuple[Inside, ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="files of annotations, relative to the root, as `lmspec label` writes them:"
        " their labels replace those of the tables. A table with `label: null` has no others, and"
        " its other rows are left out",
    )

    def modules(self) -> tuple[str, ...]:
        kinds = {table.label.kind for table in self.tables if table.label is not None}
        return tuple(module for kind, module in LABELLED_BY.items() if kind in kinds)

    def files(self) -> tuple[str, ...]:
        read = [file for rule in self._rules(VotesLabel) for file in rule.files()]
        deleted = [self.deleted] if self.deleted else []
        return (*(self.corrections or ()), *deleted, *dict.fromkeys(read))

    def written(self) -> tuple[Report, ...]:
        raters = any(rule.rater is not None for rule in self._rules(RatingsLabel))
        there = {
            CORRECTED.name: bool(self.corrections),
            RATERS.name: raters,
            FUNCTIONS.name: bool(self._rules(VotesLabel)),
        }
        return tuple(report for report in self.reports if there.get(report.name, True))

    def _rules(self, kind: type[Rule]) -> list[Rule]:
        return [table.label for table in self.tables if isinstance(table.label, kind)]
