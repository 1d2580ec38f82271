// words: how much the probability of an answer hangs on each word: the text is asked again without
// it, for each word in turn.

import { bar, count, el, percent } from "./elements.js";

export const AT_ONCE = 64; // words that are tried without a click
export const MOST = 1000; // words that are tried at all; the others of a longer text are not
const LISTED = 6; // in the table beside the text
const VISIBLE = 0.01; // a smaller change is not shown
const STEPS = [0.3, 0.1, 0.03]; // changes from which a word is marked more strongly
const EMOJI = /\p{Extended_Pictographic}/u;
const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });

/** A text as pieces, of which some are words: {text, word}. */
export const pieces = (text) =>
  [...segmenter.segment(text)].map(({ segment, isWordLike }) => ({
    text: segment,
    word: isWordLike || EMOJI.test(segment),
  }));

/** The places of the words that are tried. */
export const places = (some) =>
  some.flatMap((piece, place) => (piece.word ? [place] : [])).slice(0, MOST);

/** The most probable label, which is the answer unless that is unsure. */
export const likeliest = (answer) => Object.keys(answer.probabilities)[0];

/** How much the probability of a label drops without each word; place -> change. A negative one
 * rises. Words without which nothing is left to read have none. */
export async function importance(release, some, answer, signal, done) {
  const tried = places(some);
  const texts = tried.map((place) =>
    some
      .filter((_, i) => i !== place)
      .map((p) => p.text)
      .join(""),
  );
  const answers = await release.all(texts, signal, done);
  const drops = new Map();
  const best = likeliest(answer);
  tried.forEach((place, i) => {
    const left = answers[i].probabilities?.[best];
    if (left !== undefined) drops.set(place, answer.confidence - left);
  });
  return drops;
}

/** The text with its words marked, and the strongest ones in a table. */
export function shown(some, drops, label) {
  const ranked = [...drops].filter(([, drop]) => Math.abs(drop) >= VISIBLE);
  ranked.sort((one, other) => Math.abs(other[1]) - Math.abs(one[1]));
  const text = el(
    "p",
    { class: "marked" },
    some.map((piece, place) => mark(piece, drops.get(place))),
  );
  if (!ranked.length) {
    const none = `No single word changes the probability of ${label} by a point or more.`;
    return el("div", { class: "words" }, text, el("p", { class: "soft" }, none));
  }
  return el("div", { class: "words" }, text, table(some, ranked.slice(0, LISTED), label));
}

function mark({ text }, drop = 0) {
  if (Math.abs(drop) < VISIBLE) return text;
  const strength = 1 + STEPS.filter((step) => Math.abs(drop) >= step).length;
  const way = drop > 0 ? "for" : "against";
  return el("mark", { class: `${way} s${strength}`, title: change(drop) }, text);
}

function table(some, ranked, label) {
  const most = Math.max(...ranked.map(([, drop]) => Math.abs(drop)));
  const rows = ranked.map(([place, drop]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, some[place].text),
      el("td", { class: "wide-cell" }, bar(Math.abs(drop) / most, drop > 0 ? "" : "against")),
      el("td", { class: "number" }, change(drop)),
    ),
  );
  return el(
    "table",
    { class: "bars" },
    el("caption", { class: "soft" }, `Without the word, ${label} changes by`),
    el("tbody", {}, rows),
  );
}

const change = (drop) => `${drop > 0 ? "−" : "+"}${percent(Math.abs(drop)).replace("%", "points")}`;

/** How to read that, and how it was computed. */
export function legend(some) {
  const tried = places(some).length,
    all = some.filter((piece) => piece.word).length;
  const few = tried < all ? `, of ${all}` : "";
  return [
    el("mark", { class: "for s3" }, "Underlined"),
    " words: without them the answer is less probable, the thicker the line, the more. ",
    el("mark", { class: "against s3" }, "Dotted"),
    ` ones: without them it is more probable. The text was classified ${count(tried, "more time")}`,
    `, each time without one word${few}; words that count only together do not show.`,
  ];
}
