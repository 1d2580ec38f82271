"""`lmspec attribute`: effects of known truths, and mixes of commits of a real project."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmspec.attribution import factors, worktrees
from lmspec.attribution.design import BASELINE, Design, Mix
from lmspec.attribution.effects import Amount, Attribution, Measurement, attribute
from lmspec.attribution.result import AttributionReport, MixBuild
from lmspec.compare import revision
from lmspec.compare.report import RevisionId
from lmspec.compare.revision import Unavailable
from lmspec.errors import LmspecError
from lmspec.methods.sources.digest import sha256
from lmspec.reports import attribution as forms
from lmspec.reports import words
from lmspec.statistics import predictions
from lmspec.statistics.paired import PairedSample, Sample, SplitMetric
from lmspec.statistics.predictions import Predictions, Scale
from tests import miniature, reports
from tests.history import make
from tests.test_forms import rendered

ACCURACY = SplitMetric("accuracy", None)
LABELS = ("bad", "good")
NO_PREDICTIONS = Unavailable("none were kept")
FACTORS = ("data", "spec", "code")


def answers(
    shares: Mapping[Mix, float], ids: Mapping[Mix, Sequence[int]] | None = None
) -> dict[Mix, Measurement]:
    """Corners where about such a share of 400 examples is right: the same draws everywhere, as one model is like another."""
    rng = np.random.default_rng(5)
    luck, labels = rng.random(400), rng.integers(0, 2, 400)
    found = {}
    for corner, share in shares.items():
        rows = np.arange(400) if ids is None else np.array(ids[corner])
        right = luck[rows] + rng.normal(0, 0.05, len(rows)) < share
        label = [LABELS[i] for i in labels[rows]]
        predicted = [LABELS[i if ok else 1 - i] for i, ok in zip(labels[rows], right, strict=True)]
        names = tuple(f"e{i}" for i in rows)
        side = Predictions(
            names,
            tuple("even" if i % 2 == 0 else "odd" for i in rows),
            tuple(f"d{i // 3}" for i in rows),
            tuple(label),
            tuple(predicted),
            np.full(len(rows), 0.75),
            np.where(right, 0.75, 0.25),
        )
        found[corner] = Measurement(float(right.mean()), Sample(side, Scale(LABELS, 5)))
    return found


def values(truth: Mapping[Mix, float]) -> dict[Mix, Measurement]:
    """Corners of which only the metric is known."""
    return {corner: Measurement(value, NO_PREDICTIONS) for corner, value in truth.items()}


def told(found: Attribution) -> dict[str, float | None]:
    """Factor, or factors joined by x -> its effect."""
    effects = {effect.factor: effect.effect and effect.effect.value for effect in found.effects}
    return effects | {
        "x".join(each.factors): each.amount and each.amount.value for each in found.interactions
    }


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    "part",
    [
        ACCURACY,
        SplitMetric("macro_f1", None),
        SplitMetric("f1.good", "odd"),
        SplitMetric("log_loss", "even"),
    ],
)
def test_the_effects_add_up_to_the_difference(count: int, part: SplitMetric) -> None:
    """Exactly, whatever the metric; and each lies within its interval."""
    design = Design(FACTORS[:count])
    corners = answers(
        {corner: 0.5 + 0.07 * len(corner) + 0.05 * ("spec" in corner) for corner in design.mixes}
    )
    told = {
        corner: Measurement(seen.sample.plain(part)[0], seen.sample)
        for corner, seen in corners.items()
        if _has(seen)
    }
    found = attribute("m", part, design, told)
    assert found.examples == (400 if part.table is None else 200)
    assert sum(_value(effect.effect) for effect in found.effects) == pytest.approx(
        found.total.value, abs=1e-12
    )
    assert found.total.value == pytest.approx(found.candidate - found.baseline, abs=1e-12)
    for effect in found.effects:
        assert effect.effect and effect.effect.interval
        assert effect.effect.interval[0] <= effect.effect.value <= effect.effect.interval[1]


def _has(seen: Measurement) -> bool:
    return isinstance(seen.sample, Sample)


def _value(amount: Any) -> float:
    assert amount is not None
    return float(amount.value)


def test_one_factor_has_the_interval_that_lmspec_diff_gives() -> None:
    """The difference of two commits is the effect of all that differs."""
    design = Design(("code",))
    corners = answers({BASELINE: 0.6, design.candidate: 0.7})
    found = attribute("m", ACCURACY, design, corners)
    sides = [corners[corner].sample for corner in (BASELINE, design.candidate)]
    old, new = (side for side in sides if isinstance(side, Sample))
    paired = PairedSample(predictions.pair(old.predictions, new.predictions), old.scale, False)
    (effect,) = found.effects
    assert effect.effect == effect.alone == effect.last == found.total
    assert found.total.interval == pytest.approx(
        paired.difference(ACCURACY).interval(0.95), abs=1e-12
    )


def test_what_adds_up_has_no_interaction() -> None:
    """Each factor's effect is its own, alone and last."""
    design = Design(FACTORS)
    own = {"data": 0.1, "spec": -0.03, "code": 0.002}
    found = attribute(
        "m", ACCURACY, design, values({c: 0.5 + sum(own[f] for f in c) for c in design.mixes})
    )
    effects = told(found)
    assert {name: effects[name] for name in own} == pytest.approx(own)
    assert [
        effects[name] for name in ("dataxspec", "dataxcode", "specxcode", "dataxspecxcode")
    ] == pytest.approx([0] * 4)
    assert all(
        _value(effect.alone) == pytest.approx(_value(effect.last)) for effect in found.effects
    )


