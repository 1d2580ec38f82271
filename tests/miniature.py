"""miniature: a whole project in a folder: two hundred sentences, a tiny BERT, every noun."""

import hashlib
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from lmspec.git import line_endings
from lmspec.methods.folders import sha256

ROOT = Path(__file__).parent.parent
SUBJECTS = [
    "the film",
    "this phone",
    "the plot",
    "her voice",
    "the battery",
    "that scene",
    "the menu",
    "our guide",
]
GOOD = ["was wonderful", "is a delight", "made me smile", "works perfectly", "was great fun"]
BAD = ["was dreadful", "is a bore", "made me angry", "broke at once", "was a sad mess"]
ENDS = ["", " from start to end", " on the whole", " once again"]


def sentences(extra: str) -> list[tuple[str, str, int]]:
    """(document, text, stars): every combination, in a fixed order; the stars follow from the
    words."""
    rows = []
    for i, (subject, end) in enumerate(itertools.product(SUBJECTS, ENDS)):
        for j, (words, stars) in enumerate([(w, 5) for w in GOOD] + [(w, 1) for w in BAD]):
            if (i + j) % 2 == 0 or extra:
                rows.append((f"d{i}", f"{extra}{subject} {words}{end}", stars))
    return rows


def copy_code(folder: Path) -> None:
    """A project's own copy of the code, and what git and DVC ignore."""
    for package in ("lmspec", "stages"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name in (".gitignore", ".dvcignore"):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / ".gitattributes").write_text(f"{line_endings.PINNED}\n")


def make(folder: Path) -> Path:
    """Write the project, with its own copy of the code, as a git repository with DVC; nothing is
    built yet."""
    copy_code(folder)
    raw = folder / "raw"
    raw.mkdir()
    write_texts(raw / "old.csv", sentences(""))
    write_texts(raw / "new.csv", sentences("honestly ")[::3])
    write_weights(raw / "weights")
    hashes = {name: sha256(raw / name) for name in ("old.csv", "new.csv", "weights")}
    template = (ROOT / "tests" / "miniature.yaml").read_text()
    (folder / "params.yaml").write_text(
        template.format(**{name.partition(".")[0]: value for name, value in hashes.items()})
    )
    for command in (
        ["git", "init", "-q", "-b", "main"],
        ["git", "config", "user.name", "t"],
        ["git", "config", "user.email", "t@example.org"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        [sys.executable, "-m", "dvc", "config", "core.analytics", "false"],
        [sys.executable, "-m", "lmspec", "sync"],
        ["git", "add", "-A"],
        ["git", "commit", "-q", "-m", "spec"],
    ):
        run(folder, *command)
    return folder


def run(folder: Path, *command: str, code: int = 0) -> str:
    """Run a command in the project with this interpreter first on the path; what it printed, both
    streams together."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=1000,
    )
    assert done.returncode == code, (
        f"{command} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout + done.stderr


def environment() -> dict[str, str]:
    """This process's environment, so that `python` is this interpreter and git never prompts."""
    import os

    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_TERMINAL_PROMPT": "0",
    }


def dvc(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run a DVC command in the project."""
    return run(folder, sys.executable, "-m", "dvc", *arguments, code=code)


def lmspec(folder: Path, *arguments: str, code: int = 0) -> str:
    """Run an lmspec command in the project."""
    return run(folder, sys.executable, "-m", "lmspec", *arguments, code=code)


def ran(output: str) -> list[str]:
    """Names of the stages that a `dvc repro` ran, in order."""
    return [
        line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")
    ]


def fingerprints(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of everything that was built."""
    files = sorted(p for p in (folder / "data").rglob("*") if p.is_file())
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files
    }


def write_texts(path: Path, rows: list[tuple[str, str, int]]) -> None:
    """A CSV with a header."""
    path.write_text("document,text,stars\n" + "".join(f'{d},"{t}",{s}\n' for d, t, s in rows))


def write_weights(folder: Path) -> None:
    """A BERT of two layers with random weights, and a tokenizer that knows the words: the files of
    a hub repository."""
    import torch
    from transformers import BertConfig, BertModel

    from lmspec.methods import bytepair

    folder.mkdir()
    texts = [text for _, text, _ in sentences("") + sentences("honestly ")]
    tokenizer = bytepair.train(texts, 400, 64)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=48,
    )
    model = BertModel(config)
    rng = np.random.default_rng(7)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.copy_(
                    torch.from_numpy(rng.normal(0, 0.1, tuple(parameter.shape)).astype(np.float32))
                )
    model.save_pretrained(folder)
