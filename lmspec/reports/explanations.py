"""explanations: explained texts as a page: words coloured, errors first."""

import base64
import hashlib
from collections.abc import Sequence
from functools import partial

from markupsafe import Markup

from lmspec.inspection.explanations import Explanations, Token
from lmspec.reports import html, tables, words
from lmspec.reports.estimates import level
from lmspec.reports.tables import Table

# weights from which a word is marked, each time more strongly
OF_PROBABILITY = (0.01, 0.03, 0.1, 0.3)
OF_NATS = (0.05, 0.15, 0.5, 1.5)  # without it a token is 0.95 to 0.22 times as likely
MOVED, OPEN = 10, 40  # texts that are not folded


def page(found: Explanations) -> str:
    """One file that loads nothing; all texts can be read without its script, which filters them."""
    templates, steps = html.environment(), OF_NATS if found.writes else OF_PROBABILITY
    assert templates.loader
    script, _, _ = templates.loader.get_source(templates, "explained.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return templates.get_template("explained.html.j2").render(
        found=found,
        script=Markup(script),
        digest=digest,
        strength=partial(strength, steps=steps),
        steps=steps,
        rests_on=rests_on,
        selects=selects(found),
        measures=measures(found),
        heaviest=heaviest(found),
        most_moved=found.moved[:MOVED],
        most_open=OPEN,
    )


def strength(weight: float, steps: Sequence[float]) -> str:
    """Classes of a word: `for s2` from the second step on; empty if it is not marked."""
    number = sum(abs(weight) >= step for step in steps)
    if not number:
        return ""
    return f"{'for' if weight > 0 else 'against'} s{number}"


def rests_on(token: Token) -> str:
    """The words without which a token of an answer loses most."""
    return ", ".join(f"{words.line(word)} {nats:+.2f}" for word, nats in token.rests_on)


def selects(found: Explanations) -> Sequence[tuple[str, str, Sequence[str]]]:
    """(title, attribute of a text, values) by which texts can be chosen."""
    labels = () if found.writes else (("label", "label"), ("answer", "predicted"))
    return [
        *((title, name, found.labels) for title, name in labels),
        ("table", "table", found.tables),
    ]


def measures(found: Explanations) -> Table:
    """How far the explanations can be relied on."""
    rows = [(called, level(mean)) for called, mean in found.measures.items()]
    if found.delta is not None:
        called = "largest distance of a text's weights from summing to what all its words change"
        rows.append((called, f"{found.delta:.4f}"))
    of_labels = "of the probability of the predicted label"
    lost = "nats per token of the answer" if found.writes else of_labels
    note = f"lost: {lost}; with 95 % intervals"
    return tables.table("how faithful they are", "measure:text|mean:number", rows, note=note)


def heaviest(found: Explanations) -> Sequence[Table]:
    """The words of most weight of each label."""
    return [
        tables.table(
            "words of most weight" if found.writes else f"words that speak most for {label}",
            "word:text|texts:number|weight:number",
            ((word, count, f"{weight:+.3f}") for word, count, weight in heavy),
        )
        for label, heavy in found.heaviest.items()
    ]
