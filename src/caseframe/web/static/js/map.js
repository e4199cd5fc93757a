// All places of a job on one map: clusters that come apart as one zooms in, and lead to the gallery.
import { call, notice } from "./common.js";
import { worldMap } from "./gallery/worldmap.js";

const root = document.getElementById("world");
const { job, leaflet, world, tiles } = root.dataset;
const q = new URLSearchParams(location.search).get("q") ?? "";
const { L, map } = await worldMap(root, { leaflet, world, tiles });
const layer = L.layerGroup().addTo(map);
let aborter = new AbortController();

function bounds() {
  const box = map.getBounds();
  const wide = box.getEast() - box.getWest() >= 360;
  const turn = (degrees) => ((((degrees + 180) % 360) + 360) % 360) - 180;
  const [south, north] = [Math.max(-90, box.getSouth()), Math.min(90, box.getNorth())];
  return [south, wide ? -180 : turn(box.getWest()), north, wide ? 180 : turn(box.getEast())].map((one) => one.toFixed(5)).join(",");
}

function marker(cluster) {
  const side = Math.round(22 + 8 * Math.log10(cluster.count));
  const words = document.createElement("div");
  words.className = "cluster";
  words.style.width = words.style.height = `${side}px`;
  words.textContent = cluster.count.toLocaleString();
  const made = L.marker([cluster.latitude, cluster.longitude], {
    icon: L.divIcon({ html: words, className: "", iconSize: [side, side] }),
    title: `${cluster.count.toLocaleString()} pictures`, alt: `${cluster.count} pictures`, keyboard: true,
  });
  return made.on("click", () => openCluster(cluster));
}

function openCluster(cluster) {
  if (cluster.count > 1 && map.getZoom() < map.getMaxZoom()) {
    map.setView([cluster.latitude, cluster.longitude], Math.min(map.getMaxZoom(), map.getZoom() + 3));
    return;
  }
  const near = 360 / 2 ** (map.getZoom() + 5);
  const area = [cluster.latitude - near, cluster.longitude - near, cluster.latitude + near, cluster.longitude + near].map((one) => one.toFixed(5)).join(",");
  location.assign(`/jobs/${job}/gallery?${new URLSearchParams({ ...(q && { q }), area })}`);
}

async function draw() {
  aborter.abort();
  aborter = new AbortController();
  const asked = new URLSearchParams({ bounds: bounds(), zoom: map.getZoom(), ...(q && { q }) });
  try {
    const found = await call(`/api/v1/jobs/${job}/pictures/map?${asked}`, { signal: aborter.signal });
    layer.clearLayers();
    for (const cluster of found) marker(cluster).addTo(layer);
    const sum = found.reduce((all, cluster) => all + cluster.count, 0);
    document.getElementById("map-count").textContent = sum
      ? `${sum.toLocaleString()} pictures with a place in this part of the world`
      : "No picture says that it was taken in this part of the world.";
    document.getElementById("in-view").href = `/jobs/${job}/gallery?${new URLSearchParams({ ...(q && { q }), area: bounds() })}`;
    return found;
  } catch (error) {
    if (error.name !== "AbortError") notice(error.message, "danger");
    return [];
  }
}

map.setView([25, 10], 2);
const first = await draw();
if (first.length) {
  map.fitBounds(L.latLngBounds(first.map((one) => [one.latitude, one.longitude])).pad(0.2), { maxZoom: 6 });
}
map.on("moveend", draw);
draw();
