"use strict";
// F1 over frames a second: colour says the precision, shape the engine, a dot a mode, a line joins the cases of one model.
const HEIGHT = 460, SEVERAL = 330, NARROW = 640, LEFT = 46, TOP = 24, BOTTOM = 48, RINGS = 7;
const TICKS = [.1, .2, .5, 1, 2, 5, 10, 15, 20, 30, 40, 60, 80, 100, 150, 200, 300, 500, 1000, 2000];
const SHAPES = {
  torch: "M-7 -7h14v14h-14z", onnxruntime: "M0 -9l9 9l-9 9l-9 -9z", tensorrt: "M0 -9l9 15h-18z",
  openvino: "M-7.5 0a7.5 7.5 0 1 0 15 0a7.5 7.5 0 1 0 -15 0z",
};

function glyph(engine, mode = "plain") {
  const path = node("path", { d: SHAPES[engine], fill: "currentColor" });
  return node("svg", { class: "glyph", viewBox: "-10 -10 20 20", "aria-hidden": "true" }, path, ...dot(mode));
}

function dot(mode) { return mode === "plain" ? [] : [node("circle", { class: "dot", r: 2.8 })]; }

// Names stand right of their lines where there is room for them.
function rightOf(width) { return width < NARROW ? 22 : 150; }

function drawPlots(chosenPoints, scope) {
  $("#tip").hidden = true;
  const scored = chosenPoints.filter((p) => p.panel !== null);
  const shown = page.panels.map((title, i) => [title, scored.filter((p) => p.panel === i)]).filter(([, of]) => of.length);
  const boxes = shown.map(([title, of], i) => drawPanel(title, of, scored, { several: shown.length > 1, last: i === shown.length - 1, scope }));
  const none = points.some((p) => p.panel !== null) ? "Nothing left to show: choose more above" : "F1 was not measured: run the suite with --data";
  $("#plots").replaceChildren(...(boxes.length ? boxes : [node("p", { class: "soft empty" }, none)]));
  sayUnplotted(chosenPoints.filter((p) => p.panel === null));
}

function sayUnplotted(missing) {
  const named = (of) => of.length > SHOWN_REASONS ? `${of.length} cases` : of.map((p) => `${p.tip[0]}${cases.some((c) => c.machine !== p.machine) ? ` on ${p.machine}` : ""}`).join("; ");
  const lines = distinct(missing.map((p) => p.why)).map((why) => `${named(missing.filter((p) => p.why === why))}: ${why}`);
  $("#unplotted").textContent = lines.length ? `Not on the plot, for want of F1: ${lines.join(". ")}.` : "";
  $("#unplotted").hidden = !lines.length;
}

function drawPanel(title, of, all, { several, last, scope }) {
  const width = Math.max(300, $("#plots").clientWidth), height = several || width < NARROW ? SEVERAL : HEIGHT;
  const svg = node("svg", { role: "img", "aria-label": `${title}, over frames a second, one point a case`, viewBox: `0 0 ${width} ${height}`, height });
  const series = seriesOf(of), at = scales(of, all, series, width, height);
  drawAxes(svg, at, width, height, last ? `frames a second, ${words.scope[scope]}` : "");
  drawFront(svg, of, at);
  const taken = of.map((p) => ({ x: at.x(p.fps) - 7, y: at.y(p.f1) - 6, w: 14, h: 12 }));
  for (const one of series) {
    const path = one.map((p, i) => `${i ? "L" : "M"}${at.x(p.fps)} ${at.y(p.f1)}`).join("");
    svg.append(node("path", { class: "series", d: path }), interval(one[one.length - 1], at));
  }
  for (const p of [...of].sort((a, b) => (a.precision === "int8") - (b.precision === "int8"))) svg.append(mark(p, at, svg));
  const label = distinct(of.map((p) => p.machine)).length > 1 ? "series" : "name";
  for (const one of series) svg.append(...placed(one, one[0][label], at, taken, width, height));
  return node("figure", { class: "panel" }, node("figcaption", {}, title), svg);
}

function seriesOf(of) {
  return distinct(of.map((p) => p.series)).map((name) => of.filter((p) => p.series === name).sort((a, b) => a.fps - b.fps));
}

// Across, all panels have one scale, so that machines can be compared; up, each has its own.
function scales(of, all, series, width, height) {
  const speeds = all.map((p) => p.fps), fastest = series.map((one) => one[one.length - 1]);
  const scores = [...of.map((p) => p.f1), ...fastest.flatMap((p) => p.f1_ci95 || [])];
  const x0 = Math.log(Math.min(...speeds) * .8), x1 = Math.log(Math.max(...speeds) * 1.1);
  const y0 = Math.floor(Math.min(...scores) * 50 - .2) / 50, y1 = Math.ceil(Math.max(...scores) * 50 + .2) / 50;
  return {
    x0, y0, y1,
    x: (v) => LEFT + (Math.log(v) - x0) / (x1 - x0) * (width - LEFT - rightOf(width)),
    y: (v) => height - BOTTOM - (v - y0) / (y1 - y0) * (height - TOP - BOTTOM),
  };
}

