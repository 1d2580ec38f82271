"""`lmspec attribute`: effects that are known in advance, and mixes of a real project's commits."""

import hashlib
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
from lmspec.methods.folders import sha256
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
    """Mixes that get about such a share of 400 examples right.

    All use the same draws, since models of similar mixes err on similar examples.
    """
    rng = np.random.default_rng(5)
    luck, labels = rng.random(400), rng.integers(0, 2, 400)
    result = {}
    for mix, share in shares.items():
        rows = np.arange(400) if ids is None else np.array(ids[mix])
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
        result[mix] = Measurement(float(right.mean()), Sample(side, Scale(LABELS, 5)))
    return result


def values(truth: Mapping[Mix, float]) -> dict[Mix, Measurement]:
    """Mixes of which only the metric is known."""
    return {mix: Measurement(value, NO_PREDICTIONS) for mix, value in truth.items()}


def effects_of(result: Attribution) -> dict[str, float | None]:
    """Factor, or factors joined by x -> effect or interaction."""
    effects = {effect.factor: effect.effect and effect.effect.value for effect in result.effects}
    return effects | {
        "x".join(each.factors): each.amount and each.amount.value for each in result.interactions
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
def test_effects_add_up_to_the_difference(count: int, part: SplitMetric) -> None:
    """Exactly, for every metric; and each effect is within its interval."""
    design = Design(FACTORS[:count])
    mixes = answers({mix: 0.5 + 0.07 * len(mix) + 0.05 * ("spec" in mix) for mix in design.mixes})
    measured = {
        mix: Measurement(measurement.sample.plain(part)[0], measurement.sample)
        for mix, measurement in mixes.items()
        if _has(measurement)
    }
    result = attribute("m", part, design, measured)
    assert result.examples == (400 if part.table is None else 200)
    assert sum(_value(effect.effect) for effect in result.effects) == pytest.approx(
        result.total.value, abs=1e-12
    )
    assert result.total.value == pytest.approx(result.candidate - result.baseline, abs=1e-12)
    for effect in result.effects:
        assert effect.effect and effect.effect.interval
        assert effect.effect.interval[0] <= effect.effect.value <= effect.effect.interval[1]


def _has(measurement: Measurement) -> bool:
    return isinstance(measurement.sample, Sample)


def _value(amount: Any) -> float:
    assert amount is not None
    return float(amount.value)


def test_one_factor_has_the_interval_that_lmspec_diff_gives() -> None:
    """If one factor differs, its effect is the whole difference."""
    design = Design(("code",))
    mixes = answers({BASELINE: 0.6, design.candidate: 0.7})
    result = attribute("m", ACCURACY, design, mixes)
    sides = [mixes[mix].sample for mix in (BASELINE, design.candidate)]
    old, new = (side for side in sides if isinstance(side, Sample))
    paired = PairedSample(predictions.pair(old.predictions, new.predictions), old.scale, False)
    (effect,) = result.effects
    assert effect.effect == effect.alone == effect.last == result.total
    assert result.total.interval == pytest.approx(
        paired.difference(ACCURACY).interval(0.95), abs=1e-12
    )


def test_additive_factors_do_not_interact() -> None:
    """Each factor has the same effect alone and last."""
    design = Design(FACTORS)
    own = {"data": 0.1, "spec": -0.03, "code": 0.002}
    result = attribute(
        "m", ACCURACY, design, values({c: 0.5 + sum(own[f] for f in c) for c in design.mixes})
    )
    effects = effects_of(result)
    assert {name: effects[name] for name in own} == pytest.approx(own)
    assert [
        effects[name] for name in ("dataxspec", "dataxcode", "specxcode", "dataxspecxcode")
    ] == pytest.approx([0] * 4)
    assert all(
        _value(effect.alone) == pytest.approx(_value(effect.last)) for effect in result.effects
    )


def test_multiplicative_factors_interact() -> None:
    """In 0.5 * 1.2 * 1.5 * 1.1 each interaction is the product of gains; effects still add up."""
    design = Design(FACTORS)
    gains = {"data": 0.2, "spec": 0.5, "code": 0.1}
    truth = {mix: 0.5 * float(np.prod([1 + gains[f] for f in mix])) for mix in design.mixes}
    result = attribute("m", ACCURACY, design, values(truth))
    effects = effects_of(result)
    assert effects["dataxspec"] == pytest.approx(0.5 * 0.2 * 0.5)
    assert effects["dataxspecxcode"] == pytest.approx(0.5 * 0.2 * 0.5 * 0.1)
    assert sum(_value(effect.effect) for effect in result.effects) == pytest.approx(
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
        assert effects_of(two)["dataxspec"] == pytest.approx(
            _value(effect.last) - _value(effect.alone)
        )


def test_answers_that_cancel_out_do_not_prove_an_effect_of_zero() -> None:
    """One answer of a document is gained and one lost, so no replicate differs.

    An effect is exactly 0 only where no answer differs at all, as that of the spec here.
    """
    design, half = Design(("data", "spec")), np.full(4, 0.5)

    def measured(*predicted: str) -> Measurement:
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

    one = measured("bad", "bad", "good", "bad")
    other = measured("bad", "good", "good", "good")
    result = attribute(
        "m",
        ACCURACY,
        design,
        {mix: other if "data" in mix else one for mix in design.mixes},
    )
    data, spec = (effect.effect for effect in result.effects)
    assert data == result.total == Amount(0.0, None) and spec == Amount(0.0, (0.0, 0.0))
    text, written = forms.text(_report(result)), forms.markdown(_report(result))
    assert (
        "+0.0000 [spread not known]" in text
        and "+0.0000 [spread not known]" in written
        and forms.SAME in text
    )
    assert json.loads(forms.as_json(_report(result)))["metrics"][0]["total"] == {
        "value": 0.0,
        "interval": None,
    }


def test_a_missing_mix_leaves_unknown_only_what_needs_it() -> None:
    """Nothing is guessed: the data has only `last`, the spec only `alone`."""
    design = Design(("data", "spec"))
    mixes = answers({mix: 0.5 + 0.1 * len(mix) for mix in design.mixes})
    del mixes[frozenset({"data"})]
    result = attribute("m", ACCURACY, design, mixes)
    data, spec = result.effects
    assert data.effect is data.alone is spec.effect is spec.last is None
    assert data.last and spec.alone and data.last.interval and result.total.interval
    assert [each.amount for each in result.interactions] == [None]
    shown = forms.text(_report(result, MixBuild(("data",), error="no such field")))
    assert (
        shown.count(forms.UNKNOWN) == 5
        and "A with data of B: cannot be built: no such field" in shown
    )


def _report(metric: Attribution, *mixes: MixBuild, built: bool = True) -> AttributionReport:
    factors = {"data": ("a",), "spec": ("b | c",), "code": (), "toolchain": ()}
    return AttributionReport(
        RevisionId("A", "1" * 40), RevisionId("B", "2" * 40), factors, mixes, (metric,), built
    )


def test_amounts_are_over_the_examples_common_to_all_mixes() -> None:
    """A note gives the sizes; without common examples, amounts follow from the values alone."""
    design = Design(("data", "spec"))
    shares = {mix: 0.5 + 0.1 * len(mix) for mix in design.mixes}
    half = {mix: range(200, 400) if "data" in mix else range(300) for mix in design.mixes}
    some = attribute("m", ACCURACY, design, answers(shares, half))
    assert some.examples == 100 and "of 200 to 300 in their test splits" in some.notes[0]
    apart = {mix: range(200, 400) if "data" in mix else range(200) for mix in design.mixes}
    none = attribute("m", ACCURACY, design, answers(shares, apart))
    assert (
        none.examples is None
        and none.total.interval is None
        and "no example in common" in none.notes[0]
    )
    assert none.total.value == pytest.approx(none.candidate - none.baseline)


def test_a_metric_that_contradicts_its_predictions_has_no_interval() -> None:
    """Other code may have another scorer: then effects follow from the values alone."""
    design = Design(("code",))
    mixes = answers({BASELINE: 0.6, design.candidate: 0.7})
    mixes[design.candidate] = Measurement(0.9, mixes[design.candidate].sample)
    result = attribute("m", ACCURACY, design, mixes)
    assert result.total.interval is None and "another scorer" in result.notes[0]
    assert result.total.value == pytest.approx(0.9 - result.baseline)


@pytest.mark.parametrize("installed", [False, True])
def test_the_toolchain_gets_what_the_mixes_leave_over(installed: bool) -> None:
    """All mixes are built with one toolchain; all effects still add up."""
    design = Design(("data", "spec"), "toolchain", installed)
    assert len(design.to_build) == 3 and all(
        ("toolchain" in mix) == installed for mix in design.to_build
    )
    gains = {"data": 0.2, "spec": 0.5, "toolchain": 0.1}
    truth = {mix: 0.5 * float(np.prod([1 + gains[f] for f in mix])) for mix in design.mixes}
    result = attribute("m", ACCURACY, design, values(truth))
    assert sum(_value(effect.effect) for effect in result.effects) == pytest.approx(
        truth[design.candidate] - 0.5
    )
    assert effects_of(result)["toolchain"] == pytest.approx(
        0.05 if installed else 0.5 * 1.2 * 1.5 * 0.1
    )
    toolchain = result.effects[-1]
    assert (toolchain.alone is None, toolchain.last is None) == (not installed, installed)


def test_text_markdown_and_json_agree() -> None:
    """Markdown has the same numbers, and nothing that breaks its tables; JSON is one object."""
    design = Design(("data", "spec"))
    result = _report(
        attribute("m", ACCURACY, design, answers({c: 0.5 + 0.1 * len(c) for c in design.mixes}))
    )
    numbers = re.compile(r"[+-]\d\.\d{4}")
    assert sorted(numbers.findall(forms.text(result))) == sorted(
        numbers.findall(forms.markdown(result))
    )
    assert "b &#124; c" in forms.markdown(result)
    assert json.loads(forms.as_json(result))["metrics"][0]["effects"][0]["factor"] == "data"


def test_output_cannot_control_terminal_ci_or_site() -> None:
    """Values, labels and reasons of errors come from files."""
    design = Design(("data", "spec"))
    metric = attribute(
        f"scores.{reports.EVERYTHING}",
        ACCURACY,
        design,
        answers(dict.fromkeys(design.mixes, 0.5)),
    )
    mixes = [MixBuild(("data",), error=text) for text in ("::error::x", *reports.HOSTILE)]
    plain = _report(replace(metric, notes=("# heading\n::error::x", *reports.HOSTILE)), *mixes)
    result = replace(
        plain,
        factors={"data": reports.HOSTILE, "spec": ("\n::error::x",)},
        baseline=RevisionId("@a\n::b\ud83d", None),
    )
    for output in (
        forms.text(result),
        forms.differing(result),
        forms.costs(result),
        forms.markdown(result),
    ):
        assert (
            not [line for line in output.splitlines() if line.lstrip().startswith("::")]
            and "##[" not in output
        )
        assert not words.UNPRINTABLE.search(output) and output.encode()
    shown = rendered(forms.markdown(result))
    assert {tag for tag, _ in shown.tags} == {
        "p",
        "strong",
        "code",
        "ul",
        "li",
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert shown.open == [] and shown.comments == []
    outside = unescape(re.sub(r"<code>.*?</code>|`[^`]*`", "", forms.markdown(result)))
    assert not re.search(r"[@#]\w|://|www\.", outside)


def test_each_section_of_a_mix_comes_from_the_commit_of_its_factor() -> None:
    """Gates build nothing; `machine` must fit the schema of the code."""
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


def test_data_of_one_commit_comes_with_its_spec() -> None:
    """A new corpus and the model that is trained on it: each mix has what its spec refers to."""
    old = {"corpus": {"a": "old"}, "splits": {"a": "old"}, "model": {"m": "on a"}}
    new = {"corpus": {"a": "new", "b": "new"}, "splits": {"b": "new"}, "model": {"m": "on b"}}
    assert worktrees.params(old, new, frozenset({"spec"})) == {
        "corpus": {"a": "old", "b": "new"},
        "splits": {"a": "old", "b": "new"},
        "model": {"m": "on b"},
    }
    assert worktrees.params(old, new, frozenset({"data"})) == {
        "corpus": {"a": "new", "b": "new"},
        "splits": {"b": "new", "a": "old"},
        "model": {"m": "on a"},
    }
    assert worktrees.params(old, new, frozenset({"data", "spec"})) == new
    assert worktrees.params(old, new, frozenset()) == old


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A repository without commits."""
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
    "params.yaml": (
        "sources: {a: {kind: file, path: raw/a}}\nmodel: {m: {epochs: 1}}\n"
        "gates: {g: 1}\nmachine: {device: cpu}\n"
    ),
    "raw/a": "one",
    "stages/model.py": "x = 1\n",
    "toolchain.yaml": (
        f"python: '{factors.toolchain.minor()}'\npackages: {{numpy: {np.__version__}}}\n"
    ),
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
def test_a_factor_differs_if_an_input_of_a_build_does(
    two: Path, file: str, text: str, factor: str | None
) -> None:
    """Comments, gates, `machine` and files that no stage reads are none."""
    old, new = _commit(two, BASE), _commit(two, {file: text})
    assert [name for name, what in factors.differing(old, new).items() if what] == (
        [factor] if factor else []
    )


def test_only_code_that_a_stage_executes_differs(two: Path) -> None:
    """By dvc.lock of either commit; still, a mix has all its code from one commit."""
    deps = "    deps:\n" + "".join(
        f"    - path: {path}\n      md5: a\n" for path in ("stages/model.py", "helpers.py")
    )
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


def test_mixes_need_the_versions_of_either_commit(two: Path) -> None:
    """If neither's are installed, the error says which differ and where to run it."""
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


def test_mixes_need_a_dvc_project(tmp_path: Path) -> None:
    """Its cache is DVC's default unless set; the error does not blame the two commits."""
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
    """Change only the CNN's learning rate."""
    head, mark, rest = (project / "params.yaml").read_text().partition("  cnn:\n    on: splits.old")
    assert mark and rest.count("peak_learning_rate: 3.0e-3") > 1
    (project / "params.yaml").write_text(head + mark + rest.replace("3.0e-3", "3.0e-2", 1))


def _drop_rows(project: Path) -> None:
    """Drop some rows of raw/old.csv, and update its hash in the spec."""
    raw = project / "raw" / "old.csv"
    before = sha256(raw)
    lines = raw.read_text().splitlines(keepends=True)
    raw.write_text("".join(lines[:40] + lines[44:]))
    _edit(project / "params.yaml", before, sha256(raw))


def _state(project: Path) -> dict[str, Any]:
    """Everything that the command must not change."""
    git = [
        ("rev-parse", "HEAD"),
        ("branch", "-a"),
        ("worktree", "list"),
        ("ls-files", "-s"),
        ("stash", "list"),
        ("tag",),
    ]
    result: dict[str, Any] = {" ".join(each): miniature.run(project, "git", *each) for each in git}
    ours = (".git", ".lmspec", "__pycache__", "cache", "tmp")
    files = (
        p
        for p in project.rglob("*")
        if p.is_file() and not {*ours} & {*p.relative_to(project).parts}
    )
    return (
        result
        | {str(path): path.read_bytes() for path in files}
        | {"index": (project / ".git" / "index").read_bytes()}
    )


@pytest.mark.slow
def test_two_factors_are_separated_without_touching_the_project(project: Path) -> None:
    """Data and spec need two mixes; a second run takes them from the cache."""
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
    output = miniature.lmspec(project, *asked, "--yes")
    assert "model-cnn runs" in output and "data x spec" in output
    result = json.JSONDecoder().raw_decode(
        miniature.lmspec(project, *asked, "--yes", "--format", "json")
    )[0]
    assert all(
        mix["runs"] == mix["may_run"] == 0 and mix["error"] is None for mix in result["mixes"]
    )
    for metric in result["metrics"]:
        assert sum(each["effect"]["value"] for each in metric["effects"]) == pytest.approx(
            metric["total"]["value"], abs=1e-9
        )
    interval = result["metrics"][1]["total"]["interval"]  # None: too few groups of test examples
    assert interval is None or interval[0] < interval[1]
    assert _state(project) == before


@pytest.mark.slow
def test_data_and_what_uses_it_may_arrive_in_one_commit(project: Path) -> None:
    """The new splits count as part of the spec, and each mix is built. The second time nothing has
    to run, so there is no question. The control: without its data, the spec cannot be mixed in."""
    old = "  old: {of: corpus.old, "
    _edit(project / "params.yaml", old, f"{old.replace('old:', 'again:')}train: 0.6, dev: 0.2, "
          f"test: 0.2, seed: 1, keep_together: null}}\n{old}")  # fmt: skip
    _edit(project / "params.yaml", "  cnn:\n    on: splits.old", "  cnn:\n    on: splits.again")
    _drop_rows(project)
    _build_and_commit(project, "scores-cnn")
    asked = ("attribute", "HEAD~1", "HEAD", "scores.cnn.old.accuracy")
    output = miniature.lmspec(project, *asked, "--yes")
    assert "splits.again, so that data counts as part of the spec" in output
    assert "HEAD~1 with spec of HEAD: built" in output and "cannot be built" not in output
    again = miniature.lmspec(project, *asked)
    assert "not known" not in again and "nothing was built" not in again, again


@pytest.mark.slow
def test_one_factor_needs_no_mix(project: Path) -> None:
    """If only a method was edited, all of it is due to the code."""
    cnn = project / "lmspec" / "architectures" / "cnn.py"
    _edit(
        cnn,
        "logits=self.head(self.dropout(torch.cat(pooled, 1)))",
        "logits=self.head(self.dropout(torch.cat(pooled, 1))) * 3",
    )
    _build_and_commit(project, "scores-cnn")
    output = miniature.lmspec(project, "attribute", "HEAD~1", "HEAD", "scores.cnn.old.log_loss")
    assert "lmspec/architectures/cnn.py: CnnClassifier.forward" in output
    assert (
        "nothing but the code differs, so all of it is due to that" in output
        and "mixes to build" not in output
    )


@pytest.mark.slow
def test_a_mix_that_cannot_be_built_is_listed_and_nothing_is_guessed(project: Path) -> None:
    """The candidate's spec has a field that the baseline's code does not know; not vice versa."""
    scores = project / "lmspec" / "specs" / "scores.py"
    _edit(
        scores,
        "    calibration_bins: int",
        '    note: str = Field(default="", max_length=9, description="of no use")\n'
        "    calibration_bins: int",
    )
    schema = miniature.lmspec(project, "schema")
    (project / "lmspec" / "language" / "params.schema.json").write_text(schema)
    _edit(
        project / "params.yaml",
        "  cnn: {of: quantized.cnn, on: [splits.old], ",
        "  cnn: {of: quantized.cnn, on: [splits.old], note: new, ",
    )
    _learn_faster(project)
    _build_and_commit(project, "scores-cnn")
    output = miniature.lmspec(
        project, "attribute", "HEAD~1", "HEAD", "scores.cnn.old.log_loss", "--yes"
    )
    assert "HEAD~1 with spec of HEAD: cannot be built: " in output and "note" in output
    assert "HEAD~1 with code of HEAD: built" in output
    spec, code, both = (
        re.split(r" {2,}", line.strip())
        for line in re.findall(
            r"^  (?:spec|code|spec x code) .*(?:known|\]|change).*$", output, re.M
        )
    )
    assert spec[1:3] == ["not known", "not known"] and spec[3] != "not known"
    assert code[1] == code[3] == "not known" and code[2] == "no change"
    assert both[1] == "not known"
    assert miniature.run(project, "git", "worktree", "list").count("\n") == 1


def _record_package(project: Path, old: str, new: str) -> None:
    """Let every build's provenance name another version, and dvc.lock the hash of that."""
    lock = (project / "dvc.lock").read_text()
    for file in (project / "data/provenance").iterdir():
        before = file.read_bytes()
        file.write_bytes(before.replace(f"pypi/{old}".encode(), f"pypi/{new}".encode()))
        hashes = (hashlib.md5(content).hexdigest() for content in (before, file.read_bytes()))
        lock = lock.replace(*hashes)
    (project / "dvc.lock").write_text(lock)


def test_another_toolchain_is_left_over_or_refused(project: Path) -> None:
    """Its effect is what the mixes leave over; if neither commit's is installed, it is refused."""
    version = next(
        line
        for line in (project / "toolchain.yaml").read_text().splitlines()
        if line.startswith("  numpy: ")
    )
    for other in ("9.8.0", "9.9.0"):
        for path in ("toolchain.yaml", "dvc.lock"):
            text = (project / path).read_text()
            (project / path).write_text(text.replace(version.strip(), f"numpy: {other}"))
        _record_package(project, version.strip().replace(": ", "@"), f"numpy@{other}")
        _edit(project / "params.yaml", "title: Good or bad", f"title: Good or bad, {other}")
        version = f"numpy: {other}"
        miniature.run(project, "git", "commit", "-q", "-a", "-m", other)
    output = miniature.lmspec(project, "attribute", "HEAD~2", "HEAD~1", "scores.cnn.old.accuracy")
    assert (
        "toolchain  numpy" in output
        and "toolchain: not separated" in output
        and "HEAD~2 with spec of HEAD~1" in output
    )
    assert "HEAD~2 with spec of HEAD~1: built" in output  # from the cache, without asking
    refused = miniature.lmspec(
        project, "attribute", "HEAD~1", "HEAD", "scores.cnn.old.accuracy", code=1
    )
    assert (
        "mixes cannot be built with what is installed: numpy" in refused
        and "numpy 9.8.0 or 9.9.0" in refused
    )
