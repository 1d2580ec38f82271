"""A bundle in a browser: its page answers without a server, as predict.py does."""

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import browser, browser_repairing, manifest, predict
from lmspec.formats.predict import Classifier
from lmspec.methods import repairing
from lmspec.specs.numerics import Machine
from tests import browser as chromium
from tests import bundles
from tests.browser import Browser
from tests.test_repairing import odd
from tests.test_targets import ANY, TEXTS, built, scored
from tests.visiting import text_of, until

ROOT = Path(__file__).parent.parent
# Where both npm packages may be: built by this project, or
# `npm install --no-save onnxruntime-web@1.30.0 @huggingface/tokenizers@0.2.0`
PLACES = {
    "onnxruntime-web": ("data/sources/onnxruntime-web", "node_modules/onnxruntime-web/dist"),
    "tokenizers-js": ("data/sources/tokenizers-js", "node_modules/@huggingface/tokenizers/dist"),
}
SENTENCES = (
    "I loved every minute of it", "Nicht mein Film, leider: gähnend langweilig",
    "¡Qué película!", "Un très mauvais scénario, hélas", "映画はとても面白かったです。",
    "这部电影太无聊了", "영화가 정말 좋았어요", "Отличный фильм, всем советую",
    "Ο ΗΡΩΑΣ ήταν ΥΠΕΡΟΧΟ\U0001d6ba", "فيلم رائع جدا", "סרט נהדר", "फिल्म अच्छी थी", "หนังดีมาก",
    "Film był świetny; żółć", "Çok kötü İĞÜŞ ığüş", "Phim này rất hay ạ",
    "👍🏽👍🏽 10/10 🍿", "👨‍👩‍👧‍👦 ❤️ 🇩🇪 #1️⃣", "café &amp; cr&egrave;me &#8212; &lt;3",
    "itâ€™s \u201cgreat\u201d", "ＦＵＬＬ ｗｉｄｔｈ ｶﾞ", "ﬁne ﬂow ǆ ŉ",
    "e\u0301 n\u0303 a\u030a", "zero\u200bwidth \u00ad soft \u2060 joined",
    "tab\tline\nbreak\r\n\x85end \x07", "\ud83d lone \udc00 halves",
    "\u202eturned\u202c \ufeff mark", "𝓑𝓸𝓵𝓭 ① ½ ™ № ㎏", "a" * 400, "word " * 700,
    "very " * 90 + "dull", "[CLS] [SEP] <s> </s> <unk> <pad> [MASK]", "...!!!???---",
    "https://a.b/c?d=e&f=g", "x", "Ã©tÃ©",
)  # fmt: skip


