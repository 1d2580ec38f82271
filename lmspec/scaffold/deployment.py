"""deployment: a folder that has all that a bundle is served with elsewhere.

The bundle, this lmspec as a wheel, the packages that both need, and what starts them: an image, a
unit of systemd, an InferenceService of KServe. The bundle itself stays without any of it, so that
its hash does not depend on how it is deployed. The same bundle and lmspec give the same bytes.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.formats import manifest, shipping
from lmspec.scaffold import serving_wheels, wheel
from lmspec.scaffold.filling import filled
from lmspec.serving.opening import Opened, WritingBundle

PACKAGES = (
    "click",
    "httptools",
    "polars",
    "prometheus_client",
    "starlette",
    "uvicorn",
    "uvloop",
)  # of a service, beside those of its bundle
PINNED = "# Built with these; lmspec has the hashes of other versions.\n"
ROOT = "/srv"  # in the image
HERE, EVERYWHERE = "127.0.0.1", "0.0.0.0"
MORE_SECONDS = 15  # than requests have when a service stops
MIB = 2**20
GRAPH_COPIES, BESIDE_MIB, STEP_MIB = 4, 512, 256  # of the memory that is asked for
NO_LETTER = re.compile(r"[^a-z0-9]+")
MOST_NAME = 50  # characters; of Kubernetes 63, of which KServe adds some
HEALTH = (
    "import http.client as h; c = h.HTTPConnection('127.0.0.1', {port}, timeout=4); "
    "c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"
)


def write(bundle: Opened, folder: Path, port: int, options: Sequence[str] = ()) -> list[str]:
    """Write it into a new folder. Returns the names of what is there.

    options  of `lmspec serve`, which it is started with
    Raises LmspecError.
    """
    package = _package()
    if not manifest.PLAIN.fullmatch(bundle.name):
        found = f"its folder is called {bundle.name!r}, which is no name for an image or a unit"
        raise LmspecError(str(bundle.folder), found, "rename it: letters, digits, _ . and -")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found = "it is no empty folder"
        raise LmspecError(str(folder), found, "name a new one, or empty it")
    texts = dict(_texts(bundle, package.name, port, options))
    copied = folder / bundle.name
    copied.mkdir(parents=True)
    for name in (manifest.NAME, *sorted(bundle.manifest.files)):
        (copied / name).parent.mkdir(exist_ok=True, parents=True)
        (copied / name).write_bytes((bundle.folder / name).read_bytes())
    manifest.checked(copied, ())
    (folder / package.name).write_bytes(package.content)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return sorted([*texts, package.name, f"{bundle.name}/"])


def _package() -> wheel.Wheel:
    package = wheel.of_installed()
    if package is None:
        found = "it is a folder on the path, and a deployment installs it as a package"
        raise LmspecError("lmspec", found, "install it: docs/install.md")
    return package


def _texts(
    bundle: Opened, package: str, port: int, options: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """(name, text) of what is generated."""
    text, hashed = requirements((bundle.folder / "requirements.txt").read_text(encoding="utf-8"))
    yield "requirements.txt", text
    name, unit = bundle.name, f"lmspec-{bundle.name}.service"
    folder = f"/opt/lmspec-{name}"
    writes = isinstance(bundle, WritingBundle)
    common = {
        "name": name,
        "digest": bundle.manifest.digest,
        "image": f"lmspec-{name.lower()}:{bundle.manifest.digest[:12]}",
        "port": port,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "stop_seconds": bundle.limits.drain_seconds + MORE_SECONDS,
        "wheel": package,
        "checked": "--require-hashes --no-deps " if hashed else "",
    }

    def command(program: str, place: str, host: str) -> list[str]:
        return [program, "serve", f"{place}/{name}", "--host", host, "--port", str(port), *options]

    yield (
        "Dockerfile",
        filled(
            "Dockerfile.tmpl",
            common
            | {
                "health": json.dumps(["python", "-c", HEALTH.format(port=port)]),
                "command": json.dumps(command("lmspec", ROOT, EVERYWHERE)),
            },
        ),
    )
    yield (
        unit,
        filled(
            "service.tmpl",
            common
            | {
                "folder": folder,
                "unit": unit,
                "command": " ".join(command(f"{folder}/venv/bin/lmspec", folder, HERE)),
            },
        ),
    )
    yield (
        "kserve.yaml",
        filled(
            "kserve.yaml.tmpl",
            common
            | {
                "kubernetes": kubernetes_name(name),
                "request_seconds": -(-bundle.limits.timeout_ms // 1000) + MORE_SECONDS,
                "protocol": "" if writes else PROTOCOL,
                "ready": "/readyz" if writes else "/v2/health/ready",
                "live": "/healthz" if writes else "/v2/health/live",
                "memory": f"{memory_mib(bundle)}Mi",
            },
        ),
    )


PROTOCOL = """
        env:
          - {name: PROTOCOL, value: v2}"""


def requirements(own: str) -> tuple[str, bool]:
    """Those of a service, and whether they have hashes: if lmspec knows those of the bundle's.

    own  requirements.txt of the bundle
    """
    pinned = dict(shipping.LOCKED.findall(own))
    locked = dict(shipping.LOCKED.findall(serving_wheels.LOCK))
    if "--hash" in own and all(locked.get(name) == version for name, version in pinned.items()):
        constrained = shipping.OPTIONAL in pinned
        entries = shipping.ENTRY.split(serving_wheels.LOCK)
        optional = f"{shipping.OPTIONAL}=="
        return "".join(e for e in entries if constrained or not e.startswith(optional)), True
    pins = pinned | {name: metadata.version(name) for name in PACKAGES if name not in pinned}
    return PINNED + "".join(f"{name}=={version}\n" for name, version in sorted(pins.items())), False


def kubernetes_name(name: str) -> str:
    """What it may be called there: letters, digits and -, a letter first."""
    shown = NO_LETTER.sub("-", name.lower())[:MOST_NAME].strip("-")
    return shown if shown[:1].isalpha() else f"bundle-{shown}".rstrip("-")


def memory_mib(bundle: Opened) -> int:
    """What is asked for: the graph is in memory more than once, in the runtime's own order."""
    size = sum((bundle.folder / name).stat().st_size for name in bundle.manifest.files)
    needed = BESIDE_MIB + GRAPH_COPIES * size // MIB
    return -(-needed // STEP_MIB) * STEP_MIB
