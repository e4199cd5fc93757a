// The form for a new job: browsing the sources root, and making the job through the REST interface.
import { call, icon, notice, noticeThere } from "./common.js";

const form = document.getElementById("new-job");
const folders = document.getElementById("folders");
const trail = document.getElementById("trail");
const source = document.getElementById("source");
const name = document.getElementById("name");
let named = "";

function link(words, path, current = false) {
  const item = document.createElement("li");
  item.className = `breadcrumb-item${current ? " active" : ""}`;
  if (current) {
    item.setAttribute("aria-current", "location");
    item.textContent = words;
    return item;
  }
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-link p-0";
  button.textContent = words;
  button.addEventListener("click", () => open(path, words));
  item.append(button);
  return item;
}

function showTrail(path) {
  const parts = path ? path.split("/") : [];
  const items = [link("Sources", "", parts.length === 0)];
  parts.forEach((part, index) => {
    let words = part;
    try { words = decodeURIComponent(part); } catch { /* a name that is no valid text stays encoded */ }
    items.push(link(words, parts.slice(0, index + 1).join("/"), index === parts.length - 1));
  });
  trail.replaceChildren(...items);
}

function none() {
  const row = document.createElement("div");
  row.className = "list-group-item text-secondary";
  row.textContent = "No folders below this one";
  return row;
}

function inside({ files, folders: below, more }) {
  if (!files && !below.length && !more) return "This folder is empty.";
  const counted = (count, one) => `${count.toLocaleString()} ${count === 1 ? one : `${one}s`}`;
  const many = more ? "more than 5,000 entries" : counted(files, "file");
  return `This folder holds ${many} and ${counted(below.length, "folder")}. All of it will be looked through.`;
}

async function open(path, words = "") {
  try {
    const listing = await call(`/api/v1/sources?path=${encodeURIComponent(path)}`);
    source.value = path;
    showTrail(path);
    folders.replaceChildren(...listing.folders.map((folder) => {
      const row = document.createElement("button");
      row.type = "button";
      row.className = "list-group-item list-group-item-action";
      const text = document.createElement("bdi");
      text.textContent = folder.name;
      row.append(icon("folder"), " ", text);
      row.addEventListener("click", () => open(folder.path, folder.name));
      return row;
    }));
    if (!listing.folders.length && !listing.more) folders.append(none());
    document.getElementById("inside").textContent = inside(listing);
    if (!name.value || name.value === named) name.value = named = words;
  } catch (error) {
    notice(error.message, "danger");
  }
}

function setBusy(busy) {
  for (const button of form.querySelectorAll("[type=submit]")) button.disabled = busy;
}

/** Once the job is made its page is where to go on: a second try from here would make a second job. */
async function start(job) {
  try {
    await call(`/api/v1/jobs/${job.id}/start`, { method: "POST" });
  } catch (error) {
    noticeThere(`The job is made, but not started. ${error.message}`, "danger");
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const focused = document.activeElement;
  const data = new FormData(form);
  const body = {
    name: data.get("name"), description: data.get("description"), source: source.value,
    stages: data.getAll("stages"),
  };
  setBusy(true);
  try {
    const job = await call("/api/v1/jobs", { method: "POST", body });
    if (event.submitter?.value === "start") await start(job);
    location.assign(`/jobs/${job.id}`);
  } catch (error) {
    notice(error.message, "danger");
    setBusy(false);
    focused.focus();
  }
});
addEventListener("pageshow", (event) => { if (event.persisted) setBusy(false); });

open("");
