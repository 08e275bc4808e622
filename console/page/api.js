// Requests to the host: who asks, what was answered, and errors as the host writes them.

const store = window.sessionStorage;

/** A refusal or failure that the host answered. */
export class ApiError extends Error {
  constructor(status, body) {
    super(body.error || `the host answered with status ${status}`);
    this.status = status;
    this.code = body.code || "";
    this.hint = body.hint || "";
    this.id = body.id || "";
    this.details = body.details || {};
  }
}

export const identity = () => ({ user: store.getItem("user") || "", token: store.getItem("token") || "" });

export function showIdentity() {
  document.getElementById("identity").textContent = identity().user || (identity().token ? "Signed in" : "Sign in");
}

let asking = null;

/** Asks for name and token, once for all who want to know at the same time; resolves to whether they were given. */
export function signIn(reason = "") {
  asking ??= ask(reason).finally(() => { asking = null; });
  return asking;
}

function ask(reason) {
  const dialog = document.getElementById("sign-in");
  const form = dialog.querySelector("form");
  const known = identity();
  form.elements.user.value = known.user;
  form.elements.token.value = known.token;
  document.getElementById("sign-in-reason").textContent = reason;
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "ok";
      if (given) {
        store.setItem("user", form.elements.user.value.trim());
        store.setItem("token", form.elements.token.value.trim());
        showIdentity();
      }
      form.elements.token.value = "";
      resolve(given);
    }, { once: true });
    dialog.returnValue = "";
    dialog.showModal();
  });
}

/**
 * Sends a request; `body` is a value, `raw` the text of a JSON document. Gives the response where it succeeded. Asks who one is where the host wants to know,
 * and tries once more.
 */
export async function send(path, options = {}, again = true) {
  const { method = "GET", body, raw, accept = "application/json", signal } = options;
  const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const { user, token } = identity();
  const headers = { Accept: accept };
  if (user) headers["X-Heimdall-User"] = user;
  if (token) headers.Authorization = `Bearer ${token}`;
  if (sent !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: sent, signal, cache: "no-store" });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 && again && await signIn(problem.error || "")) return send(path, options, false);
  throw new ApiError(response.status, problem);
}

export const get = async (path, options) => (await send(path, options)).json();
export const post = async (path, body, options) => (await send(path, { method: "POST", body, ...options })).json();
export const put = async (path, body) => (await send(path, { method: "PUT", body })).json();

/**
 * Submits a job and gives its id, which stands first in the answer. The rest is left unread: a sync job's answer holds its whole result,
 * which is read piece by piece where it is shown.
 */
export async function submit(raw) {
  const response = await send("/api/v1/job", { method: "POST", raw });
  const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { done, value = "" } = await pieces.read();
    text += value;
    const [, id] = /^\{"id":"([^"]+)"/.exec(text) ?? [];
    if (!id && !done) continue;
    await pieces.cancel();
    return id ?? JSON.parse(text).id;
  }
}
