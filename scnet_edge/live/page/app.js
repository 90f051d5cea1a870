"use strict";

// One socket: the server tells the status every second, and sends a frame each time we ask for one.

const SPAN_S = 300;
const SVG = "http://www.w3.org/2000/svg";
const WORDS = {
  starting: "starting", waiting_camera: "waiting for the camera", running: "running",
  stalled: "stalled", closed: "run has ended",
};
const BAD = ["camera_lost", "gap", "degraded", "engine_crashed"];
const FINE = ["camera_found", "recovered"];

const $ = (id) => document.getElementById(id);
const points = [];
const events = [];
let latest = null;
let retryMs = 500;

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/stream`);
  socket.binaryType = "blob";
  socket.onopen = () => { retryMs = 500; socket.send("next"); };
  socket.onmessage = async (message) => {
    if (typeof message.data === "string") { take(JSON.parse(message.data)); return; }
    await draw(message.data);
    if (socket.readyState === WebSocket.OPEN) socket.send("next");
  };
  socket.onclose = () => {
    pill("gone", "no connection, trying again");
    veil("The run cannot be reached");
    setTimeout(connect, retryMs);
    retryMs = Math.min(2 * retryMs, 10000);
  };
}

async function draw(blob) {
  const picture = await createImageBitmap(blob);
  const view = $("view");
  if (view.width !== picture.width || view.height !== picture.height) {
    view.width = picture.width;
    view.height = picture.height;
  }
  view.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  view.dataset.frames = String(Number(view.dataset.frames || 0) + 1);
}

function take(message) {
  if (message.history) {
    points.length = 0;
    events.length = 0;
    points.push(...message.history);
    showFacts(message.facts);
  }
  events.push(...message.events);
  events.splice(0, Math.max(0, events.length - 200));
  latest = message.status;
  points.push({
    mono_s: latest.mono_s, fps: latest.fps, recent_ms: latest.recent_ms,
    hottest_c: hottest(latest.telemetry), total_mw: latest.telemetry.total_mw,
  });
  while (points.length && latest.mono_s - points[0].mono_s > SPAN_S) points.shift();
  show(latest);
  if (message.events.length) showLog();
}

function show(status) {
  pill(status.state, WORDS[status.state]);
  veil(status.state === "running" ? "" :
    status.state === "waiting_camera" ? "No frames from the camera" :
    status.state === "stalled" ? "Frames come, but none is processed" :
    status.state === "closed" ? "The run has ended" : "Waiting for the first frame");
  $("uptime").textContent = `up ${duration(status.uptime_s)}${status.clock_synced === false ? ", clock not synchronised" : ""}`;
  figure("fps", status.fps.toFixed(1));
  $("frames").textContent = `${count(status.processed)} of ${count(status.captured)} frames`;
  const live = "camera_to_mask" in status.latency_ms;
  $("latency-label").textContent = live ? "Camera to mask" : "Time per frame";
  figure("latency", status.recent_ms ? status.recent_ms[0].toFixed(0) : "–", "ms");
  $("latency-note").textContent = status.recent_ms ? `p95 ${status.recent_ms[1].toFixed(0)} ms` : "";
  figure("cracks", count(status.cracks));
  const dropped = Object.values(status.dropped).reduce((a, b) => a + b, 0);
  figure("dropped", count(dropped));
  const reasons = Object.entries(status.dropped);
  $("dropped-note").textContent = reasons.map(([why, n]) => (reasons.length > 1 ? `${count(n)} ` : "") + words(why)).join(", ");
  showBoard(status.telemetry);
  showStages(status.latency_ms);
  showSinks(status.sinks);
  chart("chart-fps", [points.map((p) => p.fps)]);
  chart("chart-latency", [points.map((p) => p.recent_ms && p.recent_ms[0]), points.map((p) => p.recent_ms && p.recent_ms[1])]);
  $("temperature-card").hidden = points.every((p) => p.hottest_c === null);
  chart("chart-temperature", [points.map((p) => p.hottest_c)]);
}

function showBoard(board) {
  const zone = hottest(board);
  figure("hottest", zone === null ? "–" : zone.toFixed(1), zone === null ? "" : "°C");
  const note = $("hottest-note");
  note.textContent = board.throttled.length ? `throttled: ${board.throttled.join(", ")}` : zone === null ? "no sensor" : "not throttled";
  note.classList.toggle("alarm", board.throttled.length > 0);
  figure("power", board.total_mw === null ? "–" : (board.total_mw / 1000).toFixed(1), board.total_mw === null ? "" : "W");
  const clocks = Object.entries(board.clocks_mhz).slice(0, 2).map(([name, mhz]) => `${name} ${mhz.toFixed(0)} MHz`);
  $("power-note").textContent = [board.power_mode, ...clocks].filter(Boolean).join(", ");
}

function showStages(latency) {
  fill($("stages"), Object.entries(latency).map(([stage, ms]) => [words(stage), ...ms.map((v) => v.toFixed(1))]));
}

function showSinks(sinks) {
  $("sinks-card").hidden = !sinks.length;
  fill($("sinks"), sinks.map((s) => [s.error ? `${s.name}: ${s.error}` : s.name, count(s.written), count(s.dropped + s.failed), count(s.waiting)]),
    (row, i) => { row.cells[0].title = row.cells[0].textContent; row.cells[0].classList.toggle("alarm", sinks[i].error !== ""); });
}

function showLog() {
  const newest = [...events].reverse();
  fill($("log"), newest.map((e) => [`${duration(latest.mono_s - e.mono_s)} ago`, words(e.kind), words(e.reason), e.detail]),
    (row, i) => { row.cells[1].className = BAD.includes(newest[i].kind) ? "bad" : FINE.includes(newest[i].kind) ? "fine" : ""; });
  $("log-empty").hidden = events.length > 0;
}

function showFacts(facts) {
  $("source").textContent = facts.Source || "";
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([label, text]) => [element("dt", label), element("dd", text)]));
}

function chart(id, series) {
  const svg = $(id), width = svg.clientWidth || 340, height = svg.clientHeight || 108;
  const values = series.flat().filter((v) => v !== null && v !== undefined);
  svg.replaceChildren();
  if (!values.length) { svg.append(label(width / 2, height / 2, "no data", "middle")); return; }
  const top = nice(Math.max(...values, 1)), left = 30, bottom = height - 16;
  const span = Math.min(SPAN_S, Math.max(60, 60 * Math.ceil((latest.mono_s - points[0].mono_s) / 60)));
  const x = (i) => left + (width - left) * Math.min(1, Math.max(0, 1 - (latest.mono_s - points[i].mono_s) / span));
  const y = (v) => bottom - (bottom - 6) * v / top;
  for (const share of [0, 0.5, 1]) {
    svg.append(shape("line", { class: "grid", x1: left, x2: width, y1: y(top * share), y2: y(top * share) }));
    svg.append(label(left - 6, y(top * share) + 4, String(+(top * share).toFixed(1)), "end"));
  }
  svg.append(label(left, height - 2, `${span / 60} min ago`, "start"), label(width, height - 2, "now", "end"));
  series.forEach((line, which) => {
    for (const run of runs(line)) {
      const path = run.map((i, n) => `${n ? "L" : "M"}${x(i).toFixed(1)},${y(line[i]).toFixed(1)}`).join("");
      if (!which) svg.append(shape("path", { class: "area", d: `${path}L${x(run.at(-1))},${bottom}L${x(run[0])},${bottom}Z` }));
      svg.append(shape("path", { class: which ? "line second" : "line", d: path }));
    }
  });
}

function runs(line) { // stretches without a gap, as lists of indices
  const found = [];
  line.forEach((v, i) => {
    if (v === null || v === undefined) return;
    const last = found.at(-1);
    if (last && last.at(-1) === i - 1) last.push(i); else found.push([i]);
  });
  return found;
}

function nice(value) { // the next of 1, 2, 5 times a power of ten
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => value <= step * power);
}

function fill(table, rows, dress = () => {}) {
  table.tBodies[0].replaceChildren(...rows.map((cells, i) => {
    const row = document.createElement("tr");
    row.append(...cells.map((text) => element("td", text)));
    row.cells[0].classList.add("name");
    dress(row, i);
    return row;
  }));
}

function figure(id, value, unit = "") {
  $(id).replaceChildren(value, ...(unit ? [element("small", unit)] : []));
}

function pill(kind, text) { $("state").className = `pill ${kind}`; $("state").textContent = text; }
function veil(text) { $("veil").hidden = !text; $("veil").textContent = text; }
function element(kind, text) { const made = document.createElement(kind); made.textContent = text; return made; }
function shape(kind, attributes) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
function label(x, y, text, anchor) { const made = shape("text", { x, y, "text-anchor": anchor }); made.textContent = text; return made; }
function hottest(board) { const all = Object.values(board.temperatures_c); return all.length ? Math.max(...all) : null; }
function words(text) { return text.replaceAll("_", " "); }
function count(n) { return n.toLocaleString("en").replaceAll(",", "\u202f"); }
function duration(s) {
  const whole = Math.max(0, Math.round(s)), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
  return h ? `${h} h ${m} min` : m ? `${m} min ${whole % 60} s` : `${whole} s`;
}

setInterval(() => { if (latest && events.length) showLog(); }, 5000);
connect();
