"""architecture: the kinds of model; each names the module that implements it."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from lmspec.specs.adapter import Adapter
from lmspec.specs.base import Ref, Spec, To
from lmspec.specs.checks import architecture as checks
from lmspec.specs.checks import prompted as prompted_checks
from lmspec.specs.checks.adapter import an_adapter_trains_no_embeddings
from lmspec.specs.prompt import Prompt
from lmspec.specs.prompted import Calibration

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
Encoder = Annotated[
    Ref,
    To(("sources", "pretrained")),
    Field(description="folder with config.json, model.safetensors and tokenizer.json"),
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
        return f"lmspec.architectures.{self.kind}"


class Transformer(Network):
    """A pretrained encoder with a classification head (AutoModelForSequenceClassification)."""

    holds = (an_adapter_trains_no_embeddings,)
    kind: Literal["transformer"] = Field(description="start from pretrained weights")
    weights: Encoder
    max_length: MaxLength
    long_texts: LongTexts
    dropout: Dropout = Field(description="of hidden states and attention")
    classifier_dropout: Dropout = Field(description="before the classification layer")
    frozen_embeddings: FrozenEmbeddings
    frozen_layers: FrozenLayers
    adapter: Adapter | None = Field(
        default=None,
        description="trained beside the layers that are not frozen; without it, these are trained",
    )


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


Orders = Annotated[
    tuple[Annotated[int, Field(ge=1, le=10)], ...],
    Field(strict=False, min_length=2, max_length=2),
]


WordOrders = Annotated[
    Orders | None, Field(description="shortest and longest n-grams of words; null for none")
]
CharOrders = Annotated[
    Orders | None,
    Field(
        description="shortest and longest n-grams of characters, inside what white space separates;"
        " null for none"
    ),
]
MinDocuments = Annotated[
    int, Field(ge=1, le=10**6, description="n-grams in fewer training texts are left out")
]
MaxFeatures = Annotated[
    int, Field(ge=1, le=10**7, description="at most that many n-grams, the most frequent ones")
]


class Linear(Network):
    """TF-IDF of word and character n-grams, one linear layer: hard to beat, and fitted in seconds.

    Term frequencies are 1 + ln(count), inverse document frequencies ln((1 + n) / (1 + df)) + 1, and
    each text is scaled to length 1, as scikit-learn's TfidfVectorizer does.
    """

    holds = (
        checks.n_grams_are_given,
        checks.n_gram_orders_are_in_order,
        checks.families_are_counted,
    )
    kind: Literal["linear"] = Field(description="TF-IDF of n-grams and a linear layer")
    word_ngrams: WordOrders
    char_ngrams: CharOrders
    families: tuple[Literal["words", "characters", "both"], ...] = Field(
        strict=False,
        min_length=1,
        max_length=3,
        description="which n-grams to try together; those with the lowest log loss on the dev"
        " split are kept",
    )
    min_documents: MinDocuments
    max_features: MaxFeatures


class Embedding(Network):
    """A frozen pretrained encoder, the mean over its tokens scaled to length 1, a linear layer."""

    kind: Literal["embedding"] = Field(description="frozen pretrained weights and a linear layer")
    weights: Encoder
    max_length: MaxLength
    long_texts: LongTexts


class Hybrid(Network):
    """The features of `linear` and of `embedding` side by side, and one linear layer.

    N-grams know the words of the task, the encoder what they mean: together they are better than
    either where the encoder knows the language (bench/linear.md).
    """

    holds = (checks.n_grams_are_given, checks.n_gram_orders_are_in_order)
    kind: Literal["hybrid"] = Field(
        description="n-grams beside frozen pretrained weights, and a linear layer"
    )
    weights: Encoder
    long_texts: ClassVar = "truncate"
    max_length: Annotated[
        int,
        Field(
            ge=4,
            le=131072,
            description="tokens that the encoder reads, from the beginning; n-grams are of all",
        ),
    ]
    embedding_scales: tuple[Annotated[float, Field(ge=0, le=100)], ...] = Field(
        strict=False,
        min_length=1,
        max_length=10,
        description="lengths of the embedding to try, where the n-grams have length 1; the best on"
        " the dev split is kept. With 0 among them, an encoder that does not help is left out",
    )
    word_ngrams: WordOrders
    char_ngrams: CharOrders
    min_documents: MinDocuments
    max_features: MaxFeatures


class Causal(Network):
    """A pretrained language model that writes (AutoModelForCausalLM): each token from those before.

    With a prompt it learns answers, without one every token of plain texts.
    """

    holds = (an_adapter_trains_no_embeddings, checks.texts_are_cut_as_they_can_be)
    kind: Literal["causal"] = Field(description="a pretrained language model that writes")
    weights: Annotated[
        Ref,
        To(("sources",)),
        Field(description="folder with config.json, model.safetensors and tokenizer.json"),
    ]
    max_length: Annotated[
        int, Field(ge=8, le=1_000_000, description="tokens of an example, prompt and answer")
    ]
    long_texts: Literal["leave_out", "cut_prompt", "windows"] = Field(
        description="what becomes of an example of more tokens. leave_out: it is not learned;"
        " cut_prompt: of what is before the answer three quarters of max_length are read, without"
        " the beginning of what the user wrote; windows: plain texts are cut"
    )
    prompt: Prompt | None = Field(
        description="how prompts and answers become one text; null: plain texts, all learned"
    )
    dropout: Dropout = Field(description="of hidden states and attention, where the model has any")
    frozen_embeddings: FrozenEmbeddings
    frozen_layers: FrozenLayers
    added_tokens: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        max_length=10_000,
        description="tokens that the vocabulary lacks; each begins as the mean of all embeddings."
        " One in the template is special, any other is read in prompts and answers. Without it,"
        " none is added",
    )
    adapter: Adapter | None = Field(
        default=None,
        description="trained beside the layers that are not frozen; without it, these are trained",
    )


class Nearest(Network):
    """The answer of the training prompt that has most in common: what a model must beat.

    Cosine of TF-IDF of word n-grams of the prompt; of equally near ones the first by id.
    """

    holds = (checks.word_orders_are_in_order,)
    kind: Literal["nearest"] = Field(description="the answer of the nearest training prompt")
    words: Orders = Field(description="shortest and longest n-grams of words")
    swap_first_word: bool = Field(
        description="put the prompt's first word in place of the nearest prompt's, wherever its"
        " answer has that"
    )


Word = Annotated[str, Field(min_length=1, max_length=100)]


class Prompted(Network):
    """A model that writes, asked for a label: how likely are the words that stand for each?

    Nothing is fitted, and no label is read: zero-shot. Source: Brown et al. 2020, arXiv:2005.14165.
    """

    holds = (prompted_checks.the_text_has_one_slot, prompted_checks.words_are_of_one_label)
    kind: Literal["prompted"] = Field(description="a model that writes, asked for labels")
    weights: Annotated[
        Ref,
        To(("sources", "model")),
        Field(description="a model that writes: of a source, or one of kind causal"),
    ]
    max_length: MaxLength
    long_texts: Literal["truncate", "head_tail"] = Field(
        description="what is read of a text that, with the prompt, has more tokens: its beginning,"
        " or its beginning and its end"
    )
    template: str = Field(
        min_length=1,
        max_length=10_000,
        description="the prompt, with {text} where the text belongs",
    )
    words: dict[str, Annotated[tuple[Word, ...], Field(strict=False, min_length=1)]] = Field(
        description="label -> words that stand for it, as they follow the prompt: after a colon"
        " with a space before them; their likelihoods are added"
    )
    calibration: Calibration = Field(
        description="what is taken away of what the prompt prefers whatever the text"
    )


Architecture = Annotated[
    Transformer | Rnn | Cnn | Linear | Embedding | Hybrid | Causal | Nearest | Prompted,
    Field(discriminator="kind"),
]
KINDS = tuple(
    kind
    for network in get_args(get_args(Architecture)[0])
    for kind in get_args(network.model_fields["kind"].annotation)
)
