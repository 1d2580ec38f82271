"""corpus: one table of cleaned, labelled documents, and one of those that were rejected and why."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, Name, Ref, Spec, To
from lmspec.specs.checks import corpus as checks

Label = Annotated[str, Field(min_length=1, max_length=100)]
Column = Annotated[str, Field(min_length=1, max_length=1000)]
Bound = Annotated[float, Field(ge=-1e15, le=1e15)]


class Delimited(Spec):
    """Tab-separated or comma-separated text, UTF-8."""

    kind: Literal["tsv", "csv"] = Field(
        description="tsv: one row a line, no quoting; csv: quoted as in RFC 4180"
    )
    columns: tuple[Column, ...] | None = Field(
        strict=False,
        description="names of the columns where the file has no header line; null: it has one",
    )


class Typed(Spec):
    """A format that names its columns itself."""

    kind: Literal["jsonl", "parquet"] = Field(
        description="jsonl: one JSON object a line; parquet: one table"
    )


class ColumnLabel(Spec):
    """The label stands in a column."""

    kind: Literal["column"] = Field(description="read the label from a column")
    column: Column = Field(description="where the label stands")
    rename: dict[str, Label] | None = Field(
        description="value in the file -> label; null: the value is the label"
    )


class Band(Spec):
    """Scores from `at_least` to `at_most`, both included, get this label."""

    label: Label = Field(description="one of the corpus's labels")
    at_least: Bound | None = Field(description="lower bound; null: none")
    at_most: Bound | None = Field(description="upper bound; null: none")


class ThresholdLabel(Spec):
    """The label follows from a score; a score in no band is rejected."""

    holds = (checks.bands_are_apart,)
    kind: Literal["threshold"] = Field(description="derive the label from a number")
    column: Column = Field(description="where the score stands")
    bands: tuple[Band, ...] = Field(
        strict=False, min_length=2, description="which scores get which label"
    )


class Group(Spec):
    """Rows of one group (a document, an author) are never split apart."""

    holds = (checks.pattern_has_a_group,)
    column: Column = Field(description="where the group stands")
    pattern: Annotated[str, Field(max_length=1000)] | None = Field(
        description="regular expression whose first group is taken from the value; null: the value"
    )


class Table(Spec):
    """One file of a source, and how it is read."""

    holds = (checks.columns_are_named,)
    name: Name = Field(description="value of the column `source`; metrics are broken down by it")
    of: Annotated[Ref, To(("sources",))] = Field(description="the source that the file is in")
    file: Inside = Field(description="path inside the source's folder")
    format: Annotated[
        Delimited | Typed, Field(discriminator="kind", description="how the file is written")
    ]
    text: Column = Field(description="column of the text")
    label: Annotated[
        ColumnLabel | ThresholdLabel,
        Field(discriminator="kind", description="where the label comes from"),
    ]
    group: Group | None = Field(description="which rows belong together; null: each row alone")


class Clean(Spec):
    """Repair of text, and the lengths that are kept."""

    holds = (checks.bounds_are_in_order,)
    fix_unicode: bool = Field(description="mend mojibake, quotes, control characters; NFC (ftfy)")
    unescape_html: bool = Field(description="&amp; -> &, twice-escaped too")
    min_chars: int = Field(ge=1, le=10_000_000, description="shorter texts are rejected")
    max_chars: int = Field(ge=1, le=10_000_000, description="longer texts are rejected")


class NearDuplicates(Spec):
    """Two texts are near-duplicates if the Jaccard similarity of their character shingles reaches the threshold."""

    holds = (checks.few_pairs_are_missed,)
    shingle_chars: int = Field(ge=2, le=50, description="length of a shingle")
    threshold: float = Field(
        gt=0, le=1, description="Jaccard similarity from which two texts count as the same"
    )
    permutations: int = Field(
        ge=16,
        le=1024,
        description="of MinHash; more give finer bands, so fewer needless comparisons",
    )

    def rows_per_band(self) -> int:
        """Permutations per band of the MinHash index."""
        return checks.rows_per_band(self.threshold, self.permutations)


class CorpusSpec(Artifact):
    """One table of documents from one or more files. Exact duplicates are always rejected, the first one kept."""

    noun: ClassVar[str] = "corpus"
    metrics: ClassVar[bool] = True
    reports: ClassVar[tuple[str, ...]] = ("rows",)
    holds = (checks.labels_are_listed, checks.labels_are_given, checks.tables_have_their_own_names)
    tables: tuple[Table, ...] = Field(
        strict=False, min_length=1, description="in order: the first of two duplicates is kept"
    )
    labels: tuple[Label, ...] = Field(
        strict=False,
        min_length=2,
        max_length=10_000,
        description="all labels, in the order of the model's outputs",
    )
    clean: Clean = Field(description="how texts are repaired, and which are rejected")
    near_duplicates: NearDuplicates | None = Field(description="null: near-duplicates are kept")
