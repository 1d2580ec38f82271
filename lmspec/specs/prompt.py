"""prompt: how prompts and answers become one text, as a model that writes reads it."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.checks import prompt as checks

Template = Annotated[str, Field(max_length=20_000)]
End = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        description="token of the vocabulary that ends an answer; it is learned with each, and"
        " generation ends there",
    ),
]


class PairPrompt(Spec):
    """The prompt in a template, then the answer, then the end."""

    holds = (checks.template_has_the_prompt,)
    kind: Literal["pair"] = Field(description="one prompt and one answer")
    template: Template = Field(
        description="text before the answer, {prompt} and all; special tokens of the vocabulary may"
        " be in it, those inside of prompts are plain text"
    )
    end: End


class ChatPrompt(Spec):
    """A conversation: each turn in the template of its role."""

    holds = (checks.turns_have_their_content,)
    kind: Literal["chat"] = Field(description="a conversation of several turns")
    before: Template = Field(description='text before all turns; "" for none')
    system: Template | None = Field(
        description="the system prompt, {content} and all; null: a conversation that has one is"
        " refused"
    )
    user: Template = Field(description="a turn of the user, {content} and all")
    assistant: Template = Field(description="text before each answer")
    end: End
    between: Template = Field(description="text between the end of an answer and the next turn")
    learn: Literal["every_answer", "last_answer"] = Field(description="which answers are learned")


Prompt = Annotated[PairPrompt | ChatPrompt, Field(discriminator="kind")]
