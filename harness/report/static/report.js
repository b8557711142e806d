// Draws the charts of a report from the JSON in #data. Text of others becomes text nodes, never markup.
(() => {
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const US = 1e6;
const colour = name => resolved(name);
const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);
let palette = new Map();

// A custom property as the browser resolves it for the theme in use: light-dark() needs an element.
function resolved(name) {
  if (!palette.has(name)) {
    probe.style.color = `var(--${name})`;
    palette.set(name, getComputedStyle(probe).color);
  }
  return palette.get(name);
}

function element(tag, text, parent, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  if (parent) parent.append(made);
  return made;
}

// Three digits that matter, rounded as Python does for the tables: by the exact value of the float, of which
// only multiples of 1/16 can lie in the middle, and go to the even digit.
function digits(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  const places = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const near = value * 16 % 1 ? Number(value.toFixed(places)) : value;
  return near.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places, roundingMode: "halfEven" });
}
const tick = value => value === null ? "" : Number(value.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 6 });
const runs = data.kind === "comparison" ? [data.a, data.b] : [data];
const laneSource = holder => holder.closest("[data-clock]") ? data.captures[holder.closest("[data-clock]").dataset.clock] : runOf(holder);
const runOf = holder => holder.dataset.run === "b" ? data.b : holder.dataset.run === "a" ? data.a : data;

// ---- what all charts share ---------------------------------------------------------------------

const charts = new Map();          // holder -> {plot, clock (of charts over time), points, keys}

// Charts over time that share a zoom share a clock: those of a run, of exchanges from t0, of each capture.
const clocks = new Map();
function clockOf(place) {
  const name = place.closest("[data-clock]")?.dataset.clock ?? "time";
  if (!clocks.has(name)) {
    const span = name === "time" ? timeSpan() : laneSpan(data.captures[name].lanes);
    clocks.set(name, { name, span, view: span, sync: uPlot.sync(name) });
  }
  return clocks.get(name);
}

const wider = ([low, high]) => { const margin = Math.max(1e-3, high - low) * 0.01; return [low - margin, high + margin]; };
function laneSpan(lanes, [low, high] = [0, 0.001]) {
  for (const { at_s } of lanes) {
    if (at_s.length) { low = Math.min(low, at_s[0]); high = Math.max(high, at_s.at(-1)); }
  }
  return wider([low, high]);
}

function timeSpan() {
  if (data.kind === "recording") {
    const ends = data.timelines.end_us.concat(data.timelines.marks_us.map(marks => marks.at(-1) ?? 0));
    return [0, Math.max(1e-3, ends.reduce((most, end) => Math.max(most, end ?? 0), 0) / US) * 1.01];
  }
  let high = 0.001;
  for (const run of runs) {
    for (const over of run.over_time ?? []) high = Math.max(high, over.at_s.at(-1), over.dots_s.at(-1));
    const fall = run.waterfall;
    if (fall) for (let i = 0; i < fall.sent_us.length; i++) {
      high = Math.max(high, (fall.sent_us[i] + fall.end_us[i]) / US);
    }
  }
  return laneSpan(runs.flatMap(run => run.lanes ?? []), [0, high]);
}

function axis(more) {
  return {
    stroke: () => colour("muted"), font: "12px system-ui, sans-serif", gap: 4,
    grid: { stroke: () => colour("grid"), width: 1 }, ticks: { stroke: () => colour("grid"), width: 1, size: 4 },
    values: (u, splits) => splits.map(tick), ...more,
  };
}
const timeAxis = () => axis({ size: 28, values: (u, splits) => splits.map(v => `${tick(v)} s`) });

function options(holder, more) {
  const high = parseInt(getComputedStyle(holder).getPropertyValue("--high"), 10);
  return {
    width: Math.max(200, holder.clientWidth), height: high - (more.legend?.show === false || holder.closest(".lanes") ? 0 : 24),
    pxAlign: 1, padding: [8, 20, 0, 0],
    ...more,
    cursor: { points: { size: 7 }, drag: { x: false, y: false }, ...more.cursor },
    legend: { markers: { width: 0, fill: (u, i) => `var(--${u.series[i].named ?? "muted"})` }, ...more.legend },
  };
}

function line(label, name, more) {
  return { label, named: name, stroke: () => colour(name), width: 1.75, points: { show: false }, spanGaps: true,
    value: (u, v) => digits(v), ...more };
}

// ---- charts over the time of the run: one view for all -----------------------------------------

