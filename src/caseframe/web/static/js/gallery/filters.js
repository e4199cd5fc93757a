// Menus and chips that write into the search, so that there is one language for all of it.
import { call } from "../common.js";
import { h } from "./dom.js";

const TERM = /-?(?:[a-z0-9]+:)?(?:"[^"]*"?|\S+)/gi;

export function terms(q) {
  return q.match(TERM) ?? [];
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
    this.form.addEventListener("change", () => this.apply());
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

  apply() {
    const kept = terms(this.state.q).filter((term) =>
      !["camera", "place", "format", "faces", "date"].includes(field(term)) && !/^(is:duplicate|has:problem|has:place)$/.test(term));
    for (const select of this.form.querySelectorAll("select")) {
      if (!select.value) continue;
      const name = select.dataset.field;
      kept.push(name === "only" ? select.value : `${name}:${quoted(select.value)}`);
    }
    const [from, until] = ["from", "until"].map((id) => document.getElementById(id).value);
    if (from || until) kept.push(`date:${from}..${until}`);
    this.state.set({ q: kept.join(" ") });
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
    const chips = found.map((term, index) => this.chip(term, () =>
      this.state.set({ q: found.filter((_, other) => other !== index).join(" ") })));
    if (this.state.area) chips.push(this.chip("on this part of the map", () => this.state.set({ area: "" })));
    this.chips.replaceChildren(...chips);
  }

  chip(words, away) {
    const close = h("button", { type: "button", "aria-label": `Take away ${words}`, onclick: away }, "×");
    return h("span", { class: "chip" }, h("bdi", {}, words), close);
  }
}
