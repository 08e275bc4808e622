// Plugins: what is loaded, what runs where, swap, roll back, pin, and why a file was rejected.

import { get, post } from "./api.js";
import { bytes, count, el, notice, state, table, time } from "./dom.js";

async function act(call, done, redraw) {
  try {
    await call();
    notice(done);
  } catch (error) {
    notice(`${error.message}${error.hint ? `; ${error.hint}` : ""}`, true);
  }
  await redraw();
}

const use = (name, version) => post(`/api/v1/plugins/${encodeURIComponent(name)}/use`, { version });

const why = (error) => el("div", { class: "quiet" }, el("b", {}, error.code), ` ${error.message}`, error.hint && el("div", {}, error.hint));

function runsIn({ state: word, worker }) {
  if (worker) return `process ${worker.pid}${worker.restarts ? `, restarted ${count(worker.restarts, "time")}` : ""}`;
  return word === "ACTIVE" || word === "DRAINING" ? "the host" : "";
}

export async function plugins(main) {
  const redraw = () => plugins(main);
  const [{ data }, commands] = await Promise.all([get("/api/v1/plugins"), get("/api/v1/commands").then((answer) => answer.data, () => [])]);
  const serves = (plugin) => plugin.state === "ACTIVE" ? commands.filter((command) => command.plugin === plugin.name).map((command) => command.name).join(", ") : "";
  const actions = (plugin) => ["ACTIVE", "STANDBY", "RETIRED", "DRAINING"].includes(plugin.state) && [
    plugin.pinned
      ? el("button", { type: "button", class: "small", onclick: () => act(() => use(plugin.name, null), `The newest version of ${plugin.name} takes new jobs.`, redraw) }, "Unpin")
      : el("button", { type: "button", class: "small", onclick: () => act(() => use(plugin.name, plugin.version), `${plugin.name} ${plugin.version} takes new jobs and is pinned.`, redraw) }, plugin.state === "ACTIVE" ? "Pin" : "Use")];
  const list = table([
    ["Plugin", (plugin) => plugin.name ?? "not readable"], ["Version", (plugin) => [plugin.version ?? "", plugin.pinned && el("span", { class: "tag" }, "pinned")].filter(Boolean)],
    ["State", (plugin) => [state(plugin.state), plugin.error && why(plugin.error)].filter(Boolean)],
    ["Change", actions],
    ["Serves", serves], ["Jobs", (plugin) => String(plugin.jobs_running ?? 0)],
    ["Runs in", runsIn],
    ["Left behind", (plugin) => plugin.residue_bytes ? bytes(plugin.residue_bytes) : ""],
    ["File", (plugin) => el("span", { class: "mono", title: plugin.sha256 }, plugin.file)],
    ["Loaded", (plugin) => time(plugin.loaded_at), "line"],
  ], data, "No plugin library lies in the plugin directory.");
  main.replaceChildren(el("h1", {}, "Plugins"), list, el("div", { class: "actions" },
    el("button", { type: "button", onclick: () => act(() => post("/api/v1/plugins/reload", {}), "The plugin directory was read again.", redraw) }, "Read the directory again"),
    el("button", { type: "button", onclick: redraw }, "Refresh")));
}
