// about: what is served: scores with intervals, mistakes, the model card, and its origin.

import { by, count, el, percent, probability } from "./elements.js";
import { sections } from "./markdown.js";

const OPEN = ["Intended use", "Limitations", "Data"]; // sections of the card that are unfolded

export function scores(releases) {
  const found = releases.filter((release) => release.shown.scores?.accuracies.length);
  if (!found.length) return false;
  const rows = new Map();
  for (const release of found) {
    for (const row of release.shown.scores.accuracies) {
      rows.set(row.texts, [...(rows.get(row.texts) ?? []), [release, row]]);
    }
  }
  const lows = [...rows.values()].flat().map(([, row]) => row.low);
  const least = Math.max(0, Math.floor(10 * Math.min(...lows) - 0.5) / 10);
  const confidence = percent(found[0].shown.scores.confidence, 0);
  by("scores-shown").replaceChildren(
    el(
      "div",
      { class: "card" },
      el(
        "table",
        { class: "intervals" },
        el("caption", { class: "unseen" }, "Accuracy on test texts"),
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th", { scope: "col" }, "test texts"),
            el(
              "th",
              { scope: "col" },
              el(
                "span",
                { class: "ends" },
                el("span", {}, percent(least, 0)),
                el("span", {}, "100 %"),
              ),
            ),
            el("th", { scope: "col", class: "number" }, "accuracy"),
          ),
        ),
        el(
          "tbody",
          {},
          [...rows].map(([name, some]) => dataset(name, some, least, found)),
        ),
      ),
    ),
    el(
      "p",
      { class: "soft key" },
      `Lines are the ${confidence} confidence intervals of the accuracy ` +
        "on texts of this kind. The model has not learned from these texts, unless its card says so.",
    ),
  );
  return true;
}

function dataset(name, some, least, found) {
  const place = (share) => (share - least) / (1 - least);
  const lines = some.map(([release, row]) =>
    el(
      "span",
      {
        class: `interval ${found.indexOf(release) ? "other" : ""}`,
        "aria-hidden": "true",
        style: { "--low": place(row.low), "--at": place(row.accuracy), "--high": place(row.high) },
      },
      el("i"),
      el("b"),
    ),
  );
  const numbers = some.map(([release, row]) =>
    el(
      "span",
      { class: "value" },
      found.length > 1 ? el("small", {}, `${release.name} `) : null,
      `${percent(row.accuracy)} `,
      el("small", {}, `${percent(row.low)} to ${percent(row.high)}`),
    ),
  );
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, name, " ", el("small", {}, count(some[0][1].examples, "text"))),
    el("td", { class: "wide-cell" }, lines),
    el("td", { class: "number" }, numbers),
  );
}

/** retry: classifies a text. */
export function mistakes(release, retry) {
  const found = release.shown.scores?.mistakes ?? [];
  if (!found.length) return false;
  by("mistakes-lead").textContent =
    `${count(found.length, "test text")} that ${release.name} answers otherwise than they are labelled, ` +
    "those it was surest of first. Some labels may be wrong themselves.";
  by("mistakes-shown").replaceChildren(
    ...found.map((one) => {
      const button = el("button", { type: "button", class: "quiet" }, "Try it");
      button.setAttribute("aria-label", `Try it: ${one.text.slice(0, 60)}`);
      button.addEventListener("click", () => retry(one.text));
      return el(
        "li",
        { class: "card mistake" },
        el("blockquote", {}, one.text),
        el(
          "div",
          {},
          el(
            "p",
            { class: "soft" },
            `${one.dataset}, labelled `,
            el("b", {}, one.label),
            ", answered ",
            el("b", {}, one.predicted),
            ` (${probability(one.confidence)})`,
          ),
          button,
        ),
      );
    }),
  );
  by("another").hidden = false;
  let next = 0;
  by("another").addEventListener("click", () => retry(found[next++ % found.length].text));
  return true;
}

export function card(release) {
  const [[, before], ...rest] = sections(release.shown.card);
  if (!rest.length && !before.length) return false;
  by("card-shown").replaceChildren(
    el("div", { class: "prose" }, before),
    ...rest
      .filter(([name]) => OPEN.includes(name))
      .map(([name, some]) => el("article", { class: "card prose part" }, el("h3", {}, name), some)),
    el(
      "div",
      { class: "folds" },
      rest
        .filter(([name]) => !OPEN.includes(name))
        .map(([name, some]) =>
          el(
            "details",
            { class: "card" },
            el("summary", {}, el("h3", {}, name)),
            el("div", { class: "prose" }, some),
          ),
        ),
    ),
  );
  return true;
}

/** Of a bundle that writes these are of a prompt and its text together. */
const reads = ({ max_length, positions }) =>
  (max_length ?? positions) ? count(max_length ?? positions, "token") : "the whole text";

export function origin(releases) {
  by("origin-shown").replaceChildren(
    ...releases.map((release) => {
      const { about } = release,
        rows = [
          ["Bundle", el("code", { title: about.digest }, about.digest)],
          [
            "Commit",
            about.commit ? el("code", {}, about.commit) : "not known to git, or it has none",
          ],
          [
            "Made from",
            el(
              "ul",
              {},
              Object.entries(about.made_from).map(([name, digest]) =>
                el("li", {}, el("b", {}, name), " ", el("code", {}, digest)),
              ),
            ),
          ],
          ...(about.labels ? [["Labels", about.labels.join(", ")]] : []),
          ["Reads at once", reads(about)],
        ];
      return el(
        "article",
        { class: "card origin" },
        releases.length > 1 ? el("h3", {}, release.name) : null,
        el("dl", {}, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]).flat()),
      );
    }),
  );
  return true;
}
