"""network: what the kinds of model that are written here share: a shape, weights, and their files.

As `transformers` has it for its models, without its import, which takes two seconds of CPU time.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lmspec.errors import LmspecError
from lmspec.methods import pretrained

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    Classifier = PreTrainedModel  # or a Network
else:
    Classifier = nn.Module

SPREAD = 0.02  # standard deviation of the first weights
CONFIG = "config.json"


class Output(NamedTuple):
    """logits: (b, k)."""

    logits: Tensor


@dataclass
class Shape:
    """What config.json says of a network; its names are those of transformers."""

    model_type: ClassVar[str]

    num_labels: int = 2
    id2label: dict[int, str] = field(default_factory=dict)
    label2id: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.id2label = self.id2label or {i: f"LABEL_{i}" for i in range(self.num_labels)}
        self.label2id = self.label2id or {label: i for i, label in self.id2label.items()}

    def to_json(self, network: str) -> str:
        """The file's text. network: name of its class."""
        values = dataclasses.asdict(self)
        del values["num_labels"]  # the number of names
        fixed = {"architectures": [network], "dtype": "float32", "model_type": self.model_type}
        return json.dumps(values | fixed, indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """The shape that a file gives. Raises ValueError or KeyError if it gives none."""
        if values["model_type"] != cls.model_type:
            raise ValueError(f"its model_type is {values['model_type']}, not {cls.model_type}")
        own = {f.name: values[f.name] for f in dataclasses.fields(cls) if f.name in values}
        names = {int(number): label for number, label in values["id2label"].items()}
        return cls(**own | {"id2label": names, "num_labels": len(names)})


class Network(nn.Module):
    """A classifier of windows of ids, with its shape as `config`."""

    shape: ClassVar[type[Shape]]
    embedding_name: ClassVar[str] = "embedding"

    def __init__(self, config: Shape) -> None:
        super().__init__()
        self.config: Any = config

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def get_input_embeddings(self) -> nn.Module:
        """The rows of its ids."""
        return self.get_submodule(self.embedding_name)

    def draw(self) -> None:
        """Draw the first weights: of layers and embeddings from a narrow normal distribution.

        Of an LSTM as Glorot & Bengio 2010 do; a GRU keeps torch's. Biases are 0.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Embedding):
                nn.init.normal_(module.weight, 0.0, SPREAD)
            if isinstance(module, nn.Linear | nn.Conv1d) and module.bias is not None:
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.LSTM):
                for name, parameter in module.named_parameters():
                    (nn.init.xavier_uniform_ if "weight" in name else nn.init.zeros_)(parameter)

    def save_pretrained(self, folder: Path) -> None:
        """Write config.json and model.safetensors."""
        text = self.config.to_json(type(self).__name__)
        (folder / CONFIG).write_text(text, encoding="utf-8")
        tensors = {name: value.contiguous() for name, value in self.state_dict().items()}
        save_file(tensors, folder / pretrained.WEIGHTS, {"format": "pt"})


N = TypeVar("N", bound=Network)


def load(kind: type[N], folder: Path) -> N:
    """The network that `save_pretrained` wrote.

    Raises LmspecError if the files are not of one network, whole.
    """
    file = pretrained.file_of_weights(folder)
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        config = kind.shape.from_values(values)
        # not on the device `meta`, where the first draw imports torch's compiler, for 1.7 s
        with torch.random.fork_rng(devices=[]):
            network = kind(config)
        tensors = load_file(file)
    except Exception as error:  # json, torch and safetensors
        found = f"it cannot be loaded: {pretrained.shown(error)}"
        raise LmspecError(str(file), found, pretrained.RESTORE) from error
    own = network.state_dict()
    others = {
        name: (tensors[name].shape, value.shape)
        for name, value in own.items()
        if name in tensors and tensors[name].shape != value.shape
    }
    pretrained.require_fit(
        file,
        config.model_type,
        [name for name in own if name not in tensors],
        [name for name in tensors if name not in own],
        others,
        pretrained.RESTORE,
    )
    pretrained.require_exact(file)
    network.load_state_dict({name: value.float() for name, value in tensors.items()}, assign=True)
    return network
