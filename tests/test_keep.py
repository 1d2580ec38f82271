"""What an edit of code changed, and which outputs it cannot have changed."""

import pytest

from lmspec.pipeline import codediff

SOURCE = '''"""caption"""

import os

LIMIT = 3


def f(x):
    """Doc."""
    return x + 1  # why


class C:
    """Doc."""

    size = 1

    def g(self):
        return f(2)
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # why", ""),
        ("  # why", "  # because"),
        ("import os\n", "# first\nimport os\n\n"),
        ("return x + 1", "return (x + 1)"),
        ("return x + 1", "return (\n        x\n        + 1\n    )"),
        ("f(2)", "f(  2, )"),
        ("size = 1", "size = 0x1"),
        ("\n", "\r\n"),
    ],
)
def test_comments_and_layout_change_nothing(old: str, new: str) -> None:
    """Comments, empty lines, parentheses, line breaks, another way to write a number."""
    assert old in SOURCE and codediff.changed(SOURCE, SOURCE.replace(old, new)) == ()


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("x + 1", "x + 2", ("f",)),
        ('    """Doc."""\n    return', '    """Other."""\n    return', ("f",)),
        ("f(2)", "f(3)", ("C.g",)),
        ("size = 1", "size = 2", ("C",)),
        ("size = 1", "size = 1.0", ("C",)),
        ("size = 1", "size = True", ("C",)),
        ("LIMIT = 3", "LIMIT = 4", (codediff.REST,)),
        ("import os", "import sys", (codediff.REST,)),
        ("def f(x)", "def h(x)", ("f", "h")),
        ("def g(self)", "def f(self)", ("C.g", "C.f")),
        ("def f(x)", "@staticmethod\ndef f(x)", ("f",)),
        ("caption", "another", (codediff.REST,)),
    ],
)
def test_what_a_program_can_tell_apart_is_named(old: str, new: str, names: tuple[str, ...]) -> None:
    """Code, docstrings, types of constants: by the enclosing function, method or class."""
    assert old in SOURCE and codediff.changed(SOURCE, SOURCE.replace(old, new, 1)) == names


def test_order_counts() -> None:
    """Order matters: the first function may run before the second is defined."""
    assert codediff.changed("def a(): pass\ndef b(): pass\n", "def b(): pass\ndef a(): pass\n") == (
        codediff.ORDER,
    )


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("copy(predict.__file__)", {"predict"}),
        ("open(__file__)", {"*"}),
        ("import inspect\ninspect.getsource(f)", {"*"}),
        ("x.y.__file__", {"*"}),
        ("x.file", set()),
    ],
)
def test_a_program_that_reads_code_as_text_is_seen(source: str, names: set[str]) -> None:
    """There a comment is content, and nothing is kept."""
    assert codediff.read_as_text(source) == names
