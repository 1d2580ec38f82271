"""ci: everything that CI does, as one command that also runs locally."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from lmspec.audit import agreement
from lmspec.cli import loading, mistakes
from lmspec.compare.report import Gate
from lmspec.errors import LmspecError, harmless, some
from lmspec.git import committed, line_endings, tree
from lmspec.language import validate
from lmspec.pipeline import subprocesses
from lmspec.reports import printing, problems, publishing, words
from lmspec.specs.names import PROVENANCE

NOT_COMPARED = 2  # exit code of `lmspec diff`


@dataclass(frozen=True)
class Options:
    """The command line. base: a commit that exists; output: the report folder."""

    base: str
    output: Path
    locked: bool
    pull: bool


class NotCompared(LmspecError):
    """`lmspec diff` has no report."""


@click.command("ci")
@click.option(
    "--base",
    help="Branch or commit to compare with, from the merge base.  "
    "[default: origin's default branch, or main]",
)
@click.option("--locked", is_flag=True, help="Fail if the committed results are not those built.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".lmspec/ci"),
    show_default=True,
    help="Folder for report.md, report.json, report.html and junit.xml.",
)
@click.option("--no-pull", is_flag=True, help="Do not pull from the DVC remote.")
def command(base: str | None, locked: bool, output: Path, no_pull: bool) -> None:
    """Check the spec, pull what was built elsewhere, build the rest, and report what the change
    does to the model. Run it locally to see what CI will report.

    Stops at the first step that fails: params.yaml is valid; dvc.yaml is up to date; `dvc pull`, if
    there is a remote; `dvc repro`; files have the hashes in data/provenance; dvc.lock, metrics and
    provenance are committed as built; `lmspec diff` of the working tree with the base, and its
    gates.

    Exits 0 if everything passes, 1 if a step or a gate fails, 2 if there is nothing to compare. On
    GitHub it annotates the lines at fault and appends the report to the job summary.

    \b
    Example:
      lmspec ci --base main
      lmspec ci --base origin/main --locked --output build/report
    """
    publishing.clear(output)
    base = _existing(base)
    options = Options(base, output, locked, not no_pull)
    for number, (name, step) in enumerate(STEPS.items(), 1):
        title = f"{number}/{len(STEPS)} {name}"
        if name in ANNOUNCED:
            printing.text(f"{title}: {ANNOUNCED[name]}")
        started = time.monotonic()
        try:
            result = step(options)
        except LmspecError as error:
            printing.text(f"{title}: failed ({time.monotonic() - started:.1f} s)")
            place = f"step {number} of {len(STEPS)}, {name}"
            mistakes.tell(f"stopped at {place}: {error}")
            publishing.failure(place, error, output)
            sys.exit(NOT_COMPARED if isinstance(error, NotCompared) else 1)
        printing.text(f"{title}: {result} ({time.monotonic() - started:.1f} s)")


def _existing(base: str | None) -> str:
    """The base. Raises BadParameter if git does not have it: better before the build than after."""
    if base and not base.strip("0"):  # forges pass zeros if there is no earlier commit
        return "HEAD"
    try:
        base = base or committed.default_base(Path.cwd())
        tree.merge_base(base, "HEAD", Path.cwd())
    except LmspecError as error:
        raise click.BadParameter(harmless(error), param_hint="--base") from None
    return base


def _warn(text: str) -> None:
    mistakes.note(f"warning: {text}")
    publishing.annotate("warning", text)


def _validate(options: Options) -> str:
    report = validate.file(loading.PARAMS)
    if report.errors:
        loading.show(report)
        if publishing.on_github():
            printing.data(problems.as_github(report), "commands")
        count = f"{report.errors} problem{'s' if report.errors > 1 else ''}"
        raise LmspecError(
            str(report.path), f"it has {count}", "see above; `lmspec explain` describes a field"
        )
    raw = [
        source["path"]
        for source in (report.values or {}).get("sources", {}).values()
        if source["kind"] == "file"
    ]
    line_endings.require_unconverted(Path.cwd(), [*line_endings.HASHED, *raw])
    return f"{report.path} is valid"


def _check_compiled(options: Options) -> str:
    loading.compiled_project()
    return "up to date"


def _pull(options: Options) -> str:
    if not options.pull:
        return "skipped"
    setting = [sys.executable, "-m", "dvc", "config", "core.remote"]
    environment = subprocesses.environment()
    process = subprocess.run(setting, env=environment, capture_output=True, text=True, check=False)
    remote = process.stdout.strip()
    if not remote:
        return "no default remote"
    if code := subprocesses.run_module("dvc", "pull", "--run-cache", "--allow-missing"):
        _warn(f"`dvc pull` from the remote '{remote}' exited {code}: what is missing will be built")
        return "incomplete"
    return f"pulled from '{remote}'"


def _build(options: Options) -> str:
    if code := subprocesses.run_module("dvc", "--wait-for-lock", "repro", show=printing.text):
        remedy = "fix the error above and start again: what was built is kept"
        raise LmspecError("ci", f"`dvc repro` exited {code}", remedy)
    return "built"


def _check_provenance(options: Options) -> str:
    result = agreement.check(loading.valid_project(), Path.cwd())
    if result.disagreements:
        lines = "".join(f"\n  {line}" for line in result.lines)
        found = f"files here differ from what was built:{lines}"
        raise LmspecError(PROVENANCE, found, agreement.REMEDY)
    return "it agrees with what is here"


def _compare_with_commit(options: Options) -> str:
    paths = committed.differing(Path.cwd())
    if not paths:
        return "committed results are those of this build"
    found = f"committed results are not those of this build: {some(paths)}"
    remedy = "`git add dvc.lock data/metrics data/provenance`, and commit"
    if options.locked:
        raise LmspecError("ci", found, remedy)
    _warn(f"{found}\n  -> {remedy}")
    return f"{len(paths)} files differ from the commit"


def _diff(options: Options) -> str:
    base, folder = f"{options.base}...", options.output
    if committed.is_merged(options.base, Path.cwd()):
        _warn(
            f"{options.base} has all commits of HEAD, so the working tree is compared with HEAD, "
            "and no gate can detect a regression that is committed\n"
            "  -> name the commit before the change, such as `--base HEAD~1`"
        )
    code = subprocesses.run_module("lmspec", "diff", "--write", str(folder), "--", base)
    # a crash exits with 1 as well
    if code not in (0, 1) or not publishing.is_whole(folder):
        raise NotCompared("ci", f"`lmspec diff` exited {code}", "fix the error above")
    publishing.report(folder)
    if code:
        remedy = f"see above, or {folder / 'report.html'}"
        raise LmspecError("ci", "a gate fails, or a metric is missing", remedy)
    return f"{_passed(publishing.gates(folder))}; the report is in {folder}"


def _passed(gates: Sequence[Gate]) -> str:
    """For gates of which none fails."""
    return f"all gates pass{words.by_waiver(gates)}" if gates else "there are no gates to check"


# name -> what it does: it returns its result, or raises LmspecError
STEPS = {
    "spec": _validate,
    "dvc.yaml": _check_compiled,
    "pull": _pull,
    "build": _build,
    "provenance": _check_provenance,
    "commit": _compare_with_commit,
    "diff": _diff,
}
# steps that print lines
ANNOUNCED = {
    "pull": "from the DVC remote",
    "build": "dvc --wait-for-lock repro",
    "diff": "effect on the model, and gates",
}
