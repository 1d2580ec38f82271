"""examined, of a model that writes: what it answers to suites of prompts.

stages/examined.py begins it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.methods import examining
from lmspec.methods.repairing import repair
from lmspec.specs.examined import ExaminedSpec
from lmspec.specs.scores import MODELS
from lmspec.specs.suites import Suite
from lmspec.writing import generating, judging
from lmspec.writing.judging import Asked, Prompt
from lmspec.writing.prompting import USER, PromptError, Turn, Writer
from lmspec.writing.requesting import requested
from stages import writing_scores

SLOTS = 16  # answers that are written side by side
COLUMNS = ["id", "group", "table", "turns"]


def rows_of(splits: Path, most: int, seed: int) -> list[Prompt]:
    """That many prompts of the test split, in the order of a hash."""
    frame = documents.read_split(splits, "test")
    if "turns" not in frame.columns:
        found = "its rows are texts without prompts and answers"
        raise LmspecError(str(splits), found, "name splits that have `turns`")
    prompts = {}
    for name, group, table, turns in frame.select(COLUMNS).iter_rows():
        asked: list[Turn] = [(turn["role"], turn["content"]) for turn in turns]
        last = max(i for i, (role, _) in enumerate(asked) if role == USER)
        own = "" if group is None else f"{table}/{group}"
        prompts[name] = Prompt(name, tuple(asked[: last + 1]), own)
    drawn = examining.drawn((examining.Row(name, "", "") for name in prompts), most, seed)
    return [prompts[row.id] for row in drawn]


def asked(spec: ExaminedSpec, needs: stage.Needs, suites: Sequence[Suite]) -> list[list[Asked]]:
    """The prompts of each suite."""
    rows = rows_of(needs[spec.on], spec.rows, spec.seed)
    return [judging.cases(suite, rows, spec.seed) for suite in suites]


def answered(
    spec: ExaminedSpec, needs: stage.Needs, cases: Iterable[Asked], clean: Mapping[str, bool]
) -> dict[tuple[Turn, ...], str]:
    """Turns -> the answer. Each is repaired as the model's training texts were, and asked once."""
    rule = spec.generation
    assert rule is not None
    of = writing_scores.of_model if spec.of.noun in MODELS else writing_scores.of_graph
    model, decoder = of(needs[spec.of], needs)
    constraint = writing_scores.constrained(rule, model, decoder, needs.root)
    turns = list(dict.fromkeys(case.turns for case in cases))
    stage.say(f"{len(turns):,} prompts are answered")
    prompts = (
        encoded(model.writer, [(role, repair(text, **clean)) for role, text in each])
        for each in turns
    )
    requests = [requested(ids, rule, constraint) for ids in prompts]
    ends = [model.writer.end_id]
    found = generating.texts(decoder, requests, model.writer.tokenizer, ends, SLOTS)
    return {each: written.text for each, written in zip(turns, found, strict=True)}


def encoded(writer: Writer, turns: Sequence[Turn]) -> generating.Ids:
    """(t,) tokens of a prompt. Raises LmspecError if the model's template has no room for it."""
    try:
        return writer.prompt_ids(turns)
    except PromptError as error:
        raise LmspecError("examined.cases", error.found, error.remedy) from error


def frame(
    found: Sequence[examining.Judged], answers: Mapping[tuple[Turn, ...], str]
) -> pl.DataFrame:
    """All cases with prompts and answers, which do not leave DVC's cache."""
    rows = []
    for each in found:
        case = each.case
        assert isinstance(case, Asked)
        texts = {"text": case.text, "answer": answers[case.turns]}
        rows.append(examining.row(each) | texts)
    return pl.DataFrame(rows, infer_schema_length=None)