function overTimeOptions(holder, more) {
  const clock = clockOf(holder);
  return options(holder, {
    ...more,
    scales: { x: { time: false, range: () => clock.view }, ...more.scales },
    cursor: { sync: { key: clock.name, setSeries: false, scales: ["x", null] }, drag: { x: true, y: false, setScale: false }, ...more.cursor },
    hooks: { ...more.hooks, setSelect: [u => {
      if (u.select.width > 3) setView(clock, u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    }] },
  });
}

function setView(clock, low, high) {
  const { span } = clock, least = (span[1] - span[0]) / 1e5;
  const width = Math.min(Math.max(high - low, least), span[1] - span[0]);
  const start = Math.min(Math.max(low, span[0]), span[1] - width);
  clock.view = [start, start + width];
  root.dataset.view = clock.view.map(v => v.toFixed(4)).join(" ");
  for (const chart of charts.values()) if (chart.clock === clock) chart.plot.setScale("x", { min: start, max: start + width });
}
function zoomed(clock, factor) {
  const middle = (clock.view[0] + clock.view[1]) / 2, half = (clock.view[1] - clock.view[0]) / 2 * factor;
  setView(clock, middle - half, middle + half);
}
const moved = (clock, share) => { const by = (clock.view[1] - clock.view[0]) * share; setView(clock, clock.view[0] + by, clock.view[1] + by); };
const ZOOMS = { in: clock => zoomed(clock, 0.5), out: clock => zoomed(clock, 2), reset: clock => setView(clock, ...clock.span) };
const KEYS = { "+": ZOOMS.in, "=": ZOOMS.in, "-": ZOOMS.out, "_": ZOOMS.out, "Escape": ZOOMS.reset, "Home": ZOOMS.reset, "0": ZOOMS.reset,
  "ArrowLeft": clock => moved(clock, -0.25), "ArrowRight": clock => moved(clock, 0.25) };

// Dots are drawn beside the lines, those above the scale at its upper edge.
function drawDots(u, over) {
  const { left, top, width, height } = u.bbox, context = u.ctx, size = 3 * devicePixelRatio;
  const [low, high] = [u.scales.x.min, u.scales.x.max], most = u.scales.y.max;
  context.save();
  context.beginPath(); context.rect(left, top, width, height); context.clip();
  context.fillStyle = colour("dot");
  const above = [];
  for (let i = 0; i < over.dots_s.length; i++) {
    const at = over.dots_s[i];
    if (at < low || at > high) continue;
    const x = u.valToPos(at, "x", true);
    if (over.dots_ms[i] > most) { above.push(x); continue; }
    context.fillRect(x - size / 2, u.valToPos(over.dots_ms[i], "y", true) - size / 2, size, size);
  }
  context.fillStyle = colour("bad");
  for (const x of above) {
    context.beginPath();
    context.moveTo(x, top + 1); context.lineTo(x - size, top + 1 + 2 * size); context.lineTo(x + size, top + 1 + 2 * size);
    context.fill();
  }
  context.restore();
}

// The upper end of a latency's scale: what the lines need, and most of the dots; outliers stand at the edge.
function top(clock, over) {
  const { view } = clock, dots = over.dots_ms.filter((_, i) => over.dots_s[i] >= view[0] && over.dots_s[i] <= view[1]).sort((a, b) => a - b);
  let most = dots.length ? dots[Math.min(dots.length - 1, Math.floor(dots.length * 0.985))] : 0;
  for (const values of [over.p99_ms]) {
    values.forEach((v, i) => { if (v !== null && over.at_s[i] >= view[0] && over.at_s[i] <= view[1]) most = Math.max(most, v); });
  }
  return most ? most * 1.15 : 1;
}

// The scale of latencies: from zero, or logarithmic from the least value on.
const logScale = document.getElementById("log");
function latencyScale(holder, ...over) {
  const clock = clockOf(holder), most = () => Math.max(...over.map(one => top(clock, one)));
  if (!logScale?.checked) return { range: () => [0, most()] };
  const known = over.flatMap(o => [...o.dots_ms, ...o.p50_ms].filter(v => v > 0));
  if (!known.length) return { range: () => [0, 1] };
  const [least, highest] = known.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, 0]);
  return { distr: 3, clamp: least, range: () => [least * 0.9, highest * 1.2] };
}

