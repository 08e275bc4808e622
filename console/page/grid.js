// A result's rows, of which only those in sight are in the document.

import { Digits, Entries, parse, pretty } from "./json.js";
import { detail, el } from "./dom.js";

const ROW = 28, HEAD = 44, MOST_ROWS = 1_000_000, LETTER = 8;
/** Columns of these types stand to the right, title and nulls included. */
const NUMBERS = ["long", "float", "decimal"];

/** What a cell shows: its text and the class that tells null, an empty text and a nested value apart. */
export function shown(value) {
  if (value === null || value === undefined) return ["null", "null"];
  if (value === "") return ['""', "blank"];
  if (value instanceof Digits) return [value.text, "number"];
  if (Array.isArray(value)) return [`[ ${value.length} ]  ${short(value)}`, "nested"];
  if (value instanceof Entries) return [`{ ${value.entries.length} }  ${short(value)}`, "nested"];
  return [typeof value === "string" ? value : String(value), ""];
}

const classes = (...names) => names.filter(Boolean).join(" ");
const short = (value) => pretty(value).replace(/\s*\n\s*/g, " ").slice(0, 120);

/** Makes the grid over `rows`, each the text of an array with a cell for each of `columns`. */
export function grid(columns, rows) {
  const nRows = Math.min(rows.length, MOST_ROWS);
  const sample = rows.slice(0, 100).map(parse);
  const widths = columns.map((column, at) => {
    const longest = Math.max(column.name.length + 2, column.type.length, ...sample.map((row) => shown(row[at])[0].length));
    return Math.min(Math.max(longest * LETTER + 18, 64), 340);
  });
  const sides = columns.map((column) => NUMBERS.includes(column.type) ? "right" : "");
  const lefts = [0];
  for (const width of widths) lefts.push(lefts[lefts.length - 1] + width);
  const all = lefts[columns.length];

  const head = el("div", { class: "grid-head", role: "row" });
  const size = el("div", { class: "grid-size" }, head);
  const box = el("div", { class: "grid", tabIndex: 0, role: "grid", "aria-label": "Result", "aria-rowcount": nRows + 1, "aria-colcount": columns.length }, size);
  size.style.height = `${HEAD + nRows * ROW}px`;
  // As high as its rows, with room for the scroll bar; the style sheet bounds it.
  box.style.height = `${HEAD + nRows * ROW + 18}px`;
  size.style.width = `max(100%, ${all}px)`;

  let active = [0, 0];
  let drawn = [];

  const positioned = (cell, at) => {
    cell.style.left = `${lefts[at]}px`;
    cell.style.width = `${widths[at]}px`;
    cell.setAttribute("aria-colindex", at + 1);
    return cell;
  };
  function open(row, at) {
    const value = parse(rows[row])[at];
    detail(`${columns[at].name}, row ${row + 1}`, typeof value === "string" ? value : pretty(value ?? null));
  }
  function draw() {
    const [top, left] = [box.scrollTop, box.scrollLeft];
    const first = Math.max(0, Math.floor(top / ROW) - 8), last = Math.min(nRows, Math.ceil((top + box.clientHeight) / ROW) + 8);
    let from = 0;
    while (from < columns.length - 1 && lefts[from + 1] < left) from++;
    let to = from;
    while (to < columns.length && lefts[to] < left + box.clientWidth) to++;
    head.replaceChildren(...columns.slice(from, to).map((column, i) =>
      positioned(el("div", { class: classes("cell", sides[from + i]), role: "columnheader", title: column.name }, column.name, el("small", {}, column.type)), from + i)));
    drawn.forEach((row) => row.remove());
    drawn = [];
    for (let row = first; row < last; row++) {
      const cells = parse(rows[row]);
      const line = el("div", { class: "grid-row", role: "row", "aria-rowindex": row + 2 });
      line.style.top = `${HEAD + row * ROW}px`;
      for (let at = from; at < to; at++) {
        const [text, kind] = shown(cells[at]);
        const here = row === active[0] && at === active[1];
        const cell = el("div", { class: classes("cell", kind, sides[at], here && "active"), role: "gridcell", title: text.slice(0, 500), id: here ? "active-cell" : undefined }, text.slice(0, 500));
        cell.addEventListener("click", () => { active = [row, at]; if (kind === "nested") open(row, at); draw(); });
        cell.addEventListener("dblclick", () => open(row, at));
        line.append(positioned(cell, at));
      }
      drawn.push(line);
    }
    size.append(...drawn);
    box.setAttribute("aria-activedescendant", "active-cell");
  }
  function move(rowsBy, columnsBy) {
    active = [Math.min(Math.max(active[0] + rowsBy, 0), nRows - 1), Math.min(Math.max(active[1] + columnsBy, 0), columns.length - 1)];
    const y = active[0] * ROW, x = lefts[active[1]];
    if (y < box.scrollTop) box.scrollTop = y;
    if (y + ROW + HEAD > box.scrollTop + box.clientHeight) box.scrollTop = y + ROW + HEAD - box.clientHeight;
    if (x < box.scrollLeft) box.scrollLeft = x;
    if (x + widths[active[1]] > box.scrollLeft + box.clientWidth) box.scrollLeft = x + widths[active[1]] - box.clientWidth;
    draw();
  }
  const keys = {
    ArrowUp: () => move(-1, 0), ArrowDown: () => move(1, 0), ArrowLeft: () => move(0, -1), ArrowRight: () => move(0, 1),
    PageUp: () => move(-20, 0), PageDown: () => move(20, 0), Home: () => move(0, -columns.length), End: () => move(0, columns.length),
    Enter: () => open(...active),
  };
  box.addEventListener("keydown", (event) => {
    const known = !event.ctrlKey && !event.altKey && !event.metaKey && nRows && keys[event.key];
    if (known) { event.preventDefault(); known(); }
  });
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };
  box.addEventListener("scroll", soon);
  new ResizeObserver(soon).observe(box);
  return box;
}
