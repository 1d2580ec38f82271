// prompts: of a bundle that writes: a prompt, and its text as it grows.

import { by, count } from "./elements.js";

/** The section with the prompt. */
export function start(release) {
  const form = by("write-form"),
    field = by("prompt"),
    stop = by("write-stop");
  let running = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    running?.abort();
    const mine = (running = new AbortController());
    stop.hidden = false;
    await write(release, field.value, mine.signal).catch((error) => {
      if (!mine.signal.aborted) say(`No text: ${error.message}.`);
      else if (mine === running) say("Stopped.");
    });
    if (mine === running) stop.hidden = true;
  });
  stop.addEventListener("click", () => running?.abort());
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

const say = (text) => (by("write-status").textContent = text);

async function write(release, prompt, signal) {
  const text = by("written");
  text.textContent = "";
  text.hidden = false;
  text.setAttribute("aria-busy", "true"); // it is read out when it is whole
  say("Writing …");
  try {
    let tokens = 0,
      reason = "";
    const body = JSON.stringify({ prompt, stream: true, stream_options: { include_usage: true } });
    for await (const { choices = [], usage, error } of release.events(
      "v1/completions",
      body,
      signal,
    )) {
      if (error) throw new Error(error.message);
      text.append(...choices.map((choice) => choice.text));
      reason = choices[0]?.finish_reason ?? reason;
      tokens = usage?.completion_tokens ?? tokens;
    }
    const end = reason === "length" ? ", and no more were allowed" : "";
    say(`${count(tokens, "token")}${end}.`);
  } finally {
    text.removeAttribute("aria-busy");
  }
}
