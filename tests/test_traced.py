"""Tracing: exact at its ends, as a reference has it in between, the same bytes every time."""

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, contrasts, documents, traces, writer
from lmspec.formats.checkpoint import Checkpoint
from lmspec.formats.writer import WriterModel
from lmspec.language import metric_names
from lmspec.methods import erasing, interchange, observing, probing, weighing
from lmspec.methods.interchange import Asked, Interchange
from lmspec.methods.layered import EMBEDDINGS, Layered
from lmspec.specs.contrasts import POSITIONS, pairs
from lmspec.specs.numerics import Machine
from lmspec.specs.traced import TracedSpec
from stages import traced, traced_classifier, traced_writer
from tests import explaining, miniature, tinywriter
from tests.test_training import NUMERICS

PAIRS = """\
source: written for this test
license: CC0-1.0
words: {thing: [film, a]}
contrasts:
  quality:
    templates: ['The {thing} was {swap} !', '{swap} {thing} not fun .']
    swap: [[good, bad], [fun, dull], [b, c]]
    answers: [good, bad]
  turned:
    templates: ['The {thing} was {swap} !', '{swap} {thing} not fun .']
    swap: [[good, bad], [fun, dull], [b, c]]
    answers: [bad, good]
"""
SPEC: Mapping[str, Any] = {
    "of": "model.a",
    "answers": "labels",
    "pairs": "pairs.yaml",
    "least_difference": 0.01,
    "layers": [0, 1],
    "on": "splits.a",
    "texts": 60,
    "concepts": [],
    "against": None,
    "batch_size": 7,
}
SOURCE = {"kind": "table", "name": "source", "tables": ["movies", "products"]}
TERMS = {"kind": "terms", "name": "gender", "cases": "cases.yaml", "suite": "gender"}
CASES = """\
source: written for this test
license: CC0-1.0
suites:
  gender:
    kind: groups
    templates: ['the {term} film', 'a {term} !', '{term} was fun', 'not {term}']
    words: {term: [a, b, c]}
    vary: term
    label: good
"""


def encoder() -> Checkpoint:
    """A BERT of two layers whose answers a word decides."""
    made = explaining.encoder()
    with torch.no_grad():
        for layer in made.model.bert.encoder.layer:
            layer.attention.output.dense.weight.mul_(8.0)
        made.model.classifier.weight.mul_(20.0)
    return made


