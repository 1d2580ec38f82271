"""specs: a valid spec to break, and what `lmspec validate` says about one."""

import hashlib
from pathlib import Path

from lmspec.language import problems, validate

ROOT = Path(__file__).parent.parent
EMPTY = hashlib.sha256().hexdigest()  # of the files that `written` makes, and of its folder
SWEEP = """\
sweep:
  cnn:
    of: model.cnn
    over:
      training.optimizer.peak_learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}
      architecture.filters: [8, 16]
    metric: log_loss
    sampler: random
    trials: 2
    rungs: [0.5]
    seed: 1

"""
# The miniature and a sweep, which the miniature's build does without: it trains a model per trial.
GOOD = (
    (ROOT / "tests/miniature.yaml")
    .read_text()
    .format(old=EMPTY, new=EMPTY, weights=EMPTY)
    .replace("gates:\n", f"{SWEEP}gates:\n", 1)
)
# That of models that write.
WRITING = (
    (ROOT / "tests/writing.yaml")
    .read_text()
    .format(pairs=EMPTY, later=EMPTY, chats=EMPTY, manual=EMPTY, weights=EMPTY)
)


def written(text: str | bytes, folder: Path) -> Path:
    """The path of a params.yaml with that text, beside the files that its sources name."""
    path = folder / "params.yaml"
    (folder / "raw/weights").mkdir(parents=True, exist_ok=True)
    for name in ("old.csv", "new.csv", "pairs.json", "later.csv", "chats.jsonl", "manual.txt"):
        (folder / "raw" / name).touch()
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def complaints(text: str | bytes, folder: Path) -> list[str]:
    """What `lmspec validate` would print, a string per problem; warnings too."""
    report = validate.file(written(text, folder))
    return [
        problems.as_text(problem, Path("params.yaml"), report.lines) for problem in report.problems
    ]
