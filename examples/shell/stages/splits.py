"""splits: a corpus in train, dev and test.   corpus -> <split>.parquet, <split>.ids, labels.json"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import annotations, documents, sides
from lmspec.formats.annotations import Corrected
from lmspec.methods import duplicates, splitting
from lmspec.specs.splits import SplitsSpec


def build(spec: SplitsSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Groups and near-duplicates stay on one split; labels and tables are in proportion on each."""
    earlier = earlier_sides(spec, needs)
    frame = documents.read(needs[spec.of] / "documents.parquet")
    corrected = annotations.read_corrected(needs[spec.of])
    ids = pl.Series(documents.read_ids(needs[spec.of], "documents"), dtype=pl.String)
    pairs = [*duplicates.equal_pairs(ids.to_list())]
    answers = documents.read_answers(needs[spec.of], "documents")
    if spec.same_answers and answers is not None:
        pairs += duplicates.equal_pairs(answers)
    if spec.keep_together:
        pairs += duplicates.near_pairs(frame["text"].to_list(), spec.keep_together, stage.say)
    units = splitting.components(frame.height, frame["group"].to_list(), pairs)
    largest = max(units, key=len, default=[])
    wanted = [share for share in (spec.train, spec.dev, spec.test) if share > 0]
    if 1 < len(largest) > (1 + max(wanted)) / 2 * frame.height:
        raise undivided(largest, frame, spec)
    split_of = splitting.assign(
        units,
        frame["id"].to_list(),
        list(zip(labels_before(frame, corrected), frame["table"], strict=True)),
        (spec.train, spec.dev, spec.test),
        spec.seed,
        earlier,
    )
    metrics: dict[str, dict[str, object]] = {}
    labels = documents.read_labels(needs[spec.of])
    for split in splitting.SPLITS:
        chosen = pl.Series(split_of) == split
        part = frame.filter(chosen)
        if part.is_empty() and getattr(spec, split) > 0:
            if len(units) < len(wanted) <= frame.height:
                raise undivided(largest, frame, spec)
            found = (
                f"the {split} split is empty: {frame.height} documents are too few "
                f"for {getattr(spec, split):g} of them"
            )
            raise LmspecError(
                f"splits, of {spec.of}",
                found,
                "give it a larger fraction, or the corpus more documents",
            )
        documents.write(part, out / f"{split}.parquet")
        documents.write_ids(ids.filter(chosen), out, split)
        absent = sorted(set(labels) - set(part["label"])) if getattr(spec, split) > 0 else []
        if absent:
            rows = [f"{label!r} ({(frame['label'] == label).sum()} in all)" for label in absent]
            stage.say(f"warning: too small for the {split} split, which has none: {some(rows)}")
        counts = dict(part["label"].drop_nulls().value_counts().iter_rows())
        named = labels if getattr(spec, split) > 0 else ()
        metrics[split] = {
            "documents": part.height,
            "label": {label: counts.get(label, 0) for label in sorted(named)},
            "empty_labels": len(absent),
        }
    if answers is not None:
        for split, known in write_answers(answers, split_of, out):
            metrics[split]["answers_in_train"] = known
    if spec.sides is not None:
        say_moved(earlier, dict(zip(frame["id"], split_of, strict=True)))
    documents.write_labels(labels, out)
    documents.write_corpus(spec.of, out)
    documents.write_clean(documents.read_clean(needs[spec.of]), out)
    documents.write_counts(documents.read_counts(needs[spec.of]), out)
    changed = {name: row for name, row in corrected.items() if row.was not in (None, row.label)}
    now = dict(zip(frame["id"], split_of, strict=True))
    for split in splitting.SPLITS if corrected else ():
        metrics[split]["corrected"] = sum(now[name] == split for name in changed)
    tested = {name: row for name, row in changed.items() if now[name] == "test"}
    require_accepted(tested, spec)
    if spec.accepted_test_corrections is None:
        return stage.Report(metrics)
    listed = [{"id": name, "was": row.was, "label": row.label} for name, row in tested.items()]
    return stage.Report(metrics, {"corrected_test": listed})


