"""attacked: can train texts be known from answers?   model or graph, splits -> texts.parquet"""

import importlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import documents, seenfile
from lmspec.methods import examining, membership, reading
from lmspec.methods.membership import Side
from lmspec.methods.metrics import Floats
from lmspec.specs.attacked import ATTACKS, MEASURED, AttackedSpec
from lmspec.specs.base import Ref
from lmspec.specs.scores import GRAPHS, format_of

SIDES = ("train", "test")
COLUMNS = ["id", "text", "label", "group", "table"]
BATCH = 64
STATISTICS = dict(zip(MEASURED, (membership.auc, membership.found), strict=True))
LEAST = 1e-12  # of a probability, whose logarithm is taken


def build(spec: AttackedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Ask for the probability of each text's label, and distinguish the splits by it."""
    require_trained(spec, needs)
    writer: Any = importlib.import_module(spec.modules()[0]) if spec.extraction else None
    parts = {split: rows_of(spec, needs, split) for split in SIDES}
    planted = {split: part.filter(is_canary(spec)) for split, part in parts.items()}
    require_canaries(spec, parts, planted)
    require_texts(spec, parts, planted)
    asked = pl.concat(
        frame.with_columns(member=pl.lit(split == "train"), canary=pl.lit(canary))
        for split, part in parts.items()
        for canary, frame in (
            (False, drawn(part.filter(~is_canary(spec)), spec)),
            (True, planted[split]),
        )
    )
    report: dict[str, object] = {}
    if writer is not None:
        asked, numbers = writer.asked(spec, asked, needs)
        report["extraction"] = writer.extracted(asked, spec.seed)
    else:
        numbers = numbers_of(spec, asked, needs)
    for attack in (name for name in ATTACKS if name in numbers):
        report[attack] = measured(asked, numbers[attack], spec.seed)
    plain = asked.filter(~pl.col("canary"))["member"]
    report |= {"members": int(plain.sum()), "others": int((~plain).sum())}
    if spec.canaries is not None:
        whole = numbers.get("total", numbers["confidence"])
        report["canaries"] = remembered(asked, whole, spec.seed)
    columns = [pl.Series(name, values).round(6) for name, values in numbers.items()]
    table = asked.with_columns(columns)
    documents.write(table, out / "texts.parquet")
    say(report)
    return stage.Report(report, {"texts": table.drop("text", "group").rows(named=True)})


def rows_of(spec: AttackedSpec, needs: stage.Needs, split: str) -> pl.DataFrame:
    """Those of a split; of train those alone that the model learned."""
    if spec.extraction is None:
        return documents.read_split(needs[spec.on], split, COLUMNS)
    read = importlib.import_module(spec.modules()[0]).read
    rows: pl.DataFrame = read(spec, needs[spec.on], split, needs.bits.seed)
    return rows


def numbers_of(spec: AttackedSpec, asked: pl.DataFrame, needs: stage.Needs) -> dict[str, Floats]:
    """Attack -> (n,) a number of each text, the larger the more it looks like a train text."""
    numbers = {"confidence": confidences(spec.of, asked, needs)}
    if spec.reference is not None:
        hard = confidences(spec.reference, asked, needs)
        numbers["reference"] = numbers["confidence"] - hard
    return numbers


def require_trained(spec: AttackedSpec, needs: stage.Needs) -> None:
    """Raise LmspecError unless the model saw the train texts alone, and the reference none."""
    seen = seenfile.read(needs[spec.of]).get(spec.on, ())
    if "train" not in seen or "test" in seen:
        found = f"{spec.of} was not trained on {spec.on}: its train texts are as new as the others"
        raise LmspecError("attacked.on", found, "name the splits that it was trained on")
    if spec.reference is not None and spec.on in seenfile.read(needs[spec.reference]):
        found = f"{spec.reference} has seen {spec.on}, too: it says nothing of how hard a text is"
        raise LmspecError("attacked.reference", found, "name a model of other texts")


def is_canary(spec: AttackedSpec) -> pl.Expr:
    """Rows that were made to be remembered."""
    return pl.lit(False) if spec.canaries is None else pl.col("table") == spec.canaries


def require_canaries(
    spec: AttackedSpec, parts: dict[str, pl.DataFrame], planted: dict[str, pl.DataFrame]
) -> None:
    """Raise LmspecError if there are none, or nothing to rank them among."""
    if spec.canaries is None:
        return
    for split, what in (("train", "is planted"), ("test", "is there to be ranked among")):
        if not planted[split].height:
            tables = some(sorted(parts[split]["table"].unique()))
            found = f"no {split} row of {spec.on} is of the table {spec.canaries}: nothing {what}"
            raise LmspecError("attacked.canaries", found, f"its tables are {tables}")


def require_texts(
    spec: AttackedSpec, parts: dict[str, pl.DataFrame], planted: dict[str, pl.DataFrame]
) -> None:
    """Raise LmspecError if a split has none beside the canaries."""
    for split, part in parts.items():
        if part.height == planted[split].height:
            found = f"the {split} split of {spec.on} has no text to tell from others"
            raise LmspecError("attacked.on", found, "name splits with train and test texts")


def drawn(rows: pl.DataFrame, spec: AttackedSpec) -> pl.DataFrame:
    """That many of them, by a hash of the seed and the row."""
    by_hash = examining.drawn((examining.Row(i, "", "") for i in rows["id"]), spec.rows, spec.seed)
    return rows.filter(pl.col("id").is_in([row.id for row in by_hash]))


def confidences(of: Ref, asked: pl.DataFrame, needs: stage.Needs) -> Floats:
    """(n,) logarithm of the probability that a model gives the label of each text."""
    read = importlib.import_module(format_of(of)).predictor
    model = read(needs[of], needs.bits, needs.machine)
    if unknown := sorted({*asked["label"]} - {*model.labels}):
        found = f"{of} knows no label {some(unknown)}"
        raise LmspecError("attacked", found, "attack a model of the same labels")
    windows = model.reader.read(asked["text"].to_list())
    batch = 1 if of.noun in GRAPHS else BATCH  # texts in int8 affect each other in a batch
    answers = reading.predicted(model.forward, windows, model.pad_id, batch)  # (n, k)
    truth = [model.labels.index(label) for label in asked["label"]]
    return np.asarray(np.log(np.maximum(answers[np.arange(len(truth)), truth], LEAST)), np.float64)


def measured(asked: pl.DataFrame, numbers: Floats, seed: int) -> dict[str, float]:
    """AUC, and the share that is found at 1 % false positives, with their intervals."""
    members, others = (
        side(asked, numbers, (asked["member"] == is_member) & ~asked["canary"])
        for is_member in (True, False)
    )
    report: dict[str, float] = {}
    for name, statistic in STATISTICS.items():
        report |= ends(name, membership.estimated(statistic, members, others, seed))
    return report


def side(asked: pl.DataFrame, numbers: Floats, which: pl.Series) -> Side:
    """Those of the texts; texts of one document have the same group."""
    groups = asked.filter(which)["group"].fill_null("")
    return Side(numbers[which.to_numpy()], tuple(groups))


def remembered(asked: pl.DataFrame, numbers: Floats, seed: int) -> dict[str, float]:
    """How far the planted canaries are remembered, in bits."""
    planted, candidates = (
        numbers[((asked["member"] == is_member) & asked["canary"]).to_numpy()]
        for is_member in (True, False)
    )
    highest = float(membership.exposures(planted, candidates).max())
    counts = {"planted": len(planted), "candidates": len(candidates)}
    most = math.log2(len(candidates) + 1)
    stage.say(f"canaries: beside {len(candidates):,} candidates, {most:.1f} bits is the most")
    mean = ends("exposure", membership.mean_exposure(planted, candidates, seed))
    return mean | {"highest": highest} | counts


def ends(name: str, estimate: membership.Estimate) -> dict[str, float]:
    """An estimate as metrics."""
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def say(report: dict[str, object]) -> None:
    """A line for each attack."""
    for name, values in report.items():
        if isinstance(values, dict):
            listed = (f"{key} {value:.3f}" for key, value in values.items())
            stage.say(f"{name}: {', '.join(listed)}")


STAGE = stage.Stage(AttackedSpec, build)
