"""names: what artifacts and metrics are called in params.yaml, in dvc.yaml and on disk."""

from typing import NamedTuple

MetricPath = tuple[str, ...]
METRICS, PROVENANCE = "data/metrics", "data/provenance"
FETCHING = "sources"  # the noun whose stages may use the network: their hashes are declared
NO_NOUNS = ("blocks", "gates", "numerics", "machine")  # sections of params.yaml without artifacts
# Nouns of texts -> parts of their artifacts; each has its ids in <part>.ids.
PARTS = {"corpus": ("documents",), "splits": ("train", "dev", "test")}
# What follows one of these is a label, which may hold dots.
LABELLED = frozenset({"f1", "label"})


class ArtifactName(NamedTuple):
    """`model.minilm`: a noun and the name that the user chose; as a tuple, a path in params.yaml.

    Neither part holds a dot, and no noun a hyphen.
    """

    noun: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "ArtifactName":
        """From `noun.name`; text without a dot is a noun with an empty name."""
        noun, _, name = text.partition(".")
        return cls(noun, name)

    @classmethod
    def of_stage(cls, stage: str) -> "ArtifactName":
        """From `noun-name`."""
        noun, _, name = stage.partition("-")
        return cls(noun, name)

    def __str__(self) -> str:
        return f"{self.noun}.{self.name}"

    @property
    def stage(self) -> str:
        """Its stage in dvc.yaml, where DVC allows no dot: `model-minilm`."""
        return f"{self.noun}-{self.name}"

    @property
    def folder(self) -> str:
        """Its output, from the root of the project: `data/model/minilm`."""
        return f"data/{self.noun}/{self.name}"

    @property
    def metrics(self) -> str:
        """Its file of metrics."""
        return f"{METRICS}/{self.stage}.json"

    @property
    def provenance(self) -> str:
        """Its provenance: what it was made from."""
        return f"{PROVENANCE}/{self.stage}.json"

    def headline(self, row: str) -> str:
        """The file of a row of `dvc metrics show`."""
        return f"{METRICS}/{self.stage}/{row}.json"

    def table(self, report: str) -> str:
        """The file of one of its tables."""
        return f"{METRICS}/{self.stage}/{report}.csv"


class MetricName(NamedTuple):
    """`scores.release.test.f1.negative`: an artifact and a path into its metrics."""

    artifact: ArtifactName
    path: MetricPath

    @classmethod
    def parse(cls, text: str) -> "MetricName":
        """From the dotted text; what follows `f1` or `label` is one label, dots included.

        The first step of the path is never read as `f1` or `label`: it may name a dataset.
        """
        noun, _, rest = text.partition(".")
        name, _, dotted = rest.partition(".")
        steps = dotted.split(".") if dotted else []
        for i, step in enumerate(steps[1:-1], start=2):
            if step in LABELLED:
                steps[i:] = [".".join(steps[i:])]
                break
        return cls(ArtifactName(noun, name), tuple(steps))

    def __str__(self) -> str:
        return ".".join((*self.artifact, *self.path))

    @property
    def dotted(self) -> str:
        """The path as it is written: `test.f1.negative`."""
        return ".".join(self.path)
