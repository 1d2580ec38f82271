"""predict: answers to prompts from a bundle. Its packages: `pip install -r requirements.txt`.

python predict.py "A prompt." "Another one."
python predict.py < prompts.txt                          one prompt a line, one answer a line
python predict.py --csv asked.csv --text question        the table, with two columns more
python predict.py --jsonl asked.jsonl --text question    the objects, with two fields more
python predict.py --chat                                 a conversation; /reset begins a new one
python predict.py --temperature 0.8 --seed 1 "A prompt." other draws with another seed
python predict.py --json-schema schema.json "A prompt."  an answer that is JSON of that schema

Each prompt has one answer, in order; one of white space alone has an empty one. An answer on a line
has its line breaks as \\n; the answer to a single prompt of the command line comes as it is.
A field of --jsonl may hold messages, as [{"role": "user", "content": "A prompt."}].
The same prompt gets the same answer, whatever else is asked, drawn ones too.
Exit status: 0; 1 if the input cannot be read on, or the bundle is damaged (standard error says
where); 2 for wrong arguments; 3 if every prompt was gone through, and standard error has notes on
some: bytes that are not UTF-8, read as U+FFFD; prompts that are too long, without an answer.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else its import begins to report
from lmspec.formats.manifest import Damaged, checked
from lmspec.formats.predict_forms import (
    CONTROLS,
    DONE,
    NOTED,
    STOPPED,
    SURROGATES,
    Notes,
    Unreadable,
    add_arguments,
    answer_each,
    check_arguments,
    closed,
    decoded,
    lines,
    positive,
    tell,
)
from lmspec.methods.repairing import repair
from lmspec.writing.generating import (
    Constraint,
    Ids,
    Request,
    Token,
    Written,
    generate,
    key_of,
    texts,
)
from lmspec.writing.onnxdecoder import OnnxDecoder
from lmspec.writing.prompting import ASSISTANT, PAIR, SYSTEM, USER, PromptError, Turn
from lmspec.writing.prompting import Writer as Encoder
from lmspec.writing.sampling import Sampling

GENERATED, ENDED = "generated", "stopped"
DATA = ("model.onnx", "model.onnx.data", "tokenizer.json", "lmspec.json")
TOO_LONG = "positions"  # why nothing is written: the prompt leaves no room
HELD = {"regex": "pattern", "json_schema": "schema"}  # kind of constraint -> its field
TERMINAL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what drives one; tabs and lines stay
WRONG = 2  # exit status: arguments that this bundle cannot follow
CHUNK = 8  # prompts at a time, for each that is answered beside others
Asked = str | Sequence[Mapping[str, str]]  # a prompt, or messages with `role` and `content`


class Refused(Exception):
    """Something that this bundle cannot answer: what is wrong, and what to do."""


@dataclass(frozen=True)
class Settings:
    """How texts are generated. `dataclasses.replace` changes some of them.

    new_tokens  of an answer, at most
    sampling    None: the most probable token each time
    stop        texts that end an answer, which has none of them
    penalty     of repetition; None: there is none
    constraint  `Writer.regex` or `Writer.json_schema` make one; None: any text
    end_penalty  lowers the logit of the end, for longer answers; 0: there is none
    """

    new_tokens: int
    sampling: Sampling | None
    stop: tuple[str, ...]
    penalty: float | None
    constraint: Constraint | None
    end_penalty: float = 0.0


class Writer:
    """A bundle, loaded once.

    folder    holds model.onnx, model.onnx.data, tokenizer.json and lmspec.json
    threads   that it computes with
    check     hash the files, and raise Damaged unless they are those of manifest.json
    settings  those of the bundle, which are used unless others are given
    encoder   conversations -> token ids, as in training
    decoder   token ids -> logits
    chats     does it read conversations, or one prompt alone?
    batch_invariant  were its logits measured to be the same bits alone and beside others?
    Raises Damaged.
    """

    def __init__(self, folder: Path | str, threads: int = 1, check: bool = True) -> None:
        folder = Path(folder)
        if check:
            checked(folder, DATA)
        with _damage("lmspec.json"):
            about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
            self._clean: Mapping[str, bool] = about["clean"]
            prompt, rule = about["prompt"], about["generation"]
            self.chats = prompt["kind"] != PAIR
            self.takes_system = self.chats and prompt["system"] is not None
            self.batch_invariant: bool = about["batch_invariant"]
            max_length, long_texts = about["max_length"], about["long_texts"]
            positions, end_id = about["max_past"], about["end_id"]
        with _damage("tokenizer.json"):
            self._words = (folder / "tokenizer.json").read_text(encoding="utf-8")
            tokenizer = Tokenizer.from_str(self._words)
            self.encoder = Encoder(tokenizer, prompt, max_length, long_texts)
        with _damage("model.onnx"):
            self.decoder = OnnxDecoder(folder / "model.onnx", positions, threads)
        last = max(self.encoder.tokenizer.get_vocab(with_added_tokens=True).values())
        if last >= self.decoder.vocabulary:
            raise Damaged("tokenizer.json", "it has more tokens than the graph")
        if self.encoder.end_id != end_id:
            raise Damaged("lmspec.json", f"token {end_id} is not the end that tokenizer.json has")
        self._constraints: Any = None
        self.settings = self.settings_by(rule)

    def write(self, prompt: str, settings: Settings | None = None) -> str:
        """The answer to a prompt; empty for one of white space alone, or without room for one."""
        return "".join(self.stream(prompt, settings))

    def chat(self, messages: Sequence[Mapping[str, str]], settings: Settings | None = None) -> str:
        """The answer to a conversation: messages with `role` and `content`, the last one the
        user's. Raises Refused if the template has no place for them."""
        return "".join(self.stream(messages, settings))

    def stream(self, asked: Asked, settings: Settings | None = None) -> Iterator[str]:
        """The answer piece by piece, as it is generated. Raises Refused."""
        return (token.text for token in self.tokens(asked, settings))

    def tokens(self, asked: Asked, settings: Settings | None = None) -> Iterator[Token]:
        """Each token of the answer as it is generated; none for white space. Raises Refused."""
        ids = self.ids(asked)
        requests = [] if ids is None else [self.request(ids, settings)]
        ends = [self.encoder.end_id]
        return generate(self.decoder, requests, self.encoder.tokenizer, ends, 1)

    def write_many(
        self, asked: Iterable[Asked], batch_size: int = 1, settings: Settings | None = None
    ) -> list[Written | None]:
        """The answer to each, in order; None for white space. Raises Refused.

        batch_size  answers that are generated side by side
        """
        every = [self.ids(each) for each in asked]
        requests = [self.request(ids, settings) for ids in every if ids is not None]
        ends = [self.encoder.end_id]
        done = iter(texts(self.decoder, requests, self.encoder.tokenizer, ends, batch_size))
        return [None if ids is None else next(done) for ids in every]

    def ids(self, asked: Asked) -> Ids | None:
        """(t,) what the model goes on from; None if the last message is white space.

        Raises Refused.
        """
        turns = [(USER, asked)] if isinstance(asked, str) else [_turn(each) for each in asked]
        repaired = [(role, self.clean(content)) for role, content in turns]
        if not repaired or repaired[-1][0] != USER:
            raise Refused("the last message is not the user's; ask something")
        if not repaired[-1][1]:
            return None
        try:
            return self.encoder.prompt_ids(repaired)
        except PromptError as error:
            raise Refused(error.found) from None

    def request(self, ids: Ids, settings: Settings | None = None) -> Request:
        """What is asked of generating.py."""
        own = self.settings if settings is None else settings
        return Request(
            ids,
            own.new_tokens,
            own.sampling,
            own.stop,
            key_of(ids),
            own.penalty,
            own.constraint,
            own.end_penalty,
        )

    def clean(self, text: str) -> str:
        """The text as the corpus repaired those that the model was trained on."""
        if SURROGATES.search(text):  # no UTF-8: halves of pairs, as JSON can escape them
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return repair(text, **self._clean)

    def regex(self, pattern: str) -> Constraint:
        """The whole answer matches a regular expression. Raises Refused."""
        return self._constrained("regex", pattern)

    def json_schema(self, schema: object) -> Constraint:
        """The answer is JSON of a schema, given as json.load reads it. Raises Refused."""
        return self._constrained("json_schema", schema)

    def _constrained(self, kind: str, rule: Any) -> Constraint:
        try:
            from lmspec.writing.constraining import ConstraintError, Constraints
        except ModuleNotFoundError as error:
            found = f"a constraint needs the package {error.name}"
            raise Refused(f"{found}: pip install 'llguidance>=1.9,<2'") from None
        try:
            if self._constraints is None:
                ends = [self.encoder.end_id]
                self._constraints = Constraints(self._words, self.decoder.vocabulary, ends)
            grammar: Constraint = getattr(self._constraints, kind)(rule)
        except ConstraintError as error:
            raise Refused(str(error)) from None
        return grammar

    def settings_by(self, rule: Mapping[str, Any]) -> Settings:
        """Those of a rule as lmspec.json has it: `generation`.

        Raises Damaged, or Refused if its constraint needs a package that is not there.
        """
        with _damage("lmspec.json"):
            decode = dict(rule["decode"])
            is_drawn = decode.pop("kind") == "sample"
            sampling = Sampling(**decode) if is_drawn else None
            limits = rule["new_tokens"], sampling, tuple(rule["stop"]), rule["repetition_penalty"]
            form = rule["constraint"] and rule["constraint"]["kind"]
            held = rule["constraint"] and rule["constraint"][HELD[form]]
            end_penalty = rule["end_penalty"] or 0.0
        grammar = self._constrained(form, held) if form else None
        return Settings(*limits, grammar, end_penalty)


