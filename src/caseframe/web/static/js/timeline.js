// When the pictures were taken, as bars; one or a range of them leads to the gallery.
import { call, notice } from "./common.js";
import { h } from "./gallery/dom.js";

const MOST_BARS = 1500; // beyond that, times without pictures are left out
const MANY = 200; // months beyond which one begins with years
const PAUSE = 300; // ms between two drawings while counts still come
const LEAST_APART = 40; // pixels between two years under the bars
const root = document.getElementById("timeline");
const job = root.dataset.job;
const q = new URLSearchParams(location.search).get("q") ?? "";
const unit = document.getElementById("unit");
const link = document.getElementById("chosen");
let buckets = [];
let bars = [];
let picked = [];
let leftOut = false; // whether times without pictures have no room
let aborter = new AbortController();

const pictures = (count) => `${count.toLocaleString()} ${count === 1 ? "picture" : "pictures"}`;

/** The time after this one: 2016, 2016-07 or 2016-07-15. */
function following(start) {
  const [year, month, day] = start.split("-").map(Number);
  const pad = (number, digits) => String(number).padStart(digits, "0");
  if (month === undefined) return pad(year + 1, 4);
  if (day === undefined) return month === 12 ? `${pad(year + 1, 4)}-01` : `${pad(year, 4)}-${pad(month + 1, 2)}`;
  const next = new Date(0);
  next.setUTCFullYear(year, month - 1, day + 1);
  return `${pad(next.getUTCFullYear(), 4)}-${pad(next.getUTCMonth() + 1, 2)}-${pad(next.getUTCDate(), 2)}`;
}

/** Bars one after the other in time, with room for times without pictures unless there are too many. */
function spread() {
  const made = [];
  let at = buckets[0]?.start;
  buckets.forEach((bucket, index) => {
    while (at < bucket.start && made.length <= MOST_BARS) { made.push(null); at = following(at); }
    made.push({ ...bucket, index });
    at = following(bucket.start);
  });
  leftOut = made.length > MOST_BARS;
  return leftOut ? buckets.map((bucket, index) => ({ ...bucket, index })) : made;
}

function draw() {
  const most = Math.max(1, ...buckets.map((one) => one.count));
  bars = [];
  let year = "";
  root.replaceChildren(...spread().map((one) => {
    const column = h("span", { class: "bar-column" });
    if (!one) return column;
    const label = `${one.start}: ${pictures(one.count)}`;
    const bar = h("button", { type: "button", title: label, "aria-label": label, "aria-pressed": "false", onclick: () => pick(one.index) });
    bar.style.height = `${Math.max(2, (100 * one.count) / most)}%`;
    bars.push(bar);
    column.append(bar);
    if (one.start.slice(0, 4) !== year) {
      year = one.start.slice(0, 4);
      column.append(h("span", { class: "year", "aria-hidden": "true" }, year));
    }
    return column;
  }));
  let last = -Infinity;
  for (const words of root.querySelectorAll(".year")) {
    const column = words.parentElement;
    const near = column.offsetLeft - last < LEAST_APART;
    // Years in a row can be counted; elsewhere a year without its number would pass for the one before.
    words.hidden = near && unit.value === "year" && !leftOut;
    column.classList.toggle("apart", near && !words.hidden);
    if (!words.hidden) last = column.offsetLeft;
  }
  document.getElementById("ends").textContent = buckets.length ? `${pictures(buckets.reduce((sum, one) => sum + one.count, 0))}, ${buckets[0].start} to ${buckets.at(-1).start}${notes()}` : "";
}

/** What the chart itself does not show. */
function notes() {
  const out = leftOut ? `; ${unit.value}s without pictures are left out` : "";
  return root.scrollWidth > root.clientWidth ? `${out}; scroll the chart sideways to see all of it` : out;
}

function inside(index) {
  return picked.length > 0 && index >= Math.min(...picked) && index <= Math.max(...picked);
}

/** The first click begins a range, the second ends it. */
function pick(index) {
  picked = picked.length === 1 && picked[0] !== index ? [picked[0], index] : [index];
  bars.forEach((bar, at) => bar.setAttribute("aria-pressed", String(inside(at))));
  const [from, until] = [buckets[Math.min(...picked)].start, buckets[Math.max(...picked)].start];
  const date = from === until ? `date:${from}` : `date:${from}..${until}`;
  const count = buckets.filter((_, at) => inside(at)).reduce((sum, one) => sum + one.count, 0);
  link.hidden = false;
  link.href = `/jobs/${job}/gallery?${new URLSearchParams({ q: [q, date].filter(Boolean).join(" "), sort: "captured" })}`;
  document.getElementById("said").textContent = `Show ${pictures(count)} of ${from === until ? from : `${from} to ${until}`}`;
}

/** All bars, in parts that are added up; `seen` is told what there is so far. */
async function fetched(signal, seen) {
  const counts = new Map();
  for (let after, drawn = Date.now(); ;) {
    const asked = new URLSearchParams({ unit: unit.value, ...(q && { q }), ...(after && { after }) });
    const part = await call(`/api/v1/jobs/${job}/pictures/timeline?${asked}`, { signal });
    for (const { start, count } of part.buckets) counts.set(start, (counts.get(start) ?? 0) + count);
    const sorted = [...counts].map(([start, count]) => ({ start, count })).sort((one, other) => (one.start < other.start ? -1 : 1));
    after = part.next;
    if (after === null) return sorted;
    if (Date.now() - drawn > PAUSE) {
      seen(sorted);
      drawn = Date.now();
    }
  }
}

function show(found, counting) {
  buckets = found;
  document.getElementById("no-times").hidden = buckets.length > 0 || counting;
  root.hidden = buckets.length === 0;
  root.setAttribute("aria-busy", String(counting));
  draw();
  if (counting) document.getElementById("ends").textContent += ", still counting";
}

async function load(first = false) {
  aborter.abort();
  aborter = new AbortController();
  picked = [];
  link.hidden = true;
  try {
    const found = await fetched(aborter.signal, (some) => show(some, true));
    buckets = found;
    if (first && spread().length > MANY) {
      unit.value = "year";
      await load();
      return;
    }
    picked = [];
    link.hidden = true;
    show(found, false);
  } catch (error) {
    if (error.name !== "AbortError") notice(error.message, "danger");
  }
}

unit.addEventListener("change", () => load());
addEventListener("resize", draw);
load(true);
