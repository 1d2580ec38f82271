"""Broken specs, each with the message of `lmspec validate`: broken_specs.txt is the table.

A case there is `== what is broken [rules]`, then an edit of the valid spec (lines with - are
replaced by those with +, or removed; `= writing` edits that of models that write) or a whole file
(lines with |), perhaps functions of this file that prepare the folder (lines with !), an empty
line, and the output. <0x09> is a byte.
`python -m tests.test_broken_specs` writes the present output: read its diff.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lmspec.formats.annotations import Appending
from lmspec.language import problems, rules, schema, validate
from lmspec.methods.annotating import Annotation
from lmspec.methods.folders import sha256
from tests.specs import EMPTY, GOOD, ROOT, WRITING, written

TABLE = ROOT / "tests/broken_specs.txt"
LITERAL = {
    "file",
    "yaml",
    "duplicate-key",
    "unknown-section",
    "unknown-field",
    "missing-section",
    "missing-field",
    "wrong-type",
    "out-of-bounds",
    "unknown-kind",
    "unknown-choice",
    "wrong-noun",
    "no-such-artifact",
    "no-such-block",
    "cycle",
}


@dataclass(frozen=True)
class Case:
    """A broken spec and the expected report.

    given   lines of the table that make it: edits, whole lines, preparations
    rules   names of the broken rules, in the order of the problems
    """

    name: str
    rules: tuple[str, ...]
    given: tuple[str, ...]
    expected: str

    def text(self) -> bytes:
        """The broken params.yaml."""
        whole = [line[2:] for line in self.given if line[0] == "|"]
        return _bytes("".join(f"{line}\n" for line in whole) if whole else self._edited())

    def _edited(self) -> str:
        text = WRITING if "= writing" in self.given else GOOD
        hunks = re.findall(
            r"((?:^-.*\n)+)((?:^\+.*\n)*)", "".join(f"{line}\n" for line in self.given), re.M
        )
        for old, new in (
            tuple(re.sub("^. ?", "", part, flags=re.M) for part in hunk) for hunk in hunks
        ):
            assert hunks and text.count(old) == 1, (
                f"{self.name}: what is replaced occurs {text.count(old)} times:\n{old}"
            )
            text = text.replace(old, new)
        return text

    def printed(self, folder: Path) -> tuple[str, tuple[str, ...]]:
        """What `lmspec validate` prints, without the last line, and the names of the rules."""
        path = written(self.text(), folder)
        for line in self.given:
            if line[0] == "!":
                PREPARATIONS[line[2:]](folder)
        report = validate.file(path)
        output = [
            problems.as_text(problem, Path("params.yaml"), report.lines)
            for problem in report.problems
        ]
        return "\n".join(output), tuple(problem.rule for problem in report.problems)


def _bytes(text: str) -> bytes:
    parts = re.split("<0x([0-9A-F]{2})>", text)
    return b"".join(bytes.fromhex(part) if i % 2 else part.encode() for i, part in enumerate(parts))


def cases() -> Iterator[Case]:
    """Those of the table."""
    for entry in re.split("^== ", TABLE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        head, _, rest = entry.partition("\n")
        name, _, names = head.rstrip("]").partition(" [")
        given, _, expected = rest.partition("\n\n")
        yield Case(
            name,
            tuple(names.split(", ")),
            tuple(given.strip("\n").split("\n")),
            _bytes(expected.rstrip("\n")).decode(),
        )


def _config(**fields: object) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        (folder / "raw/weights/config.json").write_text(json.dumps(fields))
        path = folder / "params.yaml"
        old, new = (f"raw/weights, sha256: '{d}'" for d in (EMPTY, sha256(folder / "raw/weights")))
        path.write_text(path.read_text().replace(old, new))

    return prepare


def _the_weights_are_a_llama(folder: Path) -> None:
    """Its special tokens, and the header of its tensors."""
    tokens = [{"content": name} for name in ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>")]
    header = json.dumps({f"model.layers.0.self_attn.{n}_proj.weight": {} for n in "qkvo"}).encode()
    weights = folder / "raw/weights"
    (weights / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    (weights / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    _config(num_hidden_layers=2, max_position_embeddings=128)(folder)


def _holding(folder: Path, name: str, text: str) -> None:
    """With that content, and its hash in params.yaml."""
    (folder / "raw" / name).write_text(text)
    path, old = folder / "params.yaml", f"raw/{name}, sha256: '"
    digest = sha256(folder / "raw" / name)
    path.write_text(path.read_text().replace(f"{old}{EMPTY}", f"{old}{digest}"))


def _phrases(folder: Path) -> None:
    head = "source: ours\nlicense: MIT\nwords: {a: [b]}\n"
    (folder / "phrases.yaml").write_text(f"{head}templates: [{{text: '{{a}} c', label: fine}}]\n")
    (folder / "other.yaml").write_text(f"{head}contexts: ['{{a}} c']\n")


def _synonyms(folder: Path) -> None:
    (folder / "raw/weights/words.tsv").write_text("film\tmovie\ntale story\n")
    path, old = folder / "params.yaml", f"raw/weights, sha256: '{EMPTY}'"
    new = f"raw/weights, sha256: '{sha256(folder / 'raw/weights')}'"
    path.write_text(path.read_text().replace(old, new))


def _pairs(folder: Path, label: str = "good") -> None:
    head = "source: ours\nlicense: MIT\n"
    contrast = f"{{templates: ['a {{swap}} b'], swap: [[c, d]], answers: [{label}, bad]}}"
    (folder / "pairs.yaml").write_text(f"{head}contrasts:\n  quality: {contrast}\n")
    suite = "{kind: minimum, templates: ['a b', 'c b'], label: good}"
    (folder / "cases.yaml").write_text(f"{head}suites:\n  praise: {suite}\n")


def _wrote(path: Path) -> None:
    path.write_text("1,awful\n")


def _params_yaml_is_a_folder(folder: Path) -> None:
    (folder / "params.yaml").unlink()
    (folder / "params.yaml").mkdir()


def _params_yaml_has_33_mebibytes(folder: Path) -> None:
    with (folder / "params.yaml").open("wb") as file:
        file.truncate(33 * 2**20)


def _the_splits_share_rows(folder: Path) -> None:
    """As if they were built: ids of their rows, and the parameters that dvc.lock records."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    values = yaml.load(folder / "params.yaml")
    names = [(noun, key) for noun in ("sources", "corpus", "splits") for key in ("old", "new")]
    stages = {
        f"{n}-{k}": {"cmd": "-", "params": {"params.yaml": {f"{n}.{k}": values[n][k]}}}
        for n, k in names
    }
    yaml.default_flow_style = False
    yaml.dump({"schema": "2.0", "stages": stages}, folder / "dvc.lock")
    for key, split, ids in (
        ("old", "train", "a b c d"),
        ("new", "test", "c d e"),
        ("old", "dev", "f"),
        ("new", "train", "g"),
    ):
        path = folder / f"data/splits/{key}/{split}.ids"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{i}\n" for i in ids.split()))


