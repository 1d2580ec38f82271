// elements: how the other modules write elements and numbers. Texts become text, never markup.

export const by = (id) => document.getElementById(id);

/** An element. properties: those of the object, `class`, and attributes with a `-`; `style`: CSS
 * variables by name. */
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key === "style")
      for (const [name, each] of Object.entries(value)) made.style.setProperty(name, each);
    else if (key === "class") made.className = value;
    else if (key.includes("-") || key === "role" || key === "for") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}\u00a0%`;

/** A probability that is neither 0 nor 1 is not shown as one. */
export function probability(share) {
  if (share > 0.9995 && share < 1) return "> 99.9\u00a0%";
  if (share < 0.0005 && share > 0) return "< 0.1\u00a0%";
  return percent(share);
}

export const count = (number, one, many = `${one}s`) =>
  `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export const whole = (number) => number.toLocaleString("en");

/** A bar beside its number, which says the same in text. */
export const bar = (share, kind = "") =>
  el(
    "span",
    { class: kind ? `bar ${kind}` : "bar", "aria-hidden": "true", style: { "--share": share } },
    el("i"),
  );

export const short = (digest) => digest.slice(0, 12);
