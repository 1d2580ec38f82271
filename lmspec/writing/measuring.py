"""measuring: what a written text has in common with its reference, as counts that add up.

BLEU and chrF of a corpus follow from sums of these counts over its texts, so a comparison of two
models needs the counts and no text. The figures are sacrebleu's, up to the words of scripts that
write no spaces, see `words`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WORDS, CHARACTERS = 4, 6  # longest n-grams of BLEU and of chrF
BLEU_SUMS, CHRF_SUMS = 2 * WORDS + 2, 3 * CHARACTERS
RECALL_WEIGHT = 2**2  # of chrF: beta is 2
LOOPS = 4  # times that the end of a text repeats itself, at least, to count as a repetition

_13A = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_WITHOUT_SPACES = re.compile(
    "(["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u2e80-\u312f"  # radicals, punctuation of Chinese and Japanese, kana, Bopomofo
    "\u31a0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\ufe30-\ufe4f\uff00-\uffef"  # full-width forms
    "])"
)
_REFUSALS = re.compile(
    r"(i['\u2019]m|i am|we are|we['\u2019]re) (very )?(sorry|unable|not able)\b"
    r"|sorry[,.!]? (but )?i\b"
    r"|(i|we) (can['\u2019]t|cannot|can not|won['\u2019]t|will not|am not able to)\b"
    r"|as an? (ai|artificial intelligence|(large )?language model)\b"
    r"|unfortunately, (i|we) (can|am|are|do|will)\b"
)


def normalised(text: str) -> str:
    """Without white space at its ends, and with single spaces inside. Case and accents stay."""
    return " ".join(text.split())


def digest(text: str) -> str:
    """16 hex digits of SHA-256 of the normalised text: equal for texts that match exactly."""
    return hashlib.sha256(normalised(text).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def words(text: str) -> tuple[str, ...]:
    """The tokens of BLEU and ROUGE-L: those of mteval-v13a, as in sacrebleu, case kept.

    13a splits at spaces and ASCII punctuation, so a Chinese or Thai sentence would be one word,
    right as a whole or not at all, unless a user knows `--tokenize zh`. Here each character
    of a script that writes no spaces is a word: for Chinese that is sacrebleu's `zh`, for Japanese,
    Thai, Lao, Khmer, Burmese and Tibetan its `char`.
    Texts without such characters have exactly the words of 13a.
    """
    line = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES if "&" in line else ():
        line = line.replace(entity, character)
    if not line.isascii():
        line = _WITHOUT_SPACES.sub(r" \1 ", line)
    line = f" {line} "
    for pattern, spaced in _13A:
        line = pattern.sub(spaced, line)
    return tuple(line.split())


def remarks(references: Sequence[str]) -> Iterator[str]:
    """What a reader of BLEU and ROUGE-L has to know about these references, in words."""
    visible = ["".join(reference.split()) for reference in references]
    alone = sum(len(_WITHOUT_SPACES.findall(text)) for text in visible)
    if alone:
        share = alone / sum(map(len, visible))
        yield (
            f"{share:.0%} of the references' characters are of scripts that write no spaces: BLEU "
            "and ROUGE-L count each as a word"
        )
    if references and all(len(words(reference)) < WORDS for reference in references):
        yield f"no reference has {WORDS} words, so BLEU is 0 or nearly so: look at chrF"


def bleu_counts(text: str, reference: str) -> list[int]:
    """(6,) n-grams of 1 to 4 words that both have; words of the text, of the reference."""
    own, other = words(text), words(reference)
    return [*_in_common(own, other, WORDS), len(own), len(other)]


def chrf_counts(text: str, reference: str) -> list[int]:
    """(8,) n-grams of 1 to 6 characters that both have; characters of each, without spaces."""
    own, other = ("".join(each.split()) for each in (text, reference))
    return [*_in_common(own, other, CHARACTERS), len(own), len(other)]


def _in_common(own: Sequence[str], other: Sequence[str], longest: int) -> list[int]:
    """(longest,) by length; an n-gram that is repeated counts as often as both repeat it."""
    counts = []
    for size in range(1, longest + 1):
        theirs = Counter(other[i : i + size] for i in range(len(other) - size + 1))
        mine = Counter(own[i : i + size] for i in range(len(own) - size + 1))
        counts.append(sum(min(count, theirs[gram]) for gram, count in mine.items()))
    return counts


def bleu_sums(counts: Ints) -> Floats:
    """What texts add to the sums of `corpus_bleu`.

    counts  (n, 6) of `bleu_counts`
    Returns (n, 10): n-grams in common, n-grams of the text, words of the text, of the reference.
    """
    matched, lengths = counts[:, :WORDS], counts[:, WORDS:]
    return np.hstack([matched, _ngrams(lengths[:, 0], WORDS), lengths]).astype(np.float64)


def chrf_sums(counts: Ints) -> Floats:
    """What texts add to the sums of `corpus_chrf`.

    counts  (n, 8) of `chrf_counts`
    Returns (n, 18): n-grams in common, of the text, of the reference.
    """
    matched, lengths = counts[:, :CHARACTERS], counts[:, CHARACTERS:]
    own, other = (_ngrams(lengths[:, side], CHARACTERS) for side in (0, 1))
    # as in sacrebleu: n-grams longer than a reference count neither for nor against its text
    return np.hstack([matched, np.where(other > 0, own, 0), other]).astype(np.float64)


def _ngrams(length: Ints, longest: int) -> Ints:
    """(n, longest) n-grams of each length in sequences of `length` elements."""
    return np.asarray(np.maximum(length[:, None] - np.arange(longest), 0), np.int64)


def wrong(counts: Ints) -> Ints:
    """(n, m) the counts of texts as long as their references that have nothing in common."""
    result = np.zeros_like(counts)
    result[:, -2:] = counts[:, -1:]
    return result


def corpus_bleu(sums: Floats) -> Floats:
    """BLEU of a corpus, 0 to 100: geometric mean of n-gram precisions, times a brevity penalty.

    sums  (..., 10) of `bleu_sums`
    An order without a match counts as half a match, the next one as a quarter (`exp`, the default
    of sacrebleu and NIST). 0 where no word matches, or no text has four words.
    Source: Papineni et al. 2002; Post 2018, arXiv:1804.08771.
    """
    matched, total = sums[..., :WORDS], sums[..., WORDS : 2 * WORDS]
    length, reference = sums[..., -2], sums[..., -1]
    halved = 0.5 ** np.cumsum(matched == 0, axis=-1)
    precision = _quotient(np.where(matched == 0, halved, matched), total)
    with np.errstate(divide="ignore"):  # log 0: no n-gram of that length
        mean = np.exp(np.log(precision).mean(-1))
        short = np.exp(np.minimum(0.0, 1 - _quotient(reference, length)))
    possible = (length > 0) & (matched > 0).any(-1)
    return np.asarray(np.where(possible, 100 * short * mean, 0.0))


def corpus_chrf(sums: Floats) -> Floats:
    """chrF of a corpus, 0 to 100: F2 of the mean precision and recall over the n-gram orders.

    sums  (..., 18) of `chrf_sums`
    Source: Popović 2015, 2016 (beta 2); orders that one side lacks are left out, as in sacrebleu 2.
    """
    matched, own, other = np.split(sums, 3, axis=-1)
    counted = (own > 0) & (other > 0)
    orders = np.maximum(counted.sum(-1), 1)
    precision, recall = (
        np.where(counted, _quotient(matched, side), 0.0).sum(-1) / orders for side in (own, other)
    )
    weighted = RECALL_WEIGHT * precision + recall
    return np.asarray(100 * _quotient((1 + RECALL_WEIGHT) * precision * recall, weighted))


def _quotient(part: Floats, whole: Floats) -> Floats:
    """(...) 0 where the whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0))


