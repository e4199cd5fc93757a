// One picture in full: zoom by wheel, pinch, keys; pan by dragging.
import { icon } from "../common.js";
import { boxes, h } from "./dom.js";

const MOST = 16;

export class Viewer {
  constructor(dialog, job, { move, faces }) {
    Object.assign(this, { dialog, job, move, faces });
    this.pointers = new Map();
    this.name = h("bdi");
    this.stage = h("div", { class: "stage" });
    dialog.append(this.bar(), this.stage);
    dialog.tabIndex = -1; // keys work also after a click beside the buttons
    dialog.addEventListener("keydown", (event) => this.key(event));
  }

  get open() {
    return this.dialog.open;
  }

  /** Stays while pictures change, so that a button keeps the focus. */
  bar() {
    const button = (name, label, act) => h("button", { class: "btn btn-icon btn-dark", type: "button", "aria-label": label, title: label, onclick: act }, icon(name));
    return h("div", { class: "bar" }, h("span", { class: "name" }, this.name),
      button("chevron-left", "The one before (←)", () => this.move(-1)), button("chevron-right", "The next one (→)", () => this.move(1)),
      button("zoom-out", "Smaller (−)", () => this.zoom(1 / 1.4)), button("zoom-in", "Larger (+)", () => this.zoom(1.4)),
      button("face-id", "Boxes around faces (f)", () => this.faces()), button("x", "Close (Esc)", () => this.dialog.close()));
  }

  show(picture, found, showFaces) {
    if (this.dialog.open && this.picture?.id === picture.id) {
      this.box(found, showFaces);
      return;
    }
    this.picture = picture;
    this.size = this.scale = this.at = null;
    this.pointers.clear();
    this.name.textContent = picture.path;
    this.load(picture);
    this.box(found, showFaces);
    this.listen();
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** A new stage with the picture. What becomes of one that was left meanwhile means nothing. */
  load(picture) {
    const image = h("img", { src: `/api/v1/jobs/${this.job}/pictures/${picture.id}/view?side=2560`, alt: picture.path });
    const holder = h("div", { class: "holder" }, image);
    const stage = h("div", { class: "stage" }, holder);
    this.stage.replaceWith(stage);
    Object.assign(this, { holder, stage });
    image.addEventListener("load", () => { if (this.holder === holder) this.fit(); });
    image.addEventListener("error", () => holder.replaceChildren(h("p", { class: "p-5" }, "This picture cannot be shown: it is damaged, gone, or not what was scanned.")));
  }

  box(found, showFaces) {
    for (const face of this.holder.querySelectorAll(".face")) face.remove();
    if (showFaces && this.picture.width) this.holder.append(...boxes(found, this.picture.width, this.picture.height));
  }

  fit() {
    const image = this.holder.querySelector("img");
    if (!image) return;
    this.at = null;
    this.size = [image.naturalWidth, image.naturalHeight];
    this.least = Math.min(this.stage.clientWidth / this.size[0], this.stage.clientHeight / this.size[1]);
    this.set(Math.min(this.least, 1), null);
  }

  set(scale, around) {
    const view = [this.stage.clientWidth, this.stage.clientHeight];
    const before = this.scale ?? scale;
    this.scale = Math.min(MOST, Math.max(Math.min(this.least, 1), scale));
    const at = around ?? view.map((side) => side / 2);
    const kept = (this.at ?? [0, 0]).map((offset, axis) => at[axis] - ((at[axis] - offset) * this.scale) / before);
    this.at = kept.map((offset, axis) => {
      const space = view[axis] - this.size[axis] * this.scale;
      return space >= 0 ? space / 2 : Math.min(0, Math.max(space, offset));
    });
    this.holder.style.setProperty("--scale", this.scale);
    this.holder.style.transform = `translate(${this.at[0]}px, ${this.at[1]}px) scale(${this.scale})`;
  }

  zoom(by, around = null) {
    if (this.size) this.set(this.scale * by, around);
  }

  /** Where the pointer is on the stage, which begins below the bar. */
  place(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  listen() {
    const stage = this.stage;
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), this.place(event));
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => this.zoom(this.scale > this.least * 1.01 ? 1 / MOST : 3, this.place(event)));
    stage.addEventListener("pointerdown", (event) => {
      stage.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.place(event));
    });
    stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.size) return;
    const now = this.place(event);
    this.pointers.set(event.pointerId, now);
    if (this.pointers.size === 1) {
      this.at = this.at.map((offset, axis) => offset + now[axis] - before[axis]);
      this.set(this.scale, null);
    } else {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
      this.zoom(apart(now) / Math.max(1, apart(before)), other);
    }
  }

  key(event) {
    const acts = {
      "+": () => this.zoom(1.4), "=": () => this.zoom(1.4), "-": () => this.zoom(1 / 1.4), 0: () => this.fit(),
      ArrowLeft: () => this.move(-1), ArrowRight: () => this.move(1), f: () => this.faces(),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  }
}
