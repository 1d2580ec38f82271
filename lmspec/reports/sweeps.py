"""sweeps: what a search found, in sections for a terminal or a pipe, or as JSON."""

from collections.abc import Iterator

from lmspec.inspection.sweeps import Found
from lmspec.language.applying import flow
from lmspec.reports import estimates, tables
from lmspec.reports.terminal import Section

MOST = 12  # trials that are shown, unless all are asked for


def sections(found: Found, everything: bool = False) -> Iterator[Section]:
    """The trials, the best values beside the present ones, and how far to trust them."""
    if found.problem is not None:
        text = f"{found.sweep}: {found.problem.found}\n  -> {found.problem.remedy}"
        yield Section(text, tone="bad")
    cost = ""
    if found.epochs is not None and found.epochs_without_halving:
        share = found.epochs / found.epochs_without_halving
        cost = f", {found.epochs:.4g} of {found.epochs_without_halving:.4g} epochs ({share:.0%})"
    count = len(found.trials)
    yield Section(
        f"{found.sweep}: {count} trials of {found.of}{cost}", table=_trials(found, everything)
    )
    rows = ((c.field, _text(c.present), _text(c.best)) for c in found.choices)
    heads = f"field of {found.of}:name|params.yaml:text|best:text"
    yield Section(
        f"best by {found.metric} on the dev split", table=tables.table("best", heads, rows)
    )
    alike = f"; {found.alike} other trials that came as far are in it" if found.alike else ""
    yield Section(
        f"dev accuracy {estimates.level(found.accuracy)} ({found.dev_examples:,} examples){alike}\n"
        f"  the best of {count} trials is optimistic: scores on the test split decide"
    )
    if any(choice.present != choice.best for choice in found.choices):
        name = found.sweep.partition(".")[2]
        yield Section(f"next: `lmspec sweep {name} --apply` writes these values into params.yaml")


def _text(value: object) -> str:
    return "" if value is None else flow(value)


def _trials(found: Found, everything: bool) -> tables.Table:
    fields = [choice.field for choice in found.choices]
    # the last name says it, unless two fields share it
    ends = [field.rpartition(".")[2] for field in fields]
    short = [end if ends.count(end) == 1 else f for f, end in zip(fields, ends, strict=True)]
    names = ["trial", *fields, "epochs", "dev_accuracy", "dev_macro_f1", "dev_log_loss"]
    names = [name for name in names if name in found.trials[0]]
    heads = dict(zip(fields, short, strict=True))
    shown = found.trials if everything else found.trials[:MOST]
    rows = [[_cell(name, row[name]) for name in names] for row in shown]
    left = len(found.trials) - len(shown)
    note = f"{left} more: `lmspec sweep --all`" if left else ""
    columns = "|".join(f"{heads.get(n, n.replace('_', ' '))}:number" for n in names)
    return tables.table("trials", columns, rows, note=note)


def _cell(name: str, text: str) -> str:
    return f"{float(text):.4f}" if name.startswith("dev_") else text
