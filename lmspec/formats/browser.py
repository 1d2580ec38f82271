"""browser: a folder with a page that answers without a server.

Opened as a file, a page may load scripts of its folder and nothing else: so all that it reads is in
scripts, in base64.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from lmspec.errors import LmspecError
from lmspec.formats import browser_classifier, browser_page, browser_repairing
from lmspec.formats.predict import ABOUT, GRAPH, TOKENIZER, Classifier
from lmspec.methods.ngrams import tokenizer

FOLDER = "browser"
RUNTIME = {
    "runtime.mjs": "ort.wasm.bundle.min.mjs",
    "runtime.wasm": "ort-wasm-simd-threaded.wasm",
}
REPAIRS = ("fix_unicode", "unescape_html")  # of repairing.py, that repairing.js does
TOKENIZERS = {"tokenizers.mjs": "tokenizers.min.mjs"}
SIGMA = {"type": "Replace", "pattern": {"String": "\u03a3"}, "content": "\u03c3"}
LICENSES = ("LICENSE", "LICENSE.txt", "LICENSE.md")
# The package has no file of it, only a line in each script.
ONNXRUNTIME_WEB = """runtime.js holds onnxruntime-web.

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
# What the page must read as predict.py does before it answers: letters with and without marks,
# scripts with and without spaces, emoji, what is repaired, and what is longer than is read at once.
PROBES = (
    "a gorgeous, witty film",
    "I can't say it wasn't dull; well... 3 stars (out of 10)?!",
    "UPPER Case, CamelCase, snake_case and 12,345.67 at user@example.org",
    "na\u00efve caf\u00e9 \u0130stanbul stra\u00dfe \u1e9e \ufb01ne \u01c6 \u0149o",
    "e\u0301 a\u030a n\u0303: combining marks, and \u1ea5 \u0958",
    "\u201ccurly\u201d \u2018quotes\u2019 \u2013 dashes \u2014 and \u2026",
    "&amp;lt;b&gt; &eacute;t&EACUTE; &#8217;s &#x1F600; &#150; &notanentity; &#0; AT&T",
    "caf\u00c3\u00a9 and it\u00e2\u20ac\u2122s \u00e2\u20ac\u0153mojibake\u00e2\u20ac\ufffd",
    "\uff26\uff55\uff4c\uff4c \uff57\uff49\uff44\uff54\uff48 \uff76\uff9e\uff77 \u3000 space",
    "\u65e5\u672c\u8a9e\u306e\u30ec\u30d3\u30e5\u30fc\u3002\u4e2d\u6587\u7535\u5f71\u5f88\u597d",
    "\u041f\u0440\u0435\u043a\u0440\u0430\u0441\u043d\u044b\u0439 \u0444\u0438\u043b\u044c\u043c",
    "\u03a4\u03bf \u03ad\u03c1\u03b3\u03bf \u039f\u0394\u039f\u03a3 \u03ae\u03c4\u03b1\u03bd",
    "\u0641\u064a\u0644\u0645 \u0631\u0627\u0626\u0639 \u05e1\u05e8\u05d8 \u05e0\u05d4\u05d3\u05e8",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e2b\u0e19\u0e31\u0e07\u0e14\u0e35 \uc601\ud654",
    "\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f #1\ufe0f\u20e3",
    "tab\tline\nbreak\r\nand\u00a0no-break \u2028 \x85 \x07 bell \ufeff mark \u200b zero",
    "x" * 300 + " " + "\u00e4" * 120,
    "[CLS] [SEP] [UNK] [MASK] [PAD] <s> </s> <unk> <pad>",
    "one long text of many words, " * 60,
    "\u00ad\u2060\u202e soft, joined, turned; \U0001d4d1\U0001d4f8\U0001d4ed \u2460 \u00bd \u2122",
)


class Described(NamedTuple):
    """What a page says: title of the bundle, artifact of the graph, longest text in UTF-8."""

    title: str
    of: str
    max_text_bytes: int


