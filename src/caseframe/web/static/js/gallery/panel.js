// What is known of the selected picture, in panes. Each fact says which stage found it.
import { call, icon, localTimes, notice } from "../common.js";
import { boxes, foreign, h, megapixels, size } from "./dom.js";
import { valueTree } from "./value.js";
import { worldMap } from "./worldmap.js";

const STATES = {
  corrupt: "The file is damaged: no pixel of it could be decoded.",
  "over-limit": "The picture is larger than the limits allow, so nothing of it was decoded.",
};
const PANES = ["Info", "Metadata", "Location", "Faces", "Stages"];

export class Panel {
  constructor(element, job, options, { close, view, open, faces }) {
    Object.assign(this, { element, job, options, close, view, open, faces });
    this.pane = "Info";
  }

  get shown() {
    return !this.element.hidden;
  }

  hide() {
    this.element.hidden = true;
    this.aborter?.abort();
    this.picture = null;
    this.known = null;
  }

  /** Show a picture: a tile, or only `{ id }` of one that is not in sight. */
  async show(picture) {
    this.element.hidden = false;
    if (this.picture?.id === picture.id) return;
    this.picture = picture;
    this.known = null;
    this.aborter?.abort();
    this.aborter = new AbortController();
    if (picture.path) this.head(picture);
    try {
      const known = await call(`/api/v1/jobs/${this.job}/pictures/${picture.id}`, { signal: this.aborter.signal });
      if (!picture.path) this.head(known.picture);
      this.picture = known.picture;
      this.known = known;
      this.by = Object.fromEntries(known.stages.map((stage) => [stage.stage, stage]));
      this.drawPane();
      this.drawFaces();
    } catch (error) {
      if (error.name !== "AbortError") this.wrong(error, picture);
    }
  }

  wrong(error, picture) {
    if (!picture.path) this.head({ ...picture, path: "No such picture", thumbnail: false });
    this.body.replaceChildren(h("p", { class: "text-danger", role: "alert" }, error.message));
  }

  head(picture) {
    const name = picture.path.split("/").pop();
    const head = h("div", { class: "head" }, h("h2", { class: "card-title m-0 flex-fill" }, foreign(name)),
      h("button", { class: "btn btn-icon btn-sm", type: "button", "aria-label": "Close (Esc)", onclick: () => this.close() }, icon("x")));
    this.tabs = h("ul", { class: "nav nav-tabs", role: "tablist", onkeydown: (event) => this.tabKey(event) },
      PANES.map((title) => h("li", { class: "nav-item", role: "presentation" },
        h("button", { class: "nav-link px-2", type: "button", role: "tab", id: `tab-${title}`, "aria-controls": "pane", onclick: () => this.choose(title) }, title))));
    this.body = h("div", { class: "pane", role: "tabpanel", id: "pane", tabindex: "0" }, h("p", { class: "text-secondary" }, "…"));
    this.element.replaceChildren(head, this.preview(picture), this.tabs, this.body);
    this.mark();
  }

  /** The thumbnail at once, then the picture itself in its place. */
  preview(picture) {
    const at = `/api/v1/jobs/${this.job}/pictures/${picture.id}`;
    this.holder = h("span", { class: "holder" });
    if (!picture.thumbnail) return h("p", { class: "preview none" }, STATES[picture.state] ?? "No pixel of this picture could be decoded.");
    const image = h("img", { src: `${at}/thumbnail`, alt: "", width: picture.width, height: picture.height });
    const better = new Image();
    better.onload = () => { image.src = better.src; };
    better.src = `${at}/view?side=800`;
    this.holder.append(image);
    return h("button", { class: "preview", type: "button", "aria-label": "Show in full (Enter)", onclick: () => this.view() }, this.holder);
  }

  mark() {
    for (const tab of this.tabs.querySelectorAll("button")) {
      const on = tab.textContent === this.pane;
      tab.classList.toggle("active", on);
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
    }
    this.body.setAttribute("aria-labelledby", `tab-${this.pane}`);
  }

