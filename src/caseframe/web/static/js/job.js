// A job's page: live progress by server-sent events, sharing, changing.
import { call, notice } from "./common.js";

const root = document.getElementById("job");
const id = root.dataset.job;
const $ = (name) => document.getElementById(name);
const number = (value) => value.toLocaleString();
const ACTIVE = new Set(["queued", "running"]);
const STATES = {
  picture: "pictures", "not-a-picture": "not pictures", unreadable: "unreadable", corrupt: "corrupt",
  "over-limit": "over the limit",
};
const LOOK = {
  empty: "secondary", "no pictures": "secondary", queued: "azure", running: "blue", stopped: "yellow", complete: "green",
  "complete with problems": "orange", failed: "red",
};
const MOST_TYPES = 12;
const AGAIN = 5000; // ms until progress is asked for again
const ALWAYS = new Set(["similar", "facts"]); // stages that have an answer for every picture
let before = null;
let events;
let again;

function counted(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; unit += 1; }
  return `${unit ? bytes.toFixed(1) : number(bytes)} ${units[unit]}`;
}

function time(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (hours) return `about ${hours} h ${minutes} min left`;
  return minutes ? `about ${minutes} min left` : `about ${seconds} s left`;
}

function pace(rate, left) {
  const words = [];
  if (rate) words.push(`${rate < 10 ? rate.toFixed(1) : number(Math.round(rate))} a second`);
  if (left !== null && left !== undefined) words.push(time(left));
  return words.length ? ` · ${words.join(", ")}` : "";
}

function bar(element, value, most) {
  element.max = Math.max(most, 1);
  if (most) element.value = value;
  else element.removeAttribute("value");
}

function row(words, count, more = "") {
  const tr = document.createElement("tr");
  for (const [index, text] of [words, number(count), more].entries()) {
    const td = document.createElement("td");
    td.textContent = text;
    if (index) td.className = "number";
    tr.append(td);
  }
  return tr;
}

function heading(words) {
  const tr = document.createElement("tr");
  const th = document.createElement("th");
  th.colSpan = 3;
  th.scope = "rowgroup";
  th.className = "text-secondary fw-normal";
  th.textContent = words;
  tr.append(th);
  return tr;
}

function showWalk(live) {
  $("walk").hidden = !live || live.phase !== "scan";
  if (!live) return;
  const of = live.total === null ? "" : ` of ${number(live.total)}`;
  $("walk-words").textContent = `${number(live.finished)}${of}${pace(live.rate, live.left)}`;
  bar($("walk-bar"), live.finished, live.total ?? 0);
  $("current").textContent = live.current;
}

/** What the run waits for. Said again only when it changes: it is read aloud each time. */
function showWaiting(words) {
  $("waiting").hidden = !words;
  if ($("waiting-words").textContent !== words) $("waiting-words").textContent = words;
}

function showStage(stage) {
  const box = root.querySelector(`[data-stage="${CSS.escape(stage.name)}"]`);
  if (!box) return;
  const of = `${stage.about ? "about " : ""}${number(stage.total)}`;
  box.querySelector("[data-words]").textContent =
    `${number(stage.ended)} of ${of}${pace(stage.rate, stage.pending || stage.about ? stage.left : null)}`;
  bar(box.querySelector("[data-bar]"), stage.ended, stage.total);
  box.querySelector("[data-bar]").classList.toggle("idle", stage.ended > 0 && stage.unavailable === stage.ended);
  const notes = [];
  if (ALWAYS.has(stage.name) && stage.found && !stage.none_found) notes.push(`${number(stage.found)} done`);
  else if (stage.found || stage.none_found) notes.push(`${number(stage.found)} found, ${number(stage.none_found)} none found`);
  if (stage.failed) notes.push(`${number(stage.failed)} failed`);
  if (stage.unavailable) notes.push(`${number(stage.unavailable)} not available`);
  if (stage.reason) notes.push(stage.reason);
  box.querySelector("[data-note]").textContent = notes.join(" · ");
}

