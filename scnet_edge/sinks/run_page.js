"use strict";
const $ = id => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const { shots, areas, names } = data;
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const add = (parent, tag, text = "", name = "") => {
  const node = document.createElement(tag);
  node.textContent = text;
  node.className = name;
  return parent.appendChild(node);
};
let at = 0, timer = 0, chosen = null;

function layer(name) {
  const image = $(name), uri = shots[at][name];
  image.hidden = !uri || $("show-" + name).getAttribute("aria-pressed") !== "true";
  if (uri) image.src = uri;
}
function drawBox(index) {
  const box = $("box");
  box.hidden = !chosen || chosen.frame !== index;
  if (box.hidden) return;
  const [full_h, full_w] = data.sizes[index], [x0, y0, x1, y1] = chosen.bbox_xyxy;
  Object.assign(box.style, {
    left: `calc(${100 * x0 / full_w}% - 4px)`, top: `calc(${100 * y0 / full_h}% - 4px)`,
    width: `calc(${100 * (x1 - x0) / full_w}% + 8px)`, height: `calc(${100 * (y1 - y0) / full_h}% + 8px)`,
  });
}
function show(position) {
  at = Math.max(0, Math.min(shots.length - 1, position));
  const shot = shots[at], index = shot.index, [height, width] = shot.size_hw;
  $("shot").style.aspectRatio = `${width} / ${height}`;
  $("shot").style.maxWidth = `min(100%, ${(72 * width / height).toFixed(2)}vh)`;
  $("frame").src = shot.frame;
  ["mask", "edges", "truth"].forEach(layer);
  drawBox(index);
  const count = data.cracks_per_frame[index];
  $("where").replaceChildren();
  add($("where"), "b", `Frame ${index + 1} of ${areas.length}`);
  add($("where"), "span", `  ${names[index]} \u00b7 ${count} crack${count === 1 ? "" : "s"} \u00b7 ${grouped.format(areas[index])} px`, "soft");
  $("slider").value = at;
  $("selection").textContent = data.selection;
  const cursor = $("cursor");
  if (cursor) cursor.setAttribute("transform", `translate(${chartX(index)} 0)`);
}
function nearest(index) {
  const distance = position => Math.abs(shots[position].index - index);
  return shots.reduce((best, _, position) => distance(position) < distance(best) ? position : best, 0);
}
function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => show((at + 1) % shots.length), 180) : 0;
  $("play").textContent = on ? "Pause" : "Play";
}
const chartX = index => 1000 * (index + 0.5) / areas.length;
function drawChart() {
  const peak = Math.max(1, ...areas), y = area => (108 - 100 * area / peak).toFixed(1);
  const bar = Math.max(0.4, 1000 / areas.length * 0.8);
  const bars = areas.length <= 150
    ? areas.map((area, i) => `<rect x="${chartX(i) - bar / 2}" y="${y(area)}" width="${bar}" height="${(108 - y(area)).toFixed(1)}" fill="var(--crack)" fill-opacity=".75"/>`).join("")
    : `<path d="M${chartX(0)} 108 ${areas.map((area, i) => `L${chartX(i).toFixed(1)} ${y(area)}`).join(" ")} L${chartX(areas.length - 1)} 108Z" fill="var(--wash)" stroke="var(--crack)" stroke-width="1.5" vector-effect="non-scaling-stroke"/>`;
  $("chart").innerHTML = `<rect width="1000" height="110" fill="transparent"/><path d="M0 108.5H1000" stroke="var(--line)" vector-effect="non-scaling-stroke"/>${bars}<path id="cursor" d="M0 0V110" stroke="var(--ink)" stroke-width="1.5" vector-effect="non-scaling-stroke"/>`;
  $("peak").textContent = `peak ${grouped.format(Math.max(...areas))}`;
  $("first").textContent = "1";
  $("last").textContent = areas.length;
  const go = event => {
    const { left, width } = $("chart").getBoundingClientRect();
    chosen = null;
    play(false);
    show(nearest(Math.floor(areas.length * (event.clientX - left) / width)));
  };
  $("chart").addEventListener("pointerdown", go);
  $("chart").addEventListener("pointermove", event => event.buttons && go(event));
}
const COLUMNS = [ // title, key, digits after the point
  ["Frame", "frame", 0], ["Length px", "length_px", 0], ["Mean width px", "width_mean_px", 1],
  ["Max width px", "width_max_px", 1], ["Angle \u00b0", "angle_deg", 0], ["Area px", "area_px", 0],
];
function cellText(crack, key, digits) {
  if (key === "frame") return `${crack.frame + 1}  ${names[crack.frame]}`;
  if (crack[key] == null) return "\u2013";
  return crack[key].toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
function drawTable(column, descending) {
  const key = COLUMNS[column][1], sign = descending ? -1 : 1;
  const ordered = [...data.cracks].sort((a, b) => sign * ((a[key] ?? -1) - (b[key] ?? -1)));
  $("head").replaceChildren();
  COLUMNS.forEach(([title], i) => {
    const head = add($("head"), "th");
    if (i === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    add(head, "button", title).addEventListener("click", () => drawTable(i, i === column ? !descending : i > 0));
  });
  $("rows").replaceChildren();
  for (const crack of ordered) {
    const row = add($("rows"), "tr", "", crack === chosen ? "chosen" : "");
    row.tabIndex = 0;
    COLUMNS.forEach(([, key, digits], i) => {
      const cell = add(row, "td", cellText(crack, key, digits), i ? "" : "name");
      if (!i) cell.title = names[crack.frame];
    });
    const choose = () => {
      chosen = crack;
      play(false);
      const position = nearest(crack.frame), exact = shots[position].index === crack.frame;
      show(position);
      if (!exact) $("selection").textContent = `Frame ${crack.frame + 1} is not in this page; the nearest one is shown. ${data.selection}`;
      for (const other of $("rows").children) other.classList.toggle("chosen", other === row);
      $("shot").scrollIntoView({ behavior: "smooth", block: "center" });
    };
    row.addEventListener("click", choose);
    row.addEventListener("keydown", event => event.key === "Enter" && choose());
  }
}
function start() {
  $("source").textContent = data.facts.Source;
  document.title = `Crack report: ${data.facts.Source}`;
  for (const [label, value, note] of data.figures) {
    const figure = add($("figures"), "div");
    add(figure, "span", label, "label");
    add(figure, "b", value);
    add(figure, "span", note, "note");
  }
  for (const [label, text] of Object.entries(data.facts)) { add($("facts"), "dt", label); add($("facts"), "dd", text); }
  const slowest = data.stages.total[0] || 1;
  ["", "", "p50", "p95 ms"].forEach(text => add($("stages"), "span", text, "soft"));
  for (const [stage, [p50, p95]] of Object.entries(data.stages)) {
    add($("stages"), "span", stage);
    const track = add($("stages"), "div", "", "track");
    add(track, "div").style.width = `${100 * Math.min(1, p50 / slowest)}%`;
    add($("stages"), "span", p50.toFixed(1));
    add($("stages"), "span", p95.toFixed(1), "soft");
  }
  const rows = data.cracks.length, all = data.cracks_total;
  $("cracks-title").textContent = !all ? "No cracks found" : rows < all ? `The ${rows} longest of ${grouped.format(all)} cracks` : `${all} crack${all === 1 ? "" : "s"}`;
  if (rows) drawTable(1, true);
  for (const name of ["mask", "edges", "truth"]) {
    const button = $("show-" + name);
    button.hidden = !shots[0][name];
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      layer(name);
    });
  }
  $("slider").max = shots.length - 1;
  $("slider").addEventListener("input", event => { chosen = null; play(false); show(+event.target.value); });
  $("play").addEventListener("click", () => play(!timer));
  $("play").parentElement.hidden = $("timeline").hidden = shots.length < 2;
  if (areas.length > 1) drawChart();
  document.addEventListener("keydown", event => {
    if (event.target.tagName === "INPUT") return;
    if (event.key === "ArrowRight") show(at + 1);
    if (event.key === "ArrowLeft") show(at - 1);
  });
  show(nearest(areas.indexOf(Math.max(...areas))));
}
start();
