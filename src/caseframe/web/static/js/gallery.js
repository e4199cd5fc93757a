// The gallery: puts the parts together and listens to the keyboard.
import { notice } from "./common.js";
import { Filters } from "./gallery/filters.js";
import { Grid } from "./gallery/grid.js";
import { Panel } from "./gallery/panel.js";
import { Source } from "./gallery/source.js";
import { State } from "./gallery/state.js";
import { Viewer } from "./gallery/viewer.js";

const $ = (id) => document.getElementById(id);
const root = $("gallery");
const job = root.dataset.job;
const options = { leaflet: root.dataset.leaflet, world: root.dataset.world, tiles: root.dataset.tiles };
const LOOK_AGAIN = 10_000; // ms between two looks whether a job at work has found more
const NONE = {
  empty: "The job has not been started yet. Start it on its page.",
  queued: "The job waits for its turn.",
  running: "The job is at work and has not found any picture so far.",
  "no pictures": "The folder holds no pictures.",
};
const state = new State();
const source = new Source(job, state);
const grid = new Grid($("grid"), $("space"), source, job);
const filters = new Filters(job, state);
const viewer = new Viewer($("viewer"), job, { move: (step) => grid.move(step, { focus: false }), faces: toggleFaces });
const panel = new Panel($("panel"), job, options, {
  close: closePanel, view, faces: () => state.faces,
  open: (picture) => { state.set({ picture: picture.id }); go(picture.id); },
});

/** The picture that is meant now: the one in the panes, else the one that has the focus. */
const subject = () => (panel.shown && panel.picture?.path ? panel.picture : source.at(grid.current));

function showPanel(picture) {
  const was = panel.shown;
  panel.show(picture);
  if (was) return;
  grid.layout();
  if (grid.current >= 0) grid.reveal(grid.current);
}

function hidePanel() {
  panel.hide();
  grid.layout();
  grid.tiles.get(grid.current)?.focus({ preventScroll: true });
}

function closePanel() {
  state.set({ picture: null });
  hidePanel();
}

async function view(withFaces = false) {
  const picture = subject();
  if (!picture) return;
  if (withFaces && !state.faces) toggleFaces();
  viewer.show(picture, [], state.faces);
  const found = await grid.facesOf(picture).catch(() => []);
  if (viewer.open && viewer.picture.id === picture.id) viewer.show(picture, found, state.faces);
}

function toggleFaces() {
  state.set({ faces: !state.faces });
  showFaces();
}

function showFaces() {
  $("faces-button").setAttribute("aria-pressed", String(state.faces));
  grid.setFaces(state.faces);
  if (panel.shown && panel.known) panel.drawFaces();
  if (viewer.open) view();
}

function words() {
  const number = `${source.exact ? "" : "more than "}${source.total.toLocaleString()}`;
  $("count").textContent = `${number} ${source.total === 1 ? "picture" : "pictures"}`;
}

function nothing(wrong = false) {
  const box = $("nothing");
  box.hidden = source.total > 0 || wrong;
  $("grid").hidden = source.total === 0;
  if (source.total) return;
  const [title, subtitle, link] = box.querySelectorAll("p, a");
  const searched = state.q || state.area;
  title.textContent = searched ? "No picture fits this search" : root.dataset.status === "no pictures" ? "No pictures" : "No pictures yet";
  subtitle.textContent = searched ? "Take a word or a filter away, or look at the keys and fields under “?”." : NONE[root.dataset.status] ?? "The job has not found any picture so far. Look at its problems.";
  link.textContent = searched ? "Show all pictures" : "Go to the job";
  link.href = searched ? location.pathname : location.pathname.replace(/\/gallery$/, "");
}

async function search() {
  $("search").value = state.q;
  $("sort").value = state.sort;
  filters.show();
  $("search-error").textContent = "";
  $("search").removeAttribute("aria-invalid");
  $("news").hidden = true;
  for (const [id, page] of [["to-map", "map"], ["to-timeline", "timeline"]]) {
    const q = state.q ? `?${new URLSearchParams({ q: state.q })}` : "";
    $(id).href = `/jobs/${job}/${page}${q}`;
  }
  grid.current = -1;
  $("grid").scrollTop = 0;
  try {
    await source.load();
  } catch (error) {
    if (error.name === "AbortError") return;
    $("search-error").textContent = error.message;
    $("search").setAttribute("aria-invalid", "true");
    $("count").textContent = "";
    nothing(true);
    return;
  }
  nothing();
  words();
  grid.layout();
  if (state.picture) go(state.picture);
  else if (panel.shown) hidePanel();
}

