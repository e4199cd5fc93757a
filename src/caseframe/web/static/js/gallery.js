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
const state = new State();
const source = new Source(job, state);
const grid = new Grid($("grid"), $("space"), source, job);
const filters = new Filters(job, state);
const viewer = new Viewer($("viewer"), job, { move: (step) => { grid.choose(grid.current + step, { focus: false }); view(); }, faces: toggleFaces });
const panel = new Panel($("panel"), job, options, {
  close: closePanel, view, faces: () => state.faces,
  open: (picture) => go(picture.id, true),
});
let wantPanel = false;

const chosen = () => source.at(grid.current);

function closePanel() {
  panel.hide();
  wantPanel = false;
  state.set({ picture: null });
  grid.layout();
  grid.tiles.get(grid.current)?.focus();
}

async function view(withFaces = false) {
  const picture = chosen();
  if (!picture) return;
  if (withFaces && !state.faces) toggleFaces();
  const found = picture.faces ? await (await fetch(`/api/v1/jobs/${job}/faces?images=${picture.id}`)).json() : {};
  viewer.show(picture, found[picture.id] ?? [], state.faces);
}

function toggleFaces() {
  state.set({ faces: !state.faces });
  $("faces-button").setAttribute("aria-pressed", String(state.faces));
  grid.setFaces(state.faces);
  if (panel.shown && panel.known) panel.drawFaces();
  if (viewer.open) view();
}

function words() {
  const number = `${source.exact ? "" : "more than "}${source.total.toLocaleString()}`;
  $("count").textContent = `${number} ${source.total === 1 ? "picture" : "pictures"}`;
}

function nothing() {
  const box = $("nothing");
  box.hidden = source.total > 0;
  $("grid").hidden = source.total === 0;
  if (source.total) return;
  const [title, subtitle, link] = box.querySelectorAll("p, a");
  const searched = state.q || state.area;
  title.textContent = searched ? "No picture fits this search" : "No pictures yet";
  subtitle.textContent = searched ? "Take a word or a filter away, or look at the keys and fields under “?”." : "The job has not found any picture so far. Start it, or look at its problems.";
  link.textContent = searched ? "Show all pictures" : "Go to the job";
  link.href = searched ? location.pathname : location.pathname.replace(/\/gallery$/, "");
}

async function search() {
  $("search").value = state.q;
  $("sort").value = state.sort;
  filters.show();
  $("search-error").textContent = "";
  for (const [id, page] of [["to-map", "map"], ["to-timeline", "timeline"]]) {
    const q = state.q ? `?${new URLSearchParams({ q: state.q })}` : "";
    $(id).href = `/jobs/${job}/${page}${q}`;
  }
  try {
    await source.load();
  } catch (error) {
    if (error.name === "AbortError") return;
    $("search-error").textContent = error.message;
    return;
  }
  grid.current = -1;
  nothing();
  words();
  $("grid").scrollTop = 0;
  grid.layout();
  if (state.picture) go(state.picture);
  else panel.hide();
}

/** Open a picture by its id, wherever it stands; out of the search if it does not fit it. */
async function go(id, leave = false) {
  try {
    const index = await source.position(id);
    if (index !== null) {
      wantPanel = true;
      grid.choose(index, { open: true });
      waitFor(index);
    } else if (leave) {
      state.set({ q: "", area: "", picture: id });
    }
  } catch (error) {
    if (error.name !== "AbortError") notice(error.message, "danger");
  }
}

/** A picture far away comes a moment after it was chosen. */
function waitFor(index) {
  if (source.at(index)) return;
  const again = () => {
    if (!source.at(index)) return;
    source.removeEventListener("arrived", again);
    if (grid.current === index) grid.choose(index, { open: true });
  };
  source.addEventListener("arrived", again);
}

grid.addEventListener("choose", (event) => {
  const picture = chosen();
  if (!picture) return;
  const opens = (event.detail.open && innerWidth > 768) || panel.shown || wantPanel || event.detail.open;
  state.set({ picture: opens ? picture.id : null });
  if (opens) {
    const was = panel.shown;
    panel.show(picture);
    if (!was) { grid.layout(); grid.reveal(grid.current); grid.tiles.get(grid.current)?.focus({ preventScroll: true }); }
  }
});
grid.addEventListener("view", () => view());
source.addEventListener("counted", words);
source.addEventListener("trouble", (event) => notice(event.detail.message, "danger"));
state.addEventListener("change", (event) => { if (event.detail.search) search(); });

$("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  state.set({ q: $("search").value.trim(), picture: null });
  $("grid").focus();
});
$("sort").addEventListener("change", () => state.set({ sort: $("sort").value }));
$("faces-button").addEventListener("click", toggleFaces);
$("help-button").addEventListener("click", () => $("help").showModal());
$("tile-size").value = localStorage.getItem("tile-size") ?? "160";
grid.side = Number($("tile-size").value);
$("tile-size").addEventListener("input", () => {
  localStorage.setItem("tile-size", $("tile-size").value);
  grid.side = Number($("tile-size").value);
  grid.layout();
});

const keys = {
  ArrowLeft: () => grid.move(-1), ArrowRight: () => grid.move(1),
  ArrowUp: () => grid.move(-grid.columns), ArrowDown: () => grid.move(grid.columns),
  Home: () => grid.choose(0), End: () => grid.choose(source.total - 1),
  PageDown: () => grid.move(grid.columns * 3), PageUp: () => grid.move(-grid.columns * 3),
  Enter: () => view(), Escape: () => { if (panel.shown) closePanel(); },
  "/": () => $("search").focus(), f: toggleFaces, "?": () => $("help").showModal(),
  i: () => {
    if (panel.shown) closePanel();
    else if (chosen()) { wantPanel = true; grid.choose(grid.current, { open: true }); }
  },
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [role=tab], [contenteditable]");
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing && event.key !== "Escape") return;
  if (event.key === "Enter" && event.target.closest("a, button")) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

$("faces-button").setAttribute("aria-pressed", String(state.faces));
search().then(() => grid.setFaces(state.faces));
