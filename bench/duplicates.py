"""duplicates: what corpus and splits cost where many texts are alike, and which copies they miss.

For each kind of text, a project of ROWS rows, of which 1,000 are edited copies of others: seconds
and peak memory of both stages as DVC runs them, and the share of the copies that are found. Beside
it datasketch's MinHashLSH, with the same shingles, permutations and bands, on the first PEER_ROWS
rows, since its time grows with the square. usage: python bench/duplicates.py [ROWS] [KIND ...]
"""

import csv
import random
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
from datasketch import MinHash, MinHashLSH

from lmspec.methods import duplicates, minhash
from lmspec.specs.corpus import NearDuplicates

PEER_ROWS = 2000
COPIES = 1000
CORPUS = NearDuplicates(shingle_chars=5, threshold=0.8, permutations=128)  # what init writes
SPLITS = NearDuplicates(shingle_chars=5, threshold=0.5, permutations=256)
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"

draw = random.Random(1)
words = ["".join(draw.choices(LETTERS, k=draw.randint(2, 9))) for _ in range(20_000)]
names = [word.title() for word in words[:2000]]
weights = [1 / (rank + 3) for rank in range(len(words))]  # Zipf's law


def number(i: int) -> str:
    """Only a number differs: nearly all pairs reach a threshold of 0.8."""
    return (
        f"Your order number {i:06d} has been received and will be shipped to you within three "
        "working days, thank you for shopping with us."
    )


def form(i: int) -> str:
    """Names, numbers and dates differ: no pair reaches a threshold."""
    a, b, c = draw.choices(names, k=3)
    return (
        f"Dear {a} {b}, your order {draw.randrange(10**8):08d} of {draw.randint(1, 28)} May for "
        f"{c} costs {draw.randrange(10**5) / 100:.2f} EUR and ships on {draw.randint(1, 28)} June."
    )


def mail(i: int) -> str:
    """3 kB: words by Zipf's law in lines, and the same greeting and footer."""
    body = draw.choices(words, weights, k=450)
    lines = "\n".join(" ".join(body[j : j + 12]) for j in range(0, len(body), 12))
    return f"Dear all,\n\n{lines}\n\nKind regards,\n{draw.choice(names)}\n-- \nSent from a phone."


KINDS: dict[str, Callable[[int], str]] = {"number": number, "form": form, "mail": mail}


