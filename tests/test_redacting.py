"""Personal data is found by its form, and nothing that only resembles it; look-alikes are folded
in Latin text, and other languages stay as they are."""

import json
import random
import string
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmspec.formats import documents, manifest, predict
from lmspec.methods import cleaning, folding, redacting, repairing
from lmspec.specs.corpus import PERSONAL, Clean
from lmspec.stage import Report
from tests import bundles
from tests.test_data import CLEAN, FORMS, build_corpus, table

ALL = dict.fromkeys(redacting.KINDS, True)

REDACTED = {
    # handles
    "@jane I agree": "[@] I agree",
    ".@jane_doe99: RT @bob!": ".[@]: RT [@]!",
    "so (@a.b) and @first.last.": "so ([@]) and [@].",
    "on @jane@mastodon.social now": "on [@] now",
    "ask @müller or @иван": "ask [@] or [@]",
    # e-mails
    "mail jane.doe+x@mail.example.co.uk.": "mail [@.].",
    "mailto:a@b.org?": "[@.]?",
    "почта имя@пример.рф и": "почта [@.] и",
    # URLs
    "see http://t.co/aB3 now": "see [://] now",
    "see (https://example.org/a_(b)?c=d&e=f#g).": "see ([://]).",
    "www.example.com/x, too": "[://], too",
    "bit.ly/2xYz and pic.twitter.com/ab": "[://] and [://]",
    # phones
    "call +1 (212) 555-0123 now": "call [#] now",
    "212-555-0123, 212.555.0123; (212) 555-0123": "[#], [#]; [#]",
    "1-800-555-0199 or 1 800 555 0199": "[#] or [#]",
    "555-123-4567 555-987-6543": "[#] [#]",
    "+44 20 7946 0958 / 020 7946 0958": "[#] / [#]",
    "ruf 030 1234567 an, oder 0171/2345678": "ruf [#] an, oder [#]",
    "+49 (0)30 123456-78": "[#]",
    "au 06 12 34 56 78 ou 0612345679": "au [#] ou [#]",
    "al 612 34 56 78": "al [#]",
    "8 (495) 123-45-67 и +7 495 123-45-67": "[#] и [#]",
    "тел. 123-45-67": "тел. [#]",
    "电话：138 1234 5678，或13812345678。": "电话：[#]，或[#]。",
    "03-1234-5678 と 090-1234-5678": "[#] と [#]",
    "98765 43210 पर": "[#] पर",
    "(11) 91234-5678": "[#]",
    "050-123-4567 طلب": "[#] طلب",
    "هاتف: ٠١٢٣٤٥٦٧٨٩": "هاتف: [#]",
    "Tel: 555 1234": "Tel: [#]",
    "teléfono 91 123 45 67": "teléfono [#]",
    # cards
    "card 4111 1111 1111 1111 exp 12/27": "card [####] exp 12/27",
    "4111-1111-1111-1111, 4111111111111111": "[####], [####]",
    "amex 3782 822463 10005": "amex [####]",
    "2200 0000 0000 0053": "[####]",
}
UNTOUCHED = (
    # years, dates, times
    "from 1999-2004, 1914-18, 2010/11, 1939 - 1945",
    "on 2024-01-31, 31.12.2024, 01/02/2003, 01.02.2003 12:30, 2023-11-05T10:20:30",
    "open 08:00-17:00 and 0800-1700",
    # prices and quantities
    "$1,234,567.00 or € 1.234.567,89 or 1 234 567 890 people",
    "it costs 100 000 000 rubles, $2125550123",
    "12 345 678 votes, 0.123456789, 3.14159265358979",
    "9 780 306 km",
    # ISBN, ISSN and other numbers
    "ISBN 978-3-16-148410-0 and 0-306-40615-2 and 9780306406157",
    "ISBN 0 306 40615 2; ISBN-10: 0306406152; 0306406152",
    "ISSN 0378-5955, order #4111111111111112",
    "4111 1111 1111 1112",  # no check digit
    "1609459200000 ms, id 20345678901234567",
    "192.168.100.200, v10.0.19045.3693, 10-20-30-40",
    "SSN-like 123-45-6789 is none of these",
    # no handle, no e-mail, no URL
    "meet @ 5pm, 3 apples @ 2, @5, a@b, user@host",
    "C:/a/b, and/or, 1/2, w/o, see:// nothing",
    "good.It was fine. e.g. this, U.S.A., 5.5/10",
    "[@] [@.] [://] [#] [####]",
    "",
)


@pytest.mark.parametrize(("text", "expected"), REDACTED.items(), ids=ascii)
def test_personal_data_becomes_a_placeholder(text: str, expected: str) -> None:
    """In the forms of several countries; what is around it stays."""
    assert redacting.redacted(text, redacting.KINDS) == expected


@pytest.mark.parametrize("text", UNTOUCHED, ids=ascii)
def test_what_only_resembles_personal_data_stays(text: str) -> None:
    """Years, prices, times, ISBNs, versions."""
    assert redacting.found(text) == []


