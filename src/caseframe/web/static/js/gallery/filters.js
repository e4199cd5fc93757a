// Menus and chips that write into the search, so that there is one language for all of it.
import { call } from "../common.js";
import { h } from "./dom.js";

const TERM = /-?(?:[a-z0-9]+:)?(?:"[^"]*"?|\S+)/gi;
const ONLY = /^(is:duplicate|has:problem|has:place)$/;

/** The parts of a search that can be taken away one by one; terms with OR between are one. */
export function terms(q) {
  const found = [];
  let joined = false;
  for (const term of q.match(TERM) ?? []) {
    if (term === "OR" || joined) found.push(`${found.pop() ?? ""} ${term}`.trim());
    else found.push(term);
    joined = term === "OR";
  }
  return found;
}

function field(term) {
  return /^([a-z0-9]+):/i.exec(term)?.[1].toLowerCase() ?? null;
}

function quoted(value) {
  return /^[\p{L}\p{N}>.<-]+$/u.test(value) ? value : `"${value.replaceAll('"', " ")}"`;
}

export class Filters {
  constructor(job, state) {
    this.job = job;
    this.state = state;
    this.form = document.getElementById("filter-form");
    this.chips = document.getElementById("chips");
    this.form.addEventListener("change", (event) => this.apply(event.target));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("filter-button").addEventListener("click", () => this.load(), { once: true });
  }

  async load() {
    const known = await call(`/api/v1/jobs/${this.job}/pictures/facets`);
    const fill = (name, values) => {
      const select = this.form.querySelector(`[data-field=${name}]`);
      select.append(...values.map(({ value, count }) => h("option", { value }, `${value} (${count.toLocaleString()})`)));
    };
    fill("camera", known.cameras);
    fill("format", known.formats);
    fill("place", [...known.countries, ...known.towns.map(({ town, count }) => ({ value: town, count }))]);
    this.show();
  }

  /** Write one menu into the search, in place of what was there of its kind; the rest stays. */
  apply(menu) {
    const name = menu.dataset.field ?? "date";
    const kept = terms(this.state.q).filter((term) => (name === "only" ? !ONLY.test(term) : field(term) !== name));
    const [from, until] = ["from", "until"].map((id) => document.getElementById(id).value);
    if (name === "date") this.bound();
    if (name === "date" && !menu.reportValidity()) return;
    if (name === "date") kept.push(from || until ? `date:${from}..${until}` : "");
    else if (menu.value) kept.push(name === "only" ? menu.value : `${name}:${quoted(menu.value)}`);
    this.state.set({ q: kept.filter(Boolean).join(" "), picture: null });
  }

  /** Neither of the two days lets the other pass it. */
  bound() {
    const [from, until] = ["from", "until"].map((id) => document.getElementById(id));
    from.max = until.value;
    until.min = from.value;
  }

  /** Menus and chips as the search says. */
  show() {
    const found = terms(this.state.q);
    for (const select of this.form.querySelectorAll("select")) {
      const name = select.dataset.field;
      const term = found.find((one) => (name === "only" ? [...select.options].some((o) => o.value === one) : field(one) === name));
      const value = name === "only" ? term ?? "" : (term ?? "").replace(/^[a-z]+:"?|"$/gi, "");
      select.value = [...select.options].some((option) => option.value === value) ? value : "";
    }
    const date = /^date:(\d{4}-\d\d-\d\d)?\.\.(\d{4}-\d\d-\d\d)?$/.exec(found.find((one) => field(one) === "date") ?? "");
    document.getElementById("from").value = date?.[1] ?? "";
    document.getElementById("until").value = date?.[2] ?? "";
    this.bound();
    const chips = found.map((term, index) => this.chip(term, () =>
      this.state.set({ q: found.filter((_, other) => other !== index).join(" "), picture: null })));
    if (this.state.area) chips.push(this.chip("on this part of the map", () => this.state.set({ area: "" })));
    this.chips.replaceChildren(...chips);
  }

  chip(words, away) {
    const close = h("button", { type: "button", "aria-label": `Take away ${words}`, onclick: away }, "×");
    return h("span", { class: "chip" }, h("bdi", {}, words), close);
  }
}
