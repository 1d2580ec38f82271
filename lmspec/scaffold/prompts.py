"""prompts: how prompts and answers are shown to a model, by the special tokens that it knows.

The template of chats that comes with weights is a program (Jinja), which is not run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from lmspec.errors import LmspecError
from lmspec.writing.prompting import PAIR, PLAIN, PromptError, Writer

MOST = 10**9  # tokens: nothing is too long while tokens are counted


@dataclass(frozen=True)
class Style:
    """A form of conversations. tokens: special ones, by which it is known; see specs/prompt.py."""

    name: str
    tokens: tuple[str, ...]
    before: str
    system: str
    user: str
    assistant: str
    end: str
    between: str


CHATML = Style(
    "ChatML",
    ("<|im_start|>", "<|im_end|>"),
    "",
    "<|im_start|>system\n{content}<|im_end|>\n",
    "<|im_start|>user\n{content}<|im_end|>\n",
    "<|im_start|>assistant\n",
    "<|im_end|>",
    "\n",
)
LLAMA3 = Style(
    "the form of Llama 3",
    ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>"),
    "<|begin_of_text|>",
    "<|start_header_id|>system<|end_header_id|>\n\n{content}<|eot_id|>",
    "<|start_header_id|>user<|end_header_id|>\n\n{content}<|eot_id|>",
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "<|eot_id|>",
    "",
)
GEMMA = Style(  # it was trained without a system prompt: its form for one is not used here
    "the form of Gemma",
    ("<start_of_turn>", "<end_of_turn>"),
    "",
    "<start_of_turn>system\n{content}<end_of_turn>\n",
    "<start_of_turn>user\n{content}<end_of_turn>\n",
    "<start_of_turn>model\n",
    "<end_of_turn>",
    "\n",
)
HEADINGS = Style(  # its end is that of the tokenizer
    "headings",
    (),
    "",
    "### System\n{content}\n\n",
    "### Prompt\n{content}\n\n",
    "### Answer\n",
    "",
    "\n\n",
)
STYLES = (CHATML, LLAMA3, GEMMA)


@dataclass(frozen=True)
class Shown:
    """How a project shows its rows to a model.

    prompt  kind and fields of `architecture.prompt`
    style   as people know it
    known   special tokens by which it was chosen; none: the tokenizer has those of no known form
    """

    prompt: Mapping[str, Any]
    style: str
    known: tuple[str, ...]
    writer: Writer


def choose(tokenizer: Tokenizer, end: str, is_pair: bool, label: str) -> Shown:
    """The prompt for a tokenizer.

    end    the token that ends a text of the weights; "" if they name none
    label  the weights as people name them
    Raises LmspecError if no token can end an answer.
    """
    special = tokenizer.get_added_tokens_decoder().values()
    known = {token.content for token in special}
    style = next((style for style in STYLES if {*style.tokens} <= known), HEADINGS)
    ends = style.end or end
    if ends not in known:
        found = "its tokenizer has the special tokens of no known form, and none that ends a text"
        remedy = "add eos_token to its tokenizer_config.json, or name other weights"
        raise LmspecError(label, found, remedy)
    try:
        before = _begin(tokenizer, ends) or style.before
        prompt = _pair(style, before, ends) if is_pair else _chat(style, before, ends)
        writer = Writer(tokenizer, prompt, MOST, "leave_out")
    except PromptError as error:
        raise LmspecError(label, error.found, "name other weights") from error
    return Shown(prompt, style.name, style.tokens, writer)


def _begin(tokenizer: Tokenizer, end: str) -> str:
    """The token that the tokenizer has before each text; "" if it has none."""
    bos_id = Writer(tokenizer, {"kind": PLAIN, "end": end}, MOST, "windows").bos_id
    return "" if bos_id is None else str(tokenizer.id_to_token(bos_id))


def _pair(style: Style, before: str, end: str) -> dict[str, Any]:
    user = style.user.replace("{content}", "{prompt}")
    return {"kind": PAIR, "template": before + user + style.assistant, "end": end}


def _chat(style: Style, before: str, end: str) -> dict[str, Any]:
    return {
        "kind": "chat",
        "before": before,
        "system": style.system,
        "user": style.user,
        "assistant": style.assistant,
        "end": end,
        "between": style.between,
        "learn": "every_answer",
    }
