"""World: several processes train one network: the same batches, and for a fixed number the same
bits."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from lmspec.errors import LmspecError
from lmspec.methods.resume import Resume
from lmspec.run import child, declaration, determinism, loopback, ranks, sandbox
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Machine
from lmspec.training.order import Step
from lmspec.training.world import World
from tests import miniature, together
from tests.test_kills import processes, wait_until

TOLERANCE = 1e-5  # of a loss in fp32: a world of another size sums in another order


def alone(folder: Path, name: str) -> together.Found:
    return together.EXPERIMENTS[name](folder, world=None)


def apart(one: together.Found, other: together.Found) -> float:
    assert len(one["losses"]) == len(other["losses"]) > 1
    return max(abs(a - b) for a, b in zip(one["losses"], other["losses"], strict=True))


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    """Twice the same bytes, also after kills; the losses are those of one process within 1e-5, of
    batches that do not divide evenly, and of accumulated parts. With dropout,
    each process draws for its own rows (the negative control of the tolerance)."""
    together.bert(tmp_path)
    first, second = together.together(
        2, tmp_path, "plain", "accumulated", "dropout", "again", "resumed", "bert"
    )
    assert first == second
    assert first["dropout"] == first["again"] == first["resumed"]
    for name in ("plain", "accumulated", "bert"):
        one = alone(tmp_path, name)
        assert apart(one, first[name]) < TOLERANCE
        assert first[name]["kind"] == one["kind"]
        assert first[name]["evaluated"]["log_loss"] == pytest.approx(one["evaluated"]["log_loss"])
    assert apart(alone(tmp_path, "dropout"), first["dropout"]) > TOLERANCE


@pytest.mark.slow
def test_a_model_that_writes_is_the_same_in_every_world(tmp_path: Path) -> None:
    """Its loss counts tokens, wherever they are, also if a divided model computes its layers again;
    it is whole afterwards, with its head tied. If each part counted by its rows, the losses would
    be others."""
    one = alone(tmp_path, "written")
    names = ("written", "sharded written", "sharded again", "written unweighted")
    found, other = together.together(2, tmp_path, *names)
    assert found == other
    for name in names[:3]:
        assert apart(one, found[name]) < TOLERANCE
        assert found[name]["kind"] == one["kind"] == "LlamaForCausalLM, tied: True"
        assert found[name]["evaluated"] == pytest.approx(one["evaluated"], abs=1e-4)
    assert apart(one, found["written unweighted"]) > TOLERANCE


@pytest.mark.slow
def test_an_update_of_a_model_that_writes_is_the_same_in_every_world(tmp_path: Path) -> None:
    """What is kept of the earlier model counts by tokens, too; the loss is another than without."""
    one, names = alone(tmp_path, "updated"), ("updated", "sharded updated")
    found, other = together.together(2, tmp_path, *names)
    assert found == other
    for name in names:
        assert apart(one, found[name]) < 3 * TOLERANCE  # the loss is three times as large
        assert found[name]["evaluated"] == pytest.approx(one["evaluated"], abs=1e-4)
    assert apart(one, alone(tmp_path, "written")) > 1


@pytest.mark.slow
def test_three_processes_repeat_and_resume_to_the_bit(tmp_path: Path) -> None:
    """With three the order of a sum shows: torch's own buckets would change it after a kill."""
    one, *others = together.together(3, tmp_path, "dropout", "again", "resumed", "plain")
    assert all(other == one for other in others)
    assert one["dropout"] == one["again"] == one["resumed"]
    assert apart(alone(tmp_path, "plain"), one["plain"]) < TOLERANCE


@pytest.mark.slow
def test_each_method_works_with_a_divided_model(tmp_path: Path) -> None:
    """The losses of every optimizer and average are those of one process, and the model is the
    same kind of thing afterwards, with all weights in each process."""
    together.bert(tmp_path)
    names = ["sharded", *(f"sharded {name}" for name in together.METHODS)]
    found, other = together.together(2, tmp_path, *names)
    assert found == other
    for name in names:
        assert found[name]["kind"] == "BertForSequenceClassification"
        one = alone(tmp_path, name)["evaluated"]["log_loss"]
        assert found[name]["evaluated"]["log_loss"] == pytest.approx(one, abs=1e-4)
        # the iterations of muon are of bf16
        limit = 10 * TOLERANCE if name == "sharded muon" else TOLERANCE
        assert apart(alone(tmp_path, name), found[name]) < limit, name


