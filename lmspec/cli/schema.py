"""schema: JSON Schema of params.yaml, for editors."""

import json

import click

from lmspec.reports import printing


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of params.yaml, with which editors complete and check it.

    \b
    Example:
      lmspec schema > params.schema.json     # and name it in the first line of params.yaml
    """
    from lmspec.specs.project import Project

    printing.data(
        json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema"}
            | Project.model_json_schema(),
            indent=2,
        )
    )