def edited(text: str) -> str:
    """One to five of a hundred letters are others."""
    letters = list(text)
    for _ in range(max(1, len(letters) * draw.randint(1, 5) // 100)):
        letters[draw.randrange(len(letters))] = draw.choice(LETTERS)
    return "".join(letters)


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the shingles."""
    a, b = minhash.shingles(one, 5), minhash.shingles(other, 5)
    return len(a & b) / len(a | b)


def timed(project: Path, stage: str) -> tuple[str, float, str]:
    """Seconds (of CPU) and GB that a stage takes with its workers, and what it says last."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        ["dvc", "repro", "--single-item", stage], cwd=project, stdout=-1, stderr=-2, text=True
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, memory(process.pid))
        time.sleep(0.1)
    text = process.communicate()[0]
    lines = [line for line in text.splitlines() if "lmspec:" in line or "documents" in line]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    seconds = f"{time.monotonic() - begin:.0f} ({cpu:.0f})"
    return seconds, peak, (lines or ["-"])[-1].strip()


def memory(process: int) -> float:
    """GB of a process and all that it started: each page once (PSS)."""
    total = 0.0
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
        total = next(float(x.split()[1]) for x in rollup.splitlines() if x.startswith("Pss:")) / 1e6
        for task in Path(f"/proc/{process}/task").iterdir():
            total += sum(memory(int(child)) for child in (task / "children").read_text().split())
    except (OSError, StopIteration):  # it has ended
        pass
    return total


def peer(texts: list[str], rule: NearDuplicates) -> tuple[float, int]:
    """Seconds that datasketch takes, and how many texts it leaves out."""
    begin, left_out = time.monotonic(), set()
    shingles = [minhash.shingles(text, rule.shingle_chars) for text in texts]
    sketches = MinHash.bulk(
        [[shingle.encode() for shingle in one] for one in shingles],
        num_perm=rule.permutations,
        hashfunc=zlib.crc32,
    )
    rows = rule.rows_per_band()
    index = MinHashLSH(num_perm=rule.permutations, params=(rule.permutations // rows, rows))
    for i, sketch in enumerate(sketches):
        for j in sorted(index.query(sketch)):
            common = len(shingles[i] & shingles[j])
            near = common / (len(shingles[i]) + len(shingles[j]) - common) >= rule.threshold
            if near and j not in left_out:
                left_out.add(i)
        index.insert(i, sketch)
    return time.monotonic() - begin, len(left_out)


def beside(texts: list[str], rule: NearDuplicates) -> str:
    """How many times datasketch's time ours is, and whether both leave out as many texts."""
    begin = time.monotonic()
    repeats = len(duplicates.first_near(texts, rule))
    ours = time.monotonic() - begin
    theirs, left_out = peer(texts, rule)
    return f"{theirs / ours:.0f} times ({theirs:.1f} s; {left_out:,} and {repeats:,} left out)"


def main(rows: int, kinds: list[str]) -> None:
    """Print the table."""
    print("| texts | rows | stage | s (of CPU) | GB | of the copies found | says | datasketch |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind in kinds:
        texts = [KINDS[kind](i) for i in range(rows - COPIES)]
        origin = {len(texts) + k: i for k, i in enumerate(draw.sample(range(len(texts)), COPIES))}
        texts += [edited(texts[i]) for i in origin.values()]
        with tempfile.TemporaryDirectory() as folder:
            measure(kind, texts, origin, Path(folder))


def measure(kind: str, texts: list[str], origin: dict[int, int], folder: Path) -> None:
    """Build a project of these texts, and print a line for each stage."""
    with (folder / "texts.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["text", "label"])
        table.writerows((text, "ab"[i % 2]) for i, text in enumerate(texts))
    command = ["init", "project", "--data", "texts.csv", "--text", "text", "--label", "label"]
    subprocess.run(["lmspec", *command], cwd=folder, check=True, stdout=-3)
    project = folder / "project"
    timed(project, "sources-texts")
    few = texts[:PEER_ROWS]
    seconds, peak, message = timed(project, "corpus-texts")
    corpus = project / "data/corpus/texts"
    rejected = pl.read_parquet(corpus / "rejected.parquet")
    left_out = {row - 1 for row in rejected["row"]}
    pairs = [(i, j) for i, j in origin.items() if j not in left_out]
    pairs = [(i, j) for i, j in pairs if similarity(texts[i], texts[j]) >= CORPUS.threshold]
    recall = share(pairs, lambda i, j: i in left_out)
    line(kind, len(texts), "corpus", seconds, peak, recall, message, beside(few, CORPUS))
    seconds, peak, message = timed(project, "splits-texts")
    splits = project / "data/splits/texts"
    where = {
        text: split
        for split in ("train", "dev", "test")
        if (splits / f"{split}.parquet").exists()
        for text in pl.read_parquet(splits / f"{split}.parquet")["text"]
    }
    plain = [" ".join(text.split()) for text in texts]
    pairs = [
        (i, j)
        for i, j in origin.items()
        if plain[i] in where
        and plain[j] in where
        and similarity(texts[i], texts[j]) >= SPLITS.threshold
    ]
    recall = share(pairs, lambda i, j: where[plain[i]] == where[plain[j]])
    line(kind, len(texts), "splits", seconds, peak, recall, message, beside(few, SPLITS))


def share(pairs: list[tuple[int, int]], is_found: Callable[[int, int], bool]) -> str:
    """How many of the pairs are found."""
    return f"{sum(is_found(i, j) for i, j in pairs)} of {len(pairs)}" if pairs else "-"


def line(*cells: object) -> None:
    """One row of the table."""
    shown = [f"{c:.1f}" if isinstance(c, float) else str(c).replace("|", "/") for c in cells]
    print(f"| {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100_000, sys.argv[2:] or list(KINDS))
