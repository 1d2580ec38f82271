"""architecture: the kinds of model; each names the module that implements it."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from lmspec.specs.base import Ref, Spec, To

MaxLength = Annotated[
    int,
    Field(ge=4, le=131072, description="tokens that the network reads at once, with special ones"),
]
LongTexts = Annotated[
    Literal["truncate", "head_tail", "windows"],
    Field(
        description="what is read of a text of more tokens: its beginning, its beginning and its"
        " end, or all of it in windows, whose probabilities are averaged"
    ),
]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Vocabulary = Annotated[
    int,
    Field(
        ge=257,
        le=1_000_000,
        description="size of the byte-level BPE tokenizer, trained on the training split",
    ),
]
EmbeddingDim = Annotated[int, Field(ge=1, le=4096, description="width of a token's embedding")]
FrozenEmbeddings = Annotated[bool, Field(description="do not train the embeddings")]
FrozenLayers = Annotated[
    int, Field(ge=0, le=1000, description="number of bottom layers that are not trained")
]


class Network(Spec):
    """A kind of model."""

    kind: str

    @property
    def module(self) -> str:
        """The module that implements the kind; only its own artifacts have it in their key."""
        return f"lmspec.methods.architectures.{self.kind}"


class Transformer(Network):
    """A pretrained encoder with a classification head (AutoModelForSequenceClassification)."""

    kind: Literal["transformer"] = Field(description="start from pretrained weights")
    weights: Annotated[Ref, To(("sources",))] = Field(
        description="folder with config.json, model.safetensors and tokenizer.json"
    )
    max_length: MaxLength
    long_texts: LongTexts
    dropout: Dropout = Field(description="of hidden states and attention")
    classifier_dropout: Dropout = Field(description="before the classification layer")
    frozen_embeddings: FrozenEmbeddings
    frozen_layers: FrozenLayers


class Rnn(Network):
    """Embedding, LSTM or GRU, max and mean over time, linear head. Padding changes nothing."""

    kind: Literal["rnn"] = Field(description="a recurrent network, trained from scratch")
    cell: Literal["lstm", "gru"] = Field(
        description="lstm can be quantized to int8; gru has fewer weights"
    )
    bidirectional: bool = Field(description="read each text in both directions")
    layers: int = Field(ge=1, le=8, description="number of stacked recurrent layers")
    embedding_dim: EmbeddingDim
    hidden_dim: int = Field(ge=1, le=4096, description="width of the hidden state per direction")
    vocabulary: Vocabulary
    max_length: MaxLength
    long_texts: LongTexts
    dropout: Dropout = Field(description="after the embedding, between layers and before the head")


class Cnn(Network):
    """Convolutions over token embeddings, max over time. Source: Kim 2014, arXiv:1408.5882.

    Padding changes nothing.
    """

    kind: Literal["cnn"] = Field(description="a convolutional network, trained from scratch")
    embedding_dim: EmbeddingDim
    filters: int = Field(ge=1, le=65536, description="number of filters of each width")
    widths: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        strict=False, min_length=1, description="filter widths in tokens"
    )
    vocabulary: Vocabulary
    max_length: MaxLength
    long_texts: LongTexts
    dropout: Dropout = Field(description="after the embedding and before the head")


Architecture = Annotated[Transformer | Rnn | Cnn, Field(discriminator="kind")]
KINDS = tuple(
    kind
    for network in get_args(get_args(Architecture)[0])
    for kind in get_args(network.model_fields["kind"].annotation)
)