function drawAxes(svg, { x0, y0, y1, x, y }, width, height, title) {
  let last = -Infinity;
  for (const v of TICKS.filter((v) => Math.log(v) > x0 && x(v) < width - 22)) {
    svg.append(node("line", { class: "grid", x1: x(v), x2: x(v), y1: TOP, y2: height - BOTTOM }));
    if (x(v) - last < 30) continue;
    svg.append(node("text", { x: x(v), y: height - BOTTOM + 18, "text-anchor": "middle" }, String(v)));
    last = x(v);
  }
  const step = y1 - y0 > .15 ? .05 : .02;
  for (let v = Math.ceil(y0 / step - 1e-9) * step; v <= y1 + 1e-9; v += step) {
    svg.append(node("line", { class: "grid", x1: LEFT, x2: width - 22, y1: y(v), y2: y(v) }));
    svg.append(node("text", { x: LEFT - 8, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(2)));
  }
  svg.append(node("text", { x: (LEFT + width - rightOf(width)) / 2, y: height - 8, "text-anchor": "middle" }, title));
  svg.append(node("text", { x: LEFT, y: 13 }, "F1, zero tolerance"));
}

function drawFront(svg, of, { x, y }) {
  let best = -1;
  const front = [...of].sort((a, b) => b.fps - a.fps || b.f1 - a.f1).filter((p) => p.f1 > best && (best = p.f1, true));
  const path = front.map((p, i) => i ? `V${y(p.f1)}H${x(p.fps)}` : `M${x(p.fps)} ${y(p.f1)}`).join("");
  if (front.length > 1) svg.append(node("path", { class: "front", d: path }));
}

function interval(p, { x, y }) {
  const [low, high] = p.f1_ci95 || [p.f1, p.f1];
  return node("line", { class: "ci", stroke: COLOURS[p.precision], x1: x(p.fps), x2: x(p.fps), y1: y(low), y2: y(high) });
}

function range(p, { x, y }) {
  return node("line", { class: "range", stroke: COLOURS[p.precision], x1: x(p.rounds[0]), x2: x(p.rounds[1]), y1: y(p.f1), y2: y(p.f1) });
}

function mark(p, at, svg) {
  const px = at.x(p.fps), py = at.y(p.f1);
  const point = node("g", { class: p.theirs ? "point theirs" : "point", transform: `translate(${px} ${py})`, style: `--c: ${COLOURS[p.precision]}`,
    tabindex: 0, role: "img", "aria-label": p.tip.join(", ") }, node("path", { d: SHAPES[p.engine] }), ...dot(p.mode));
  let bars = [];
  const leave = () => { bars.forEach((bar) => bar.remove()); $("#tip").hidden = true; };
  point.onmouseenter = point.onfocus = point.onclick = () => {
    leave();
    bars = [interval(p, at), range(p, at)];
    bars.forEach((bar) => svg.insertBefore(bar, svg.querySelector(".point")));
    showTip(p, px, py, svg);
  };
  point.onmouseleave = point.onblur = leave;
  return point;
}

// The name of a model's line, at the first place where it covers no point and no other name; further away, with a line to it.
function placed(one, text, at, taken, width, height) {
  const box = roomFor(text, one, at, taken, width, height);
  if (!box) return [];
  taken.push(box);
  const name = node("text", { class: "name", x: box.x, y: box.y + 11 }, text);
  if (box.near) return [name];
  const px = at.x(box.of.fps), py = at.y(box.of.f1), to = Math.min(Math.max(px, box.x), box.x + box.w);
  return [node("line", { class: "leader", x1: px, y1: py, x2: to, y2: box.y > py ? box.y : box.y + 14 }), name];
}

function roomFor(text, one, at, taken, width, height) {
  const w = 7.6 * text.length, first = one[0], last = one[one.length - 1];
  const spots = [[last, 12, -7, true], [first, -12 - w, -7, true]];
  for (let away = 0; away < RINGS; away++) {
    for (const p of [last, first, ...one]) for (const dx of [-w / 2, 4, -w - 4]) spots.push([p, dx, -26 - 13 * away, !away], [p, dx, 12 + 13 * away, !away]);
  }
  const boxes = spots.map(([p, dx, dy, near]) => ({ x: at.x(p.fps) + dx, y: at.y(p.f1) + dy, w, h: 14, near, of: p }));
  const free = (b) => b.x >= LEFT && b.x + b.w <= width - 2 && b.y >= TOP && b.y + b.h <= height - BOTTOM
    && !taken.some((o) => b.x < o.x + o.w && o.x < b.x + b.w && b.y < o.y + o.h && o.y < b.y + b.h);
  return boxes.find(free);
}

function showTip(p, px, py, svg) {
  const tip = $("#tip"), [head, ...lines] = p.tip, plot = $("#plot").getBoundingClientRect(), box = svg.getBoundingClientRect();
  const scale = box.width / Math.max(300, box.width), y = box.top - plot.top + py * scale;
  tip.replaceChildren(node("b", {}, head), ...lines.map((line) => node("div", {}, line)));
  tip.hidden = false;
  const half = tip.offsetWidth / 2, above = y - tip.offsetHeight - 14;
  tip.style.left = `${Math.min(Math.max(px * scale, half), plot.width - half) - half}px`;
  tip.style.top = `${above < -90 ? y + 14 : above}px`;
}
