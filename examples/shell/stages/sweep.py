"""sweep: a search for the best values of a model's fields.   splits (, sources) -> best.json"""

import dataclasses
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, trials
from lmspec.methods import halving, proposing
from lmspec.methods.resume import Reached, Resume
from lmspec.specs.base import references
from lmspec.specs.checks import sweep as checks
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.model import ModelSpec
from lmspec.specs.results import WATCHED
from lmspec.specs.sweep import Range, SweepSpec
from lmspec.specs.swept import combinations, varied
from lmspec.specs.training import GradientDescent, descent, head
from lmspec.training import loop
from stages import model

MODEL: TypeAdapter[ModelSpec] = TypeAdapter(ModelSpec)
END = None  # the rung that ends a training


@dataclass
class Trial:
    """A model with other values of some fields.

    section  all of its fields, as params.yaml would have them
    results  rung -> metrics on the dev split there, and epochs
    """

    number: int
    values: Mapping[str, Any]
    section: Mapping[str, Any]
    spec: ModelSpec
    results: dict[float | None, trials.Result] = field(default_factory=dict)

    @property
    def last(self) -> trials.Result:
        """At the latest rung."""
        return list(self.results.values())[-1]


def build(spec: SweepSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Train many trials for a few epochs, the better ones of them for more; report the best."""
    search = Search(spec, needs)
    proposing.propose(
        search.space(), spec.sampler, spec.seed, spec.trials, spec.metric, search.first_rung
    )
    counts = search.counts()
    order = search.ranked(search.trials)
    for rung, count in zip((*spec.rungs, END)[1:], counts[1:], strict=True):
        stage.say(f"{count} of {len(search.trials)} trials go on to {_epochs(rung)}")
        for number in order[count:]:
            search.forget(search.trials[number - 1])
        for number in order[:count]:
            search.advance(search.trials[number - 1], rung)
        order = search.ranked([search.trials[n - 1] for n in order[:count]]) + order[count:]
    best = search.trials[order[0] - 1]
    text = json.dumps(best.section, indent=1, ensure_ascii=False)
    (out / "best.json").write_text(f"{text}\n", encoding="utf-8")
    stage.say(
        f"the best of {spec.trials} trials, number {best.number}: dev {spec.metric} "
        f"{best.last[spec.metric]:.4f}, which is optimistic: the test split decides"
    )
    return search.report(order, best)


class Search:
    """The trials of a sweep, and what each one reached."""

    def __init__(self, spec: SweepSpec, needs: stage.Needs) -> None:
        self.spec, self.needs = spec, needs
        self.trials: list[Trial] = []
        self.on = self.valid({}).on
        self._require_sound()
        self.place = needs.resume.folder if needs.resume else None

    def _require_sound(self) -> None:
        """Raise LmspecError for what `lmspec validate` refuses of a sweep, before any trial."""
        whole = self.spec.model_dump()
        fixed = {".".join(map(str, steps)) for steps, _ in references(self.valid({}))}
        for found in checks.fields_take_values(whole, self.needs.section, fixed):
            raise _refused(found)
        for found in checks.no_model_is_private(self.needs.section):
            raise _refused(found)
        for values in combinations(whole["over"]):
            self.valid(values)
        for found in checks.rungs_are_reached(whole, self.needs.section):
            raise _refused(found)

    def space(self) -> dict[str, Any]:
        """Path -> its values, or the span of a range."""
        return {
            path: proposing.Span(v.low, v.high, v.log, self._takes_whole(path, v))
            if isinstance(v, Range)
            else v
            for path, v in self.spec.over.items()
        }

    def _takes_whole(self, path: str, span: Range) -> bool:
        """Does the field refuse fractions? 0 and 1 may be bounds of either."""
        values = {other: _first(given) for other, given in self.spec.over.items()}
        try:
            MODEL.validate_python(self.section(values | {path: float(span.low)}))
        except ValidationError as error:
            return any(each["type"].startswith("int") for each in error.errors())
        return False

    def section(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The model's section with those values."""
        return varied(self.needs.section, values)

    def valid(self, values: Mapping[str, Any]) -> ModelSpec:
        """The model with those values. Raises LmspecError if there is no such model."""
        try:
            return MODEL.validate_python(self.section(values))
        except ValidationError as error:
            first = error.errors()[0]
            path = ".".join(map(str, first["loc"]))
            what = first["msg"].removeprefix("Value error, ")
            given = f" with {_shown(values)}" if values else ""
            found = f"not valid{given}: {path or 'it'}: {what}"
            remedy = "leave those values out of `over`, or run `lmspec sync` if they are right"
            raise LmspecError(str(self.spec.of), found, remedy) from None

    def first_rung(self, values: Mapping[str, Any]) -> float:
        """Train a further trial up to the first rung; returns the metric that decides."""
        number = len(self.trials) + 1
        trial = Trial(number, values, self.section(values), self.valid(values))
        self.trials.append(trial)
        return float(self.advance(trial, (*self.spec.rungs, END)[0])[self.spec.metric])

    def advance(self, trial: Trial, rung: float | None) -> trials.Result:
        """Train a trial up to a rung, unless that is known; what came of it."""
        if trial.results and trial.last["ended"]:
            result = trial.last
        else:
            result = self._kept(trial, rung) or self._trained(trial, rung)
        trial.results[rung] = result
        return result

    def _kept(self, trial: Trial, rung: float | None) -> trials.Result | None:
        if self.place is None:
            return None
        try:
            result = trials.read(self.place, trial.section, rung)
        except ValueError as error:
            stage.say(f"trial {trial.number}: {error}, so it runs again")
            self.forget(trial)
            return None
        if result is not None:
            self._tell(trial, result, f"{_at(rung)}, kept from before")
        return result

    def _trained(self, trial: Trial, rung: float | None) -> trials.Result:
        stage.say(f"trial {trial.number} of {self.spec.trials}: {_shown(trial.values)}")
        resume = self._resume(trial)
        # one process: trials are small, and many ranks would wait for each other at every rung
        bits = self.needs.bits.model_copy(update={"world": None, "sharding": None})
        if head(trial.spec.training) is not None:
            kept, _, _ = model.solution(trial.spec, self.needs, resume)
            if not len(kept.dev.truth):
                found = f"the dev split of {self.on} is empty, and trials are compared there"
                raise LmspecError(str(self.spec.of), found, "give `dev` a fraction above 0")
            result = _result(kept.layer.best) | {"ended": True}
        else:
            recipe = descent(trial.spec.training).model_copy(update={"seeds": 1})
            network = model.prepared(trial.spec, self.needs, bits)
            steps = math.ceil(len(network.task.ids) / recipe.batch_size)  # of an epoch
            until = None if rung is END else max(1, round(rung * steps))
            if until is not None and self._is_beyond(trial, until):
                self.forget(trial)
            task = dataclasses.replace(network.task, curve=f"trial-{trial.number}")
            reached = loop.fit(network.model.model, task, recipe, bits, resume, until)
            result = _result(reached.best) | {
                "ended": reached.ended,
                "epochs": round(reached.steps / steps, 4),
                "best_step": reached.best["step"],
            }
        self._tell(trial, result, _at(rung))
        if resume is not None and self.place is not None:
            if not resume.unchanged():
                found = "an input changed while trials were being trained on it"
                raise LmspecError(str(self.spec.of), found, "run `dvc repro` again")
            trials.write(self.place, trial.section, rung, result)
            if result["ended"]:
                self.forget(trial)
        return result

    def _resume(self, trial: Trial) -> Resume | None:
        if self.needs.resume is None or self.place is None:
            return None
        state = trials.folder(self.place, trial.section) / "state"
        return Resume(state, self.needs.resume.unchanged)

    def _is_beyond(self, trial: Trial, until: int) -> bool:
        """Is its state that of a later rung, as after an edit of the rungs?"""
        resume = self._resume(trial)
        try:
            place = resume.folder / f"seed-{self.needs.bits.seed}" if resume else None
            reached = Reached.read(place) if place else None
        except ValueError:  # the training says so
            return False
        return reached is not None and reached.step > until

    def forget(self, trial: Trial) -> None:
        """Remove the weights of a trial that does not go on; its results stay."""
        if self.place is not None:
            shutil.rmtree(trials.folder(self.place, trial.section) / "state", ignore_errors=True)

    def _tell(self, trial: Trial, result: trials.Result, when: str) -> None:
        value = result[self.spec.metric]
        stage.say(f"trial {trial.number}: dev {self.spec.metric} {value:.4f} {when}")

    def ranked(self, group: Sequence[Trial]) -> list[int]:
        """Numbers of trials, the best first."""
        return halving.ranked({each.number: each.last for each in group}, self.spec.metric)

    def counts(self) -> list[int]:
        """How many trials reach each rung."""
        recipe = self.trials[0].spec.training
        if not self.spec.rungs or not isinstance(recipe, GradientDescent):
            return [len(self.trials)]
        return halving.widths(len(self.trials), [*self.spec.rungs, recipe.epochs])

    def report(self, order: Sequence[int], best: Trial) -> stage.Report:
        """Metrics of the best, the cost, and a row for each trial and rung."""
        numbers: dict[str, float] = {"trials": len(self.trials)}
        if all("epochs" in trial.last for trial in self.trials):
            numbers["epochs"] = round(sum(trial.last["epochs"] for trial in self.trials), 4)
            numbers["epochs_without_halving"] = sum(
                trial.spec.training.epochs
                for trial in self.trials
                if isinstance(trial.spec.training, GradientDescent)
            )
        dev = documents.read_split(self.needs[self.on], "dev")
        metrics = {
            "best": {name: best.last[name] for name in WATCHED},
            **numbers,
            "dev_examples": len(dev),
        }
        rows = [
            {"rank": rank, "trial": number, **_cells(self.trials[number - 1])}
            for rank, number in enumerate(order, 1)
        ]
        at_rungs = [
            {"trial": trial.number, **_numbers(result)}
            for trial in self.trials
            for result in trial.results.values()
        ]
        chosen = [{"field": p, "value": json.dumps(v)} for p, v in best.values.items()]
        return stage.Report(metrics, {"trials": rows, "rungs": at_rungs, "best": chosen})


def _refused(found: Disagreement) -> LmspecError:
    return LmspecError(".".join(("sweep", *map(str, found.steps))), found.found, found.remedy)


def _first(values: Range | Sequence[Any]) -> Any:
    return values.low if isinstance(values, Range) else values[0]


def _result(best: Mapping[str, Any]) -> trials.Result:
    return {name: float(best[f"dev_{name}"]) for name in WATCHED}


def _numbers(result: trials.Result) -> dict[str, Any]:
    """Epochs, as far as there are any, and metrics."""
    epochs = {name: result[name] for name in ("epochs", "best_step") if name in result}
    return epochs | {f"dev_{name}": result[name] for name in WATCHED}


def _cells(trial: Trial) -> dict[str, Any]:
    values = {p: v if isinstance(v, str) else json.dumps(v) for p, v in trial.values.items()}
    return values | _numbers(trial.last)


def _epochs(rung: float | None) -> str:
    return "the end" if rung is END else f"{rung:g} epoch{'' if rung == 1 else 's'}"


def _at(rung: float | None) -> str:
    return "at the end" if rung is END else f"after {_epochs(rung)}"


def _shown(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{path} {json.dumps(value)}" for path, value in values.items())


STAGE = stage.Stage(SweepSpec, build)