def _the_epochs_have_5000_digits(folder: Path) -> None:
    path = folder / "params.yaml"
    path.write_text(path.read_text().replace("epochs: 8", f"epochs: {'8' * 5000}"))


def _the_weights_are_a_model_that_is_built_here(folder: Path) -> None:
    (folder / "data/model/gru").mkdir(parents=True)
    (folder / "raw/weights").rmdir()
    (folder / "raw/weights").symlink_to(folder / "data/model/gru")


def _git(folder: Path, *commands: str) -> None:
    for command in ("init -q", *commands):
        subprocess.run(["git", *command.split()], cwd=folder, check=True)


def _git_ignores_tables_and_results(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.csv\ndata/\n")
    _git(folder)


def _git_converts_line_endings(folder: Path) -> None:
    (folder / "raw/old.csv").write_bytes(b"\r\n")
    (folder / ".gitattributes").write_text("* text=auto\n")
    _git(folder, "-c core.safecrlf=false add raw/old.csv")


def _data_is_a_link(folder: Path) -> None:
    (folder / "disk").mkdir()
    (folder / "data").symlink_to("disk")


def _git_converted_line_endings(folder: Path) -> None:
    (folder / "raw/old.csv").write_bytes(b"a\nb\n")


def _metrics_are_there(folder: Path) -> None:
    (folder / "metrics").mkdir()
    (folder / "metrics/shell.py").write_text(
        "import re\n\n\ndef parses(answer, reference):\n    return len(re.split(' ', answer))\n\n\n"
        "def alone(answer):\n    return 1.0\n"
    )
    (folder / "metrics/half.py").write_text("def parses(answer, reference:\n")


def _annotated(name: str, who: str, label: str) -> Callable[[Path], None]:
    """A file with a label of a row."""

    def prepare(folder: Path) -> None:
        one = Annotation("0" * 16, label, who, "2026-11-30T09:30:00Z", "", "label")
        Appending(folder / "labels" / name, name).add(one)

    return prepare


PREPARATIONS: dict[str, Callable[[Path], None]] = {
    "params.yaml is not there": lambda folder: (folder / "params.yaml").unlink(),
    "the old file has another content": lambda folder: _wrote(folder / "raw/old.csv"),
    "the old file has the columns review, stars and document": lambda folder: _holding(
        folder, "old.csv", "review,stars,document\ngood,5,a\n"
    ),
    "the chats have questions and no answer": lambda folder: _holding(
        folder, "chats.jsonl", '{"question": "say a", "reply": ""}\n' * 3
    ),
    "phrases have a template with the label fine": _phrases,
    "the weights have a table of synonyms": _synonyms,
    "pairs.yaml and cases.yaml are there": _pairs,
    "pairs.yaml has the label great": lambda folder: _pairs(folder, "great"),
    "the weights have 4 layers": _config(num_hidden_layers=4),
    "labels/a.csv has a label of one row": _annotated("a.csv", "ann", "good"),
    "labels/b.csv has another": _annotated("b.csv", "bob", "bad"),
    "params.yaml is a folder": _params_yaml_is_a_folder,
    "params.yaml has 33 MiB": _params_yaml_has_33_mebibytes,
    "the epochs have 5,000 digits": _the_epochs_have_5000_digits,
    "the weights are a model that is built here": _the_weights_are_a_model_that_is_built_here,
    "git ignores *.csv and data/": _git_ignores_tables_and_results,
    "git converts the line endings of the old file": _git_converts_line_endings,
    "git converted the line endings of the old file": _git_converted_line_endings,
    "data is a symbolic link": _data_is_a_link,
    "a FIFO is among the weights": lambda folder: os.mkfifo(folder / "raw/weights/fifo"),
    "the weights have 2 layers and 20 positions": _config(
        num_hidden_layers=2, max_position_embeddings=20
    ),
    "the weights are a llama": _the_weights_are_a_llama,
    "the weights are a Llama of 7 billion numbers": _config(
        model_type="llama",
        hidden_size=4096,
        intermediate_size=11008,
        vocab_size=32000,
        num_hidden_layers=32,
        num_attention_heads=32,
        max_position_embeddings=4096,
    ),
    "the weights are a GPT-2": _config(model_type="gpt2", n_positions=128, n_layer=2),
    "the weights have 2 layers": _config(num_hidden_layers=2),
    "the weights are a roberta with 24 positions": _config(
        model_type="roberta", max_position_embeddings=24, pad_token_id=1
    ),
    "metrics/shell.py is there, and half of metrics/half.py": _metrics_are_there,
    "two training rows of the old splits are test rows of the new ones": _the_splits_share_rows,
}


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_each_broken_spec_gets_its_problems_with_their_places(case: Case, tmp_path: Path) -> None:
    """The whole message: place, words, line, caret, hint, other places."""
    output, broken = case.printed(tmp_path)
    assert output == case.expected
    assert broken == case.rules


def test_the_table_has_every_rule() -> None:
    """A new rule needs a broken spec that shows what it says."""
    known = (
        LITERAL
        | {rules.name_of(rule) for rule in (*rules.RULES, *rules.WARNINGS)}
        | set(_checks(schema.load()))
    )
    assert {name for case in cases() for name in case.rules} == known


def test_the_rules_that_the_code_names_are_those_listed_here() -> None:
    """Every `report("name", ...)` and `Problem("name", ...)`: the test above sees them all."""
    assert set(_literals()) <= LITERAL and {"cycle", "file", "wrong-type"} <= set(_literals())


def test_names_of_cases_are_their_own() -> None:
    """Two cases of one name would differ only by a number."""
    names = [case.name for case in cases()]
    assert len(names) == len(set(names)) and len(names) >= 75


def _checks(part: object) -> Iterator[str]:
    """Names of the checks that the schema asks for."""
    if isinstance(part, dict):
        yield from (name.rpartition(":")[2].replace("_", "-") for name in part.get("x-holds", ()))
        for inner in part.values():
            yield from _checks(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _checks(inner)


def _literals() -> Iterator[str]:
    for path in (ROOT / "lmspec/language").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func).rpartition(".")[2] in ("report", "Problem")
                and node.args
            ):
                rule = node.args[0]
                if isinstance(rule, ast.Constant):
                    yield str(rule.value)


def write_what_is_printed() -> None:
    """The table with the messages and rules of today."""
    before, *_ = re.split("^== ", TABLE.read_text(encoding="utf-8"), flags=re.M)
    parts = [before]
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            output, broken = case.printed(Path(folder))
        shown = re.sub(
            r"[\x00-\x09\x0b-\x1f\x7f]", lambda found: f"<0x{ord(found[0]):02X}>", output
        )
        given = "\n".join(case.given)
        parts.append(f"== {case.name} [{', '.join(broken)}]\n{given}\n\n{shown}\n\n")
    TABLE.write_text("".join(parts).rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(write_what_is_printed())
