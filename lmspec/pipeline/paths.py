"""paths: where an artifact's results are, relative to the root of a project."""

METRICS = "data/metrics"
PROVENANCE = "data/provenance"


def stage_name(name: str) -> str:
    """`model.minilm` -> `model-minilm`: DVC allows no dot."""
    return name.replace(".", "-", 1)


def folder(name: str) -> str:
    """`model.minilm` -> `data/model/minilm`."""
    return f"data/{name.replace('.', '/', 1)}"


def metrics(name: str) -> str:
    """The file of its metrics."""
    return f"{METRICS}/{stage_name(name)}.json"


def provenance(name: str) -> str:
    """Its provenance: what it was made from."""
    return f"{PROVENANCE}/{stage_name(name)}.json"


def table(name: str, report: str) -> str:
    """The file of one of its tables."""
    return f"{METRICS}/{stage_name(name)}/{report}.csv"
