"""What a deployment has starts the service elsewhere: as an image, a unit, an InferenceService.

There is no container here, so the steps of the Dockerfile are done in a folder.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from lmspec.cli.main import main
from lmspec.errors import LmspecError
from lmspec.formats import manifest, shipping
from lmspec.formats.predict import Classifier
from lmspec.scaffold import deployment, serving_wheels
from lmspec.serving import opening
from tests import bundles, dockerfile, writingbundles
from tests.dockerfile import Image
from tests.kserve import INFERENCE_SERVICE
from tests.miniature import ROOT
from tests.test_connections import new_folder

SERVING = {"max_text_bytes": 4096, "max_texts": 8, "max_body_bytes": 65536, "queue": 64}
SERVING |= {"timeout_ms": 20_000, "drain_seconds": 40, "empty_text": "no_answer"}
UNIT = "lmspec-release.service"
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
EXPOSED = 1.6  # of 10: what `systemd-analyze security` calls OK ends at 4.9


def free_port() -> int:
    """One that no one listens on, for now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make(new_folder(tmp_path_factory.mktemp("of") / "release"), SERVING)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def folder(bundle: Path, port: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployment, as the command writes it."""
    to = tmp_path_factory.mktemp("deployment") / "release"
    options = ["--write-deployment", str(to), "--port", str(port), "--threads", "2"]
    done = CliRunner().invoke(main, ["serve", str(bundle), *options])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("wrote Dockerfile, kserve.yaml, lmspec-")
    return to


def service_of(folder: Path) -> Any:
    """kserve.yaml, parsed."""
    return YAML(typ="safe").load(folder / "kserve.yaml")


def test_it_has_all_that_it_names_and_nothing_else(folder: Path, bundle: Path) -> None:
    """The bundle as it was built, and this lmspec; the same again gives the same bytes."""
    names = {path.name for path in folder.iterdir()}
    (package,) = [name for name in names if name.endswith(".whl")]
    generated = {"Dockerfile", "kserve.yaml", UNIT, "requirements.txt"}
    assert names == {*generated, package, "release"}
    copied = {path.name: path.read_bytes() for path in (folder / "release").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in bundle.iterdir()}
    again = folder.parent / "again"
    port = service_of(folder)["spec"]["predictor"]["containers"][0]["ports"][0]["containerPort"]
    deployment.write(opening.opened(bundle), again, port, ["--threads", "2"])
    for name in (*generated, package):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
        if name in ("Dockerfile", UNIT):
            assert package in (folder / name).read_text()


@contextlib.contextmanager
def started(image: Image, **options: Any) -> Iterator[dict[str, Any]]:
    """The service of an image; its log up to the first request, by event. It ends well."""
    process = image.start(image.entrypoint, stderr=subprocess.PIPE, **options)
    assert process.stderr is not None
    log: dict[str, Any] = {}
    try:
        while "ready" not in log:
            line = process.stderr.readline()
            assert line.startswith("{"), line + process.stderr.read()
            log[json.loads(line)["event"]] = json.loads(line)
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stderr.close()


def answer(port: int, text: str) -> dict[str, float]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/classify",
        json.dumps({"text": text}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        probabilities: dict[str, float] = json.load(response)["answers"][0]["probabilities"]
        return probabilities


def healthy(image: Image) -> bool:
    """As the HEALTHCHECK has it."""
    return image.start(image.health, stderr=subprocess.DEVNULL).wait(60) == 0


def test_the_image_starts_and_is_healthy(folder: Path, port: int, tmp_path: Path) -> None:
    """All steps of the Dockerfile but what pip does: it answers as predict.py, and only while it
    runs is it healthy."""
    image = Image(tmp_path, Path(sys.executable).parent)
    dockerfile.built(folder, image, os.environ, run=False)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (image.base, image.user) == (f"python:{version}-slim", "10001:10001")
    assert [command[:2] for command in image.ran] == [["pip", "install"]] * 2
    assert not healthy(image)
    with started(image) as log:
        ready = log["ready"]
        assert ready["url"] == f"http://0.0.0.0:{port}" and ready["threads"] == 2
        assert ready["bundle"] == "release" and healthy(image)
        assert answer(port, "the film") == Classifier(folder / "release").predict("the film")
    assert not healthy(image)


def others_may_run() -> bool:
    """Can this be another user, and may that one read this Python?"""
    base = Path(sys.base_prefix).resolve()
    readable = all(path.stat().st_mode & stat.S_IXOTH for path in (base, *base.parents))
    return readable and os.geteuid() == 0


def write_no_code() -> None:
    """As MemoryDenyWriteExecute of the unit has it, where the kernel can: Linux 6.3."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)


@pytest.mark.slow
def test_the_image_needs_nothing_but_what_its_dockerfile_installs(folder: Path, port: int) -> None:
    """All steps, in an environment that has nothing else, as a user who may write nowhere."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        root.chmod(0o755)
        subprocess.run([sys.executable, "-m", "venv", root / "usr"], check=True)
        image = dockerfile.built(folder, Image(root, root / "usr/bin"), os.environ)
        before = sorted(root.rglob("*"))
        other = {"user": 10001, "group": 10001, "extra_groups": []} if others_may_run() else {}
        with started(image, **other):
            assert healthy(image)
            assert answer(port, "the film") == Classifier(folder / "release").predict("the film")
        assert sorted(root.rglob("*")) == before
        installed = subprocess.run(
            [root / "usr/bin/python", "-m", "pip", "list", "--format", "json"],
            check=True,
            capture_output=True,
        )
        names = {one["name"].lower() for one in json.loads(installed.stdout)}
        assert {"lmspec", "onnxruntime", "starlette"} <= names
        assert not names & {"torch", "transformers", "dvc", "scipy"}
        # what it may be started with: a log of requests, and a shadow
        logs = root / "logs"
        logs.mkdir()
        shutil.chown(logs, *([10001, 10001] if other else [os.geteuid()]))
        image.entrypoint += ["--log", "/logs/requests.parquet", "--shadow", "/srv/release"]
        unit = (folder / UNIT).read_text()
        assert "MemoryDenyWriteExecute=yes" in unit
        image.environment |= dict(
            line.split("=", 1) for line in re.findall(r"(?m)^Environment=(.*)", unit)
        )
        with started(image, **other, preexec_fn=write_no_code) as log:
            assert log["shadow ready"]["bundle"] == "release"
            answer(port, "the film")
        assert (logs / "requests-000001.parquet").stat().st_size > 0


def test_requirements_are_those_of_the_bundle_and_of_a_service(bundle: Path) -> None:
    """With all hashes where lmspec knows them; a bundle of other versions has pins alone."""
    own = (bundle / "requirements.txt").read_text()
    text, hashed = deployment.requirements(own)
    assert hashed == ("--hash" in own)
    pins = dict(shipping.LOCKED.findall(text))
    assert dict(shipping.LOCKED.findall(own)).items() <= pins.items()
    assert {name.replace("_", "-") for name in deployment.PACKAGES} <= {
        name.replace("_", "-") for name in pins
    }
    assert ("llguidance" in pins) == ("llguidance" in own)
    other, hashed = deployment.requirements("numpy==1.0\nonnxruntime==1.0\n")
    assert not hashed and "numpy==1.0\n" in other and "starlette==" in other
    changed = re.sub(r"(?m)^numpy==\S+", "numpy==1.0", own)
    assert deployment.requirements(changed)[1] is False


def test_the_lock_of_a_service_agrees_with_the_project() -> None:
    """With requirements.lock, and with what bundles have. If not: `make wheels`."""
    from lmspec.formats import wheels

    known = re.compile(r"^([\w.-]+)==([^\s;]+)", re.M)
    project = {
        name.lower().replace("_", "-"): version
        for name, version in known.findall((ROOT / "requirements.lock").read_text())
    }
    served = dict(shipping.LOCKED.findall(serving_wheels.LOCK))
    assert dict(shipping.LOCKED.findall(wheels.LOCK)).items() <= served.items()
    for name, version in served.items():
        assert project.get(name.replace("_", "-"), version) == version
    assert {"starlette", "uvicorn", "polars", "h11"} <= served.keys()


def test_kserve_takes_it(folder: Path, bundle: Path, port: int) -> None:
    """By the fields of its CRD; the container speaks its protocol v2 at the port of the image."""
    values = service_of(folder)
    jsonschema.validate(values, INFERENCE_SERVICE)
    (container,) = values["spec"]["predictor"]["containers"]
    assert container["ports"][0]["containerPort"] == port
    assert container["env"] == [{"name": "PROTOCOL", "value": "v2"}]
    paths = [container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("readiness", "liveness")]
    from lmspec.serving import inference

    assert paths == [inference.READY, inference.LIVE]
    assert values["spec"]["predictor"]["terminationGracePeriodSeconds"] > SERVING["drain_seconds"]
    digest = manifest.read(bundle).digest
    assert values["metadata"]["annotations"] == {"lmspec.bundle": digest}
    for change in ({"protocolVersion": "v2"}, {"name": "other"}, {"ports": [{"port": port}]}):
        with pytest.raises(jsonschema.ValidationError):
            wrong = {**values, "spec": {"predictor": {"containers": [container | change]}}}
            jsonschema.validate(wrong, INFERENCE_SERVICE)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("release", "release"), ("My_Model.2", "my-model-2"), ("7b", "bundle-7b"), ("_", "bundle")],
)
def test_names_are_those_that_kubernetes_takes(name: str, shown: str) -> None:
    """Which has letters, digits and hyphens alone."""
    assert deployment.kubernetes_name(name) == shown
    jsonschema.validate(shown, INFERENCE_SERVICE["properties"]["metadata"]["properties"]["name"])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_takes_the_unit_and_finds_it_closed(folder: Path, tmp_path: Path) -> None:
    """Its programs aside, which are not installed here; without its limits it is exposed."""
    text = (folder / UNIT).read_text()
    assert "ExecStart=/opt/lmspec-release/venv/bin/lmspec serve " in text
    unit = tmp_path / UNIT
    unit.write_text(text.replace("/opt/lmspec-release/venv/bin/lmspec", "/bin/true"))
    analyze = ["systemd-analyze", "--no-pager"]
    done = subprocess.run([*analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.replace(str(unit), "")) == (0, "", "")

    def exposure(content: str) -> float:
        unit.write_text(content)
        command = [*analyze, "security", "--offline=true", str(unit)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
        assert found, done.stdout + done.stderr
        return float(found[1])

    assert exposure(text) <= EXPOSED
    open_ = re.sub(r"(?m)^(Protect|Private|Restrict|Capability|System|NoNew|Dynamic).*\n", "", text)
    assert exposure(open_) > 8


def test_a_bundle_that_writes_has_other_probes(tmp_path: Path) -> None:
    """It does not speak the Open Inference Protocol."""
    bundle = writingbundles.make(tmp_path / "writes")
    deployment.write(opening.opened(bundle), tmp_path / "to", 8000)
    values = service_of(tmp_path / "to")
    jsonschema.validate(values, INFERENCE_SERVICE)
    (container,) = values["spec"]["predictor"]["containers"]
    assert "env" not in container
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    pins = shipping.LOCKED.findall((tmp_path / "to" / "requirements.txt").read_text())
    assert "llguidance" in dict(pins)


def test_what_cannot_be_deployed_is_refused(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one message, and nothing is written."""
    opened = opening.opened(bundle)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(LmspecError, match="no empty folder"):
        deployment.write(opened, tmp_path / "full", 8000)
    spaced = opening.opened(shutil.copytree(bundle, tmp_path / "a b"))
    with pytest.raises(LmspecError, match="no name for an image"):
        deployment.write(spaced, tmp_path / "to", 8000)
    monkeypatch.setattr(deployment.wheel, "of_installed", lambda: None)
    with pytest.raises(LmspecError, match="folder on the path"):
        deployment.write(opened, tmp_path / "to", 8000)
    assert not (tmp_path / "to").exists()
    options = ["--write-deployment", str(tmp_path / "to"), "--keys", "keys"]
    done = CliRunner().invoke(main, ["serve", str(bundle), *options])
    assert done.exit_code == 2 and "--write-deployment" in done.output
