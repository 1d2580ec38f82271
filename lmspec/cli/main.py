"""main: the command `lmspec`. Imports a command only to run it, as --help must be quick."""

import importlib
import os

import click

from lmspec.cli import mistakes

COMMANDS = {
    "init": "Start a project for your own texts and labels.",
    "validate": "Check params.yaml: every problem, with its line.",
    "explain": "Describe a section or field of params.yaml.",
    "set": "Change values of params.yaml; comments stay.",
    "sync": "Compile params.yaml to dvc.yaml.",
    "plan": "Show what `dvc repro` would run, and why.",
    "build": "Build what is out of date, in parallel.",
    "keep": "Keep outputs after an edit of comments or layout.",
    "sweep": "Show what a search found; --apply writes its best values.",
    "runs": "Show what ran here: time, memory, curves of trainings.",
    "show": "Show the results: scores, intervals, mistakes.",
    "data": "Describe a corpus, in short and as an HTML page.",
    "label": "Label the rows of a queue, or look at suspects.",
    "serve": "Answer over HTTP with a bundle.",
    "verify": "Rebuild artifacts elsewhere and compare every byte.",
    "trace": "Find files that a stage reads but does not declare.",
    "diff": "Compare two revisions: changes, metrics, significance.",
    "gate": "Check the metrics against the gates of params.yaml.",
    "log": "Show a metric over the commits of a branch.",
    "bisect": "Find the first bad commit for a gate.",
    "attribute": "Attribute a changed metric to data, spec or code.",
    "ci": "Run everything that CI runs.",
    "schema": "Print the JSON Schema of params.yaml, for editors.",
}
HIDDEN = ("merge-driver",)  # run by programs
# onnxruntime reports to its maker, and writes into the home folder, as soon as it is imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class LazyGroup(click.Group):
    """Lists its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are used."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command."""
        module = f"lmspec.cli.{cmd_name.replace('-', '_')}"
        known = cmd_name in (*COMMANDS, *HIDDEN)
        return importlib.import_module(module).command if known else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; print an LmspecError as one message, without a traceback."""
        with mistakes.exit_with(1):
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggests the nearest command for an unknown one."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in (*COMMANDS, *HIDDEN):
            from lmspec.language.suggest import nearest

            near = nearest(name, COMMANDS)
            ctx.fail(f"No such command '{name}'." + (f" Did you mean '{near}'?" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lmspec")
def main() -> None:
    """A reproducible, declarative build system for language models.

    params.yaml declares what to build; `lmspec sync` compiles it to dvc.yaml; `dvc repro` builds
    what is out of date.

    \b
    Example:
      lmspec validate && lmspec sync && lmspec plan && dvc repro && lmspec diff
    """
