// Reviewing a survey: the list, the record at hand, keys, and every change sent at once.

import { FilmView, clock } from "/film.js";
import { Stage } from "/stage.js";

const $ = (id) => document.getElementById(id);
const MARKS = { needs_review: "", accepted: "✓", rejected: "✕" };
const STATES = { needs_review: "to review", accepted: "accepted", rejected: "rejected" };
const AHEAD = 3; // records whose pictures are fetched before they are asked for

let records = []; // least certain first
let current = null;
let by = "";
let sending = Promise.resolve(); // changes go one after the other
let waiting = 0;
let failed = null; // the change that was not saved
const bySeq = new Map();
const rows = new Map();
const pictures = new Map(); // seq -> promise of an image
const stage = new Stage($("canvas"), showTools);
const film = new FilmView(veil);

// Loading

async function begin() {
  const survey = await asked("/survey.json");
  records = survey.records;
  for (const record of records) bySeq.set(record.seq, record);
  by = stored("name") || survey.by;
  document.title = `${survey.title} – review`;
  $("title").textContent = survey.title;
  $("place").textContent = survey.place;
  $("name").textContent = by;
  $("code").replaceChildren(...survey.choices.map((choice) => new Option(choice.text, `${choice.kind} ${choice.opening}`)));
  film.open(survey.film, survey.fps);
  $("see-film").disabled = !survey.film;
  if (!survey.film) $("see-film").title = "The film is not at hand; start with --film FILE";
  if (records.every((record) => record.review !== "needs_review")) $("filter").value = "all";
  saved("saved", `${records.length} records`);
  listRecords();
  go(visible()[0] || null);
}

async function asked(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  if (!answer.ok) throw new Error((await answer.text()).trim() || `status ${answer.status}`);
  return answer.json();
}

function picture(seq) {
  if (!pictures.has(seq)) {
    pictures.set(seq, new Promise((done) => {
      const image = new Image();
      image.onload = () => done(image);
      image.onerror = () => { pictures.delete(seq); done(null); };
      image.src = `/picture/${seq}.jpg`;
    }));
    if (pictures.size > 40) pictures.delete(pictures.keys().next().value);
  }
  return pictures.get(seq);
}

// The list

function visible() {
  const filter = $("filter").value, order = $("order").value;
  const kept = records.filter((record) => filter === "all" || record.review === (filter === "open" ? "needs_review" : filter));
  if (order === "place") kept.sort((a, b) => (a.start_m ?? Infinity) - (b.start_m ?? Infinity) || a.seq - b.seq);
  if (order === "seq") kept.sort((a, b) => a.seq - b.seq);
  return kept;
}

function listRecords() {
  const kept = visible();
  rows.clear();
  $("records").replaceChildren(...kept.map((record) => {
    const row = document.createElement("li"), button = document.createElement("button");
    button.append(span("name"), span("mark"), span("sub"), span("sub right"));
    button.onclick = () => go(record);
    row.append(button);
    rows.set(record.seq, row);
    showRow(record);
    return row;
  }));
  if (!kept.length) $("records").append(Object.assign(document.createElement("li"), { className: "none", textContent: "No record here." }));
}

function showRow(record) {
  const row = rows.get(record.seq);
  if (!row) return;
  const [name, mark, place, sure] = row.firstChild.children;
  row.className = record.review;
  row.classList.toggle("current", record === current);
  name.textContent = `${record.seq}  ${record.title}`;
  mark.textContent = MARKS[record.review];
  place.textContent = [record.place, record.aside].filter(Boolean).join(", ") || record.width;
  sure.textContent = percent(record.confidence);
}

function showCount() {
  const decided = records.filter((record) => record.review !== "needs_review");
  const accepted = decided.filter((record) => record.review === "accepted").length;
  $("bar").style.width = `${records.length ? (100 * decided.length) / records.length : 0}%`;
  $("progress").setAttribute("aria-valuenow", String(decided.length));
  $("progress").setAttribute("aria-valuemax", String(records.length));
  $("count").textContent = `${decided.length} of ${records.length} reviewed: ${accepted} accepted, ${decided.length - accepted} rejected`;
}

// The record at hand

