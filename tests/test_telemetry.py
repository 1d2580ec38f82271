"""onnxruntime reports to its maker as soon as it is imported: not where lmspec or a bundle runs it.

What can be seen of it without a network is the identifier that it keeps in the home folder.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lmspec.formats import deployed_writing
from tests import bundles
from tests.test_connections import Process, new_folder

HERE = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}


def left_at_home(home: Path, *command: str) -> list[str]:
    """Files that a Python program left there."""
    home.mkdir()
    environment = HERE | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True)
    return sorted(path.name for path in home.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without lmspec there is something to see."""
    home = tmp_path_factory.mktemp("of") / "home"
    if not left_at_home(home, "-c", "import onnxruntime"):
        pytest.skip("this onnxruntime has no telemetry")


@pytest.mark.usefixtures("control")
def test_a_bundle_reports_nothing(tmp_path: Path) -> None:
    """Neither predict.py nor who imports it, of labels and of texts."""
    folder = bundles.make(new_folder(tmp_path / "labels"))
    assert left_at_home(tmp_path / "a", str(folder / "predict.py"), "the film") == []
    writes = new_folder(tmp_path / "writes")
    deployed_writing.write(writes, constrained=False)
    for number, place in enumerate((folder, writes)):
        code = f"import sys; sys.path.insert(0, {str(place)!r}); import predict, onnxruntime"
        assert left_at_home(tmp_path / str(number), "-c", code) == []


@pytest.mark.usefixtures("control")
def test_a_service_and_its_shadow_report_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does any other command."""
    folder = bundles.make(new_folder(tmp_path / "labels"))
    home = new_folder(tmp_path / "home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    assert Process(folder, "--shadow", str(folder)).stop(signal.SIGTERM) == 0
    assert list(home.rglob("*")) == []
    code = "import lmspec.cli.main, onnxruntime"
    assert left_at_home(tmp_path / "command", "-c", code) == []