@contextlib.contextmanager
def _damage(file: str) -> Iterator[None]:
    """Whatever a library raises while it reads a file, as Damaged."""
    try:
        yield
    except Exception as error:  # tokenizers and onnxruntime raise plain Exceptions
        reason = str(error).partition("\n")[0]
        found = f"it has no {reason}" if isinstance(error, KeyError) else reason
        raise Damaged(file, found) from None


def _turn(message: Mapping[str, str]) -> Turn:
    """Raises Refused if it is no message."""
    try:
        role, content = message["role"], message["content"]
    except (TypeError, KeyError):
        raise Refused("a message has a `role` and a `content`") from None
    if role not in (SYSTEM, USER, ASSISTANT) or not isinstance(content, str):
        raise Refused(f"a message has a role, as {USER}, and a text as its content")
    return role, content


class Answers:
    """How answers are written: a `Layout` of predict_forms."""

    columns = fields = (GENERATED, ENDED)

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def text(self, value: Any) -> Asked:
        """A prompt, or messages; numbers are texts. Raises ValueError."""
        if isinstance(value, (dict, bool)):
            raise ValueError("is neither a text nor a list of messages")
        asked = value if isinstance(value, list) else str(value)
        try:
            self.writer.ids(asked)
        except Refused as error:
            raise ValueError(f"cannot be answered: {error}") from None
        return asked

    def cells(self, answer: Written | None) -> list[str]:
        """Empty without an answer."""
        return ["", ""] if answer is None else [answer.text, answer.stopped]

    def values(self, answer: Written | None) -> dict[str, Any]:
        """Null without an answer."""
        if answer is None:
            return {GENERATED: None, ENDED: None}
        return {GENERATED: answer.text if len(answer.ids) else None, ENDED: answer.stopped}

    def line(self, text: str, answer: Written | None) -> str:
        """The answer alone."""
        return "" if answer is None else CONTROLS.sub(" ", answer.text.replace("\n", "\\n"))


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser, "prompt")
    parser.add_argument(
        "--batch-size", metavar="N", type=positive, default=1, help="answers side by side: faster"
    )
    parser.add_argument("--chat", action="store_true", help="line by line, as tokens come")
    parser.add_argument("--system", metavar="TEXT", help="system prompt of the conversation")
    parser.add_argument("--new-tokens", metavar="N", type=positive, help="of an answer, at most")
    parser.add_argument(
        "--temperature", metavar="T", type=float, help="0: the most probable token each time"
    )
    parser.add_argument("--top-p", metavar="P", type=float, help="the most probable tokens only")
    parser.add_argument("--top-k", metavar="K", type=positive, help="so many of them")
    parser.add_argument("--min-p", metavar="P", type=float, help="with that share of the first's")
    parser.add_argument("--seed", metavar="N", type=int, help="of the draws")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--regex", metavar="PATTERN", help="that the whole answer matches")
    one.add_argument("--json-schema", metavar="FILE", help="that the answer is JSON of")
    options = parser.parse_args(given)
    if options.chat and (options.texts or options.csv or options.jsonl or options.output):
        parser.error("--chat reads standard input, and answers on standard output")
    if options.system is not None and not options.chat:
        parser.error("--system is of --chat; in --jsonl it is a message")
    if not options.chat:
        check_arguments(parser, options)
    return options