/** Open a picture by its id: its panes at once, its place in the grid when that is known. */
async function go(id) {
  showPanel({ id });
  try {
    const index = await source.position(id);
    if (state.picture !== id || index === null) return;
    grid.choose(index, { focus: !panel.element.contains(document.activeElement), quiet: true });
  } catch (error) {
    if (error.name !== "AbortError" && error.status !== 404) notice(error.message, "danger"); // the panes say the rest
  }
}

/** While a job is at work, say when there is more than what is shown. */
async function look() {
  try {
    const { number, exact } = await source.present();
    const more = number - source.total;
    if (!exact || !source.exact || !more) return;
    $("news").hidden = false;
    $("news").lastElementChild.textContent = more > 0 ? `${more.toLocaleString()} more: show` : "Show what is there now";
  } catch { /* the next look may succeed */ }
}

grid.addEventListener("choose", (event) => {
  const picture = source.at(grid.current);
  if (viewer.open) {
    state.set({ picture: panel.shown ? picture.id : null });
    if (panel.shown) panel.show(picture);
    view();
  } else if (event.detail.open || panel.shown) {
    state.set({ picture: picture.id });
    showPanel(picture);
  }
});
grid.addEventListener("view", () => view());
source.addEventListener("counted", () => { words(); grid.layout(); });
source.addEventListener("trouble", (event) => notice(event.detail.message, "danger"));
state.addEventListener("change", (event) => {
  const { search: other, picture, faces } = event.detail;
  if (other) search();
  else if (picture && state.picture) go(state.picture);
  else if (picture) hidePanel();
  if (faces) showFaces();
});

$("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  state.set({ q: $("search").value.trim(), picture: null });
  $("grid").querySelector(".tile")?.focus({ preventScroll: true });
});
$("sort").addEventListener("change", () => state.set({ sort: $("sort").value }));
$("faces-button").addEventListener("click", toggleFaces);
$("help-button").addEventListener("click", () => $("help").showModal());
$("news").addEventListener("click", search);
$("viewer").addEventListener("close", () => grid.tiles.get(grid.current)?.focus({ preventScroll: true }));
$("tile-size").value = localStorage.getItem("tile-size") ?? "160";
grid.side = Number($("tile-size").value);
$("tile-size").addEventListener("input", () => {
  localStorage.setItem("tile-size", $("tile-size").value);
  grid.side = Number($("tile-size").value);
  grid.layout();
});

const page = () => grid.columns * Math.max(1, Math.floor($("grid").clientHeight / grid.width) - 1);
const keys = {
  ArrowLeft: () => grid.move(-1), ArrowRight: () => grid.move(1),
  ArrowUp: () => grid.move(-grid.columns), ArrowDown: () => grid.move(grid.columns),
  Home: () => grid.choose(0), End: () => grid.choose(source.total - 1),
  PageDown: () => grid.move(page()), PageUp: () => grid.move(-page()),
  Enter: () => view(), Escape: () => { if (panel.shown) closePanel(); },
  "/": () => $("search").focus(), f: toggleFaces, "?": () => $("help").showModal(),
  i: () => {
    if (panel.shown) closePanel();
    else grid.choose(Math.max(0, grid.current), { open: true });
  },
};
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (typing && event.key !== "Escape") return;
  if (typing && typing.value && typing.type === "search") return; // Escape empties it first
  // Keys that press a button or scroll a pane belong to what has the focus there.
  if (event.key === "Enter" && event.target.closest("a, button, .leaflet-container")) return;
  if (/^(Home|End|Page|Arrow)/.test(event.key) && event.target.closest("#pane, .leaflet-container")) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

if (["running", "queued"].includes(root.dataset.status)) setInterval(look, LOOK_AGAIN);
search().then(showFaces);
