// The list of jobs, and one job.

import { get, post, send } from "./api.js";
import { bytes, count, el, notice, problem, state, table, time } from "./dom.js";
import { Entries, parse, pretty } from "./json.js";
import { failure, lines, showResult } from "./result.js";

const LIMIT = 50;
const view = { status: "", name: "", username: "", command: "", order_by: "created_at", direction: "desc" };

/** Jobs of this page have names that nobody else's has; what tells them apart is the end of their id. */
const title = (job) => !job.name || /^console-[0-9a-f-]{36}$/.test(job.name) ? `…${job.id.slice(-12)}` : first(job.name, 40);

const first = (text, most) => text.length > most ? `${text.slice(0, most)}…` : text;

export async function jobs(main) {
  const statuses = await get("/api/v1/job/statuses");
  const container = el("div", {});
  const cursors = [""];
  const field = (name, title) => el("label", {}, title, el("input", { name, value: view[name] }));
  const choice = (name, title, options) => el("label", {}, title, el("select", { name }, options.map(([value, text]) => el("option", { value, selected: value === view[name] }, text))));
  const form = el("form", { class: "fields", "aria-label": "Filter", onsubmit: (event) => { event.preventDefault(); apply(); } },
    choice("status", "Status", [["", "all"], ...statuses.map((word) => [word, word])]),
    field("name", "Name (% for any text)"), field("username", "User"), field("command", "Command"),
    choice("order_by", "Sort by", [["created_at", "created"], ["updated_at", "updated"], ["id", "id"]]),
    choice("direction", "Direction", [["desc", "newest first"], ["asc", "oldest first"]]),
    el("button", { type: "submit" }, "Filter"));
  form.addEventListener("change", apply);
  main.replaceChildren(el("h1", {}, "Jobs"), form, container);

  function apply() {
    for (const key of Object.keys(view)) view[key] = form.elements[key].value.trim();
    cursors.length = 1;
    page();
  }
  async function page() {
    const asked = new URLSearchParams({ limit: LIMIT, order_by: view.order_by, direction: view.direction });
    for (const key of ["status", "name", "username", "command"]) if (view[key]) asked.set(key, view[key]);
    const cursor = cursors[cursors.length - 1];
    if (cursor) asked.set("cursor", cursor);
    try {
      const answer = await get(`/api/v1/jobs?${asked}`);
      const list = table([
        ["Job", (job) => el("a", { href: `#job/${encodeURIComponent(job.id)}` }, title(job)), "line"],
        ["Statement", (job) => first(job.context?.query ?? "", 90), "wide mono"],
        ["Status", (job) => state(job.status)],
        ["User", (job) => job.user], ["Command", (job) => job.command_name ?? job.command?.name],
        ["Plugin", (job) => [job.plugin, job.plugin_version].filter(Boolean).join(" ")],
        ["Created", (job) => time(job.created_at), "line"],
      ], answer.data, "No job matches these filters.");
      container.replaceChildren(list, el("div", { class: "actions" },
        el("button", { type: "button", disabled: cursors.length === 1, onclick: () => { cursors.pop(); page(); } }, "Previous page"),
        el("button", { type: "button", disabled: !answer.has_more, onclick: () => { cursors.push(answer.next_cursor); page(); } }, "Next page"),
        el("button", { type: "button", onclick: page }, "Refresh")));
    } catch (error) {
      container.replaceChildren(problem(error));
    }
  }
  await page();
}

const RUNNING = ["NEW", "ACCEPTED", "RUNNING", "CANCELING"];

/** A job's record, and what its context holds beside the statement, with the digits of its numbers. */
async function recordAndFields(id) {
  const text = await (await send(`/api/v1/job/${encodeURIComponent(id)}`)).text();
  const context = new Map(parse(text).entries).get("context");
  const fields = context instanceof Entries ? context.entries.filter(([name]) => name !== "query") : [];
  return [JSON.parse(text), fields];
}

export async function job(main, id, alive) {
  const head = el("div", {}), output = el("div", {}), log = el("pre", { tabIndex: 0 });
  main.replaceChildren(el("p", {}, el("a", { href: "#jobs" }, "All jobs")), el("h1", {}, "Job"), head, output, el("details", {}, el("summary", {}, "Log lines"), log));
  const cancel = () => post(`/api/v1/job/${encodeURIComponent(id)}/cancel`, {}).catch((error) => notice(error.message, true));
  for (;;) {
    const [known, fields] = await recordAndFields(id);
    const running = RUNNING.includes(known.status);
    const row = (title, value, kind) => value !== undefined && value !== null && value !== "" && [el("dt", {}, title), el("dd", { class: kind }, value)];
    const query = known.context?.query;
    head.replaceChildren(el("div", { class: "actions" }, state(known.status), running && el("button", { type: "button", onclick: cancel }, "Cancel")),
      el("dl", {}, [row("id", known.id, "mono"), row("name", known.name), row("user", known.user), row("statement", query && el("pre", {}, query)),
        row("other fields", fields.length ? el("pre", {}, pretty(new Entries(fields))) : ""),
        row("command", known.command_name ?? known.command?.name), row("cluster", known.cluster_name ?? known.cluster?.name),
        row("plugin", [known.plugin, known.plugin_version].filter(Boolean).join(" ")),
        row("progress", known.progress && [count(known.progress.rows, "row"), count(known.progress.pages, "page"), bytes(known.progress.wire_bytes)].join(", ")),
        row("created", time(known.created_at)), row("updated", time(known.updated_at)), row("cancelled by", known.canceled_by)].filter(Boolean).flat()));
    log.textContent = await lines(id).catch(() => "") || "There are none.";
    if (!running) {
      if (known.status === "SUCCEEDED") await showResult(id, output);
      else if (known.error) output.replaceChildren(problem(await failure(known)));
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (!alive()) return;
  }
}