def settings_of(options: argparse.Namespace, writer: Writer) -> Settings:
    """The bundle's, with what the arguments change. Raises Refused."""
    settings = dataclasses.replace(writer.settings, sampling=sampling_of(options, writer))
    if options.new_tokens is not None:
        settings = dataclasses.replace(settings, new_tokens=options.new_tokens)
    if options.regex is not None:
        settings = dataclasses.replace(settings, constraint=writer.regex(options.regex))
    if options.json_schema is not None:
        try:
            schema = json.loads(Path(options.json_schema).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise Refused(f"{options.json_schema}: {error}") from None
        settings = dataclasses.replace(settings, constraint=writer.json_schema(schema))
    return settings


def sampling_of(options: argparse.Namespace, writer: Writer) -> Sampling | None:
    """How tokens are drawn, if they are. Raises Refused."""
    names = ("temperature", "top_p", "top_k", "min_p", "seed")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    own = writer.settings.sampling
    greedy = given.get("temperature") == 0 or (own is None and "temperature" not in given)
    if greedy:
        for name in given.keys() - {"temperature"}:
            option = "--" + name.replace("_", "-")
            raise Refused(f"{option} is of draws: give --temperature above 0, too")
        return None
    try:
        return dataclasses.replace(own or Sampling(), **given)
    except ValueError as error:
        raise Refused(str(error)) from None


def converse(writer: Writer, settings: Settings, system: str | None, notes: Notes) -> None:
    """Answer each line of standard input after those before it. Raises Refused, OSError."""
    if system is not None and not writer.takes_system:
        raise Refused("the model was trained without system prompts: leave --system out")
    opening = [{"role": SYSTEM, "content": system}] if system is not None else []
    messages = list(opening)
    if not writer.chats:
        tell("the model was trained on single prompts: each line is answered by itself")
    for line in typed(notes):
        if line.strip() == "/reset":
            messages = list(opening)
        elif line.strip() == "/exit":
            break
        elif line.strip():
            asked = {"role": USER, "content": line}
            text = answered(writer, settings, [*messages, asked])
            if text is not None and writer.chats:
                messages += [asked, {"role": ASSISTANT, "content": text}]


def typed(notes: Notes) -> Iterator[str]:
    """Lines of standard input; of a terminal, with what it has for editing them."""
    if not sys.stdin.isatty():
        yield from lines(decoded(sys.stdin.buffer, None), notes)
        return
    with contextlib.suppress(ImportError):  # Windows has none
        import readline  # noqa: F401
    tell("/reset begins a new conversation, /exit ends")
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            yield input("> ")


def answered(
    writer: Writer, settings: Settings, asked: Asked, notes: Notes | None = None
) -> str | None:
    """Print an answer as its tokens come; None if there is none, or it was interrupted."""
    pieces, stopped = [], None
    try:
        for token in writer.tokens(asked, settings):
            print(TERMINAL.sub(" ", token.text), end="", flush=True)
            pieces.append(token.text)
            stopped = token.stopped if token.id < 0 else None
    except KeyboardInterrupt:
        stopped = "interrupted"
    print(flush=True)
    if stopped == TOO_LONG:
        line = too_long(writer, asked)
        tell(line) if notes is None else notes.add(line)
    return None if stopped else "".join(pieces)


def too_long(writer: Writer, asked: Asked) -> str:
    """Why nothing was written."""
    ids, most = writer.ids(asked), writer.decoder.positions
    size = 0 if ids is None else len(ids)
    remedy = "shorten it" if isinstance(asked, str) else "shorten it, or begin again with /reset"
    return f"a prompt of {size:,} tokens, and the model reads {most:,}: {remedy}"


def main(given: Sequence[str] | None = None) -> int:
    """Answer each prompt. Returns the exit status."""
    options = arguments(given)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    notes = Notes()
    try:
        writer = Writer(Path(__file__).parent, options.threads)
        settings = settings_of(options, writer)
    except Damaged as error:
        tell(str(error))
        return STOPPED
    except Refused as error:
        tell(str(error))
        return WRONG
    if not options.chat and (len(options.texts) != 1 or options.output):
        return answer_each(
            options,
            Answers(writer),
            lambda asked: many(writer, asked, settings, options.batch_size, notes),
            1 if options.batch_size == 1 else CHUNK * options.batch_size,
            notes,
        )
    try:
        if options.chat:
            converse(writer, settings, options.system, notes)
        else:
            answered(writer, settings, options.texts[0], notes)
    except BrokenPipeError:
        return closed()
    except Refused as error:
        tell(str(error))
        return WRONG
    except (Unreadable, OSError, ValueError) as error:
        tell(str(error))
        return STOPPED
    return NOTED if notes.count else DONE


def many(
    writer: Writer, asked: Sequence[Asked], settings: Settings, batch_size: int, notes: Notes
) -> list[Written | None]:
    """The answer to each; says which prompts are too long."""
    try:
        written = writer.write_many(asked, batch_size, settings)
    except ValueError as error:  # no numbers, or a constraint that leads nowhere
        raise Unreadable(str(error)) from None
    for each, answer in zip(asked, written, strict=True):
        if answer is not None and not len(answer.ids):
            notes.add(too_long(writer, each))
    return written


if __name__ == "__main__":
    sys.exit(main())
