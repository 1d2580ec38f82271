"""sheet: a YAML file as lines that are to be moved: what each was, and where it is to stand."""

from dataclasses import dataclass, field

BLANK, COMMENT, TEXT = "blank", "comment", "text"


@dataclass
class Line:
    """A line: what it was, and how it is to stand.

    end     its line end; another than LF only inside of a string, where it is a part of the value
    kind    BLANK, COMMENT (nothing but one) or TEXT
    indent  new column of what it holds; None: it stays as it is
    cuts    (from, to): columns whose blanks are removed
    open    it ends inside of a string
    sealed  an empty line below would change the value of the string that ends here
    """

    text: str
    end: str = "\n"
    kind: str = BLANK
    indent: int | None = None
    cuts: list[tuple[int, int]] = field(default_factory=list)
    open: bool = False
    sealed: bool = False

    @property
    def column(self) -> int:
        """Of what it holds, as it was."""
        return len(self.text) - len(self.text.lstrip(" \t"))

    def moved(self, column: int) -> int:
        """Where a column of it comes to stand."""
        shift = 0 if self.indent is None else self.indent - self.column
        return column + shift - sum(end - start for start, end in self.cuts if end <= column)

    def written(self) -> str:
        """The line as it is to stand."""
        text = self.text
        for start, end in reversed(self.cuts):
            text = text[:start] + text[end:]
        if self.indent is not None:
            text = " " * self.indent + text.lstrip(" \t")
        return text if self.open else text.rstrip(" \t")


@dataclass
class Sheet:
    """A file, indented.

    sections  (number of its line, name) of each key at the top; empty if the file is one flow collection
    foot      number of the line at which the document ends
    comments  all of them, without the blanks around them
    """

    lines: list[Line]
    sections: list[tuple[int, str]] = field(default_factory=list)
    foot: int = 0
    comments: list[str] = field(default_factory=list)
