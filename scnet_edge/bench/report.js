const page = JSON.parse(document.getElementById("data").textContent);
const COLOURS = { fp32: "var(--fp32)", bf16: "var(--bf16)", fp16: "var(--fp16)", int8: "var(--int8)" };
const SHOWN_REASONS = 6;  // cases named for one reason; of more only the count
const { cases, words } = page;
const points = page.points.map((point) => ({ ...cases[point.case], ...point }));
const $ = (selector) => document.querySelector(selector);
const distinct = (values) => [...new Set(values)];
function node(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "circle", "text"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
function swatch(precision) { return node("i", { class: "swatch", style: `--c: ${COLOURS[precision]}` }); }

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
const known = (names, of) => Object.keys(names).filter((name) => points.some((p) => p[of] === name));
filter("scope", "Scope", known(words.scope, "scope"), (s) => [words.scope[s]], true);
filter("precision", "Precision", known(COLOURS, "precision"), (p) => [swatch(p), p.toUpperCase()], false);
filter("engine", "Engine", known(words.engine, "engine"), (e) => [glyph(e), words.engine[e]], false);
filter("mode", "Mode", distinct(cases.map((c) => c.mode)), (m) => [...(m === "plain" ? [] : [glyph("openvino", m)]), m], false);
filter("machine", "Machine", distinct(cases.map((c) => c.machine)), (m) => [m], false);
filter("model", "Model", distinct(cases.map((c) => c.model)), (m) => [m], false);
const wanted = (c) => ["precision", "engine", "mode", "machine", "model"].every((name) => chosen[name].has(c[name]));
const filtered = [];  // [element, the cases it is of]
function draw() {
  drawPlots(points.filter((p) => chosen.scope.has(p.scope) && wanted(p)), [...chosen.scope][0]);
  for (const [element, of] of filtered) element.hidden = !of.some((i) => wanted(cases[i]));
}

// ------------------------------------------------------------------- tables
function fill(table, { columns, groups }) {
  const left = (column) => column.looks === "text" || column.looks === "mark" ? { class: "left" } : {};
  table.append(node("thead", {}, node("tr", {}, ...columns.map((c) => node("th", left(c), c.text)))));
  for (const { title, lines } of groups) {
    const body = node("tbody");
    if (groups.length > 1) {
      const head = node("tr", { class: "machine" }, node("th", { colspan: columns.length, class: "left" }, node("span", {}, title)));
      if (lines.some((l) => l.case !== null)) filtered.push([head, lines.map((l) => l.case)]);
      body.append(head);
    }
    lines.forEach((line, i) => {
      const begins = i > 0 && lines[i - 1].cells[0] !== line.cells[0];
      const made = node("tr", begins ? { class: "begins" } : {}, ...line.cells.map((cell, at) => td(cell, columns[at], line)));
      if (line.case !== null) filtered.push([made, [line.case]]);
      body.append(made);
    });
    table.append(body);
  }
}
function td(cell, column, line) {
  const [text, title] = Array.isArray(cell) ? cell : [cell, ""];
  const shown = column.looks === "mark" ? [swatch(cases[line.case].precision), text] : column.looks === "strong" ? [node("b", {}, text)] : [text];
  return node("td", { ...(title && { title }), ...(["text", "mark"].includes(column.looks) && { class: "left" }) }, ...shown);
}
fill($("#cases"), page.every);
fill($("#costs"), page.costs);
fill($("#failures table"), page.failures);
if (!page.failures.groups.length) $("#failures").remove();
for (const [id, text] of [["subtitle", page.subtitle], ["few", page.few_frames], ["unsensed", page.unsensed]]) {
  $(`#${id}`).textContent = text;
  $(`#${id}`).hidden = !text;
}
$("#reading").append(...page.reading.map((text) => node("p", { class: "small soft" }, text)));
for (const { command, facts } of page.environments) {
  const list = node("dl", {}, node("dt", {}, "Command"), node("dd", {}, node("code", {}, command)));
  for (const [k, v] of Object.entries(facts)) list.append(node("dt", {}, k), node("dd", {}, v));
  $("#environment").append(list);
}
