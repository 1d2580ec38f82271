"""browser_repairing: repairing.py in a browser: its code, and the tables of ftfy that it needs.

Code of a page is text of a module, so that it is in the cache key of what ships it.
"""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from ftfy import chardata, fixes
from ftfy.badness import BADNESS_RE

# What Python means by white space, by a word character and by a dot; JavaScript means others.
SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
WORD = "\\p{L}\\p{N}_"
# Numbers of which html.unescape makes something else than the character of that number.
SPECIAL_NUMBERS = (
    *range(0x100),
    *range(0xFDD0, 0xFDF0),
    *(plane << 16 | end for plane in range(17) for end in (0xFFFE, 0xFFFF)),
)


def tables(clean: Mapping[str, bool]) -> str:
    """JSON that `lmspec.repairing` of the code below takes. clean: of lmspec.json."""
    upper = bytes(range(0x80, 0xA0)).decode("latin-1")
    quotes = {**dict.fromkeys("\u02bc\u2018\u2019\u201a\u201b", "'")}
    quotes |= dict.fromkeys("\u201c\u201d\u201e\u201f", '"')
    values: dict[str, Any] = {
        "clean": dict(clean),
        "space": SPACE,
        "entities": chardata.HTML_ENTITIES,
        "numbers": {str(n): html.unescape(f"&#{n};") for n in SPECIAL_NUMBERS if _is_special(n)},
        "encodings": [
            [name, bytes(range(256)).decode(name)] for name in chardata.CHARMAP_ENCODINGS
        ],
        "windows1252": bytes(range(256)).decode("windows-1252", "replace"),
        "characters": [  # in the order of ftfy
            {c: fixes.fix_c1_controls(c) for c in upper},
            _named(chardata.LIGATURES),
            _named(chardata.WIDTH_MAP),
            quotes,
        ],
        "controls": _named(chardata.CONTROL_CHARS),
        "escapes": javascript(fixes.ANSI_RE.pattern),
        "badness": javascript(BADNESS_RE.pattern, verbose=True),
        "detector": javascript(chardata.UTF8_DETECTOR_RE.pattern, verbose=True),
        "altered": chardata.ALTERED_UTF8_RE.pattern.decode("latin-1"),
        "lossy": chardata.LOSSY_UTF8_RE.pattern.decode("latin-1"),
        "a_grave": fixes.A_GRAVE_WORD_RE.pattern.decode("latin-1"),
    }
    return json.dumps(values)


def _is_special(number: int) -> bool:
    return html.unescape(f"&#{number};") != chr(number)


def _named(mapping: Mapping[int, str | None]) -> dict[str, str]:
    return {chr(number): text or "" for number, text in mapping.items()}


def javascript(pattern: str, verbose: bool = False) -> str:
    """A regular expression of Python's as one of JavaScript's with the flag `u`.

    verbose  it was compiled with re.VERBOSE
    Knows what those of ftfy have: sets, groups, repetitions, \\s, \\w and \\d.
    """
    text, inside = "", False
    rest = iter(pattern)
    for character in rest:
        if character == "\\":
            escaped = next(rest)
            known = {"s": SPACE, "w": WORD, "d": "\\p{Nd}"}.get(escaped)
            text += f"\\{escaped}" if known is None else known if inside else f"[{known}]"
        elif inside:
            inside = character != "]"
            text += character
        elif verbose and character == "#":
            while next(rest, "\n") != "\n":
                pass
        elif not (verbose and character in " \n\t"):
            inside = character == "["
            text += "[^\\n]" if character == "." else character
    return re.sub(r"\x1b", r"\\x1b", text)