const BUILDERS = {
  overtime(holder) {
    if (data.kind === "comparison") return comparedOverTime(holder);
    const over = runOf(holder).over_time[holder.dataset.index];
    const plot = new uPlot(overTimeOptions(holder, {
      scales: { y: latencyScale(holder, over) },
      axes: [timeAxis(), axis({ size: 56, label: "ms", labelSize: 16, labelFont: "12px system-ui" })],
      series: [{ label: "at", value: (u, v) => v === null ? "–" : `${digits(v)} s` },
        line("p50 ms", "s1", { width: 2.25 }), line("p90 ms", "s2"), line("p99 ms", "s3")],
      hooks: { drawClear: [u => drawDots(u, over)] },
    }), [over.at_s, over.p50_ms, over.p90_ms, over.p99_ms], holder);
    return { plot, clock: clockOf(holder), points: over.dots_s.length + over.at_s.length };
  },

  lane(holder) {
    const { lanes, gpu } = laneSource(holder), lane = lanes[holder.dataset.index];
    const most = lane.unit === "%" ? [0, 104] : null, isLast = Number(holder.dataset.index) === lanes.length - 1;
    const plot = new uPlot(overTimeOptions(holder, {
      scales: { y: { range: (u, low, high) => most ?? [0, (high || 1) * 1.15] } },
      axes: [axis({ size: isLast ? 28 : 8, values: (u, splits) => splits.map(v => isLast ? `${tick(v)} s` : "") }), axis({ size: 56, space: 26 })],
      series: [{ label: "at", value: (u, v) => v === null ? "–" : `${digits(v)} s` },
        ...lane.series.map((s, i) => line(s.name, `s${i % 4 + 1}`, i || lane.series.length > 1 ? {} : { fill: () => colour("dot") }))],
      hooks: { draw: [u => drawMarks(u, gpu)] },
    }), [lane.at_s, ...lane.series.map(s => s.values)], holder);
    return { plot, clock: clockOf(holder), points: lane.at_s.length };
  },

  distribution(holder) {
    const named = data.kind === "recording" ? [data.models[holder.dataset.index][holder.dataset.run]] : null;
    const shown = named ?? (data.kind === "comparison"
      ? runs.map(run => run.latencies.find(found => found.name === holder.dataset.index))
      : [data.latencies[holder.dataset.index]]);
    const [low, high] = [Math.min(...shown.map(d => d.edges_ms[0])), Math.max(...shown.map(d => d.edges_ms.at(-1)))];
    const isLog = high / low > 8;
    const inside = shown.length === 1 ? shown[0] : null;
    const tables = shown.map(d => [[d.edges_ms[0], ...d.curve_ms.map(at => Math.max(at, d.edges_ms[0]))], [0, ...d.curve_share.map(s => s * 100)]]);
    const joined = tables.length === 1 ? ascending(tables[0]) : uPlot.join(tables.map(ascending));
    const plot = new uPlot(options(holder, {
      padding: [inside ? 18 : 8, 20, 0, 0],
      scales: { x: { time: false, distr: isLog ? 3 : 1, range: () => [low, high] }, y: { range: () => [0, 100] } },
      axes: [isLog ? logAxis() : axis({ size: 28 }),
        axis({ size: 46, values: (u, s) => s.map(v => `${v} %`), splits: () => [0, 25, 50, 75, 100] })],
      series: [{ label: "ms", value: (u, v) => digits(v) },
        ...shown.map((d, i) => line(shown.length > 1 ? "AB"[i] : "share", `s${i + 1}`, { value: (u, v) => v === null || v === undefined ? "–" : `${digits(v)} %`, width: 2, paths: uPlot.paths.stepped({ align: 1 }) }))],
      hooks: { drawClear: [u => inside && drawBars(u, inside)], draw: [u => inside && drawQuantiles(u, inside)] },
    }), joined, holder);
    return { plot, points: shown.reduce((sum, d) => sum + d.counts.length, 0) };
  },

  sweep(holder) {
    const key = holder.dataset.index, isEnergy = key === "joules", across = isEnergy ? "level" : "tokens_per_s";
    const lines = isEnergy ? [["tokens_per_joule", "tokens/J", "s4"]] : [[`${key}_p50_ms`, "p50 ms", "s1"], [`${key}_p99_ms`, "p99 ms", "s3"]];
    const steps = data.sweep.filter(s => s[across] !== null && s[lines[0][0]] !== null);
    const order = [...steps].sort((a, b) => a[across] - b[across]);
    const [unit, scale] = isEnergy ? ["tokens/J", steps.every(s => s.load.endsWith("at once")) ? "at once" : "requests/s"] : ["ms", "output tokens/s"];
    const plot = new uPlot(options(holder, {
      scales: { x: { time: false, range: (u, a, b) => [0, (b || 1) * 1.12] }, y: { range: (u, a, b) => [0, (b || 1) * 1.18] } },
      axes: [axis({ size: 28, values: (u, s) => s.map(tick), label: scale, labelSize: 16, labelFont: "12px system-ui" }), axis({ size: 56, label: unit, labelSize: 16, labelFont: "12px system-ui" })],
      series: [{ label: scale, value: (u, v, i, at) => at === null ? "–" : `${digits(v)} (${order[at].load})` },
        ...lines.map(([, label, name]) => line(label, name, { paths: () => null, points: { show: true, size: 8, width: 2, fill: () => colour("card"), stroke: () => colour(name) } }))],
      hooks: { drawAxes: [u => lines.forEach(([field, , name], i) => drawPath(u, isEnergy ? order : steps, across, field, name, i === lines.length - 1))] },
    }), [order.map(s => s[across]), ...lines.map(([field]) => order.map(s => s[field]))], holder);
    return { plot, points: steps.length };
  },

  // Cumulative curves of both paths of a gateway, a colour a level of concurrency.
  paths(holder) {
    const key = holder.dataset.index;
    const lines = data.levels.flatMap((level, i) => [["direct", level.direct], ["gateway", level.gateway]]
      .filter(([, path]) => path?.[key]).map(([name, path]) => ({ name, level: level.concurrency, colour: `s${i % 4 + 1}`, of: path[key] })));
    const low = Math.max(LEAST_MS, Math.min(...lines.map(l => l.of.curve_ms[0]))), high = Math.max(low * 10, ...lines.map(l => l.of.spread.max));
    const tables = lines.map(({ of }) => ascending([[low, ...of.curve_ms.map(at => Math.max(at, low))], [0, ...of.curve_share.map(s => s * 100)]]));
    const plot = new uPlot(options(holder, {
      scales: { x: { time: false, distr: 3, range: () => [low, high] }, y: { range: () => [0, 100] } },
      axes: [logAxis("ms"), axis({ size: 46, values: (u, s) => s.map(v => `${v} %`), splits: () => [0, 25, 50, 75, 100] })],
      series: [{ label: "ms", value: (u, v) => digits(v) }, ...lines.map(l => line(l.name === "direct" ? `${l.level} direct` : `${l.level} at once`, l.colour,
        { value: (u, v) => v === null || v === undefined ? "–" : `${digits(v)} %`, dash: l.name === "direct" ? [4, 4] : undefined, width: 2, paths: uPlot.paths.stepped({ align: 1 }) }))],
    }), uPlot.join(tables), holder);
    return { plot, points: tables.reduce((sum, t) => sum + t[0].length, 0) };
  },

  // What a gateway adds at each concurrency, with whiskers.
  added(holder) {
    const rows = data.levels.map(level => level.added.filter(one => one.kind === holder.dataset.index));
    const at = (quantile, field) => rows.map(row => row.find(one => one.quantile === quantile)?.[field] ?? null);
    const known = rows.flat().flatMap(one => [one.added_ms, one.low_ms, one.high_ms]).filter(v => v !== null);
    const [least, most] = [Math.min(...known), Math.max(...known)], isLog = least > 0 && most / least > 20;
    const places = data.levels.map((_, i) => i);
    const plot = new uPlot(options(holder, {
      scales: { x: { time: false, range: () => [-0.5, Math.max(places.length, 1) - 0.5] },
        y: isLog ? { distr: 3, range: () => [least * 0.7, most * 1.4] } : { range: () => [Math.min(0, least * 1.1), Math.max(most, 0.01) * 1.15] } },
      axes: [axis({ size: 28, splits: () => places, values: (u, s) => s.map(v => data.levels[v] ? `${data.levels[v].concurrency} at once` : ""), grid: { show: false } }),
        isLog ? logAxis("ms", { size: 60 }) : axis({ size: 60, label: "ms", labelSize: 16, labelFont: "12px system-ui" })],
      series: [{ label: "streams", value: (u, v) => v === null ? "–" : `${data.levels[v].concurrency} at once` },
        ...QUANTILES.map((quantile, i) => line(`${quantile} ms`, `s${i + 1}`, { width: 1.5, points: { show: true, size: 8, width: 2, fill: () => colour("card"), stroke: () => colour(`s${i + 1}`) } }))],
      hooks: { drawSeries: [(u, i) => i && drawWhiskers(u, i, places, at(QUANTILES[i - 1], "low_ms"), at(QUANTILES[i - 1], "high_ms"))] },
    }), [places, ...QUANTILES.map(quantile => at(quantile, "added_ms"))], holder);
    return { plot, points: rows.flat().length };
  },

  waterfall(holder) { return waterfall(holder, requestRows()); },
  tokens(holder) { return waterfall(holder, exchangeRows()); },
};

