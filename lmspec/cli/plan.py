"""plan: what `dvc repro` would run, and why."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.errors import LmspecError
from lmspec.graph import advice, plan, sync


@click.command("plan")
@click.argument("targets", nargs=-1, metavar="[STAGE]...")
@click.option(
    "--format", "form", type=click.Choice(["text", "md", "json"]), default="text", show_default=True, help="How to print it."
)
@click.option("--exit-code", is_flag=True, help="Exit 2 if a stage will run or may run, 0 if all are up to date.")
def command(targets: tuple[str, ...], form: str, exit_code: bool) -> None:
    """Say which stages `dvc repro` would run and why: old -> new value, file, or missing output.

    A stage is called `model-minilm`, or `model.minilm` as in params.yaml.

    "may run" is a stage of which nothing changed but what it is made from: it runs if that comes out otherwise.

    \b
    Example:
      lmspec plan
      lmspec plan bundle-release
      lmspec plan --exit-code --format md     # in CI
    """
    project, params = loading.valid_params()
    targets = tuple(sync.stage_name(target) for target in targets)
    root = Path.cwd()
    names = [sync.stage_name(name) for name, _ in project.artifacts()]
    unknown = set(targets) - set(names)
    if unknown:
        near = advice.nearest(sorted(unknown)[0], names)
        remedy = f"did you mean '{near}'?" if near else f"the stages are {', '.join(names)}"
        raise LmspecError("plan", f"there is no stage '{sorted(unknown)[0]}'", remedy)
    if sync.outdated(project, root):
        raise LmspecError("dvc.yaml", "it is not what params.yaml and the code say", "run `lmspec sync` first")
    steps = plan.plan(project, params, root, targets)
    print_steps = {"text": _text, "md": _markdown, "json": _json}[form]
    click.echo(print_steps(steps))
    if exit_code and any(step.verdict != plan.HIT for step in steps):
        sys.exit(2)


def _text(steps: list[plan.Step]) -> str:
    width = max((len(step.stage) for step in steps), default=0)
    lines = []
    for step in steps:
        first, *rest = step.reasons or ("",)
        lines.append(f"{step.stage:{width}}  {step.verdict:7}  {first}".rstrip())
        lines += [f"{'':{width}}  {'':7}  {reason}" for reason in rest]
    return "\n".join([*lines, "", _counts(steps)])


def _markdown(steps: list[plan.Step]) -> str:
    """What is not up to date, as a table for a pull request."""
    rows = [
        f"| {step.stage} | {step.verdict} | {'<br>'.join(map(_cell, step.reasons))} |"
        for step in steps
        if step.verdict != plan.HIT
    ]
    return "\n".join([f"**{_counts(steps)}**", *(["", "| stage | | why |", "| --- | --- | --- |", *rows] if rows else [])])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _json(steps: list[plan.Step]) -> str:
    return json.dumps([asdict(step) for step in steps], indent=2)


def _counts(steps: list[plan.Step]) -> str:
    counts = {verdict: sum(s.verdict == verdict for s in steps) for verdict in (plan.RUN, plan.MAY, plan.HIT)}
    return f"{counts[plan.RUN]} will run, {counts[plan.MAY]} may run, {counts[plan.HIT]} are up to date"
