"""plan: what `dvc repro` would run, and why."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.errors import LmspecError
from lmspec.graph import advice, plan, sync


@click.command("plan")
@click.argument("targets", nargs=-1, metavar="[STAGE]...")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def command(targets: tuple[str, ...], form: str) -> None:
    """Say which stages `dvc repro` would run and why: old -> new value, file, or missing output.

    A stage is called `model-minilm`, or `model.minilm` as in params.yaml.

    "may run" is a stage of which nothing changed but what it is made from: it runs if that comes out otherwise.

    \b
    Example:
      lmspec plan
      lmspec plan bundle-release
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
    if form == "json":
        click.echo(json.dumps([asdict(step) for step in steps], indent=2))
        return
    width = max((len(step.stage) for step in steps), default=0)
    for step in steps:
        first, *rest = step.reasons or ("",)
        click.echo(f"{step.stage:{width}}  {step.verdict:7}  {first}".rstrip())
        for reason in rest:
            click.echo(f"{'':{width}}  {'':7}  {reason}")
    counts = {verdict: sum(s.verdict == verdict for s in steps) for verdict in (plan.RUN, plan.MAY, plan.HIT)}
    click.echo(f"\n{counts[plan.RUN]} will run, {counts[plan.MAY]} may run, {counts[plan.HIT]} are up to date")