async function go(record) {
  if (!leaves()) return;
  const before = current;
  current = record;
  if (before) showRow(before);
  showCount();
  showRecord();
  if (!record) { stage.show(null, [], null); veil(records.length ? "All of these are reviewed" : "This survey has no record"); return; }
  showRow(record);
  showInList(rows.get(record.seq));
  if (film.shown) film.go(record.time_s ?? 0);
  await showPicture(record);
  for (const ahead of openAfter(record, AHEAD)) if (ahead.picture) picture(ahead.seq);
}

async function showPicture(record) {
  if (!record.picture) {
    stage.show(null, [], null);
    veil("No picture of this record was kept" + (film.film ? "; the film may show it (F)" : ""));
    return;
  }
  const outline = asked(`/outline/${record.seq}.json`).catch(() => []);
  const image = await picture(record.seq);
  if (record !== current) return;
  stage.show(image, [], record.bbox_xyxy);
  veil(image ? "" : "The picture cannot be read");
  const rings = await outline;
  if (record === current && image && !stage.editing) stage.show(image, rings, record.bbox_xyxy);
  $("canvas").dataset.seq = String(record.seq);
}

function showRecord() {
  const record = current;
  for (const id of ["accept", "reject", "code", "clock-from", "clock-to", "remarks"]) $(id).disabled = !record;
  $("number").textContent = record ? `No. ${record.seq}` : "";
  $("state").textContent = record ? STATES[record.review] : "";
  $("state").className = `pill ${record ? record.review : ""}`;
  $("what").textContent = record ? record.title : "";
  $("aside").hidden = !(record && record.aside);
  $("aside").textContent = record && record.aside ? `Stands aside in the report: ${record.aside}` : "";
  const facts = !record ? [] : [  // the clock stands in its fields, below
    ["Chainage", record.place], ["Width", record.width], ["Length", record.length],
    ["Certainty", percent(record.confidence)], ["Code", record.codes.join(" / ")],
    ["In the film", record.time_s === null ? "" : clock(record.time_s)],
    ["Reviewed", record.by && `${record.by}, ${record.utc.slice(0, 16).replace("T", " ")} UTC`],
  ].filter(([, text]) => text);
  $("facts").replaceChildren(...facts.flatMap(([label, text]) => [element("dt", label), element("dd", text)]));
  $("notes").textContent = record ? record.notes.join("; ") : "";
  $("code").value = record && record.opening ? `${record.kind} ${record.opening}` : "";
  const [from, to] = record ? record.clock_h : [null, null];
  $("clock-from").value = hours(from);
  $("clock-to").value = hours(to);
  for (const id of ["clock-from", "clock-to"]) $(id).classList.remove("wrong");
  $("remarks").value = record ? record.remarks : "";
  showTools();
}

function showInList(row) { // within the list alone: the page stays where it is
  const list = $("records");
  if (!row) return;
  const above = row.offsetTop - list.offsetTop - list.scrollTop;
  if (above < 0) list.scrollTop += above;
  else list.scrollTop += Math.max(0, above + row.offsetHeight - list.clientHeight);
}

function openAfter(record, count) { // the next ones to review, around the end to the beginning
  const listed = visible(), at = listed.indexOf(record);
  const others = at < 0 ? listed : [...listed.slice(at + 1), ...listed.slice(0, at)];
  return others.filter((other) => other.review === "needs_review" && other !== record).slice(0, count);
}

function step(way) {
  const listed = visible(), at = listed.indexOf(current);
  const next = at < 0 ? listed[0] : listed[at + way];
  if (next) go(next);
}

function leaves() { // an outline that is being edited is not lost by a key
  if (!stage.editing || !stage.past.length) return true;
  hint("Save the outline (Enter) or cancel (Esc) first");
  return false;
}

// Changes

function say(record, said) {
  if (!record) return Promise.resolve(false);
  return send(`/review/${record.seq}`, { by, ...said }, `No. ${record.seq}`);
}

function send(path, body, what) {
  waiting += 1;
  saved("saving", "saving");
  sending = sending.then(async () => {
    try {
      take(await asked(path, body));
      return true;
    } catch (error) {
      failed = { path, body, what };
      $("trouble").hidden = false;
      $("trouble-text").textContent = `${what} was not saved: ${error.message}`;
      $("again").hidden = path === "/undo";
      return false;
    } finally {
      waiting -= 1;
      if (!waiting) saved($("trouble").hidden ? "saved" : "failed", $("trouble").hidden ? `saved ${new Date().toLocaleTimeString([], { hour12: false })}` : "not saved");
    }
  });
  return sending;
}

