"""generation: how a model that writes chooses its tokens, and when it stops; or among answers."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Inside, Name, Spec, matching
from lmspec.specs.checks import generation as checks
from lmspec.specs.results import Better

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
Module = Annotated[
    str,
    matching(rf"^{_NAME}(?:\.{_NAME})*$", "a module of the project, such as metrics.shell", 200),
]
Function = Annotated[str, matching(f"^{_NAME}$", "the name of a function", 100)]


class Greedy(Spec):
    """The most probable token, each time."""

    kind: Literal["greedy"] = Field(description="always the most probable token")


class Sample(Spec):
    """Tokens drawn by their probability.

    The numbers are drawn by request and position, so a request's text is the same whatever else is
    generated beside it.
    """

    kind: Literal["sample"] = Field(description="draw tokens by their probability")
    temperature: float = Field(
        gt=0, le=100, description="logits are divided by it: below 1, likely tokens are likelier"
    )
    top_k: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        description="only the that many most probable tokens; null: all"
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        description="only the most probable tokens that have this probability together; null: all."
        " Source: Holtzman et al. 2020, arXiv:1904.09751"
    )
    min_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        description="only tokens of at least this share of the most probable one's probability;"
        " null: all. Source: Nguyen et al. 2024, arXiv:2407.01082"
    )
    seed: int = Field(ge=0, lt=2**31, description="seed of the draws")


class Regex(Spec):
    """Answers that a regular expression matches as a whole."""

    kind: Literal["regex"] = Field(description="answers that a regular expression matches")
    pattern: str = Field(min_length=1, max_length=10_000, description="of the whole answer")


class JsonSchema(Spec):
    """Answers that are JSON of a schema."""

    kind: Literal["json_schema"] = Field(description="answers that are JSON of a schema")
    file: Inside = Field(description="file of the repository with the schema")


class Decoding(Spec):
    """How tokens are chosen, and when an answer ends: at its end token, or before."""

    decode: Annotated[Greedy | Sample, Field(discriminator="kind")] = Field(
        description="how the next token is chosen"
    )
    new_tokens: int = Field(ge=1, le=131_072, description="tokens of an answer, at most")
    stop: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(
        strict=False, max_length=16, description="texts that end an answer and are cut from it"
    )
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] | None = Field(
        description="positive logits of tokens that occur are divided by it, negative ones"
        " multiplied; null: none. Source: Keskar et al. 2019, arXiv:1909.05858"
    )
    end_penalty: Annotated[float, Field(gt=0, le=100)] | None = Field(
        default=None,
        description="the logit of the end is lowered by it, where greedy answers are shorter than"
        " references: as much as a reward for each other token. Choose it on dev rows; without it,"
        " none. Source: Murray & Chiang 2018, arXiv:1808.10006",
    )
    constraint: Annotated[Regex | JsonSchema, Field(discriminator="kind")] | None = Field(
        description="what every answer must be; null: any text"
    )


class OwnMetric(Spec):
    """A metric of the project: the mean of what its function gives for each answer.

    The function is called with an answer and its reference, both texts, and returns a number, or
    true or false. Its file, and what that imports, are in the cache key of these scores.
    """

    name: Name = Field(description="its name in the metrics: `own.NAME`")
    module: Module = Field(description="its module in the repository: metrics.shell")
    function: Function = Field(description="its name there; called with an answer and a reference")
    better: Better = Field(description="which way is better: higher or lower")


class Choosing(Spec):
    """The most likely of the choices of each row."""

    with_end: bool = Field(
        description="count the end of an answer, too: the probability of the whole answer. Without"
        " it, as in lm-evaluation-harness, the beginning of a longer choice is never less likely"
    )
    rows: Annotated[int, Field(ge=1, le=10**9)] | None = Field(
        description="that many rows of each test split, drawn by `numerics.seed`; null: all"
    )


class Generation(Decoding):
    """Answers to the prompts of test splits."""

    holds = (checks.own_metrics_differ,)
    rows: Annotated[int, Field(ge=1, le=10**9)] | None = Field(
        description="that many prompts of each test split, drawn by `numerics.seed`; null: all"
    )
    own: tuple[OwnMetric, ...] = Field(
        default=(),
        strict=False,
        max_length=32,
        description="metrics of the project, each a Python function in the repository",
    )
