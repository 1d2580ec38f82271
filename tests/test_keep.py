"""What an edit of code changed, and which outputs it cannot have changed."""

from pathlib import Path

import pytest

from lmspec.compare import changes
from lmspec.errors import LmspecError
from lmspec.formats import deployed, deployed_writing
from lmspec.pipeline import closure, codediff

CODE = ("stages", "lmspec/formats", "lmspec/methods", "lmspec/specs")
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


def changed(old: str, new: str) -> tuple[str, ...]:
    return codediff.changed(old.encode(), new.encode())


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
    assert old in SOURCE and changed(SOURCE, SOURCE.replace(old, new)) == ()


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
    assert old in SOURCE and changed(SOURCE, SOURCE.replace(old, new, 1)) == names


def test_order_counts() -> None:
    """Order matters: the first function may run before the second is defined."""
    assert changed("def a(): pass\ndef b(): pass\n", "def b(): pass\ndef a(): pass\n") == (
        codediff.ORDER,
    )


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("copy(predict.__file__)", {"predict"}),
        ("open(__file__)", {"*"}),
        ("import inspect\ninspect.getsource(f)", {"*"}),
        ("x.y.__file__", {"*"}),
        ("inspect.getcomments(f)", {"*"}),
        ("getattr(labels, '__file__')", {"*"}),
        ("labels.__spec__.origin", {"*"}),
        ("labels.__loader__.get_source('labels')", {"*"}),
        ("pkgutil.get_data('stages', name)", {"*"}),
        ("open(f.__code__.co_filename)", {"*"}),
        ("seed = f.__code__.co_firstlineno", {"*"}),
        ("sys._getframe().f_lineno", {"*"}),
        ("inspect.stack()[0].lineno", {"*"}),
        ("Path('stages/labels.py').read_text()", {"labels"}),
        ("resources.files('stages') / 'labels.py'", {"labels"}),
        ("x.file", set()),
    ],
)
def test_a_program_that_reads_code_as_text_is_seen(source: str, names: set[str]) -> None:
    """There a comment is content, and nothing is kept."""
    assert codediff.read_as_text(source.encode()) == names


def test_no_stage_of_this_project_reads_itself_as_text() -> None:
    """But for the bundle, which copies modules: a comment elsewhere costs no training."""
    root = Path(closure.__file__).parents[2]
    code = [path for place in CODE for path in (root / place).rglob("*.py")]
    texts = {path: codediff.read_as_text(path.read_bytes()) for path in code}
    reading = {path.relative_to(root).as_posix(): names for path, names in texts.items() if names}
    bundles = {
        "lmspec/formats/predict.py": {"*"},
        "lmspec/formats/predict_writing.py": {"*"},
        "lmspec/formats/shipping.py": {"predict", ""},  # "" of f"{name}.py"
        "lmspec/formats/deployed.py": {"predict", *deployed.SHARED},
        "lmspec/formats/deployed_writing.py": {"predict_writing", *deployed_writing.SHARED},
    }
    assert reading == bundles


def test_a_comment_that_names_another_encoding_changes_texts() -> None:
    """A file is decoded as Python decodes it (PEP 263, a byte order mark); as UTF-8, the two differ
    in a comment alone."""
    plain = 'MARK = "é"\n'.encode()
    latin = b"# coding: latin-1\n" + plain
    assert codediff.changed(plain, latin) == (codediff.REST,)
    assert changed(plain.decode(), latin.decode().replace("coding", "no")) == ()
    assert codediff.changed(plain, b"\xef\xbb\xbf" + plain) == ()
    assert codediff.changed(latin, 'MARK = "Ã©"\n'.encode()) == ()
    assert changes._what(plain, latin) == (codediff.REST,)


def test_a_file_in_another_encoding_is_read_for_its_imports(tmp_path: Path) -> None:
    """In Latin-1 it is no UTF-8; what Python cannot read either is one error that names it."""
    module = tmp_path / "module.py"
    module.write_bytes("# coding: latin-1\nimport json  # é\n".encode("latin-1"))
    assert closure.OnDisk(tmp_path).imports("module.py") == {"json"}
    for content in (b"X = '\xe9'\n", b"# coding: nonsense\n", b"\0"):
        with pytest.raises(LmspecError, match=r"broken\.py.*it does not parse"):
            closure.imports(content, "broken.py")