function take(record) { // as the server has it now
  const known = bySeq.get(record.seq);
  Object.assign(known, record);
  showRow(known);
  showCount();
  if (known === current) showRecord();
}

function decide(review) {
  const record = current;
  if (!record || !leaves()) return;
  const next = openAfter(record, 1)[0] || null;
  const before = record.review;
  record.review = review; // shown at once; taken back if it is not saved
  const listed = visible();
  say(record, { review }).then((done) => { if (!done) { record.review = before; listRecords(); showCount(); } });
  if ($("filter").value === "open") { rows.get(record.seq)?.remove(); rows.delete(record.seq); } else showRow(record);
  go(next || (listed.includes(record) ? record : null));
}

async function undo() {
  if (stage.editing) { stage.stepBack(); return; }
  const before = new Map(records.map((record) => [record.seq, record.utc + record.review]));
  if (!(await send("/undo", { by }, "The undo"))) return;
  listRecords();
  const changed = records.find((record) => before.get(record.seq) !== record.utc + record.review);
  pictures.clear();
  go(changed || current);
}

async function saveOutline() {
  if (!stage.editing) return;
  if (stage.drawing) { stage.close(); return; }
  const record = current;
  if (stage.past.length && !(await say(record, { rings: stage.rings }))) return;
  stage.stop();
  if (record === current) showPicture(record);
}

function saveClock() {
  const typed = [$("clock-from"), $("clock-to")];
  if (!typed[1].value.trim()) typed[1].value = typed[0].value;
  // A field that was not touched keeps what it was shown of, to the minute.
  const clock_h = typed.map((input, i) => (input.value === hours(current.clock_h[i]) ? current.clock_h[i] : parsedHours(input.value)));
  typed.forEach((input, i) => input.classList.toggle("wrong", clock_h[i] === null));
  if (current && !clock_h.includes(null)) say(current, { clock_h });
}

function saveCode() {
  const [kind, opening] = $("code").value.split(" ");
  say(current, { kind, opening });
}

// Controls

function showTools() {
  const editing = stage.editing;
  $("switch").hidden = editing;
  $("picture-tools").hidden = editing || film.shown;
  $("edit-tools").hidden = !editing;
  $("film-tools").hidden = !film.shown;
  $("overlay").setAttribute("aria-pressed", String(stage.overlay));
  $("edit").disabled = !stage.image;
  $("edit-new").setAttribute("aria-pressed", String(Boolean(stage.drawing)));
  $("edit-point").disabled = $("edit-ring").disabled = !stage.selected;
  $("edit-back").disabled = !stage.past.length && !stage.drawing;
  if (stage.drawing) hint("Tap points around the crack; tap the first one again, or Enter, closes it");
  else if (editing) hint("Drag a point; drag a small circle for a new point; tap a point twice to remove it");
  else if (film.shown) hint(film.plays ? "" : "This film's format does not play in a browser: single pictures, by , and .");
  else hint(matchMedia("(pointer: coarse)").matches ? "" : "A accept, R reject, N next, U undo, F film, ? all keys");
}

function seeFilm(shown) {
  if (shown && (!film.film || !leaves())) return;
  if (shown && stage.editing) stage.giveUp();
  $("canvas").hidden = shown;
  $("see-film").setAttribute("aria-pressed", String(shown));
  $("see-picture").setAttribute("aria-pressed", String(!shown));
  film.show(shown, current?.time_s);
  veil("");
  if (!shown && current) showPicture(current);
  showTools();
}

const KEYS = {
  a: () => decide("accepted"), r: () => decide("rejected"),
  n: () => (stage.editing ? stage.begin() : step(1)), ArrowRight: () => step(1),
  p: () => step(-1), ArrowLeft: () => step(-1), u: undo,
  o: () => { stage.overlay = !stage.overlay; stage.draw(); showTools(); },
  z: () => stage.fit("crack"), 0: () => stage.fit("whole"), 1: () => stage.fit("full"),
  "+": () => stage.zoom(1.3), "-": () => stage.zoom(1 / 1.3),
  e: () => { if (stage.image && !film.shown) stage.edit(); }, Enter: saveOutline,
  Escape: () => { if (stage.drawing) stage.begin(); else if (stage.editing) stage.giveUp(); },
  x: () => stage.removePoint(), Delete: () => stage.removePoint(),
  f: () => seeFilm(!film.shown), ",": () => film.step(0, -1), ".": () => film.step(0, 1),
  c: () => $("code").focus(), k: () => $("clock-from").select(), m: () => $("remarks").focus(),
  "?": () => $("keys").showModal(),
};

