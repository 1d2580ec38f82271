"""huggingface: a snapshot of a hub repository at a pinned revision."""

import shutil
import tempfile
from pathlib import Path

from huggingface_hub import snapshot_download

from lmspec.errors import LmspecError
from lmspec.methods.sources import digest
from lmspec.specs.sources import HuggingfaceSource


def fetch(spec: HuggingfaceSource, root: Path, out: Path) -> None:
    """Download the allowed files, then check the hash of all together.

    Endpoint and token: HF_ENDPOINT, HF_TOKEN.
    """
    what = f"{spec.repo}@{spec.revision[:12]}"
    with tempfile.TemporaryDirectory() as scratch:
        try:
            snapshot_download(
                spec.repo,
                repo_type=spec.repo_type,
                revision=spec.revision,
                allow_patterns=list(spec.allow),
                local_dir=scratch,
            )
        # the hub client, its HTTP library and its cache raise a dozen unrelated types
        except Exception as error:
            reason = f"the hub did not give it: {type(error).__name__}: {error}"
            raise LmspecError(
                what, reason, "check the name, the revision, the token and the network"
            ) from error
        shutil.rmtree(Path(scratch, ".cache"), ignore_errors=True)  # of the client
        if not any(Path(scratch).iterdir()):
            raise LmspecError(what, f"no file matches {list(spec.allow)}", "correct `allow`")
        digest.require(Path(scratch), spec.sha256, what)
        shutil.copytree(scratch, out, dirs_exist_ok=True)