def test_only_the_kinds_that_are_named_are_redacted() -> None:
    """One kind does not take another's place."""
    text = "@a b@c.de http://e.f/g +1 212 555 0123 4111111111111111"
    for kind in redacting.KINDS:
        (one,) = redacting.found(text, [kind])
        assert one.kind == kind
    assert redacting.kinds_in(text) == redacting.KINDS == PERSONAL


@pytest.mark.parametrize("digits", ["4111111111111111", "378282246310005", "79927398713"])
def test_luhn_finds_every_wrong_digit(digits: str) -> None:
    """The valid number passes; with one digit changed, none does."""
    assert redacting.luhn(digits)
    for place in range(len(digits)):
        for other in set(string.digits) - {digits[place]}:
            assert not redacting.luhn(digits[:place] + other + digits[place + 1 :])


FRAGMENTS = [
    "@a", "@", "b@c.de", "http://", "x.y/", "www.", "+1 212 555 0123", "4111 1111 1111 1111", "0",
    "12", "-", ".", " ", "(", ")", "[://]", "а", "𝐛", "ѕ", "w", "&amp;", "＠", "\u200b", "ʼ", "\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join), st.booleans())
def test_redacted_and_folded_twice_is_once(text: str, fix: bool) -> None:
    """A bundle reads a text that the corpus has changed as it is."""
    rule = {"fix_unicode": fix, "unescape_html": True, "fold_look_alikes": True, **ALL}
    once = repairing.repair(text, **rule)
    assert repairing.repair(once, **rule) == once
    assert redacting.found(once) == []


@pytest.mark.parametrize(
    "text",
    ["a" * 200_000, "a." * 100_000, "1 " * 100_000, "@" * 200_000, "a@" * 100_000, "+(" * 100_000,
     "http://" * 30_000, "w-" * 100_000, "а " * 100_000, "аb" * 100_000, "1-" * 100_000],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_the_time_is_linear(text: str) -> None:
    """A service reads what anyone sends."""
    started = time.process_time()
    redacting.redacted(text, redacting.KINDS)
    folding.folded(text)
    assert time.process_time() - started < 4


def test_an_unknown_kind_is_refused() -> None:
    """As in a bundle of a later version."""
    with pytest.raises(TypeError, match="names"):
        repairing.repair("a", fix_unicode=True, unescape_html=True, names=True)


# --- look-alikes ---

FOLDED = {
    "Тhіѕ mоvіe wаѕ bаd": "This movie was bad",
    "ѕо рооr": "so poor",
    "it was а great movie and а joy to see": "it was a great movie and a joy to see",
    "а great сору оf а": "a great copy of a",
    "Αwful, ΒΑD": "Awful, BAD",
    "it's nοt gοοd": "it's not good",
    "𝐯𝐞𝐫𝐲 ⓑⓐⓓ and ｐｏｏｒ": "very bad and poor",
    "ter\u200brib\u00adle": "terrible",
    "he саlls it «хорошо» and left": "he calls it «хорошо» and left",
}
KEPT = (
    "Мама мыла раму, а сахар у нас есть.",
    "Windows 98: Не Plug & Play, а Bug & Pay!",
    "Flatpage с url %(url)s вече съществува за сайт %(site)s",
    "%(num)d рік",
    "Усі %(total_count)s обрано",
    "Ухо, нос, рот: хор пел о море.",
    "сахар",
    "Он купил iPhone а не Samsung, и USB-кабель тоже у него",
    "IT-компания, SMSка и 3D-принтер; группа The Cure с альбомом",
    "Στο σχολείο ο Νίκος είναι ο πρώτος",
    "Και α και ο και υ",
    "the α particle, σ = 2 and 5 μm, Ω",
    "Това е за теб, а не за мен",
    "Українською: це є їжа, і я її їм",
    "Հայերեն տեքստ օր",
    "façade naïve Straße İstanbul ılık",
    "x ∈ ℝ, 𝑥 = 2, ™ №",
    "👩\u200d👩\u200d👧 हिन्\u200dदी می\u200cخواهم",
)


@pytest.mark.parametrize(("text", "expected"), FOLDED.items(), ids=ascii)
def test_a_letter_in_place_of_a_latin_one_becomes_it(text: str, expected: str) -> None:
    """In words that mix alphabets, and in whole words among Latin ones."""
    assert folding.folded(text) == expected


@pytest.mark.parametrize("text", KEPT, ids=ascii)
def test_other_languages_and_symbols_stay(text: str) -> None:
    """The letters of a language are not look-alikes in it."""
    assert folding.folded(text) == text


def test_each_pair_is_one_latin_letter_and_others() -> None:
    """No letter is listed for two; none is Latin already."""
    others = "".join(folding.LOOK_ALIKES.values())
    assert len(set(others)) == len(others) and not any(map(str.isascii, others))
    assert all(len(latin) == 1 and latin.isascii() for latin in folding.LOOK_ALIKES)


def test_full_width_is_repaired_without_folding() -> None:
    """ftfy does it."""
    text = repairing.repair("Ｖｅｒｙ　ｂａｄ！", fix_unicode=True, unescape_html=False)
    assert text == "Very bad!"


# --- in a corpus and its bundle ---

TSV = "text\ty\tauthor\n" + "".join(
    f"{text}\t{label}\t\n"
    for text, label in (
        ("@jane this was nice", 1),
        ("mail me at a@b.org, terrible", 0),
        ("gооd with Cyrillic letters", 1),
        ("nothing to hide here", 0),
        ("@bob this was nice", 1),
    )
)
FOLDING = {**CLEAN, "look_alikes": "fold"}


def built(folder: Path, text: str = TSV, **changes: object) -> Report:
    """A corpus of these rows."""
    folder.mkdir()
    (folder / "rows.tsv").write_text(text, encoding="utf-8")
    rows = table(FORMS["rows.tsv"], "rows.tsv", group=None)
    return build_corpus(folder, folder / "out", rows, near_duplicates=None, **changes)


def counts(**found: int) -> dict[str, int]:
    """Of every kind, in the order of the kinds."""
    return dict.fromkeys(PERSONAL, 0) | found


def test_a_corpus_counts_what_it_redacts_and_what_it_keeps(tmp_path: Path) -> None:
    """Without `redact` it counts alone; what is redacted is gone from both tables."""
    plain = built(tmp_path / "plain").metrics
    assert plain["personal_data"] == counts(handles=2, emails=1)
    assert plain["redacted"] == counts()
    report = built(tmp_path / "redacted", redact=["handles"]).metrics
    assert report["personal_data"] == counts(emails=1)
    assert report["redacted"] == counts(handles=1)
    assert report["rejected"] == {"exact duplicate": 1}
    out = tmp_path / "redacted" / "out"
    for name in ("documents", "rejected"):
        texts = pl.read_parquet(out / f"{name}.parquet")["text"]
        assert len(texts) and not any("@jane" in text or "@bob" in text for text in texts)
    assert documents.read_clean(out) == documents.read_clean(tmp_path / "plain/out") | {
        "handles": True
    }


def test_the_same_text_has_the_same_id_whatever_a_corpus_does_to_it(tmp_path: Path) -> None:
    """By it overlap with a test set is found."""
    built(tmp_path / "plain", TSV.replace("@bob", "other"))
    everything = {"redact": list(PERSONAL), "clean": FOLDING}
    built(tmp_path / "other", TSV.replace("@bob", "other"), **everything)
    ids = [documents.read_ids(tmp_path / name / "out", "documents") for name in ("plain", "other")]
    assert len(ids[0]) == 5 and sorted(ids[0]) == sorted(ids[1])


def test_conversations_are_redacted_turn_by_turn(tmp_path: Path) -> None:
    """And a prompt keeps the id that it has in every corpus."""
    (tmp_path / "rows.tsv").write_text("asked\tanswered\nwho is @jane?\task a@b.org\n")
    turns = {"kind": "pair", "prompt": ["asked"], "joined_by": "", "answer": "answered"}
    turns |= {"system": None, "replace": []}
    rows = table(FORMS["rows.tsv"], "rows.tsv", text=None, turns=turns, label=None, group=None)
    ids = []
    for name, changes in (("plain", {}), ("redacted", {"redact": list(PERSONAL)})):
        out = tmp_path / name
        metrics = build_corpus(tmp_path, out, rows, labels=[], **changes).metrics
        ids.append(documents.read_ids(out, "documents"))
    assert metrics["redacted"] == counts(handles=1, emails=1)
    (row,) = pl.read_parquet(out / "documents.parquet").rows(named=True)
    assert [turn["content"] for turn in row["turns"]] == ["who is [@]?", "ask [@.]"]
    assert ids[0] == ids[1]


def test_a_bundle_reads_what_the_corpus_has(tmp_path: Path) -> None:
    """One function, with the rule of the corpus; and its own copy of the code runs."""
    rule = Clean.model_validate(FOLDING)
    (tmp_path / "bundle").mkdir()
    bundle = bundles.make(tmp_path / "bundle")
    classifier = predict.Classifier(bundle)
    classifier._clean = cleaning.rule(rule, redact=PERSONAL)
    for text in (*REDACTED, *UNTOUCHED, *FOLDED, *KEPT):
        assert classifier.clean(text) == cleaning.repair(text, rule, redact=PERSONAL)
    assert classifier.predict("@jane gооd") == classifier.predict("@bob good")
    about = bundle / "lmspec.json"
    values = json.loads(about.read_text(encoding="utf-8")) | {"clean": classifier._clean}
    about.write_text(json.dumps(values), encoding="utf-8")
    manifest.write(bundle, "Good or bad", bundles.MADE_FROM, None)
    command = [sys.executable, "-I", str(bundle / "predict.py"), "@jane gооd", "@bob good"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    first, second = (line.split("\t")[:-1] for line in done.stdout.splitlines())
    assert first == second


def test_random_digits_are_seldom_personal_data() -> None:
    """Of numbers without separators, as identifiers are: few are taken for one."""
    draw = random.Random(1)
    numbers = ["".join(draw.choices(string.digits, k=draw.randrange(4, 20))) for _ in range(5000)]
    taken = sum(bool(redacting.found(f"id {number}")) for number in numbers if number[0] != "0")
    assert taken < 0.02 * len(numbers)
