// The pictures by number, fetched in blocks as they come into sight. Places to jump to (landmarks)
// come in the background; until then blocks are reached one after the other.
import { call } from "../common.js";

const BLOCK = 200;
const KEPT = 60;

export class Source extends EventTarget {
  constructor(job, state) {
    super();
    this.base = `/api/v1/jobs/${job}/pictures`;
    this.state = state;
    this.reset();
  }

  reset() {
    this.aborter?.abort();
    this.aborter = new AbortController();
    this.total = 0;
    this.exact = true;
    this.blocks = new Map();
    this.cursors = [];
    this.asked = new Set();
  }

  /** Begin anew with the present search; rejects with what is wrong with it. */
  async load() {
    this.reset();
    const signal = this.aborter.signal;
    const [page, count] = await Promise.all([
      this.fetch({ limit: BLOCK }, signal),
      call(`${this.base}/count?${this.state.parameters({ sort: "", most: 100000 })}`, { signal }),
    ]);
    if (signal.aborted) return;
    this.keep(0, page);
    this.total = Math.max(count.number, page.pictures.length);
    this.exact = count.exact;
    if (page.next) this.mark(signal);
  }

  fetch(more, signal) {
    return call(`${this.base}?${this.state.parameters(more)}`, { signal });
  }

  async mark(signal) {
    try {
      const known = await call(`${this.base}/landmarks?${this.state.parameters({ every: BLOCK })}`, { signal });
      if (signal.aborted) return;
      this.cursors = known.cursors;
      this.total = known.total;
      this.exact = true;
      this.asked.clear();
      this.dispatchEvent(new Event("counted"));
    } catch (error) {
      if (error.name !== "AbortError") this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
    }
  }

  keep(number, page) {
    this.blocks.delete(number);
    this.blocks.set(number, page.pictures);
    if (page.next && !this.cursors[number]) this.cursors[number] = page.next;
    while (this.blocks.size > KEPT) this.blocks.delete(this.blocks.keys().next().value);
  }

  /** The picture of that number, or undefined while it is not here. */
  at(index) {
    return this.blocks.get(Math.floor(index / BLOCK))?.[index % BLOCK];
  }

  /** See to it that these numbers come; tells "arrived" when something has. */
  want(first, last) {
    for (let block = Math.floor(first / BLOCK); block <= Math.floor(last / BLOCK); block += 1) {
      if (block < 0 || block * BLOCK >= this.total || this.blocks.has(block) || this.asked.has(block)) continue;
      this.bring(block);
    }
  }

  async bring(block) {
    const after = block ? this.cursors[block - 1] : undefined;
    if (block && !after) return; // not reachable yet: the landmarks are on their way
    const signal = this.aborter.signal;
    this.asked.add(block);
    try {
      const page = await this.fetch({ after, limit: BLOCK }, signal);
      if (signal.aborted) return;
      this.keep(block, page);
      this.dispatchEvent(new Event("arrived"));
    } catch (error) {
      if (error.name !== "AbortError") this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
    } finally {
      this.asked.delete(block);
    }
  }

  /** The number of a picture in the present order, null when the search does not fit it. */
  async position(id) {
    const found = await call(`${this.base}/${id}/position?${this.state.parameters()}`, { signal: this.aborter.signal });
    return found.position;
  }
}
