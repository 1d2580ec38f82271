"""card: a model card in Markdown, from a spec and its metrics.

Source: Mitchell et al. 2019, arXiv:1810.03993.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmspec.methods import redacting
from lmspec.methods.coverage import percent
from lmspec.methods.scalar import quoted
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.serving import Serving

USE = """## How to use it

```
pip install -r requirements.txt
python predict.py "A text." "Another one."
python predict.py --csv reviews.csv --text review > answered.csv
```

Each text has one answer, in order, in tables (`--csv`, `--jsonl`) and lines alike; `--top`,
`--probabilities`, `--batch-size` and the exit status are in `python predict.py --help`.

```python
from predict import Classifier

classifier = Classifier("path/of/this/folder")
classifier.predict("A text.")  # {label: probability}, the most probable first
classifier.predict_many(["A text.", "Another one."])
```
"""
CHECKED = """`manifest.json` has these hashes, too: `predict.py` and `lmspec serve` refuse a folder
in which a file differs."""
LONG_TEXTS = {
    "truncate": "it reads the beginning, and nothing after it",
    "head_tail": "it reads the beginning and the end, half of these tokens each",
    "windows": "it reads all, in windows that overlap by an eighth, and averages their"
    " probabilities",
}
TARGETS_HEAD = """| target | runs on | graph | file | against the graph or model before | accuracy |
| --- | --- | --- | --- | --- | --- |
"""
TARGETS_NOTE = """`predict.py` and `lmspec serve` take the first that a machine can run, and print
which; `--target NAME` takes another. All scores above are of `{of}` (`{scores}`): other graphs
round otherwise, and answer a few texts otherwise.
"""
KIND_NOTES = {
    "cuda": """The target `cuda` has not been tried on a card: its figures are of a processor.
""",
    "browser": """`browser/index.html` answers in a browser, without a server. Before it does, it
checks that texts of many scripts get there what `predict.py` gave them when the bundle was built.
Its scores are those of its graph in `predict.py`; a browser rounds otherwise.
""",
}
PRIVACY = """## Privacy

It was trained with differential privacy (DP-SGD, Abadi et al. 2016): epsilon {epsilon:.2f} with
delta {delta:g}. That is of its weights, and of one of the {rows:,} rows added or removed; each row
was in a step's batch with probability {sampled:.3g}; {steps:,} steps, noise multiplier
{noise_multiplier:g}. It holds for anyone who does not know the seed of rows and noise.

