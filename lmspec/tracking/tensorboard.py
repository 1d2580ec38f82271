"""tensorboard: event files beside the run, for `tensorboard --logdir .lmspec/runs`."""

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from lmspec.methods import curves
from lmspec.tracking.tracker import Run


class Tracker:
    """One file for each curve: TensorBoard takes a folder for a run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.files: dict[str, EventFileWriter] = {}

    def take(self, row: curves.Row) -> None:
        """Write its numbers at its step."""
        prefix = self.run.prefix(row)
        if prefix not in self.files:
            self.files[prefix] = EventFileWriter(str(self.run.folder / prefix))
        file, step = self.files[prefix], int(row["step"])
        if row["event"] == curves.START:
            if step:  # what another run wrote after its last checkpoint is done again
                again = SessionLog(status=SessionLog.START)
                event = Event(wall_time=row["time"], step=step + 1, session_log=again)
                file.add_event(event)
        else:
            values = [
                Summary.Value(tag=name, simple_value=number)
                for name, number in curves.numbers(row).items()
            ]
            summary = Summary(value=values)
            file.add_event(Event(wall_time=row["time"], step=step, summary=summary))
        file.flush()

    def close(self, status: str) -> None:
        """Nothing is left to say."""
        for file in self.files.values():
            file.close()
