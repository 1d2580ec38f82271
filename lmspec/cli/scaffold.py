"""scaffold: the files of a new project, for one table of texts and labels."""

import json
import platform
import re
import statistics
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from string import Template
from typing import Any

from lmspec.errors import LmspecError, some
from lmspec.formats import rawtable
from lmspec.language import schema
from lmspec.methods.cleaning import document_id
from lmspec.methods.sources import digest
from lmspec.specs.corpus import Table

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
NO_TEXT = {
    "null",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
}  # a reader of YAML 1.1 takes them for something else
UNNAMED = "(not named)"
FEWEST_ROWS = 30
MOST_LABELS = 50
MOST_TOKENS = 512
TEMPLATES = {
    "Makefile": "Makefile.tmpl",
    ".github/workflows/lmspec.yml": "workflow.yml.tmpl",
    ".gitlab-ci.yml": "gitlab-ci.yml.tmpl",
    ".gitignore": "gitignore.tmpl",
    ".dvcignore": "dvcignore.tmpl",
}


@dataclass(frozen=True)
class Data:
    """What a look at the file found.

    lengths  characters of each text that has a label
    labels   label -> number of rows, in the order of the labels
    """

    path: Path
    text: str
    label: str
    lengths: list[int]
    labels: dict[str, int]

    @property
    def name(self) -> str:
        """A key made of the name of the file."""
        plain = (
            unicodedata.normalize("NFKD", self.path.stem.lower().replace("ß", "ss"))
            .encode("ascii", "ignore")
            .decode()
        )
        words = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")
        return (words if words[:1].isalpha() else f"data-{words}".rstrip("-"))[:40]


def look(path: Path, text: str | None, label: str | None) -> Data:
    """Read the file as the build will. Raises LmspecError if there is nothing to build from it, and says what there is."""
    if path.suffix.lower() not in FORMATS:
        raise LmspecError(str(path), f"it is no {', '.join(FORMATS)}", "give it as one of these")
    if not path.is_file():
        raise LmspecError(str(path), "there is no such file", "correct --data")
    try:
        frame = rawtable.read(path, _table(path, text or UNNAMED, label or UNNAMED))
    except LmspecError as error:
        raise _explained(path, bool(text and label), error) from None
    if text is None or label is None:
        raise LmspecError(str(path), f"a column is called {UNNAMED}", "name --text and --label")
    rows = [
        (row[text], row[label])
        for row in frame.iter_rows(named=True)
        if (row[text] or "").strip() and row[label]
    ]
    count = Counter(value for _, value in rows)
    _require_enough(path, label, len({document_id(content) for content, _ in rows}), count)
    labels = dict(sorted(count.items(), key=lambda item: (_number(item[0]), item[0])))
    return Data(path, text, label, [len(content) for content, _ in rows], labels)


def _explained(path: Path, named: bool, error: LmspecError) -> LmspecError:
    """What a reader of the spec is told, for one who has none yet. named: did the user name both columns?"""
    one_column = re.search(r"\['([^',]*[;\t][^',]*)'\]", error.remedy)
    if "does not parse" in error.found:
        remedy = "a .csv has commas, a .tsv tabs, both are UTF-8 with a header line; a spreadsheet saves that as `CSV UTF-8`"
        return LmspecError(str(path), error.found, remedy)
    if one_column:
        return LmspecError(
            str(path),
            f"it has one column, '{one_column[1]}'",
            "separate the columns with commas, or tabs in a .tsv",
        )
    if named:
        return LmspecError(str(path), error.found, error.remedy)
    return LmspecError(
        str(path),
        "which columns hold the text and the label?",
        f"give --text and --label: {error.remedy}",
    )


def _table(path: Path, text: str, label: str) -> Table:
    values: dict[str, Any] = {
        "name": "data",
        "of": "sources.data",
        "file": path.name,
        "text": text,
        "group": None,
    }
    values |= {
        "format": _format(path),
        "label": {"kind": "column", "column": label, "rename": None},
    }
    return Table.model_validate(values)


def _format(path: Path) -> dict[str, Any]:
    kind = FORMATS[path.suffix.lower()]
    return {"kind": kind} | ({"columns": None} if kind in ("csv", "tsv") else {})