It does not cover the dev split, by which the weights were chosen and graphs were calibrated;
several rows of one person together; counts and losses that are published beside the weights; or
attacks on the rounding of the noise.
"""
RUNS_ON = {
    "any": "any processor",
    "avx2": "x86 processors with AVX2",
    "vnni": "x86 processors with VNNI (AVX512-VNNI, AVX-VNNI)",
    "cuda": "cards of NVIDIA's, with onnxruntime-gpu",
    "browser": "browsers, with onnxruntime-web",
}
CONTRACT = ("disagreement_rate", "mean_probability_difference", "largest_logit_difference")
COLUMNS = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "log_loss",
    "expected_calibration_error",
    "examples",
)


# Before what authors write, so that no reader takes it for a number of lmspec's.
STATED = "_In the words of its authors; no artifact shows it._\n\n"


@dataclass(frozen=True)
class Reads:
    """What a model reads of a text.

    clean       how texts are repaired before: fix_unicode, unescape_html
    max_length  tokens at once; None for all
    long_texts  what is read of a longer text
    ngrams      are n-grams of the whole text read beside the tokens?
    """

    clean: Mapping[str, bool]
    max_length: int | None
    long_texts: str | None
    ngrams: bool


def model_card(
    spec: BundleSpec,
    labels: list[str],
    scores: Mapping[str, Any],
    files: Mapping[str, str],
    reads: Reads,
    targets: Sequence[Mapping[str, Any]] = (),
    further: Sequence[str] = (),
) -> str:
    """scores: `metrics.json` of a scores artifact; files: path -> SHA-256.

    targets  fields of each line of targets.json, with `figures` of its graph and what is `scored`
    further  sections of a longer card
    """
    parts = [
        head(spec),
        f"Labels: {', '.join(map(code, labels))}.\n",
        f"## Intended use\n\n{STATED}{spec.intended_use.strip()}\n",
        f"## Limitations\n\n{STATED}{spec.limitations.strip()}\n",
        f"## What it reads\n\n{_reads(reads)}{_unread(scores['metrics'], reads)}",
        f"## How good it is\n\n`{spec.scores}` of `{spec.of}`, on test texts:\n\n"
        f"{_scores(scores['metrics'])}\n{_warnings(scores)}{seen_texts(scores)}",
        *abstention(scores["metrics"]),
        data_of(scores.get("data", {})),
        personal_data(scores.get("personal_data", {})),
        *further,
        USE,
        *_targets(targets, spec),
        *service(spec),
        listed(files),
    ]
    return "\n".join(parts)


def head(spec: BundleSpec) -> str:
    """Front matter, title, and whom to name."""
    text = f"---\nlicense: {quoted(spec.license)}\n---\n\n# {one_line(spec.title)}\n"
    return f"{text}\nMade with {one_line(spec.attribution)}.\n" if spec.attribution else text


def listed(files: Mapping[str, str]) -> str:
    """Each file and its SHA-256."""
    rows = "".join(f"| `{n}` | `{h}` |\n" for n, h in sorted(files.items()))
    return f"## Files\n\n{CHECKED}\n\n| file | SHA-256 |\n| --- | --- |\n{rows}"


def _reads(reads: Reads) -> str:
    """How a text is repaired, and what is read of a long one."""
    repairs = [
        "Unicode (mojibake, quotes, control characters; NFC)" if reads.clean["fix_unicode"] else "",
        "HTML entities" if reads.clean["unescape_html"] else "",
        "look-alikes of Latin letters" if reads.clean.get("fold_look_alikes") else "",
        "runs of white space, which become one space",
    ]
    text = (
        "`predict.py` repairs a text as the training texts were repaired: "
        f"{', '.join(filter(None, repairs))}. Scores are of repaired texts.\n"
    )
    if kinds := [kind for kind in redacting.KINDS if reads.clean.get(kind)]:
        listed = ", ".join(f"{kind} ({code(redacting.PLACEHOLDERS[kind])})" for kind in kinds)
        text += f"\nIt reads placeholders in place of personal data: {listed}.\n"
    if reads.max_length is None or reads.long_texts is None:
        return f"{text}\nIt reads the whole text.\n"
    beyond = LONG_TEXTS[reads.long_texts]
    tokens = f"{reads.max_length} tokens, special ones included"
    reader = "encoder" if reads.ngrams else "network"
    text += f"\nThe {reader} reads {tokens}, at once. Of a longer text {beyond}."
    return f"{text}{' N-grams are of the whole text.' if reads.ngrams else ''}\n"


def service(spec: BundleSpec) -> Iterator[str]:
    """The limits of its service, if the spec has them."""
    if spec.serving is not None:
        rows = (
            f"| `{name}` | `{getattr(spec.serving, name)}` |"
            f" {one_line(field.description or '')} |\n"
            for name, field in Serving.model_fields.items()
        )
        yield (
            "## As a service\n\n`lmspec serve PATH` answers over HTTP, within these limits:\n\n"
            f"| limit | value | |\n| --- | ---: | --- |\n{''.join(rows)}"
        )


def _targets(targets: Sequence[Mapping[str, Any]], spec: BundleSpec) -> Iterator[str]:
    """What it runs on, with which graph, and which scores are of that."""
    if not targets:
        return
    rows = ""
    for target in targets:
        scored = ", ".join(
            f"{dataset} {_cell(values['accuracy'])}" for dataset, values in target["scored"].items()
        )
        scores = f"`{target['scores']}`: {scored}" if target["scores"] else "not scored"
        cost = ", ".join(
            f"{name} {value:.4g}"
            for name, value in sorted(target["figures"].items())
            if name in CONTRACT
        )
        rows += f"| `{target['name']}` | {RUNS_ON[_runs_on(target)]} | `{target['of']}` |"
        rows += f" `{target['graph']}` | {cost} | {scores} |\n"
    kinds = {target["kind"] for target in targets}
    notes = [TARGETS_NOTE.format(of=spec.of, scores=spec.scores)]
    notes += [note for kind, note in KIND_NOTES.items() if kind in kinds]
    yield f"## What it runs on\n\n{TARGETS_HEAD}{rows}\n" + "\n".join(notes)


def _runs_on(target: Mapping[str, Any]) -> str:
    return str(target["instructions" if target["kind"] == "cpu" else "kind"])


def _unread(metrics: Mapping[str, Any], reads: Reads) -> str:
    """How much of the test texts was cut, and how many tokens were unknown."""
    lines = []
    read = "read by the encoder" if reads.ngrams else "read"
    for dataset, values in metrics.items():
        if values.get("cut_texts"):
            lines.append(
                f"- {values['cut_texts']} of the {values['examples']} test texts of {dataset} are "
                f"longer: {percent(values['unread_tokens'])} of all their tokens were not {read}"
            )
        if values.get("unknown_tokens"):
            share = percent(values["unknown_tokens"])
            lines.append(f"- {share} of the tokens of {dataset} are not in the vocabulary")
    return "".join(["\n", *(f"{line}\n" for line in lines)]) if lines else ""


def _scores(metrics: Mapping[str, Any]) -> str:
    head = f"| texts | {' | '.join(COLUMNS)} |\n| --- |{' ---: |' * len(COLUMNS)}\n"
    rows = []
    for dataset, values in metrics.items():
        rows.append((dataset, values))
        rows += [(f"{dataset}, {table}", part) for table, part in values.get("table", {}).items()]
    return head + "".join(
        f"| {name} | {' | '.join(_cell(values[c]) for c in COLUMNS)} |\n" for name, values in rows
    )


def abstention(metrics: Mapping[str, Any]) -> Iterator[str]:
    """How often it is unsure, and how right it is otherwise; nothing of a model that never is."""
    rows = [
        (name, values["abstention"]) for name, values in metrics.items() if "abstention" in values
    ]
    if not rows:
        return
    head = "| texts | true label kept | unsure | right if it answers |\n| --- |" + " --- |" * 3
    lines = "".join(
        f"| {name} | {' | '.join(map(interval, found.values()))} |\n" for name, found in rows
    )
    yield (
        "## When it is unsure\n\nWhere not one label alone is probable enough, it answers `unsure`;"
        f" shares of test texts with 95 % intervals:\n\n{head}\n{lines}"
    )


def interval(share: Mapping[str, float | None]) -> str:
    """A share with its interval, as methods/shares.py has them."""
    value, low, high = share.values()
    return "no text" if value is None else f"{value:.3f} ({low:.3f} to {high:.3f})"


def _warnings(scores: Mapping[str, Any]) -> str:
    """How right the most frequent label would be, and what makes the scores worth little."""
    shares = [
        f"{values['majority']['accuracy']:.4f} of those of {dataset}"
        for dataset, values in scores["metrics"].items()
        if "majority" in values
    ]
    lines = [f"Always answering the most frequent label is right on {', '.join(shares)}."]
    lines = lines[: len(shares)] + [f"**{one_line(text)}.**" for text in scores.get("warnings", ())]
    return "".join(f"{line}\n\n" for line in lines)


def data_of(data: Mapping[str, Any], answers: str = "labels") -> str:
    """What each dataset has, and what was left out of it. answers: what its texts have."""
    lines = []
    for dataset, counts in data.items():
        rows = counts["documents"] + sum(counts["rejected"].values())
        listed = ", ".join(f"{count:,} {reason}" for reason, count in counts["rejected"].items())
        line = f"- {dataset}: {counts['documents']:,} of {rows:,} rows"
        line += f"; left out: {listed}." if listed else "."
        if texts := counts["contradictions"]["texts"]:
            line += f" {texts:,} texts had different {answers}."
        lines.append(f"{line}\n")
    return f"## Data\n\n{''.join(lines)}" if lines else ""


def personal_data(seen: Mapping[str, Mapping[str, int]]) -> str:
    """In how many of the texts that the model learned from there is personal data.

    seen  data -> texts, and how many of them have each kind
    """
    lines = []
    for data, counts in seen.items():
        listed = [f"{counts[kind]:,} with {kind}" for kind in redacting.KINDS if counts[kind]]
        lines.append(f"- {data}: of {counts['texts']:,} texts {', '.join(listed) or 'none'}\n")
    if not lines:
        return ""
    kinds = ", ".join(redacting.KINDS)
    return (
        f"## Personal data\n\nThe texts that it learned from, as it read them, were searched for"
        f" {kinds}, by their form (names have none):\n\n{''.join(lines)}"
    )


def privacy(private: Mapping[str, float] | None) -> Iterator[str]:
    """What a private training guarantees, and what it does not."""
    if private:
        yield PRIVACY.format(**private)


def seen_texts(scores: Mapping[str, Any]) -> str:
    """Whether the model has seen test texts; if so, why they count all the same."""
    seen = [
        f"{values['overlap']} of the {values['examples']} test texts of {dataset}"
        for dataset, values in scores["metrics"].items()
        if values["overlap"]
    ]
    if not seen:
        return (
            "The model was not trained, stopped early or calibrated on any of these texts "
            "(exact texts were compared; what its pretrained weights saw is not known).\n"
        )
    reasons = "".join(
        f"- with `{each['of']}`: {one_line(each['reason'])}\n"
        for each in scores["accepted_overlap"]
    )
    warning = f"**The model has seen {' and '.join(seen)}**, so these scores may be too high."
    return f"{warning} Accepted:\n\n{reasons}"


def one_line(text: str) -> str:
    """A text on one line, without the beginning of an HTML tag."""
    return " ".join(text.split()).replace("<", "&lt;")


def code(text: str) -> str:
    """A text as code, on one line, whatever backticks are in it."""
    text = " ".join(text.split())
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " * (len(fence) > 1)
    return f"{fence}{space}{text}{space}{fence}"


def _cell(value: float) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
