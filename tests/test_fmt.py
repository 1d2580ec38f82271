"""lmspec fmt: another layout, the same spec."""

import random
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lmspec.cli.fmt import command
from lmspec.errors import LmspecError
from lmspec.graph import document, layout, schema
from tests.rough import Rough
from tests.specs import GOOD, ROOT

HERE = Path("params.yaml")
ENDS = ("\n", "\r\n", "\r")
TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=20),
    st.text(st.sampled_from("ab #:-'\"\n\\\t\u2028é"), min_size=1, max_size=20),
)


def formatted(text: str) -> str:
    return layout.formatted(text, HERE)


def values(text: str) -> dict[str, object]:
    return document.parsed(text, HERE).values


def in_folder(folder: Path, text: str | bytes, *arguments: str) -> tuple[Result, Path]:
    """What the command does with a file of that text."""
    path = folder / "params.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return CliRunner().invoke(command, [str(path), *arguments]), path


@settings(derandomize=True, deadline=None, max_examples=120, phases=[Phase.generate])
@given(
    st.integers(0, 2**32),
    st.permutations(list(values(GOOD))),
    st.integers(1, 14),
    st.lists(TEXTS, min_size=3, max_size=3),
    st.sampled_from(ENDS),
    st.booleans(),
    st.booleans(),
)
def test_any_layout_comes_out_in_form_with_nothing_lost(
    seed: int, names: list[str], count: int, texts: list[str], ends: str, final: bool, anchors: bool
) -> None:
    """Widths of 1 to 8, comments and empty lines anywhere, flow and block, any order: values, comments, order; a fixed point."""
    spec = values(GOOD)
    spec["bundle"] = {"release": dict(zip(("title", "intended_use", "limitations"), texts, strict=True)), "old": [texts, {}]}
    rough = Rough(random.Random(seed), ends, final, anchors)
    text = rough.text({name: spec[name] for name in names[:count]})
    before = values(text)
    after = formatted(text)
    assert values(after) == before and repr(sorted(values(after).items())) == repr(sorted(before.items()))
    assert all(comment in after for comment in rough.comments)
    assert after.count("#") == text.count("#")
    assert list(values(after)) == [name for name in schema.sections() if name in before]
    assert formatted(after) == after and "\r" not in after and after.endswith("\n")


def test_the_projects_own_specs_are_in_form() -> None:
    """What this repository makes, and the examples of `lmspec explain`."""
    for path in (ROOT / "params.yaml", ROOT / "lmspec/graph/examples.yaml"):
        assert formatted(path.read_text()) == path.read_text()
    assert formatted(GOOD) == GOOD.replace("\nmachine:", "\n\nmachine:")


UNTIDY = """\
# header

# of machine
machine: {  device: cpu }   \t


numerics:
    seed:   1 # own
    # threads: 3
    threads: 2
# below numerics

sources:
        a:
        -   x:  [ 1,
                 2 ] # two
            y: |
                kept  

                  as it is
        # b:
    # - c

# last
"""
TIDY = """\
# header

sources:
  a:
    - x:  [1,
           2] # two
      y: |
        kept  

          as it is
  # b:
  # - c

numerics:
  seed:   1 # own
  # threads: 3
  threads: 2
# below numerics

# of machine
machine: {device: cpu}

# last
"""


def test_comments_stay_with_what_they_belong_to() -> None:
    """Above a section, below one, behind a value, among entries, at the top and at the end."""
    assert formatted(UNTIDY) == TIDY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("machine: 1\nsources: |+\n  a\n\n\n", "sources: |+\n  a\n\n\nmachine: 1\n"),
        ("machine: 1\nsources: |+\n  a", "sources: |-\n  a\n\nmachine: 1\n"),
        ("sources: |+\n  a\nmachine: 1\n", "sources: |+\n  a\nmachine: 1\n"),
        ("machine: >2-\n     a\n   b", "machine: >2-\n     a\n   b\n"),
        ("sources:\n    a: |1\n      b\n", "sources:\n  a: |1\n    b\n"),
        ("sources:\n  a: |\n        b\n    # c\n", "sources:\n  a: |\n    b\n  # c\n"),
        ("sources:\n    a: 'x  \n y'\n", "sources:\n  a: 'x  \n y'\n"),
        ("sources:\n a: x  \n\n  y\n", "sources:\n  a: x\n\n   y\n"),
    ],
)
def test_strings_of_several_lines_keep_their_value(text: str, expected: str) -> None:
    """Where an empty line, a line end or the depth is a part of it, the layout gives way."""
    assert formatted(text) == expected and values(expected) == values(text)


