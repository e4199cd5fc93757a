// Bundles the browser libraries of package-lock.json into the Python package, so that no page ever
// needs another host. Our own modules in src/caseframe/web/static are served as they are.
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const modules = path.join(root, "node_modules");
const target = path.join(root, "src/caseframe/web/static/vendor");

// The icons that templates may name; the sprite holds no others.
const ICONS = JSON.parse(await readFile(path.join(root, "ui/icons.json"), "utf8"));

async function copy(from, to) {
  await cp(path.join(modules, from), path.join(target, to), { recursive: true });
}

async function sprite() {
  const symbols = [];
  for (const name of ICONS) {
    const svg = await readFile(path.join(modules, `@tabler/icons/icons/outline/${name}.svg`), "utf8");
    const inner = svg.slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"));
    symbols.push(
      `<symbol id="${name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" ` +
        `stroke-linecap="round" stroke-linejoin="round">${inner.replace(/\s+/g, " ").trim()}</symbol>`,
    );
  }
  await writeFile(
    path.join(target, "icons.svg"),
    `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`,
  );
}

async function licences() {
  const lock = JSON.parse(await readFile(path.join(root, "package-lock.json"), "utf8"));
  const rows = Object.entries(lock.packages)
    .filter(([name, entry]) => name && !entry.dev)
    .map(([name, entry]) => `${name.replace(/^node_modules\//, "")} ${entry.version} (${entry.license})`);
  await writeFile(path.join(target, "LICENSES.txt"), rows.join("\n") + "\n");
}

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
await copy("@tabler/core/dist/css/tabler.min.css", "tabler.min.css");
await copy("@tabler/core/dist/js/tabler.min.js", "tabler.min.js");
await copy("htmx.org/dist/htmx.min.js", "htmx.min.js");
await copy("leaflet/dist/leaflet.css", "leaflet/leaflet.css");
await copy("leaflet/dist/images", "leaflet/images");
await copy("world-atlas/countries-50m.json", "world.json");
await build({
  stdin: {
    contents: 'export * as L from "leaflet"; export { feature } from "topojson-client";',
    resolveDir: root,
  },
  bundle: true,
  minify: true,
  format: "esm",
  legalComments: "inline",
  outfile: path.join(target, "leaflet/leaflet.js"),
  logLevel: "warning",
});
await sprite();
await licences();
