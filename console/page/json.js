// JSON as it was written: numbers keep their digits, objects keep the order of their keys.
//
// JSON.parse turns a number into a 64-bit float, which loses digits of DynamoDB's 38.

/** A number, as its text. */
export class Digits {
  constructor(text) { this.text = text; }
}

/** An object, as its entries. */
export class Entries {
  constructor(entries) { this.entries = entries; }
}

/** Parses one JSON value. Strings, booleans and null are JavaScript's own, arrays too. */
export function parse(text) {
  let at = 0;
  const blank = () => { while (at < text.length && " \n\r\t".includes(text[at])) at++; };
  const wrong = () => new SyntaxError(`not JSON at position ${at}`);
  function string() {
    const from = at++;
    for (; text[at] !== '"'; at++) {
      if (at >= text.length) throw wrong();
      if (text[at] === "\\") at++;
    }
    return JSON.parse(text.slice(from, ++at));
  }
  function list(close, item) {
    const items = [];
    at++;
    blank();
    if (text[at] === close) { at++; return items; }
    for (;;) {
      items.push(item());
      blank();
      if (text[at] === ",") { at++; blank(); continue; }
      if (text[at] === close) { at++; return items; }
      throw wrong();
    }
  }
  function entry() {
    if (text[at] !== '"') throw wrong();
    const key = string();
    blank();
    if (text[at++] !== ":") throw wrong();
    return [key, value()];
  }
  function value() {
    blank();
    const first = text[at];
    if (first === '"') return string();
    if (first === "[") return list("]", value);
    if (first === "{") return new Entries(list("}", entry));
    for (const [word, meaning] of [["true", true], ["false", false], ["null", null]]) {
      if (text.startsWith(word, at)) { at += word.length; return meaning; }
    }
    const digits = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    digits.lastIndex = at;
    const found = digits.exec(text);
    if (!found) throw wrong();
    at = digits.lastIndex;
    return new Digits(found[0]);
  }
  const parsed = value();
  blank();
  if (at !== text.length) throw wrong();
  return parsed;
}

/** A value as indented text. */
export function pretty(value, indent = "") {
  const inner = indent + "  ";
  const wrap = (open, items, close) => items.length ? `${open}\n${items.map((item) => inner + item).join(",\n")}\n${indent}${close}` : open + close;
  if (value instanceof Digits) return value.text;
  if (value instanceof Entries) return wrap("{", value.entries.map(([key, item]) => `${JSON.stringify(key)}: ${pretty(item, inner)}`), "}");
  if (Array.isArray(value)) return wrap("[", value.map((item) => pretty(item, inner)), "]");
  return JSON.stringify(value);
}

const HEAD_END = '],"data":[';

/**
 * Reads a result document piece by piece and keeps each row as its text, so that 100,000 rows cost no 100,000 parsed arrays.
 * `columns` is known before the first row; `stats` after the last.
 */
export class ResultReader {
  columns = null;
  rows = [];
  stats = null;
  #text = "";
  #part = "head";

  /** Takes the next piece of the document. */
  feed(piece) {
    this.#text += piece;
    if (this.#part === "head") this.#head();
    if (this.#part === "rows") this.#rows();
  }

  /** Ends the document; whether it was a result with columns and rows. Otherwise `rest` is its text. */
  end() {
    if (this.#part !== "tail") return false;
    const tail = parse(`{"x":0${this.#text}`);
    const stats = tail.entries.find(([key]) => key === "stats");
    this.stats = stats ? stats[1] : null;
    return true;
  }

  /** What was not read as rows. */
  get rest() { return this.#text; }

  #head() {
    // Quotes inside a column's name are escaped, so this text stands only where the columns end.
    const end = this.#text.indexOf(HEAD_END);
    if (end < 0 || !this.#text.startsWith('{"columns":[')) return;
    this.columns = parse(this.#text.slice('{"columns":'.length, end + 1)).map((column) => {
      const named = Object.fromEntries(column.entries);
      return { name: String(named.name), type: String(named.type) };
    });
    this.#text = this.#text.slice(end + HEAD_END.length);
    this.#part = "rows";
  }

  #rows() {
    const text = this.#text;
    let depth = 0, start = 0, quoted = false, at = 0;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (quoted) {
        if (code === 92) at++;
        else if (code === 34) quoted = false;
      } else if (code === 34) quoted = true;
      else if (code === 91 || code === 123) { if (depth++ === 0) start = at; }
      else if (code === 93 || code === 125) {
        if (depth === 0) { this.#text = text.slice(at + 1); this.#part = "tail"; return; }
        if (--depth === 0) { this.rows.push(text.slice(start, at + 1)); start = at + 1; }
      }
    }
    this.#text = text.slice(start);
  }
}