const QUANTILES = ["p50", "p90", "p99"], LEAST_MS = 1e-3;
const logAxis = (label, more) => axis({ size: 28, label, labelSize: 16, labelFont: "12px system-ui", splits: (u, i, low, high) => decades(low, high),
  filter: (u, splits, i) => i ? splits.map(v => Math.abs(Math.log10(v) % 1) < 1e-9 || splits.length < 7 ? v : null) : roomy(u, splits), values: (u, s) => s.map(v => v === null ? "" : tick(v)), ...more });

// From the low bound to the high one; where one is not known, to the edge of the chart.
function drawWhiskers(u, i, places, low, high) {
  const context = u.ctx, fine = devicePixelRatio, { top, height } = u.bbox;
  context.save();
  context.beginPath(); context.rect(u.bbox.left, top, u.bbox.width, height); context.clip();
  context.strokeStyle = colour(`s${i}`); context.lineWidth = 1.5 * fine; context.globalAlpha = 0.75;
  places.forEach((place, k) => {
    if (low[k] === null && high[k] === null) return;
    const x = u.valToPos(place, "x", true);
    const [from, to] = [low[k], high[k]].map((v, edge) => v === null ? (edge ? top : top + height) : u.valToPos(v, "y", true));
    context.beginPath();
    context.setLineDash(high[k] === null || low[k] === null ? [3 * fine, 3 * fine] : []);
    context.moveTo(x, from); context.lineTo(x, to);
    for (const [v, y] of [[low[k], from], [high[k], to]]) if (v !== null) { context.moveTo(x - 4 * fine, y); context.lineTo(x + 4 * fine, y); }
    context.stroke();
  });
  context.restore();
}