def test_the_line_for_editors_stays_on_top() -> None:
    """Also where no empty line is below it."""
    modeline = "# yaml-language-server: $schema=x\n"
    assert formatted(f"{modeline}machine: 1\nsources: 2\n") == f"{modeline}\nsources: 2\n\nmachine: 1\n"
    assert formatted("---\nmachine: 1\nsources: 2\n...\n# end\n") == "---\nsources: 2\n\nmachine: 1\n...\n# end\n"


def test_comments_of_one_column_behind_values_stay_below_each_other() -> None:
    """They are one comment."""
    text = "sources:\n    a: 1 # one\n         # two\n    b: 2\n"
    assert formatted(text) == "sources:\n  a: 1 # one\n       # two\n  b: 2\n"


def test_anchors_are_kept_and_an_alias_that_would_come_first_is_refused() -> None:
    """It would have no value."""
    assert formatted("model: &a {x: 1}\nstudent: *a\n") == "model: &a {x: 1}\n\nstudent: *a\n"
    with pytest.raises(LmspecError, match="there is no anchor &a before it; nothing was written"):
        formatted("student: &a {x: 1}\nmodel: *a\n")


def test_a_lost_comment_or_another_value_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of what guards the file."""
    text = "sources: 1 # c\n"
    monkeypatch.setattr(layout, "_joined", lambda *_: iter([layout.Line("sources: 1")]))
    with pytest.raises(LmspecError, match="the comment '# c' would be lost"):
        formatted(text)
    monkeypatch.setattr(layout, "_joined", lambda *_: iter([layout.Line("sources: 1.0 # c")]))
    with pytest.raises(LmspecError, match="sources would have another value"):
        formatted(text)


def test_what_does_not_parse_is_refused_at_its_place(tmp_path: Path) -> None:
    """And is as it was; so is a file that is one pair of braces."""
    result, path = in_folder(tmp_path, "a: [1\nb: 2\n")
    assert result.exit_code == 1 and "params.yaml:1:4: YAML" in result.output and path.read_text() == "a: [1\nb: 2\n"
    twice, _ = in_folder(tmp_path, "a: 1\na: 2\n")
    assert twice.exit_code == 1 and "stands twice" in twice.output
    braces, path = in_folder(tmp_path, "{machine: 1,   sources: 2}\n")
    assert isinstance(braces.exception, LmspecError) and path.read_text() == "{machine: 1,   sources: 2}\n"


def test_check_and_diff_write_nothing(tmp_path: Path) -> None:
    """Exit 1 where it would change; the diff can be applied."""
    for arguments, code in ((("--check",), 1), (("--diff",), 0), (("--check", "--diff"), 1)):
        result, path = in_folder(tmp_path, UNTIDY, *arguments)
        assert result.exit_code == code and path.read_text() == UNTIDY
        assert ("+machine: {device: cpu}\n" in result.output) == ("--diff" in arguments)
    assert in_folder(tmp_path, TIDY, "--check", "--diff")[0].exit_code == 0


def test_the_file_is_replaced_whole(tmp_path: Path) -> None:
    """Its mode stays, a link to it too, and nothing else is left; a byte order mark and CRLF go."""
    (tmp_path / "real.yaml").write_text("")
    (tmp_path / "real.yaml").chmod(0o640)
    (tmp_path / "params.yaml").symlink_to("real.yaml")
    result, path = in_folder(tmp_path, b"\xef\xbb\xbf" + UNTIDY.replace("\n", "\r\n").encode())
    assert result.exit_code == 0 and path.read_text() == TIDY and path.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640 and len(list(tmp_path.iterdir())) == 2
    again, path = in_folder(tmp_path, TIDY)
    assert again.exit_code == 0 and "in form" in again.output
    shutil.rmtree(tmp_path)
