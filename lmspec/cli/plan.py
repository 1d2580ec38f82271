"""plan: what `dvc repro` would run, why, and for about how long."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.errors import LmspecError
from lmspec.language import suggest
from lmspec.pipeline import compiler, durations, paths, plan


@click.command("plan")
@click.argument("targets", nargs=-1, metavar="[STAGE]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit 2 if a stage will run or may run, 0 if none: all is there or restored.",
)
def command(targets: tuple[str, ...], form: str, exit_code: bool) -> None:
    """Say which stages `dvc repro` would run and why: old -> new value, file, or missing output; and for about how long.

    A stage is called `model-minilm`, or `model.minilm` as in params.yaml.

    "may run" is a stage for which all depends on how a stage before it comes out. "restore" is one that is not up to date but
    whose result DVC's cache has, from an earlier run with the same inputs: it is taken from there, and nothing runs.

    The times are medians of the last five runs of the stage on this machine, or on another one, which is named then.

    \b
    Example:
      lmspec plan
      lmspec plan bundle-release
      lmspec plan --exit-code --format md     # in CI
    """
    project = loading.valid_project()
    targets = tuple(paths.stage_name(target) for target in targets)
    root = Path.cwd()
    names = [paths.stage_name(name) for name, _ in project.artifacts()]
    unknown = set(targets) - set(names)
    if unknown:
        near = suggest.nearest(sorted(unknown)[0], names)
        remedy = f"did you mean '{near}'?" if near else f"the stages are {', '.join(names)}"
        raise LmspecError("plan", f"there is no stage '{sorted(unknown)[0]}'", remedy)
    if compiler.outdated(project, root):
        raise LmspecError(
            "dvc.yaml", "it is not what params.yaml and the code say", "run `lmspec sync` first"
        )
    steps = plan.plan(root, targets)
    print_steps = {"text": _text, "md": _markdown, "json": _json}[form]
    click.echo(print_steps(steps))
    if exit_code and any(step.verdict in (plan.RUN, plan.MAY) for step in steps):
        sys.exit(2)


def _text(steps: list[plan.Step]) -> str:
    width = max((len(step.stage) for step in steps), default=0)
    lines = []
    for step in steps:
        first, *rest = [*step.reasons, *_time(step)] or [""]
        lines.append(f"{step.stage:{width}}  {step.verdict:7}  {first}".rstrip())
        lines += [f"{'':{width}}  {'':7}  {line}" for line in rest]
    return "\n".join([*lines, "", _counts(steps), *_total(steps)])


def _markdown(steps: list[plan.Step]) -> str:
    """What is not up to date, as a table for a pull request."""
    rows = [
        f"| {step.stage} | {step.verdict} | {'<br>'.join(map(_cell, step.reasons))} | {''.join(map(_cell, _time(step)))} |"
        for step in steps
        if step.verdict != plan.HIT
    ]
    said = "; ".join([_counts(steps), *_total(steps)])
    return "\n".join(
        [
            f"**{said}**",
            *(["", "| stage | | why | time |", "| --- | --- | --- | --- |", *rows] if rows else []),
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _json(steps: list[plan.Step]) -> str:
    return json.dumps([asdict(step) for step in steps], indent=2)


def _time(step: plan.Step) -> list[str]:
    if step.expected is None:
        return []
    return [
        durations.about(step.expected.seconds)
        + ("" if step.expected.here else f" on {step.expected.machine}")
    ]


def _counts(steps: list[plan.Step]) -> str:
    counts = {
        verdict: sum(s.verdict == verdict for s in steps)
        for verdict in (plan.RUN, plan.MAY, plan.RESTORE, plan.HIT)
    }
    restored = f"{counts[plan.RESTORE]} restored from the cache, " if counts[plan.RESTORE] else ""
    return f"{counts[plan.RUN]} will run, {counts[plan.MAY]} may run, {restored}{counts[plan.HIT]} are up to date"


def _total(steps: list[plan.Step]) -> list[str]:
    """About how long it all takes; nothing if no stage was timed yet."""
    pending = [step for step in steps if step.verdict in (plan.RUN, plan.MAY)]
    timed = [step for step in pending if step.expected]
    if not timed:
        return []
    most = sum(step.expected.seconds for step in timed if step.expected)
    sure = sum(
        step.expected.seconds for step in timed if step.expected and step.verdict == plan.RUN
    )
    said = (
        durations.about(sure)
        if sure == most
        else f"{durations.about(sure)} for what will run, "
        if sure
        else ""
    )
    said += f"at most {durations.about(most)} with what may run" if sure != most else ""
    untimed = len(pending) - len(timed)
    return [said + (f", and {untimed} not timed yet" if untimed else "")]
