"""suites: what `lmspec show` found of suites of cases, in sections."""

from collections.abc import Iterator, Sequence

from lmspec.inspection.results import Failure, SuiteResult
from lmspec.reports import tables, words
from lmspec.reports.estimates import level, share
from lmspec.reports.tables import Table
from lmspec.reports.terminal import Section

ENDS = 3  # terms shown of the lowest, and of the highest


def sections(found: Sequence[SuiteResult]) -> Iterator[Section]:
    """How many cases pass, how far groups are apart, and the worst cases."""
    shares = [suite for suite in found if suite.metric == "pass_rate"]
    gaps = [suite for suite in found if suite.metric == "gap"]
    if shares:
        yield Section(f"suites: {len(shares)}", table=_shares(shares))
    if gaps:
        yield Section(f"groups: {len(gaps)}", table=_gaps(gaps))
    failures = [(suite, worst) for suite in shares for worst in suite.worst]
    if failures:
        yield Section("worst cases", table=_worst(failures))


def _shares(found: Sequence[SuiteResult]) -> Table:
    heads = "suite:name|cases:number|pass:number|95 %:text|remark:text"
    rows = (
        (
            one.suite,
            f"{one.cases:,}",
            share(one.found.value),
            level(one.found).partition(" ")[2],
            one.found.why or "",
        )
        for one in found
    )
    return tables.table("suites", heads, rows, note="[..]: exact interval of the share that passes")


def _gaps(found: Sequence[SuiteResult]) -> Table:
    heads = "suite:name|templates:number|gap:text|lowest:text|highest:text|remark:text"
    rows = []
    for one in found:
        means = [f"{words.line(term, 40)} {mean:.2f}" for term, mean in one.means.items()]
        ends = ", ".join(means[:ENDS]), ", ".join(reversed(means[-ENDS:]))
        rows.append((one.suite, f"{one.cases:,}", level(one.found), *ends, one.found.why or ""))
    note = "gap: between the mean probabilities of two terms in the same templates; [..]: 95 %"
    return tables.table("groups", heads, rows, note=note)


def _worst(failures: Sequence[tuple[SuiteResult, Failure]]) -> Table:
    heads = "suite:name|expected:name|answered:name|P(expected):number|text:text"
    rows = (
        (
            suite.suite,
            one.expected,
            one.predicted,
            _moved(one),
            None if one.text is None else words.line(one.text, 300),
        )
        for suite, one in failures
    )
    here = all(one.text is not None for _, one in failures)
    note = "" if here else "`dvc pull` brings texts of test splits"
    return tables.table("worst cases", heads, rows, note=note)


def _moved(failure: Failure) -> str:
    after = share(failure.probability)
    return after if failure.before is None else f"{share(failure.before)} -> {after}"
