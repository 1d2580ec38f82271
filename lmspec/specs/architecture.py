"""architecture: the kinds of model. Each names the module that implements it, and only that module is in its key."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lmspec.specs.base import Ref, Spec, To

MAX_LENGTH = "tokens, special ones included; longer texts are cut"
Dropout = Annotated[float, Field(ge=0, lt=1)]


class Transformer(Spec):
    """A pretrained encoder with a classification head (transformers' AutoModelForSequenceClassification)."""

    module: ClassVar[str] = "lmspec.methods.architectures.transformer"
    kind: Literal["transformer"] = Field(description="start from pretrained weights")
    weights: Annotated[Ref, To(("sources",))] = Field(
        description="folder with config.json, model.safetensors, tokenizer.json"
    )
    max_length: int = Field(ge=4, le=131072, description=MAX_LENGTH)
    dropout: Dropout = Field(description="of hidden states and attention")
    classifier_dropout: Dropout = Field(description="before the classification layer")
    frozen_embeddings: bool = Field(description="leave the embeddings as they are")
    frozen_layers: int = Field(
        ge=0, le=1000, description="leave that many layers, from the bottom, as they are"
    )


class Rnn(Spec):
    """Embedding, LSTM or GRU, max and mean over time, linear head. Padding changes nothing."""

    module: ClassVar[str] = "lmspec.methods.architectures.rnn"
    kind: Literal["rnn"] = Field(description="a recurrent network, from scratch")
    cell: Literal["lstm", "gru"] = Field(
        description="lstm can be quantized to int8; gru has fewer weights"
    )
    bidirectional: bool = Field(description="read each text from both ends")
    layers: int = Field(ge=1, le=8, description="recurrent layers above each other")
    embedding_dim: int = Field(ge=1, le=4096, description="width of a token's vector")
    hidden_dim: int = Field(ge=1, le=4096, description="per direction")
    vocabulary: int = Field(
        ge=257,
        le=1_000_000,
        description="of the byte-level BPE tokenizer, trained on the training split",
    )
    max_length: int = Field(ge=4, le=131072, description=MAX_LENGTH)
    dropout: Dropout = Field(description="after the embedding, between layers and before the head")


class Cnn(Spec):
    """Convolutions over token embeddings, maximum over time. Source: Kim 2014, arXiv:1408.5882. Padding changes nothing."""

    module: ClassVar[str] = "lmspec.methods.architectures.cnn"
    kind: Literal["cnn"] = Field(description="a convolutional network, from scratch")
    embedding_dim: int = Field(ge=1, le=4096, description="width of a token's vector")
    filters: int = Field(ge=1, le=65536, description="per width")
    widths: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        strict=False, min_length=1, description="tokens per filter"
    )
    vocabulary: int = Field(
        ge=257,
        le=1_000_000,
        description="of the byte-level BPE tokenizer, trained on the training split",
    )
    max_length: int = Field(ge=4, le=131072, description=MAX_LENGTH)
    dropout: Dropout = Field(description="after the embedding and before the head")


Architecture = Annotated[Transformer | Rnn | Cnn, Field(discriminator="kind")]
