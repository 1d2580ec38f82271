"""constraining: texts that match a regular expression or a JSON schema, whatever the model writes.

A bundle has a copy of this file, so it imports nothing of lmspec.

Before each token, those that cannot lead to such a text are masked; llguidance says which ones.
A text that a limit cuts off need not match: a pattern without end needs a limit of its own.
"""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
SILENT = 0  # else it writes to standard error
SCHEMAS = "https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md"


class ConstraintError(ValueError):
    """A constraint that texts cannot be held to.

    found   what is wrong with it
    remedy  what to do next
    """

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self.found, self.remedy = found, remedy


class Constraints:
    """Makes constraints for one model; they share what is known of its tokens.

    tokenizer   the text of tokenizer.json
    vocabulary  V: how many logits the model has; beyond the tokenizer's tokens none is allowed
    end_ids     tokens that end a text, where it may end
    Raises ConstraintError if the tokenizer does not say which bytes its tokens stand for.
    """

    def __init__(self, tokenizer: str, vocabulary: int, end_ids: Sequence[int]) -> None:
        self._vocabulary = vocabulary
        try:
            self._tokens = LLTokenizer(tokenizer, vocabulary, list(end_ids))
        except ValueError as error:
            raise ConstraintError(
                f"the tokenizer cannot be used: {error}",
                "constraints need byte-level BPE, or SentencePiece with byte fallback",
            ) from None

    def regex(self, pattern: str) -> "Grammar":
        """The whole text matches a pattern.

        Raises ConstraintError for a mistake in it, for look-around and for backreferences.
        """
        grammar = LLMatcher.grammar_from_regex(pattern)
        remedy = "write it in the syntax of https://docs.rs/regex; it holds for the whole text"
        return self._grammar(grammar, f"the pattern {pattern!r}", remedy)

    def json_schema(self, schema: object) -> "Grammar":
        """The text is JSON of a schema, given as json.load reads it, in the layout of json.dump:
        were any white space allowed, a model might write it without end.

        Raises ConstraintError for a mistake in it, and for a keyword that is not supported.
        """
        if not isinstance(schema, Mapping):
            raise ConstraintError("a JSON schema is an object", f"write one, as in {SCHEMAS}")
        grammar = LLMatcher.grammar_from_json_schema(
            json.dumps(schema),
            overrides={
                "whitespace_flexible": False,
                "item_separator": ", ",
                "key_separator": ": ",
                "lenient": False,  # else a schema may ask for keywords to be ignored
            },
        )
        return self._grammar(grammar, "the JSON schema", f"what is supported: {SCHEMAS}")

    def _grammar(self, grammar: str, name: str, remedy: str) -> "Grammar":
        is_wrong, messages = LLMatcher.validate_grammar_with_warnings(grammar, self._tokens)
        if is_wrong:
            raise ConstraintError(f"{name} cannot be used: {_reason(messages[0])}", remedy)
        matcher = LLMatcher(self._tokens, grammar, log_level=SILENT)
        begun = matcher.deep_copy()
        begun.compute_bitmask()
        if begun.is_error():  # NoExtension...: nothing can be written
            raise ConstraintError(f"{name} matches no text: {_reason(begun.get_error())}", remedy)
        return Grammar(matcher, self._vocabulary)


class Grammar:
    """A `Constraint` of generating.py: any number of texts may be held to it."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher, self._vocabulary = matcher, vocabulary

    def begin(self) -> "AllowedTokens":
        """For a new text."""
        return AllowedTokens(self._matcher.deep_copy(), self._vocabulary)


class AllowedTokens:
    """An `Allowed` of generating.py: where in a grammar one text is."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher, self._vocabulary = matcher, vocabulary

    @property
    def finished(self) -> bool:
        """Is the text complete, so that nothing but the end may follow?"""
        is_complete: bool = self._matcher.is_stopped()
        return is_complete

    def mask(self) -> Bools:
        """(V,) which tokens may come next; the end tokens, where the text may end.

        Raises ConstraintError.
        """
        packed = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._require_no_error()
        bits = np.unpackbits(packed, count=self._vocabulary, bitorder="little")
        return bits.view(np.bool_)

    def accept(self, token: int) -> None:
        """The token that comes next. Raises ConstraintError if it is not allowed."""
        self._matcher.consume_token(token)
        self._require_no_error()

    def _require_no_error(self) -> None:
        if self._matcher.is_error():
            reason = _reason(self._matcher.get_error())
            raise ConstraintError(f"the constraint cannot be followed: {reason}", "simplify it")


def _reason(message: str) -> str:
    """Of a message of many lines, with pictures, the one that says what is wrong."""
    lines = [line for line in message.splitlines() if line.strip()] or ["it does not say why"]
    return next((line[7:] for line in lines if line.startswith("error: ")), lines[0])
