"""sweep_rules: rules of sweeps: fields that exist, values that they take, rungs before the end."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.errors import some
from lmspec.language import conformance, model_rules, suggest
from lmspec.language import schema as schemas
from lmspec.language.resolved import Disagreements, Specs
from lmspec.language.schema import Schema
from lmspec.specs.checks import sweep as checks
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName
from lmspec.specs.swept import UNUSED, combinations, varied

Values = Mapping[str, Any]


def swept_fields_exist(specs: Specs) -> Disagreements:
    """A sweep gives values to fields of its model that are no reference, kind or mapping."""
    for name, sweep in specs.of("sweep"):
        fields = _fields(specs[sweep["of"]], _section(sweep["of"]))
        for path in sweep["over"]:
            place = ((*ArtifactName.parse(sweep["of"]),), "the model")
            if path in UNUSED:
                yield Disagreement((*name, "over", path), UNUSED[path], "remove it", (place,))
            elif path not in fields:
                found = f"{sweep['of']} has no field '{path}' that takes values"
                yield Disagreement((*name, "over", path), found, _hint(path, fields), (place,))


def swept_values_fit(specs: Specs) -> Disagreements:
    """Each value of a sweep is one that the model's field takes."""
    for name, sweep in specs.of("sweep"):
        fields = _fields(specs[sweep["of"]], _section(sweep["of"]))
        for path, values in sweep["over"].items():
            if path in fields:
                for steps, found, hint in _misfits(values, fields[path]):
                    yield Disagreement((*name, "over", path, *steps), found, hint)


def swept_values_agree(specs: Specs) -> Disagreements:
    """No combination of a sweep's values and bounds makes an invalid model.

    Beyond 100 combinations each value is tried with the first ones of the other fields.
    """
    for name, sweep in specs.of("sweep"):
        of, schema = ArtifactName.parse(sweep["of"]), _section(sweep["of"])
        fields = _fields(specs[of], schema)
        fits = all(p in fields and not [*_misfits(v, fields[p])] for p, v in sweep["over"].items())
        for values in combinations(sweep["over"]) if fits else ():
            section = varied(specs[of], values)
            problem = next(_problems(specs, of, section, schema), None)
            if problem is not None:
                steps, found, hint = problem
                of_field = ".".join(map(str, steps))
                path = next((p for p in values if f"{of_field}.".startswith(f"{p}.")), None)
                path = path or next(iter(values))
                shown = ", ".join(f"{p} {conformance.shown(v)}" for p, v in values.items())
                place = ((*of, *steps), "the field")
                yield Disagreement((*name, "over", path), f"with {shown}: {found}", hint, (place,))
                break


def rungs_are_reached(specs: Specs) -> Disagreements:
    """A rung is an epoch of a training that goes on beyond it."""
    for name, sweep in specs.of("sweep"):
        of = ArtifactName.parse(sweep["of"])
        for found in checks.rungs_are_reached(sweep, specs[of]):
            others = tuple(((*of, *steps), f"{what} of {of}") for steps, what in found.others)
            yield Disagreement((*name, *found.steps), found.found, found.remedy, others)


def no_private_model_is_swept(specs: Specs) -> Disagreements:
    """Each trial on the same rows spends epsilon again, which nothing counts."""
    for name, sweep in specs.of("sweep"):
        of = ArtifactName.parse(sweep["of"])
        for found in checks.no_model_is_private(specs[of]):
            others = tuple(((*of, *steps), what) for steps, what in found.others)
            yield Disagreement((*name, *found.steps), found.found, found.remedy, others)


RULES = (
    no_private_model_is_swept,
    swept_fields_exist,
    swept_values_fit,
    swept_values_agree,
    rungs_are_reached,
)


def _section(model: str) -> Schema:
    return schemas.inner(schemas.sections()[ArtifactName.parse(model).noun])


def _fields(value: Any, schema: Schema, path: str = "") -> dict[str, Schema]:
    """Path -> schema of each field of a section that holds a value or a list of such."""
    concrete, _ = schemas.concrete(schema)
    kinds = schemas.kinds(concrete)
    if kinds and isinstance(value, dict):
        concrete = kinds[value["kind"]]
    if not isinstance(value, dict) or "properties" not in concrete:
        is_mapping = bool(kinds) or "properties" in concrete
        is_other = is_mapping or "x-refers-to" in concrete or path.endswith("kind")
        return {} if is_other else {path: schema}
    found: dict[str, Schema] = {}
    for name, inner in concrete["properties"].items():
        found |= _fields(value.get(name), inner, f"{path}.{name}" if path else name)
    return found


def _hint(path: str, fields: Mapping[str, Schema]) -> str:
    """The field that was probably meant: of the same or a similar last name, or of a like path."""
    last = path.rpartition(".")[2]
    if last == "kind":
        return "a kind decides which fields there are: write a model and a sweep for each"
    if below := [field for field in fields if field.startswith(f"{path}.")]:
        return f"there are {some(below)}"
    ends: dict[str, str] = {}
    for field in fields:
        ends.setdefault(field.rpartition(".")[2], field)
    meant = ends.get(last) or suggest.nearest(path, fields)
    meant = meant or ends.get(suggest.nearest(last, ends) or "")
    return suggest.did_you_mean(meant) or f"there are {some([*fields])}"


class _Detached(conformance.Findings):
    """Notes what is wrong with values that are no part of the file."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.found: list[tuple[Steps, str, str]] = []

    def report(
        self, rule: str, steps: Steps, found: str, hint: str = "", key: bool = False
    ) -> None:
        """Without a place."""
        self.found.append((steps, found, hint))

    def disagrees(self, rule: str, base: Steps, found: Disagreement, warning: bool = False) -> None:
        """Without a place."""
        self.found.append(((*base, *found.steps), found.found, found.remedy))

    def _is_reference(self, steps: Steps) -> bool:
        return False


def _misfits(values: Any, schema: Schema) -> Iterator[tuple[Steps, str, str]]:
    """(place, found, what to do) of what a field does not take of a list or a range."""
    findings = _Detached()
    if isinstance(values, list):
        for i, value in enumerate(values):
            findings.check(value, schema, (i,))
    elif schemas.concrete(schema)[0].get("type") not in ("integer", "number"):
        rule = schemas.rule(schema)
        yield (), f"the field takes {rule}, of which there is no range", "list values: [...]"
    else:
        for bound in ("low", "high"):
            findings.check(values[bound], schema, (bound,))
    yield from findings.found


def _problems(
    specs: Specs, of: ArtifactName, section: Values, schema: Schema
) -> Iterator[tuple[Steps, str, str]]:
    """(place below the model, found, what to do) of a section that is no part of the file."""
    findings = _Detached()
    findings.check(section, schema, ())
    yield from findings.found
    values = {**specs.values, of.noun: {**specs.values[of.noun], of.name: section}}
    variant = dataclasses.replace(specs, values=values, names=(of,))
    for rule in model_rules.RULES:
        for found in rule(variant):
            yield found.steps[2:], found.found, found.remedy