function comparedOverTime(holder) {
  const over = runs.map(run => run.over_time.find(found => found.name === holder.dataset.index));
  const tables = over.map(o => [o.at_s, o.p50_ms, o.p99_ms]);
  const plot = new uPlot(overTimeOptions(holder, {
    scales: { y: latencyScale(holder, ...over) },
    axes: [timeAxis(), axis({ size: 56, label: "ms", labelSize: 16, labelFont: "12px system-ui" })],
    series: [{ label: "at", value: (u, v) => v === null ? "–" : `${digits(v)} s` },
      line("A p50", "s1", { width: 2.25 }), line("A p99", "s1", { dash: [4, 4] }), line("B p50", "s2", { width: 2.25 }), line("B p99", "s2", { dash: [4, 4] })],
  }), uPlot.join(tables), holder);
  return { plot, clock: clockOf(holder), points: tables.reduce((sum, t) => sum + t[0].length, 0) };
}

// A curve with each x once: of equal times the highest share.
function ascending([xs, ys]) {
  const [x, y] = [[], []];
  xs.forEach((at, i) => { if (x.length && x.at(-1) === at) y[y.length - 1] = ys[i]; else { x.push(at); y.push(ys[i]); } });
  return [x, y];
}

function decades(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of [1, 2, 5]) { const at = step * 10 ** power; if (at >= low && at <= high) found.push(at); }
  }
  return found;
}
// Labels where there is room: powers of ten first.
function roomy(u, splits) {
  let last = -1e9;
  const wide = splits.length > 1 && u.valToPos(splits.at(-1), "x") - u.valToPos(splits[0], "x") > splits.length * 34;
  return splits.map(v => {
    const at = u.valToPos(v, "x");
    if ((wide || Math.abs(Math.log10(v) % 1) < 1e-9 || splits.length < 5) && at - last > 38) { last = at; return v; }
    return null;
  });
}

function drawBars(u, distribution) {
  const { top: y, height } = u.bbox, context = u.ctx, most = Math.max(...distribution.counts);
  context.save();
  context.fillStyle = colour("bar");
  distribution.counts.forEach((count, i) => {
    if (!count) return;
    const left = u.valToPos(distribution.edges_ms[i], "x", true), right = u.valToPos(distribution.edges_ms[i + 1], "x", true);
    const high = Math.max(devicePixelRatio, count / most * height * 0.94);
    context.fillRect(left, y + height - high, Math.max(1, right - left - devicePixelRatio), high);
  });
  context.restore();
}

function drawQuantiles(u, distribution) {
  const { top: y, height, left, width } = u.bbox, context = u.ctx;
  context.save();
  context.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  context.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  context.lineWidth = devicePixelRatio;
  context.textAlign = "center";
  context.strokeStyle = colour("muted"); context.fillStyle = colour("text");
  const labels = ["p50", "p99"].map(name => {
    const x = u.valToPos(Math.max(distribution.spread[name], distribution.edges_ms[0]), "x", true);
    const text = `${name} ${digits(distribution.spread[name])}`;
    return { x, text, wide: context.measureText(text).width + 8 * devicePixelRatio };
  });
  // Above their lines where both have room; the right one leaves room for the left one, which keeps clear of it.
  let end = left + width + 4 * devicePixelRatio, begin = left - 4 * devicePixelRatio + labels[0].wide;
  for (const { x, text, wide } of labels.reverse()) {
    const middle = Math.min(Math.max(x, begin + wide / 2), end - wide / 2);
    context.beginPath(); context.moveTo(x, y); context.lineTo(x, y + height); context.stroke();
    context.fillText(text, middle, y - 6 * devicePixelRatio);
    [begin, end] = [left - 4 * devicePixelRatio, middle - wide / 2];
  }
  context.restore();
}

