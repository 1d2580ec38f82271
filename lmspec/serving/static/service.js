// service: the endpoints of one bundle, asked within its limits.

import { by } from "./elements.js";

const KEY = "lmspec key"; // in the storage of this tab
const MOST_TRIES = 30; // of a list, while too many texts wait
const AROUND = 256; // bytes of a body beside its texts
const encoder = new TextEncoder();

/** Why there is no answer. */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** A bundle: what it is (`about`), its card and scores (`shown`), and its answers. */
export class Release {
  constructor(prefix) {
    this.prefix = prefix;
  }

  async open() {
    this.about = await this.#asked("v1/bundle");
    this.shown = await this.#asked("v1/card");
    this.limits = this.about.limits;
    return this;
  }

  /** The answers to texts of one list, each an answer or an `error`. A list that takes too long
   * is asked in halves. */
  async classify(texts, signal) {
    try {
      const body = JSON.stringify({ texts });
      return (await this.#patiently("v1/classify", body, signal)).answers;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (texts.length === 1) return [{ error: { code: error.code, message: error.message } }];
      if (error.code !== "timeout") throw error;
      const middle = texts.length >> 1;
      const first = await this.classify(texts.slice(0, middle), signal);
      return [...first, ...(await this.classify(texts.slice(middle), signal))];
    }
  }

  /** Texts in lists of as many as the limits allow, as arrays of their places. */
  *lists(texts) {
    let list = [],
      bytes = AROUND;
    for (const [place, text] of texts.entries()) {
      const more = encoder.encode(JSON.stringify(text)).length + 1;
      const full = list.length === this.limits.max_texts || list.length === this.limits.queue;
      if (list.length && (full || bytes + more > this.limits.max_body_bytes)) {
        yield list;
        list = [];
        bytes = AROUND;
      }
      list.push(place);
      bytes += more;
    }
    if (list.length) yield list;
  }

  /** The answers to any number of texts. done: called with how many have one. */
  async all(texts, signal, done = () => {}) {
    const answers = new Array(texts.length);
    const sent = texts.map((text) => (this.#fits(text) ? text : ""));
    let ready = 0;
    for (const list of this.lists(sent)) {
      const some = await this.classify(
        list.map((place) => sent[place]),
        signal,
      );
      list.forEach((place, i) => {
        answers[place] = this.#fits(texts[place]) ? some[i] : this.#tooLong();
      });
      done((ready += list.length), answers);
    }
    return answers;
  }

  #fits(text) {
    const most = this.limits.max_text_bytes;
    return 3 * text.length <= most || encoder.encode(text).length <= most;
  }

  #tooLong() {
    const message = `a text may have ${this.limits.max_text_bytes} bytes`;
    return { error: { code: "text_too_long", message } };
  }

  async #patiently(path, body, signal) {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#asked(path, body, signal);
      } catch (error) {
        if (error.code !== "busy" || tries === MOST_TRIES) throw error;
        await pause(error.seconds, signal);
      }
    }
  }

  /** The events of a stream, as its JSON objects. */
  async *events(path, body, signal) {
    const response = await this.#answered(path, body, signal);
    const stream = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "",
      part;
    while (!(part = await stream.read()).done) {
      const events = (rest + part.value).split(/\r?\n\r?\n/);
      rest = events.pop();
      for (const event of events) {
        const data = event.replace(/^data: ?/, "");
        if (data !== "[DONE]") yield JSON.parse(data);
      }
    }
  }

  async #asked(path, body, signal) {
    const response = await this.#answered(path, body, signal);
    return await response.json();
  }

  /** The response, unless it refuses. */
  async #answered(path, body, signal) {
    let response;
    for (let again = false; ; again = true) {
      response = await request(this.prefix + path, body, signal);
      if (response.status !== 401) break;
      await askForKey(again);
    }
    if (response.ok) return response;
    const values = await response.json().catch(() => ({}));
    const { code = "failed", message = `the service answers ${response.status}` } =
      values.error ?? {};
    const refused = new Refused(code, message);
    refused.seconds = Number(response.headers.get("retry-after")) || 1;
    throw refused;
  }
}

async function request(path, body, signal) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    const method = body === undefined ? "GET" : "POST";
    return await fetch(path, { method, body, headers, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw new Refused("gone", "the service does not answer");
  }
}

let asking; // one dialog for all requests that need a key

function askForKey(again) {
  asking ??= new Promise((resolve) => {
    const dialog = by("key-dialog");
    if (again) by("key-note").textContent = "The service does not know that key.";
    dialog.showModal();
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    by("key-form").addEventListener(
      "submit",
      () => {
        sessionStorage.setItem(KEY, by("key").value.trim());
        by("key").value = "";
        resolve();
      },
      { once: true },
    );
  }).finally(() => (asking = undefined));
  return asking;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(signal.reason);
      },
      { once: true },
    );
  });
}
