// A map of documents on a canvas: each a point, near ones alike, clusters in colours with their labels.

const COLOURS = ["#4263eb", "#e8590c", "#2b8a3e", "#c2255c", "#0b7285", "#9c36b5", "#8a6d00", "#364fc7", "#d9480f", "#087f5b", "#862e9c", "#5c940d"];
const OTHER = "#868e96", MARGIN = 40, MAX_ZOOM = 60;

/** Draw `data` (clusters with label and documents, others) into `root`; `open` is called with a document's path. */
export function drawMap(root, data, open = null) {
  const points = [
    ...data.clusters.flatMap((cluster, n) => cluster.documents.map((one) => ({ ...one, cluster: n, colour: COLOURS[n % COLOURS.length] }))),
    ...data.others.map((one) => ({ ...one, cluster: -1, colour: OTHER })),
  ];
  const element = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });
  const bar = element("div", "map-bar"), field = Object.assign(element("input", "map-search"), { type: "search", placeholder: "Find a document" });
  field.setAttribute("aria-label", "Find a document on the map");
  const said = element("span", "map-said");
  said.setAttribute("role", "status");
  const button = (label, text, act) => { const one = Object.assign(element("button", "map-button", text), { type: "button", title: label, onclick: act }); one.setAttribute("aria-label", label); return one; };
  const canvas = element("canvas", "map-canvas"), tip = element("div", "map-tip"), legend = element("ul", "map-legend");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Map of ${points.length} documents in ${data.clusters.length} clusters, which are listed below`);
  tip.hidden = true;
  bar.append(field, said, button("Zoom in", "+", () => zoom(1.5)), button("Zoom out", "−", () => zoom(1 / 1.5)), button("Show all", "Reset", () => { view = { x: 0.5, y: 0.5, k: 1 }; draw(); }));
  root.replaceChildren(bar, canvas, tip, legend);

  let view = { x: 0.5, y: 0.5, k: 1 }, chosen = null, hovered = null, found = null;
  const style = getComputedStyle(root), context = canvas.getContext("2d");
  const size = () => [canvas.clientWidth, canvas.clientHeight];
  const scale = () => { const [w, h] = size(); return [(w - 2 * MARGIN) * view.k, (h - 2 * MARGIN) * view.k]; };
  const at = (point) => { const [w, h] = size(), [sx, sy] = scale(); return [w / 2 + (point.x - view.x) * sx, h / 2 + (point.y - view.y) * sy]; };

  function draw() {
    const [w, h] = size(), ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) [canvas.width, canvas.height] = [Math.round(w * ratio), Math.round(h * ratio)];
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, w, h);
    const radius = Math.max(2.5, Math.min(7, 90 / Math.sqrt(points.length + 1))) * Math.min(2, Math.sqrt(view.k));
    for (const point of points) {
      const [x, y] = at(point);
      if (x < -9 || y < -9 || x > w + 9 || y > h + 9) continue;
      const isFaint = (found && !found.has(point)) || (chosen !== null && point.cluster !== chosen);
      context.globalAlpha = isFaint ? 0.12 : 0.85;
      context.fillStyle = point.colour;
      context.beginPath();
      context.arc(x, y, point === hovered ? radius + 3 : radius, 0, 7);
      context.fill();
    }
    context.globalAlpha = 1;
    const placed = [];
    context.font = "600 13px system-ui, sans-serif";
    context.textAlign = "center";
    context.lineWidth = 4;
    context.strokeStyle = style.getPropertyValue("--paper") || "#fff";
    data.clusters.forEach((cluster, n) => {
      if (chosen !== null && n !== chosen) return;
      const xs = cluster.documents.map(at), x = median(xs.map((one) => one[0])), y = median(xs.map((one) => one[1])) - radius - 8;
      const half = context.measureText(cluster.label).width / 2, cx = Math.min(Math.max(x, half + 4), w - half - 4);
      if (x < 0 || x > w || y < 14 || y > h || placed.some(([px, py, ph]) => Math.abs(py - y) < 18 && Math.abs(px - cx) < ph + half + 8)) return;
      placed.push([cx, y, half]);
      context.strokeText(cluster.label, cx, y);
      context.fillStyle = style.getPropertyValue("--ink") || "#111";
      context.fillText(cluster.label, cx, y);
    });
  }
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

  function zoom(factor, px = size()[0] / 2, py = size()[1] / 2) {
    const [w, h] = size(), [sx, sy] = scale();
    const x = view.x + (px - w / 2) / sx, y = view.y + (py - h / 2) / sy;
    const k = Math.min(Math.max(view.k * factor, 0.8), MAX_ZOOM);
    view = { x: x - ((px - w / 2) / sx) * (view.k / k), y: y - ((py - h / 2) / sy) * (view.k / k), k };
    draw();
  }

  function near(event) {
    const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
    let best = null, least = 14 ** 2;
    for (const point of points) { const [x, y] = at(point), d = (x - px) ** 2 + (y - py) ** 2; if (d < least) [best, least] = [point, d]; }
    return best;
  }

  function hover(point) {
    hovered = point;
    tip.hidden = !point;
    canvas.style.cursor = point && open ? "pointer" : "grab";
    if (point) {
      const [x, y] = at(point);
      const name = element("b", "", point.title || point.path.split("/").at(-1));
      tip.replaceChildren(name, element("span", "", point.path), element("span", "", point.cluster < 0 ? "in no cluster" : data.clusters[point.cluster].label));
      Object.assign(tip.style, { left: `${Math.min(Math.max(x - 120, 4), canvas.clientWidth - 250)}px`, top: `${canvas.offsetTop + (y > canvas.clientHeight - 110 ? y - 100 : y + 14)}px` });
    }
    draw();
  }

  let drag = null, moved = 0;
  const fingers = new Map();
  canvas.addEventListener("pointerdown", (event) => { fingers.set(event.pointerId, event); drag = event; moved = 0; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (fingers.size === 2 && fingers.has(event.pointerId)) {
      const [a, b] = [...fingers.values()], before = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      fingers.set(event.pointerId, event);
      const [c, d] = [...fingers.values()], box = canvas.getBoundingClientRect();
      moved = 99;
      return zoom(Math.hypot(c.clientX - d.clientX, c.clientY - d.clientY) / before, (c.clientX + d.clientX) / 2 - box.left, (c.clientY + d.clientY) / 2 - box.top);
    }
    if (!drag) return hover(near(event));
    const [sx, sy] = scale();
    moved += Math.abs(event.clientX - drag.clientX) + Math.abs(event.clientY - drag.clientY);
    view = { ...view, x: view.x - (event.clientX - drag.clientX) / sx, y: view.y - (event.clientY - drag.clientY) / sy };
    drag = event;
    fingers.set(event.pointerId, event);
    hover(null);
  });
  const end = (event) => { fingers.delete(event.pointerId); if (drag && moved < 5) { const point = near(event); hover(point); if (point && open) open(point.path); } drag = null; };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => { if (!drag) hover(null); });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); const box = canvas.getBoundingClientRect(); zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left, event.clientY - box.top); }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = 0.15 / view.k, act = { "+": () => zoom(1.5), "-": () => zoom(1 / 1.5), ArrowLeft: () => { view.x -= step; }, ArrowRight: () => { view.x += step; }, ArrowUp: () => { view.y -= step; }, ArrowDown: () => { view.y += step; } }[event.key];
    if (act) { event.preventDefault(); act(); draw(); }
  });
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = words.length ? new Set(points.filter((one) => words.every((word) => `${one.title} ${one.path}`.toLowerCase().includes(word)))) : null;
    said.textContent = found ? `${found.size} found` : "";
    draw();
  });

  const entry = (label, colour, documents, n) => {
    const item = element("li", ""), details = element("details", ""), summary = element("summary", ""), dot = element("i", "map-dot");
    dot.style.background = colour;
    summary.append(dot, `${label} `, element("span", "map-n", String(documents.length)));
    details.addEventListener("toggle", () => {
      for (const other of legend.querySelectorAll("details[open]")) if (details.open && other !== details) other.open = false;
      chosen = details.open ? n : legend.querySelector("details[open]") ? chosen : null;
      draw();
    });
    const list = element("ul", "");
    for (const one of documents) {
      const line = element("li", "");
      line.append(open ? Object.assign(element("button", "map-link", one.title || one.path), { type: "button", title: one.path, onclick: () => open(one.path) }) : Object.assign(element("span", "", one.title || one.path), { title: one.path }));
      list.append(line);
    }
    details.append(summary, list);
    item.append(details);
    legend.append(item);
  };
  data.clusters.forEach((cluster, n) => entry(cluster.label, COLOURS[n % COLOURS.length], cluster.documents, n));
  if (data.others.length) entry("In no cluster", OTHER, data.others, -1);
  new ResizeObserver(draw).observe(canvas);
  draw();
}
