"""sources: raw inputs, checked against a hash.   pypi | file | url | huggingface -> files"""

import importlib
import tempfile
from pathlib import Path

from lmspec import stage
from lmspec.specs.sources import SourcesSpec


def build(spec: SourcesSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Nothing is written unless the hash is the declared one."""
    source, *converter = map(importlib.import_module, spec.modules())
    if not converter:
        source.fetch(spec, needs.root, out)
        return stage.Report()
    with tempfile.TemporaryDirectory(dir=out) as fetched:
        source.fetch(spec, needs.root, Path(fetched))
        converter[0].convert(Path(fetched), out)
    return stage.Report()


STAGE = stage.Stage(SourcesSpec, build)
