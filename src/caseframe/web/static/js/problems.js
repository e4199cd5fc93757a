// Selecting problems and trying them again.
import { call, notice } from "./common.js";

const box = document.getElementById("problems");
const retry = document.getElementById("retry");
const boxes = [...(box?.querySelectorAll("input[data-image]") ?? [])];
const all = document.getElementById("all");

function selected() {
  return boxes.filter((one) => one.checked);
}

function update() {
  if (retry) retry.disabled = selected().length === 0;
  if (all) all.checked = boxes.length > 0 && selected().length === boxes.length;
}

box?.addEventListener("change", (event) => {
  if (event.target === all) for (const one of boxes) one.checked = all.checked;
  update();
});

retry?.addEventListener("click", async () => {
  const byStage = new Map();
  for (const one of selected()) {
    const { stage, image } = one.dataset;
    byStage.set(stage, [...(byStage.get(stage) ?? []), Number(image)]);
  }
  try {
    for (const [stage, images] of byStage) {
      await call(`/api/v1/jobs/${box.dataset.job}/problems/retry`, { method: "POST", body: { stage, images } });
    }
    location.assign(`/jobs/${box.dataset.job}`);
  } catch (error) {
    notice(error.message, "danger");
  }
});
update();
