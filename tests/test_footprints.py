"""`lmspec validate --memory`: what a training needs, of a model that is not here."""

from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from lmspec.cli.main import main
from lmspec.errors import LmspecError
from lmspec.inspection import footprints
from lmspec.language import memory_rules
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Numerics
from lmspec.specs.project import Project
from lmspec.training import footprint
from tests.specs import WRITING, written
from tests.test_training_methods import MUON
from tests.tinywriter import write_weights

SMALL = {
    "vocab_size": 500,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SEVEN_BILLION = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
}


def project(**changes: Any) -> Project:
    """The miniature of models that write, `model.pairs` with other fields of its training."""
    values = YAML(typ="safe").load(WRITING)
    values["model"]["pairs"]["training"] |= changes
    return Project.model_validate(values)


def configured(config: PretrainedConfig, root: Path) -> Path:
    """A project's folder whose weights are a configuration alone."""
    config.save_pretrained(root / "raw/weights")
    return root


@pytest.mark.parametrize("changes", [{}, {"checkpointing": "layers"}, {"optimizer": MUON}], ids=str)
def test_a_step_is_counted_without_weights_as_with_them(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    """A full training, some layers computed again, an adapter, a student with its teacher's logits,
    an update: at most a quarter more."""
    weights = write_weights(tmp_path / "raw/weights")
    given = project(**changes)
    needed, unknown = footprints.of(given, tmp_path)
    names = ["model.further", "model.pairs", "model.chats", "student.pairs", "updated.later"]
    assert [one.name for one in needed] == names
    assert not unknown
    for one in needed:
        name, spec = ArtifactName.parse(one.name), cast(Any, given.find(one.name))
        real = footprints._network(given, name, weights)
        if spec.training.checkpointing:
            real.activation_checkpointing_enable({"use_reentrant": False})
        architecture = footprints._origin(given, name).architecture
        task = footprints._task(architecture, one.rows, name.noun in footprints.BEFORE)
        counted = footprint.estimated(real, task, spec.training, given.numerics)
        # where nothing is computed, transformers keeps a mask, and keys of each head
        assert 0.99 < (one.held + one.activations) / counted.total < 1.25
        assert one.learned == sum(p.numel() for p in real.parameters() if p.requires_grad)
        assert one.network == 4 * sum(p.numel() for p in real.parameters())
    adapted = next(one for one in needed if one.name == "model.chats")
    assert adapted.learned < 0.1 * adapted.weights


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SMALL, attention_bias=True),
        LlamaConfig(**SMALL, tie_word_embeddings=True, head_dim=32),
        MistralConfig(**SMALL),
        Qwen2Config(**SMALL),
        Qwen3Config(**SMALL),
    ],
    ids=lambda config: config.model_type,
)
def test_weights_are_counted_from_a_configuration(config: Any, tmp_path: Path) -> None:
    """As many as transformers makes; from the header of a file the same."""
    model = AutoModelForCausalLM.from_config(config)
    config.save_pretrained(tmp_path)
    real = sum(p.numel() for p in model.parameters())
    assert sum(memory_rules.numbers(tmp_path).values()) == real
    model.save_pretrained(tmp_path)
    counted = memory_rules.numbers(tmp_path)
    assert sum(counted.values()) == real
    assert "model.layers.2.mlp.up_proj.weight" in counted


def test_seven_billion_weights_are_divided(tmp_path: Path) -> None:
    """They fit no card of 80 GiB in one piece, and do on eight, with layers computed again."""
    root = configured(LlamaConfig(**SEVEN_BILLION), tmp_path)
    recipe: dict[str, Any] = {"batch_size": 64, "micro_batch_size": 16, "packing": None}
    whole = next(n for n in footprints.of(project(**recipe), root)[0] if n.name == "model.pairs")
    assert whole.weights == 6_738_415_616
    assert whole.total > 120 * 2**30
    with pytest.raises(LmspecError, match=r"model\.(further|pairs) needs 1\d\d\.\d GiB"):
        footprints.require([whole], 80)
    given = project(**recipe, checkpointing="layers")
    numerics = given.numerics.model_dump() | {"world": 8, "sharding": "full", "precision": "bf16"}
    given = given.model_copy(update={"numerics": Numerics.model_validate(numerics)})
    parts = next(n for n in footprints.of(given, root)[0] if n.name == "model.pairs")
    assert (parts.rows, parts.divided) == (2, 8)
    assert whole.network <= parts.total < 40 * 2**30
    footprints.require([parts], 80)


def test_the_command_shows_and_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row a training; what is not here is named; an exit code of 1 where one does not fit."""
    text = WRITING.replace("device: cpu", "device: cpu, memory_gib: 0.0001", 1)
    path = written(WRITING, tmp_path)
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(main, ["validate", "--memory"])
    assert run.exit_code == 0, run.output
    assert "model.pairs: sources.llama is not here yet: `dvc repro sources-llama`" in run.output
    write_weights(tmp_path / "weights")
    (tmp_path / "weights").rename(tmp_path / "raw/weights/of")
    path.write_text(WRITING.replace("raw/weights", "raw/weights/of"))
    assert "model.pairs" in CliRunner().invoke(main, ["validate", "--memory"]).output
    path.write_text(text.replace("raw/weights", "raw/weights/of"))
    refused = CliRunner().invoke(main, ["validate", "--memory"])
    assert refused.exit_code == 1
