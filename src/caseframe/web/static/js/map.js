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
  const said = `${cluster.count.toLocaleString()} ${cluster.count === 1 ? "picture" : "pictures"}`;
  const made = L.marker([cluster.latitude, cluster.longitude], {
    icon: L.divIcon({ html: words, className: "", iconSize: [side, side] }),
    title: said, alt: said, keyboard: true,
  });
  return made.on("click", () => openCluster(cluster));
}

/** All clusters of an area, in parts that are added up; the area is that of whole cells. */
async function clusters(area, zoom, signal) {
  const cells = new Map();
  for (let after; ;) {
    const asked = new URLSearchParams({ bounds: area, zoom, ...(q && { q }), ...(after && { after }) });
    const part = await call(`/api/v1/jobs/${job}/pictures/map?${asked}`, { signal });
    for (const { down, across, count, latitude, longitude } of part.clusters) {
      const one = cells.get(`${down} ${across}`) ?? { count: 0, latitude: 0, longitude: 0 };
      one.latitude += (count * (latitude - one.latitude)) / (one.count + count);
      one.longitude += (count * (longitude - one.longitude)) / (one.count + count);
      one.count += count;
      cells.set(`${down} ${across}`, one);
    }
    after = part.next;
    if (after === null) return { bounds: part.bounds, found: [...cells.values()].sort((one, other) => other.count - one.count) };
  }
}

/** A cluster comes apart where its places do; pictures of one place open in the gallery. */
async function openCluster(cluster) {
  const cell = 360 / 2 ** map.getZoom() / 8;
  const around = [cluster.latitude - cell, cluster.longitude - cell, cluster.latitude + cell, cluster.longitude + cell];
  try {
    const parts = cluster.count === 1 ? [cluster] : (await clusters(around.map((one) => one.toFixed(6)).join(","), 20)).found;
    const box = L.latLngBounds(parts.map((one) => [one.latitude, one.longitude]));
    if (map.getZoom() < map.getMaxZoom() && parts.length > 1) {
      map.fitBounds(box.pad(0.3), { maxZoom: Math.max(map.getZoom() + 1, map.getBoundsZoom(box.pad(0.3))) });
      return;
    }
    const area = [box.getSouth() - 1e-4, box.getWest() - 1e-4, box.getNorth() + 1e-4, box.getEast() + 1e-4];
    location.assign(`/jobs/${job}/gallery?${new URLSearchParams({ ...(q && { q }), area: area.map((one) => one.toFixed(5)).join(",") })}`);
  } catch (error) {
    notice(error.message, "danger");
  }
}

async function draw() {
  aborter.abort();
  aborter = new AbortController();
  try {
    const { found, bounds: counted } = await clusters(bounds(), map.getZoom(), aborter.signal);
    layer.clearLayers();
    for (const cluster of found) marker(cluster).addTo(layer);
    const sum = found.reduce((all, cluster) => all + cluster.count, 0);
    document.getElementById("map-count").textContent = sum
      ? `${sum.toLocaleString()} ${sum === 1 ? "picture" : "pictures"} with a place in this part of the world`
      : "No picture says that it was taken in this part of the world.";
    document.getElementById("in-view").href = `/jobs/${job}/gallery?${new URLSearchParams({ ...(q && { q }), area: counted })}`;
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
