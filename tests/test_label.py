"""lmspec label: what is answered is on disk, and goes on where it ended; in a terminal and over
HTTP."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from lmspec.annotation import page, running, terminal
from lmspec.annotation.opening import opened
from lmspec.annotation.session import Session
from lmspec.cli.main import main
from lmspec.errors import LmspecError
from lmspec.formats import annotations, worklist
from lmspec.formats.annotations import Appending
from lmspec.formats.worklist import Row
from lmspec.specs.names import ArtifactName
from tests import specs

LABELS = ("bad", "good")
ROWS = [Row(f"{i:016x}", f"text {i}", "t", None, None) for i in range(6)]
TOKEN = "secret"
KNOWN = {"authorization": f"Bearer {TOKEN}"}


def session(folder: Path, rows: Sequence[Row] = ROWS, labels: Sequence[str] = LABELS) -> Session:
    """A list whose answers go to labels/a.csv; at one time."""
    file = Appending(folder / "labels/a.csv", "labels/a.csv")
    return Session("queue.next", rows, labels, file, lambda: "2026-11-30T09:30:00Z")


def typed(keys: str) -> Any:
    """A reader of keys, then the end of the input."""
    each = iter(keys)
    return lambda: next(each, "")


def answers(folder: Path) -> list[tuple[str, str, str, str]]:
    """What the file has: row, label, annotator, action."""
    found = annotations.read(folder / "labels/a.csv", "a.csv")
    return [(one.id[-1], one.label, one.annotator, one.action) for one in found]


def test_keys_give_labels_in_order(tmp_path: Path) -> None:
    """Each is on disk at once; unsure and undo are lines, too, and the end of input loses none."""
    printed: list[str] = []
    terminal.run(session(tmp_path), "ann", typed("12nu2?1"), printed.append)
    assert answers(tmp_path) == [
        ("0", "bad", "ann", "label"),
        ("1", "good", "ann", "label"),
        ("2", "", "ann", "unsure"),
        ("2", "", "ann", "undo"),
        ("2", "good", "ann", "label"),
        ("3", "bad", "ann", "label"),
    ]
    text = "\n".join(printed)
    assert "1 bad  2 good" in text and "'?' is no key here" in text and "5 of 6, t\ntext 4" in text


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    """Another session of the same file begins with the first row without an answer of hers."""
    terminal.run(session(tmp_path), "ann", typed("11q"), print)
    again = session(tmp_path)
    assert again.next("ann") == ROWS[2] and again.next("bob") == ROWS[0]
    assert again.progress("ann").left == 4
    terminal.run(again, "ann", typed("2222"), print)
    assert again.next("ann") is None and len(answers(tmp_path)) == 6


def test_more_labels_than_keys_are_typed(tmp_path: Path) -> None:
    """By name or number, with Enter."""
    labels = [f"label {i}" for i in range(40)]
    lines = iter(["label 7", "40", "41", "q"])
    terminal.run(session(tmp_path, labels=labels), "ann", lambda: next(lines), print)
    assert [label for _, label, _, _ in answers(tmp_path)] == ["label 7", "label 39"]
    assert terminal.keys_of(labels) is None and terminal.keys_of(labels[:33]) is not None


def test_space_confirms_a_suspect(tmp_path: Path) -> None:
    """It shows the label that it has, and the more probable one."""
    rows = [Row("0" * 16, "text", "t", "good", "bad")]
    printed: list[str] = []
    terminal.run(session(tmp_path, rows), "ann", typed(" "), printed.append)
    assert answers(tmp_path) == [("0", "good", "ann", "label")]
    assert "has the label good" in "".join(printed) and "suggested: bad" in "".join(printed)


def test_two_annotators_who_disagree_are_shown_until_one_decides(tmp_path: Path) -> None:
    """In the order of the list; equal labels are no disagreement, nor is one who is unsure."""
    here = session(tmp_path)
    for who, keys in (("ann", "1212"), ("bob", "21nu"), ("eve", "n")):
        terminal.run(here, who, typed(keys), print)
    apart = here.disagreements()
    assert [one.row for one in apart] == ROWS[:2]
    assert apart[0].labels == [("ann", "bad"), ("bob", "good")]
    terminal.decide(here, "eve", typed("1q"), print)
    assert [one.row for one in here.disagreements()] == ROWS[1:2]
    here.undo("eve")
    assert [one.row for one in here.disagreements()] == ROWS[:2]


def test_an_undo_is_of_ones_own(tmp_path: Path) -> None:
    """And once there is nothing left, nothing is written."""
    here = session(tmp_path)
    here.label("ann", ROWS[0].id, "bad")
    here.label("bob", ROWS[0].id, "good")
    assert here.undo("ann") == ROWS[0] and here.undo("ann") is None
    assert here.next("ann") == ROWS[0] and here.next("bob") == ROWS[1]
    assert len(answers(tmp_path)) == 3


def test_white_space_around_a_name_does_not_ask_for_a_text_again(tmp_path: Path) -> None:
    """Names are written without it."""
    ours = session(tmp_path)
    ours.label(" ann", ROWS[0].id, LABELS[0])
    assert ours.next(" ann") == ours.next("ann") == ROWS[1]
    assert ours.progress("ann ").labelled == 1
    assert ours.undo("ann ") == ROWS[0]


def test_a_label_that_is_taken_back_is_not_counted(tmp_path: Path) -> None:
    """Nor one that was passed over; a decision is."""
    ours = session(tmp_path)
    ours.label("ann", ROWS[0].id, LABELS[0])
    ours.label("bob", ROWS[0].id, LABELS[1])
    ours.unsure("ann", ROWS[1].id)
    assert ours.labelled() == 1
    ours.undo("bob")
    ours.undo("ann")
    ours.undo("ann")
    assert ours.labelled() == 0
    ours.decide("ann", ROWS[0].id, LABELS[0])
    assert ours.labelled() == 1


def test_what_the_list_does_not_have_is_refused(tmp_path: Path) -> None:
    """Neither another label nor another row is written."""
    here = session(tmp_path)
    with pytest.raises(LmspecError, match="none of the labels"):
        here.label("ann", ROWS[0].id, "neutral")
    with pytest.raises(LmspecError, match="no row"):
        here.label("ann", "f" * 16, "bad")
    with pytest.raises(LmspecError, match="no annotator"):
        here.label(" ", ROWS[0].id, "bad")
    assert not (tmp_path / "labels").exists() or answers(tmp_path) == []


def test_a_queue_does_not_show_what_a_classifier_suggests(tmp_path: Path) -> None:
    """It would sway the annotator; suspects show it."""
    rows = [Row("0" * 16, "text", "t", "good", "bad")]
    for noun, shown in (("queue", (None, None)), ("suspects", ("good", "bad"))):
        folder = tmp_path / f"data/{noun}/x"
        folder.mkdir(parents=True)
        worklist.write(rows, [*LABELS], folder)
        row = opened(tmp_path, ArtifactName(noun, "x"), "labels/x.csv").next("ann")
        assert row is not None and (row.label, row.suggested) == shown


def test_a_list_that_is_not_built_says_how(tmp_path: Path) -> None:
    """As does a file with labels that the list lacks."""
    name = ArtifactName("queue", "next")
    with pytest.raises(LmspecError, match="not built") as caught:
        opened(tmp_path, name, "labels/x.csv")
    assert "dvc repro" in caught.value.remedy
    (tmp_path / name.folder).mkdir(parents=True)
    worklist.write(ROWS, ["yes", "no"], tmp_path / name.folder)
    session(tmp_path).label("ann", ROWS[0].id, "bad")
    with pytest.raises(LmspecError, match=r"'bad', which queue\.next does not"):
        opened(tmp_path, name, "labels/a.csv")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(page.app(session(tmp_path), TOKEN), base_url="http://127.0.0.1:1") as client:
        yield client


def asked(client: TestClient, path: str, **values: str) -> Any:
    return client.post(path, json={"annotator": "ann", **values}, headers=KNOWN).json()


def test_the_endpoints_label_undo_and_decide(client: TestClient, tmp_path: Path) -> None:
    """As the terminal does."""
    first = asked(client, page.ROW)
    assert first["row"]["id"] == ROWS[0].id and first["left"] == 6
    second = asked(client, page.LABEL, id=ROWS[0].id, label="bad")
    assert second["row"]["id"] == ROWS[1].id and second["left"] == 5
    assert asked(client, page.UNSURE, id=ROWS[1].id)["left"] == 4
    assert asked(client, page.UNDO)["undone"] == ROWS[1].id
    asked(client, page.LABEL, annotator="bob", id=ROWS[0].id, label="good")
    (apart,) = asked(client, page.DISAGREEMENTS)["rows"]
    assert [one["label"] for one in apart["given"]] == ["bad", "good"]
    assert asked(client, page.DECIDE, id=ROWS[0].id, label="good")["rows"] == []
    assert answers(tmp_path)[-1] == ("0", "good", "ann", "decide")


def test_without_the_token_nothing_is_shown_or_written(client: TestClient, tmp_path: Path) -> None:
    """No endpoint answers; the files of the page hold no texts."""
    paths = (page.ROW, page.LABEL, page.UNDO, page.DISAGREEMENTS, page.DECIDE, page.UNSURE)
    for path, headers in itertools.product(paths, ({}, {"authorization": "Bearer other"})):
        values = {"annotator": "ann", "id": ROWS[0].id, "label": "bad"}
        response = client.post(path, json=values, headers=headers)
        assert response.status_code == 401 and "text 0" not in response.text
    assert not (tmp_path / "labels").exists()


def test_another_name_for_this_machine_is_refused(client: TestClient) -> None:
    """A page of another site can let its name lead here (DNS rebinding); even files are refused."""
    for path in ("/", "/static/label.js"):
        assert client.get(path).status_code == 200
        assert client.get(path, headers={"host": "evil.example"}).status_code == 421
        assert client.get(path, headers={"host": "localhost:1"}).status_code == 200
    answer = client.post(page.ROW, json={}, headers=KNOWN | {"host": "evil.example:80"})
    assert answer.status_code == 421


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"annotator": 1}', b"\xff", b'{"annotator": "' + b"x" * 20_000 + b'"}']
)
def test_a_strange_body_is_refused(client: TestClient, body: bytes) -> None:
    """With a message."""
    response = client.post(page.ROW, content=body, headers=KNOWN)
    assert response.status_code == 400 and response.json()["error"]["message"]


def test_a_body_that_lacks_a_field_or_has_another_label_is_refused(
    client: TestClient, tmp_path: Path
) -> None:
    """Nothing is written."""
    assert "lacks 'annotator'" in client.post(page.ROW, json={}, headers=KNOWN).text
    answer = asked(client, page.LABEL, id=ROWS[0].id, label="neutral")
    assert "none of the labels" in answer["error"]["message"]
    assert not (tmp_path / "labels").exists()


def test_ctrl_and_c_is_how_the_page_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn raises it again when it has ended; what reads the answers is printed after that."""
    printed: list[str] = []

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running.uvicorn.Server, "run", interrupted)
    running.run(session(tmp_path), 0, printed.append)
    assert printed[0].startswith("http://127.0.0.1:")


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    """A policy says so, and its files name only each other."""
    for name in ("", "static/label.js", "static/label.css"):
        response = client.get(f"/{name}")
        assert response.headers["content-security-policy"].startswith("default-src 'none'; ")
        for path, module in re.findall(r'(?:src|href)="([^"#]+)"|from "\./([^"]+)"', response.text):
            file = path or f"static/{module}"
            assert client.get(f"/{file}").status_code == 200, file