def labels_before(frame: pl.DataFrame, corrected: Mapping[str, Corrected]) -> list[str | None]:
    """Labels before they were corrected: a correction moves no row to another split."""
    pairs = zip(frame["id"], frame["label"], strict=True)
    return [corrected[name].was or label if name in corrected else label for name, label in pairs]


def require_accepted(tested: Mapping[str, Corrected], spec: SplitsSpec) -> None:
    """Raise LmspecError if more test rows are corrected than the spec accepts."""
    accepted = spec.accepted_test_corrections
    if accepted and not tested:
        found = "annotations change the label of no test row, and the spec accepts some"
        raise LmspecError(f"splits, of {spec.of}", found, "remove `accepted_test_corrections`")
    if len(tested) <= (accepted.at_most if accepted else 0):
        return
    listed = some(
        [f"{name} {row.was!r} -> {row.label!r} ({row.place})" for name, row in tested.items()]
    )
    found = f"annotations change the labels of {len(tested):,} test rows: {listed}"
    remedy = "scores would be measured by other labels: remove these lines, or declare "
    remedy += f"`accepted_test_corrections: {{at_most: {len(tested)}, reason: ...}}`"
    if spec.sides is None:
        remedy += "; if they came to test as other rows joined, keep the cut before: `sides`"
    raise LmspecError(f"splits, of {spec.of}", found, remedy)


def earlier_sides(spec: SplitsSpec, needs: stage.Needs) -> dict[str, str]:
    """Where the rows of an earlier cut were. Raises LmspecError of a split that has no fraction."""
    earlier = sides.read(needs.root, spec.sides) if spec.sides else {}
    for split in sorted(set(earlier.values())):
        if getattr(spec, split) == 0:
            found = f"{spec.sides} has rows of the {split} split, and its fraction is 0"
            raise LmspecError(f"splits.{split}", found, "give it a fraction above 0")
    return earlier


def say_moved(earlier: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Print how many rows of the earlier cut are in another split, since others must share it."""
    known = earlier.keys() & now.keys()
    count = sum(earlier[name] != now[name] for name in known)
    stage.say(f"{len(known):,} of {len(now):,} texts have a split already; {count:,} of them moved")


def write_answers(
    answers: Sequence[str], split_of: Sequence[str], out: Path
) -> Iterator[tuple[str, int]]:
    """Write the ids of each split's answers; of dev and test, how many are in train, too."""
    learned = {answer for answer, side in zip(answers, split_of, strict=True) if side == "train"}
    for split in splitting.SPLITS:
        own = [answer for answer, side in zip(answers, split_of, strict=True) if side == split]
        documents.write_answers(own, out, split)
        if split == "train":
            continue
        known = sum(answer in learned for answer in own)
        if known:
            stage.say(f"{split}: {known:,} of {len(own):,} answers are in train, too")
        yield split, known


def undivided(largest: list[int], frame: pl.DataFrame, spec: SplitsSpec) -> LmspecError:
    """What must share a split is too much of the corpus."""
    texts = frame["text"].gather([largest[0], largest[-1]]).str.slice(0, 80).to_list()
    groups = frame["group"].gather(largest)
    several = groups.has_nulls() or groups.n_unique() > 1
    if several and spec.same_answers:
        why = "linked by equal answers, prompts or groups"
        remedy = "leave out `same_answers`: then equal answers are only counted"
    elif several and spec.keep_together:
        why = "near-duplicates of each other"
        remedy = "a higher `keep_together.threshold` keeps fewer together, and null none; "
        remedy += "or remove from the texts what all have in common"
    else:
        why = f"of the group {groups[0]!r}"
        remedy = "set `group` of the table to null, or to another column"
    return LmspecError(
        f"splits, of {spec.of}",
        f"{len(largest):,} of its {frame.height:,} texts must share a split, since they are {why}: "
        + " and ".join(map(repr, texts)),
        remedy,
    )


STAGE = stage.Stage(SplitsSpec, build)
