// When the pictures were taken, as bars; one or a range of them leads to the gallery.
import { call, notice } from "./common.js";
import { h } from "./gallery/dom.js";

const root = document.getElementById("timeline");
const job = root.dataset.job;
const q = new URLSearchParams(location.search).get("q") ?? "";
const unit = document.getElementById("unit");
const link = document.getElementById("chosen");
let buckets = [];
let picked = [];

function show() {
  const most = Math.max(1, ...buckets.map((one) => one.count));
  root.replaceChildren(...buckets.map((one, index) => {
    const bar = h("button", {
      type: "button", title: `${one.start}: ${one.count.toLocaleString()}`, "aria-label": `${one.start}: ${one.count} pictures`,
      "aria-pressed": String(inside(index)), onclick: () => pick(index),
    });
    bar.style.height = `${Math.max(2, (100 * one.count) / most)}%`;
    return bar;
  }));
  document.getElementById("ends").textContent = buckets.length ? `${buckets[0].start} to ${buckets.at(-1).start}` : "";
}

function inside(index) {
  return picked.length > 0 && index >= Math.min(...picked) && index <= Math.max(...picked);
}

/** The first click begins a range, the second ends it. */
function pick(index) {
  picked = picked.length === 1 ? [picked[0], index] : [index];
  const [from, until] = [buckets[Math.min(...picked)].start, buckets[Math.max(...picked)].start];
  const date = from === until ? `date:${from}` : `date:${from}..${until}`;
  const count = buckets.filter((_, at) => inside(at)).reduce((sum, one) => sum + one.count, 0);
  link.hidden = false;
  link.href = `/jobs/${job}/gallery?${new URLSearchParams({ q: [q, date].filter(Boolean).join(" "), sort: "captured" })}`;
  link.textContent = `Show ${count.toLocaleString()} pictures of ${from === until ? from : `${from} to ${until}`}`;
  show();
}

async function load() {
  picked = [];
  link.hidden = true;
  try {
    buckets = await call(`/api/v1/jobs/${job}/pictures/timeline?${new URLSearchParams({ unit: unit.value, ...(q && { q }) })}`);
    document.getElementById("no-times").hidden = buckets.length > 0;
    show();
  } catch (error) {
    notice(error.message, "danger");
  }
}

unit.addEventListener("change", load);
load();