def rouge_l(text: str, reference: str) -> float:
    """F1 of the longest common subsequence of `words`, 0 to 1.

    The package rouge-score lower-cases, and drops all but a-z and 0-9: nothing would be left of
    another script, and little of a command.
    Source: Lin 2004, ROUGE: A package for automatic evaluation of summaries (ROUGE-L, beta 1).
    """
    own, other = words(text), words(reference)
    if not own or not other:
        return 0.0
    return 2 * _longest_in_common(own, other) / (len(own) + len(other))


def _longest_in_common(own: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence, with a row of the usual table in one integer.

    Source: Hyyrö 2004, Bit-parallel LCS-length computation revisited.
    """
    places: dict[str, int] = {}
    for i, word in enumerate(own):
        places[word] = places.get(word, 0) | 1 << i
    every = (1 << len(own)) - 1
    row = every  # a 0 where the subsequence grows
    for word in other:
        used = row & places.get(word, 0)
        row = ((row + used) | (row - used)) & every
    return len(own) - row.bit_count()


def is_refusal(text: str) -> bool:
    """Does it begin as texts do that decline, in English? `I'm sorry`, `I cannot`, `As an AI`.

    Other languages are not known: there the answer is always no.
    """
    return _REFUSALS.match(normalised(text).lower()) is not None


def is_repetitive(text: str) -> bool:
    """Does it end in a loop: the same run of words at least four times in a row?

    Of words with a letter or a digit: a line of dashes is no loop.
    """
    tokens = words(text)
    for size in range(1, len(tokens) // LOOPS + 1):
        end = tokens[-size:]
        if tokens[-LOOPS * size :] == end * LOOPS:
            return any(character.isalnum() for word in end for character in word)
    return False
