// label: the page of `lmspec label`: one text at a time; its server keeps what was answered.

import { by, count, el, whole } from "./elements.js";

const NAME = "lmspec annotator"; // in the storage of this tab
const KEYS = "1234567890abcdefghijklmoprstvwxyz"; // without n and u, and q of the terminal
const token = location.hash.slice(1);
let shown = null; // what /v1/row answered last
let busy = false;

const annotator = () => sessionStorage.getItem(NAME) ?? "";

/** Asks the server, as the annotator. */
async function ask(path, values = {}) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({ annotator: annotator(), ...values }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

/** One question at a time: a key that is pressed twice answers one text. */
async function once(action) {
  if (busy) return;
  busy = true;
  try {
    await action();
    by("fault").hidden = true;
  } catch (error) {
    by("fault").textContent = error.message;
    by("fault").hidden = false;
  } finally {
    busy = false;
  }
}

const key = (i) => (shown.labels.length <= KEYS.length ? KEYS[i] : null);

function show(answer, status = "") {
  shown = answer;
  const row = answer.row;
  by("title").textContent = document.title = answer.list;
  by("file").textContent = `Answers are in ${answer.file}.`;
  by("progress").max = answer.rows;
  by("progress").value = answer.rows - answer.left;
  by("count").textContent = `${whole(answer.rows - answer.left)} of ${whole(answer.rows)}`;
  by("to-disagreements").textContent = `Disagreements (${whole(answer.disagreements)})`;
  by("card").hidden = row === null;
  by("labels").replaceChildren(...(row ? answer.labels.map(button) : []));
  by("unsure").hidden = row === null;
  by("status").textContent = row ? status : "All texts have an answer of yours.";
  if (row) {
    by("text").textContent = row.text;
    by("text").scrollTop = 0;
    by("about").textContent = row.label
      ? `It has the label ${row.label}; ${row.suggested} is more probable.`
      : row.table;
  }
  by("text").focus({ preventScroll: true });
}

const button = (label, i) =>
  el(
    "button",
    {
      type: "button",
      "aria-current": shown.row.label === label ? "true" : null,
      onclick: () => give(label),
    },
    label,
    key(i) ? [" ", el("kbd", {}, key(i))] : null,
  );

const give = (label) =>
  once(async () => {
    const { id } = shown.row;
    show(await ask("v1/label", { id, label }), `${label}.`);
  });

const pass = () => once(async () => show(await ask("v1/unsure", { id: shown.row.id }), "Passed."));

const undo = () =>
  once(async () => {
    const answer = await ask("v1/undo");
    show(answer, answer.undone ? "Taken back." : "There is nothing to take back.");
  });

/** The rows with different labels, to be decided. */
function list(answer) {
  by("disagreements-lead").textContent = answer.rows.length
    ? `${count(answer.rows.length, "text has", "texts have")} different labels. What you decide holds.`
    : "No text has different labels.";
  by("to-disagreements").textContent = `Disagreements (${whole(answer.rows.length)})`;
  by("disagreements-shown").replaceChildren(
    ...answer.rows.map((row) =>
      el(
        "li",
        { class: "card mistake" },
        el("blockquote", {}, row.text),
        el("p", {}, row.given.map((one) => `${one.annotator}: ${one.label}`).join(", ")),
        el(
          "div",
          { class: "actions", role: "group", "aria-label": "Decide" },
          answer.labels.map((label) =>
            el("button", { type: "button", onclick: () => decide(row.id, label) }, label),
          ),
        ),
      ),
    ),
  );
}

const decide = (id, label) => once(async () => list(await ask("v1/decide", { id, label })));

/** One of the views: who, texts, disagreements. */
function view(name) {
  for (const id of ["who", "texts", "disagreements"]) by(id).hidden = id !== name;
  by("to-texts").setAttribute("aria-pressed", String(name === "texts"));
  by("to-disagreements").setAttribute("aria-pressed", String(name === "disagreements"));
  by("change").hidden = name === "who";
}

const begin = () =>
  once(async () => {
    if (!annotator()) {
      view("who");
      by("annotator").focus();
      return;
    }
    const answer = await ask("v1/row");
    view("texts");
    show(answer);
  });

by("who").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(NAME, by("annotator").value.trim());
  begin();
});
by("change").addEventListener("click", () => {
  sessionStorage.removeItem(NAME);
  by("annotator").value = "";
  begin();
});
by("to-texts").addEventListener("click", begin);
by("to-disagreements").addEventListener("click", () =>
  once(async () => {
    if (!annotator()) return;
    const answer = await ask("v1/disagreements");
    view("disagreements");
    list(answer);
  }),
);
by("unsure").addEventListener("click", pass);
by("undo").addEventListener("click", undo);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (by("texts").hidden || event.target instanceof HTMLInputElement) return;
  if (event.key === "u") undo();
  else if (!shown?.row) return;
  else if (event.key === "n") pass();
  else {
    const place = KEYS.indexOf(event.key);
    if (place >= 0 && place < shown.labels.length && key(place)) give(shown.labels[place]);
  }
});

begin();
