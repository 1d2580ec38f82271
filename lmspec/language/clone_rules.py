"""clone_rules: what a clone of the project would lack, or have with other bytes."""

from collections.abc import Iterator
from pathlib import Path

from lmspec.errors import LmspecError, some
from lmspec.formats import lockfile
from lmspec.git import ignored, line_endings
from lmspec.language.resolved import Disagreements, Specs, Values
from lmspec.specs import names
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName

# What git keeps, by an example of each kind; `init` writes most of it.
KEPT = (
    *("params.yaml", "dvc.yaml", lockfile.NAME, "toolchain.yaml", ".gitattributes", ".dvc/config"),
    *("stages/model.py", f"{names.METRICS}/scores-x.json", f"{names.METRICS}/scores-x/x.csv"),
    f"{names.PROVENANCE}/scores-x.json",
)
SAMPLE = 1 << 16  # bytes of a table in which a first line ends


def outputs_are_in_real_folders(specs: Specs) -> Disagreements:
    """DVC writes no output through a symbolic link: it would fail after the first build."""
    folders = dict.fromkeys(["data", *(str(Path(name.folder).parent) for name in specs.names)])
    for folder in folders:
        if (specs.root / folder).is_symlink():
            yield Disagreement(
                (),
                f"{folder} is a symbolic link, and DVC keeps outputs in real folders alone",
                "remove the link; `dvc cache dir FOLDER` puts large files on another disk",
            )


def git_keeps_what_a_clone_needs(specs: Specs) -> Disagreements:
    """What git ignores, here or in a folder above, is missing in every clone and in CI."""
    needed: dict[str, Steps] = {path: (*name, "path") for path, name in _file_sources(specs)}
    needed |= dict(_annotations(specs))
    try:
        patterns = ignored.patterns(specs.root, [*needed, *KEPT])
    except LmspecError:  # a broken repository; what needs git says so
        return
    for path, steps in needed.items():
        if path in patterns:
            found = f"git ignores {path} ({patterns[path]}), so a clone would lack it"
            remedy = f"add `!/{path}` to .gitignore here, or `dvc add {path}`"
            yield Disagreement(steps, found, remedy)
    if lost := [f"{path} ({patterns[path]})" for path in KEPT if path in patterns]:
        found = f"git ignores what a clone or a comparison needs: {some(lost)}"
        remedy = "undo it at the end of .gitignore here: `!/data`, `/data/*`, `!/data/metrics`, ..."
        yield Disagreement((), found, remedy)


def git_keeps_the_bytes_of_sources(specs: Specs) -> Disagreements:
    """A file whose line endings git converts has another hash in every clone."""
    sources = {path: name for path, name in _file_sources(specs) if _has_crlf(specs.root / path)}
    if not sources:
        return
    try:
        converted = line_endings.converted(specs.root, list(sources))
    except LmspecError:
        return
    for path in converted:
        for source, name in sources.items():
            if path == source or path.startswith(f"{source}/"):
                found = f"git has {path} with LF, and its hash is that of CRLF"
                remedy = (
                    f"add `/{path} -text` to .gitattributes here, then `git add --renormalize .`"
                )
                yield Disagreement((*name, "path"), found, remedy)


def _file_sources(specs: Specs) -> Iterator[tuple[str, ArtifactName]]:
    """(path, source) of those that DVC does not track."""
    for name, source in specs.of("sources"):
        if source["kind"] == "file" and not _is_tracked_by_dvc(specs.root, source):
            yield source["path"], name


def _annotations(specs: Specs) -> Iterator[tuple[str, Steps]]:
    """(path, field) of each file of labels that people gave."""
    for name, corpus in specs.of("corpus"):
        for i, path in enumerate(corpus.get("corrections") or ()):
            yield path, (*name, "corrections", i)


def _is_tracked_by_dvc(root: Path, source: Values) -> bool:
    return any((root / file).is_file() for file in tracking(Path(source["path"])))


def tracking(path: Path) -> Iterator[str]:
    """The files by which DVC would track it, or a folder above it."""
    return (f"{part}.dvc" for part in (path, *path.parents) if part.name)


def _has_crlf(path: Path) -> bool:
    files = [path] if path.is_file() else sorted(path.rglob("*"))[:100] if path.is_dir() else []
    for file in files:
        if file.is_file():
            with file.open("rb") as stream:
                if b"\r\n" in stream.read(SAMPLE):
                    return True
    return False