@pytest.mark.parametrize("rows", [1, 2, 7, 16])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("part", [None, 1, 3])
def test_the_rows_of_a_batch_count_alike_in_every_world(
    rows: int, size: int, part: int | None
) -> None:
    """Each row is computed once, and its share of the mean is 1 / b."""
    step = Step(0, np.arange(rows) + 100)
    share = dict.fromkeys(step.rows.tolist(), 0.0)
    for rank in range(size):
        world = World(rank, size, False, torch.device("cpu"))
        shares = world.shares(step, part)
        assert shares  # all take part in every step
        for own, factor in shares:
            for row in own.tolist():
                share[row] += factor / len(own) / size
    assert share == pytest.approx(dict.fromkeys(share, 1 / rows))


def test_a_stage_of_one_process_does_not_train_for_several(tmp_path: Path) -> None:
    """Else the numerics of its key would not be those of its bits."""
    with pytest.raises(LmspecError, match="it is 2, and this stage trains in 1 process"):
        together.trained(tmp_path, world=2)


def test_one_rank_writes_and_the_others_read(tmp_path: Path) -> None:
    """The output and the checkpoints; each has a temporary folder of its own."""
    declared = declaration.Declaration(ArtifactName("model", "cnn"), (), (), {})
    resume, shared = Resume(tmp_path / "resume", lambda: True), tmp_path / "shared"
    for here in (0, 1):
        rank = ranks.Rank(here, here, 2, "", None)
        job = child.Job(tmp_path, declared, {declaration.PARAMS: {}}, shared, "", resume, rank=rank)
        allowed = child.allowed_to(job, None)
        for place in (declared.partial / "weights", "resume/seed-1"):
            assert allowed.writes(tmp_path / place) == (here == 0)
        assert allowed.reads(tmp_path / "resume/seed-1") and allowed.writes(shared / "rank-1")


TRAINED = {"model.cnn": {"training": {"kind": "gradient_descent"}}}


def members(params: dict[str, object], name: str = "model.cnn") -> list[ranks.Rank]:
    declared = declaration.Declaration(ArtifactName.parse(name), (), (), {})
    return ranks.of(declared, {declaration.PARAMS: params}, Path("/tmp/shared"))


def test_only_gradient_descent_has_a_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logistic regression, and what trains nothing, is one process; torchrun's machines have equal
    parts, or none."""
    two: dict[str, object] = {"numerics": {"world": 2}}
    assert [(rank.number, rank.world) for rank in members(two | TRAINED)] == [(0, 2), (1, 2)]
    assert members({"numerics": {"world": 1}} | TRAINED) == members(dict(TRAINED)) == []
    assert members(two | {"model.cnn": {"training": {"kind": "logistic_regression"}}}) == []
    assert members(two | {"model.cnn": {"of": "corpus.a"}}) == []
    block = {"model.cnn": {"training": "blocks.t"}, "blocks.t": {"kind": "gradient_descent"}}
    assert len(members(two | block)) == 2
    for name, value in (("GROUP_RANK", "1"), ("GROUP_WORLD_SIZE", "2"), ("MASTER_PORT", "29400")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    four = members({"numerics": {"world": 4}} | TRAINED)
    assert [(rank.number, rank.here, rank.meeting) for rank in four] == [
        (2, 0, "127.0.0.1:29400/model-cnn"),
        (3, 1, "127.0.0.1:29400/model-cnn"),
    ]
    with pytest.raises(LmspecError, match="3 ranks cannot be divided among 2 machines"):
        members({"numerics": {"world": 3}} | TRAINED)


def test_too_few_cards_are_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is computed; each process takes the card of its number."""
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    determinism.require_device(Machine(device="cuda"), 1)
    assert taken == [1]
    with pytest.raises(LmspecError, match=r"it needs 3 or more cards .* torch finds 2"):
        determinism.require_device(Machine(device="cuda"), 2)
    determinism.require_device(Machine(device="cpu"), 2)


# in C, as gloo and NCCL do: Python itself may open no socket in a sandbox
REACHES = """
import ctypes, socket, struct, sys
from pathlib import Path
from lmspec.run import loopback, sandbox
kind, port = sys.argv[1], int(sys.argv[2])
if kind == "namespace":
    loopback.made().enter()
peers = {"none": None, "namespace": sandbox.Peers(True, None), "ports": sandbox.Peers(False, None),
         "named": sandbox.Peers(False, port)}
if kind != "open":
    everywhere = (Path("/"),)
    sandbox.close(sandbox.Allowed(everywhere, (), (), peers[kind]))
c = ctypes.CDLL(None, use_errno=True)
def address(port):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, bytes([127, 0, 0, 1]))
def connects(port):
    return c.connect(c.socket(socket.AF_INET, socket.SOCK_STREAM, 0), address(port), 16) == 0
own = c.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
c.bind(own, address(0), 16), c.listen(own, 1)
name, size = ctypes.create_string_buffer(16), ctypes.c_uint(16)
c.getsockname(own, name, ctypes.byref(size))
print(int(connects(struct.unpack("!H", name.raw[2:4])[0])), int(connects(port)),
      int(c.socket(socket.AF_INET, socket.SOCK_DGRAM, 0) >= 0))
"""


