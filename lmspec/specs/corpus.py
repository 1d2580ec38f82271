"""corpus: one table of cleaned, labelled documents, and one of those that were turned away and why."""

import itertools
import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from lmspec.specs.base import KEY_PATTERN, Artifact, Ref, Spec, To

Label = Annotated[str, Field(min_length=1, max_length=100)]
Column = Annotated[str, Field(min_length=1)]


class Delimited(Spec):
    """Tab-separated or comma-separated text, UTF-8."""

    kind: Literal["tsv", "csv"] = Field(description="tsv: one row a line, no quoting; csv: quoted as in RFC 4180")
    columns: tuple[Column, ...] | None = Field(
        strict=False, description="names of the columns where the file has no header line; null: it has one"
    )


class Typed(Spec):
    """A format that names its columns itself."""

    kind: Literal["jsonl", "parquet"] = Field(description="jsonl: one JSON object a line; parquet: one table")


class ColumnLabel(Spec):
    """The label stands in a column."""

    kind: Literal["column"] = Field(description="read the label from a column")
    column: Column = Field(description="where the label stands")
    rename: dict[str, Label] | None = Field(description="value in the file -> label; null: the value is the label")


class Band(Spec):
    """Scores from `at_least` to `at_most`, both included, get this label."""

    label: Label
    at_least: float | None = Field(allow_inf_nan=False, description="lower bound; null: none")
    at_most: float | None = Field(allow_inf_nan=False, description="upper bound; null: none")


class ThresholdLabel(Spec):
    """The label follows from a score; a score in no band is turned away."""

    kind: Literal["threshold"] = Field(description="derive the label from a number")
    column: Column = Field(description="where the score stands")
    bands: tuple[Band, ...] = Field(strict=False, min_length=2)

    @model_validator(mode="after")
    def _bands_are_apart(self) -> "ThresholdLabel":
        spans = sorted(
            (float("-inf") if b.at_least is None else b.at_least, float("inf") if b.at_most is None else b.at_most, b.label)
            for b in self.bands
        )
        for low, high, label in spans:
            if low > high:
                raise ValueError(f"the band of '{label}' is empty: at_least is above at_most")
        for (_, high, one), (low, _, other) in itertools.pairwise(spans):
            if low <= high:
                raise ValueError(f"the bands of '{one}' and '{other}' overlap")
        return self


class Group(Spec):
    """Rows of one group (a document, an author) are never split apart."""

    column: Column = Field(description="where the group stands")
    pattern: str | None = Field(description="regular expression whose first group is taken from the value; null: the value")

    @field_validator("pattern")
    @classmethod
    def _has_a_group(cls, pattern: str | None) -> str | None:
        try:
            groups = 1 if pattern is None else re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if groups == 0:
            raise ValueError("the pattern has no group: put the part to take into parentheses")
        return pattern


class Table(Spec):
    """One file of a source, and how it is read."""

    name: str = Field(pattern=f"^{KEY_PATTERN}$", description="value of the column `source`; metrics are broken down by it")
    of: Annotated[Ref, To(("sources",))] = Field(description="the source that the file is in")
    file: str = Field(pattern=r"^[^/\\.][^\\]*$", description="path inside the source's folder, with forward slashes")
    format: Annotated[Delimited | Typed, Field(discriminator="kind")]
    text: Column = Field(description="column of the text")
    label: Annotated[ColumnLabel | ThresholdLabel, Field(discriminator="kind")]
    group: Group | None = Field(description="which rows belong together; null: each row alone")


class Clean(Spec):
    """Repair of text, and the lengths that are kept."""

    fix_unicode: bool = Field(description="mend mojibake, quotes, control characters; NFC (ftfy)")
    unescape_html: bool = Field(description="&amp; -> &, twice-escaped too")
    min_chars: int = Field(ge=1, description="shorter texts are turned away")
    max_chars: int = Field(ge=1, description="longer texts are turned away")

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "Clean":
        if self.min_chars > self.max_chars:
            raise ValueError("min_chars is above max_chars: every text would be turned away")
        return self


class NearDuplicates(Spec):
    """Two texts are near-duplicates if the Jaccard similarity of their character shingles reaches the threshold."""

    shingle_chars: int = Field(ge=2, le=50, description="length of a shingle")
    threshold: float = Field(gt=0, le=1, description="Jaccard similarity from which two texts count as the same")
    permutations: int = Field(ge=16, le=1024, description="of MinHash; more give finer bands, so fewer needless comparisons")

    @model_validator(mode="after")
    def _none_is_missed(self) -> "NearDuplicates":
        if self.rows_per_band() == 0:
            raise ValueError(
                f"with {self.permutations} permutations too many pairs at {self.threshold} would be missed: use more"
            )
        return self

    def rows_per_band(self) -> int:
        """Permutations per band of the MinHash index: the most that miss a pair at the threshold less than once in 10,000.

        0 if none do.
        """
        fit = [r for r in range(1, self.permutations // 2 + 1) if (1 - self.threshold**r) ** (self.permutations // r) < 1e-4]
        return max(fit, default=0)


class CorpusSpec(Artifact):
    """One table of documents from one or more files. Exact duplicates are always turned away, the first one kept."""

    noun: ClassVar[str] = "corpus"
    metrics: ClassVar[bool] = True
    tables: tuple[Table, ...] = Field(strict=False, min_length=1, description="in order: the first of two duplicates is kept")
    labels: tuple[Label, ...] = Field(strict=False, min_length=2, description="all labels, in the order of the model's outputs")
    clean: Clean
    near_duplicates: NearDuplicates | None = Field(description="null: near-duplicates are kept")

    @model_validator(mode="after")
    def _files_stay_inside(self) -> "CorpusSpec":
        for table in self.tables:
            if ".." in table.file.split("/"):
                raise ValueError(f"the file of table '{table.name}' climbs out of its source: {table.file}")
        return self

    @model_validator(mode="after")
    def _labels_agree(self) -> "CorpusSpec":
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("a label is listed twice")
        names = [table.name for table in self.tables]
        if len(set(names)) < len(names):
            raise ValueError(f"two tables have the same name: {names}")
        for table in self.tables:
            rule = table.label
            used = {b.label for b in rule.bands} if isinstance(rule, ThresholdLabel) else set((rule.rename or {}).values())
            if used - set(self.labels):
                raise ValueError(
                    f"table '{table.name}' gives labels that `labels` does not list: {sorted(used - set(self.labels))}"
                )
        return self
