"""turns: prompts and answers in a table, for models that write, and the formats that hold them."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.checks import turns as checks

Column = Annotated[str, Field(min_length=1, max_length=1000)]
Step = Annotated[str, Field(min_length=1, max_length=1000)]
Steps = Annotated[tuple[Step, ...], Field(strict=False, max_length=20)]
Role = Annotated[str, Field(min_length=1, max_length=100)]


class Key(Spec):
    """The key, or the position in a list, that a `*` of `rows` stands for."""

    kind: Literal["key"] = Field(description="a key on the way to the row")
    name: Column = Field(description="name of the column")
    star: int = Field(ge=1, le=20, description="which `*` of `rows`, counted from 1")


class Value(Spec):
    """The value at a path, whose `*` are those of `rows`, in their order."""

    kind: Literal["value"] = Field(description="a value at a path from the top")
    name: Column = Field(description="name of the column")
    at: Steps = Field(
        min_length=1,
        description="keys and positions from the top; each `*` is the same as in `rows`, and those"
        " that are left out at the end belong to other rows",
    )


class Nested(Spec):
    """One JSON document, of which a path selects the rows."""

    holds = (checks.stars_are_shared, checks.columns_differ)
    kind: Literal["json"] = Field(description="one JSON document, or one compressed by gzip")
    rows: Steps = Field(
        description="path from the top to the rows: keys, positions from 0 in a list, and `*` for"
        " every one; [] if the document is one row"
    )
    columns: tuple[Annotated[Key | Value, Field(discriminator="kind")], ...] = Field(
        strict=False, min_length=1, max_length=1000, description="where each column's cells are"
    )


class PlainText(Spec):
    """A text without any structure, whose only column is called `text`."""

    kind: Literal["text"] = Field(description="plain text; its only column is `text`")
    unit: Literal["line", "paragraph", "file"] = Field(
        description="what a row is: a line, what empty lines separate, or the whole file"
    )


class Replacement(Spec):
    """A regular expression and what stands for its matches."""

    holds = (checks.replacement_is_possible,)
    pattern: str = Field(min_length=1, max_length=1000, description="regular expression")
    by: str = Field(max_length=1000, description=r"text in its place; \1 is the first group")


class Pair(Spec):
    """A prompt and its answer, in columns of their own."""

    kind: Literal["pair"] = Field(description="a prompt and its answer, in columns")
    prompt: tuple[Column, ...] = Field(
        strict=False,
        min_length=1,
        max_length=20,
        description="columns that make the prompt; of several, empty ones are left out",
    )
    joined_by: str = Field(max_length=100, description="text between these columns")
    answer: Column = Field(description="name of the answer's column")
    system: Column | None = Field(description="column of the system prompt; null: there is none")
    replace: tuple[Replacement, ...] = Field(
        strict=False, max_length=100, description="what is replaced in answers, in this order"
    )


class MultipleChoice(Spec):
    """A prompt, several answers to choose from, and which of them is right.

    A model that is trained on such rows learns the right one.
    """

    kind: Literal["choices"] = Field(description="a prompt and several answers, one of them right")
    prompt: tuple[Column, ...] = Field(
        strict=False,
        min_length=1,
        max_length=20,
        description="columns that make the prompt; of several, empty ones are left out",
    )
    joined_by: str = Field(max_length=100, description="text between these columns")
    choices: tuple[Column, ...] = Field(
        strict=False,
        min_length=1,
        max_length=100,
        description="a column for each choice, empty ones left out; or one that holds a list",
    )
    right: Column = Field(description="column that says which choice is right")
    right_is: Literal["text", "letter", "number_from_0", "number_from_1"] = Field(
        description="what it holds: the text of the choice, its letter (A, B, ...) or its number"
    )
    system: Column | None = Field(description="column of the system prompt; null: there is none")


class Roles(Spec):
    """What a file calls the roles."""

    holds = (checks.roles_differ,)
    system: Role | None = Field(description="its word for the system; null: it has none")
    user: Role = Field(description="its word for the user")
    assistant: Role = Field(description="its word for the assistant")


class Messages(Spec):
    """A conversation, in a column that holds a list of objects: a system prompt or none, then the
    user and the assistant in turn; the last one is the assistant's."""

    kind: Literal["messages"] = Field(description="a conversation, as a list of objects")
    column: Column = Field(description="name of the column with the list")
    role: Column = Field(description="key of the role: role, or from")
    content: Column = Field(description="key of the text: content, or value")
    roles: Roles = Field(description="what the file calls the roles")
