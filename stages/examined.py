"""examined: how a model behaves on suites of cases.   model or graph, splits -> cases.parquet"""

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import cases, documents
from lmspec.methods import examining, reading
from lmspec.methods.examining import Case, Judged
from lmspec.methods.metrics import Floats
from lmspec.methods.predicting import Predictor
from lmspec.methods.repairing import repair
from lmspec.specs.examined import ExaminedSpec
from lmspec.specs.suites import Suite

CASES = "cases.parquet"


def build(spec: ExaminedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Ask the model each text once and alone, as a bundle is asked."""
    suites = cases.read(needs.root, spec.cases)
    cases.require_kinds(suites, spec.generation is not None)
    if spec.generation is not None:
        return written(spec, needs, suites, out)
    (module,) = spec.modules()
    model = importlib.import_module(module).predictor(needs[spec.of], needs.bits, needs.machine)
    cases.require_labels(suites, model.labels)
    rows = examining.drawn(rows_of(needs[spec.on]), spec.rows, spec.seed)
    asked = [(suite, examining.cases(suite, rows, spec.seed)) for suite in suites]
    for suite, mine in asked:
        require_cases(suite, mine, len(rows))
    texts = (text for _, mine in asked for case in mine for text in case.texts)
    answers = answered(model, dict.fromkeys(texts), clean_of(needs[spec.of]))
    judged = [
        (suite, [examining.judged(case, answers, model.labels) for case in mine])
        for suite, mine in asked
    ]
    documents.write(frame([each for _, found in judged for each in found]), out / CASES)
    return report(judged, out)


def written(
    spec: ExaminedSpec, needs: stage.Needs, suites: Sequence[Suite], out: Path
) -> stage.Report:
    """Ask a model that writes, each prompt by itself."""
    writer: Any = importlib.import_module(spec.modules()[0])
    asked = list(zip(suites, writer.asked(spec, needs, suites), strict=True))
    for suite, mine in asked:
        require_cases(suite, mine, spec.rows)
    every = [case for _, mine in asked for case in mine]
    answers = writer.answered(spec, needs, every, clean_of(needs[spec.of]))
    judged = [
        (suite, [writer.judging.judged(case, answers[case.turns]) for case in mine])
        for suite, mine in asked
    ]
    found = [each for _, own in judged for each in own]
    documents.write(writer.frame(found, answers), out / CASES)
    return report(judged, out)


def report(judged: Sequence[tuple[Suite, list[Judged]]], out: Path) -> stage.Report:
    """The metrics of each suite, and the table of all cases."""
    metrics, rows = {}, []
    for suite, found in judged:
        metrics[suite.name] = examining.measured(suite, found)
        stage.say(described(suite, found))
        rows += [examining.row(each) for each in found]
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    return stage.Report(metrics, {"cases": rows})


def rows_of(splits: Path) -> list[examining.Row]:
    """The texts of the test split; texts of one group of one table have the same group."""
    test = documents.read_split(splits, "test", ["id", "text", "group", "table"])
    return [
        examining.Row(name, text, "" if group is None else f"{table}/{group}")
        for name, text, group, table in test.iter_rows()
    ]


def clean_of(model: Path) -> Mapping[str, bool]:
    """How texts are repaired before the model reads them, in its training and in a bundle."""
    about = json.loads((model / "lmspec.json").read_text(encoding="utf-8"))
    clean: Mapping[str, bool] = about["clean"]
    return clean


def answered(
    model: Predictor, texts: Iterable[str], clean: Mapping[str, bool]
) -> dict[str, Floats]:
    """Text -> (k,) probabilities. Texts that are the same once repaired are asked once."""
    of: dict[str, Floats] = {}
    answers = {}
    for text in texts:
        read = repair(text, **clean)
        if read not in of:
            windows = model.reader.read([read])
            of[read] = reading.predicted(model.forward, windows, model.pad_id, 1)[0]
        answers[text] = of[read]
    return answers


def require_cases(suite: Suite, mine: Sequence[Case], drawn: int) -> None:
    """Raise LmspecError if a suite has nothing to ask of the test texts that were drawn."""
    if not mine:
        of = "its templates" if suite.templates else f"the {drawn:,} test texts that were drawn"
        remedy = "remove the suite, or name what is in them"
        remedy += "" if suite.templates else "; more `rows` draw more of the test split"
        raise LmspecError(suite.place, f"{suite.name} changes none of {of}", remedy)


def described(suite: Suite, found: list[Judged]) -> str:
    """A line for people."""
    if suite.is_gap:
        means = examining.gaps(found)
        low, high = (pick(means, key=means.__getitem__) for pick in (min, max))
        if low == high:
            return f"{suite.name}: the same for all {len(means):,} terms: does it read them?"
        return (
            f"{suite.name}: {means[high] - means[low]:.3f} apart: "
            f"{low!r} {means[low]:.3f}, {high!r} {means[high]:.3f}"
        )
    failed = [each for each in found if not each.passed]
    return f"{suite.name}: {len(found) - len(failed):,} of {len(found):,} pass"


def frame(found: list[Judged]) -> pl.DataFrame:
    """All cases with their texts, which do not leave DVC's cache."""
    rows = [
        examining.row(each) | {"text": each.case.text, "text_before": each.case.before}
        for each in found
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


STAGE = stage.Stage(ExaminedSpec, build)
