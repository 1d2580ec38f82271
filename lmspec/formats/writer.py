"""writer: a model that writes, on disk: safetensors, its config, its tokenizer, its prompt."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import GenerationConfig, PreTrainedModel

from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.methods import pretrained
from lmspec.writing.prompting import PAIR, PLAIN, PromptError, Writer

KIND = "causal"


@dataclass(frozen=True)
class WriterModel:
    """A model in memory.

    tokenizer   neither cuts nor pads
    pad_id      of padding, which nothing reads
    prompt      how a conversation is shown to it: the fields of its spec; `kind: none` with `end`
                of plain text
    max_length  tokens of an example that it was trained on
    long_texts  what became of longer ones
    clean       how the texts that it was trained on were repaired: see methods/repairing.py
    """

    model: PreTrainedModel
    tokenizer: Tokenizer
    pad_id: int
    prompt: Mapping[str, Any]
    max_length: int
    long_texts: str
    clean: Mapping[str, bool]

    @functools.cached_property
    def writer(self) -> Writer:
        """Encodes conversations as the model was trained on them.

        Raises LmspecError if the prompt does not suit the tokenizer.
        """
        try:
            return Writer(self.tokenizer, self.prompt, self.max_length, self.long_texts)
        except PromptError as error:
            raise LmspecError("architecture.prompt", error.found, error.remedy) from error


def write(writes: WriterModel, out: Path) -> None:
    """Write the files of transformers, with the prompt as a template of chats, and lmspec.json.

    A head that is tied to the embeddings is stored once.
    """
    end_id = writes.writer.end_id
    config = writes.model.config
    config.name_or_path = ""  # else the folder that the weights came from
    config.eos_token_id, config.pad_token_id = end_id, writes.pad_id
    writes.model.generation_config = GenerationConfig(
        eos_token_id=end_id, pad_token_id=writes.pad_id
    )
    writes.model.save_pretrained(out)
    writes.tokenizer.save(str(out / "tokenizer.json"))
    special = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "eos_token": writes.writer.end,
        "pad_token": writes.tokenizer.id_to_token(writes.pad_id),
    }
    if writes.prompt["kind"] != PLAIN:
        special["chat_template"] = chat_template(writes.prompt)
    _write_json(special, out / "tokenizer_config.json")
    about = {
        "kind": KIND,
        "prompt": dict(writes.prompt),
        "end_id": end_id,
        "pad_id": writes.pad_id,
        "max_length": writes.max_length,
        "long_texts": writes.long_texts,
        "clean": dict(writes.clean),
    }
    _write_json(about, out / "lmspec.json")


def read(folder: Path) -> WriterModel:
    """Read a model, in evaluation mode.

    Raises LmspecError if weights, config.json, tokenizer.json and lmspec.json are not of one model.
    """
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    tokenizer = pretrained.tokenizer(folder)
    model = causal.load(folder).eval()
    rows = model.get_input_embeddings().num_embeddings
    pretrained.require_tokens(tokenizer, rows, about["pad_id"], folder / "tokenizer.json")
    writes = WriterModel(
        model,
        tokenizer,
        about["pad_id"],
        about["prompt"],
        about["max_length"],
        about["long_texts"],
        about["clean"],
    )
    if writes.writer.end_id != about["end_id"]:
        found = f"its end is token {about['end_id']}, which is {writes.writer.end_id} here"
        raise LmspecError(str(folder / "tokenizer.json"), found, pretrained.RESTORE)
    return writes


def chat_template(prompt: Mapping[str, Any]) -> str:
    """The prompt as transformers and llama.cpp have it, in Jinja, with what is learned marked.

    The text is the same; these programs read special tokens in contents, too.
    """
    if prompt["kind"] == PAIR:
        around = {"user": prompt["template"].split("{prompt}")}
        prompt = {"before": "", "assistant": "", "between": "", "end": prompt["end"]}
    else:
        shown = {role: prompt[role] for role in ("system", "user") if prompt[role] is not None}
        around = {role: text.split("{content}") for role, text in shown.items()}
    own = {name: _quoted(prompt[name]) for name in ("before", "assistant", "between", "end")}
    turns = "".join(
        f"{{% elif role == '{role}' %}}{{{{ {_quoted(before)} + content + {_quoted(after)} }}}}"
        for role, (before, after) in around.items()
    )
    return (
        f"{{{{ {own['before']} }}}}{{% for message in messages %}}"
        "{% set role, content = message['role'], message['content'] %}"
        f"{{% if role == 'assistant' %}}{{{{ {own['assistant']} }}}}"
        f"{{% generation %}}{{{{ content + {own['end']} }}}}{{% endgeneration %}}"
        f"{{% if not loop.last %}}{{{{ {own['between']} }}}}{{% endif %}}"
        f"{turns}{{% else %}}{{{{ raise_exception('no place for a turn of ' + role) }}}}"
        "{% endif %}{% endfor %}"
        f"{{% if add_generation_prompt %}}{{{{ {own['assistant']} }}}}{{% endif %}}"
    )


def _quoted(text: str) -> str:
    """As a string of Jinja."""
    return json.dumps(text, ensure_ascii=False)


def _write_json(values: Mapping[str, Any], file: Path) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    file.write_text(text, encoding="utf-8")
