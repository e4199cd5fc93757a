// A grid of any number of pictures: only the rows in sight exist. The scrollbar stands for all of
// them; above what a browser can scroll, it stands for them in proportion.
import { call } from "../common.js";
import { boxes, h } from "./dom.js";

const MOST_HEIGHT = 15_000_000; // browsers stop at 17 to 33 million pixels
const MORE_ROWS = 2;
const AT_ONCE = 200; // ids in one request for faces; the server takes 500
const MARKS = { corrupt: "corrupt", "over-limit": "over the limit" };

/** What a corner of a tile says: copies, faces, trouble. */
function marks(picture) {
  const found = [];
  if (picture.copies > 1) found.push(`×${picture.copies}`);
  if (picture.faces) found.push(`☺ ${picture.faces}`);
  if (MARKS[picture.state] || picture.problem) found.push("!");
  return found;
}

export class Grid extends EventTarget {
  constructor(element, space, source, job) {
    super();
    Object.assign(this, { element, space, source, job });
    this.side = 160;
    this.current = -1;
    this.tiles = new Map();
    this.faces = null;
    element.addEventListener("scroll", () => this.soon(), { passive: true });
    new ResizeObserver(() => this.layout()).observe(element);
    source.addEventListener("arrived", () => { this.draw(); this.tell(); });
    element.addEventListener("click", (event) => {
      const tile = event.target.closest(".tile");
      if (tile) this.choose(Number(tile.dataset.index), { open: true });
    });
    element.addEventListener("dblclick", (event) => {
      if (event.target.closest(".tile")) this.dispatchEvent(new Event("view"));
    });
  }

  soon() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  get rows() {
    return Math.ceil(this.source.total / this.columns);
  }

  /** Find out how much there is room for; what stood at the top stays there. */
  layout() {
    const top = this.columns ? this.firstRow() * this.columns : 0;
    const columns = Math.max(1, Math.floor(this.element.clientWidth / this.side));
    const width = this.element.clientWidth / columns;
    if (!width) return;
    const other = columns !== this.columns || width !== this.width;
    Object.assign(this, { columns, width, height: Math.min(Math.ceil(this.source.total / columns) * width, MOST_HEIGHT) });
    this.space.style.height = `${this.height}px`;
    if (other) {
      this.clear();
      if (top) this.scrollToRow(Math.floor(top / columns));
    }
    this.draw();
  }

  clear() {
    for (const tile of this.tiles.values()) tile.remove();
    this.tiles.clear();
  }

  /** How far the rows lie behind where the scrollbar stands, for heights beyond what can scroll. */
  get scale() {
    const view = this.element.clientHeight;
    const whole = this.rows * this.width - view;
    const scrolls = this.height - view;
    return scrolls > 0 && whole > scrolls ? whole / scrolls : 1;
  }

  firstRow() {
    return Math.floor((this.element.scrollTop * this.scale) / this.width);
  }

  scrollToRow(row) {
    this.element.scrollTop = (row * this.width) / this.scale;
  }

  /** Bring a picture into sight with as little scrolling as possible. */
  reveal(index) {
    const row = Math.floor(index / this.columns);
    const top = this.element.scrollTop * this.scale;
    const view = this.element.clientHeight;
    if (row * this.width < top) this.scrollToRow(row);
    else if ((row + 1) * this.width > top + view) this.element.scrollTop = ((row + 1) * this.width - view) / this.scale;
  }

  draw() {
    if (!this.columns) return;
    const top = this.element.scrollTop * this.scale;
    const first = Math.max(0, Math.floor(top / this.width) - MORE_ROWS);
    const last = Math.min(this.rows - 1, Math.ceil((top + this.element.clientHeight) / this.width) + MORE_ROWS);
    const from = first * this.columns;
    const to = Math.min(this.source.total, (last + 1) * this.columns) - 1;
    const shift = this.element.scrollTop - top; // read between two tiles it would lay out all of them
    for (const [index, tile] of this.tiles) {
      if (index < from || index > to) { tile.remove(); this.tiles.delete(index); }
    }
    for (let index = from; index <= to; index += 1) this.show(index, shift);
    this.source.want(from, to);
    if (this.showFaces) this.wantFaces();
  }

  show(index, shift) {
    let tile = this.tiles.get(index);
    const picture = this.source.at(index);
    if (!tile || tile.dataset.id !== String(picture?.id ?? "")) {
      const focused = tile && tile === document.activeElement;
      tile?.remove();
      tile = this.make(index, picture);
      this.tiles.set(index, tile);
      this.space.append(tile);
      if (focused) { tile.tabIndex = 0; tile.focus({ preventScroll: true }); }
    }
    const row = Math.floor(index / this.columns);
    const y = shift + row * this.width;
    tile.style.transform = `translate(${(index % this.columns) * this.width}px, ${y}px)`;
    tile.setAttribute("aria-selected", String(index === this.current));
    tile.tabIndex = index === this.current || (this.current < 0 && index === 0) ? 0 : -1;
  }