def _require_enough(path: Path, label: str, texts: int, count: Counter[str]) -> None:
    if len(count) > MOST_LABELS:
        remedy = f"name a column of at most {MOST_LABELS} labels; for a score, write `label: {{kind: threshold, ...}}` by hand"
        raise LmspecError(
            f"{path}: {label}",
            f"it has {len(count):,} different values, such as {some(list(count)[:3])}",
            remedy,
        )
    if len(count) < 2:
        raise LmspecError(
            f"{path}: {label}", f"it has {len(count)} different labels", "a classifier needs two"
        )
    if texts < FEWEST_ROWS:
        raise LmspecError(
            str(path),
            f"it has {texts} different texts with a label",
            f"a model needs at least {FEWEST_ROWS}",
        )
    long = next((value for value in count if len(value) > 100), None)
    if long:
        raise LmspecError(
            f"{path}: {label}",
            f"a label has {len(long)} characters",
            "is this the column of the labels?",
        )


def _number(label: str) -> float:
    """Labels that are numbers stand in the order of numbers, before the others."""
    try:
        return float(label)
    except ValueError:
        return float("inf")


def files(data: Data) -> Iterator[tuple[str, str]]:
    """(path, content) of every file of text of the new project."""
    folder = resources.files("lmspec.cli") / "templates"
    values = _values(data)
    yield (
        "params.yaml",
        Template((folder / "params.yaml.tmpl").read_text(encoding="utf-8")).substitute(values),
    )
    for path, template in TEMPLATES.items():
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        yield (
            path,
            Template((folder / template).read_text(encoding="utf-8")).substitute(python=python),
        )
    yield "params.schema.json", schema.PATH.read_text(encoding="utf-8")
    yield "requirements.txt", "\n".join(requirements()) + "\n"
    for recipe in recipes():
        yield f"stages/{recipe.name}", recipe.read_text(encoding="utf-8")


def recipes() -> list[Path]:
    """The stages that a new project gets its own copies of: packaged with an installed lmspec, beside it in its repository."""
    package = Path(__file__).parents[1]
    packaged = package / "recipes"
    return sorted((packaged if packaged.is_dir() else package.parent / "stages").glob("*.py"))


def _values(data: Data) -> dict[str, Any]:
    rows = len(data.lengths)
    longest, usual = max(data.lengths), statistics.quantiles(data.lengths, n=20)[-1]
    small = rows < 2000
    tokens = next(n for n in (32, 64, 128, 256, MOST_TOKENS) if n >= usual / 3 or n == MOST_TOKENS)
    return {
        "name": data.name,
        "title": quoted(f"Labels of {data.path.name}"),
        "path": quoted(f"raw/{data.path.name}"),
        "file": quoted(data.path.name),
        "sha256": quoted(digest.sha256(data.path)),
        "format": json.dumps(_format(data.path)).replace('"', ""),
        "text": quoted(data.text),
        "label": quoted(data.label),
        "labels": ", ".join(quoted(label) for label in data.labels),
        "max_chars": max(1000, longest),
        "train": 0.6 if small else 0.8,
        "dev": 0.2 if small else 0.1,
        "test": 0.2 if small else 0.1,
        "vocabulary": 1000 if small else 8000,
        "max_length": tokens,
        "epochs": 20 if small else 5,
        "batch_size": 16 if small else 64,
        "majority": round(max(data.labels.values()) / rows, 3),
        "threads": 2,
        "instructions": "avx2" if platform.machine().lower() in ("x86_64", "amd64") else "default",
    }


def quoted(text: str) -> str:
    """As YAML; plain where nothing but words stands in it, else in double quotes."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", text) and text.lower() not in NO_TEXT
    return text if plain else json.dumps(text, ensure_ascii=False)


def requirements() -> Iterator[str]:
    """lmspec and all that it needs, at the versions that are installed: what the project was begun with."""
    yield "# The packages that this project was begun with. An upgrade reruns the stages whose code it changes."
    seen: dict[str, str] = {}
    queue = ["lmspec"]
    while queue:
        name = _canonical(queue.pop())
        if name in seen:
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform, or an extra that nobody asked for
        seen[name] = (
            f"{name} @ {_origin(found)}"
            if name == "lmspec" and _origin(found)
            else f"{name}=={_public(found.version)}"
        )
        needed = (r for r in found.requires or () if "extra ==" not in r)
        queue += [
            re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0] for requirement in needed
        ]
    yield from sorted(seen.values())


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _public(version: str) -> str:
    """Without the local label of a build, such as `+cpu`: no index has it."""
    return version.partition("+")[0]


def _origin(found: metadata.Distribution) -> str | None:
    """The address that a package was installed from; None for one from an index, or from a folder of this machine."""
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    if "vcs_info" in origin:
        return f"{origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    address = str(origin.get("url", ""))
    return address if address.startswith("https:") else None