document.addEventListener("keydown", (e) => {
  if (document.querySelector("dialog[open]")) return;
  const field = e.target.closest?.("input, textarea, select");
  if (field) {
    if (e.key === "Escape" || (e.key === "Enter" && field.tagName === "INPUT")) field.blur();
    return;
  }
  if (e.altKey || e.metaKey || (e.ctrlKey && e.key !== "z")) return;
  if (e.key === "Enter" && e.target.tagName === "BUTTON") return;
  const act = e.ctrlKey ? undo : KEYS[e.key] || KEYS[e.key.toLowerCase()];
  if (!act || (e.repeat && "ar".includes(e.key))) return;
  e.preventDefault();
  act();
});

const CLICKS = {
  accept: KEYS.a, reject: KEYS.r, next: () => step(1), previous: KEYS.p, undo, overlay: KEYS.o,
  "zoom-crack": KEYS.z, "zoom-fit": KEYS[0], "zoom-full": KEYS[1], edit: KEYS.e,
  "edit-save": saveOutline, "edit-cancel": () => stage.giveUp(), "edit-back": undo, "edit-new": () => stage.begin(),
  "edit-point": KEYS.x, "edit-ring": () => stage.removeRing(),
  "see-picture": () => seeFilm(false), "see-film": () => seeFilm(true), "film-here": () => film.go(current?.time_s ?? 0),
  help: KEYS["?"], name: askName,
  again: () => { $("trouble").hidden = true; if (failed) send(failed.path, failed.body, failed.what).then(listRecords); },
};
for (const [id, act] of Object.entries(CLICKS)) $(id).addEventListener("click", act);
for (const button of document.querySelectorAll("[data-step]")) button.addEventListener("click", () => film.step(Number(button.dataset.step)));
for (const button of document.querySelectorAll("[data-frames]")) button.addEventListener("click", () => film.step(0, Number(button.dataset.frames)));
for (const id of ["filter", "order"]) $(id).addEventListener("change", () => { $(id).blur(); listRecords(); if (!visible().includes(current)) go(visible()[0] || null); });
$("code").addEventListener("change", saveCode);
for (const id of ["clock-from", "clock-to"]) $(id).addEventListener("change", saveClock);
$("remarks").addEventListener("change", () => say(current, { remarks: $("remarks").value }));
$("who-form").addEventListener("submit", () => {
  by = $("who-name").value.trim() || by;
  localStorage.setItem("scnet-edge-name", by);
  $("name").textContent = by;
});
window.addEventListener("beforeunload", (e) => { if (waiting || (stage.editing && stage.past.length)) e.preventDefault(); });

function askName() { $("who-name").value = by; $("who").showModal(); $("who-name").select(); }
function stored(what) { return localStorage.getItem(`scnet-edge-${what}`); }
function saved(kind, text) { $("saved").className = `pill ${kind}`; $("saved").textContent = text; if (kind === "saved") $("trouble").hidden = true; }
function veil(text) { $("veil").hidden = !text; $("veil").textContent = text; }
function hint(text) { $("hint").textContent = text; }
function span(kind) { return Object.assign(document.createElement("span"), { className: kind }); }
function element(kind, text) { return Object.assign(document.createElement(kind), { textContent: text }); }
function percent(share) { return `${Math.round(100 * share)} %`; }
function hours(h) { // 2.5 -> 2:30, to five minutes, as the report writes it
  if (h === null) return "";
  const minutes = (Math.round(h * 12) * 5) % 720;
  return `${Math.floor(minutes / 60) || 12}:${String(minutes % 60).padStart(2, "0")}`;
}
function parsedHours(text) { // 2:30, 2.5, 2,5 or 14 h of none; null where it is no clock position
  const match = /^(\d{1,2})(?::([0-5]\d)|[.,](\d+))?$/.exec(text.trim());
  if (!match) return null;
  const h = Number(match[1]) + Number(match[2] || 0) / 60 + Number(`0.${match[3] || 0}`);
  return h > 12 ? null : h % 12;
}

begin().catch((error) => { saved("failed", "cannot be read"); veil(error.message); });
