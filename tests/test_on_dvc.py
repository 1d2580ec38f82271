"""DVC on top of lmspec: remotes, experiments, checkout, garbage collection and the run-cache work
as a DVC user expects."""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from moto import settings
from moto.server import ThreadedMotoServer
from ruamel.yaml import YAML

from tests import miniature

LINE = ["sources-old", "corpus-old", "splits-old", "model-cnn"]  # a model and what it is made from
ACCOUNT = {
    "aws_access_key_id": "unknown",
    "aws_secret_access_key": "yet",
    "region_name": "us-east-1",
}
ALLOWED = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}


class Repeated(Exception):
    """A run was, or would be, repeated though its result is known."""


@pytest.fixture(scope="module", autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What DVC remembers of remotes, and what this machine knows of clouds, has no part in these
    tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("site")))
        patch.setenv("AWS_CONFIG_FILE", "no-such-file")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "no-such-file")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        patch.setenv("NO_PROXY", "127.0.0.1")
        for name in (
            "AWS_PROFILE",
            "AWS_SESSION_TOKEN",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ENDPOINT_URL",
        ):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    """The built project again, with a cache of its own: a test may do anything to it."""
    folder = tmp_path / "copy"
    shutil.copytree(built, folder, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def published(built: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """origin: the built project, pushed to the folder `remote`."""
    place = tmp_path_factory.mktemp("published")
    origin, remote = place / "origin", place / "remote"
    shutil.copytree(built, origin, symlinks=True)
    add_remote(origin, str(remote))
    miniature.dvc(origin, "push")
    return SimpleNamespace(origin=origin, remote=remote)


@pytest.fixture(scope="module")
def experiment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built project, with an experiment `other` that ran in a folder of its own."""
    folder = tmp_path_factory.mktemp("experiment") / "copy"
    shutil.copytree(built, folder, symlinks=True)
    printed = miniature.dvc(
        folder, "exp", "run", "--temp", "--name", "other", "-S", "splits.new.seed=2", "splits-new"
    )
    assert miniature.ran(printed) == ["splits-new"]
    return folder


@dataclass(frozen=True)
class Bucket:
    """A bucket of an S3 server that checks signatures, and a user who may use it."""

    endpoint: str
    name: str
    key: str
    secret: str

    def objects(self) -> dict[str, int]:
        """Key -> bytes."""
        known = {
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.secret,
            "region_name": "us-east-1",
        }
        client = boto3.client("s3", endpoint_url=self.endpoint, **known)
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """Once there is a user, an unknown key or an invalid signature is rejected."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=endpoint, **ACCOUNT).create_bucket(Bucket="models")
    iam = boto3.client("iam", endpoint_url=endpoint, **ACCOUNT)
    iam.create_user(UserName="builder")
    iam.put_user_policy(UserName="builder", PolicyName="s3", PolicyDocument=json.dumps(ALLOWED))
    made = iam.create_access_key(UserName="builder")["AccessKey"]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
        yield Bucket(endpoint, "models", made["AccessKeyId"], made["SecretAccessKey"])
    server.stop()


def add_remote(folder: Path, url: str, **options: str) -> None:
    """Make it the default remote, and commit that."""
    config = folder / ".dvc/config"
    config.write_text(
        "[core]\n    analytics = false\n    remote = storage\n"
        f"{section('storage', url=url, **options)}"
    )
    miniature.run(folder, "git", "commit", "--quiet", "--all", "-m", "a remote")


def section(remote: str, **options: str) -> str:
    """What `dvc remote add` and `dvc remote modify` write, without a process for each."""
    return f"['remote \"{remote}\"']\n" + "".join(
        f"    {name} = {value}\n" for name, value in options.items()
    )


def clone(origin: Path, folder: Path) -> Path:
    """What a colleague has after `git clone`."""
    miniature.run(origin, "git", "clone", "--quiet", str(origin), str(folder))
    return folder


def locked(folder: Path) -> dict[str, dict[str, dict[str, object]]]:
    """Stage -> path of an output -> its entry in dvc.lock."""
    stages = YAML(typ="safe").load(folder / "dvc.lock")["stages"]
    return {name: {out["path"]: out for out in stage["outs"]} for name, stage in stages.items()}


def cached(folder: Path) -> set[str]:
    """Objects in the project's cache, as `ab/cdef`."""
    root = folder / ".dvc/cache/files/md5"
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def named(folder: Path) -> set[str]:
    """Objects that dvc.lock names and git does not hold, those in directories too, as `ab/cdef`."""
    hashes = set()
    for outs in locked(folder).values():
        for path, entry in outs.items():
            md5 = str(entry["md5"])
            if md5.endswith(".dir"):
                listing = folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
                hashes |= {md5, *(file["md5"] for file in json.loads(listing.read_text()))}
            elif not path.startswith(("data/metrics/", "data/provenance/")):
                hashes.add(md5)
    return {f"{md5[:2]}/{md5[2:]}" for md5 in hashes}


def assert_same(folder: Path, built: Path) -> None:
    """Every byte is there, and git sees no change."""
    assert miniature.fingerprints(folder) == miniature.fingerprints(built)
    assert miniature.run(folder, "git", "status", "--porcelain") == ""


def test_a_clone_pulls_and_builds_nothing(
    built: Path, published: SimpleNamespace, tmp_path: Path
) -> None:
    """`git clone` and `dvc pull` give every file; the remote holds what dvc.lock names and git does
    not hold, and no more."""
    store = published.remote / "files/md5"
    pushed = {
        path.relative_to(store).as_posix() for path in published.remote.rglob("*") if path.is_file()
    }
    assert pushed == named(published.origin)
    other = clone(published.origin, tmp_path / "other")
    miniature.dvc(other, "pull")
    assert miniature.ran(miniature.dvc(other, "repro")) == []
    assert_same(other, built)


@pytest.mark.slow
def test_an_object_that_the_remote_lost_is_named(
    published: SimpleNamespace, tmp_path: Path
) -> None:
    """`dvc pull` from a remote that lacks one object says which output cannot be had, and brings
    the others."""
    origin = clone(published.origin, tmp_path / "other")
    remote = shutil.copytree(published.remote, tmp_path / "remote")
    (origin / ".dvc/config.local").write_text(section("storage", url=str(remote)))
    md5 = str(locked(origin)["model-cnn"]["data/model/cnn"]["md5"])
    (remote / "files/md5" / md5[:2] / md5[2:]).unlink()
    printed = miniature.dvc(origin, "pull", code=1)
    assert "data/model/cnn" in printed and "Traceback" not in printed
    assert (origin / "data/model/gru").is_dir() and not (origin / "data/model/cnn").exists()


def test_s3_takes_and_gives_everything(
    built: Path, copy: Path, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the S3 protocol, with signed requests: the bucket holds what dvc.lock names, and a
    clone pulls every byte.

    The one who pushes keeps the credentials in .dvc/config.local, which git does not see; a clone
    has them in its environment.
    """
    add_remote(copy, f"s3://{bucket.name}/cache", endpointurl=bucket.endpoint)
    (copy / ".dvc/config.local").write_text(
        section("storage", access_key_id=bucket.key, secret_access_key=bucket.secret)
    )
    miniature.dvc(copy, "push")
    objects = bucket.objects()
    assert {key.removeprefix("cache/files/md5/") for key in objects} == named(copy)
    store = copy / ".dvc/cache/files/md5"
    assert all(
        size == (store / key.removeprefix("cache/files/md5/")).stat().st_size
        for key, size in objects.items()
    )
    other = clone(copy, tmp_path / "other")
    assert not (other / ".dvc/config.local").exists()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.secret)
    miniature.dvc(other, "pull")
    assert_same(other, built)


@pytest.mark.parametrize(
    ("change", "printed"),
    [
        ({"secret_access_key": "wrong"}, "(403)"),
        pytest.param({"access_key_id": "AKIANOBODY"}, "(403)", marks=pytest.mark.slow),
        pytest.param({"url": "s3://nowhere/cache"}, "NoSuchBucket", marks=pytest.mark.slow),
        ({"endpointurl": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
    ],
    ids=["secret", "key", "bucket", "endpoint"],
)
def test_s3_that_cannot_be_used_is_one_error(
    published: SimpleNamespace, bucket: Bucket, change: dict[str, str], printed: str
) -> None:
    """A wrong secret, key, bucket or endpoint: `dvc push` exits with an error that names what is
    wrong, without a traceback."""
    right = {"url": f"s3://{bucket.name}/other", "endpointurl": bucket.endpoint}
    right |= {"access_key_id": bucket.key, "secret_access_key": bucket.secret}
    (published.origin / ".dvc/config.local").write_text(section("wrong", **{**right, **change}))
    output = miniature.dvc(published.origin, "push", "--remote", "wrong", code=255)
    assert printed in output and output.count("ERROR:") == 1 and "Traceback" not in output


def test_an_experiment_is_built_beside_the_workspace(
    built: Path, experiment: Path, tmp_path: Path
) -> None:
    """`dvc exp run --temp` leaves the workspace as it is, `dvc exp apply` brings it in, git and
    `dvc checkout` lead back."""
    folder = shutil.copytree(experiment, tmp_path / "copy", symlinks=True)
    assert_same(folder, built)
    miniature.dvc(folder, "exp", "apply", "other")
    changed = miniature.run(folder, "git", "diff", "--name-only").split()
    assert changed == ["data/provenance/splits-new.json", "dvc.lock", "params.yaml"]
    record = json.loads((folder / "data/provenance/splits-new.json").read_text())
    assert (
        record[0][0]["predicate"]["buildDefinition"]["externalParameters"]["params"]["splits.new"][
            "seed"
        ]
        == 2
    )
    before, after = miniature.fingerprints(built), miniature.fingerprints(folder)
    assert set(before) == set(after)
    assert {str(Path(path).parent) for path in before if before[path] != after[path]} == {
        "data/splits/new",
        "data/provenance",
    }
    miniature.run(folder, "git", "checkout", "--quiet", ".")
    miniature.dvc(folder, "checkout")
    assert_same(folder, built)


def test_gc_keeps_what_the_workspace_needs_and_no_more(
    built: Path, experiment: Path, tmp_path: Path
) -> None:
    """`dvc gc --workspace` removes the experiment's objects; from what is left and git, every file
    comes back."""
    folder = shutil.copytree(experiment, tmp_path / "copy", symlinks=True)
    assert named(folder) < cached(folder)
    miniature.dvc(folder, "gc", "--workspace", "--force")
    assert cached(folder) == named(folder)
    shutil.rmtree(folder / "data")
    miniature.run(folder, "git", "checkout", "--quiet", "data")
    miniature.dvc(folder, "checkout")
    assert_same(folder, built)


def test_damaged_outputs_are_restored(built: Path, copy: Path) -> None:
    """`dvc status` tells of an output that was edited and of one that is gone; `dvc checkout`
    brings both back."""
    (copy / "data/splits/new/train.parquet").write_bytes(b"nothing")
    shutil.rmtree(copy / "data/model/cnn")
    status = json.loads(miniature.dvc(copy, "status", "--json", "splits-new", "model-cnn"))
    assert status["splits-new"] == [{"changed outs": {"data/splits/new": "modified"}}]
    assert status["model-cnn"] == [{"changed outs": {"data/model/cnn": "deleted"}}]
    miniature.dvc(copy, "checkout", "--force")
    assert_same(copy, built)


def test_the_run_cache_gives_results_back_without_dvc_lock(
    built: Path, copy: Path, tmp_path: Path
) -> None:
    """A clone that shares the cache, and has lost dvc.lock, records and metrics, runs nothing: all
    bytes come back.

    What DVC remembers of runs does it: without that, a stage runs.
    """
    other = clone(copy, tmp_path / "other")
    (other / ".dvc/config.local").write_text(f"[cache]\n    dir = {copy / '.dvc/cache'}\n")
    shutil.rmtree(other / "data")
    (other / "dvc.lock").unlink()
    printed = miniature.dvc(other, "repro", LINE[-1])
    assert miniature.ran(printed) == [] and printed.count("is cached - skipping run") == len(LINE)
    assert locked(other) == {name: outs for name, outs in locked(built).items() if name in LINE}
    expected, found = miniature.fingerprints(built), miniature.fingerprints(other)
    assert found == {path: expected[path] for path in expected if path in found}
    assert {
        "data/provenance/model-cnn.json",
        "data/metrics/model-cnn.json",
        "data/metrics/model-cnn/curve.csv",
    } < set(found)
    shutil.rmtree(copy / ".dvc/cache/runs")
    (other / "dvc.lock").unlink()
    assert miniature.ran(miniature.dvc(other, "repro", LINE[0])) == [LINE[0]]


def test_repro_takes_a_lost_output_from_the_cache(built: Path, copy: Path) -> None:
    """A deleted model is not trained again, nor are its provenance and table rewritten."""
    shutil.rmtree(copy / "data/model/cnn")
    (copy / "data/provenance/model-cnn.json").unlink()
    (copy / "data/metrics/model-cnn/curve.csv").unlink()
    assert miniature.ran(miniature.dvc(copy, "repro", "model-cnn")) == []
    assert_same(copy, built)


@pytest.mark.slow
@pytest.mark.xfail(
    raises=Repeated,
    strict=True,
    reason="`dvc push` sends the run-cache, but no copy of an output with `cache: false`",
)
def test_a_remote_gives_results_back_without_dvc_lock(copy: Path, tmp_path: Path) -> None:
    """A clone without dvc.lock pulls what is remembered of runs, and runs nothing."""
    add_remote(copy, str(tmp_path / "remote"))
    miniature.dvc(copy, "push", "--run-cache")
    other = clone(copy, tmp_path / "other")
    (other / "dvc.lock").unlink()
    miniature.dvc(other, "fetch", "--run-cache", "sources-new")
    assert (other / ".dvc/cache/runs").is_dir()
    if miniature.ran(miniature.dvc(other, "repro", "--pull", "sources-new")):
        raise Repeated("it ran again")
