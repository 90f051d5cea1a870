const results = JSON.parse(document.getElementById("data").textContent);
const COLOURS = { fp32: "var(--fp32)", bf16: "var(--bf16)", fp16: "var(--fp16)", int8: "var(--int8)" };
const SCOPES = { engine: "engine alone", pipeline: "frame to mask", camera_to_mask: "camera to mask" };
const ENGINES = { openvino: "OpenVINO", torch: "PyTorch", onnxruntime: "ONNX Runtime", tensorrt: "TensorRT" };
const REFERENCE = "torch fp32 eager", SECOND = "onnxruntime fp32";
const rows = results.flatMap((result, at) => result.rows.map((row) => (
  { ...row, at, host: hostOf(result.environment), name: nameOf(row), theirs: row.model.includes("/") })));
const $ = (selector) => document.querySelector(selector);

function hostOf(e) { return e.gpu ? e.gpu.split(";")[0] : `${e.cores}-core ${e.cpu.replace(/\(R\)|\(TM\)|Processor|CPU/g, "").trim()}`; }
function nameOf(row) { return row.model.replace(/\/+$/, "").split("/").pop(); }
function label(row) { return [row.engine, row.precision, row.mode === "default" ? "" : row.mode, row.schedule === "every" ? "" : row.schedule].filter(Boolean).join(" "); }
function size(row) { return `${row.size_hw[1]}×${row.size_hw[0]}`; }
function fixed(value, digits) { return value === null || value === undefined ? "–" : value.toFixed(digits); }
function fps(value) { return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2); }
function f1(r) { return r.f1 === null ? "not measured" : r.f1.toFixed(4) + (r.f1_ci95 ? ` [${r.f1_ci95.map((v) => v.toFixed(3)).join(", ")}]` : ""); }
function percent(share) { return `${(100 * share).toFixed(0)} %`; }
function distinct(values) { return [...new Set(values)]; }
function node(tag, attributes = {}, ...children) {
  const svg = ["svg", "line", "path", "text"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
// Columns, and words of names, that say something only where there are several.
const devices = distinct(rows.map((r) => r.host)).length > 1 ? [["device", 1]] : [];
const sizes = distinct(rows.map(size)).length > 1 ? [["size"]] : [];
function swatch(precision) { return node("i", { class: "swatch", style: `--c: ${COLOURS[precision]}` }); }
function named(r) { return node("span", {}, swatch(r.precision), label(r)); }

// ------------------------------------------------------------------ filters
const chosen = {};
function filter(name, title, values, shown, single) {
  const set = node("fieldset", {}, node("legend", {}, title));
  chosen[name] = new Set(single ? [values[values.length - 1]] : values);
  for (const value of values) {
    const button = node("button", { type: "button", "aria-pressed": chosen[name].has(value) }, ...shown(value));
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
const known = (names, of) => Object.keys(names).filter((name) => rows.some((r) => of(r) === name));
filter("scope", "Scope", known(SCOPES, (r) => r.scope), (s) => [SCOPES[s]], true);
filter("precision", "Precision", known(COLOURS, (r) => r.precision), (p) => [swatch(p), p.toUpperCase()], false);
filter("engine", "Engine", known(ENGINES, (r) => r.engine), (e) => [glyph(e), ENGINES[e]], false);
filter("device", "Device", distinct(rows.map((r) => r.host)), (h) => [h], false);
filter("model", "Model", distinct(rows.map((r) => r.name)), (m) => [m], false);
const wanted = (r) => chosen.precision.has(r.precision) && chosen.engine.has(r.engine) && chosen.device.has(r.host) && chosen.model.has(r.name);
const filtered = [];  // [element, its row] of tables and profiles
function draw() {
  drawPlot(rows.filter((r) => chosen.scope.has(r.scope) && wanted(r)), [...chosen.scope][0]);
  for (const [element, row] of filtered) element.hidden = !wanted(row);
}

// ------------------------------------------------------------------- tables
function fill(table, head, lines) {
  table.append(node("thead", {}, node("tr", {}, ...head.map(([text, left]) => node("th", left ? { class: "left" } : {}, text)))));
  const body = node("tbody");
  for (const { cells, begins, row } of lines) {
    const line = node("tr", begins ? { class: "begins" } : {}, ...cells.map((c, i) => node("td", head[i][1] ? { class: "left" } : {}, c ?? "–")));
    if (row) filtered.push([line, row]);
    body.append(line);
  }
  table.append(body);
}
const byCase = new Map();
for (const r of rows) {
  const key = [r.at, r.model, r.size_hw, label(r)].join("|");
  byCase.set(key, { ...(byCase.get(key) || {}), [r.scope]: r });
}
const cases = [...byCase.values()].map((c) => ({ ...c, widest: c.camera_to_mask || c.pipeline || c.engine }));
function begins(i) { return i > 0 && [cases[i - 1], cases[i]].map((c) => c.widest.model + c.widest.at).reduce((a, b) => a !== b); }
const times = (s) => s ? node("span", { title: `95 % interval over rounds: ${s[1].toFixed(2)} to ${s[2].toFixed(2)}` }, s[0].toFixed(2)) : "–";
fill($("#cases"), [["model", 1], ["engine", 1], ...devices, ...sizes, ["FPS: engine"], ["pipeline"], ["camera"], ["ms p50 / p95 / p99"], ["F1 [95 %]"], ["× PyTorch"], ["× ORT"], ["of limit"]],
  cases.map((c, i) => {
    const r = c.widest;
    return { row: r, begins: begins(i), cells: [r.name, named(r), ...devices.map(() => r.host), ...sizes.map(() => size(r)),
      c.engine && fps(c.engine.fps), c.pipeline && fps(c.pipeline.fps), c.camera_to_mask && node("b", {}, fps(c.camera_to_mask.fps)),
      [r.latency_ms.p50, r.latency_ms.p95, r.latency_ms.p99].map(fps).join(" / "), f1(r),
      times(r.speedup[REFERENCE]), times(r.speedup[SECOND]), c.engine?.limit && percent(c.engine.limit.share)] };
  }));
const SENSORS = { joules: ["J a frame", 3], temperature_c: ["°C", 0], power_mode: ["power mode"] };
const sensed = Object.keys(SENSORS).filter((name) => rows.some((r) => r[name] !== null));
fill($("#costs"), [["model", 1], ["engine", 1], ...devices, ["file MB"], ["resident MB"], ["first mask ms, cold"], ["warm"], ["loop over engine"],
  ...sensed.map((name) => [SENSORS[name][0]]), ["stages, ms", 1]],
  cases.map((c, i) => {
    const r = c.widest, reading = (name) => r[name] === null ? "not measured" : SENSORS[name].length > 1 ? fixed(r[name], SENSORS[name][1]) : r[name];
    const stages = Object.entries(r.stages_ms).filter(([, ms]) => ms >= .05).map(([stage, ms]) => `${stage} ${ms.toFixed(1)}`);
    return { row: r, begins: begins(i), cells: [r.name, named(r), ...devices.map(() => r.host), fixed(r.file_mb, 1), fixed(r.rss_mb, 0), fixed(r.first_mask_ms.cold, 0), fixed(r.first_mask_ms.warm, 0),
      c.camera_to_mask && c.engine && percent(c.camera_to_mask.fps / c.engine.fps), ...sensed.map(reading), stages.join(", ")] };
  }));
const unsensed = Object.keys(SENSORS).filter((name) => !sensed.includes(name)).map((name) => `${SENSORS[name][0]} (${rows[0]?.not_measured[name]})`);
$("#unsensed").textContent = unsensed.length ? `Not measured: ${unsensed.join(", ")}.` : "";

// ------------------------------------------------- failures and environment
const why = new Map();
for (const [at, result] of results.entries()) for (const f of result.failures) {
  const key = [at, f.model, f.error].join("|"), one = why.get(key) || { name: nameOf(f), host: hostOf(result.environment), error: f.error, labels: [] };
  why.set(key, { ...one, labels: [...one.labels, label(f)] });
}
fill($("#failures table"), [["model", 1], ["engine", 1], ...devices, ["why", 1]],
  [...why.values()].map((f) => ({ cells: [f.name, f.labels.join(", "), ...devices.map(() => f.host), f.error] })));
if (!why.size) $("#failures").remove();
for (const result of results) {
  const e = result.environment, threads = distinct(result.rows.map((r) => r.threads ?? "left to each engine"));
  const facts = { Machine: `${e.machine}, ${e.cores} cores, ${e.cpu}`, "CPU features": e.cpu_flags.join(", "), GPU: e.gpu || "none", JetPack: e.jetpack || "not a Jetson",
    Memory: `${e.memory_gb} GB`, System: `${e.system}, Python ${e.python}`, Packages: Object.entries(e.packages).map(([k, v]) => `${k} ${v}`).join(", "),
    Commit: e.commit || "unknown", Threads: threads.join(", "), "Power mode": e.power_mode || "none", Sensors: Object.entries(e.sensors).map(([k, v]) => `${k}: ${v ? "yes" : "no"}`).join(", "),
    "Load before": `${e.load_before} runnable processes`, Date: e.started, Suite: `${result.suite}, ${result.complete ? "complete" : "cut short"}` };
  const list = node("dl", {}, node("dt", {}, "Command"), node("dd", {}, node("code", {}, result.command)));
  for (const [k, v] of Object.entries(facts)) list.append(node("dt", {}, k), node("dd", {}, v));
  $("#environment").append(list);
}
const images = distinct(rows.filter((r) => r.images).map((r) => `${r.images} images of ${r.data}`));
$("#subtitle").textContent = `${cases.length} cases on ${distinct(rows.map((r) => r.host)).join("; ")}${sizes.length || !rows.length ? "" : `, frames of ${size(rows[0])}`}. ${images.length ? `F1 on ${images.join("; ")}.` : ""}`;
$("#reading").textContent = "Up and to the right is better. A line joins the cases of one model, the dashed one those that nothing beats in both. "
  + "The bar is the 95 % interval of F1 over images, of a model's fastest case and of the one under the pointer. "
  + (rows.some((r) => r.theirs) ? "Hollow marks are networks that scnet-edge does not ship. " : "")
  + "Camera to mask is the robot's loop under a camera a quarter faster than the pipeline: from before a JPEG frame is decoded to its mask.";
