// Write a statement, see what it would read, run it as a job, watch it, cancel it, read its rows.

import { get, post, submit } from "./api.js";
import { bytes, count, el, problem, state } from "./dom.js";
import { Digits, Entries, parse, pretty } from "./json.js";
import { failure, record, showResult } from "./result.js";

const ENDED = ["SUCCEEDED", "FAILED", "KILLED", "CANCELED"];
const draft = { statement: "", parameters: "", limit: "", command: "", cluster: "" };

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The criteria that choose one command or cluster of the list, or whatever fits where none is chosen. */
function criteria(items, id) {
  const one = items.find((item) => item.id === id);
  return one ? [`_id:${one.id}`] : [];
}

/** The job document as text, because parameters must keep the digits of their numbers. */
function document_(form, commands, clusters, statement, name) {
  const context = [["query", statement]];
  const parameters = form.parameters.value.trim();
  if (parameters) {
    const values = parse(parameters);
    if (!Array.isArray(values)) throw new Error("Parameters are a JSON array with one value for each ?, such as [\"books\", 12.5].");
    context.push(["parameters", values]);
  }
  if (form.limit.value) context.push(["limit", new Digits(form.limit.value)]);
  return new Entries([
    ["name", name], ["version", "1"],
    ["command_criteria", criteria(commands, form.command.value)],
    ["cluster_criteria", criteria(clusters, form.cluster.value)],
    ["context", new Entries(context)],
  ]);
}

/** Finds the job under its name of one use: a sync job's id is answered only at its end. */
async function find(name) {
  const { data } = await get(`/api/v1/jobs?limit=1&name=${encodeURIComponent(name)}`);
  return data[0];
}

async function watch(name, posted, show) {
  let ended = null;
  posted.then(() => { ended = true; }, () => { ended = true; });
  let known = null;
  for (;;) {
    const job = known ? await record(known).catch(() => null) : await find(name).catch(() => null);
    if (job) { known = job.id; show(job); }
    if (ended && (!job || ENDED.includes(job.status))) return job;
    await pause(ended ? 300 : 400);
  }
}

function progress(job, container, cancel) {
  const done = job.progress;
  container.replaceChildren(el("div", { class: "actions" }, state(job.status),
    done && el("span", {}, [count(done.rows, "row"), count(done.pages, "page"), bytes(done.wire_bytes),
      done.consumed_capacity_units ? `${done.consumed_capacity_units} capacity units` : null].filter(Boolean).join(", ")),
    cancel && el("button", { type: "button", onclick: cancel }, "Cancel"),
    el("a", { href: `#job/${encodeURIComponent(job.id)}` }, "Open the job")));
}

/** What EXPLAIN found, a line for each property; a table that is read itself has no index, whatever else may be unknown. */
function plan(result) {
  const rows = result.data ?? [];
  const words = (property, value) => value === null ? (property === "index" ? "none" : "not known")
    : value === true ? "yes" : value === false ? "no"
    : Array.isArray(value) ? (value.length ? value.map((one) => el("div", {}, String(one))) : "none") : String(value);
  return el("section", { "aria-label": "What would be read" }, el("h2", {}, "What would be read"),
    el("dl", {}, rows.flatMap(([property, value]) =>
      [el("dt", {}, property.replaceAll("_", " ")), el("dd", { class: property === "statement" ? "mono" : "" }, words(property, value))])));
}

export async function query(main) {
  const [commands, clusters] = await Promise.all(["commands", "clusters"].map(async (kind) => (await get(`/api/v1/${kind}`)).data));
  const choice = (items, kept) => el("select", { name: kept },
    el("option", { value: "" }, "any that fits"),
    items.filter((item) => item.status === "ACTIVE").map((item) => el("option", { value: item.id, selected: item.id === draft[kept] }, item.name)));
  const status = el("div", { "aria-live": "polite" });
  const output = el("div", {});
  const run = el("button", { class: "primary", type: "submit" }, "Run");
  const explain = el("button", { type: "button", onclick: () => start("EXPLAIN ") }, "Explain");
  const form = el("form", { class: "form", onsubmit: (event) => { event.preventDefault(); start(""); } },
    el("label", {}, "PartiQL statement", el("textarea", { name: "statement", spellcheck: false, value: draft.statement, placeholder: "SELECT * FROM my_table WHERE category = 'books'" })),
    el("div", { class: "fields" },
      el("label", {}, "Parameters (JSON)", el("input", { name: "parameters", class: "mono", value: draft.parameters, placeholder: '["books", 12.5]' })),
      el("label", {}, "Most rows", el("input", { name: "limit", inputMode: "numeric", pattern: "[0-9]*", value: draft.limit, placeholder: "default" })),
      el("label", {}, "Command", choice(commands, "command")),
      el("label", {}, "Cluster", choice(clusters, "cluster"))),
    el("div", { class: "actions" }, run, explain, el("span", { class: "quiet" }, "Ctrl+Enter runs the statement")));
  form.addEventListener("input", () => { for (const key of Object.keys(draft)) draft[key] = form.elements[key].value; });
  form.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); } });
  main.replaceChildren(el("h1", {}, "Query"), form, status, output);

  async function start(prefix) {
    run.disabled = explain.disabled = true;
    status.replaceChildren();
    output.replaceChildren();
    let cancelled = false;
    try {
      const name = `console-${crypto.randomUUID()}`;
      const fields = form.elements;
      const command = commands.find((item) => item.id === fields.command.value) ?? commands.find((item) => item.status === "ACTIVE");
      if (!fields.command.value && command) fields.command.value = command.id;
      if (!fields.cluster.value) {
        const fitting = clusters.find((item) => item.status === "ACTIVE" && (command?.cluster_tags ?? []).every((tag) => item.tags.includes(tag)));
        if (fitting) fields.cluster.value = fitting.id;
      }
      const text = pretty(document_(fields, commands, clusters, prefix + fields.statement.value, name));
      const posted = submit(text);
      let id = null;
      const cancel = async () => { cancelled = true; await post(`/api/v1/job/${encodeURIComponent(id)}/cancel`, {}).catch(() => {}); };
      const watched = watch(name, posted, (job) => { id = job.id; progress(job, status, !ENDED.includes(job.status) && cancel); });
      id = await posted;
      const last = (await watched) ?? await record(id);
      progress(last, status, false);
      if (last.status !== "SUCCEEDED") {
        output.replaceChildren(last.status === "CANCELED" || cancelled ? el("p", { class: "empty" }, "The job was cancelled.")
          : problem(await failure(last)));
      } else if (prefix) {
        output.replaceChildren(plan(await get(`/api/v1/job/${encodeURIComponent(id)}/result`)));
      } else {
        await showResult(id, output);
      }
    } catch (error) {
      // A sync job that failed is answered as an error with its id.
      const job = error.id && await record(error.id).catch(() => null);
      if (job) progress(job, status, false);
      output.replaceChildren(problem(error));
    } finally {
      run.disabled = explain.disabled = false;
    }
  }
}
