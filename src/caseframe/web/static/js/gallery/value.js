// Any value in JSON as something to read: what a stage of another maker found can have any shape.
import { foreign, h } from "./dom.js";

const LONGEST = 300; // characters of a text that are shown at once
const MOST = 50; // members of a list or an object that are shown at once
const OPEN = 2; // levels that are open; what lies deeper is made when it is opened

/** The value as an element: text, a table of names and values, a list, or a table of rows. */
export function valueTree(value, depth = 0) {
  if (value === null) return h("span", { class: "text-secondary" }, "none");
  if (typeof value === "string") return text(value);
  if (typeof value !== "object") return h("span", { class: "scalar" }, String(value));
  const members = Array.isArray(value) ? value.length : Object.keys(value).length;
  if (!members) return h("span", { class: "text-secondary" }, "empty");
  if (depth >= OPEN) return folded(value, members, depth);
  return Array.isArray(value) ? list(value, depth) : object(value, depth);
}

function text(words) {
  if (words.length <= LONGEST) return words ? foreign(words) : h("span", { class: "text-secondary" }, "empty");
  const part = foreign(`${[...words.slice(0, LONGEST)].slice(0, -1).join("")}…`);
  const button = h("button", { class: "btn btn-sm mt-1", type: "button" }, `Show all ${words.length.toLocaleString()} characters`);
  const box = h("div", {}, part, h("div", {}, button));
  button.addEventListener("click", () => box.replaceChildren(foreign(words)));
  return box;
}

function folded(value, members, depth) {
  const what = Array.isArray(value) ? (members === 1 ? "1 entry" : `${members.toLocaleString()} entries`)
    : members === 1 ? "1 value" : `${members.toLocaleString()} values`;
  const box = h("details", { class: "folded" }, h("summary", {}, what));
  const fill = () => box.append(Array.isArray(value) ? list(value, depth) : object(value, depth));
  box.addEventListener("toggle", fill, { once: true });
  return box;
}

/** The first members, and a button for the rest. */
function some(members, make, into, rest) {
  into.append(...members.slice(0, MOST).map(make));
  if (members.length <= MOST) return;
  const button = h("button", { class: "btn btn-sm my-1", type: "button" }, `Show all ${members.length.toLocaleString()}`);
  const more = rest(button);
  into.append(more);
  button.addEventListener("click", () => more.replaceWith(...members.slice(MOST).map(make)));
}

function object(value, depth) {
  const body = h("tbody");
  const row = ([name, part]) => h("tr", {}, h("th", { scope: "row" }, foreign(name)), h("td", {}, valueTree(part, depth + 1)));
  some(Object.entries(value), row, body, (button) => h("tr", {}, h("td", { colspan: 2 }, button)));
  return h("table", { class: "table table-sm value" }, body);
}

function list(values, depth) {
  const names = columns(values);
  if (names) return rows(values, names, depth);
  const box = h("ul", { class: "value" });
  some(values, (one) => h("li", {}, valueTree(one, depth + 1)), box, (button) => h("li", { class: "more" }, button));
  return box;
}

/** The names that are columns where all entries are alike and flat, else null. */
function columns(values) {
  if (!values.every((one) => one && typeof one === "object" && !Array.isArray(one))) return null;
  const names = [...new Set(values.flatMap((one) => Object.keys(one)))];
  const flat = values.every((one) => Object.values(one).every((part) => part === null || typeof part !== "object"));
  return flat && names.length && names.length <= 4 ? names : null;
}

function rows(values, names, depth) {
  const head = h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, foreign(name)))));
  const body = h("tbody");
  const row = (one) => h("tr", {}, names.map((name) => h("td", {}, name in one ? valueTree(one[name], depth + 1) : "")));
  some(values, row, body, (button) => h("tr", {}, h("td", { colspan: names.length }, button)));
  return h("div", { class: "table-responsive" }, h("table", { class: "table table-sm value" }, head, body));
}
