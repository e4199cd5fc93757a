// Building pieces of pages without markup in strings: text can never become a tag.
export function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name === "dataset") Object.assign(made.dataset, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

/** Text out of evidence: isolated, so that its writing direction changes nothing around it. */
export function foreign(text) {
  return h("bdi", { class: "foreign" }, String(text));
}

export function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit ? value.toFixed(1) : value.toLocaleString()} ${units[unit]}`;
}

/** `, 12.2 megapixels`; nothing for so few that it would say nothing. */
export function megapixels(pixels) {
  const shown = (pixels / 1e6).toFixed(1).replace(/\.0$/, "");
  return shown === "0" ? "" : `, ${shown} megapixel${shown === "1" ? "" : "s"}`;
}

/** Boxes of faces over an element that holds exactly the picture. */
export function boxes(faces, width, height) {
  return faces.map((face) => {
    const box = h("span", { class: "face", "aria-hidden": "true" });
    box.style.left = `${(100 * face.x) / width}%`;
    box.style.top = `${(100 * face.y) / height}%`;
    box.style.width = `${(100 * face.width) / width}%`;
    box.style.height = `${(100 * face.height) / height}%`;
    return box;
  });
}
