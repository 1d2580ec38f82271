"""mlflow: a run where MLFLOW_TRACKING_URI says, else in the project's `.lmspec/mlflow.db`."""

import os

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from lmspec.methods import curves
from lmspec.tracking.tracker import Run, is_success

LONGEST = 500  # characters of a parameter


class Tracker:
    """One run for all curves; a run that goes on after a kill finds its own again."""

    def __init__(self, run: Run) -> None:
        self.run = run
        own = f"sqlite:///{run.folder.parents[2] / 'mlflow.db'}"
        self.client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or own)
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or run.project.name
        known = self.client.get_experiment_by_name(experiment)
        number = known.experiment_id if known else self.client.create_experiment(experiment)
        note = run.folder / "mlflow-run"
        if note.exists():
            self.id = note.read_text("utf-8").strip()
            self.client.set_terminated(self.id, "RUNNING")
            return
        name = f"{run.stage} {run.folder.name}"
        self.id = self.client.create_run(number, run_name=name).info.run_id
        note.write_text(self.id, encoding="utf-8")
        values = [Param(key, str(value)[:LONGEST]) for key, value in run.parameters.items()]
        tags = [RunTag("lmspec.stage", run.stage), RunTag("lmspec.run", run.folder.name)]
        self.client.log_batch(self.id, params=values, tags=tags)

    def take(self, row: curves.Row) -> None:
        """Log its numbers at its step."""
        if row["event"] == curves.START:
            return
        prefix, when = self.run.prefix(row), int(row["time"] * 1000)
        numbers = curves.numbers(row).items()
        metrics = [Metric(f"{prefix}{n}", value, when, int(row["step"])) for n, value in numbers]
        self.client.log_batch(self.id, metrics=metrics)

    def close(self, status: str) -> None:
        """End the run, as failed unless it was built."""
        self.client.set_terminated(self.id, "FINISHED" if is_success(status) else "FAILED")
