"use strict";
const results = JSON.parse(document.getElementById("data").textContent);
const COLOURS = { fp32: "var(--fp32)", bf16: "var(--bf16)", fp16: "var(--fp16)", int8: "var(--int8)" };
const SCOPES = { engine: "engine alone", pipeline: "frame to mask", camera_to_mask: "camera to mask" };
const rows = results.flatMap((result, at) =>
  result.rows.map((row) => ({ ...row, at, host: hostOf(result.environment) })));
const $ = (selector) => document.querySelector(selector);

function hostOf(e) { return e.gpu ? e.gpu.split(";")[0] : `${e.cores}-core ${e.cpu.replace(/\(R\)|\(TM\)|Processor|CPU/g, "").trim()}`; }
function label(row) { return [row.engine, row.precision, row.mode === "default" ? "" : row.mode, row.schedule === "every" ? "" : row.schedule].filter(Boolean).join(" "); }
function fixed(value, digits) { return value === null || value === undefined ? "–" : value.toFixed(digits); }
function fps(value) { return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2); }
function distinct(values) { return [...new Set(values)]; }
function node(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "circle", "text"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// ------------------------------------------------------------------ filters
const chosen = { device: null, precision: null, model: null, scope: null };
function filter(name, title, values, shown, single) {
  const set = node("fieldset", {}, node("legend", {}, title));
  chosen[name] = new Set(single ? [values[values.length - 1]] : values);
  for (const value of values) {
    const button = node("button", { type: "button", "aria-pressed": chosen[name].has(value) });
    if (name === "precision") button.append(node("i", { style: `--c: ${COLOURS[value]}` }));
    button.append(shown(value));
    button.onclick = () => {
      if (single) chosen[name] = new Set([value]);
      else if (!chosen[name].delete(value)) chosen[name].add(value);
      set.querySelectorAll("button").forEach((b, i) => b.setAttribute("aria-pressed", chosen[name].has(values[i])));
      draw();
    };
    set.append(button);
  }
  if (values.length > 1) $("#filters").append(set);
}
filter("scope", "Scope", Object.keys(SCOPES).filter((s) => rows.some((r) => r.scope === s)), (s) => SCOPES[s], true);
filter("precision", "Precision", Object.keys(COLOURS).filter((p) => rows.some((r) => r.precision === p)), (p) => p.toUpperCase(), false);
filter("device", "Device", distinct(rows.map((r) => r.host)), (h) => h, false);
filter("model", "Model", distinct(rows.map((r) => r.model)), (m) => m, false);
const visible = () => rows.filter((r) => chosen.scope.has(r.scope) && chosen.precision.has(r.precision)
  && chosen.device.has(r.host) && chosen.model.has(r.model));

// --------------------------------------------------------------------- plot
const W = 1100, H = 470, L = 58, R = 26, T = 18, B = 52;
function draw() {
  const svg = $("#plot svg"), points = visible().filter((r) => r.f1 !== null);
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
  $("#tip").hidden = true;
  if (!points.length) {
    svg.append(node("text", { x: W / 2, y: H / 2, "text-anchor": "middle" },
      rows.some((r) => r.f1 !== null) ? "Nothing left to show: choose more above" : "F1 was not measured: run the suite with --data"));
    return;
  }
  const xs = points.map((r) => r.fps), ys = points.flatMap((r) => r.f1_ci95 ? r.f1_ci95 : [r.f1]);
  const x0 = Math.log(Math.min(...xs) * 0.8), x1 = Math.log(Math.max(...xs) * 1.45);
  const y0 = Math.floor(Math.min(...ys) * 50 - .2) / 50, y1 = Math.ceil(Math.max(...ys) * 50 + .2) / 50;
  const x = (v) => L + (Math.log(v) - x0) / (x1 - x0) * (W - L - R), y = (v) => H - B - (v - y0) / (y1 - y0) * (H - T - B);
  for (const v of [.1, .2, .5, 1, 2, 5, 10, 15, 20, 25, 30, 40, 60, 80, 100, 150, 200, 300, 500, 1000, 2000]) {
    if (Math.log(v) <= x0 || Math.log(v) >= x1) continue;
    svg.append(node("line", { class: "grid", x1: x(v), x2: x(v), y1: T, y2: H - B }));
    svg.append(node("text", { x: x(v), y: H - B + 20, "text-anchor": "middle" }, String(v)));
  }
  const step = y1 - y0 > .25 ? .05 : y1 - y0 > .1 ? .02 : .01;
  for (let v = Math.ceil(y0 / step) * step; v <= y1 + 1e-9; v += step) {
    svg.append(node("line", { class: "grid", x1: L, x2: W - R, y1: y(v), y2: y(v) }));
    svg.append(node("text", { x: L - 10, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(2)));
  }
  svg.append(node("text", { x: (L + W - R) / 2, y: H - 10, "text-anchor": "middle" }, `frames a second, ${SCOPES[[...chosen.scope][0]]} (logarithmic)`));
  svg.append(node("text", { x: L, y: T - 4, "text-anchor": "start" }, "F1, zero tolerance"));
  drawFront(svg, points, x, y);
  const order = [...points].sort((a, b) => a.fps - b.fps);
  const placed = order.map((r) => ({ x: x(r.fps) - 9, y: y(r.f1) - 8, w: 18, h: 15 })), marks = node("g");
  svg.append(...order.map((r) => drawPoint(svg, marks, r, x(r.fps), y(r.f1), y, placed)), marks);
}
function drawFront(svg, points, x, y) {
  let best = -1;
  const front = [...points].sort((a, b) => b.fps - a.fps || b.f1 - a.f1).filter((r) => r.f1 > best && (best = r.f1, true));
  if (front.length > 1) svg.append(node("path", { class: "front", d: front.map((r, i) =>
    (i ? `V${y(r.f1)}H${x(r.fps)}` : `M${x(r.fps)} ${y(r.f1)}`)).join("") }));
}
function drawPoint(svg, marks, r, px, py, y, placed) {
  const colour = COLOURS[r.precision];
  if (r.f1_ci95) svg.append(node("line", { class: "ci", stroke: colour, x1: px, x2: px, y1: y(r.f1_ci95[0]), y2: y(r.f1_ci95[1]) }));
  const shape = r.engine === "torch" ? `M${px - 7} ${py - 7}h14v14h-14z`
    : r.engine === "onnxruntime" ? `M${px} ${py - 9}l9 9l-9 9l-9 -9z`
    : r.engine === "tensorrt" ? `M${px} ${py - 9}l9 15h-18z`
    : `M${px - 7.5} ${py}a7.5 7.5 0 1 0 15 0a7.5 7.5 0 1 0 -15 0z`;
  const point = node("path", { class: "point", d: shape, fill: colour, tabindex: 0, "aria-label": tipOf(r) });
  const show = () => showTip(r, px, py);
  point.onmouseenter = point.onfocus = show;
  point.onmouseleave = point.onblur = () => { $("#tip").hidden = true; };
  marks.append(point);
  const width = 6.4 * (r.model.length + 1 + label(r).length), box = { x: px + 12, y: py - 7, w: width, h: 15 };
  if (box.x + width > W) box.x = px - 12 - width;
  // A label gives way to labels and points that are there already.
  while (placed.some((o) => box.x < o.x + o.w && o.x < box.x + box.w && Math.abs(box.y - o.y) < 15) && box.y < H - B - 14) box.y += 15;
  placed.push(box);
  return node("text", { class: "name", x: box.x, y: box.y + 11 }, `${r.model} ${label(r)}`);
}
function tipOf(r) {
  const l = r.latency_ms, ci = r.f1_ci95 ? ` [${r.f1_ci95.map((v) => v.toFixed(3)).join(", ")}]` : "";
  return [`${r.model}, ${label(r)}, ${r.size_hw[1]}×${r.size_hw[0]}`,
    `${fps(r.fps)} FPS, ${SCOPES[r.scope]}`,
    `p50 ${fixed(l.p50, 1)}  p95 ${fixed(l.p95, 1)}  p99 ${fixed(l.p99, 1)} ms`,
    `F1 ${fixed(r.f1, 4)}${ci} on ${r.images} images`,
    `${fixed(r.rss_mb, 0)} MB resident, ${fixed(r.gflop, 1)} GFLOP a frame`,
    r.host].join("\n");
}
function showTip(r, px, py) {
  const tip = $("#tip"), svg = $("#plot svg"), scale = svg.clientWidth / W;
  tip.textContent = tipOf(r);
  tip.hidden = false;
  const half = tip.offsetWidth / 2;
  tip.style.left = `${Math.min(Math.max(px * scale, half), svg.clientWidth - half)}px`;
  tip.style.top = `${py * scale}px`;
}

// ------------------------------------------------------------------- tables
function fill(table, head, lines) {
  table.append(node("thead", {}, node("tr", {}, ...head.map(([text, left]) => node("th", left ? { class: "left" } : {}, text)))));
  const body = node("tbody");
  for (const { cells, begins } of lines) {
    body.append(node("tr", begins ? { class: "begins" } : {}, ...cells.map((c, i) => node("td", head[i][1] ? { class: "left" } : {}, c ?? "–"))));
  }
  table.append(body);
}
const byCase = new Map();
for (const r of rows) {
  const key = [r.at, r.model, r.size_hw, r.schedule, label(r)].join("|");
  byCase.set(key, { ...(byCase.get(key) || {}), [r.scope]: r, any: r });
}
const cases = [...byCase.values()];
function swatch(r) { const dot = node("i"); dot.style.cssText = `display:inline-block;width:9px;height:9px;border-radius:5px;margin-right:7px;background:${COLOURS[r.precision]}`; return dot; }
function named(r) { return node("span", {}, swatch(r), label(r)); }
function begins(i) { return i > 0 && cases[i - 1].any.model + cases[i - 1].any.at !== cases[i].any.model + cases[i].any.at; }
const widest = (c) => c.camera_to_mask || c.pipeline || c.engine;
const REFERENCE = "torch fp32 eager", SECOND = "onnxruntime fp32";
const times = (s) => s ? node("span", { title: `95 % interval over rounds: ${s[1].toFixed(2)} to ${s[2].toFixed(2)}` }, s[0].toFixed(2)) : "–";
const hosts = distinct(rows.map((r) => r.host)).length > 1;
fill($("#cases"), [["model", 1], ["engine", 1], ...(hosts ? [["device", 1]] : []), ["size"], ["FPS: engine"], ["pipeline"], ["camera"], ["ms p50 / p95 / p99"], ["F1 [95 %]"], ["× PyTorch"], ["× ORT"]],
  cases.map((c, i) => {
    const r = widest(c), ci = r.f1_ci95 ? ` [${r.f1_ci95.map((v) => v.toFixed(3)).join(", ")}]` : "";
    return { begins: begins(i), cells: [r.model, named(r), ...(hosts ? [r.host] : []), `${r.size_hw[1]}×${r.size_hw[0]}`,
      c.engine && fps(c.engine.fps), c.pipeline && fps(c.pipeline.fps), c.camera_to_mask && node("b", {}, fps(c.camera_to_mask.fps)),
      [r.latency_ms.p50, r.latency_ms.p95, r.latency_ms.p99].map((v) => fps(v)).join(" / "),
      r.f1 === null ? "not measured" : r.f1.toFixed(4) + ci, times(r.speedup[REFERENCE]), times(r.speedup[SECOND])] };
  }));
fill($("#costs"), [["model", 1], ["engine", 1], ["file MB"], ["resident MB"], ["first mask ms, cold"], ["warm"], ["J a frame"], ["°C"], ["loop over engine"], ["stages, ms", 1]],
  cases.map((c, i) => {
    const r = widest(c), loop = c.camera_to_mask && c.engine ? `${(100 * c.camera_to_mask.fps / c.engine.fps).toFixed(0)} %` : "–";
    const why = (name) => r[name] === null ? node("span", { class: "soft", title: r.not_measured[name] || "" }, "not measured") : fixed(r[name], name === "joules" ? 3 : 0);
    return { begins: begins(i), cells: [r.model, named(r), r.file_mb === null ? "–" : fixed(r.file_mb, 1), fixed(r.rss_mb, 0), fixed(r.first_mask_ms.cold, 0), fixed(r.first_mask_ms.warm, 0),
      why("joules"), why("temperature_c"), loop, Object.entries(r.stages_ms).map(([k, v]) => `${k} ${v.toFixed(1)}`).join(", ")] };
  }));

// ------------------------------------------------------------------- limits
function meter(share, colour) { const m = node("span", { class: "meter", style: `--c: ${colour}` }, node("i", { style: `width: ${Math.min(100, 100 * share)}%` })); return node("span", {}, m, `${(100 * share).toFixed(0)} %`); }
const limits = $("#limits");
for (const result of results) {
  if (!result.limits) continue;
  const l = result.limits, best = (a) => Math.max(...l.rates.filter((r) => r.arithmetic === a).map((r) => r.gops));
  const of = distinct(l.rates.map((r) => r.arithmetic));
  limits.append(node("p", {}, `${hostOf(result.environment)}: six equal 3×3 convolutions in a row attain at best ${of.map((a) => `${best(a).toFixed(0)} GOP/s in ${a.toUpperCase()}`).join(", ")}; memory copies at ${l.bandwidth_gb_s.toFixed(0)} GB/s.`));
  const shapes = distinct(l.rates.map((r) => `${r.channels[0]} channels, ${r.size_hw[1]}×${r.size_hw[0]}`));
  const table = node("table");
  fill(table, [["layer", 1], ...of.map((a) => [`${a.toUpperCase()} GOP/s`])], shapes.map((s) => ({ cells: [s, ...of.map((a) => {
    const found = l.rates.find((r) => r.arithmetic === a && `${r.channels[0]} channels, ${r.size_hw[1]}×${r.size_hw[0]}` === s);
    return found ? found.gops.toFixed(0) : "–"; })] })));
  limits.append(node("div", { class: "scroll", style: "margin-bottom: 14px" }, table));
}
for (const c of cases.filter((c) => c.engine && (c.engine.limit || c.engine.profile))) {
  const r = c.engine, summary = node("summary", {}, r.limit ? meter(r.limit.share, COLOURS[r.precision]) : "", ` ${r.model} ${label(r)}`);
  const box = node("details", {}, summary);
  if (r.limit) box.append(node("p", { class: "small soft" }, `${r.gflop.toFixed(1)} GFLOP a frame at ${r.limit.limit_gops.toFixed(0)} GOP/s would take ${(1e3 * r.gflop / r.limit.limit_gops).toFixed(1)} ms; the engine takes ${r.latency_ms.p50.toFixed(1)} ms.`));
  if (r.profile) {
    const kinds = Object.entries(r.profile.by_kind_ms).slice(0, 8).map(([k, v]) => `${k} ${v.toFixed(1)} ms (${(100 * v / r.profile.total_ms).toFixed(0)} %)`);
    box.append(node("p", { class: "small" }, `By kind, of ${r.profile.total_ms.toFixed(1)} ms: ${kinds.join("; ")}.`));
    const grid = node("div", { class: "layers" }, ...["worst layers", "ms", "share", "GOP/s"].map((t, i) => node("span", { class: i ? "soft" : "what soft" }, t)));
    for (const w of r.profile.worst) grid.append(node("span", { class: "what" }, `${w.name} · ${w.kind}`), node("span", {}, w.ms.toFixed(2)),
      node("span", {}, `${(100 * w.ms / r.profile.total_ms).toFixed(1)} %`), node("span", {}, w.gflop ? (1e3 * w.gflop / w.ms).toFixed(0) : "–"));
    box.append(grid);
  }
  limits.append(box);
}
if (limits.children.length === 1) limits.remove();

// ------------------------------------------------- failures and environment
const failures = results.flatMap((result) => result.failures.map((f) => ({ ...f, host: hostOf(result.environment) })));
if (failures.length) fill($("#failures table"), [["model", 1], ["engine", 1], ["why", 1]], failures.map((f) => ({ cells: [f.model, label(f), f.error] })));
else $("#failures").remove();
for (const result of results) {
  const e = result.environment, list = node("dl");
  const facts = { Machine: `${e.machine}, ${e.cores} cores, ${e.cpu}`, "CPU features": e.cpu_flags.join(", "), GPU: e.gpu || "none", JetPack: e.jetpack || "not a Jetson",
    Memory: `${e.memory_gb} GB`, System: `${e.system}, Python ${e.python}`, Packages: Object.entries(e.packages).map(([k, v]) => `${k} ${v}`).join(", "),
    Commit: e.commit || "unknown", "Power mode": e.power_mode || "none", Sensors: Object.entries(e.sensors).map(([k, v]) => `${k}: ${v ? "yes" : "no"}`).join(", "),
    "Load before": `${e.load_before} runnable processes`, Date: e.started, Suite: `${result.suite}, ${result.complete ? "complete" : "cut short"}` };
  for (const [k, v] of Object.entries(facts)) list.append(node("dt", {}, k), node("dd", {}, v));
  list.append(node("dt", {}, "Command"), node("dd", {}, node("code", {}, result.command)));
  $("#environment").append(list);
}
const images = distinct(rows.filter((r) => r.images).map((r) => `${r.images} images of ${r.data}`));
$("#subtitle").textContent = `${cases.length} cases on ${distinct(rows.map((r) => r.host)).join("; ")}. ${images.length ? "F1 on " + images.join("; ") + "." : ""}`;
$("#reading").textContent = "Up and to the right is better; the dashed line joins the cases that nothing beats in both. Circles run in OpenVINO, squares in PyTorch, diamonds in ONNX Runtime, triangles in TensorRT; bars are 95 % intervals over images. Camera to mask is the robot's loop under a camera a quarter faster than the pipeline: from before a JPEG frame is decoded to its mask.";
draw();
