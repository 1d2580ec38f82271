// table: a file of texts: which column, its answers with progress, and a table to take away.

import * as csv from "./csv.js";
import { bar, by, count, el, percent, probability, whole } from "./elements.js";

const MOST_BYTES = 64 * 2 ** 20; // of a file
const PAGE = 100; // rows that are shown at a time
const REDRAWN = 200; // milliseconds between two reports of progress

let current = null; // what is done with the last file

/** The section with the table. releases: one or two. */
export function start(releases) {
  const drop = by("drop"),
    input = by("file");
  const take = async (file) => {
    if (!file) return;
    current?.abort();
    current = new AbortController();
    await opened(releases, file, current).catch((error) => say(`${file.name}: ${error.message}.`));
    input.value = "";
  };
  input.addEventListener("change", () => take(input.files[0]));
  // a file that misses the box must not replace the page
  for (const kind of ["dragover", "drop"]) {
    window.addEventListener(kind, (event) => event.preventDefault());
  }
  const over = { dragenter: true, dragover: true, dragleave: false, drop: false };
  for (const [kind, is] of Object.entries(over)) {
    drop.addEventListener(kind, () => drop.classList.toggle("over", is));
  }
  drop.addEventListener("drop", (event) => take(event.dataTransfer.files[0]));
}

const say = (text) => (by("table-status").textContent = text);

async function opened(releases, file, running) {
  by("table-form").hidden = true;
  by("table-answers").replaceChildren();
  say("");
  if (file.size > MOST_BYTES) throw new Error("a file may have 64 MiB");
  const { text, broken } = await csv.decoded(file);
  const lines = !/\.(csv|tsv)$/i.test(file.name);
  const rows = lines
    ? text
        .split(/\r\n|[\r\n]/)
        .filter(Boolean)
        .map((line) => [line])
    : csv.parsed(text);
  if (!rows.length) throw new Error("it has no rows");
  if (broken) say("It has bytes that are not UTF-8; they are read as \uFFFD.");
  choose(releases, { name: file.name, rows, headed: !lines }, running);
}

/** Which column has the texts, and whether the first row has names. */
function choose(releases, file, running) {
  const form = by("table-form"),
    [first] = file.rows;
  const width = file.rows.reduce((most, row) => Math.max(most, row.length), 0);
  const named = first.findIndex((name) => name.trim().toLowerCase() === "text");
  const headed = el("input", { type: "checkbox", id: "headed", checked: file.headed });
  const column = el(
    "select",
    { id: "column" },
    Array.from({ length: width }, (_, i) =>
      el("option", { value: i, selected: i === Math.max(0, named) }, first[i] || `column ${i + 1}`),
    ),
  );
  const button = el("button", { type: "submit", class: "main" });
  const example = el("p", { class: "soft example" });
  const describe = () => {
    const texts = textsOf(file, headed.checked, Number(column.value));
    button.textContent = `Classify ${count(texts.length, "text")}`;
    button.disabled = !texts.length;
    example.textContent = texts.length ? `First: ${texts[0].slice(0, 160)}` : "There is no row.";
  };
  for (const field of [headed, column]) field.addEventListener("change", describe);
  describe();
  form.replaceChildren(
    el(
      "p",
      {},
      el("b", {}, file.name),
      " ",
      el("span", { class: "soft" }, count(file.rows.length, "row")),
    ),
    width > 1 ? el("p", {}, el("label", { for: "column" }, "Texts are in "), column) : "",
    el(
      "p",
      {},
      headed,
      " ",
      el("label", { for: "headed" }, "The first row has the names of the columns"),
    ),
    example,
    el("div", { class: "actions" }, button),
  );
  form.hidden = false;
  form.onsubmit = (event) => {
    event.preventDefault();
    form.hidden = true;
    const table = { ...file, headed: headed.checked, column: Number(column.value) };
    run(releases, table, running);
  };
  button.focus();
}

const textsOf = ({ rows }, headed, column) =>
  rows.slice(headed ? 1 : 0).map((row) => row[column] ?? "");

async function run(releases, table, running) {
  const texts = textsOf(table, table.headed, table.column);
  const progress = el("progress", {
    max: texts.length * releases.length,
    value: 0,
    "aria-label": "Texts with an answer",
  });
  const cancel = el("button", { type: "button" }, "Stop");
  const number = el("span", { class: "soft" });
  cancel.addEventListener("click", () => running.abort());
  by("table-answers").replaceChildren(
    el("div", { class: "card running" }, progress, number, cancel),
  );
  say(`Classifying ${count(texts.length, "text")} …`);
  const ready = releases.map(() => 0),
    answers = releases.map(() => []);
  let drawn = 0;
  const done = (i) => (some, all) => {
    ready[i] = some;
    answers[i] = all;
    const now = performance.now();
    if (now - drawn < REDRAWN) return;
    drawn = now;
    progress.value = ready.reduce((sum, each) => sum + each);
    number.textContent = `${whole(Math.min(...ready))} of ${whole(texts.length)}`;
  };
  let stopped = "";
  try {
    await Promise.all(releases.map((release, i) => release.all(texts, running.signal, done(i))));
  } catch (error) {
    running.abort();
    stopped = error.name === "AbortError" ? "Stopped" : `Stopped: ${error.message}`;
  }
  if (running !== current) return; // another file has come
  const rows = texts
    .slice(0, Math.min(...ready))
    .map((text, i) => ({ number: i + 1, text, answers: answers.map((each) => each[i]) }));
  say(`${stopped ? `${stopped}. ` : ""}${summary(releases, rows, texts.length)}`);
  by("table-answers").replaceChildren(...(rows.length ? results(releases, table, rows) : []));
}

