// A job's result: read as it arrives, shown as a grid, taken as a file.

import { get, post, send } from "./api.js";
import { bytes, count, el, notice, problem } from "./dom.js";
import { grid } from "./grid.js";
import { parse, pretty, ResultReader } from "./json.js";

/** How much of a result is read into the page; all of it can be taken as a file. */
const MOST_CHARACTERS = 100_000_000;

async function read(id, told) {
  const reader = new ResultReader();
  const response = await send(`/api/v1/job/${encodeURIComponent(id)}/result`);
  const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let seen = 0;
  for (;;) {
    const { done, value } = await pieces.read();
    if (done) return { reader, whole: true, result: reader.end() };
    reader.feed(value);
    seen += value.length;
    told(reader.rows.length);
    if (seen > MOST_CHARACTERS && reader.columns) {
      await pieces.cancel();
      return { reader, whole: false, result: true };
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
}

async function take(id, format, button) {
  button.disabled = true;
  try {
    const { url } = await post(`/api/v1/job/${encodeURIComponent(id)}/result/link?format=${format}`, {});
    const link = el("a", { href: url, download: "" });
    document.body.append(link);
    link.click();
    link.remove();
  } catch (error) {
    notice(`${error.message}${error.hint ? `; ${error.hint}` : ""}`, true);
  } finally {
    button.disabled = false;
  }
}

/** The buttons that take a result as a file. */
export function downloads(id) {
  return el("div", { class: "actions" }, el("span", { class: "quiet" }, "Take all rows as"),
    [["csv", "CSV"], ["ndjson", "NDJSON"], ["parquet", "Parquet"], ["json", "JSON"]].map(([format, title]) =>
      el("button", { type: "button", class: "small", onclick: (event) => take(id, format, event.target) }, title)));
}

/** The figures of a result's `stats`. */
function figures(stats) {
  const named = stats ? Object.fromEntries(stats.entries) : {};
  const value = (key) => named[key] === null || named[key] === undefined ? null : (named[key].text ?? String(named[key]));
  const rows = [["rows", (n) => count(n, "row")], ["pages", (n) => count(n, "page")], ["wire_bytes", (n) => `${bytes(n)} read`],
    ["consumed_capacity_units", (n) => `${n} capacity units`], ["elapsed_ms", (n) => `${n} ms`]];
  return el("ul", { class: "figures" }, rows.map(([key, text]) => value(key) !== null && el("li", {}, el("b", {}, text(value(key))))),
    named.truncated === true && el("li", { class: "state wait" }, "DynamoDB has, or may have, more rows than these"));
}

/** Shows the result of a job in `container`. */
export async function showResult(id, container) {
  const told = el("p", { class: "quiet", role: "status" }, "Reading the result…");
  container.replaceChildren(told);
  try {
    const { reader, whole, result } = await read(id, (rows) => { told.textContent = `Reading the result: ${count(rows, "row")}…`; });
    if (!result) {
      container.replaceChildren(el("pre", {}, pretty(parse(reader.rest))));
      return;
    }
    const { columns, rows, stats } = reader;
    const partly = whole ? null : el("p", { class: "state wait" }, `Only the first ${count(rows.length, "row")} are shown; take the result as a file for all of them.`);
    const body = rows.length ? grid(columns, rows) : el("p", { class: "empty" }, "No rows.");
    container.replaceChildren(figures(stats), ...(partly ? [partly] : []), body, downloads(id));
  } catch (error) {
    container.replaceChildren(problem(error));
  }
}

/** Why a job ended without a result, with the code and the hint that its record does not have. */
export async function failure(job) {
  const { details = {} } = await get(`/api/v1/job/${encodeURIComponent(job.id)}/result`).catch((error) => error);
  return { code: details.code || job.status, message: details.error || job.error || "The job ended without a result.", hint: details.hint };
}

/** The log lines of a job, where it has any. */
export async function lines(id) {
  const answer = await send(`/api/v1/job/${encodeURIComponent(id)}/stderr`, { accept: "*/*" });
  return answer.text();
}

export const record = (id) => get(`/api/v1/job/${encodeURIComponent(id)}`);