@pytest.fixture
def service() -> Iterator[int]:
    """Port of something that listens, not among those that the kernel chooses."""
    with socket.socket() as listening:
        for port in range(20_000, 30_000, 7):
            try:
                listening.bind(("127.0.0.1", port))
                break
            except OSError:
                continue
        listening.listen()
        yield port


@pytest.mark.skipif(sandbox.version() < 4, reason="Landlock 4 limits TCP")
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("open", "1 1 1"),  # the negative control
        ("none", "0 0 0"),
        ("ports", "1 0 0"),
        ("named", "1 1 0"),
        pytest.param(
            "namespace",
            "1 0 0",
            marks=pytest.mark.skipif(loopback.made() is None, reason="no namespaces for users"),
        ),
    ],
)
def test_ranks_reach_each_other_and_nothing_else(kind: str, expected: str, service: int) -> None:
    """(a port that the kernel chose, a service, UDP): in a network of their own, or by ports."""
    done = subprocess.run(
        [sys.executable, "-c", REACHES, kind, str(service)],
        cwd=miniature.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == expected, done.stderr


STEP = "            step = next(steps)\n"
DIES = {
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "raises": "raise RuntimeError('a card fell off the bus')",
    "refuses": "raise LmspecError('here', 'this text is odd', 'correct it')",
}


def planted(built: Path, folder: Path, world: int, statement: str = "pass") -> Path:
    """A copy of the miniature in which model-cnn is trained by a world, with a statement before
    each step."""
    from tests.planting import copied

    project = copied(built, folder)
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("numerics: {", f"numerics: {{world: {world}, "))
    loop = project / "lmspec/training/loop.py"
    source = loop.read_text()
    assert source.count(STEP) == 1
    lines = "".join(
        f"            {line}\n"
        for line in (
            "import os, signal",
            "from lmspec.errors import LmspecError",
            f"if done == 3: {statement}",
        )
    )
    loop.write_text(source.replace(STEP, lines + STEP))
    return project


def build(project: Path, code: int) -> str:
    return miniature.run(project, sys.executable, "-m", "lmspec.run", "model", "cnn", code=code)


def dies(rank: int, how: str) -> str:
    return f"os.environ['RANK'] == '{rank}' and exec({DIES[how]!r})"


def test_a_process_that_dies_ends_the_build_with_one_message(built: Path, tmp_path: Path) -> None:
    """The others, which wait for it in the middle of a step, end without a word; nothing is
    left, and nothing was written."""
    project = planted(built, tmp_path / "project", 2, dies(1, "killed"))
    before = miniature.fingerprints(project)
    output = build(project, 1)
    assert output.count("lmspec: ") == 1 and "Traceback" not in output
    assert "model-cnn: its process 2 of 2 was ended by SIGKILL (out of memory?)" in output
    assert processes(project) == [] and miniature.fingerprints(project) == before


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("how", DIES)
def test_whichever_process_dies_in_whatever_way(
    built: Path, tmp_path: Path, rank: int, how: str
) -> None:
    """One message, which is that of the one that died."""
    project = planted(built, tmp_path / "project", 3, dies(rank, how))
    output = build(project, 1)
    expected = {
        "killed": f"its process {rank + 1} of 3 was ended by SIGKILL",
        "raises": "RuntimeError: a card fell off the bus",
        "refuses": "lmspec: here: this text is odd",
    }
    assert expected[how] in output
    assert output.count("Traceback") == (how == "raises")
    assert output.count("lmspec: ") == (how != "raises")
    assert processes(project) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_supervisor_ends_all(
    built: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """While they train."""
    slowly = "import time; time.sleep(60)"
    project = planted(built, tmp_path / "project", 2, f"exec({slowly!r})")
    with subprocess.Popen(
        [sys.executable, "-m", "lmspec.run", "model", "cnn"],
        cwd=project,
        env=miniature.environment(),
        stderr=subprocess.DEVNULL,
    ) as first:
        assert wait_until(lambda: len(processes(project)) == 3, 60)
        os.kill(first.pid, number)
        first.wait(40)
    assert wait_until(lambda: processes(project) == [], 5)


@pytest.mark.slow
def test_a_stage_of_two_processes_repeats_to_the_byte(built: Path, tmp_path: Path) -> None:
    """In the sandbox, whatever the machine's settings; and the bytes are not those of one."""
    project = planted(built, tmp_path / "project", 2)
    found = []
    for _ in range(2):
        build(project, 0)
        found.append(miniature.fingerprints(project))
    assert found[0] == found[1]
    model = "data/model/cnn/model.safetensors"
    assert found[0][model] != miniature.fingerprints(built)[model]
    provenance = json.loads((project / "data/provenance/model-cnn.json").read_text())
    assert "kernel" in json.dumps(provenance)
