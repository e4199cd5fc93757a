// Maps from the bundled outlines of countries: no place that is looked at leaves this machine,
// unless an administrator configured a tile server.

/** A ring without jumps at the 180th meridian; one around a pole is closed along that pole. */
function unwrapped(ring) {
  let turn = 0;
  const made = ring.map(([longitude, latitude], index) => {
    const before = index ? ring[index - 1][0] : longitude;
    if (longitude - before > 180) turn -= 360;
    else if (before - longitude > 180) turn += 360;
    return [longitude + turn, latitude];
  });
  if (turn) {
    const pole = ring[0][1] < 0 ? -90 : 90;
    made.push([made.at(-1)[0], pole], [made[0][0], pole]);
  }
  return made;
}

/** Outlines as Leaflet draws them: the world three times, so that one can go round it. */
function drawable(outlines) {
  const polygons = outlines.features.flatMap(({ geometry }) =>
    (geometry?.type === "MultiPolygon" ? geometry.coordinates : geometry ? [geometry.coordinates] : []));
  const coordinates = polygons.flatMap((rings) => {
    const made = rings.map(unwrapped);
    return [-360, 0, 360].map((turn) => made.map((ring) => ring.map(([longitude, latitude]) => [longitude + turn, latitude])));
  });
  return { type: "MultiPolygon", coordinates };
}

export async function worldMap(element, { leaflet, world, tiles }, options = {}) {
  const { L, feature } = await import(leaflet);
  const map = L.map(element, { worldCopyJump: true, minZoom: 1, maxZoom: tiles ? 18 : 12, preferCanvas: true, attributionControl: Boolean(tiles), ...options });
  if (tiles) {
    L.tileLayer(tiles).addTo(map);
  } else {
    const outlines = await (await fetch(world)).json();
    const dark = document.documentElement.dataset.bsTheme === "dark";
    const style = { color: dark ? "#5b6b80" : "#9aa8ba", weight: 1, fillColor: dark ? "#2b3648" : "#e6ebf1", fillOpacity: 1 };
    L.geoJSON(drawable(feature(outlines, outlines.objects.countries)), { style, interactive: false, renderer: L.canvas({ padding: 0.5 }) }).addTo(map);
  }
  return { L, map };
}
