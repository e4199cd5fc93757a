// The pictures by number, fetched in blocks as they come into sight. Places to jump to (landmarks)
// come in the background; until then blocks are reached one after the other.
import { call } from "../common.js";

const BLOCK = 200; // as web/gallery.py has it, so that landmarks are reckoned once
const KEPT = 60;
const PAUSE = 60; // ms within which rows that are only scrolled past are not asked for

export class Source extends EventTarget {
  constructor(job, state) {
    super();
    this.base = `/api/v1/jobs/${job}/pictures`;
    this.state = state;
    this.reset();
  }

  reset() {
    this.aborter?.abort();
    for (const asked of this.asked?.values() ?? []) asked.abort();
    this.aborter = new AbortController();
    this.total = 0;
    this.exact = true;
    this.marking = false;
    this.blocks = new Map();
    this.cursors = [];
    this.asked = new Map();
    this.wanted = null;
  }

  /** Begin anew with the present search; rejects with what is wrong with it. */
  async load() {
    this.reset();
    const signal = this.aborter.signal;
    const page = await this.fetch({ limit: BLOCK }, signal);
    this.keep(0, page);
    this.total = page.pictures.length;
    if (!page.next) return;
    this.exact = false;
    this.marking = true;
    this.count(signal);
    this.mark(signal);
  }

  fetch(more, signal) {
    return call(`${this.base}?${this.state.parameters(more)}`, { signal });
  }

  /** How many pictures the search fits now, counted up to some thousands. */
  async present(signal = this.aborter.signal) {
    return call(`${this.base}/count?${this.state.parameters({ sort: "" })}`, { signal });
  }

  async count(signal) {
    try {
      const { number, exact } = await this.present(signal);
      if (!this.exact) this.counted(Math.max(number, this.total), exact);
    } catch { /* the landmarks bring the number too, or say what is wrong */ }
  }

  async mark(signal) {
    try {
      const known = await call(`${this.base}/landmarks?${this.state.parameters({ every: BLOCK })}`, { signal });
      this.cursors = known.cursors;
      this.marking = false;
      this.counted(known.total, true);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.marking = false;
      this.trouble(error);
    }
  }

  counted(total, exact) {
    this.total = total;
    this.exact = exact;
    this.dispatchEvent(new Event("counted"));
  }

  trouble(error) {
    if (error.name !== "AbortError") this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
  }

  keep(number, page) {
    this.blocks.delete(number);
    this.blocks.set(number, page.pictures);
    if (page.next && !this.cursors[number]) this.cursors[number] = page.next;
    while (this.blocks.size > KEPT) this.blocks.delete(this.blocks.keys().next().value);
  }

  /** The picture of that number, or undefined while it is not here. */
  at(index) {
    return index < 0 ? undefined : this.blocks.get(Math.floor(index / BLOCK))?.[index % BLOCK];
  }

  /** See to it that these numbers come; tells "arrived" when something has. */
  want(first, last) {
    this.wanted = [first, last];
    this.timer ??= setTimeout(() => { this.timer = null; this.ask(); }, PAUSE);
  }

  /** Ask for what is in sight now, and no longer for what is not. */
  ask() {
    if (!this.wanted || !this.total) return;
    const [from, to] = this.wanted.map((index) => Math.floor(Math.min(Math.max(0, index), this.total - 1) / BLOCK));
    for (const [block, aborter] of this.asked) {
      if (block < from || block > to) { aborter.abort(); this.asked.delete(block); }
    }
    for (let block = from; block <= to; block += 1) {
      const next = this.reachable(block);
      if (next !== null && !this.blocks.has(next) && !this.asked.has(next)) this.bring(next);
    }
  }

  /** The block itself, or the nearest one on the way to it if no landmarks will come. */
  reachable(block) {
    if (block === 0 || this.cursors[block - 1]) return block;
    return this.marking ? null : this.cursors.length;
  }

  async bring(block) {
    const aborter = new AbortController();
    this.asked.set(block, aborter);
    try {
      const page = await this.fetch({ after: block ? this.cursors[block - 1] : undefined, limit: BLOCK }, aborter.signal);
      this.asked.delete(block);
      this.keep(block, page);
      this.dispatchEvent(new Event("arrived"));
    } catch (error) {
      if (this.asked.get(block) === aborter) this.asked.delete(block);
      this.trouble(error);
    }
  }

  /** The number of a picture in the present order, null when the search does not fit it. */
  async position(id) {
    const found = await call(`${this.base}/${id}/position?${this.state.parameters()}`, { signal: this.aborter.signal });
    return found.position;
  }
}
