"""browser_page: the page of a bundle that answers without a server."""

# No script in the markup, and no one to ask: what a text says stays in the page.
HTML = r"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'self';
  script-src 'self' blob: 'wasm-unsafe-eval'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page.css">
<title>lmspec</title>
</head>
<body>
<main>
<h1 id="title"></h1>
<form id="ask">
<label for="text">Text</label>
<textarea id="text" rows="5" autofocus></textarea>
<button disabled>Classify</button>
</form>
<p id="status" role="status">Opening the model...</p>
<table id="answer" hidden>
<caption></caption>
<thead><tr><th scope="col">Label</th><th scope="col">Probability</th></tr></thead>
<tbody></tbody>
</table>
<p id="about"></p>
<noscript><p>The model runs in JavaScript.</p></noscript>
</main>
<script src="runtime.js"></script>
<script src="model.js"></script>
<script src="repairing.js"></script>
<script src="classifier.js"></script>
<script src="page.js"></script>
</body>
</html>
"""

CSS = r""":root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 40rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
label { display: block; }
textarea { box-sizing: border-box; width: 100%; font: inherit; }
button { margin: .5rem 0; padding: .4rem 1.2rem; font: inherit; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-weight: bold; }
th, td { padding: .2rem .5rem .2rem 0; text-align: left; font-weight: normal; }
td { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
th:last-child { text-align: right; }
#about { font-size: .875rem; }
"""

CODE = r"""/* page.js: a box for a text, and its answer. */
"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const say = (text) => { at("status").textContent = text; };
  const made = (name, text) =>
    Object.assign(document.createElement(name), {textContent: text});

  const show = (classifier, answer) => {
    at("answer").hidden = !answer.length;
    if (!answer.length) return say("There is nothing to read in the text.");
    say("");
    at("answer").caption.textContent = classifier.label(answer);
    at("answer").tBodies[0].replaceChildren(...answer.map(([label, probability]) => {
      const row = document.createElement("tr"), name = made("th", label);
      name.scope = "row";
      row.append(name, made("td", `${(100 * probability).toFixed(2)} %`));
      return row;
    }));
  };

  const ask = async (classifier) => {
    at("answer").hidden = true;
    say("Computing...");
    try {
      show(classifier, await classifier.predict(at("text").value));
    } catch (error) {
      say(`No answer: ${error.message}.`);
    }
  };

  const start = async () => {
    try {
      const classifier = await lmspec.open(), {about} = classifier;
      document.title = at("title").textContent = about.title;
      at("about").textContent =
        `The model (${about.of}, SHA-256 ${about.sha256.slice(0, 16)}...) runs in this page. No`
        + ` text leaves it. When it opened, ${about.checked} texts got the answers of predict.py,`
        + ` with probabilities within ${classifier.furthest.toFixed(4)}.`;
      at("ask").addEventListener("submit", (event) => {
        event.preventDefault();
        ask(classifier);
      });
      at("ask").querySelector("button").disabled = false;
      say("");
    } catch (error) {
      say(`It does not answer in this browser: ${error.message}.`);
    }
  };
  start();
})();
"""
