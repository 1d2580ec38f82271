// csv: tables as text: read as RFC 4180 has them, and written so that no cell is run as a formula.

const MARKS = [",", ";", "\t"];
const FORMULA = /^(?:[\t\r\n]|\s*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/; // what a spreadsheet may run
const NUMBER = /^[+-]?[0-9.,]+([eE][+-]?[0-9]+)?$/;

/** The text of a file: UTF-8, or UTF-16 with its mark. broken: it has bytes that are neither. */
export async function decoded(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const wide = { "255,254": "utf-16le", "254,255": "utf-16be" }[bytes.subarray(0, 2).join()];
  const text = new TextDecoder(wide ?? "utf-8").decode(bytes);
  return { text, broken: text.includes("\uFFFD") };
}

/** The rows of a table, each a list of cells; rows without any cell are none. Throws an Error for a
 * quote that is not closed. */
export function parsed(text, mark = separator(text)) {
  const rows = [];
  let row = [],
    cell = "",
    quoted = false,
    began = 0;
  const end = () => {
    row.push(cell);
    if (row.length > 1 || cell) rows.push(row);
    row = [];
    cell = "";
  };
  for (let i = 0; i < text.length; i++) {
    const sign = text[i];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (sign === '"' && cell === "") {
      quoted = true;
      began = rows.length + 1;
    } else if (sign === mark) {
      row.push(cell);
      cell = "";
    } else if (sign === "\n" || sign === "\r") {
      if (sign === "\r" && text[i + 1] === "\n") i++;
      end();
    } else cell += sign;
  }
  if (quoted) throw new Error(`row ${began} has a quote that is not closed`);
  if (row.length || cell) end();
  return rows;
}

/** The separator that the first line has most of, outside of quotes. */
export function separator(text) {
  const line = (/^(?:"(?:[^"]|"")*"|[^"\r\n])*/.exec(text)?.[0] ?? "").replace(
    /"(?:[^"]|"")*"/g,
    "",
  );
  const counts = MARKS.map((mark) => line.split(mark).length);
  return MARKS[counts.indexOf(Math.max(...counts))];
}

/** A table of text and number cells, with the mark by which spreadsheets know UTF-8. */
export const written = (rows) =>
  `\uFEFF${rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("")}`;

function cell(value) {
  const text = guarded(String(value ?? ""));
  return /[",\r\n\t;]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** What would be run as a formula has an apostrophe before it. Source: OWASP, CSV Injection. */
const guarded = (text) => (FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text);
