// The page that describes pictures: dropped, chosen or pasted, each sent by itself, two at once.
import { call } from "./common.js";

const AT_ONCE = 2;
const card = document.getElementById("describe");
const drop = document.getElementById("drop");
const input = document.getElementById("files");
const model = document.getElementById("model");
const aboutModel = document.getElementById("about-model");
const allowance = document.getElementById("allowance");
const said = document.getElementById("said");
const answers = document.getElementById("answers");
const list = document.getElementById("list");
const template = document.getElementById("one");
const visitor = "visitor" in card.dataset;
const waiting = [];
let working = 0;
let asked = 0;

const MAKERS = {
  FACTS: "Made from measured facts (FACTS)",
  BLIP: "Written by a captioning model (BLIP)",
  BLIP_QUANTIZED: "Written by a captioning model (BLIP_QUANTIZED)",
};
const ABOUT = {
  FACTS: "FACTS says what was measured and what the file tells: colours, sharpness, faces, time, place, camera. It does not know what things are.",
  BLIP: "A captioning model guesses what a picture shows. It can be wrong.",
  BLIP_QUANTIZED: "A captioning model with smaller numbers: faster, and a little less exact. It can be wrong.",
};

/** One picture on the page, from waiting to described. */
class Picture {
  constructor(file) {
    this.file = file;
    this.row = template.content.firstElementChild.cloneNode(true);
    this.part("name").textContent = file.name || "pasted picture";
    this.preview();
    this.part("copy").addEventListener("click", () => this.copy());
    this.part("again").addEventListener("click", () => this.wait());
    this.bar().parentElement.setAttribute("aria-label", `Progress of ${file.name || "the pasted picture"}`);
    list.append(this.row);
  }

  part(name) { return this.row.querySelector(`[data-part="${name}"]`); }

  bar() { return this.row.querySelector("progress"); }

  preview() {
    const image = this.row.querySelector("img");
    this.address = URL.createObjectURL(this.file);
    image.addEventListener("error", () => {
      image.hidden = true;
      this.row.querySelector(".described-none").hidden = false;
    });
    image.src = this.address;
  }

  show(...parts) {
    for (const name of ["waiting", "text", "maker", "error", "copy", "again"]) {
      this.part(name).hidden = !parts.includes(name);
    }
  }

  progress(percent, words) {
    const bar = this.bar();
    if (percent === null) bar.removeAttribute("value");
    else bar.value = percent;
    if (percent === null) bar.parentElement.removeAttribute("aria-valuenow");
    else bar.parentElement.setAttribute("aria-valuenow", Math.round(percent));
    this.part("state").textContent = words;
  }

  wait() {
    this.progress(0, "waiting");
    this.show("waiting");
    waiting.push(this);
    next();
  }

  send() {
    return new Promise((done) => {
      const form = new FormData();
      if (model.value) form.append("model", model.value);
      form.append("image", this.file, "picture");
      this.request = new XMLHttpRequest();
      this.request.open("POST", "/vision/process-image");
      this.request.setRequestHeader("accept", "application/json");
      this.request.upload.addEventListener("progress", (event) => {
        const percent = event.lengthComputable ? (100 * event.loaded) / event.total : null;
        if (percent !== 100) this.progress(percent, `sending, ${Math.round(percent ?? 0)} %`);
      });
      this.request.upload.addEventListener("load", () => this.progress(null, "being described"));
      this.request.addEventListener("load", () => this.answered());
      this.request.addEventListener("error", () => this.failed("The server cannot be reached."));
      this.request.addEventListener("loadend", done);
      this.request.send(form);
    });
  }

  answered() {
    let answer = {};
    try { answer = JSON.parse(this.request.responseText); } catch { /* a proxy's own page */ }
    refreshAllowance();
    if (this.request.status === 200 && answer.description) {
      this.described(answer);
      return;
    }
    this.failed(answer.error?.message ?? `The server answered ${this.request.status}.`);
    // Of these the picture itself is the reason: it would be the same again.
    if ([400, 413, 422].includes(this.request.status)) this.part("again").hidden = true;
  }

