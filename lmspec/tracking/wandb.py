"""wandb: a run at Weights & Biases, with the settings of its environment (WANDB_MODE, ...)."""

import os

import wandb

from lmspec.methods import curves
from lmspec.tracking.tracker import Run, is_success


class Tracker:
    """One run for all curves; a run that goes on after a kill has the same id."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.known: set[str] = set()
        self.session = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or run.project.name,
            id=f"{run.stage}-{run.folder.name}",
            name=f"{run.stage} {run.folder.name}",
            group=run.stage,
            dir=str(run.folder),
            config=run.parameters,
            resume="allow",
            settings=wandb.Settings(
                console="off", silent=True, disable_code=True, disable_git=True, quiet=True
            ),
        )

    def take(self, row: curves.Row) -> None:
        """Log its numbers against the step of its curve."""
        prefix = self.run.prefix(row)
        if prefix not in self.known:
            self.known.add(prefix)
            self.session.define_metric(f"{prefix}step")
            self.session.define_metric(f"{prefix}*", step_metric=f"{prefix}step")
        if row["event"] != curves.START:
            numbers = {"step": row["step"], **curves.numbers(row)}
            self.session.log({f"{prefix}{name}": number for name, number in numbers.items()})

    def close(self, status: str) -> None:
        """Finish the run, as failed unless it was built."""
        self.session.finish(exit_code=0 if is_success(status) else 1)
        wandb.teardown()