const labelOf = (answer) => answer.label ?? null;
const differs = (row) =>
  row.answers.length > 1 && labelOf(row.answers[0]) !== labelOf(row.answers[1]);

function summary(releases, rows, all) {
  const answered = rows.filter((row) => row.answers.every((answer) => answer.label)).length;
  const text = `${whole(answered)} of ${count(all, "text")} ${all === 1 ? "has" : "have"} an answer.`;
  if (releases.length === 1 || !rows.length) return text;
  const number = rows.filter(differs).length;
  return `${text} The releases differ on ${whole(number)} (${percent(number / rows.length)}).`;
}

function results(releases, table, rows) {
  const body = el("tbody"),
    more = el("button", { type: "button" }),
    shown = el("span", { class: "soft" });
  const select = el(
    "select",
    { id: "filter" },
    filters(releases, rows).map(([name], i) => el("option", { value: i }, name)),
  );
  let some = rows,
    until = 0;
  const further = () => {
    body.append(...some.slice(until, until + PAGE).map((row) => line(releases, row)));
    until = Math.min(some.length, until + PAGE);
    shown.textContent = `${whole(until)} of ${whole(some.length)}`;
    more.textContent = `${Math.min(PAGE, some.length - until)} more`;
    more.hidden = until === some.length;
  };
  const filter = () => {
    some = rows.filter(filters(releases, rows)[select.value][1]);
    until = 0;
    body.replaceChildren();
    further();
  };
  select.addEventListener("change", filter);
  more.addEventListener("click", further);
  filter();
  const save = el("button", { type: "button" }, "Download as CSV");
  save.addEventListener("click", () => download(releases, table, rows));
  const heads = [
    el("span", { class: "unseen" }, "number"),
    "text",
    ...releases.map((release) => release.name),
  ];
  return [
    el(
      "div",
      { class: "counts" },
      releases.map((release, i) => counts(releases, release, rows, i)),
    ),
    el("div", { class: "actions" }, el("label", { for: "filter" }, "Show "), select, shown, save),
    el(
      "div",
      { class: "card scroll", tabIndex: 0, role: "region", "aria-label": "Answers" },
      el(
        "table",
        { class: "rows" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            heads.map((name) => el("th", { scope: "col" }, name)),
          ),
        ),
        body,
      ),
    ),
    more,
    el(
      "p",
      { class: "soft key" },
      "In the file, a cell that a spreadsheet would run as a formula " +
        "begins with an apostrophe.",
    ),
  ];
}

/** Name and condition of what can be shown alone. */
function filters(releases, rows) {
  const labels = new Set(rows.flatMap((row) => row.answers.map(labelOf)));
  labels.delete(null);
  return [
    ["all texts", () => true],
    ...(releases.length > 1 ? [["where the two differ", differs]] : []),
    ...[...labels]
      .sort()
      .map((label) => [label, (row) => row.answers.some((a) => a.label === label)]),
    ["without an answer", (row) => row.answers.some((answer) => !answer.label)],
  ];
}

function line(releases, row) {
  // on a phone, where the head of the table is not shown
  const name = (i) => (releases.length > 1 ? { "data-name": releases[i].name } : {});
  const cells = row.answers.map((answer, i) =>
    answer.label
      ? el("td", name(i), answer.label, " ", el("small", {}, probability(answer.confidence)))
      : el("td", { class: "soft", ...name(i) }, answer.error?.message ?? "nothing to read"),
  );
  if (differs(row))
    cells
      .at(-1)
      .append(
        " ",
        el("span", { class: "unsure" }, "≠"),
        el("span", { class: "unseen" }, " differs"),
      );
  return el(
    "tr",
    {},
    el("td", { class: "soft number" }, String(row.number)),
    el("td", { class: "text" }, row.text),
    cells,
  );
}

function counts(releases, release, rows, i) {
  const numbers = new Map();
  for (const { answers } of rows) {
    const label = labelOf(answers[i]) ?? "no answer";
    numbers.set(label, (numbers.get(label) ?? 0) + 1);
  }
  const ranked = [...numbers].sort((one, other) => other[1] - one[1]);
  return el(
    "table",
    { class: "bars card" },
    el("caption", {}, releases.length > 1 ? release.name : "Answers"),
    el(
      "tbody",
      {},
      ranked.map(([label, number]) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, label),
          el("td", { class: "wide-cell" }, bar(number / rows.length)),
          el(
            "td",
            { class: "number" },
            whole(number),
            " ",
            el("small", {}, percent(number / rows.length)),
          ),
        ),
      ),
    ),
  );
}

/** The table as it was, with the columns that predict.py adds; of a second release with its name. */
function download(releases, table, rows) {
  const width = table.rows.reduce((most, row) => Math.max(most, row.length), 0);
  const filled = (row) => Array.from({ length: width }, (_, i) => row[i] ?? "");
  const names = table.headed
    ? filled(table.rows[0])
    : Array.from({ length: width }, (_, i) => (width > 1 ? `column ${i + 1}` : "text"));
  const added = releases.flatMap((release, i) =>
    ["predicted", "confidence"].map((name) => (i ? `${name} by ${release.name}` : name)),
  );
  const given = table.rows.slice(table.headed ? 1 : 0);
  const lines = rows.map((row, i) => [
    ...filled(given[i]),
    ...row.answers.flatMap(({ label, confidence, error }) => [
      label ?? "",
      confidence ?? error?.code ?? "",
    ]),
  ]);
  const file = new Blob([csv.written([[...names, ...added], ...lines])], { type: "text/csv" });
  const link = el("a", {
    href: URL.createObjectURL(file),
    download: `${table.name.replace(/\.[^.]*$/, "")} answered.csv`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