CODE = r"""/* repairing.js: repairs a text as those were that the model was trained on.

The same as repairing.py and the package ftfy (Robyn Speer, Apache-2.0), whose tables it is given.
lmspec.repairing(tables) -> function: text -> repaired text */
"use strict";
(() => {
  const lmspec = (globalThis.lmspec ??= {});
  const ASCII = /^[\x00-\x7f]*$/;
  const bytesOf = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0)); // of a binary string
  const utf8 = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true});

  const decoded = (bytes) => {
    try {
      return utf8.decode(bytesOf(bytes));
    } catch {
      return null;
    }
  };

  /* A surrogate pair in six bytes (CESU-8) -> its character in four. */
  const paired = (whole, ...parts) => {
    const [a, b, c, d] = parts.map((one) => one.charCodeAt(0));
    const code = ((a & 0x0f) << 16) + ((b & 0x3f) << 10) + ((c & 0x0f) << 6) + (d & 0x3f) + 0x10000;
    return String.fromCharCode(
      0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f),
      0x80 | (code & 0x3f));
  };

  /* What was UTF-8 and was decoded as something else (fix_encoding of ftfy). */
  const encodingFixer = (tables) => {
    const bad = new RegExp(tables.badness, "u");
    const detector = new RegExp(tables.detector, "gu");
    const altered = new RegExp(tables.altered, "g"), lossy = new RegExp(tables.lossy, "g");
    const aGrave = new RegExp(tables.a_grave, "g");
    const encodings = tables.encodings.map(([name, characters]) =>
      [name, new Map(Array.from(characters, (c, byte) => [c, String.fromCharCode(byte)]))]);

    const encoded = (text, table) => {
      let bytes = "";
      for (const character of text) {
        const byte = table.get(character);
        if (byte === undefined) return null;
        bytes += byte;
      }
      return bytes;
    };

    const fixed = (text) => {
      for (let before = null; text !== before; ) [before, text] = [text, once(text)];
      return text;
    };

    const once = (text) => {
      if (ASCII.test(text) || !bad.test(text)) return text;
      let latin1 = false;
      for (const [name, table] of encodings) {
        let bytes = encoded(text, table);
        if (bytes === null) continue;
        latin1 ||= name === "latin-1";
        if (name !== "macroman" && bytes.search(altered) >= 0)
          bytes = bytes
            .replace(aGrave, "\xc3\xa0 ")
            .replace(altered, (part) => part.replaceAll(" ", "\xa0"));
        if (name.startsWith("sloppy")) bytes = bytes.replace(lossy, "\xef\xbf\xbd");
        if (/[\xed\xc0]/.test(bytes))
          bytes = bytes
            .replace(/\xed([\xa0-\xaf])([\x80-\xbf])\xed([\xb0-\xbf])([\x80-\xbf])/g, paired)
            .replace(/\xc0\x80/g, "\0");
        const result = decoded(bytes);
        if (result !== null) return result;
      }
      const parts = text.replace(detector, (part) =>
        part.length < text.length && bad.test(part) ? fixed(part) : part);
      if (parts !== text) return parts;
      if (latin1) {
        const read = Array.from(text, (c) => tables.windows1252[c.charCodeAt(0)]).join("");
        if (!read.includes("\ufffd") && read !== text) return read;
      }
      return text.replace(/[\x80-\x9f]/g, (c) => tables.characters[0][c]);
    };
    return fixed;
  };

  lmspec.repairing = (tables) => {
    const {fix_unicode: fixUnicode, unescape_html: unescapeHtml} = tables.clean;
    const fixEncoding = encodingFixer(tables);
    const maps = [...tables.characters, tables.controls].map((one) => new Map(Object.entries(one)));
    const controls = maps.pop();
    const entities = new Map(Object.entries(tables.entities));
    const numbers = new Map(Object.entries(tables.numbers));
    const escapes = new RegExp(tables.escapes, "gu");
    const runs = new RegExp(`[${tables.space}]+`, "gu");
    const replaced = (text, map) => Array.from(text, (c) => map.get(c) ?? c).join("");

    const character = (number) =>
      numbers.get(String(number)) ??
      (number > 0x10ffff || (number >= 0xd800 && number < 0xe000)
        ? "\ufffd" : String.fromCodePoint(number));

    const unescaped = (text) => text.replace(/&#?[0-9A-Za-z]{1,24};/g, (entity) => {
      const known = entities.get(entity);
      if (known !== undefined) return known;
      const found = /^&#(?:([0-9]+)|[xX]([0-9a-fA-F]+));$/.exec(entity);
      if (!found) return entity;
      const result = character(found[1] ? Number(found[1]) : parseInt(found[2], 16));
      return result.includes(";") ? entity : result;
    });

    const fixedLine = (text) => {
      for (let before = null; text !== before; ) {
        before = text;
        if (unescapeHtml) text = unescaped(text);
        text = fixEncoding(text);
        for (const map of maps) text = replaced(text, map);
        text = text.replaceAll("\r\n", "\n").replace(/[\r\x85\u2028\u2029]/g, "\n");
        text = replaced(text.replace(escapes, ""), controls);
        if (!ASCII.test(text)) text = text.normalize("NFC");
      }
      return text;
    };

    return (text) => {
      text = text.toWellFormed();
      for (let before = null; text !== before; ) {
        before = text;
        if (fixUnicode) text = (text.match(/[^\n]*\n|[^\n]+/g) ?? []).map(fixedLine).join("");
        else if (unescapeHtml) text = unescaped(text);
        text = text.replace(runs, " ").replace(/^ | $/g, "");
      }
      return text;
    };
  };
})();
"""
