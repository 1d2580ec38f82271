"""ci: all that CI does, by one command, here or there."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from lmspec.cli import loading, mistakes, publishing
from lmspec.compare.report import Gate
from lmspec.errors import LmspecError, some
from lmspec.git import committed, tree
from lmspec.language import validate
from lmspec.pipeline import subprocesses
from lmspec.reports import problems, words

COULD_NOT_COMPARE = 2  # exit code of `lmspec diff`


@dataclass(frozen=True)
class Asked:
    """What the command line asks for. base: a commit that exists; output: the folder of the reports."""

    base: str
    output: Path
    locked: bool
    pull: bool


class Failed(LmspecError):
    """A step found what must not be. code: the exit code of it all."""

    def __init__(self, found: str, remedy: str, code: int = 1) -> None:
        super().__init__("ci", found, remedy)
        self.code = code


@click.command("ci")
@click.option(
    "--base",
    help="Branch or commit to compare with, from where HEAD parted from it.  [default: origin's branch, or main]",
)
@click.option(
    "--locked", is_flag=True, help="Fail if what is committed is not what the spec builds."
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".lmspec/ci"),
    show_default=True,
    help="Folder for report.md, report.json, report.html and junit.xml.",
)
@click.option("--no-pull", is_flag=True, help="Take nothing from the DVC remote.")
def command(base: str | None, locked: bool, output: Path, no_pull: bool) -> None:
    """Check the spec, pull what was built elsewhere, build the rest, and say what the change does to the model.

    CI runs this and nothing else, so what it finds can be found before. The steps, up to the first that fails: is params.yaml
    valid; is dvc.yaml what it says; `dvc pull`, if there is a remote; `dvc repro`; are dvc.lock, metrics and records committed
    as they were built; `lmspec diff` of the working tree with the base, and its gates.

    Exits 0 if all is fine, 1 if a step or a gate fails, 2 if it could not be compared. On GitHub it annotates the lines at fault
    and appends the report to the summary of the job.

    \b
    Example:
      lmspec ci --base main
      lmspec ci --base origin/main --locked --output build/report
    """
    publishing.clear(output)
    asked = Asked(
        _existing(base or committed.default_base(Path.cwd())), output, locked, not no_pull
    )
    for number, step in enumerate(STEPS, 1):
        title = f"{number}/{len(STEPS)} {step.name}"
        if step.speaks:
            click.echo(f"{title}: {step.speaks}")
        begun = time.monotonic()
        try:
            said = step.do(asked)
        except LmspecError as error:
            click.echo(f"{title}: failed ({time.monotonic() - begun:.1f} s)")
            _stop(f"step {number} of {len(STEPS)}, {step.name}", error, output)
        click.echo(f"{title}: {said} ({time.monotonic() - begun:.1f} s)")


def _existing(base: str) -> str:
    """The base, if git knows it: to find out after the build would cost the build."""
    if base and not base.strip("0"):  # what forges say for "there is no commit before this one"
        return "HEAD"
    try:
        tree.merge_base(base, "HEAD", Path.cwd())
    except LmspecError as error:
        raise click.BadParameter(
            f"{error.place}: {error.found}\n  -> {error.remedy}", param_hint="--base"
        ) from None
    return base


def _stop(step: str, error: LmspecError, output: Path) -> None:
    """Say why, here and where the report would have been, and exit."""
    mistakes.tell(f"stopped at {step}: {error}")
    publishing.failure(step, error, output)
    sys.exit(error.code if isinstance(error, Failed) else 1)


def _validate(asked: Asked) -> str:
    report = validate.file(loading.PARAMS)
    if report.errors:
        loading.show(report)
        if publishing.on_github():
            click.echo(problems.as_github(report))
        what = "a mistake" if report.errors == 1 else f"{report.errors} mistakes"
        raise LmspecError(
            str(report.path),
            f"it holds {what}",
            "see above; `lmspec explain` tells what belongs there",
        )
    return f"{report.path} is valid"


def _check_compiled(asked: Asked) -> str:
    loading.compiled_project()
    return "up to date"


def _pull(asked: Asked) -> str:
    if not asked.pull:
        return "left out, as asked"
    setting = [sys.executable, "-m", "dvc", "config", "core.remote"]
    remote = subprocess.run(setting, capture_output=True, text=True, check=False).stdout.strip()
    if not remote:
        return "no default remote, so nothing to pull"
    if code := _run("dvc", "pull", "--run-cache", "--allow-missing"):
        publishing.warn(
            f"`dvc pull` from the remote '{remote}' exited {code}: what it did not bring is built"
        )
        return "not whole"
    return f"pulled from '{remote}'"


def _build(asked: Asked) -> str:
    if code := _run("dvc", "--wait-for-lock", "repro"):
        remedy = "mend what stands above and start again: what was built until then is kept"
        raise Failed(f"`dvc repro` exited {code}", remedy)
    return "built"


def _compare_with_commit(asked: Asked) -> str:
    paths = committed.differing(Path.cwd())
    if not paths:
        return "what is committed is what the spec builds"
    found = f"what is committed is not what the spec builds: {some(paths)}"
    remedy = "`git add dvc.lock data/metrics data/provenance`, and commit"
    if asked.locked:
        raise Failed(found, remedy)
    publishing.warn(f"{found}\n  -> {remedy}")
    return f"{len(paths)} files differ from the commit"


def _diff(asked: Asked) -> str:
    code = _run("lmspec", "diff", "--write", str(asked.output), "--", f"{asked.base}...")
    if code not in (0, 1) or not publishing.is_whole(
        asked.output
    ):  # it ends with 1 if it crashes, too
        raise Failed(f"`lmspec diff` exited {code}", "mend what stands above", COULD_NOT_COMPARE)
    publishing.report(asked.output)
    if code:
        raise Failed(
            "a gate fails, or a metric is missing", f"see above, or {asked.output / 'report.html'}"
        )
    return f"{_passed(publishing.gates(asked.output))}; the report is in {asked.output}"


def _passed(gates: Sequence[Gate]) -> str:
    """Where none fails."""
    return (
        f"all gates pass{words.by_waiver(gates)}"
        if gates
        else "there are no gates, so none was checked"
    )


def _run(*command: str) -> int:
    """Run a module with this interpreter, its output passing through; the exit code. Waits for its end even after Ctrl-C."""
    if sys.stdout is not None:  # it is if the command began with it closed
        sys.stdout.flush()
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=subprocesses.environment(), stdin=subprocess.DEVNULL
    )
    interrupted = False
    while process.returncode is None:
        try:
            process.wait()
        except (
            KeyboardInterrupt
        ):  # the terminal sent it to DVC too, which stops its stage and writes dvc.lock
            interrupted = True
    if interrupted:
        raise click.Abort
    return process.returncode


@dataclass(frozen=True)
class Step:
    """One thing that CI does. do: returns what came of it, raises LmspecError; speaks: what will print lines of its own."""

    name: str
    do: Callable[[Asked], str]
    speaks: str = ""


STEPS = (
    Step("spec", _validate),
    Step("dvc.yaml", _check_compiled),
    Step("pull", _pull, "what the DVC remote has"),
    Step("build", _build, "dvc --wait-for-lock repro"),
    Step("commit", _compare_with_commit),
    Step("diff", _diff, "what this does to the model, and its gates"),
)
