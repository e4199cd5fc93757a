// What every page has: the theme switch, times in the viewer's zone, notices, calls of our own API.

const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Show every <time> of `root` in the viewer's zone; the UTC text stays as its title. */
export function localTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) time.textContent = zone.format(at);
    time.dataset.local = "";
  }
}

/** Say something in a corner for a while; kind is success, danger or info. */
export function notice(words, kind = "info") {
  const box = document.createElement("div");
  box.className = `alert alert-${kind} shadow`;
  box.textContent = words;
  document.getElementById("notices").append(box);
  setTimeout(() => box.remove(), 8000);
}

/** Say something on the page that comes next. */
export function noticeThere(words, kind) {
  sessionStorage.setItem("notice", JSON.stringify([words, kind]));
}

function noticeLeft() {
  const left = sessionStorage.getItem("notice");
  sessionStorage.removeItem("notice");
  if (left) notice(...JSON.parse(left));
}

/**
 * Call our own API. Gives the parsed answer, null for none; throws an Error whose message is fit for
 * people, with `status`, `code` and `reasons`.
 */
export async function call(path, { method = "GET", body, signal } = {}) {
  const options = { method, signal, headers: { accept: "application/json" } };
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  if (response.status === 401) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  const text = await response.text();
  let data = null;
  try {
    if (text) data = JSON.parse(text);
  } catch {
    if (response.ok) throw new Error("The answer of the server cannot be read."); // else a proxy's own page
  }
  if (response.ok) return data;
  const said = data?.error ?? {};
  throw Object.assign(new Error(said.message ?? `The server answered ${response.status}.`), {
    status: response.status, code: said.code, reasons: said.reasons ?? [],
  });
}

/** An icon of the sprite that the page already uses. */
export function icon(name) {
  const uses = document.querySelector("svg.icon use").getAttribute("href");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${uses.split("#")[0]}#${name}`);
  svg.append(use);
  return svg;
}

function themeSwitch() {
  const button = document.getElementById("theme");
  button?.addEventListener("click", () => {
    const root = document.documentElement;
    const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", next);
    root.dataset.bsTheme = next;
  });
}

/** Buttons with data-call="METHOD /path" do that, after data-ask is confirmed, then go to data-then. */
function callButtons() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-call]");
    if (!button || (button.dataset.ask && !confirm(button.dataset.ask))) return;
    const [method, path] = button.dataset.call.split(" ");
    button.disabled = true;
    try {
      const body = button.dataset.body ? JSON.parse(button.dataset.body) : undefined;
      await call(path, { method, body });
      if (button.dataset.then) location.assign(button.dataset.then);
      else location.reload();
    } catch (error) {
      notice(error.message, "danger");
      button.disabled = false;
    }
  });
}

localTimes();
noticeLeft();
themeSwitch();
callButtons();
document.addEventListener("htmx:after:swap", () => localTimes());
