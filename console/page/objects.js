// Commands and clusters with their state and health.

import { get, put, send } from "./api.js";
import { el, notice, state, table, time } from "./dom.js";

async function change(kind, item, redraw) {
  const status = item.status === "ACTIVE" ? "INACTIVE" : "ACTIVE";
  try {
    await put(`/api/v1/${kind}/${encodeURIComponent(item.id)}/status`, { status });
    notice(`${item.name} is ${status.toLowerCase()} now.`);
  } catch (error) {
    notice(`${error.message}${error.hint ? `; ${error.hint}` : ""}`, true);
  }
  await redraw();
}

const tags = (item) => item.tags.filter((tag) => !tag.startsWith("_")).map((tag) => el("span", { class: "tag" }, tag));

function common(kind, redraw) {
  return [
    ["Name", (item) => item.name, "wide"], ["Version", (item) => item.version], ["Status", (item) => state(item.status)],
    ["Tags", tags, "wide"], ["Description", (item) => item.description, "wide"], ["Updated", (item) => time(item.updated_at), "line"],
    ["Change", (item) => el("button", { type: "button", class: "small", onclick: () => change(kind, item, redraw) }, item.status === "ACTIVE" ? "Deactivate" : "Activate")],
  ];
}

export async function commands(main) {
  const redraw = () => commands(main);
  const { data } = await get("/api/v1/commands");
  const columns = common("command", redraw);
  columns.splice(3, 0, ["Plugin", (item) => [item.plugin, item.plugin_version].filter(Boolean).join(" ")], ["Answers", (item) => item.is_sync ? "at once" : "later"]);
  main.replaceChildren(el("h1", {}, "Commands"), table(columns, data, "The configuration has no commands."));
}

export async function clusters(main) {
  const redraw = () => clusters(main);
  const { data } = await get("/api/v1/clusters");
  const healths = new Map();
  const columns = common("cluster", redraw);
  columns.splice(3, 0, ["Health", (item) => {
    const container = el("span", { class: "quiet" }, "not asked");
    healths.set(item.id, container);
    return container;
  }]);
  async function ask() {
    for (const [id, container] of healths) {
      container.replaceChildren("asking…");
      try {
        const answer = await (await send(`/api/v1/cluster/${encodeURIComponent(id)}/health`)).json();
        container.replaceChildren(state(answer.status ?? "ok"));
      } catch (error) {
        container.replaceChildren(state("error"), ` ${error.message}`);
      }
    }
  }
  main.replaceChildren(el("h1", {}, "Clusters"), table(columns, data, "The configuration has no clusters."),
    el("div", { class: "actions" }, el("button", { type: "button", onclick: ask, disabled: !data.length }, "Check health")));
}