def texts_of(folder: Path) -> Path:
    """Splits whose tables have words of their own, as their labels have."""
    rows = []
    for i in range(120):
        table, label = i % 2, (i // 2) % 2
        words = ["the", ("film", "a")[table], ("b", "c")[table], "was", ("dull", "fun")[label]]
        rows.append((" ".join([*words, "abcdefgh"[i % 8], "." * (1 + i % 3)]), label))
    made = explaining.splits(rows, folder)
    frame = documents.read(made / "test.parquet")
    documents.write(frame[:60], made / "train.parquet")
    documents.write(frame[60:], made / "test.parquet")
    return made


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("traced")
    return {
        "model.a": explaining.written(encoder(), folder / "model"),
        "splits.a": texts_of(folder / "splits"),
    }


def build(
    out: Path, folders: Mapping[str, Path], given: str = PAIRS, **changes: Any
) -> tuple[stage.Report, TracedSpec]:
    """What the stage reports of a spec with some fields changed."""
    spec = TracedSpec.model_validate({**SPEC, **changes})
    out.mkdir(parents=True)
    root = out.parent
    (root / "pairs.yaml").write_text(given)
    (root / "cases.yaml").write_text(CASES)
    needs = stage.Needs(folders, NUMERICS, Machine(device="cpu"), root)
    return traced.build(spec, needs, out), spec


def restored(report: stage.Report) -> dict[tuple[str, str], float]:
    return {(row["layer"], row["position"]): row["mean"] for row in report.tables["restored"]}


def test_the_ends_are_one_and_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    """By construction: the whole text restores the answer, nothing restores nothing, the embedding
    of the word is all that differs, and the head reads the first token of the top layer alone."""
    report, _ = build(tmp_path / "out", folders)
    assert report.metrics["ends"] == {"none": 0.0, "whole": 1.0}
    shares = restored(report)
    assert len(shares) == 3 * len(POSITIONS)
    for position in POSITIONS:
        assert shares["embeddings", position] == float(position == "word")
        assert shares["layer_1", position] == float(position == "first")
    assert abs(shares["layer_0", "word"]) > 0.0
    rows = traces.read(tmp_path / "out").rows(named=True)
    assert len(rows) == report.metrics["pairs"] == len(report.tables["pairs"])
    for row in rows:
        assert np.array(row["restored"]).shape == (3, len(row["tokens"]))
        assert row["log_odds"][0] > row["log_odds"][1]


def opened(folders: Mapping[str, Path], root: Path, **changes: Any) -> Any:
    spec = TracedSpec.model_validate({**SPEC, **changes})
    (root / "pairs.yaml").write_text(PAIRS)
    needs = stage.Needs(folders, NUMERICS, Machine(device="cpu"), root)
    given = contrasts.read(root, "pairs.yaml")
    return traced_classifier.opened(spec, needs, given), list(pairs(given))


@pytest.mark.parametrize("position", ["first", "word", "after"])
def test_a_state_is_exchanged_as_by_hand(
    folders: dict[str, Path], tmp_path: Path, position: str
) -> None:
    """Beside a hook that writes into the output of a layer, in a network that computes all."""
    model, every = opened(folders, tmp_path)
    one, other = (model.asked(text, every[0]) for text in (every[0].one, every[0].other))
    at = interchange.positions(one, other)
    (share,) = Interchange(model.network, one, other, 4).restored(0, [at[position]])
    network = encoder().model
    layer = network.bert.encoder.layer[0]
    given = [torch.from_numpy(asked.sequences[0])[None] for asked in (one, other)]
    with torch.no_grad():
        states = network(input_ids=given[0], output_hidden_states=True).hidden_states[1]
        plain = [network(input_ids=ids).logits[0] for ids in given]

        def write(module: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
            output = output.clone()
            output[:, at[position]] = states[:, at[position]]
            return output

        handle = layer.register_forward_hook(write)
        patched = network(input_ids=given[1]).logits[0]
        handle.remove()
    odds = [float(logits[1] - logits[0]) for logits in (*plain, patched)]
    assert share == pytest.approx((odds[2] - odds[1]) / (odds[0] - odds[1]), abs=1e-4)


def test_positions_are_each_of_one_kind(folders: dict[str, Path], tmp_path: Path) -> None:
    """Pieces of the word together; a word at an end is the word."""
    model, every = opened(folders, tmp_path)
    for pair in every:
        one, other = (model.asked(text, pair) for text in (pair.one, pair.other))
        if one.length != other.length:
            continue
        at = interchange.positions(one, other)
        assert list(at) == list(POSITIONS)
        every_place = np.concatenate(list(at.values()))
        assert sorted(every_place) == list(range(one.length))
    bare = [Asked((np.array(ids),), len(ids), lambda found: found[0]) for ids in ([5, 6], [7, 6])]
    at = interchange.positions(*bare)
    assert {name: places.tolist() for name, places in at.items()} == {
        "first": [],
        "before": [],
        "word": [0],
        "after": [],
        "last": [1],
    }


def test_states_in_the_wrong_place_are_found(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ends are asserted in each build: were they a position off, it fails."""
    onward = Layered.onward
    monkeypatch.setattr(
        Layered,
        "onward",
        lambda self, layer, states, *given: onward(self, layer, states.roll(1, 1), *given),
    )
    with pytest.raises(LmspecError, match=r"nothing restores .* of the answer, not 0"):
        build(tmp_path / "out", folders)


def test_pairs_that_cannot_be_exchanged_are_counted(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Texts of different lengths, and those that the model does not tell apart; not all of them."""
    report, _ = build(tmp_path / "out", folders)
    metrics = report.metrics
    assert metrics["pairs"] + metrics["pairs_left_out"] == 24
    assert metrics["pairs"] >= 6
    with pytest.raises(LmspecError, match=r"no pair is left: .*differ by"):
        build(tmp_path / "none", folders, least_difference=900)


def test_what_is_declared_is_written(folders: dict[str, Path], tmp_path: Path) -> None:
    """Every metric, every table; no text is in a table that git keeps."""
    more = {**folders, "model.b": folders["model.a"]}
    report, spec = build(
        tmp_path / "out", more, concepts=[SOURCE, TERMS], against="model.b", layers=[1]
    )
    known = {"{depth}": "layer_1", "{layer}": "layer_1", "{position}": "word"}
    for metric in spec.metrics:
        value: Any = report.metrics
        for step in metric.steps:
            value = value[known.get(step, "source" if step == "{concept}" else step)]
        assert isinstance(value, int | float), metric.path
    assert sorted(report.tables) == sorted(table.name for table in spec.written())
    assert spec.written() == spec.reports
    texts = set(traces.read(tmp_path / "out")["one"])
    for rows in report.tables.values():
        assert rows
        assert not [row for row in rows if texts & {str(value) for value in row.values()}]


def test_bytes_repeat(folders: dict[str, Path], tmp_path: Path) -> None:
    """Of all that is written."""
    reports = [
        build(tmp_path / str(i) / "out", folders, concepts=[SOURCE, TERMS])[0] for i in (1, 2)
    ]
    assert reports[0] == reports[1]
    files = [(tmp_path / str(i) / "out" / traces.FILE).read_bytes() for i in (1, 2)]
    assert files[0] == files[1]


def test_a_concept_is_found_and_erased(folders: dict[str, Path], tmp_path: Path) -> None:
    """Each table has words of its own: a probe finds them in every layer, and nothing is left to
    it where they are erased, of train and of test texts."""
    report, _ = build(tmp_path / "out", folders, concepts=[SOURCE])
    rows = report.tables["concepts"]
    assert [row["layer"] for row in rows] == ["layer_0", "layer_1"]
    for row in rows:
        assert row["texts"] == 60 and row["majority"] == 0.5
        assert row["probe"] > 0.9
        assert row["erased"] == row["majority"]
        assert row["lost"] == pytest.approx(row["accuracy"] - row["accuracy_without"], abs=1e-3)
        assert row["lost_low"] <= row["lost"] <= row["lost_high"]


def related(seed: int, count: int, width: int, classes: int) -> tuple[Any, Any]:
    """Vectors that a class moves, of correlated entries; some of them constant."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, classes, count)
    vectors = draws.normal(size=(count, width)) @ draws.normal(size=(width, width))
    vectors += draws.normal(size=(classes, width))[labels] * 2
    vectors[:, -1] = 3.0
    return vectors, labels


@pytest.mark.parametrize("classes", [2, 4])
def test_erased_vectors_have_equal_means(classes: int) -> None:
    """Of all classes, so no linear reader finds one; nothing else moves, and twice is once."""
    vectors, labels = related(1, 300, 12, classes)
    eraser = erasing.fitted(vectors, labels)
    clean = eraser(vectors)
    means = np.stack([clean[labels == label].mean(0) for label in range(classes)])
    assert np.abs(means - means[0]).max() < 1e-8
    assert np.abs(np.stack([vectors[labels == i].mean(0) for i in (0, 1)])).max() > 0.1
    assert eraser.left.shape[1] == classes - 1
    assert eraser(clean) == pytest.approx(clean)
    majority = np.bincount(labels).argmax()
    assert set(probing.predicted(clean, labels, clean)) == {majority}
    assert (probing.predicted(vectors, labels, vectors) == labels).mean() > 0.8


def test_the_least_is_erased() -> None:
    """In the norm of the vectors' own covariance: less than by a projection that is orthogonal."""
    vectors, labels = related(2, 400, 8, 2)
    vectors = vectors[:, :-1]
    moved = erasing.fitted(vectors, labels)(vectors) - vectors
    direction = vectors[labels == 1].mean(0) - vectors[labels == 0].mean(0)
    direction /= np.linalg.norm(direction)
    projected = -((vectors - vectors.mean(0)) @ direction)[:, None] * direction
    inverse = np.linalg.inv(np.cov(vectors.T))
    change, other = (float((d @ inverse * d).sum()) for d in (moved, projected))
    assert change < 0.9 * other
    assert (moved**2).sum() < (projected**2).sum()


def test_erasure_is_that_of_its_authors() -> None:
    """Beside concept-erasure, of many vectors and of fewer than they have entries."""
    peer = pytest.importorskip("concept_erasure", reason="pip install -e '.[peers]'")
    for count, width in ((500, 10), (30, 50)):
        vectors, labels = related(3, count, width, 3)
        vectors = vectors[:, :-1]
        given = torch.from_numpy(vectors), torch.from_numpy(np.eye(3)[labels])
        fitter = peer.LeaceFitter(width - 1, 3, dtype=torch.float64, svd_tol=1e-6)
        fitter.update(*given)
        expected = fitter.eraser(given[0]).numpy()
        assert erasing.fitted(vectors, labels)(vectors) == pytest.approx(expected, abs=1e-5)


def test_weights_are_compared_layer_by_layer(folders: dict[str, Path]) -> None:
    """Only the layer that changed has; what is pruned is counted; another shape is refused."""
    network = checkpoint.read(folders["model.a"]).model
    other = copy.deepcopy(network)
    with torch.no_grad():
        weight = network.bert.encoder.layer[1].output.dense.weight
        weight[:, :5] = 0.0
    found = {part.part: part for part in weighing.weighed(network, other)}
    assert list(found) == ["embeddings", "layer_0", "layer_1", "head"]
    assert [name for name, part in found.items() if part.changed] == ["layer_1"]
    zeros = {name: part.zero for name, part in found.items()}
    before = {part.part: part.zero for part in weighing.weighed(other)}
    assert zeros["layer_1"] - before["layer_1"] == weight[:, :5].numel()
    assert sum(part.weights for part in found.values()) == sum(
        p.numel() for p in network.parameters()
    )
    own, former = (network.bert.encoder.layer[1].state_dict(), other.bert.encoder.layer[1])
    before_it = {name: weight.detach() for name, weight in former.named_parameters()}
    moved = sum(float(((own[name] - weight) ** 2).sum()) for name, weight in before_it.items())
    size = sum(float((weight**2).sum()) for weight in before_it.values())
    assert found["layer_1"].changed == pytest.approx((moved / size) ** 0.5, rel=1e-5)
    del other.bert.encoder.layer[1]
    with pytest.raises(LmspecError, match=r"it has no weights bert\.encoder\.layer\.1"):
        list(weighing.weighed(network, other))


def test_units_that_stay_at_nothing_are_dead(folders: dict[str, Path]) -> None:
    """As planted, whatever pads a batch; states are those of transformers."""
    model = checkpoint.read(folders["model.a"])
    with torch.no_grad():
        dense = model.model.bert.encoder.layer[0].intermediate.dense
        dense.weight[:3], dense.bias[:3] = 0.0, -30.0
    ids = model.reader.read(["the film was fun", "a", "not good ! ! !"]).ids
    seen = observing.observed(Layered(model.model), ids, model.pad_id, 2)
    peaks = seen.peaks[0]
    assert peaks is not None and seen.peaks[1] is not None
    assert np.flatnonzero(peaks <= observing.IDLE).tolist() == [0, 1, 2]
    with torch.no_grad():
        states = model.model(torch.from_numpy(ids[0])[None], output_hidden_states=True)
    assert seen.means[1, 0] == pytest.approx(states.hidden_states[1][0].mean(0).numpy(), abs=1e-5)
    alone = observing.observed(Layered(model.model), ids, model.pad_id, 1)
    assert alone.norms == pytest.approx(seen.norms, rel=1e-5)


@pytest.fixture(scope="module")
def writes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A Llama of two layers with random weights, and conversations."""
    from transformers import LlamaForCausalLM

    folder = tmp_path_factory.mktemp("writes")
    source = tinywriter.write_weights(folder / "source")
    words = tinywriter.tokenizer()
    model = WriterModel(
        LlamaForCausalLM.from_pretrained(source),
        words,
        words.token_to_id(tinywriter.END),
        tinywriter.PAIR,
        tinywriter.MOST,
        "leave_out",
        {"fix_unicode": False, "unescape_html": False},
    )
    (folder / "model").mkdir()
    writer.write(model, folder / "model")
    tinywriter.write_split(tinywriter.pairs()[:20], folder / "splits", "test")
    return {"model.a": folder / "model", "splits.a": folder / "splits"}


PROMPTS = """\
source: written for this test
license: CC0-1.0
contrasts:
  who:
    templates: ['say {swap} 2 times, 3', 'print {swap}']
    swap: [[anna, hanna], [ben, emil]]
    answers: [anna anna, emil]
  turned:
    templates: ['say {swap} 2 times, 3', 'print {swap}']
    swap: [[anna, hanna], [ben, emil]]
    answers: [emil, anna anna]
"""


def test_a_model_that_writes_is_traced(writes: dict[str, Path], tmp_path: Path) -> None:
    """By the likelihood of two answers of several tokens; its ends are the same. What comes before
    the word differs in nothing, and what a causal model has read there is the same."""
    report, spec = build(
        tmp_path / "out", writes, PROMPTS, answers="answers", least_difference=0.001, batch_size=5
    )
    assert report.metrics["ends"] == {"none": 0.0, "whole": 1.0}
    shares = restored(report)
    for layer in ("embeddings", "layer_0", "layer_1"):
        assert shares[layer, "first"] == shares[layer, "before"] == 0.0
    assert shares["layer_1", "last"] == 1.0
    assert shares["layer_1", "word"] == 0.0
    assert report.metrics["units"]["dead"] == 0.0
    parts = [row["part"] for row in report.tables["weights"]]
    assert parts == ["embeddings", "layer_0", "layer_1", "head"]
    assert sorted(report.tables) == sorted(table.name for table in spec.written())


def test_log_odds_are_of_whole_answers(writes: dict[str, Path], tmp_path: Path) -> None:
    """The difference of their log probabilities, token by token, without their ends."""
    (tmp_path / "pairs.yaml").write_text(PROMPTS)
    (pair, *_) = pairs(contrasts.read(tmp_path, "pairs.yaml"))
    model = writer.read(writes["model.a"])
    asked = traced_writer.asked(pair.one, pair, model.writer)
    network = Layered(model.model)
    found = asked.log_odds([network.logits(ids[None]) for ids in asked.sequences])
    expected = []
    for answer in pair.answers:
        ids, _ = model.writer.example([("user", pair.one), ("assistant", answer)])  # type: ignore[misc]
        start = len(model.writer.prompt_ids([("user", pair.one)]))
        with torch.no_grad():
            logits = model.model(torch.from_numpy(ids)[None]).logits[0].double()
        nats = torch.log_softmax(logits, -1)
        places = range(start, len(ids) - 1)
        expected.append(sum(float(nats[place - 1, ids[place]]) for place in places))
    assert max(map(len, asked.sequences)) > asked.length  # some of an answer is read
    assert float(found[0]) == pytest.approx(expected[0] - expected[1], abs=1e-4)


def test_units_of_fewer_texts_are_watched_where_some_are_too_long(
    writes: dict[str, Path], tmp_path: Path
) -> None:
    """What was left out of training is not read; that nothing is left is an error."""
    long = [[("user", "say " + "anna " * 60), ("assistant", "ben")]]
    tinywriter.write_split(long, tmp_path / "splits", "test")
    folders = {**writes, "splits.a": tmp_path / "splits"}
    with pytest.raises(LmspecError, match="none of its test texts"):
        build(tmp_path / "out", folders, PROMPTS, answers="answers", least_difference=0.001)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a layer that is not there": ({"layers": [0, 2]}, "model.a has no layer 2"),
    "a cnn": ({"of": "model.cnn"}, "model.cnn is of kind cnn"),
    "a file that is not there": ({"pairs": "gone.yaml"}, "there is no such file"),
    "one table": (
        {"concepts": [{**SOURCE, "tables": ["movies", "elsewhere"]}]},
        "fewer than two of its tables",
    ),
    "a suite that is not there": ({"concepts": [{**TERMS, "suite": "age"}]}, "no suite age"),
    "answers of a classifier": ({"answers": "answers"}, "which writes no token after another"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_traced_is_refused(
    folders: dict[str, Path], tmp_path: Path, what: str
) -> None:
    """With one message that says what to do."""
    changes, found = REFUSED[what]
    cnn = explaining.drawn([("a film", 0), ("a plot", 1)])[0]
    given = {**folders, "model.cnn": explaining.written(cnn, tmp_path / "cnn")}
    with pytest.raises(LmspecError, match=found):
        build(tmp_path / "out", given, **changes)


def test_labels_that_the_model_lacks_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    """With their place in the file."""
    with pytest.raises(LmspecError, match=r"the model has no label 'worse'") as caught:
        build(tmp_path / "out", folders, PAIRS.replace("[good, bad]\n  t", "[good, worse]\n  t"))
    assert caught.value.place == "pairs.yaml:6:5"


BROKEN = {
    "{swap} {thing} not fun .": ("{thing} not fun .", "has not one slot {swap}"),
    "license: CC0-1.0\n": ("", "it has no license"),
    "[fun, dull]": ("[fun, fun]", "must differ, and both are 'fun'"),
    "answers: [good, bad]": ("answers: [good]", "answers must be two texts"),
    "{thing: [film, a]}": ("{other: [film, a]}", "a slot {thing}, of which there are no words"),
    "  turned:": ("  2turned:", "a contrast cannot be called '2turned'"),
    "swap: [[good, bad]": ("swap: [good, [a, b]", "each pair of words must be two texts"),
}


@pytest.mark.parametrize("old", BROKEN)
def test_a_mistake_in_a_file_of_pairs_has_its_line(tmp_path: Path, old: str) -> None:
    """And what is wrong there, whatever part of the file it is in."""
    new, found = BROKEN[old]
    assert old in PAIRS
    (tmp_path / "pairs.yaml").write_text(PAIRS.replace(old, new, 1))
    with pytest.raises(LmspecError) as caught:
        contrasts.read(tmp_path, "pairs.yaml")
    assert found in caught.value.found
    assert caught.value.place.startswith("pairs.yaml:")


def test_too_many_pairs_are_refused(tmp_path: Path) -> None:
    """A file that stands for more than can be traced."""
    many = ", ".join(f"w{i}" for i in range(400))
    (tmp_path / "pairs.yaml").write_text(PAIRS.replace("[film, a]", f"[{many}]"))
    with pytest.raises(LmspecError, match="they make 4,800 pairs"):
        contrasts.read(tmp_path, "pairs.yaml")


MINIATURE = """\
traced:
  bert:
    of: model.bert
    answers: labels
    pairs: pairs.yaml
    least_difference: 0.01
    layers: [0, 1, 2]
    on: splits.old
    texts: 20
    concepts: []
    against: null
    batch_size: 16
  first:
    of: updated.first
    answers: labels
    pairs: pairs.yaml
    least_difference: 0.01
    layers: [0, 1]
    on: splits.old
    texts: 20
    concepts: []
    against: student.small
    batch_size: 16

gates:
  ends: {kind: floor, metric: traced.bert.ends.whole, at_least: 0.99}
  read: {kind: floor, metric: traced.bert.restored.layer_2.first, at_least: 0.99}
"""


@pytest.mark.slow
def test_a_project_traces_what_it_built(built: Path, tmp_path: Path) -> None:
    """In the sandbox, with what dvc.yaml declares; an edit of the pairs reruns it alone; gates
    hold it, a rebuild repeats its bytes."""
    project = Path(shutil.copytree(built, tmp_path / "project", symlinks=True))
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("gates:\n", MINIATURE, 1))
    (project / "pairs.yaml").write_text(
        "source: test\nlicense: CC0-1.0\ncontrasts:\n"
        "  a: {templates: ['it was {swap}'], swap: [[wonderful, dreadful]], answers: [good, bad]}\n"
        "  b: {templates: ['it was {swap}'], swap: [[wonderful, dreadful]], answers: [bad, good]}\n"
    )
    miniature.lmspec(project, "sync")
    output = miniature.dvc(project, "repro", "traced-bert", "traced-first")
    assert sorted(miniature.ran(output)) == ["traced-bert", "traced-first"], output
    assert "ends" in miniature.lmspec(project, "gate", "HEAD", code=1)
    shown = miniature.lmspec(project, "show", "traced.bert")
    assert "where it decides: 1 pairs" in shown
    page = tmp_path / "page.html"
    miniature.lmspec(project, "show", "traced.first", "--html", str(page))
    assert "changed against student.small" in page.read_text()
    before = miniature.fingerprints(project)
    miniature.dvc(project, "repro", "--force", "--single-item", "traced-bert")
    assert miniature.fingerprints(project) == before
    with (project / "pairs.yaml").open("a") as file:
        file.write("# another line\n")
    output = miniature.dvc(project, "repro")
    assert sorted(miniature.ran(output)) == ["traced-bert", "traced-first"], output


def test_what_is_traced_names_its_metrics_before_it_is_built(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Those of the layers and concepts of its spec, so that gates can name them."""
    from lmspec.language import examples
    from lmspec.specs.names import ArtifactName

    values = examples.load().values["traced"]["encoder"]
    found = set()
    for metric in TracedSpec.metrics:
        for path in metric_names._expanded(
            _OneSpec(values),  # type: ignore[arg-type]
            ArtifactName.parse("traced.encoder"),
            metric.steps,
        ):
            found.add(".".join(path))
    assert {"restored.embeddings.word", "restored.layer_5.last"} <= found
    assert "concept.source.layer_0.lost.low" in found
    assert "concept.source.embeddings.probe" not in found


class _OneSpec:
    """Specs, of which one is asked for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __getitem__(self, name: object) -> Mapping[str, Any]:
        return self.values


def test_a_network_goes_on_from_its_own_states(bert: Checkpoint) -> None:
    """As it would have, from any layer, padded or not, with the layers below left out."""
    network = Layered(bert.model)
    ids = np.array([[2, 5, 6, 7, 3, 0, 0], [2, 5, 9, 8, 7, 6, 3]])
    mask = np.array([[1] * 5 + [0] * 2, [1] * 7])
    logits, states = network.states(ids, mask)
    assert len(states) == 3
    for layer in (EMBEDDINGS, 0, 1):
        again = network.onward(layer, states[layer + 1], ids, mask)
        assert torch.equal(again, logits)
    other = network.onward(0, states[0], ids, mask)
    assert not torch.allclose(other, logits)
    assert torch.equal(network.logits(ids, mask), logits)  # nothing is left behind


@pytest.fixture(scope="module")
def bert(folders: dict[str, Path]) -> Checkpoint:
    return checkpoint.read(folders["model.a"])