function showFiles(files, types) {
  const states = Object.entries(files).filter(([, count]) => count);
  $("states").replaceChildren(...(states.length
    ? states.map(([state, count]) => row(STATES[state] ?? state, count))
    : [row("none", 0)]));
  const rows = types.slice(0, MOST_TYPES).map((one) => row(one.mime, one.files, size(one.bytes)));
  const rest = types.slice(MOST_TYPES);
  const sum = (what) => rest.reduce((before, one) => before + one[what], 0);
  if (rest.length) rows.push(row(counted(rest.length, "more type"), sum("files"), size(sum("bytes"))));
  if (rows.length) rows.unshift(heading("By type"));
  $("types").replaceChildren(...rows);
}

/** What stands in place of the counts while there are none. */
function nothing(status) {
  const said = {
    empty: $("start-words") ? "Nothing has been looked at yet. Start the job to begin." : "Nothing has been looked at yet.",
    queued: "Nothing has been looked at yet. The job waits for its turn.",
    running: "Nothing has been looked at yet. The job is at work.",
    "no pictures": "The folder holds no pictures.",
  };
  return said[status] ?? "Nothing has been looked at.";
}

function show(now) {
  const active = ACTIVE.has(now.status);
  for (const one of document.querySelectorAll("[data-show]")) one.hidden = (one.dataset.show === "active") !== active;
  const start = $("start-words");
  if (start) start.textContent = now.status === "empty" ? "Start" : now.status === "stopped" ? "Go on" : "Scan again";
  $("status").className = `status status-${LOOK[now.status]}`;
  $("status").textContent = now.position ? `${now.words}, number ${now.position}` : now.words;
  $("reason").hidden = !now.reason;
  $("reason").textContent = now.reason ?? "";
  const seen = Object.values(now.files).reduce((sum, count) => sum + count, 0);
  const words = `${counted(seen, "file")}, ${size(now.bytes)}; ${counted(now.pictures, "different picture")}` +
    (now.missing ? `; ${counted(now.missing, "file is", "files are")} missing now` : "");
  if (before?.status !== now.status || !active) $("summary").setAttribute("aria-live", "polite");
  else $("summary").removeAttribute("aria-live"); // every second would be too much to hear
  $("summary").textContent = seen ? words : nothing(now.status);
  $("problem-count").textContent = number(now.problems);
  showWalk(now.live);
  showWaiting(now.live?.waiting ?? "");
  now.stages.forEach(showStage);
  showFiles(now.files, now.types);
  before = now;
}

/** Browsers try again by themselves, but not after a status other than 200. */
function watch() {
  events = new EventSource(`/api/v1/jobs/${id}/events`);
  events.addEventListener("progress", (event) => show(JSON.parse(event.data)));
  events.addEventListener("trouble", (event) => notice(JSON.parse(event.data).error, "danger"));
  events.addEventListener("error", (event) => {
    if (event.target.readyState === EventSource.CLOSED) again = setTimeout(lookAgain, AGAIN);
  });
}

/** Watch again, but not what is gone or not ours any more; who must sign in is sent there. */
async function lookAgain() {
  try {
    show(await call(`/api/v1/jobs/${id}/progress`));
  } catch (error) {
    if ([401, 403, 404].includes(error.status)) return;
  }
  watch();
}

addEventListener("pagehide", () => {
  clearTimeout(again);
  events.close();
});
addEventListener("pageshow", (event) => { if (event.persisted) watch(); });

async function attempt(work, then) {
  try {
    await work();
    then();
  } catch (error) {
    notice(error.message, "danger");
  }
}

$("share")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const data = new FormData(event.target);
  const body = { email: data.get("email"), level: data.get("level") };
  attempt(() => call(`/api/v1/jobs/${id}/shares`, { method: "PUT", body }), () => location.reload());
});

$("edit")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const data = new FormData(event.target);
  const body = { name: data.get("name"), description: data.get("description"), stages: data.getAll("stages") };
  attempt(() => call(`/api/v1/jobs/${id}`, { method: "PATCH", body }), () => location.reload());
});

show(JSON.parse(root.dataset.progress));
watch();
