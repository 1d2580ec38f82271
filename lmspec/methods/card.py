"""card: a model card in Markdown, from a spec and its metrics.

Source: Mitchell et al. 2019, arXiv:1810.03993.
"""

from collections.abc import Mapping
from typing import Any

from lmspec.specs.bundle import BundleSpec

USE = """## How to use it

```
pip install numpy onnxruntime tokenizers
python predict.py "A text."
```

```python
from pathlib import Path

from predict import Classifier

Classifier(Path(".")).predict("A text.")  # label -> probability
```
"""
COLUMNS = ("accuracy", "macro_f1", "log_loss", "expected_calibration_error", "examples")


def model_card(
    spec: BundleSpec, labels: list[str], metrics: Mapping[str, Any], files: Mapping[str, str]
) -> str:
    """metrics: dataset -> metric -> value, as scores report them; files: name -> SHA-256."""
    parts = [
        f"---\nlicense: {spec.license}\n---\n\n# {spec.title}\n",
        f"Labels: {', '.join(f'`{label}`' for label in labels)}.\n",
        f"## Intended use\n\n{spec.intended_use.strip()}\n",
        f"## Limitations\n\n{spec.limitations.strip()}\n",
        f"## How good it is\n\n`{spec.scores}` of `{spec.of}`, on test texts:\n\n"
        f"{_scores(metrics)}",
        USE,
        "## Files\n\n| file | SHA-256 |\n| --- | --- |\n"
        + "".join(f"| `{n}` | `{h}` |\n" for n, h in sorted(files.items())),
    ]
    return "\n".join(parts)


def _scores(metrics: Mapping[str, Any]) -> str:
    head = f"| texts | {' | '.join(COLUMNS)} |\n| --- |{' ---: |' * len(COLUMNS)}\n"
    rows = []
    for dataset, values in metrics.items():
        rows.append((dataset, values))
        rows += [(f"{dataset}, {table}", part) for table, part in values.get("table", {}).items()]
    return head + "".join(
        f"| {name} | {' | '.join(_cell(values[c]) for c in COLUMNS)} |\n" for name, values in rows
    )


def _cell(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