  described(answer) {
    this.part("text").textContent = answer.description;
    this.part("maker").textContent = MAKERS[answer.model] ?? answer.model;
    this.row.dataset.model = answer.model;
    this.show("text", "maker", "copy");
  }

  failed(words) {
    this.part("error").querySelector("bdi").textContent = words;
    this.show("error", "again");
  }

  async copy() {
    const button = this.part("copy");
    try {
      await navigator.clipboard.writeText(this.part("text").textContent);
      button.lastChild.textContent = " Copied";
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(this.part("text"));
      button.lastChild.textContent = " Selected: copy it with the keyboard";
    }
  }

  remove() {
    this.request?.abort();
    URL.revokeObjectURL(this.address);
    this.row.remove();
  }
}

const pictures = new Set();

function add(files) {
  for (const file of files) {
    const picture = new Picture(file);
    pictures.add(picture);
    if (file.size > Number(card.dataset.most)) {
      picture.failed(`This file is larger than ${card.dataset.mostWords}.`);
      picture.part("again").hidden = true;
    } else {
      picture.wait();
    }
  }
  answers.hidden = pictures.size === 0;
}

async function next() {
  while (working < AT_ONCE && waiting.length) {
    const picture = waiting.shift();
    working += 1;
    picture.send().finally(() => {
      working -= 1;
      if (!working && !waiting.length) tellEnd();
      next();
    });
  }
}

function tellEnd() {
  const failed = list.querySelectorAll('[data-part="error"]:not([hidden])').length;
  const all = pictures.size;
  said.textContent = `${all - failed} of ${all} ${all === 1 ? "picture" : "pictures"} described.`;
}

function showAllowance(now) {
  if (!now) return;
  const signIn = document.createElement("a");
  signIn.href = "/sign-in?next=%2Fdescribe";
  signIn.textContent = "Sign in";
  let words = `${now.left} of ${now.limit} descriptions left this hour. `;
  if (!now.limit) words = "Only people with an account get descriptions here. ";
  else if (!now.left && now.wait) words = `The next description without an account is free in ${Math.ceil(now.wait / 60)} min. `;
  allowance.replaceChildren(words, signIn, now.limit ? " for as many as you like." : ".");
}

// Answers to pictures sent at once come in any order, so what is left is asked for after each, and
// only the answer to the newest question counts.
async function refreshAllowance() {
  if (!visitor) return;
  const mine = ++asked;
  try {
    const now = (await call("/api/v1/models")).allowance;
    if (mine === asked) showAllowance(now);
  } catch { /* what it said before stays */ }
}

async function askModels() {
  try {
    const found = await call("/api/v1/models");
    model.replaceChildren(...found.models.map((one) => {
      const option = document.createElement("option");
      const full = one.model && one.name !== "FACTS" ? ` (${one.model})` : "";
      option.value = one.name;
      option.disabled = !one.available;
      option.textContent = one.available ? `${one.name}${full}` : `${one.name}: ${one.reason}`;
      option.selected = one.available && one.name === found.default;
      return option;
    }));
    model.disabled = false;
    showAllowance(found.allowance);
  } catch (error) {
    model.replaceChildren(new Option("the server's choice", ""));
    aboutModel.textContent = error.message;
    return;
  }
  explain();
}

function explain() {
  aboutModel.textContent = ABOUT[model.value] ?? "";
}

function isFiles(event) {
  return [...(event.dataTransfer?.types ?? [])].includes("Files");
}

for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    drop.classList.add("dropzone-over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (kind === "drop" || !event.relatedTarget) drop.classList.remove("dropzone-over");
  });
}
document.addEventListener("drop", (event) => {
  if (!isFiles(event)) return;
  event.preventDefault();
  add(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) add(event.clipboardData.files);
});
input.addEventListener("change", () => {
  add(input.files);
  input.value = "";
});
model.addEventListener("change", explain);
document.getElementById("clear").addEventListener("click", () => {
  waiting.length = 0;
  for (const picture of pictures) picture.remove();
  pictures.clear();
  answers.hidden = true;
  input.focus();
});
askModels();