def write(
    out: Path, graph: Path, sources: Mapping[str, Path], about: Described
) -> Mapping[str, Any]:
    """Write the folder. Returns what the page shows of it.

    graph    folder of the artifact
    sources  artifact -> its folder, of onnxruntime-web and of @huggingface/tokenizers
    Raises LmspecError if a file of a source is missing, or no browser reads texts like the graph.
    """
    read = tokenizer(graph / TOKENIZER)
    clean = json.loads((graph / ABOUT).read_text(encoding="utf-8"))["clean"]
    further = [name for name, is_done in clean.items() if is_done and name not in REPAIRS]
    if further or not isinstance(read, Tokenizer):
        found = "it reads n-grams, which no browser reads"
        if further:
            found = f"no browser repairs texts by {' and '.join(further)}"
        raise LmspecError(f"bundle.targets, of {about.of}", found, "remove the target")
    classifier = Classifier(graph, check=False)
    expected = [_expected(classifier, text) for text in PROBES]
    shown = _about(classifier, read, graph, about)
    model = {
        "about.json": _json(shown),
        "expected.json": _json(expected),
        "repairing.json": browser_repairing.tables(clean).encode(),
        "tokenizer.json": _in_javascript(read),
        GRAPH: (graph / GRAPH).read_bytes(),
    }
    runtime = {
        name: _file(sources, source).read_bytes() for name, source in (RUNTIME | TOKENIZERS).items()
    }
    files = {
        "index.html": browser_page.HTML,
        "page.css": browser_page.CSS,
        "page.js": browser_page.CODE,
        "classifier.js": browser_classifier.CODE,
        "repairing.js": browser_repairing.CODE,
        "model.js": _script(model),
        "runtime.js": _script(runtime),
        "LICENSE.onnxruntime-web.txt": ONNXRUNTIME_WEB,
        **_licenses(sources),
    }
    out.mkdir()
    for name, text in files.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    return shown


def _about(
    classifier: Classifier, read: Tokenizer, graph: Path, about: Described
) -> Mapping[str, Any]:
    """Settings of classifier.js. before, after: special tokens around those of a text."""
    special = read.encode("a").special_tokens_mask
    before = special.index(0) if 0 in special else len(special)
    thresholds = json.loads((graph / ABOUT).read_text(encoding="utf-8")).get("thresholds")
    return {
        "title": about.title,
        "of": about.of,
        "sha256": hashlib.sha256((graph / GRAPH).read_bytes()).hexdigest(),
        "checked": len(PROBES),
        "labels": classifier.labels,
        "thresholds": thresholds,
        "max_length": classifier.max_length,
        "long_texts": classifier.reader.long_texts,
        "before": before,
        "after": read.num_special_tokens_to_add(False) - before,
        "max_text_bytes": about.max_text_bytes,
    }


def _expected(classifier: Classifier, text: str) -> Mapping[str, Any]:
    """What predict.py reads of a text, and answers."""
    cleaned = classifier.clean(text)
    windows = classifier.reader.read([cleaned])
    return {
        "text": text,
        "cleaned": cleaned,
        "windows": [ids.tolist() for ids in windows.ids],
        "answer": classifier.answers(windows)[0],
    }


def _in_javascript(read: Tokenizer) -> bytes:
    """tokenizer.json as @huggingface/tokenizers cuts texts like the package of Python.

    Without truncation and padding, which classifier.js does. JavaScript lowers a sigma at the end
    of a word to another letter than elsewhere, so each is lowered before.
    """
    values = json.loads(read.to_str()) | {"truncation": None, "padding": None}
    if values["normalizer"]:
        values["normalizer"] = _lowered(values["normalizer"])
    return _json(values)


def _lowered(normalizer: Mapping[str, Any]) -> Mapping[str, Any]:
    if normalizer["type"] == "Sequence":
        parts = [_lowered(part) for part in normalizer["normalizers"]]
        return {"type": "Sequence", "normalizers": parts}
    if normalizer["type"] == "Lowercase" or normalizer.get("lowercase"):
        return {"type": "Sequence", "normalizers": [SIGMA, normalizer]}
    return normalizer


def _json(values: object) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode()


def _script(files: Mapping[str, bytes]) -> str:
    lines = ['"use strict";', "(globalThis.lmspec ??= {}).files ??= {};"]
    for name, content in files.items():
        text = base64.b64encode(content).decode("ascii")
        lines.append(f'lmspec.files["{name}"] = "{text}";')
    return "\n".join(lines) + "\n"


def _file(sources: Mapping[str, Path], name: str) -> Path:
    """A file of one of the sources."""
    for folder in sources.values():
        if (folder / name).is_file():
            return folder / name
    names: Sequence[str] = sorted(path.name for f in sources.values() for path in f.iterdir())
    found = f"{' and '.join(sources)} have no file {name}: they have {', '.join(names)}"
    remedy = "add it to `members` of the source, as docs/targets.md does"
    raise LmspecError("bundle.targets, of kind browser", found, remedy)


def _licenses(sources: Mapping[str, Path]) -> dict[str, str]:
    """Those of the packages, which travel with their code."""
    return {
        f"LICENSE.{source}.txt": (folder / name).read_text(encoding="utf-8")
        for source, folder in sources.items()
        for name in LICENSES
        if (folder / name).is_file()
    }
