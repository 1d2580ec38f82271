"""targets: which graph of a bundle this machine runs.

A bundle has a copy of this file, so it imports nothing of lmspec.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

NAME = "targets.json"
CPU, CUDA, BROWSER = "cpu", "cuda", "browser"
ON_CARD, ON_CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
VNNI = ("avx512_vnni", "avx_vnni")  # either has kernels of onnxruntime
CPUINFO = Path("/proc/cpuinfo")


class Unsuited(Exception):
    """A target that this machine does not run, or that the bundle lacks: why, and what to do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}: {remedy}")
        self.found, self.remedy = found, remedy


@dataclass(frozen=True)
class Target:
    """A line of targets.json.

    name          `cpu-vnni`
    kind          cpu, cuda or browser
    instructions  that a processor must have: avx2, vnni; `any`: nothing
    of            artifact of its graph
    scores        artifact of that graph's scores; None: it has none
    graph         its file in the bundle
    """

    name: str
    kind: str
    instructions: str
    of: str
    scores: str | None
    graph: str


def read(folder: Path) -> tuple[Target, ...]:
    """Those of a bundle, in the order in which they are preferred; none if it has one graph alone.

    Raises ValueError, TypeError, KeyError, OSError.
    """
    path = folder / NAME
    if not path.is_file():
        return ()
    values = json.loads(path.read_text(encoding="utf-8"))
    found = tuple(Target(**each) for each in values["targets"])
    top = folder.resolve()
    for target in found:
        if not (top / target.graph).resolve().is_relative_to(top):
            raise ValueError(f"{target.graph} is outside of the bundle")
    return found


def session(
    folder: Path, graph: str, options: onnxruntime.SessionOptions, wanted: str | None
) -> tuple[Target | None, onnxruntime.InferenceSession]:
    """A session of the first target that this machine runs, or of the wanted one.

    graph  that of a bundle without targets for machines; its target is None
    Raises Unsuited, and what `read` raises.
    """
    targets = read(folder)
    usual = [target for target in targets if target.kind != BROWSER]
    if wanted is None and not usual:
        return None, _opened(folder / graph, options, ON_CPU)
    reasons: list[str] = []
    for target in _named(targets, wanted) if wanted else usual:
        reason = why_not(target)
        if reason is None:
            on_card = (ON_CARD, ON_CPU) if target.kind == CUDA else (ON_CPU,)
            made = _opened(folder / target.graph, options, *on_card)
            if made.get_providers()[0] == on_card[0]:
                return target, made
            reason = "onnxruntime found no card that it can use"  # it goes on without one
        reasons.append(f"{target.name}: {reason}")
    found = f"this machine cannot run {'; '.join(reasons)}"
    others = ", ".join(each.name for each in usual if wanted and why_not(each) is None)
    if others:
        raise Unsuited(found, f"leave the target out, and it runs {others}")
    raise Unsuited(found, "run it on another, or build the bundle with a target for this one")


def _named(targets: Sequence[Target], wanted: str) -> Iterator[Target]:
    names = [target.name for target in targets]
    if wanted not in names:
        remedy = f"name one of {', '.join(names)}" if names else "leave it out: it has one graph"
        raise Unsuited(f"the bundle has no target {wanted!r}", remedy)
    yield from (target for target in targets if target.name == wanted)


def why_not(target: Target) -> str | None:
    """Why this machine does not run it, as far as that is known before it is tried."""
    if target.kind == BROWSER:
        return f"it is for browsers: open {Path(target.graph).parent}/index.html in one"
    if target.kind == CUDA:
        if ON_CARD in onnxruntime.get_available_providers():
            return None
        return "this onnxruntime computes on no card; the package onnxruntime-gpu does"
    lacking = target.instructions not in ("any", *instructions())
    return f"this processor lacks {target.instructions.upper()}" if lacking else None


def instructions(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """What this processor has, of avx2 and vnni."""
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        flags = next((line.split() for line in lines if line.startswith("flags")), [])
        return _known("avx2" in flags, any(flag in flags for flag in VNNI))
    # elsewhere numpy knows; AVX-VNNI alone it does not look for
    features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    return _known(features.get("X86_V3", False), features.get("AVX512_ICL", False))


def _known(avx2: bool, vnni: bool) -> frozenset[str]:
    return frozenset(["avx2"] * avx2 + ["vnni"] * vnni)


def _opened(
    path: Path, options: onnxruntime.SessionOptions, *providers: str
) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), options, providers=[*providers])
