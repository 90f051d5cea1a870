// F1 over frames a second: colour says the precision, shape the engine, a line joins the cases of one model.
const HEIGHT = 460, NARROW = 640, LEFT = 46, RIGHT = 22, TOP = 24, BOTTOM = 48;
const TICKS = [.1, .2, .5, 1, 2, 5, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300, 500, 1000, 2000];
const SHAPES = {
  torch: "M-7 -7h14v14h-14z", onnxruntime: "M0 -9l9 9l-9 9l-9 -9z", tensorrt: "M0 -9l9 15h-18z",
  openvino: "M-7.5 0a7.5 7.5 0 1 0 15 0a7.5 7.5 0 1 0 -15 0z",
};

function glyph(engine) {
  const path = node("path", { d: SHAPES[engine], fill: "currentColor" });
  return node("svg", { class: "glyph", viewBox: "-10 -10 20 20", "aria-hidden": "true" }, path);
}

function drawPlot(points, scope) {
  const svg = $("#plot > svg"), width = Math.max(300, $("#plot").clientWidth), height = width < NARROW ? 340 : HEIGHT;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  $("#tip").hidden = true;
  const scored = points.filter((r) => r.f1 !== null);
  if (!scored.length) {
    svg.append(node("text", { x: width / 2, y: height / 2, "text-anchor": "middle" },
      rows.some((r) => r.f1 !== null) ? "Nothing left to show: choose more above" : "F1 was not measured: run the suite with --data"));
    return;
  }
  const series = seriesOf(scored), at = scales(scored, series, width, height);
  drawAxes(svg, at, width, height, scope);
  drawFront(svg, scored, at);
  const taken = scored.map((r) => ({ x: at.x(r.fps) - 9, y: at.y(r.f1) - 9, w: 18, h: 18 }));
  for (const one of series) {
    const path = one.map((r, i) => `${i ? "L" : "M"}${at.x(r.fps)} ${at.y(r.f1)}`).join("");
    svg.append(node("path", { class: "series", d: path }), interval(one[one.length - 1], at));
  }
  for (const r of [...scored].sort((a, b) => (a.precision === "int8") - (b.precision === "int8"))) svg.append(mark(r, at, svg));
  for (const one of series) svg.append(placed(one, at, taken, width, height));
}

function seriesOf(points) {
  const bySeries = new Map();
  for (const r of points) {
    const key = [r.at, r.model, r.size_hw].join("|");
    bySeries.set(key, [...(bySeries.get(key) || []), r]);
  }
  return [...bySeries.values()].map((one) => one.sort((a, b) => a.fps - b.fps));
}

function scales(points, series, width, height) {
  const speeds = points.map((r) => r.fps), fastest = series.map((one) => one[one.length - 1]);
  const scores = [...points.map((r) => r.f1), ...fastest.flatMap((r) => r.f1_ci95 || [])];
  const x0 = Math.log(Math.min(...speeds) * .8), x1 = Math.log(Math.max(...speeds) * 1.25);
  const y0 = Math.floor(Math.min(...scores) * 50 - .2) / 50, y1 = Math.ceil(Math.max(...scores) * 50 + .2) / 50;
  return {
    x0, x1, y0, y1,
    x: (v) => LEFT + (Math.log(v) - x0) / (x1 - x0) * (width - LEFT - RIGHT),
    y: (v) => height - BOTTOM - (v - y0) / (y1 - y0) * (height - TOP - BOTTOM),
  };
}