def test_what_multiplies_interacts() -> None:
    """Of 0.5 * 1.2 * 1.5 * 1.1 every interaction is the product of the gains; effects still add up."""
    design = Design(FACTORS)
    gains = {"data": 0.2, "spec": 0.5, "code": 0.1}
    truth = {
        corner: 0.5 * float(np.prod([1 + gains[f] for f in corner])) for corner in design.mixes
    }
    found = attribute("m", ACCURACY, design, values(truth))
    effects = told(found)
    assert effects["dataxspec"] == pytest.approx(0.5 * 0.2 * 0.5)
    assert effects["dataxspecxcode"] == pytest.approx(0.5 * 0.2 * 0.5 * 0.1)
    assert sum(_value(effect.effect) for effect in found.effects) == pytest.approx(
        truth[design.candidate] - 0.5
    )
    two = attribute(
        "m",
        ACCURACY,
        Design(("data", "spec")),
        values({c: v for c, v in truth.items() if "code" not in c}),
    )
    for effect in two.effects:
        assert _value(effect.effect) == pytest.approx(
            (_value(effect.alone) + _value(effect.last)) / 2
        )
        assert told(two)["dataxspec"] == pytest.approx(_value(effect.last) - _value(effect.alone))


def test_answers_that_cancel_out_are_no_sign_that_nothing_moves() -> None:
    """Of one document an answer is gained and one lost, so no replicate differs; what the spec leaves alone it moves nowhere."""
    design, half = Design(("data", "spec")), np.full(4, 0.5)

    def seen(*predicted: str) -> Measurement:
        side = Predictions(
            tuple("abcd"),
            ("s",) * 4,
            ("d",) * 4,
            ("bad", "bad", "good", "good"),
            predicted,
            half,
            half,
        )
        return Measurement(0.75, Sample(side, Scale(LABELS, 5)))

    one, other = seen("bad", "bad", "good", "bad"), seen("bad", "good", "good", "good")
    found = attribute(
        "m",
        ACCURACY,
        design,
        {corner: other if "data" in corner else one for corner in design.mixes},
    )
    data, spec = (effect.effect for effect in found.effects)
    assert data == found.total == Amount(0.0, None) and spec == Amount(0.0, (0.0, 0.0))
    text, written = forms.text(_found(found)), forms.markdown(_found(found))
    assert (
        "+0.0000 [spread not known]" in text
        and "+0.0000 [spread not known]" in written
        and forms.SAME in text
    )
    assert json.loads(forms.as_json(_found(found)))["metrics"][0]["total"] == {
        "value": 0.0,
        "interval": None,
    }