function drawPath(u, steps, across, key, name, labelled) {
  const context = u.ctx, fine = devicePixelRatio;
  context.save();
  context.strokeStyle = colour(name); context.lineWidth = 1.75 * fine; context.globalAlpha = 0.8;
  context.beginPath();
  steps.forEach((s, i) => {
    const [x, y] = [u.valToPos(s[across], "x", true), u.valToPos(s[key], "y", true)];
    if (i) context.lineTo(x, y); else context.moveTo(x, y);
  });
  context.stroke();
  context.globalAlpha = 1; context.textAlign = "center"; context.font = `${11 * fine}px system-ui, sans-serif`;
  if (labelled) for (const s of steps) {
    context.fillStyle = s.verdict === "valid" ? colour("muted") : colour("bad");
    const text = `${tick(s.level)}${s.verdict === "valid" ? "" : " " + s.verdict}`;
    context.fillText(text, u.valToPos(s[across], "x", true), u.valToPos(s[key], "y", true) - 10 * fine);
  }
  context.restore();
}

function drawMarks(u, gpu) {
  const { min, max } = u.scales.x;
  const marks = (gpu?.events ?? []).filter(mark => mark.at_s !== null && mark.at_s >= min && mark.at_s <= max);
  const context = u.ctx;
  context.save();
  context.strokeStyle = colour("bad"); context.lineWidth = 1.5 * devicePixelRatio;
  for (const mark of marks) {
    const x = u.valToPos(mark.at_s, "x", true);
    context.beginPath(); context.moveTo(x, u.bbox.top); context.lineTo(x, u.bbox.top + u.bbox.height); context.stroke();
  }
  context.restore();
}

// ---- waterfall: a row a request (or exchange) ----------------------------------------------------

// The rows of a run: start and end in s, and how a row is drawn and told.
function requestRows() {
  const fall = data.waterfall, n = fall.sent_us.length;
  const from = new Float64Array(n), to = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const sent = fall.sent_us[i], early = Math.min(0, fall.due_us[i] ?? 0, -(fall.connect_us[i] ?? 0));
    from[i] = (sent + early) / US; to[i] = (sent + fall.end_us[i]) / US;
  }
  const failed = i => fall.failed[fall.outcome[i]];
  function segments(i, add) {
    const sent = fall.sent_us[i] / US, at = column => column[i] === null || column[i] === undefined ? null : sent + column[i] / US;
    const end = to[i];
    if (from[i] < sent) add(from[i], sent, "w-queue");
    if (failed(i)) { add(sent, end, "w-fail"); const first = at(fall.first_token_us); if (first !== null) add(first, at(fall.last_token_us) ?? end, "w-tokens", 0.35); return; }
    const byte = at(fall.first_byte_us) ?? end, first = at(fall.first_token_us) ?? end, last = at(fall.last_token_us) ?? end;
    add(sent, byte, "w-wait"); add(byte, first, "w-first"); add(first, last, "w-tokens"); add(last, end, "w-tail");
  }
  function told(i) {
    const sent = fall.sent_us[i], ms = (column, minus = 0) => column[i] === null || column[i] === undefined ? "–" : `${digits((column[i] - minus) / 1000)} ms`;
    const facts = [["request", `${fall.number[i]}${fall.warmup[i] ? " (warm-up)" : ""}`], ["outcome", fall.outcomes[fall.outcome[i]]],
      ["sent at", `${digits(sent / US)} s`], ["schedule lag", fall.due_us.length && fall.due_us[i] !== null ? `${digits(-fall.due_us[i] / 1000)} ms` : "–"],
      ["connecting", ms(fall.connect_us)], ["first byte", ms(fall.first_byte_us)], ["TTFT", ms(fall.first_token_us)], ["last token", ms(fall.last_token_us)],
      ["end", ms(fall.end_us)], ["output tokens", fall.tokens_out[i] ?? "–"], ["worker", fall.worker[i]]];
    if (fall.models.length > 1 && fall.model[i] !== null) facts.push(["model", fall.models[fall.model[i]]]);
    const error = fall.error[i] ?? null;
    return [facts, error === null ? "" : fall.errors[error]];
  }
  return { count: n, from, to, failed, segments, told, number: i => fall.number[i], worst: i => to[i] - from[i] };
}

