// markdown: a model card as elements: headings, paragraphs, lists, tables and code, and no HTML.

import { el } from "./elements.js";

const LINK = /^https?:\/\/[^\s]+$/i;
const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|\[([^\]]+)\]\(([^()\s]+)\)|(?<![\w/])_([^_]+)_(?!\w)/;

/** The title, what comes before the first section, and sections as [heading, elements]. */
export function sections(text) {
  const lines = text.replace(/^---\n[\s\S]*?\n---\n/, "").split("\n");
  const found = [["", []]];
  let fenced = false;
  for (const line of lines) {
    fenced = line.startsWith("```") ? !fenced : fenced;
    if (!fenced && line.startsWith("## ")) found.push([line.slice(3).trim(), []]);
    else if (fenced || !line.startsWith("# ")) found.at(-1)[1].push(line);
  }
  return found.map(([heading, some]) => [heading, blocks(some)]);
}

/** Elements of some lines. */
export function blocks(lines) {
  const made = [];
  for (let i = 0; i < lines.length;) {
    const [taken, element] = block(lines, i);
    if (element) made.push(element);
    i += taken;
  }
  return made;
}

function block(lines, start) {
  const line = lines[start];
  const until = (ends) => {
    let end = start + 1;
    while (end < lines.length && !ends(lines[end])) end++;
    return lines.slice(start, end);
  };
  if (!line.trim()) return [1, null];
  if (line.startsWith("```")) {
    const code = until((each) => each.startsWith("```"));
    return [code.length + 1, el("pre", { tabIndex: 0 }, el("code", {}, code.slice(1).join("\n")))];
  }
  const heading = /^(#{1,6}) (.*)/.exec(line);
  if (heading) return [1, el(`h${Math.min(6, heading[1].length + 1)}`, {}, inline(heading[2]))];
  if (line.startsWith("|")) {
    const rows = until((each) => !each.startsWith("|"));
    return [rows.length, table(rows)];
  }
  if (/^\s*[-*] /.test(line)) {
    const items = until((each) => !/^\s*[-*] /.test(each) && !/^\s+\S/.test(each));
    const list = items
      .join("\n")
      .split(/\n?^\s*[-*] /m)
      .slice(1);
    return [
      items.length,
      el(
        "ul",
        {},
        list.map((item) => el("li", {}, inline(item))),
      ),
    ];
  }
  const paragraph = until((each) => !each.trim() || /^(```|\||#{1,6} |\s*[-*] )/.test(each));
  return [paragraph.length, el("p", {}, inline(paragraph.join(" ")))];
}

function table(rows) {
  const cells = (row) =>
    row
      .replace(/^\||\|\s*$/g, "")
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
  const [head, rule, ...rest] = rows.map(cells);
  const right = (rule ?? []).map((each) => /-:$/.test(each));
  const line = (name) => (row) =>
    el(
      "tr",
      {},
      row.map((cell, i) => el(name, { class: right[i] ? "number" : "" }, inline(cell))),
    );
  return el(
    "div",
    { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Table" },
    el(
      "table",
      { class: "plain" },
      head.some(Boolean) ? el("thead", {}, line("th")(head)) : null,
      el("tbody", {}, rest.map(line("td"))),
    ),
  );
}

function inline(text) {
  const found = INLINE.exec(text);
  if (!found) return [plain(text)];
  const [all, ticks, code, strong, name, address, soft] = found;
  const before = plain(text.slice(0, found.index)),
    after = inline(text.slice(found.index + all.length));
  let made;
  if (ticks) made = el("code", {}, code.trim());
  else if (strong) made = el("b", {}, inline(strong));
  else if (name)
    made = LINK.test(address) ? el("a", { href: address, rel: "noreferrer noopener" }, name) : name;
  else made = el("i", {}, inline(soft));
  return [before, made, ...after];
}

const plain = (text) => text.replaceAll("&lt;", "<").replace(/\\([\\`*_{}[\]()#+.!|-])/g, "$1");
