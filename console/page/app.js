// Which section is shown: the part of the address behind # says it.

import { showIdentity, signIn } from "./api.js";
import { el, notice, problem } from "./dom.js";
import { job, jobs } from "./jobs.js";
import { clusters, commands } from "./objects.js";
import { plugins } from "./plugins.js";
import { query } from "./query.js";

const sections = { query, jobs, job, commands, clusters, plugins };
const titles = { query: "Query", jobs: "Jobs", job: "Job", commands: "Commands", clusters: "Clusters", plugins: "Plugins" };
let showing = 0;

async function show() {
  const [name, ...rest] = location.hash.slice(1).split("/");
  const section = sections[name] ? name : "query";
  const mine = ++showing;
  document.title = `${titles[section]} – Heimdall host`;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.hash === `#${section === "job" ? "jobs" : section}`;
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  notice("");
  // A section draws into a box of its own, so that a slow answer never draws over the section that came after it.
  const box = el("div", {}, el("p", { class: "empty", role: "status" }, "Loading…"));
  document.getElementById("main").replaceChildren(box);
  try {
    await sections[section](box, decodeURIComponent(rest.join("/")), () => mine === showing);
  } catch (error) {
    box.replaceChildren(problem(error), el("button", { type: "button", onclick: show }, "Try again"));
  }
}

window.addEventListener("hashchange", show);
document.getElementById("identity").addEventListener("click", () => signIn().then((given) => given && show()));
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); document.getElementById("main").focus(); });
const dialog = document.getElementById("detail");
document.getElementById("detail-close").addEventListener("click", () => dialog.close());
document.getElementById("detail-copy").addEventListener("click", () => navigator.clipboard?.writeText(document.getElementById("detail-text").textContent));
showIdentity();
show();
