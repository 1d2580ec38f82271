// answers: one text, the answers to it, and the words that they hang on.

import { bar, by, count, el, probability } from "./elements.js";
import * as words from "./words.js";

const FIRST = 8; // labels that are shown before a click

/** The section with the text. releases: one or two. Returns what classifies a given text. */
export function start(releases) {
  let running = null;
  const form = by("ask-form"),
    field = by("text");
  const submit = async () => {
    running?.abort();
    running = new AbortController();
    await classify(releases, field.value, running.signal).catch(failed(running));
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  return (text) => {
    field.value = text;
    form.requestSubmit();
    by("ask").scrollIntoView();
    field.focus({ preventScroll: true });
  };
}

const failed = (mine) => (error) => {
  if (error.name === "AbortError" || mine.signal.aborted) return;
  by("ask-status").textContent = `No answer: ${error.message}.`;
  by("ask-status").classList.remove("unseen");
  by("answers").replaceChildren();
  by("legend").replaceChildren();
};

async function classify(releases, text, signal) {
  const status = by("ask-status");
  status.textContent = "Asking …";
  const answers = await Promise.all(
    releases.map(async (release) => (await release.all([text], signal))[0]),
  );
  if (signal.aborted) return;
  status.textContent = sentence(releases, answers);
  status.classList.toggle("unseen", releases.length === 1); // the answer below says the same
  const cards = releases.map((release, i) => card(releases, release, answers[i]));
  by("answers").replaceChildren(...cards);
  by("legend").replaceChildren();
  const some = words.pieces(text);
  await Promise.all(
    releases.map((release, i) =>
      answers[i].label ? explain(release, some, answers[i], cards[i], signal) : null,
    ),
  );
}

/** What is read out: the label, and whether the second release agrees. */
function sentence(releases, answers) {
  const named = answers.map((answer) => answer.error?.message ?? answer.label ?? "no answer");
  if (releases.length === 1) {
    const { label, confidence, error } = answers[0];
    if (label) return `${label}, ${probability(confidence)}`;
    return `No answer: ${error?.message ?? "there is nothing to read in this text"}.`;
  }
  const [one, other] = named;
  return one === other ? `Both answer ${one}.` : `They differ: ${one} and ${other}.`;
}

function card(releases, release, answer) {
  const name = releases.length > 1 ? el("h3", { class: "soft" }, release.name) : null;
  if (!answer.label) {
    const why = answer.error
      ? `${answer.error.message}.`
      : "There is nothing to read in this text.";
    return el(
      "article",
      { class: "card answer" },
      name,
      el("p", { class: "label" }, "No answer"),
      el("p", { class: "soft" }, why),
    );
  }
  const all = Object.entries(answer.probabilities);
  const table = el(
    "table",
    { class: "bars" },
    el("caption", { class: "unseen" }, "Probability of each label"),
    el(
      "tbody",
      {},
      all.map(([label, share], i) =>
        el(
          "tr",
          { hidden: i >= FIRST, class: i ? "" : "best" },
          el("th", { scope: "row" }, label),
          el("td", { class: "wide-cell" }, bar(share)),
          el("td", { class: "number" }, probability(share)),
        ),
      ),
    ),
  );
  return el(
    "article",
    { class: "card answer" },
    name,
    el(
      "p",
      { class: "label" },
      answer.label,
      " ",
      el("span", { class: "soft" }, probability(answer.confidence)),
    ),
    table,
    all.length > FIRST ? unfold(table, all.length) : null,
  );
}

function unfold(table, number) {
  const button = el("button", { type: "button", class: "quiet" }, `All ${number} labels`);
  button.addEventListener("click", () => {
    for (const row of table.rows) row.hidden = false;
    button.remove();
  });
  return button;
}

/** At once for a short text; of a long one a click asks for it, since each word is a text more. */
async function explain(release, some, answer, card, signal) {
  const number = words.places(some).length;
  const place = el("div", { class: "explained" });
  card.append(place);
  if (!number) return;
  const compute = async () => {
    const progress = el(
      "p",
      { class: "soft" },
      `Trying it without each of ${count(number, "word")} …`,
    );
    place.replaceChildren(progress);
    const drops = await words.importance(release, some, answer, signal, (ready) => {
      progress.textContent = `Tried without ${ready} of ${count(number, "word")} …`;
    });
    if (signal.aborted) return;
    place.replaceChildren(words.shown(some, drops, words.likeliest(answer)));
    by("legend").replaceChildren(...words.legend(some));
  };
  const safely = () =>
    compute().catch((error) => {
      if (error.name !== "AbortError")
        place.textContent = `The words are not known: ${error.message}.`;
    });
  if (number <= words.AT_ONCE) return safely();
  const button = el("button", { type: "button" }, `Which of the ${number} words matter?`);
  button.addEventListener("click", safely);
  place.append(button);
}
