// main: the page of `lmspec serve`: it asks what is served, and shows what that can do.

import * as about from "./about.js";
import * as answers from "./answers.js";
import { by, el, short } from "./elements.js";
import * as prompts from "./prompts.js";
import { Release } from "./service.js";
import * as table from "./table.js";

const NAMES = {
  ask: "One text",
  write: "A prompt",
  table: "A table",
  scores: "Scores",
  mistakes: "Mistakes",
  card: "Model card",
  origin: "Origin",
};

async function begin() {
  const first = await new Release("").open();
  const releases = [first];
  if (first.about.compared) releases.push(await new Release("compared/").open());
  name(releases);
  by("title").textContent = document.title = first.about.title;
  by("served").replaceChildren(...served(releases));
  const shown = { ...tried(releases), card: about.card(first), origin: about.origin(releases) };
  for (const id of Object.keys(shown).filter((id) => shown[id])) {
    by(id).hidden = false;
    by("sections").append(el("li", {}, el("a", { href: `#${id}` }, NAMES[id])));
  }
  by(shown.write ? "prompt" : "text").focus({ preventScroll: true });
}

/** What can be tried: prompts of a bundle that writes, texts and tables of others. */
function tried(releases) {
  const [first] = releases;
  if (first.about.generation) {
    prompts.start(first);
    return { write: true };
  }
  const retry = answers.start(releases);
  table.start(releases);
  return {
    ask: true,
    table: true,
    scores: about.scores(releases),
    mistakes: about.mistakes(first, retry),
  };
}

/** Of two bundles that have the name of one folder, the digests tell them apart. */
function name(releases) {
  const names = releases.map((release) => release.about.name);
  const same = new Set(names).size < names.length;
  releases.forEach((release, i) => {
    release.name = same ? `${names[i]} ${short(release.about.digest).slice(0, 6)}` : names[i];
  });
}

const served = (releases) =>
  releases.flatMap((release, i) => [
    i ? " beside " : "",
    el("b", {}, release.name),
    " ",
    el("code", { title: "identity of the bundle" }, short(release.about.digest)),
  ]);

begin().catch((error) => {
  by("fault").textContent = `The page cannot begin: ${error.message}.`;
  by("fault").hidden = false;
});
