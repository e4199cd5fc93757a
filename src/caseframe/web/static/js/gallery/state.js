// What the gallery shows is all in the address: search, order, picture, boxes. Back works; links work.
const KEYS = ["q", "sort", "picture", "faces", "area"];

export class State extends EventTarget {
  constructor() {
    super();
    this.read();
    addEventListener("popstate", () => {
      const { search, picture, faces } = this;
      this.read();
      this.tell(search !== this.search, { picture: picture !== this.picture, faces: faces !== this.faces });
    });
  }

  read() {
    const given = new URLSearchParams(location.search);
    this.q = given.get("q") ?? "";
    this.sort = given.get("sort") ?? "path";
    this.area = given.get("area") ?? "";
    this.picture = Number(given.get("picture")) || null;
    this.faces = given.get("faces") === "1";
  }

  /** The part that decides which pictures there are and in which order. */
  get search() {
    return JSON.stringify([this.q, this.sort, this.area]);
  }

  /** Parameters of the interface for the present search. */
  parameters(more = {}) {
    const all = { q: this.q, sort: this.sort, area: this.area, ...more };
    return new URLSearchParams(Object.entries(all).filter(([, value]) => value !== "" && value !== undefined));
  }

  /** Change something; a search, and the panes that open, are steps back in the browser's history. */
  set(changes) {
    const before = this.search;
    const opens = Boolean(changes.picture) && !this.picture;
    Object.assign(this, changes);
    const address = new URLSearchParams();
    for (const key of KEYS) {
      const value = key === "faces" ? (this.faces ? "1" : "") : this[key];
      if (value && !(key === "sort" && value === "path")) address.set(key, value);
    }
    const url = `${location.pathname}${address.size ? `?${address}` : ""}`;
    const step = opens || before !== this.search;
    history[step ? "pushState" : "replaceState"](null, "", url);
    this.tell(before !== this.search);
  }

  /** `moved` says what else is different since somebody went back or forth. */
  tell(search, moved = {}) {
    this.dispatchEvent(new CustomEvent("change", { detail: { search, ...moved } }));
  }
}