  make(index, picture) {
    const frame = h("div", { class: "frame" });
    const words = picture && [picture.path, picture.captured_at, !picture.thumbnail && (MARKS[picture.state] ?? picture.state), ...marks(picture)];
    const label = words ? words.filter(Boolean).join(", ") : "not here yet";
    const tile = h("div", {
      class: "tile", role: "option", "aria-label": label, "aria-posinset": index + 1,
      "aria-setsize": this.source.exact ? this.source.total : -1, title: picture?.path,
      dataset: { index, id: picture?.id ?? "" },
    }, frame);
    tile.style.width = `${this.width}px`;
    tile.style.height = `${this.width}px`;
    if (picture) this.fill(frame, picture);
    return tile;
  }

  fill(frame, picture) {
    if (picture.thumbnail) {
      frame.append(h("img", { src: `/api/v1/jobs/${this.job}/pictures/${picture.id}/thumbnail`, alt: "", decoding: "async" }));
    } else {
      frame.append(h("span", { class: "none" }, MARKS[picture.state] ?? picture.state));
    }
    const small = marks(picture);
    if (small.length) frame.append(h("span", { class: "marks", "aria-hidden": "true" }, small.map((words) => h("span", {}, words))));
  }

  /** Select a picture; listeners hear of it ("choose") as soon as it is here. */
  choose(index, { open = false, focus = true, quiet = false } = {}) {
    if (index < 0 || index >= this.source.total) return;
    this.tiles.get(this.current)?.setAttribute("aria-selected", "false");
    this.current = index;
    this.untold = quiet ? null : { open };
    this.reveal(index);
    this.draw();
    if (focus) this.tiles.get(index)?.focus({ preventScroll: true });
    this.tell();
  }

  tell() {
    if (!this.untold || !this.source.at(this.current)) return;
    const detail = this.untold;
    this.untold = null;
    this.dispatchEvent(new CustomEvent("choose", { detail }));
  }

  move(step, options) {
    const next = this.current < 0 ? 0 : this.current + step;
    this.choose(Math.min(Math.max(0, next), this.source.total - 1), options);
  }

  setFaces(on) {
    this.showFaces = on;
    this.faces ??= new Map();
    if (!on) for (const box of this.space.querySelectorAll(".face")) box.parentElement.remove();
    else this.wantFaces();
  }

  async wantFaces() {
    const missing = [];
    for (const [index] of this.tiles) {
      const picture = this.source.at(index);
      if (picture?.faces && !this.faces.has(picture.id)) missing.push(picture.id);
    }
    for (const id of missing) this.faces.set(id, []);
    this.drawFaces();
    for (let at = 0; at < missing.length; at += AT_ONCE) {
      await this.bringFaces(missing.slice(at, at + AT_ONCE));
      this.drawFaces();
    }
  }

  async bringFaces(ids) {
    try {
      const found = await call(`/api/v1/jobs/${this.job}/faces?images=${ids.join(",")}`);
      for (const [id, faces] of Object.entries(found)) this.faces.set(Number(id), faces);
    } catch {
      for (const id of ids) this.faces.delete(id); // asked again with the next scroll
    }
  }

  drawFaces() {
    for (const [index, tile] of this.tiles) this.box(tile, this.source.at(index));
  }

  /** The faces of one picture. */
  async facesOf(picture) {
    if (!picture.faces) return [];
    this.faces ??= new Map();
    if (!this.faces.get(picture.id)?.length) {
      const found = await call(`/api/v1/jobs/${this.job}/faces?images=${picture.id}`);
      this.faces.set(picture.id, found[picture.id] ?? []);
    }
    return this.faces.get(picture.id);
  }

  box(tile, picture) {
    const frame = tile.firstElementChild;
    if (!this.showFaces || !picture?.faces || frame.querySelector(".face")) return;
    const found = this.faces.get(picture.id) ?? [];
    if (!found.length) return;
    const fit = Math.min(1 / picture.width, 1 / picture.height);
    const layer = h("div", {}, boxes(found, picture.width, picture.height));
    layer.style.position = "absolute";
    layer.style.width = `${100 * picture.width * fit}%`;
    layer.style.height = `${100 * picture.height * fit}%`;
    frame.append(layer);
  }
}