// The rows of a recording: a tick where a token came.
function exchangeRows() {
  const lines = data.timelines, n = lines.id.length;
  const from = new Float64Array(n), to = new Float64Array(n);
  for (let i = 0; i < n; i++) to[i] = Math.max(lines.end_us[i] ?? 0, lines.marks_us[i].at(-1) ?? 0) / US;
  const failed = i => !(lines.state[i] === "complete" && (lines.status[i] ?? 0) < 400);
  function segments(i, add) {
    const marks = lines.marks_us[i], head = (lines.headers_us[i] ?? marks[0] ?? to[i] * US) / US;
    add(0, head, failed(i) ? "w-fail" : "w-wait");
    add(head, marks.length ? marks[0] / US : to[i], failed(i) ? "w-fail" : "w-first");
    if (marks.length) add(marks[0] / US, to[i], failed(i) ? "w-fail" : "bar", 0.6);
    for (const mark of marks) add(mark / US, null, "w-tokens");
  }
  function told(i) {
    const marks = lines.marks_us[i], ms = us => us === null || us === undefined ? "–" : `${digits(us / 1000)} ms`;
    let longest = null;
    for (let k = 1; k < marks.length; k++) longest = Math.max(longest ?? 0, marks[k] - marks[k - 1]);
    return [[["exchange", lines.id[i]], ["model", data.models[lines.model[i]].model], ["state", lines.state[i]], ["status", lines.status[i] ?? "–"],
      ["head", ms(lines.headers_us[i])], ["TTFT", ms(marks[0])], ["events with tokens", marks.length], ["longest gap", ms(longest)],
      ["end", ms(lines.end_us[i])], ["output tokens", lines.tokens_out[i] ?? "–"], ["started", lines.started_at[i]]], lines.path[i]];
  }
  return { count: n, from, to, failed, segments, told, number: i => lines.id[i], worst: i => to[i] };
}

function waterfall(holder, rows) {
  const clock = clockOf(holder), only = document.getElementById("only-failed"), detail = document.getElementById("detail");
  let shown = Array.from({ length: rows.count }, (_, i) => i), chosen = -1;
  // Rows of the view: what was under way in it, so that nothing stands empty.
  let inView = shown;
  function rowRange() {
    inView = shown.filter(i => rows.to[i] >= clock.view[0] && rows.from[i] <= clock.view[1]);
    return [-0.5, Math.max(inView.length, 8) - 0.5];
  }
  function draw(u) {
    const context = u.ctx, { left, top: y0, width, height } = u.bbox, fine = devicePixelRatio;
    const first = Math.max(0, Math.ceil(u.scales.y.min)), last = Math.min(inView.length - 1, Math.floor(u.scales.y.max));
    const perRow = height / (u.scales.y.max - u.scales.y.min), thick = Math.min(22 * fine, Math.max(perRow < fine ? 2 * fine : fine, perRow - (perRow > 3 * fine ? fine : 0)));
    const stride = Math.max(1, Math.floor(1.0 / (perRow / fine)));
    context.save();
    context.beginPath(); context.rect(left, y0, width, height); context.clip();
    for (let k = first; k <= last; k += stride) {
      const i = stride === 1 ? inView[k] : telling(k, Math.min(last, k + stride - 1));
      const middle = u.valToPos(k, "y", true);
      rows.segments(i, (from, to, name, share = 1) => {
        const a = u.valToPos(from, "x", true), b = to === null ? a + Math.max(fine, Math.min(2 * fine, perRow / 6)) : u.valToPos(to, "x", true);
        if (b < left || a > left + width) return;
        context.fillStyle = resolved(name);
        context.fillRect(a, middle - thick * share / 2, Math.max(b - a, from === to ? 0 : (stride > 1 ? 2.5 : 0.75) * fine), Math.max(fine * 0.75, thick * share));
      });
      if (i === chosen) { context.strokeStyle = colour("text"); context.lineWidth = 1.5 * fine; context.strokeRect(left + fine, middle - thick / 2 - fine, width - 2 * fine, thick + 2 * fine); }
    }
    context.restore();
  }
  // Of rows that share a line of pixels: a failure, else the longest.
  function telling(low, high) {
    let best = inView[low];
    for (let k = low; k <= high; k++) {
      const i = inView[k];
      if (rows.failed(i) !== rows.failed(best) ? rows.failed(i) : rows.worst(i) > rows.worst(best)) best = i;
    }
    return best;
  }
  function choose(i, plot) {
    if (i === chosen || i === undefined) return;
    chosen = i;
    const [facts, more] = rows.told(i);
    detail.replaceChildren();
    for (const [name, value] of facts) { const part = element("div", undefined, detail); element("dt", name, part); element("dd", String(value), part); }
    if (more) element("div", more, detail, "wide");
    holder.dataset.chosen = rows.number(i);
    plot.redraw(false);
  }
  const plot = new uPlot(overTimeOptions(holder, {
    scales: { y: { dir: -1, range: rowRange } },
    axes: [timeAxis(), axis({ size: 64, values: (u, s) => s.map(v => Number.isInteger(v) && inView[v] !== undefined ? tick(rows.number(inView[v])) : "") })],
    series: [{}, { paths: () => null, points: { show: false } }], legend: { show: false },
    cursor: { points: { show: false } },
    hooks: { draw: [draw], setCursor: [u => {
      if (u.cursor.event && u.cursor.top >= 0 && holder.matches(":hover")) choose(inView[Math.round(u.posToVal(u.cursor.top, "y"))], u);
    }] },
  }), [[...clock.span], [0, Math.max(1, rows.count - 1)]], holder);
  only?.addEventListener("change", () => {
    shown = Array.from({ length: rows.count }, (_, i) => i).filter(i => !only.checked || rows.failed(i));
    holder.dataset.rows = shown.length;
    plot.setScale("x", { min: clock.view[0], max: clock.view[1] });
  });
  holder.dataset.rows = shown.length;
  const step = by => {
    const place = inView.indexOf(chosen);
    choose(inView[place < 0 ? 0 : Math.min(inView.length - 1, Math.max(0, place + by))], plot);
  };
  return { plot, clock: clockOf(holder), points: rows.count, keys: { ArrowDown: () => step(1), ArrowUp: () => step(-1) } };
}

