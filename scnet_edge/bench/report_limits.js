// How near each engine comes to what the machine's convolutions attain, and where the rest of its time goes.
const SORTS = [  // of OpenVINO's layers, in words
  ["convolutions", /^(Group|De)?[Cc]onvolution/], ["element-wise layers", /^(Subgraph|Eltwise|Math|FakeQuantize)/],
  ["matrix products", /^(FullyConnected|MatMul)/], ["pooling and resizing", /^(MaxPool|AvgPool|Pooling|Interpolate)/],
  ["moving data", /^(Reorder|Concat|VariadicSplit|Split|Slice|Transpose|DepthToSpace|Convert|StridedSlice)/],
];
const SHADES = ["var(--accent)", "#f08a5d", "#6a8caf", "#8d6fb0", "#4f9d8f", "#b9a44c", "#8a8d92"];

// [what, ms] of the parts of a frame's time, which add up to all of it.
function partsOf(r) {
  const total = r.latency_ms.p50, ideal = total * r.limit.share, sorts = new Map(SORTS.map(([what]) => [what, 0]).concat([["other layers", 0]]));
  const scale = Math.min(1, total / r.profile.total_ms);  // counters cost a little themselves
  for (const [kind, ms] of Object.entries(r.profile.by_kind_ms)) {
    const [what] = SORTS.find(([, pattern]) => pattern.test(kind)) || ["other layers"];
    sorts.set(what, sorts.get(what) + scale * ms);
  }
  const slower = sorts.get("convolutions") - ideal;
  sorts.delete("convolutions");
  const rest = [...sorts].filter(([, ms]) => ms > 0).sort((a, b) => b[1] - a[1]);
  return [["the convolutions at the limit", ideal], ["convolutions slower than that", Math.max(0, slower)], ...rest,
    ["outside the layers", Math.max(0, total - scale * r.profile.total_ms)]].filter(([, ms]) => ms >= .005 * total);
}

function explained(r) {
  const limit = `${r.gflop.toFixed(1)} GFLOP of convolutions a frame would take ${fps(1e3 * r.gflop / r.limit.limit_gops)} ms at ${r.limit.limit_gops.toFixed(0)} GOP/s, `
    + `the best this machine attained in ${r.limit.arithmetic.toUpperCase()}; the engine takes ${fps(r.latency_ms.p50)} ms.`;
  if (!r.profile) return [node("p", { class: "small" }, `${limit} Where the other ${percent(1 - r.limit.share)} go is not known: ${ENGINES[r.engine]}'s own counters are not read.`)];
  const parts = partsOf(r), total = r.latency_ms.p50, [, ...rest] = parts;
  const bar = node("div", { class: "parts" }, ...parts.map(([what, ms], i) => node("i", { title: `${what}: ${fps(ms)} ms`, style: `flex: ${ms}; background: ${SHADES[i]}` })));
  const words = rest.map(([what, ms], i) => node("span", { class: "part" }, node("i", { class: "swatch", style: `--c: ${SHADES[i + 1]}` }), `${what} ${fps(ms)} ms (${percent(ms / total)})`));
  const spent = r.profile.worst.reduce((sum, w) => sum + w.ms, 0) / r.profile.total_ms;
  const floating = Object.entries(r.profile.by_kind_ms).filter(([kind]) => /^Convolution.*_(f32|bf16)$/.test(kind)).reduce((sum, [, ms]) => sum + ms, 0);
  const mixed = r.precision === "int8" && floating ? ` ${percent(floating / r.profile.total_ms)} of the time are convolutions that INT8 leaves in floating point, mostly 1×1.` : "";
  return [node("p", { class: "small" }, limit), bar, node("p", { class: "small" }, "Where the rest goes: ", ...words),
    node("p", { class: "small" }, `The ten slowest layers below take ${percent(spent)} of the time.${mixed}`)];
}

function layersOf(r) {
  const grid = node("div", { class: "layers" }, ...["layer", "ms", "share", "GOP/s", "of limit"].map((t, i) => node("span", { class: i ? "soft" : "what soft" }, t)));
  for (const w of r.profile.worst) {
    const gops = w.gflop ? 1e3 * w.gflop / w.ms : null;
    grid.append(node("span", { class: "what" }, `${w.name} · ${w.kind}`), node("span", {}, w.ms.toFixed(2)), node("span", {}, percent(w.ms / r.profile.total_ms)),
      node("span", {}, fixed(gops, 0)), node("span", {}, gops && r.limit ? percent(gops / r.limit.limit_gops) : "–"));
  }
  return grid;
}

const limits = $("#limits");
for (const result of results.filter((result) => result.limits)) {
  const l = result.limits, of = distinct(l.rates.map((r) => r.arithmetic)), best = (a) => Math.max(...l.rates.filter((r) => r.arithmetic === a).map((r) => r.gops));
  limits.append(node("p", {}, `${hostOf(result.environment)}: six equal 3×3 convolutions in a row attain at best ${of.map((a) => `${best(a).toFixed(0)} GOP/s in ${a.toUpperCase()}`).join(", ")}; memory copies ${l.bandwidth_gb_s.toFixed(0)} GB/s.`));
  const shapeOf = (r) => `${r.channels[0]} channels, ${size(r)}`, table = node("table");
  const rate = (shape, a) => l.rates.find((r) => r.arithmetic === a && shapeOf(r) === shape);
  fill(table, [["layer", 1], ...of.map((a) => [`${a.toUpperCase()} GOP/s`])],
    distinct(l.rates.map(shapeOf)).map((shape) => ({ cells: [shape, ...of.map((a) => fixed(rate(shape, a)?.gops, 0))] })));
  limits.append(node("details", {}, node("summary", { class: "soft" }, "Every shape of layer"), node("div", { class: "wide" }, table)));
}
for (const { engine: r } of cases.filter((c) => c.engine && (c.engine.limit || c.engine.profile))) {
  const meter = node("span", { class: "meter", style: `--c: ${COLOURS[r.precision]}` }, node("i", { style: `width: ${100 * Math.min(1, r.limit?.share || 0)}%` }));
  const title = node("summary", {}, meter, node("b", {}, r.limit ? percent(r.limit.share) : "–"), ` ${r.name}, ${label(r)}${devices.length ? `, ${r.host}` : ""}`);
  if (r.limit && r.profile) title.append(node("span", { class: "soft small" }, partsOf(r).slice(1, 4).map(([what, ms]) => ` · ${what} ${percent(ms / r.latency_ms.p50)}`).join("")));
  const box = node("details", {}, title);
  if (r.limit) box.append(...explained(r));
  if (r.profile) box.append(layersOf(r));
  filtered.push([box, r]);
  limits.append(box);
}
if (limits.children.length === 1) limits.remove();
draw();
new ResizeObserver(() => draw()).observe($("#plot"));
