"""docs/tutorial.md: its commands and options are there."""

import re
from pathlib import Path

import click

from lmspec.cli.main import main

TUTORIAL = (Path(__file__).parent.parent / "docs/tutorial.md").read_text()


def test_the_commands_of_the_page_have_these_options() -> None:
    """Each `$ lmspec COMMAND --option` is one that the program has."""
    blocks = re.findall(r"^```\n(\$ .*?)^```", TUTORIAL, re.M | re.S)
    commands = re.findall(r"lmspec (\w+)((?: [^&\n]*(?:\\\n)?)*)", "\n".join(blocks))
    assert {name for name, _ in commands} == {"init", "show", "gate", "set", "diff", "serve"}
    for name, rest in commands:
        command = main.get_command(click.Context(main), name)
        assert command is not None, name
        known = {option for p in command.params for option in p.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= known, name