def require_quiet(tab: Browser) -> None:
    """Nothing was logged or thrown, and no request went beyond the folder and the page itself."""
    tab.run("1")
    bad, asked = [], set()
    for event in tab.events:
        values = event["params"]
        match event["method"]:
            case "Network.requestWillBeSent":
                asked.add(values["request"]["url"].partition(":")[0])
            case "Log.entryAdded":
                bad.append(values["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                bad.append(json.dumps(values)[:500])
    assert bad == [] and asked <= {"file", "blob", "data"}


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    with chromium.opened() as tab:
        yield tab


@pytest.fixture(scope="module")
def sources() -> dict[str, Path]:
    """The folders of both npm packages."""
    found = {}
    for name, places in PLACES.items():
        wanted = (browser.RUNTIME | browser.TOKENIZERS).values()
        known = [ROOT / place for place in places]
        found[name] = next((p for p in known if any((p / f).is_file() for f in wanted)), None)
        if found[name] is None:
            pytest.skip(f"no {name}: `npm install --no-save onnxruntime-web@1.30.0"
                        " @huggingface/tokenizers@0.2.0`")  # fmt: skip
    return {name: path for name, path in found.items() if path}


# --- the repair of a text ---


@pytest.fixture(scope="module")
def repairer(opened: Browser) -> Browser:
    opened.open("data:,")
    opened.run(browser_repairing.CODE)
    for unescape in (True, False):
        for fix in (True, False):
            tables = browser_repairing.tables({"fix_unicode": fix, "unescape_html": unescape})
            opened.run(f"globalThis.r{fix:d}{unescape:d} = lmspec.repairing({tables})")
    return opened


def in_page(tab: Browser, function: str, texts: Sequence[str]) -> list[str]:
    """What a function of the page gives for each text; halves of surrogate pairs come through."""
    codes = json.dumps(texts)  # ASCII, in which such a half is \\ud83d
    found: list[str] = tab.run(f"{codes}.map({function})")
    return found


@pytest.mark.parametrize("fix", [True, False])
@pytest.mark.parametrize("unescape", [True, False])
def test_a_text_is_repaired_as_by_predict_py(repairer: Browser, fix: bool, unescape: bool) -> None:
    """Odd texts, mojibake in all encodings of ftfy, every entity and every odd number."""
    texts = [*odd(5, 1500), *SENTENCES, *browser.PROBES]
    texts += [f"a{name}b" for name in browser_repairing.chardata.HTML_ENTITIES]
    texts += [f"&#{n};&#x{n:X};" for n in (*browser_repairing.SPECIAL_NUMBERS, 10**18)]
    texts += ["&#59; &#x3b; &#38;amp; &amp;amp;amp;lt; &#xD800; &#; &#x; &#12ab; &bogus; &AMP;"]
    draw = random.Random(6)
    for encoding in browser_repairing.chardata.CHARMAP_ENCODINGS:
        for _ in range(60):
            part = " ".join(draw.sample(SENTENCES[:22], 2))
            texts.append(part.encode("utf-8", "ignore").decode(encoding, "replace"))
    clean = {"fix_unicode": fix, "unescape_html": unescape}
    whole = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
    expected = [repairing.repair(text, **clean) for text in whole]
    assert in_page(repairer, f"r{fix:d}{unescape:d}", texts) == expected
    if fix and unescape:
        assert sum(a != b for a, b in zip(texts, expected, strict=True)) > 3000


def test_a_pattern_of_python_is_one_of_javascript(repairer: Browser) -> None:
    """What differs between them: white space, word characters, the dot, comments."""
    found = browser_repairing.javascript(r" [ a\s] \w . # no ]" + "\n | \\d{2}", verbose=True)
    matches = repairer.run(
        f"['\\x1cé!', ' ß\\u2028', 'a\\ufeffx', 'aa\\n', '١٢']"
        f".map((text) => new RegExp({json.dumps(found)}, 'u').test(text))"
    )
    assert matches == [True, True, False, False, True]


# --- the folder ---


def needs_of(root: Path, graph: Path, sources: dict[str, Path]) -> stage.Needs:
    """A graph, its scores, its metrics and the npm packages."""
    scored(graph, root / "scores", "quantized.a")
    metrics = root / "data/metrics/quantized-a.json"
    metrics.parent.mkdir(parents=True)
    metrics.write_text("{}")
    named = {f"sources.{name}": path for name, path in sources.items()}
    folders = {"quantized.a": graph, "scores.a": root / "scores", **named}
    return stage.Needs(folders, None, Machine(device="cpu"), root)


TARGET = {
    "kind": "browser",
    "of": "quantized.a",
    "runtime": "sources.onnxruntime-web",
    "tokenizers": "sources.tokenizers-js",
}


class Page(NamedTuple):
    """A bundle with a page, and what its predict.py runs."""

    folder: Path
    classifier: Classifier


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, sources: dict[str, Path]) -> Page:
    """Of a tiny model with byte-pair encoding, which reads long texts in windows."""
    root = tmp_path_factory.mktemp("page")
    (root / "graph").mkdir()
    graph = bundles.make(root / "graph", int8=True)
    out = built(needs_of(root, graph, sources), root / "release", TARGET, title="Good or bad")
    return Page(out, Classifier(out))


@pytest.fixture
def tab(opened: Browser, page: Page) -> Iterator[Browser]:
    """The page, opened as a file; afterwards it has logged nothing, and asked no one."""
    opened.open(page.folder / "browser/index.html")
    until(opened, "document.querySelector('button').disabled === false")
    yield opened
    require_quiet(opened)


def answers(tab: Browser, texts: Sequence[str]) -> list[dict[str, float]]:
    """Of the page's classifier."""
    script = f"""lmspec.open().then(async (classifier) => {{
      const found = [];
      for (const text of {json.dumps(texts)}) found.push(await classifier.predict(text));
      return found;
    }})"""
    return [dict(answer) for answer in tab.run(script)]


def furthest(tab: Browser, classifier: Classifier, texts: Sequence[str]) -> float:
    """The largest difference of a probability; every label is the same one."""
    expected = classifier.predict_many(texts)
    found = answers(tab, texts)
    assert [next(iter(each), None) for each in found] == [
        next(iter(each), None) for each in expected
    ]
    return max(
        abs(probability - own[label])
        for own, each in zip(expected, found, strict=True)
        for label, probability in each.items()
    )


def test_the_page_answers_as_predict_py_does(tab: Browser, page: Page) -> None:
    """From a file, without a server: odd texts, other languages, windows of long texts."""
    texts = [*SENTENCES, *browser.PROBES, *TEXTS[:20], " \t ", ""]
    assert furthest(tab, page.classifier, texts) < 1e-4
    ids = tab.run(f"lmspec.open().then((c) => {json.dumps(TEXTS[:9])}.map((t) => c.windows(t)))")
    read = [page.classifier.reader.read([text]).ids for text in TEXTS[:9]]
    assert ids == [[window.tolist() for window in windows] for windows in read]


def test_a_person_asks_it(tab: Browser, page: Page) -> None:
    """Label and probabilities; nothing to read, and a text that is too long, have no answer."""
    assert text_of(tab, "h1") == "Good or bad" and tab.run("document.title") == "Good or bad"
    about = text_of(tab, "#about")
    assert "quantized.a" in about and "20 texts got the answers of predict.py" in about
    answer = page.classifier.predict(TEXTS[0])
    submit(tab, TEXTS[0])
    rows = tab.run(
        "[...document.querySelectorAll('tbody tr')].map((r) => r.innerText.split('\\t'))"
    )
    assert rows == [[label, f"{100 * p:.2f} %"] for label, p in answer.items()]
    assert text_of(tab, "caption") == next(iter(answer))
    submit(tab, " \n ")
    assert "nothing to read" in text_of(tab, "#status")
    submit(tab, "x" * 40_000)
    assert "40000 bytes, and may have 32768" in text_of(tab, "#status")


def submit(tab: Browser, text: str) -> None:
    tab.run(f"document.getElementById('text').value = {json.dumps(text)};"
            "document.getElementById('ask').requestSubmit()")  # fmt: skip
    until(tab, "document.getElementById('status').textContent !== 'Computing...'")


def test_the_manifest_has_the_page(page: Page) -> None:
    """And the card says how it is opened; predict.py answers without a target."""
    about = manifest.checked(page.folder, predict.DATA)
    files = {path.name for path in (page.folder / "browser").iterdir()}
    assert {f"browser/{name}" for name in files} < {*about.files}
    assert {"index.html", "model.js", "runtime.js", "LICENSE.tokenizers-js.txt"} - files <= {
        "LICENSE.tokenizers-js.txt"
    }
    assert "browser/index.html" in (page.folder / "README.md").read_text()
    assert page.classifier.target is None
    assert "sources.onnxruntime-web" in about.made_from


def test_the_page_asks_no_one(tab: Browser) -> None:
    """Its policy lets no request out, not even one that its own scripts would send."""
    script = "fetch('http://127.0.0.1:9/').then(() => 'sent', (error) => error.name)"
    policy = "new Promise((done) => addEventListener('securitypolicyviolation',"
    violated = f"{policy} (event) => done(event.effectiveDirective)))"
    assert tab.run(f"Promise.all([{violated}, {script}])") == ["connect-src", "TypeError"]
    tab.events.clear()


FAULTS = {
    "probabilities": ("about.json", lambda text: text.replace('["bad", "good"', '["good", "bad"')),
    "tokens": ("about.json", lambda text: text.replace('"max_length": 16', '"max_length": 15')),
    "characters": (
        "repairing.json",
        lambda text: text.replace('"&eacute;": "\\u00e9"', '"&e;": ""'),
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_page_that_would_answer_otherwise_does_not_answer(
    opened: Browser, page: Page, tmp_path: Path, what: str
) -> None:
    """It holds itself against answers of predict.py first: each kind of difference is seen."""
    import base64
    import re

    copy = shutil.copytree(page.folder / "browser", tmp_path / "browser")
    name, damage = FAULTS[what]
    script = (copy / "model.js").read_text()
    found = re.search(rf'"{re.escape(name)}"\] = "([^"]*)"', script)
    assert found
    text = base64.b64decode(found[1]).decode()
    assert damage(text) != text
    damaged = base64.b64encode(damage(text).encode()).decode()
    (copy / "model.js").write_text(script.replace(found[1], damaged))
    opened.open(copy / "index.html")
    until(opened, "/does not answer/.test(document.getElementById('status').textContent)")
    assert re.search(f"other {what}|{what} are 0", text_of(opened, "#status"))
    assert opened.run("document.querySelector('button').disabled")


# --- tokenizers ---


def word_pieces(folder: Path) -> None:
    """The tokenizer of a BERT that folds case and accents, with pieces of the sentences."""
    words = sorted({piece for text in (*SENTENCES, *TEXTS) for piece in text.lower().split()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces += sorted({c for word in words for c in word if not 0xD800 <= ord(c) < 0xE000})
    pieces += [f"##{piece}" for piece in pieces[5:]]
    pieces += [word for word in words if word.isascii() and word.isalpha() and len(word) > 1]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # type: ignore[arg-type]
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(pieces[:5])
    made.enable_truncation(24)
    made.save(str(folder / "tokenizer.json"))
    rows = len(vocabulary)
    graph = bundles.drawn(rows)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())


@pytest.mark.parametrize("long_texts", ["truncate", "head_tail"])
def test_word_pieces_are_those_of_tokenizers(
    opened: Browser, sources: dict[str, Path], tmp_path: Path, long_texts: str
) -> None:
    """Of a BERT, as pretrained encoders have it: every script, with and without accents."""
    (tmp_path / "graph").mkdir()
    graph = bundles.make(tmp_path / "graph")
    word_pieces(graph)
    about = json.loads((graph / "lmspec.json").read_text())
    (graph / "lmspec.json").write_text(json.dumps(about | {"long_texts": long_texts}))
    out = built(needs_of(tmp_path, graph, sources), tmp_path / "release", TARGET, ANY)
    classifier = Classifier(out)
    opened.open(out / "browser/index.html")
    until(opened, "document.querySelector('button').disabled === false")
    texts = [classifier.clean(text) for text in (*SENTENCES, *browser.PROBES, *odd(7, 300))]
    texts = [text for text in texts if text]
    ids = opened.run(f"lmspec.open().then((c) => {json.dumps(texts)}.map((t) => c.windows(t)))")
    expected = [[w.tolist() for w in classifier.reader.read([text]).ids] for text in texts]
    assert ids == expected
    assert furthest(opened, classifier, SENTENCES) < 1e-5
    require_quiet(opened)


def test_a_browser_is_unsure_as_predict_py_is(
    opened: Browser, sources: dict[str, Path], tmp_path: Path
) -> None:
    """Of the same texts; the page shows it in place of the label."""
    (tmp_path / "graph").mkdir()
    graph = bundles.make(tmp_path / "graph")
    about = json.loads((graph / "lmspec.json").read_text())
    about["thresholds"] = dict.fromkeys(about["labels"], 0.3)
    (graph / "lmspec.json").write_text(json.dumps(about))
    out = built(needs_of(tmp_path, graph, sources), tmp_path / "release", TARGET, ANY)
    classifier = Classifier(out)
    opened.open(out / "browser/index.html")
    until(opened, "document.querySelector('button').disabled === false")
    expected = [classifier.label(answer) for answer in classifier.predict_many([*SENTENCES, ""])]
    script = f"""lmspec.open().then(async (classifier) => {{
      const found = [];
      for (const text of {json.dumps([*SENTENCES, ""])})
        found.push(classifier.label(await classifier.predict(text)));
      return found;
    }})"""
    assert opened.run(script) == expected
    assert 2 < expected.count("unsure") < len(expected) - 5
    text = SENTENCES[expected.index("unsure")]
    opened.run(f"document.getElementById('text').value = {json.dumps(text)}")
    opened.run("document.querySelector('button').click()")
    until(opened, "document.querySelector('caption').textContent === 'unsure'")
    require_quiet(opened)


def test_what_a_browser_cannot_read_is_refused(sources: dict[str, Path], tmp_path: Path) -> None:
    """Files that a source lacks, with what it has."""
    (tmp_path / "graph").mkdir()
    graph = bundles.make(tmp_path / "graph")
    described = browser.Described("t", "quantized.a", 100)
    lacking = {"runtime": sources["tokenizers-js"]}
    with pytest.raises(LmspecError, match=r"runtime have no file ort\.wasm\.bundle\.min\.mjs"):
        browser.write(tmp_path / "out", graph, lacking, described)
    assert not (tmp_path / "out").exists()


def test_n_grams_are_refused(tmp_path: Path) -> None:
    """Their tokenizer is no one of the package."""
    from lmspec.methods.ngrams import NgramTokenizer

    (tmp_path / "graph").mkdir()
    graph = bundles.make(tmp_path / "graph")
    NgramTokenizer(("good",), ("g",), (1, 1), (1, 1)).save(str(graph / "tokenizer.json"))
    with pytest.raises(LmspecError, match="n-grams, which no browser reads"):
        browser.write(tmp_path / "out", graph, {}, browser.Described("t", "quantized.a", 100))