def test_a_missing_corner_makes_unknown_what_needs_it_and_nothing_else() -> None:
    """Nothing is guessed: of the data only what it adds last is known, of the spec only what it does alone."""
    design = Design(("data", "spec"))
    corners = answers({corner: 0.5 + 0.1 * len(corner) for corner in design.mixes})
    del corners[frozenset({"data"})]
    found = attribute("m", ACCURACY, design, corners)
    data, spec = found.effects
    assert data.effect is data.alone is spec.effect is spec.last is None
    assert data.last and spec.alone and data.last.interval and found.total.interval
    assert [each.amount for each in found.interactions] == [None]
    shown = forms.text(_found(found, MixBuild(("data",), error="no such field")))
    assert (
        shown.count(forms.UNKNOWN) == 5
        and "A with data of B: cannot be built: no such field" in shown
    )


def _found(metric: Attribution, *mixes: MixBuild, built: bool = True) -> AttributionReport:
    factors = {"data": ("a",), "spec": ("b | c",), "code": (), "toolchain": ()}
    return AttributionReport(
        RevisionId("A", "1" * 40), RevisionId("B", "2" * 40), factors, mixes, (metric,), built
    )


def test_amounts_are_of_the_examples_that_all_corners_have() -> None:
    """And it is said how many were left out; without any, the values alone are told."""
    design = Design(("data", "spec"))
    shares = {corner: 0.5 + 0.1 * len(corner) for corner in design.mixes}
    half = {corner: range(200, 400) if "data" in corner else range(300) for corner in design.mixes}
    some = attribute("m", ACCURACY, design, answers(shares, half))
    assert some.examples == 100 and "of 200 to 300 in their test splits" in some.notes[0]
    apart = {corner: range(200, 400) if "data" in corner else range(200) for corner in design.mixes}
    none = attribute("m", ACCURACY, design, answers(shares, apart))
    assert (
        none.examples is None
        and none.total.interval is None
        and "no example in common" in none.notes[0]
    )
    assert none.total.value == pytest.approx(none.candidate - none.baseline)


def test_a_metric_that_its_outcomes_do_not_give_has_no_interval() -> None:
    """Other code can count another way: then the effects are those of the values."""
    design = Design(("code",))
    corners = answers({BASELINE: 0.6, design.candidate: 0.7})
    corners[design.candidate] = Measurement(0.9, corners[design.candidate].sample)
    found = attribute("m", ACCURACY, design, corners)
    assert found.total.interval is None and "another scorer" in found.notes[0]
    assert found.total.value == pytest.approx(0.9 - found.baseline)


@pytest.mark.parametrize("installed", [False, True])
def test_the_toolchain_has_what_the_mixes_leave_over(installed: bool) -> None:
    """Every mix that is built has one toolchain: the other factors move within it, and all effects still add up."""
    design = Design(("data", "spec"), "toolchain", installed)
    assert len(design.to_build) == 3 and all(
        ("toolchain" in corner) == installed for corner in design.to_build
    )
    gains = {"data": 0.2, "spec": 0.5, "toolchain": 0.1}
    truth = {
        corner: 0.5 * float(np.prod([1 + gains[f] for f in corner])) for corner in design.mixes
    }
    found = attribute("m", ACCURACY, design, values(truth))
    assert sum(_value(effect.effect) for effect in found.effects) == pytest.approx(
        truth[design.candidate] - 0.5
    )
    assert told(found)["toolchain"] == pytest.approx(0.05 if installed else 0.5 * 1.2 * 1.5 * 0.1)
    toolchain = found.effects[-1]
    assert (toolchain.alone is None, toolchain.last is None) == (not installed, installed)


