"""verify: rebuild artifacts elsewhere, and compare."""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click

from lmspec.audit import contents, rebuild, records
from lmspec.cli import loading
from lmspec.errors import LmspecError, some
from lmspec.pipeline import dvc
from lmspec.pipeline import paths as places
from lmspec.specs.project import Project

SEALED = {
    "kernel": "sandboxed by the kernel",
    "open": "fetched, checked against a declared hash",
    "unenforced": "not sandboxed: the kernel cannot, so compiled libraries may have read anything",
}


@click.command("verify")
@click.argument("targets", nargs=-1, metavar="[ARTIFACT]...")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Difference of numbers to accept.",
)
@click.option(
    "--provenance",
    "only_records",
    is_flag=True,
    help="Build nothing: compare records, outputs and inputs.",
)
def command(targets: tuple[str, ...], tolerance: float, only_records: bool) -> None:
    """Rebuild each artifact (all, if none is named) in another folder and compare it with the one that is there.

    The rebuild has another hash seed, language, time zone and home; it sees what the stage declares and nothing else of the
    project. Says for each: same bytes, same content, within the tolerance, or different, with the first tensor, node, row,
    key or line. What is measured, not computed, is not compared. Exits 1 if one is different.

    With --provenance it takes seconds: do the SHA-256 of outputs, inputs and code, the parameters and the versions of packages
    in data/provenance agree with each other and with what is here, and who sealed each build?

    \b
    Example:
      lmspec verify model.textcnn
      lmspec verify --tolerance 1e-6
      lmspec verify --provenance
    """
    project = loading.valid_project()
    root = Path.cwd()
    every = [name for name, _ in project.artifacts()]
    names = [loading.artifact_named(project, target, "verify") for target in targets] or every
    if only_records:
        sys.exit(_records(project, root, {places.stage_name(name) for name in names}))
    changed = dvc.status(root)
    different = 0
    for name in names:
        if places.stage_name(name) in changed:
            raise LmspecError(
                name, "it is not up to date", "run `dvc repro` first; `lmspec plan` says why"
            )
        begin = time.monotonic()
        verdict, lines = _verdict(project, name, root, tolerance)
        different += verdict == contents.DIFFERENT
        click.echo(f"{name}: {verdict} ({time.monotonic() - begin:.0f} s)")
        for line in lines:
            click.echo(f"  {line}")
    click.echo(f"{len(names) - different} of {len(names)} came out as they are")
    sys.exit(1 if different else 0)


def _records(project: Project, root: Path, stages: set[str]) -> int:
    """Print what does not agree; 1 if anything does not."""
    found = records.all_of(project, root)
    named = [
        finding for finding in records.findings(project, root, found) if finding.stage in stages
    ]
    wrong = sum(not finding.absent for finding in named)
    for what in dict.fromkeys(finding.what for finding in named):
        absent = any(finding.absent for finding in named if finding.what == what)
        where = some([finding.stage for finding in named if finding.what == what])
        click.echo(f"{where}: {what}{', so it was not compared: `dvc pull`' if absent else ''}")
    sealed = Counter(record.sandbox for name, record in found.items() if record and name in stages)
    click.echo(f"{len(stages)} records: {'they agree' if not wrong else _count(wrong)}")
    click.echo("; ".join(f"{count} {SEALED.get(by, by)}" for by, count in sorted(sealed.items())))
    return 1 if wrong else 0


def _count(count: int) -> str:
    return f"{count} disagreement{'s' if count > 1 else ''}; `dvc repro` builds again what is not up to date"


def _verdict(project: Project, name: str, root: Path, tolerance: float) -> tuple[str, list[str]]:
    spec = project.find(name)
    if spec.measured:
        return "measured, not compared", []
    if spec.noun == "sources":
        return "held to its declared hash, not fetched again", []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rebuild.rebuild(project, name, root, folder)
        paths = [places.folder(name), *([places.metrics(name)] if spec.metrics else [])]
        paths += [places.table(name, report.name) for report in spec.reports]
        found = [
            finding for path in paths for finding in contents.findings(root / path, folder / path)
        ]
    if not found:
        return "same bytes", []
    lines = [f"{finding.file}: {finding.what}" for finding in found]
    differing = [finding for finding in found if finding.verdict == contents.DIFFERENT]
    if not differing:
        return contents.SAME, lines
    if all(finding.largest is not None and finding.largest <= tolerance for finding in differing):
        return f"within {tolerance:g}", lines
    return contents.DIFFERENT, lines