function drawAxes(svg, { x0, x1, y0, y1, x, y }, width, height, scope) {
  let last = -Infinity;
  for (const v of TICKS.filter((v) => Math.log(v) > x0 && Math.log(v) < x1)) {
    svg.append(node("line", { class: "grid", x1: x(v), x2: x(v), y1: TOP, y2: height - BOTTOM }));
    if (x(v) - last < 30) continue;
    svg.append(node("text", { x: x(v), y: height - BOTTOM + 18, "text-anchor": "middle" }, String(v)));
    last = x(v);
  }
  const step = y1 - y0 > .25 ? .05 : .02;
  for (let v = Math.ceil(y0 / step - 1e-9) * step; v <= y1 + 1e-9; v += step) {
    svg.append(node("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v) }));
    svg.append(node("text", { x: LEFT - 8, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(2)));
  }
  svg.append(node("text", { x: (LEFT + width - RIGHT) / 2, y: height - 8, "text-anchor": "middle" }, `frames a second, ${SCOPES[scope]}`));
  svg.append(node("text", { x: LEFT, y: 13 }, "F1, zero tolerance"));
}

function drawFront(svg, points, { x, y }) {
  let best = -1;
  const front = [...points].sort((a, b) => b.fps - a.fps || b.f1 - a.f1).filter((r) => r.f1 > best && (best = r.f1, true));
  const path = front.map((r, i) => i ? `V${y(r.f1)}H${x(r.fps)}` : `M${x(r.fps)} ${y(r.f1)}`).join("");
  if (front.length > 1) svg.append(node("path", { class: "front", d: path }));
}

function interval(r, { x, y }) {
  const [low, high] = r.f1_ci95 || [r.f1, r.f1];
  return node("line", { class: "ci", stroke: COLOURS[r.precision], x1: x(r.fps), x2: x(r.fps), y1: y(low), y2: y(high) });
}

function mark(r, at, svg) {
  const px = at.x(r.fps), py = at.y(r.f1);
  const point = node("path", { class: r.theirs ? "point theirs" : "point", d: SHAPES[r.engine], transform: `translate(${px} ${py})`,
    style: `--c: ${COLOURS[r.precision]}`, tabindex: 0, role: "img", "aria-label": tipOf(r).join(", ") });
  let bar = null;
  point.onmouseenter = point.onfocus = point.onclick = () => {
    bar?.remove();
    bar = interval(r, at);
    svg.insertBefore(bar, svg.querySelector(".point"));
    showTip(r, px, py);
  };
  point.onmouseleave = point.onblur = () => { bar?.remove(); $("#tip").hidden = true; };
  return point;
}

// The name of a model's line, left out where there is no room: the tip says it, too.
function placed(one, at, taken, width, height) {
  for (const text of distinct([seriesName(one[0]), one[0].name])) {
    const box = roomFor(text, one, at, taken, width, height);
    if (!box) continue;
    taken.push(box);
    return node("text", { class: "name", x: box.x, y: box.y + 11 }, text);
  }
  return "";
}

// The first place beside the ends of a line where a text covers no point and no other text.
function roomFor(text, one, at, taken, width, height) {
  const w = 7.6 * text.length, first = one[0], last = one[one.length - 1];
  const spots = [[last, 12, -7], [first, -12 - w, -7]];
  for (let away = 0; away < 2; away++) {
    for (const r of [last, first]) for (const dx of [-w / 2, 4, -w - 4]) spots.push([r, dx, -26 - 13 * away], [r, dx, 12 + 13 * away]);
  }
  const boxes = spots.map(([r, dx, dy]) => ({ x: at.x(r.fps) + dx, y: at.y(r.f1) + dy, w, h: 14 }));
  const free = (b) => b.x >= LEFT && b.x + b.w <= width - 2 && b.y >= TOP && b.y + b.h <= height - BOTTOM
    && !taken.some((o) => b.x < o.x + o.w && o.x < b.x + b.w && b.y < o.y + o.h && o.y < b.y + b.h);
  return boxes.find(free);
}

function seriesName(r) { return [r.name, ...sizes.map(() => size(r)), ...devices.map(() => `on ${r.host}`)].join(" "); }

function tipOf(r) {
  const l = r.latency_ms, faster = r.speedup[REFERENCE];
  return [`${r.name}, ${label(r)}`, `${fps(r.fps)} FPS, ${SCOPES[r.scope]}, at ${size(r)}`,
    `p50 ${fps(l.p50)}, p95 ${fps(l.p95)}, p99 ${fps(l.p99)} ms`, `F1 ${f1(r)} on ${r.images} images`,
    faster ? `${faster[0].toFixed(2)} times as fast as PyTorch [${faster[1].toFixed(2)}, ${faster[2].toFixed(2)}]` : "",
    `${fixed(r.rss_mb, 0)} MB resident, ${fixed(r.gflop, 1)} GFLOP a frame`, r.host].filter(Boolean);
}

function showTip(r, px, py) {
  const tip = $("#tip"), [head, ...lines] = tipOf(r), scale = $("#plot > svg").clientWidth / Math.max(300, $("#plot").clientWidth);
  tip.replaceChildren(node("b", {}, head), ...lines.map((line) => node("div", {}, line)));
  tip.hidden = false;
  const half = tip.offsetWidth / 2, above = py * scale - tip.offsetHeight - 14;
  tip.style.left = `${Math.min(Math.max(px * scale, half), $("#plot").clientWidth - half) - half}px`;
  tip.style.top = `${above < -90 ? py * scale + 14 : above}px`;
}