def test_the_forms_say_the_same() -> None:
    """Markdown has the numbers of the text, with no sign that would break its tables; JSON is one object."""
    design = Design(("data", "spec"))
    found = _found(
        attribute("m", ACCURACY, design, answers({c: 0.5 + 0.1 * len(c) for c in design.mixes}))
    )
    numbers = re.compile(r"[+-]\d\.\d{4}")
    assert sorted(numbers.findall(forms.text(found))) == sorted(
        numbers.findall(forms.markdown(found))
    )
    assert "b &#124; c" in forms.markdown(found)
    assert json.loads(forms.as_json(found))["metrics"][0]["effects"][0]["factor"] == "data"


def test_hostile_texts_are_read_and_do_nothing() -> None:
    """Values, labels and reasons of errors come from files: to a terminal, a runner or a site they are text."""
    design = Design(("data", "spec"))
    metric = attribute(
        f"scores.{reports.EVERYTHING}",
        ACCURACY,
        design,
        answers(dict.fromkeys(design.mixes, 0.5)),
    )
    mixes = [MixBuild(("data",), error=text) for text in ("::error::x", *reports.HOSTILE)]
    plain = _found(replace(metric, notes=("# heading\n::error::x", *reports.HOSTILE)), *mixes)
    found = replace(
        plain,
        factors={"data": reports.HOSTILE, "spec": ("\n::error::x",)},
        baseline=RevisionId("@a\n::b\ud83d", None),
    )
    for told in (
        forms.text(found),
        forms.differing(found),
        forms.costs(found),
        forms.markdown(found),
    ):
        assert (
            not [line for line in told.splitlines() if line.lstrip().startswith("::")]
            and "##[" not in told
        )
        assert not words.UNPRINTABLE.search(told) and told.encode()
    shown = rendered(forms.markdown(found))
    assert {tag for tag, _ in shown.tags} == {
        "p",
        "strong",
        "code",
        "ul",
        "li",
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert shown.open == [] and shown.comments == []
    outside = unescape(re.sub(r"<code>.*?</code>|`[^`]*`", "", forms.markdown(found)))
    assert not re.search(r"[@#]\w|://|www\.", outside)


def test_each_section_of_a_mix_comes_from_the_side_of_its_factor() -> None:
    """Gates build nothing, and the machine is that of the code, whose schema it must fit."""
    sides = [
        dict.fromkeys(("sources", "splits", "model", "numerics", "machine", "gates"), side)
        for side in ("baseline", "candidate")
    ]
    assert worktrees.params(*sides, frozenset({"data"})) == {
        "sources": "candidate",
        "splits": "candidate",
        "model": "baseline",
        "numerics": "baseline",
        "machine": "baseline",
    }
    assert worktrees.params(*sides, frozenset({"spec", "code"})) == {
        "sources": "baseline",
        "splits": "baseline",
        "model": "candidate",
        "numerics": "candidate",
        "machine": "candidate",
    }


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A repository that is to have two commits."""
    miniature.run(tmp_path, "git", "init", "-q", "-b", "main")
    for name, value in (("user.name", "t"), ("user.email", "t@example.org")):
        miniature.run(tmp_path, "git", "config", name, value)
    return tmp_path


def _commit(folder: Path, files: Mapping[str, str]) -> revision.Revision:
    assert (folder / ".git").is_dir()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    miniature.run(folder, "git", "add", "-A")
    miniature.run(folder, "git", "commit", "-q", "-m", "change")
    return revision.read(miniature.run(folder, "git", "rev-parse", "HEAD").strip(), folder)


BASE = {
    "params.yaml": "sources: {a: {kind: file, path: raw/a}}\nmodel: {m: {epochs: 1}}\ngates: {g: 1}\nmachine: {device: cpu}\n",
    "raw/a": "one",
    "stages/model.py": "x = 1\n",
    "toolchain.yaml": f"python: '{factors.toolchain.minor()}'\npackages: {{numpy: {np.__version__}}}\n",
}


@pytest.mark.parametrize(
    ("file", "text", "factor"),
    [
        ("params.yaml", BASE["params.yaml"].replace("epochs: 1", "epochs: 2"), "spec"),
        ("params.yaml", BASE["params.yaml"].replace("kind: file", "kind: file, sha256: b"), "data"),
        ("raw/a", "two", "data"),
        ("stages/model.py", "x = 2\n", "code"),
        ("toolchain.yaml", BASE["toolchain.yaml"].replace(np.__version__, "1.0"), "toolchain"),
        (
            "params.yaml",
            "# a comment\n" + BASE["params.yaml"].replace("{g: 1}", "{}").replace("cpu", "cuda"),
            None,
        ),
        ("stages/model.py", "x = 1  # a comment\n", None),
        ("README.md", "words", None),
    ],
)
def test_a_factor_differs_where_what_is_built_from_does(
    two: Path, file: str, text: str, factor: str | None
) -> None:
    """A comment, a gate, the machine and what no stage reads are none."""
    old, new = _commit(two, BASE), _commit(two, {file: text})
    assert [name for name, what in factors.differing(old, new).items() if what] == (
        [factor] if factor else []
    )


def test_code_is_what_a_stage_executes(two: Path) -> None:
    """By dvc.lock of either side. A mix has all code from one commit nevertheless."""
    deps = "    deps:\n    - path: stages/model.py\n      md5: a\n    - path: helpers.py\n      md5: b\n"
    base = BASE | {
        "dvc.lock": f"schema: '2.0'\nstages:\n  model-m:\n    cmd: none\n{deps}",
        "lmspec/statistics/margins.py": "x = 1\n",
    }
    old, other = _commit(two, base), _commit(two, {"lmspec/statistics/margins.py": "x = 2\n"})
    assert not any(factors.differing(old, other).values())
    new = _commit(two, {"stages/model.py": "x = 2\n"})
    assert factors.differing(old, new)["code"] == (
        "stages/model.py: statements outside its definitions",
    )
    moved_to = _commit(
        two,
        {"dvc.lock": base["dvc.lock"].replace("stages/model.py", "lmspec/statistics/margins.py")},
    )
    assert len(factors.differing(old, moved_to)["code"]) == 2
    helped = _commit(two, {"helpers.py": "x = 2\n"})
    assert factors.differing(new, helped)["code"] == ("helpers.py: a new file",)
    place = two.parent / "mix"
    miniature.run(two, "git", "worktree", "add", "-q", "--detach", str(place), str(old.commit))
    paths = factors.code_files(old, helped)
    worktrees.restore(place, str(old.commit), str(helped.commit), paths)
    code = ("stages/model.py", "lmspec/statistics/margins.py", "helpers.py")
    assert [(place / path).read_text() for path in code] == ["x = 2\n"] * 3


def test_mixes_need_the_versions_of_one_of_the_two(two: Path) -> None:
    """It is told whose are installed; if neither's are, which differ and where to run it."""
    here = BASE["toolchain.yaml"]
    sides = [
        _commit(two, BASE | {"toolchain.yaml": here.replace(np.__version__, v)})
        for v in (np.__version__, "1.0", "1.1")
    ]
    assert factors.installed(sides[0], sides[0]) == "both"
    assert (
        factors.installed(sides[0], sides[1]) == "baseline"
        and factors.installed(sides[1], sides[0]) == "candidate"
    )
    with pytest.raises(LmspecError) as refused:
        factors.installed(sides[1], sides[2])
    assert (
        f"numpy {np.__version__}" in str(refused.value)
        and "numpy 1.0 or 1.1" in refused.value.remedy
    )


def test_mixes_need_a_project_of_dvcs(tmp_path: Path) -> None:
    """Its cache is where DVC keeps it if nothing is set; without one it is no matter of the two commits."""
    root = make(tmp_path / "project").root
    head = revision.read("HEAD", root)
    with pytest.raises(LmspecError) as refused, worktrees.workshop(root, head, head):
        pass
    assert refused.value.place == "dvc cache dir" and "`dvc init`" in refused.value.remedy
    miniature.dvc(root, "init", "-q")
    with worktrees.workshop(root, head, head) as shop:
        assert shop._cache == str(root / ".dvc/cache")


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of the built project."""
    return Path(shutil.copytree(built, tmp_path / "project", symlinks=True))


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _build_and_commit(project: Path, *stages: str) -> None:
    miniature.lmspec(project, "sync")
    if stages:
        miniature.dvc(project, "repro", *stages)
    miniature.run(project, "git", "add", "-A")
    miniature.run(project, "git", "commit", "-q", "-m", "change")


def _learn_faster(project: Path) -> None:
    """In params.yaml the CNN's learning rate, and that alone."""
    head, mark, rest = (project / "params.yaml").read_text().partition("  cnn:\n    on: splits.old")
    assert mark and rest.count("peak_learning_rate: 3.0e-3") > 1
    (project / "params.yaml").write_text(head + mark + rest.replace("3.0e-3", "3.0e-2", 1))


def _drop_rows(project: Path) -> None:
    """Of raw/old.csv some rows, and the hash in the spec."""
    raw = project / "raw" / "old.csv"
    before = sha256(raw)
    lines = raw.read_text().splitlines(keepends=True)
    raw.write_text("".join(lines[:40] + lines[44:]))
    _edit(project / "params.yaml", before, sha256(raw))


def _state(project: Path) -> dict[str, Any]:
    """All that a command must leave as it is."""
    git = [
        ("rev-parse", "HEAD"),
        ("branch", "-a"),
        ("worktree", "list"),
        ("ls-files", "-s"),
        ("stash", "list"),
        ("tag",),
    ]
    found: dict[str, Any] = {" ".join(each): miniature.run(project, "git", *each) for each in git}
    ours = (".git", ".lmspec", "__pycache__", "cache", "tmp")
    files = (
        p
        for p in project.rglob("*")
        if p.is_file() and not {*ours} & {*p.relative_to(project).parts}
    )
    return (
        found
        | {str(path): path.read_bytes() for path in files}
        | {"index": (project / ".git" / "index").read_bytes()}
    )


@pytest.mark.slow
def test_two_factors_are_told_apart_and_the_project_stays_as_it_is(project: Path) -> None:
    """Data and spec: two mixes are built; a second run takes them from the cache; nothing of the project is touched."""
    _learn_faster(project)
    _drop_rows(project)
    _build_and_commit(project, "scores-cnn")
    before = _state(project)
    asked = ("attribute", "HEAD~1", "HEAD", "scores.cnn.old.accuracy", "scores.cnn.old.log_loss")
    cost = miniature.lmspec(project, *asked)
    assert (
        "nothing was built: `--yes` builds them" in cost
        and "HEAD~1 with data of HEAD" in cost
        and "to run" in cost
    )
    said = miniature.lmspec(project, *asked, "--yes")
    assert "model-cnn runs" in said and "data x spec" in said
    found = json.JSONDecoder().raw_decode(
        miniature.lmspec(project, *asked, "--yes", "--format", "json")
    )[0]
    assert all(
        mix["runs"] == mix["may_run"] == 0 and mix["error"] is None for mix in found["mixes"]
    )
    for metric in found["metrics"]:
        assert sum(each["effect"]["value"] for each in metric["effects"]) == pytest.approx(
            metric["total"]["value"], abs=1e-9
        )
    assert found["metrics"][1]["total"]["interval"][0] < found["metrics"][1]["total"]["interval"][1]
    assert _state(project) == before


@pytest.mark.slow
def test_one_factor_needs_no_mix(project: Path) -> None:
    """An edit of a method alone: all of it is due to the code."""
    cnn = project / "lmspec" / "methods" / "architectures" / "cnn.py"
    _edit(
        cnn,
        "logits=self.head(self.dropout(torch.cat(pooled, 1)))",
        "logits=self.head(self.dropout(torch.cat(pooled, 1))) * 3",
    )
    _build_and_commit(project, "scores-cnn")
    said = miniature.lmspec(project, "attribute", "HEAD~1", "HEAD", "scores.cnn.old.log_loss")
    assert "lmspec/methods/architectures/cnn.py: CnnClassifier.forward" in said
    assert (
        "nothing but the code differs, so all of it is due to that" in said
        and "mixes to build" not in said
    )


@pytest.mark.slow
def test_a_mix_that_cannot_be_built_is_named_and_nothing_is_guessed(project: Path) -> None:
    """The new spec has a field that the old code does not know; the old spec is fine for the new code."""
    scores = project / "lmspec" / "specs" / "scores.py"
    _edit(
        scores,
        "    calibration_bins: int",
        '    note: str = Field(default="", max_length=9, description="of no use")\n    calibration_bins: int',
    )
    schema = miniature.lmspec(project, "schema")
    (project / "lmspec" / "graph" / "params.schema.json").write_text(schema)
    _edit(
        project / "params.yaml",
        "  cnn: {of: quantized.cnn, on: [splits.old], ",
        "  cnn: {of: quantized.cnn, on: [splits.old], note: new, ",
    )
    _learn_faster(project)
    _build_and_commit(project, "scores-cnn")
    said = miniature.lmspec(
        project, "attribute", "HEAD~1", "HEAD", "scores.cnn.old.log_loss", "--yes"
    )
    assert "HEAD~1 with spec of HEAD: cannot be built: " in said and "note" in said
    assert "HEAD~1 with code of HEAD: built" in said
    spec, code, both = (
        re.split(r" {2,}", line.strip())
        for line in re.findall(r"^  (?:spec|code|spec x code) .*(?:known|\]|change).*$", said, re.M)
    )
    assert spec[1:3] == ["not known", "not known"] and spec[3] != "not known"
    assert code[1] == code[3] == "not known" and code[2] == "no change"
    assert both[1] == "not known"
    assert miniature.run(project, "git", "worktree", "list").count("\n") == 1


def test_another_toolchain_is_kept_apart_or_refused(project: Path) -> None:
    """Its effect is what mixes with the installed one leave over; with neither side's versions no mix is comparable."""
    version = next(
        line
        for line in (project / "toolchain.yaml").read_text().splitlines()
        if line.startswith("  numpy: ")
    )
    for other in ("9.8", "9.9"):
        for path in ("toolchain.yaml", "dvc.lock"):
            text = (project / path).read_text()
            (project / path).write_text(text.replace(version.strip(), f"numpy: {other}"))
        _edit(project / "params.yaml", "title: Good or bad", f"title: Good or bad, {other}")
        version = f"numpy: {other}"
        miniature.run(project, "git", "commit", "-q", "-a", "-m", other)
    said = miniature.lmspec(project, "attribute", "HEAD~2", "HEAD~1", "scores.cnn.old.accuracy")
    assert (
        "toolchain  numpy" in said
        and "toolchain: not separated" in said
        and "HEAD~2 with spec of HEAD~1" in said
    )
    assert (
        "lmspec: nothing was built, so no effect is known: `lmspec attribute ... --yes` builds the mixes"
        in said
    )
    refused = miniature.lmspec(
        project, "attribute", "HEAD~1", "HEAD", "scores.cnn.old.accuracy", code=1
    )
    assert (
        "mixes cannot be built with what is installed: numpy" in refused
        and "numpy 9.8 or 9.9" in refused
    )