  choose(title) {
    this.pane = title;
    this.mark();
    if (this.known) this.drawPane();
  }

  /** Tabs are one stop; arrows go from one to the next. */
  tabKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(PANES[(PANES.indexOf(this.pane) + step + PANES.length) % PANES.length]);
    this.tabs.querySelector("[aria-selected=true]").focus();
  }

  drawPane() {
    this.map?.remove();
    this.map = null;
    const draw = {
      Info: () => this.drawInfo(), Metadata: () => this.drawMetadata(), Location: () => this.drawLocation(),
      Faces: () => this.drawFacesPane(), Stages: () => this.drawStages(),
    };
    this.origins = new Map();
    this.body.replaceChildren(...draw[this.pane]().flat(9), ...this.from());
    localTimes(this.body);
  }

  drawFaces() {
    for (const box of this.holder.querySelectorAll(".face")) box.remove();
    const { width, height } = this.known.picture;
    if (this.faces() && width) this.holder.append(...boxes(this.known.faces, width, height));
  }

  /** Where a fact is from: stage, version, model, time. */
  originOf(stage) {
    const run = this.by[stage];
    if (!run) return `found by the scan, ${new Date(this.known.added_at).toLocaleString()}`;
    const when = run.finished_at ? `, ${new Date(run.finished_at).toLocaleString()}` : "";
    return `${run.title}, version ${run.version}${run.model ? `, ${run.model}` : ""}${when}`;
  }

  /** The same for all facts of the pane, for those who cannot hover. */
  from() {
    if (!this.origins.size) return [];
    const rows = [...this.origins].map(([origin, titles]) => [h("dt", {}, titles.join(", ")), h("dd", {}, foreign(origin))]);
    return [h("details", { class: "origins mt-3" }, h("summary", {}, "Where this is from"), h("dl", {}, rows))];
  }

  /** The origin of a fact, remembered for `from`. */
  origin(stage, title) {
    const words = this.originOf(stage);
    this.origins.set(words, [...this.origins.get(words) ?? [], title]);
    return words;
  }

  fact(title, value, stage = "scan", copies = false) {
    if (value === null || value === undefined || value === "") return [];
    const content = value instanceof Node ? [value] : Array.isArray(value) ? value : [foreign(value)];
    const text = copies ? [this.copy(String(value))] : [];
    return [h("dt", {}, title), h("dd", { title: this.origin(stage, title) }, content, text)];
  }

  copy(text) {
    return h("button", { class: "copy", type: "button", "aria-label": `Copy ${text.slice(0, 40)}`, title: "Copy", onclick: async () => {
      await copyText(text);
    } }, icon("copy"));
  }

  drawInfo() {
    const { known } = this;
    const p = known.picture;
    const facts = known.facts ? [foreign(known.facts), h("span", { class: "text-secondary" }, " (by FACTS, from measured facts)")] : null;
    const paths = known.paths.map((one) => h("div", { class: "path" }, foreign(one.path), one.missing ? h("span", { class: "text-danger" }, " missing now") : []));
    const rows = [
      this.fact("State", p.state === "picture" ? null : `${p.state}${known.reason ? `: ${known.reason}` : ""}`),
      this.fact("Caption", known.caption, "caption"), this.fact("Facts", facts, "facts"),
      this.fact(known.paths.length > 1 ? `At ${known.paths.length} paths` : "Path", paths),
      this.fact("Taken", taken(p.captured_at), "exif"),
      this.fact("Camera", known.camera, "exif"), this.fact("Lens", known.lens, "exif"),
      this.fact("Dimensions", p.width ? `${p.width} × ${p.height}${megapixels(p.width * p.height)}` : null),
      this.fact("Size", p.size < 1000 ? size(p.size) : `${size(p.size)} (${p.size.toLocaleString()} bytes)`), this.fact("Format", [p.format, p.mime].filter(Boolean).join(", ")),
      this.fact("Colour", [known.colorspace, known.bit_depth ? `${known.bit_depth} bit${known.bit_depth === 1 ? "" : "s"} a channel` : ""].filter(Boolean).join(", ")),
      this.fact("Resolution", known.resolution_dpi ? `${known.resolution_dpi} dpi` : null),
      this.fact("Faces", p.faces === null ? null : p.faces ? String(p.faces) : "none found", "faces"),
      this.fact("SHA-256", p.sha256, "scan", true), this.fact("SHA-1", known.sha1, "scan", true), this.fact("MD5", known.md5, "scan", true),
      this.fact("In the case since", h("time", { datetime: known.added_at }, known.added_at)),
    ];
    const problems = known.problems.length ? [h("h3", { class: "mt-3" }, "Problems"), h("ul", {}, known.problems.map((one) => h("li", {}, `${one.stage}: `, foreign(one.reason))))] : [];
    const twins = h("div", { class: "twins" });
    this.near(twins);
    return [h("dl", {}, rows), problems, h("h3", { class: "mt-3" }, "Looks alike"), twins,
      h("p", { class: "mt-3" }, h("a", { class: "btn btn-sm", href: `/api/v1/jobs/${this.job}/pictures/${p.id}/original`, download: "" }, icon("download"), " Original file"))].flat();
  }

  async near(box) {
    try {
      const found = await call(`/api/v1/jobs/${this.job}/pictures/${this.picture.id}/near?most=24`, { signal: this.aborter.signal });
      box.replaceChildren(...(found.length ? found.map(({ distance, picture }) => h("button", {
        type: "button", title: `${picture.path} (${distance} of 256 bits differ)`, "aria-label": picture.path, onclick: () => this.open(picture),
      }, h("img", { src: `/api/v1/jobs/${this.job}/pictures/${picture.id}/thumbnail`, alt: "" })))
        : [h("span", { class: "text-secondary" }, "no other picture of this job")]));
    } catch { /* another picture was chosen meanwhile */ }
  }

  drawMetadata() {
    const groups = Object.entries(this.known.metadata);
    if (!groups.length) return [h("p", { class: "text-secondary" }, "The file holds no metadata.")];
    const rows = [];
    const origin = this.origin("exif", "Metadata");
    const tables = groups.map(([group, tags]) => h("section", {}, h("h3", { class: "mt-2" }, group), h("table", { class: "table table-sm" }, h("tbody", {},
      Object.entries(tags).map(([tag, value]) => {
        const text = Array.isArray(value) ? value.join(", ") : String(value);
        const row = h("tr", { title: origin }, h("th", { scope: "row" }, foreign(tag)), h("td", {}, foreign(text), this.copy(text)));
        rows.push([row, `${tag} ${text}`.toLowerCase()]);
        return row;
      })))));
    const search = h("input", { class: "form-control form-control-sm", type: "search", placeholder: "search in the metadata", "aria-label": "Search in the metadata",
      oninput: (event) => { for (const [row, text] of rows) row.hidden = !text.includes(event.target.value.toLowerCase()); } });
    const everything = h("button", { class: "btn btn-sm mt-2", type: "button", onclick: () => copyText(JSON.stringify(this.known.metadata, null, 2)) }, icon("copy"), " Copy all");
    return [search, tables, everything].flat();
  }

  drawLocation() {
    const { place } = this.known;
    if (!place) return [h("p", { class: "text-secondary" }, "The picture does not say where it was taken.")];
    const at = `${place.latitude.toFixed(6)}, ${place.longitude.toFixed(6)}`;
    const box = h("div", { class: "map" });
    this.drawMap(box, place);
    return [box, h("dl", {}, this.fact("Coordinates", at, "place", true),
      this.fact("Nearest town", [place.town, place.region, place.country].filter(Boolean).join(", "), "place"),
      this.fact("Distance to it", place.distance_km === null ? null : `${place.distance_km.toFixed(1)} km`, "place"),
      this.fact("Altitude", place.altitude_m === null ? null : `${Math.round(place.altitude_m)} m`, "place"),
      this.fact("Direction of view", place.direction === null ? null : `${Math.round(place.direction)}° from north`, "place"))];
  }

  async drawMap(box, place) {
    const { L, map } = await worldMap(box, this.options, { zoomControl: true });
    if (!box.isConnected) return;
    this.map = map;
    map.setView([place.latitude, place.longitude], 5);
    L.circleMarker([place.latitude, place.longitude], { radius: 8, color: "#fff", weight: 2, fillColor: "#d6336c", fillOpacity: 1 }).addTo(map);
  }

  drawFacesPane() {
    const { faces, picture } = this.known;
    if (picture.faces === null) return [h("p", { class: "text-secondary" }, "Nobody has looked for faces in this picture yet.")];
    if (!faces.length) return [h("p", { class: "text-secondary" }, "No faces were found.")];
    const image = new Image();
    const origin = this.origin("faces", "Faces");
    image.src = `/api/v1/jobs/${this.job}/pictures/${picture.id}/view?side=1600`;
    const crops = faces.map((face, index) => {
      const canvas = h("canvas", { width: 160, height: 160, role: "img", "aria-label": `Face ${index + 1}, score` });
      image.addEventListener("load", () => crop(canvas, image, face, picture));
      return h("button", { type: "button", title: origin, onclick: () => this.view(true) }, canvas, h("div", {}, `${Math.round(face.score * 100) / 100}`));
    });
    return [h("div", { class: "crops" }, crops), h("p", { class: "text-secondary mt-2" }, "Under each face stands the detector's score (no probability; higher is surer). A face opens the picture with its boxes.")];
  }

  drawStages() {
    return [h("div", { class: "list-group list-group-flush" }, this.known.stages.map((run) => h("div", { class: "list-group-item px-0" },
      h("div", {}, h("strong", {}, run.title), ` version ${run.version}: ${run.state}${run.found === false ? ", none found" : ""}`),
      h("div", { class: "text-secondary small" }, [run.model, run.finished_at ? new Date(run.finished_at).toLocaleString() : "", run.seconds === null ? "" : `${run.seconds.toFixed(3)} s`, run.attempts ? `${run.attempts} ${run.attempts === 1 ? "attempt" : "attempts"}` : ""].filter(Boolean).join(" · ")),
      run.model_digest ? h("div", { class: "text-secondary small path" }, run.model_digest) : [],
      run.reason ? h("div", {}, foreign(run.reason)) : [], this.answer(run))))];
  }

  /** What a stage answered. That of another maker is open: it is shown nowhere else. */
  answer(run) {
    const value = run.external ? run.answer?.value : run.answer;
    const summary = run.external && run.summary ? h("div", { class: "text-secondary" }, foreign(run.summary)) : [];
    if (value === null || value === undefined) return [summary];
    const copy = h("button", { class: "btn btn-sm", type: "button", "aria-label": `Copy what ${run.title} found`, onclick: () => copyText(JSON.stringify(value, null, 2)) }, icon("copy"), " Copy");
    const made = () => [valueTree(value), copy];
    if (run.external) return [summary, h("div", { class: "answer mt-1" }, made())];
    const box = h("details", { class: "answer" }, h("summary", {}, "What it answered"));
    box.addEventListener("toggle", () => box.append(...made()), { once: true });
    return [box];
  }
}

/** When a picture was taken; without an offset nobody knows in which zone. */
function taken(at) {
  if (!at) return null;
  const words = at.replace("T", " ");
  return /(Z|[+-]\d\d:?\d\d)$/.test(words) ? words : `${words} by the camera's clock`;
}

/** Browsers give the clipboard only to pages that came by https or from this machine. */
async function copyText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
  } else {
    const area = h("textarea", { class: "visually-hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  notice("Copied.");
}

function crop(canvas, image, face, picture) {
  const scale = image.naturalWidth / picture.width;
  const side = Math.max(face.width, face.height) * 1.5 * scale;
  const x = (face.x + face.width / 2) * scale - side / 2;
  const y = (face.y + face.height / 2) * scale - side / 2;
  canvas.getContext("2d").drawImage(image, x, y, side, side, 0, 0, canvas.width, canvas.height);
}
