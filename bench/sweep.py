"""A sweep of twelve trials over the CNN: cost, the same table twice, killed and resumed.

Copies the project into a temporary folder, adds the sweep below, and runs its stage: once
undisturbed, once with nothing kept and killed three times, once with all kept. Then applies the
best values and builds the model. Prints the table of bench/sweep.md. Needs a built repository:
`python bench/sweep.py > bench/sweep.md`; about 10 minutes on two cores.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SWEEP = """\
sweep:
  textcnn:
    of: model.textcnn
    over:
      training.optimizer.peak_learning_rate: {low: 5.0e-4, high: 1.0e-2, log: true}
      architecture.dropout: {low: 0.2, high: 0.6, log: false}
      architecture.filters: [64, 96, 128]
    metric: accuracy
    sampler: random
    trials: 12
    rungs: [0.25, 0.5, 1.0]
    seed: 1

"""
LMSPEC = (sys.executable, "-m", "lmspec")
KILLS = (0.25, 0.5, 0.75)  # parts of the undisturbed time


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        ignored = shutil.ignore_patterns(".venv", ".lmspec", "__pycache__", ".git", "cache", "tmp")
        shutil.copytree(ROOT, project, ignore=ignored, symlinks=True)
        params = project / "params.yaml"
        params.write_text(params.read_text().replace("\nstudent:\n", f"\n{SWEEP}student:\n", 1))
        _run(project, *LMSPEC, "sync")
        _run(project, "git", "init", "-q")
        _run(project, "git", "add", "-A")
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
        _run(project, "git", *identity, "commit", "-q", "-m", "a sweep")
        rows = _rows(project)
    print("# A sweep of the CNN: twelve trials\n")
    print("Written by `python bench/sweep.py > bench/sweep.md`.\n")
    print("| run | seconds | table as undisturbed |\n| --- | --- | --- |")
    print("\n".join(rows))


def _rows(project: Path) -> list[str]:
    seconds, undisturbed = _build(project), _table(project)
    rows = [f"| undisturbed | {seconds:.0f} | |"]
    shutil.rmtree(project / ".lmspec/sweep")
    for part in KILLS:
        _kill(project, part * seconds)
    resumed = _build(project)
    same = _same(project, undisturbed)
    rows.append(f"| the last of four, after three kills | {resumed:.0f} | {same} |")
    kept = _build(project)
    rows.append(f"| again, all kept | {kept:.0f} | {_same(project, undisturbed)} |")
    metrics = json.loads((project / "data/metrics/sweep-textcnn.json").read_text())
    shown = _run(project, *LMSPEC, "sweep", "textcnn")
    _run(project, *LMSPEC, "sweep", "textcnn", "--apply")
    _run(project, sys.executable, "-m", "dvc", "repro", "model-textcnn")
    model = json.loads((project / "data/metrics/model-textcnn.json").read_text())
    best = "yes" if model["dev"]["log_loss"] == metrics["best"]["log_loss"] else "no"
    share = metrics["epochs"] / metrics["epochs_without_halving"]
    whole = metrics["epochs_without_halving"]
    rows += [
        "",
        f"Epochs trained: {metrics['epochs']:.4g} of {whole} ({share:.0%}).",
        f"The applied spec builds; its dev metrics are those of the best trial: {best}.",
        "",
        f"```text\n{shown.rstrip()}\n```",
    ]
    return rows


def _build(project: Path) -> float:
    """Seconds of the sweep's stage. The run-cache is left out: it would restore the result."""
    begin = time.monotonic()
    _run(project, sys.executable, "-m", "dvc", "repro", "--force", "--single-item", "sweep-textcnn")
    return time.monotonic() - begin


def _kill(project: Path, seconds: float) -> None:
    command = [sys.executable, "-m", "lmspec.run", "sweep", "textcnn"]
    stage = subprocess.Popen(command, cwd=project, stderr=subprocess.DEVNULL, env=_environment())
    try:
        stage.wait(seconds)
    except subprocess.TimeoutExpired:
        stage.send_signal(signal.SIGKILL)
        stage.wait()


def _table(project: Path) -> list[str]:
    folder = project / "data/metrics/sweep-textcnn"
    return [path.read_text() for path in sorted(folder.glob("*.csv"))]


def _same(project: Path, table: list[str]) -> str:
    return "yes" if _table(project) == table else "no"


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONHASHSEED": "0"}


def _run(project: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=project, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
