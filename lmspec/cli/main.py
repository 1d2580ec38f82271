"""main: the command `lmspec`. A command's module is imported only when it runs, so that --help and validate stay quick."""

import importlib

import click

from lmspec.cli import mistakes

COMMANDS = {
    "init": "A new project for your own texts and labels.",
    "validate": "Every problem of params.yaml, at its place.",
    "explain": "What a section or field of params.yaml is.",
    "sync": "Compile params.yaml to dvc.yaml.",
    "plan": "What `dvc repro` would run, and why.",
    "build": "Build what changed, independent stages side by side.",
    "keep": "Keep outputs over an edit of comments or layout.",
    "verify": "Rebuild artifacts elsewhere, and compare.",
    "trace": "What a stage reads and does not declare.",
    "diff": "What a commit changed, what that did, and whether it is noise.",
    "gate": "Do the metrics pass what params.yaml demands?",
    "log": "A metric over the commits of a branch.",
    "bisect": "The commit that broke a gate.",
    "attribute": "Why a metric moved: data, spec or code.",
    "ci": "What CI does, by one command.",
    "schema": "JSON Schema of params.yaml, for editors.",
}
HIDDEN = ("merge-driver",)  # programs call them, not people


class LazyGroup(click.Group):
    """Knows the names of its commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a day's work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in (*COMMANDS, *HIDDEN):
            return None
        command: click.Command = importlib.import_module(
            f"lmspec.cli.{cmd_name.replace('-', '_')}"
        ).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a user's mistake is one message, not a traceback."""
        with mistakes.exit_with(1):
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """An unknown command is told with the nearest one."""
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

    params.yaml says what to make; `lmspec sync` compiles it to dvc.yaml; `dvc repro` makes what changed.

    \b
    Example:
      lmspec validate && lmspec sync && lmspec plan && dvc repro && lmspec diff
    """
