"""browser_classifier: predict.py and reading.py in a browser: a text -> the probability of each
label.
"""

CODE = r"""/* classifier.js: labels and probabilities in a page, as predict.py gives them.

  const classifier = await lmspec.open();
  await classifier.predict("A text.");   // [[label, probability], ...], the most probable first

It needs the scripts runtime.js, model.js and repairing.js before it, and asks no one for anything:
opened from a file, it has all that it reads in these scripts. */
"use strict";
(() => {
  const lmspec = (globalThis.lmspec ??= {});
  const OVERLAP = 8; // a window repeats an eighth of the one before
  // of a probability, on average: in int8 a value at a limit may be rounded to its other neighbour,
  // which moved one of 200 by 0.05 and their mean by 0.0007
  const TOLERANCE = 0.02;
  const COUNTED = new TextEncoder();

  const bytesOf = (name) => {
    const text = atob(lmspec.files[name]);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  };
  const valuesOf = (name) => JSON.parse(new TextDecoder().decode(bytesOf(name)));

  /* A module of JavaScript, from its text: a page that is a file may import no other file. */
  const imported = async (name) => {
    const url = URL.createObjectURL(new Blob([bytesOf(name)], {type: "text/javascript"}));
    try {
      return await import(url);
    } finally {
      URL.revokeObjectURL(url);
    }
  };

  class Classifier {
    /* about: settings, as formats/browser.py writes them */
    constructor(about, tokenizer, session, Tensor, repair) {
      Object.assign(this, {about, tokenizer, session, Tensor, repair});
      this.queue = Promise.resolve();
    }

    /* The text as the training texts were repaired. */
    clean(text) {
      const bytes = COUNTED.encode(text).length;
      if (bytes > this.about.max_text_bytes)
        throw new RangeError(
          `the text has ${bytes} bytes, and may have ${this.about.max_text_bytes}`);
      return this.repair(text);
    }

    /* Ids of what is read of a cleaned text: one window, or several of a long one. */
    windows(text) {
      const whole = Array.from(this.tokenizer.encode(text).ids, Number);
      const {before, after, max_length: most, long_texts: how} = this.about;
      if (most === null || whole.length <= most) return [whole];
      const end = whole.length - after, body = whole.slice(before, end);
      const room = most - before - after;
      const half = Math.floor(room / 2);
      let parts;
      if (how === "truncate") parts = [body.slice(0, room)];
      else if (how === "head_tail")
        parts = [[...body.slice(0, room - half), ...body.slice(body.length - half)]];
      else {
        const last = body.length - room, step = room - Math.floor(room / OVERLAP);
        const starts = [];
        for (let start = 0; start < last; start += step) starts.push(start);
        parts = [...starts, last].map((start) => body.slice(start, start + room));
      }
      return parts.map((part) => [...whole.slice(0, before), ...part, ...whole.slice(end)]);
    }

    /* [[label, probability], ...], the most probable first; [] if there is nothing to read. */
    async predict(text) {
      const cleaned = this.clean(text);
      if (!cleaned) return [];
      const each = [];
      for (const ids of this.windows(cleaned)) each.push(softmax(await this.logits(ids)));
      const mean = this.about.labels.map((label, k) =>
        [label, each.reduce((sum, one) => sum + one[k], 0) / each.length]);
      return mean.sort((a, b) => b[1] - a[1]);
    }

    /* What is answered: the most probable label; "unsure" unless that alone is probable enough;
       null if nothing was read. */
    label(answer) {
      if (!answer.length) return null;
      const [[best]] = answer, {thresholds} = this.about;
      if (thresholds === null) return best;
      const kept = answer.filter(([label, p]) => p >= thresholds[label]);
      return kept.length === 1 && kept[0][0] === best ? best : "unsure";
    }

    /* Of one window: a session computes one at a time. */
    logits(ids) {
      const shape = [1, ids.length], integers = BigInt64Array.from(ids, BigInt);
      const mask = new BigInt64Array(ids.length).fill(1n);
      const run = () => this.session.run({
        input_ids: new this.Tensor("int64", integers, shape),
        attention_mask: new this.Tensor("int64", mask, shape),
      });
      const result = this.queue.then(run).then((outputs) =>
        Array.from(outputs[this.session.outputNames[0]].data));
      this.queue = result.catch(() => {});
      return result;
    }

    /* Throw an Error unless texts get here what predict.py gave them when the bundle was built. */
    async check(expected) {
      const apart = [];
      for (const [i, {text, cleaned, windows, answer}] of expected.entries()) {
        const differs = (what) =>
          new Error(`text ${i + 1} of its check has other ${what} here than in predict.py`);
        if (this.clean(text) !== cleaned) throw differs("characters after its repair");
        if (!cleaned) continue;
        const read = JSON.stringify(this.windows(cleaned));
        if (read !== JSON.stringify(windows)) throw differs("tokens");
        const answered = await this.predict(text);
        apart.push(Math.max(...answered.map(([label, p]) => Math.abs(p - answer[label]))));
      }
      const mean = apart.reduce((sum, one) => sum + one, 0) / apart.length;
      if (!(mean <= TOLERANCE))
        throw new Error(`probabilities are ${mean.toFixed(3)} off those of predict.py, on average`);
      return Math.max(...apart);
    }
  }

  const softmax = (logits) => {
    const most = Math.max(...logits), powers = logits.map((one) => Math.exp(one - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    return powers.map((one) => one / sum);
  };

  /* The classifier of this folder, once it has passed its check. Throws an Error. */
  const open = async () => {
    const runtime = await imported("runtime.mjs"), {Tokenizer} = await imported("tokenizers.mjs");
    runtime.env.wasm.numThreads = 1; // more need a server that isolates the page
    runtime.env.wasm.wasmBinary = bytesOf("runtime.wasm");
    const session = await runtime.InferenceSession.create(bytesOf("model.onnx"), {
      executionProviders: ["wasm"], logSeverityLevel: 3});
    const tokenizer = new Tokenizer(valuesOf("tokenizer.json"), {});
    const repair = lmspec.repairing(valuesOf("repairing.json"));
    const about = valuesOf("about.json");
    const classifier = new Classifier(about, tokenizer, session, runtime.Tensor, repair);
    classifier.furthest = await classifier.check(valuesOf("expected.json"));
    lmspec.files = {}; // tens of megabytes of text
    return classifier;
  };

  let opened;
  lmspec.open = () => (opened ??= open());
})();
"""
