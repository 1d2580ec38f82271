"""templating: Jinja2 as the forms use it: whatever a template prints is made safe by default."""

import functools
from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lmspec.reports import charts, tables, words


@functools.cache
def environment(safe: Callable[[object], str], autoescape: bool) -> Environment:
    """The templates of one form.

    safe        applied to all that is printed and is not Markup already
    autoescape  for HTML, after `safe`
    """
    templates = Environment(
        loader=PackageLoader("lmspec.reports"),
        autoescape=autoescape,
        finalize=lambda value: value if isinstance(value, Markup) else safe(value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"words": words, "tables": tables, "charts": charts}
    return templates
