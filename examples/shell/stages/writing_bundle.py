"""bundle, of a model that writes.   graph, scores -> model.onnx, predict.py, README.md, ...

stages/bundle.py begins it.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import decoding, deployed_writing, documents, manifest, predict_writing
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.generation import Decoding
from lmspec.specs.names import ArtifactName
from lmspec.specs.scores import ANSWER_TABLE
from lmspec.writing import answers, card
from lmspec.writing.prompting import ASSISTANT, TooLong

CHECKED, TOKENS = 64, 2000  # prompts that are answered again, until they have so many tokens
EVERY = 8  # of the sample, so that the first ones are from all over it
SHOWN, MOST_SHOWN = 60, 1000  # characters of a text in a message, and in the card
Tables = Mapping[str, Mapping[str, Sequence[str]]]


class Asked(NamedTuple):
    """A scored prompt: what came before the answer, the reference, and what was answered."""

    messages: list[Mapping[str, str]]
    reference: str
    text: str


def build(
    spec: BundleSpec,
    generation: Decoding,
    scores: Mapping[str, Any],
    needs: stage.Needs,
    out: Path,
) -> stage.Report:
    """Copy the graph's files, add code and card, and check that it answers as it was scored."""
    for name in predict_writing.DATA:
        shutil.copyfile(needs[spec.of] / name, out / name)
    about = json.loads((out / "lmspec.json").read_text(encoding="utf-8"))
    figures = json.loads((needs.root / ArtifactName.parse(spec.of).metrics).read_text("utf-8"))
    about |= {"generation": decoding.settled(generation, needs.root)}
    about |= {"batch_invariant": figures.get("batch_difference") == 0}
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    (out / "lmspec.json").write_text(text, encoding="utf-8")
    if not deployed_writing.write(out, generation.constraint is not None):
        stage.say("requirements.txt has no hashes: lmspec does not know those of these versions")
    tables = {str(ref): table(needs.root, ref) for ref in (spec.scores, *spec.beside)}
    require_beside(spec, scores["metrics"], tables)
    writer = opened(spec, out)
    scored = read(needs[spec.scores])
    checked = require_scored_answers(writer, spec, scores, scored)
    if scores["generation"] != about["generation"]:
        stage.say(f"warning: {spec.scores} are of answers that were generated in another way")
    files = sorted(path for path in out.iterdir() if path.is_file())
    facts = card.Facts(
        about,
        scores,
        tables,
        figures,
        example(writer, scored),
        writer.encoder.end,
        checked,
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        {path.name: path.stat().st_size for path in files},
    )
    (out / "README.md").write_text(card.model_card(spec, facts), encoding="utf-8")
    return stage.Report()


def opened(spec: BundleSpec, out: Path) -> predict_writing.Writer:
    """The bundle, as predict.py reads it. Raises LmspecError if that is not possible."""
    try:
        return predict_writing.Writer(out, check=False)  # the manifest comes last
    except (manifest.Damaged, predict_writing.Refused) as error:
        remedy = f"look at `generation`; `dvc checkout` restores the files of {spec.of}"
        raise LmspecError(f"bundle, of {spec.of}", str(error), remedy) from None


def read(scores: Path) -> list[Asked]:
    """The scored prompts, in their order."""
    frame = documents.read(scores / answers.FILE, ["turns", "reference", "text"])
    return [Asked(*row) for row in frame.select("turns", "reference", "text").iter_rows()]


def table(root: Path, scores: str) -> dict[str, list[str]]:
    """The answers of a scores artifact that git keeps, by column."""
    path = root / ArtifactName.parse(scores).table(ANSWER_TABLE.name)
    if not path.is_file():
        raise LmspecError("bundle", f"{scores} has labels, no answers", "name scores of answers")
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [row[i] for row in rows] for i, name in enumerate(header)}


def require_scored_answers(
    writer: predict_writing.Writer,
    spec: BundleSpec,
    scores: Mapping[str, Any],
    scored: list[Asked],
) -> int:
    """How many scored prompts predict.py answers as the scores have it, letter by letter.

    Raises LmspecError if one gets another text.
    """
    settings = writer.settings_by(scores["generation"])
    done = tokens = repaired = 0
    for asked in sample(scored):
        if any(writer.clean(each["content"]) != each["content"] for each in asked.messages):
            repaired += 1
            continue
        pieces = list(writer.tokens(asked.messages, settings))
        got = "".join(piece.text for piece in pieces)
        if got != asked.text:
            raise _otherwise(spec, scores, asked, got)
        done, tokens = done + 1, tokens + len(pieces)
        if tokens >= TOKENS:
            break
    if repaired:
        stage.say(
            f"warning: predict.py repairs {repaired} of the scored prompts, as the training"
            f" texts of {spec.of} were: a scored dataset has another `clean`"
        )
    stage.say(f"predict.py gives the texts of {done} scored prompts")
    return done


def _otherwise(spec: BundleSpec, scores: Mapping[str, Any], asked: Asked, got: str) -> LmspecError:
    prompt = asked.messages[-1]["content"]
    found = (
        f"predict.py does not answer as {spec.scores} has it: {prompt[:SHOWN]!r} gets"
        f" {got[:SHOWN]!r} in place of {asked.text[:SHOWN]!r}"
    )
    remedy = "build both again on one processor with `dvc repro -f`; if it is the same, report it"
    if scores["batch_size"] > 1:
        remedy += "; of a graph whose batch_difference is not 0, score with `batch_size: 1`"
    return LmspecError(f"bundle, of {spec.of}", found, remedy)


def sample(scored: list[Asked]) -> Iterator[Asked]:
    """Evenly spaced prompts, and those that come first are so, too."""
    chosen = scored[:: max(1, -(-len(scored) // CHECKED))]
    for start in range(EVERY):
        yield from chosen[start::EVERY]


def example(writer: predict_writing.Writer, scored: list[Asked]) -> card.Example:
    """The first scored prompt that training would not leave out, with its reference; or else the
    first one."""
    pieces: list[tuple[str, bool]] = []
    for asked in scored:
        turns = [(each["role"], each["content"]) for each in asked.messages]
        turns.append((ASSISTANT, asked.reference))
        encoded = writer.encoder.example(turns)
        shown = [(clipped(text), own) for text, own in writer.encoder.shown(turns)]
        if not isinstance(encoded, TooLong):
            ids, learned = encoded
            return card.Example(shown, len(ids), int(learned.sum()))
        pieces = pieces or shown
    return card.Example(pieces, None, None)


def clipped(text: str) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def require_beside(spec: BundleSpec, datasets: Collection[str], tables: Tables) -> None:
    """Raise LmspecError if further scores have none of the datasets."""
    for name in spec.beside:
        if not {*datasets} & {*tables[name]["dataset"]}:
            found = f"{name} is not on {' or '.join(datasets)}, as {spec.scores} is"
            raise LmspecError("bundle.beside", found, "remove it")
