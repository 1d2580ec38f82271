"""answers: the committed table of generated or chosen answers, as the statistics take it."""

from collections.abc import Collection, Mapping, Sequence

from lmspec.statistics import answers as statistics
from lmspec.statistics.answers import RIGHT, Answers, Choices, Formula, Part, TextScale

TEXT = ("id", "table", "group", "label", "predicted")


def read(
    table: Mapping[str, Sequence[str]] | None, lower: Collection[str] = ()
) -> tuple[dict[str, Answers], TextScale] | None:
    """(dataset -> answers to its test split, the metrics that follow); None if there are none.

    lower  metrics that are better if lower
    """
    from lmspec.writing import answers as tables  # here: most projects have no answers in words
    from lmspec.writing import choosing

    is_choice = table is not None and choosing.PER_BYTE in table
    sums = choosing.read(table) if table and is_choice else tables.read(table, lower)
    if table is None or sums is None:
        return None
    parts = {n: Part(each.numbers, each.worst) for n, each in sums.items() if n not in RIGHT}
    kind = Choices if is_choice else Answers
    whole = statistics.of_columns([table[name] for name in TEXT], parts, kind)
    places: dict[str, list[int]] = {}
    for i, dataset in enumerate(table["dataset"]):
        places.setdefault(dataset, []).append(i)
    formulas = {
        name: Formula(each.numbers.shape[1], each.of, each.low, each.high)
        for name, each in sums.items()
    }
    return {dataset: whole.rows(rows) for dataset, rows in places.items()}, TextScale(formulas)
