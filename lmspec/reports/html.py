"""html: a report as one page: light and dark, readable without scripts, loading nothing."""

import base64
import hashlib
import re

from jinja2 import Environment
from markupsafe import Markup, escape

from lmspec.compare.report import Calibration, Confusion, Metric, Report
from lmspec.language import metric_names
from lmspec.reports import charts, templating, words
from lmspec.specs.names import ArtifactName

Parts = dict[str, Confusion | Calibration]  # `confusion`, `calibration`: what there is


def environment() -> Environment:
    """The templates of the page."""
    templates = templating.environment(words.printable, autoescape=True)
    templates.filters["name"] = _breakable
    templates.filters["thousands"] = "{:,}".format
    templates.tests["is_drawn"] = charts.is_drawn
    return templates


def render(report: Report) -> str:
    """The page, to be opened from a disk or an archive of CI.

    Its policy forbids the browser to load anything, and to run anything but the filter.
    """
    templates = environment()
    assert templates.loader
    script, _, _ = templates.loader.get_source(templates, "filter.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return templates.get_template("report.html.j2").render(
        report=report,
        script=Markup(script),
        digest=digest,
        metrics=_metrics(report),
        models=_models(report),
        artifact_name=ArtifactName.parse,
    )


def _breakable(name: str) -> Markup:
    """A name that may be wrapped after each of its parts."""
    return Markup(re.sub(r"([._/])", r"\1<wbr>", str(escape(words.line(name)))))


def _metrics(report: Report) -> dict[str, list[Metric]]:
    """How the page shows each: `plotted`, `stated` in a table, or folded under its verdict."""
    groups: dict[str, list[Metric]] = {place: [] for place in ("plotted", "stated", *words.TONES)}
    for metric in words.ordered(report.metrics):
        drawn = charts.is_drawn(metric) and metric.verdict != "same"
        significant = metric.verdict in words.SIGNIFICANT
        about = (metric_names.named(gate.metric, metric.name) for gate in report.gates)
        if drawn and (significant or any(about)):
            groups["plotted"].append(metric)
        else:
            groups["stated" if significant else metric.verdict].append(metric)
    return groups


def _models(report: Report) -> dict[str, dict[str, Parts]]:
    """Artifact -> dataset -> its parts: the released artifact first, then by gates and flips."""
    models: dict[str, dict[str, Parts]] = {}
    for kind in ("confusion", "calibration"):
        for part in getattr(report, kind):
            models.setdefault(part.artifact, {}).setdefault(part.dataset, {})[kind] = part
    gated = [gate.metric for gate in report.gates]

    def urgency(artifact: str) -> tuple[bool, int, int]:
        places = [i for i, metric in enumerate(gated) if metric.startswith(f"{artifact}.")]
        flips = [f for f in report.flips if f.artifact == artifact]
        changed = sum(f.negative_flips + f.positive_flips for f in flips)
        return artifact not in report.shipped, min(places, default=len(gated)), -changed

    return {artifact: models[artifact] for artifact in sorted(models, key=urgency)}