def test_the_keys_of_the_page_are_those_of_the_terminal() -> None:
    """A label has one key."""
    script = (page.FOLDER / "label.js").read_text(encoding="utf-8")
    assert f'const KEYS = "{terminal.KEYS}"' in script
    assert not {terminal.UNSURE, terminal.UNDO, terminal.QUIT} & {*terminal.KEYS}


QUEUE = """\
queue:
  next: {pool: corpus.new, of: splits.old, strategy: random, features: null, n: 6, seed: 1}

sweep:
"""


def test_the_command_writes_a_file_and_says_what_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is no list, or not in the project, is one message."""
    specs.written(specs.GOOD.replace("sweep:\n", QUEUE, 1), tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/queue/next").mkdir(parents=True)
    worklist.write(ROWS, [*LABELS], tmp_path / "data/queue/next")

    def run(*arguments: str, given: str = "") -> str:
        return CliRunner().invoke(main, ["label", *arguments], input=given).output

    printed = run("queue.next", "--annotator", "ann", given="1\n2\nq\n")
    assert "labels/queue-next.csv: 2 of 6 rows of queue.next have a label" in printed
    assert "next: `corrections: [labels/queue-next.csv]` in a corpus reads it" in printed
    found = annotations.read(tmp_path / "labels/queue-next.csv", "a.csv")
    assert [(one.label, one.list) for one in found] == [
        ("bad", "queue.next"),
        ("good", "queue.next"),
    ]
    run("queue.next", "--annotator", "bob", given="2\nq\n")
    assert "1 have different labels" in run("queue.next", "--annotator", "bob", given="q\n")
    run("queue.next", "--annotator", "eve", "--disagreements", given="1\n")
    assert "different labels" not in run("queue.next", "--annotator", "bob", given="q\n")
    assert "corpus.old is no list of rows" in run("corpus.old")
    assert "is not in the project" in run("queue.next", "--to", "../x.csv")


def test_json_of_the_list_keeps_every_text(tmp_path: Path) -> None:
    """Line ends of all kinds, quotes and letters beyond the plane of most."""
    texts = ['a "b"\n c', "line\u2028separator \x85 and \x1d", "\U0001f600"]
    rows = [Row(f"{i:016x}", text, "t", None, "x") for i, text in enumerate(texts)]
    worklist.write(rows, ["x"], tmp_path)
    assert worklist.read(tmp_path) == rows
    assert all(json.loads(line) for line in (tmp_path / worklist.ROWS).read_text().split("\n")[:-1])
