"""dockerfile: the steps of a Dockerfile, done in a folder in place of an image."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

STEP = re.compile(r"^([A-Z]+) (.*)$")


@dataclass
class Image:
    """What the steps have made.

    root      in place of /
    programs  folder of python and pip
    folder    WORKDIR
    ran       commands of RUN
    """

    root: Path
    programs: Path
    folder: str = "/"
    base: str = ""
    user: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    health: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    ran: list[list[str]] = field(default_factory=list)

    def path(self, inside: str) -> Path:
        """Where a path of the image is."""
        return self.root / str(Path(self.folder, inside)).lstrip("/")

    def start(self, command: list[str], **options: object) -> "subprocess.Popen[str]":
        """A program of the image: of its arguments, those that are paths there lead here."""
        here = [str(self.path(part)) if part.startswith("/") else part for part in command]
        environment = self.environment | {"PATH": str(self.programs), "HOME": "/nonexistent"}
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            [str(self.programs / here[0]), *here[1:]],
            cwd=self.path("."),
            env=environment,
            text=True,
            **options,
        )


def steps(path: Path) -> list[tuple[str, str]]:
    """(instruction, what it is of), in order."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", path.read_text()))
    found = [STEP.match(line) for line in text.splitlines() if line.strip()]
    assert all(found), text
    return [(match[1], match[2]) for match in found if match]


def built(context: Path, image: Image, variables: Mapping[str, str], run: bool = True) -> Image:
    """Do the steps; an instruction that is not known fails.

    variables  of RUN, beside those of the image, as a build gives them
    run        do those of RUN, too?
    """
    for instruction, rest in steps(context / "Dockerfile"):
        match instruction:
            case "FROM":
                image.base = rest
            case "ENV":
                pairs = (part.split("=", 1) for part in shlex.split(rest))
                image.environment |= dict(pairs)  # type: ignore[arg-type]
            case "WORKDIR":
                image.folder = rest
                image.path(".").mkdir(parents=True)
            case "COPY":
                *names, to = rest.split()
                for name in names:
                    place = image.path(to) / name if to == "./" else image.path(to)
                    copy = shutil.copytree if (context / name).is_dir() else shutil.copyfile
                    copy(context / name, place)
            case "RUN":
                command = shlex.split(rest)
                assert not set(";&|<>$`") & set(rest), "a shell is needed"
                image.ran.append(command)
                if run:
                    environment = {**variables, **image.environment}
                    environment["PATH"] = f"{image.programs}{os.pathsep}{os.defpath}"
                    program = str(image.programs / command[0])
                    place, rest_of = image.path("."), command[1:]
                    subprocess.run([program, *rest_of], cwd=place, env=environment, check=True)
            case "USER":
                image.user = rest
            case "HEALTHCHECK":
                image.health = json.loads(rest.partition(" CMD ")[2])
            case "ENTRYPOINT":
                image.entrypoint = json.loads(rest)
            case _:
                assert instruction == "EXPOSE", instruction
    return image
