// Small helpers to build the page. Text is only ever set as text, never as markup.

/** Makes an element: `el("button", { type: "button", onclick }, "Run")`. */
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "class") made.className = value;
    else if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return made;
}

const GOOD = ["SUCCEEDED", "ACTIVE", "ok"];
const BAD = ["FAILED", "KILLED", "REFUSED", "DELETED", "error"];

/** A state as a word with its colour. */
export function state(word) {
  const kind = GOOD.includes(word) ? "good" : BAD.includes(word) ? "bad" : "wait";
  return el("span", { class: `state ${kind}` }, word);
}

/**
 * A table with a row for each item; `columns` are [title, item => content, class?]. On a small screen each row is a card, with the titles
 * beside its cells; the roles keep it a table for those who hear it.
 */
export function table(columns, items, empty) {
  if (!items.length) return el("p", { class: "empty" }, empty);
  const cell = (item) => ([title, content, kind]) => el("td", { class: kind, role: "cell", "data-title": title }, content(item) ?? "");
  return el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Table" }, el("table", { role: "table" },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, columns.map(([title]) => el("th", { scope: "col", role: "columnheader" }, title)))),
    el("tbody", { role: "rowgroup" }, items.map((item) => el("tr", { role: "row" }, columns.map(cell(item)))))));
}

/**
 * An error with its code, text and hint. Where the text ends in a line of the statement with a caret, a long line is scrolled to the caret,
 * at whatever width the page gets.
 */
export function problem(error) {
  const lines = error.message.split("\n"), at = lines.findIndex((line) => /^ *\^+$/.test(line));
  const words = at > 1 ? lines.slice(0, at - 1).join("\n") : "";
  const text = el("pre", { tabIndex: at > 0 ? 0 : undefined }, words ? lines.slice(at - 1).join("\n") : error.message);
  if (at > 0) new ResizeObserver(() => {
    const longest = Math.max(...text.textContent.split("\n").map((line) => line.length));
    text.scrollLeft = text.scrollWidth * lines[at].indexOf("^") / longest - text.clientWidth / 2;
  }).observe(text);
  return el("section", { class: "problem", role: "alert" }, el("h2", {}, error.code || "The request failed"),
    words && el("p", {}, words), text, error.hint && el("p", {}, el("b", {}, "What to do: "), error.hint));
}

/** Says something at the top of the page for as long as the section stays. */
export function notice(text, bad = false) {
  const container = document.getElementById("notice");
  container.hidden = !text;
  container.className = bad ? "bad" : "";
  container.textContent = text;
}

export const count = (n, one) => `${Number(n).toLocaleString("en")} ${one}${Number(n) === 1 ? "" : "s"}`;

export function bytes(n) {
  let value = Number(n), unit = 0;
  while (value >= 1000 && unit < 4) { value /= 1000; unit++; }
  return `${unit ? value.toFixed(1) : value} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
}

export function time(value) {
  if (!value) return "";
  const date = typeof value === "number" ? new Date(value * 1000) : new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : date.toLocaleString();
}

/** Opens a dialog with a longer text. */
export function detail(title, text) {
  const dialog = document.getElementById("detail");
  document.getElementById("detail-title").textContent = title;
  document.getElementById("detail-text").textContent = text;
  dialog.showModal();
}
