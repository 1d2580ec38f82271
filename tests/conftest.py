"""conftest: the miniature project, built once for all tests that look at it."""

from pathlib import Path

import pytest

from tests import miniature


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature project, built by `dvc repro` and committed. Tests leave it as they found it, or copy it."""
    folder = miniature.make(tmp_path_factory.mktemp("miniature"))
    miniature.dvc(folder, "repro")
    miniature.run(folder, "git", "add", "-A")
    miniature.run(folder, "git", "commit", "-q", "-m", "built")
    return folder
