"""sources: raw inputs, checked against a hash.   pypi | file | url | huggingface -> files"""

import importlib
from pathlib import Path

from lmspec import stage
from lmspec.specs.sources import SourcesSpec


def build(spec: SourcesSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Nothing is written unless the hash is the declared one."""
    (module,) = spec.modules()
    importlib.import_module(module).fetch(spec, needs.root, out)
    return stage.Report()


STAGE = stage.Stage(SourcesSpec, build)
