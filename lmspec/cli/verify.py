"""verify: rebuild artifacts elsewhere and compare; or hash what is here."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from lmspec.audit import agreement, deletion, objects, rebuild
from lmspec.cli import loading, options
from lmspec.errors import LmspecError
from lmspec.formats import rowids
from lmspec.pipeline import dvc
from lmspec.reports import printing
from lmspec.specs.names import ArtifactName
from lmspec.specs.project import Project

SANDBOXES = {
    "kernel": "sandboxed by the kernel",
    "open": "fetched, checked against a declared hash",
    "unenforced": "not sandboxed: the kernel cannot, so compiled libraries may have read anything",
}


@click.command("verify")
@options.targets()
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Accept numbers that differ by at most this.",
)
@click.option(
    "--provenance",
    "only_provenance",
    is_flag=True,
    help="Build nothing; compare provenance, outputs and inputs.",
)
@click.option(
    "--cache",
    "only_cache",
    is_flag=True,
    help="Build nothing; hash what DVC's cache holds, and show how to restore what is damaged.",
)
@click.option(
    "--without",
    "deleted",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Build nothing; fail if a row of this file of ids is in anything that went into them.",
)
def command(
    targets: tuple[str, ...],
    tolerance: float,
    only_provenance: bool,
    only_cache: bool,
    deleted: Path | None,
) -> None:
    """Rebuild artifacts (default: all) in another folder and compare them with those here.

    The rebuild has another hash seed, language, time zone and home, and sees only what the stage
    declares. Prints for each artifact: same bytes, same content, within the tolerance, or
    different, with the first tensor, node, row, key or line that differs. Measurements are not
    compared. Exits 1 if an artifact differs.

    --provenance takes seconds: it checks that the SHA-256 of outputs, inputs and code, the
    parameters and the versions of packages in data/provenance agree with each other and with the
    files here, and prints how many builds were sandboxed. A file that did not change since it was
    last hashed is not read again, unless --cache is given as well.

    --cache reads everything. The content of each object in DVC's cache that dvc.lock or the
    run-cache names must have the MD5 that is its name, and outputs here must have the MD5 in
    dvc.lock. DVC does not check this. For each damaged or empty file, it prints the artifact, the
    file and how to restore it.

    --without FILE shows that rows are deleted: it searches all data that the artifacts were made
    from, and the tables in data/metrics, for the ids in the file (one a line), and checks the
    provenance of the chain from there. It reads no raw tables of sources.

    \b
    Example:
      lmspec verify model.textcnn
      lmspec verify --tolerance 1e-6
      lmspec verify --provenance
      lmspec verify --cache
      lmspec verify --without deleted.txt bundle.release
    """
    project = loading.valid_project()
    root = Path.cwd()
    every = [name for name, _ in project.artifacts()]
    names = loading.artifacts(project, targets or every)
    if deleted is not None:
        if only_provenance or only_cache or tolerance:
            raise click.UsageError("--without searches, and builds nothing: leave the others out")
        sys.exit(0 if _deleted(project, root, names, deleted) else 1)
    if only_provenance or only_cache:
        chosen = [name.stage for name in names]
        sound = not only_cache or _cache(root, chosen if targets else ())
        sound &= not only_provenance or _provenance(project, root, chosen, only_cache)
        sys.exit(0 if sound else 1)
    sys.exit(0 if _rebuilt(project, root, names, tolerance) else 1)


def _rebuilt(project: Project, root: Path, names: Sequence[ArtifactName], tolerance: float) -> bool:
    """Raises LmspecError of one that is out of date."""
    with dvc.stages(root) as stages:
        changed = {stage.name for stage in stages if stage.changes}
    different = 0
    for name in names:
        if name.stage in changed:
            remedy = "run `dvc repro` first; `lmspec plan` says why"
            raise LmspecError(str(name), "it is out of date", remedy)
        begin = time.monotonic()
        verdict = rebuild.verdict(project, name, root, tolerance)
        different += verdict.different
        printing.text(f"{name}: {verdict.text} ({time.monotonic() - begin:.0f} s)")
        for line in verdict.lines:
            printing.text(f"  {line}")
    printing.text(f"{len(names) - different} of {len(names)} reproduced")
    return not different


def _deleted(project: Project, root: Path, names: Sequence[ArtifactName], file: Path) -> bool:
    ids = rowids.read(file, str(file))
    result = deletion.search(project, root, names, ids)
    for line in result.lines:
        printing.text(line)
    searched = f"{', '.join(result.data) or 'no data'}, and provenance of {len(result.stages)}"
    found = "not shown" if result.lines else "none is in what they were made from"
    printing.text(f"{len(ids):,} rows: {found} ({searched} stages)")
    return not result.lines


def _cache(root: Path, stages: Sequence[str]) -> bool:
    result = objects.inspect(root, stages)
    for damage in result.damages:
        printing.text(damage)
    absent = f"; {result.absent} not here: `dvc fetch`" if result.absent else ""
    damaged = f"{count} damaged" if (count := len(result.damages)) else "nothing is damaged"
    printing.text(f"DVC's cache: {result.whole} objects are whole, {damaged}{absent}")
    return not result.damages


def _provenance(project: Project, root: Path, stages: Sequence[str], every_byte: bool) -> bool:
    result = agreement.check(project, root, stages, every_byte)
    for line in result.lines:
        printing.text(line)
    count = result.disagreements
    found = f"{count} disagreement{'s' if count > 1 else ''}; {agreement.REMEDY}"
    printing.text(f"provenance of {len(stages)} stages: {found if count else 'it agrees'}")
    sandboxes = sorted(result.sandboxes.items())
    printing.text("; ".join(f"{number} {SANDBOXES.get(by, by)}" for by, number in sandboxes))
    return not count