// ---- the page ------------------------------------------------------------------------------------

function make(holder) {
  if (charts.has(holder)) return;
  try {
    const chart = BUILDERS[holder.dataset.chart](holder);
    charts.set(holder, chart);
    if (holder.dataset.points === undefined) attend(holder, chart);
    holder.dataset.points = chart.points;
    if (chart.clock) chart.clock.sync.sub(chart.plot);
  } catch (error) {
    charts.set(holder, { plot: { redraw() {}, setSize() {}, setScale() {} } });
    element("p", `This chart cannot be drawn: ${error.message}`, holder, "bad");
    console.error(error);
  }
}

// The values of a chart over time as a table, made when it is asked for.
const MOST_ROWS = 500;
function tabled(holder, plot) {
  const details = element("details", undefined, holder.parentElement.querySelector("figcaption"));
  element("summary", "as a table", details);
  details.addEventListener("toggle", () => {
    if (!details.open || details.querySelector("table")) return;
    const table = element("table", undefined, element("div", undefined, details, "scroll tabled")), head = element("tr", undefined, element("thead", undefined, table));
    for (const series of plot.series) element("th", series.label === "at" ? "s" : series.label, head).scope = "col";
    const body = element("tbody", undefined, table), stride = Math.ceil(plot.data[0].length / MOST_ROWS);
    for (let i = 0; i < plot.data[0].length; i += stride) {
      const row = element("tr", undefined, body);
      plot.data.forEach((column, k) => { element(k ? "td" : "th", digits(column[i]), row); });
    }
  });
}

// Keys, and the table: once for a place, whatever chart is in it.
function attend(holder, chart) {
  if (chart.clock && !chart.keys) tabled(holder, chart.plot);
  holder.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = chart.keys?.[event.key] ?? (chart.clock ? KEYS[event.key] : undefined);
    if (act) { event.preventDefault(); act(chart.clock); }
  });
  holder.addEventListener("dblclick", () => chart.clock && ZOOMS.reset(chart.clock));
}

const holders = [...document.querySelectorAll("[data-chart]")];
const makeAll = () => holders.forEach(make);
const watcher = new IntersectionObserver(seen => seen.forEach(entry => {
  if (entry.isIntersecting) { watcher.unobserve(entry.target); make(entry.target); }
}), { rootMargin: "300px" });
holders.forEach(holder => watcher.observe(holder));
// Paper is white, and shows everything.
addEventListener("beforeprint", () => {
  const chosen = root.dataset.theme;
  root.dataset.theme = "light";
  makeAll();
  themed();
  addEventListener("afterprint", () => {
    if (chosen === undefined) delete root.dataset.theme; else root.dataset.theme = chosen;
    themed();
  }, { once: true });
});

const resizer = new ResizeObserver(entries => entries.forEach(({ target }) => {
  const chart = charts.get(target);
  if (chart && target.clientWidth && chart.plot.width !== target.clientWidth) chart.plot.setSize({ width: target.clientWidth, height: chart.plot.height });
}));
holders.forEach(holder => resizer.observe(holder));

logScale?.addEventListener("change", () => {
  for (const [holder, chart] of [...charts]) {
    if (holder.dataset.chart !== "overtime") continue;
    chart.clock.sync.unsub(chart.plot);
    chart.plot.destroy();
    charts.delete(holder);
    make(holder);
  }
});

document.querySelectorAll("[data-zoom]").forEach(button => button.addEventListener("click", () => ZOOMS[button.dataset.zoom](clockOf(button))));

const theme = document.getElementById("theme"), prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (root.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
function themed() {
  palette = new Map();
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-pressed", String(isDark()));
  for (const chart of charts.values()) chart.plot.redraw(false, true);
}
theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; themed(); });
prefersDark.addEventListener("change", themed);
themed();
requestAnimationFrame(() => setTimeout(() => { root.dataset.readyMs = Math.round(performance.now()); }));
})();
