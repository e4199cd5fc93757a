// Selecting dead letters; everything else on their page works without scripts.
const form = document.getElementById("letters");
const all = document.getElementById("all");
const boxes = [...(form?.querySelectorAll("input[name=id]") ?? [])];

function update() {
  const count = boxes.filter((one) => one.checked).length;
  for (const button of form.querySelectorAll("[data-needs-choice]")) button.disabled = count === 0;
  all.checked = count === boxes.length;
  all.indeterminate = count > 0 && count < boxes.length;
}

if (form) {
  all.hidden = false;
  form.addEventListener("change", (event) => {
    if (event.target === all) for (const one of boxes) one.checked = all.checked;
    update();
  });
  update();
}
