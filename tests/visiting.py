"""visiting: what a person does on the page of the service, in a browser."""

import csv
import io
import json
import time
from typing import Any

from tests.browser import Browser

DROP = """((name, content) => {
  const given = new DataTransfer();
  given.items.add(new File([Uint8Array.from(content)], name));
  const drop = document.getElementById("drop");
  for (const kind of ["dragenter", "dragover", "drop"])
    drop.dispatchEvent(new DragEvent(kind, {dataTransfer: given, bubbles: true, cancelable: true}));
})"""


def load(tab: Browser, url: str) -> None:
    """Open the page and wait for what it has, or for its question for a key."""
    tab.look(1040)
    tab.open(url)
    until(
        tab,
        "document.querySelector('#sections li') !== null || document.querySelector('dialog').open",
    )


def until(tab: Browser, condition: str) -> Any:
    """What the condition gives once it holds."""
    deadline = time.monotonic() + 30
    while not (value := tab.run(condition)):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)
    return value


def text_of(tab: Browser, element: str) -> str:
    """The text of the first element that a selector finds."""
    return str(tab.run(f"document.querySelector({json.dumps(element)}).textContent"))


def ask(tab: Browser, text: str) -> None:
    """Type a text, and press Ctrl and Enter."""
    tab.run("document.getElementById('text').value = ''; document.getElementById('text').focus()")
    tab.do("Input.insertText", text=text)
    for kind in ("keyDown", "keyUp"):
        tab.do("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", modifiers=2,
               windowsVirtualKeyCode=13)  # fmt: skip
    until(tab, "/^(Asking|$)/.test(document.getElementById('ask-status').textContent) === false")


def drop(tab: Browser, name: str, content: bytes) -> None:
    """A file on the box; the page then asks what is in it."""
    tab.run(f"{DROP}({json.dumps(name)}, {list(content)})")
    until(tab, "!document.getElementById('table-form').hidden"
               " || document.getElementById('table-status').textContent")  # fmt: skip


def in_csv(rows: list[list[str]], **style: Any) -> bytes:
    """A table as `csv` writes it."""
    stream = io.StringIO(newline="")
    csv.writer(stream, **style).writerows(rows)
    return stream.getvalue().encode()
