"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};
const FIRST = ["chapter", "scene", "shot", "keyframe", "speech", "text", "track", "motion", "cue"];
const PALETTE = ["#1769aa", "#2e7d32", "#8e44ad", "#b35900", "#00796b", "#ad1457", "#5d4037", "#455a64", "#9e6a03", "#3949ab"];
// the same colours, light enough to be seen on any picture
const BRIGHT = ["#5ab4ff", "#69e070", "#e08cff", "#ffb04d", "#3ce0cf", "#ff7ab0", "#d9a08c", "#a9c4d1", "#ffd24d", "#9aa7ff"];
const MOST_HITS = 500;
const state = { source: null, zoom: 1, hidden: new Set(), query: "", label: "" };
const video = $("video");
let clock = 0;

const shade = (text) => {
  let sum = 7;
  for (const c of text) sum = (sum * 31 + c.codePointAt(0)) >>> 0;
  return sum % PALETTE.length;
};
const color = (text) => PALETTE[shade(text)];
const time = (s) => {
  const ms = Math.max(0, Math.round(s * 1000));
  const pad = (n, w = 2) => String(n).padStart(w, "0");
  return `${Math.floor(ms / 3600000)}:${pad(Math.floor(ms / 60000) % 60)}:${pad(Math.floor(ms / 1000) % 60)}.${pad(ms % 1000, 3)}`;
};
const words = (o) => o.text || [o.label, o.track].filter(Boolean).join(" · ") || (o.transition ? o.transition : o.kind);
const duration = () => Math.max(state.source.duration || 0, state.source.end || 0, 0.001);

function seek(s) {
  clock = Math.min(Math.max(0, s), duration());
  // a little into the frame: times are rounded, and the frame before is another shot
  const inside = Math.min(clock + 0.001, duration());
  if (video.readyState > 0) video.currentTime = inside;
  else video.dataset.wanted = String(inside);
  paint();
}
function paint() {
  $("clock").textContent = time(clock);
  $("head").style.left = `${(100 * clock) / duration()}%`;
  drawBoxes();
}
function drawBoxes() {
  const canvas = $("overlay");
  const box = video.getBoundingClientRect();
  const ratio = video.videoWidth ? video.videoWidth / video.videoHeight : 16 / 9;
  const wide = Math.min(box.width, box.height * ratio), high = wide / ratio;
  const screen = video.parentElement.getBoundingClientRect();
  canvas.width = wide; canvas.height = high;
  canvas.style.left = `${box.left - screen.left + (box.width - wide) / 2}px`;
  canvas.style.top = `${box.top - screen.top + (box.height - high) / 2}px`;
  const pen = canvas.getContext("2d");
  if (!$("boxes").checked || !video.videoWidth) return;
  const { times, rows, labels } = state.source.boxes;
  let low = 0, top = times.length;
  while (low < top) { const mid = (low + top) >> 1; if (times[mid] <= clock + 1e-3) low = mid + 1; else top = mid; }
  const at = times[low - 1];
  if (at === undefined || clock - at > state.source.boxes.hold) return;
  pen.font = "12px system-ui, sans-serif";
  for (const [l, t, r, b, n] of rows[low - 1]) {
    const place = [l * wide, t * high, (r - l) * wide, (b - t) * high];
    pen.lineWidth = 4; pen.strokeStyle = "rgba(0, 0, 0, .6)"; pen.strokeRect(...place);
    pen.lineWidth = 2; pen.strokeStyle = pen.fillStyle = BRIGHT[shade(labels[n].split(" ")[0])]; pen.strokeRect(...place);
    const width = pen.measureText(labels[n]).width + 8;
    pen.fillRect(l * wide - 1, Math.max(0, t * high - 16), width, 16);
    pen.fillStyle = "#101418"; pen.fillText(labels[n], l * wide + 3, Math.max(12, t * high - 4));
  }
}
function peek(event, o) {
  const box = $("peek"), image = box.querySelector("img");
  const frames = state.source.keyframes;
  let best = null;
  for (const f of frames) if (!best || Math.abs(f.start - o.start) < Math.abs(best.start - o.start)) best = f;
  const inside = frames.find((f) => f.start >= o.start && f.start < o.end) || best;
  image.hidden = !inside || !inside.picture;
  if (inside && inside.picture) image.src = inside.picture;
  box.querySelector("span").textContent = `${o.kind}: ${words(o)}\n${time(o.start)} – ${time(o.end)}${o.score === null ? "" : `\nscore ${o.score}`}`;
  box.hidden = false;
  box.style.left = `${Math.min(event.clientX + 14, innerWidth - 250)}px`;
  box.style.top = `${Math.max(8, event.clientY - box.offsetHeight - 12)}px`;
}
function lanes(items) {
  const ends = [];
  for (const o of items) {
    let lane = ends.findIndex((e) => e <= o.start + 1e-6);
    if (lane < 0) { lane = ends.length < 6 ? ends.length : 5; }
    ends[lane] = Math.max(ends[lane] || 0, o.end);
    o.lane = lane;
  }
  return Math.max(1, ends.length);
}
function buildRows() {
  const rows = $("rows"), names = $("names");
  rows.replaceChildren(); names.replaceChildren(make("div", { style: "height:22px" }));
  const groups = new Map();
  for (const o of state.source.items) {
    if (!groups.has(o.kind)) groups.set(o.kind, []);
    groups.get(o.kind).push(o);
  }
  const order = [...groups.keys()].sort((a, b) => (FIRST.indexOf(a) + 1 || 99) - (FIRST.indexOf(b) + 1 || 99) || a.localeCompare(b));
  const total = duration();
  for (const kind of order) {
    if (state.hidden.has(kind)) continue;
    const items = groups.get(kind);
    const count = kind === "keyframe" ? 1 : lanes(items);
    const high = kind === "keyframe" ? 54 : 20;
    const row = make("div", { className: "row" });
    row.dataset.kind = kind; row.style.height = `${high * count}px`;
    names.append(make("div", { textContent: `${kind} (${items.length})`, title: kind, style: `height:${high * count}px` }));
    for (const o of items) {
      const shown = kind === "motion" ? "" : words(o);
      const item = make("button", { className: "item", textContent: shown, type: "button" });
      item.dataset.id = o.id; item.tabIndex = -1;
      item.setAttribute("aria-label", `${kind} ${words(o)} at ${time(o.start)}`);
      const left = `${(100 * Math.max(0, o.start)) / total}%`;
      // pictures have a width of their own and stay inside at the right end
      item.style.left = kind === "keyframe" ? `min(${left}, calc(100% - 84px))` : left;
      item.style.width = kind === "keyframe" ? "84px" : `${(100 * (o.end - o.start)) / total}%`;
      item.style.background = color(o.label || kind);
      if (kind === "motion" && o.score !== null) item.style.opacity = String(0.25 + 0.75 * Math.min(1, o.score * 3));
      if (kind === "keyframe" && o.picture) item.replaceChildren(make("img", { src: o.picture, alt: "", loading: "lazy" }));
      if (kind !== "keyframe") { item.style.top = `${(o.lane || 0) * high + 2}px`; item.style.bottom = "auto"; item.style.height = `${high - 4}px`; }
      item.onclick = () => { seek(o.start); mark(o.id); };
      item.onmousemove = (e) => peek(e, o);
      item.onmouseleave = () => { $("peek").hidden = true; };
      row.append(item);
    }
    rows.append(row);
  }
  buildRuler();
}
function buildRuler() {
  const ruler = $("ruler"), total = duration(), lanesBox = $("lanes");
  lanesBox.style.width = `${100 * state.zoom}%`;
  ruler.replaceChildren();
  const wanted = Math.max(4, lanesBox.clientWidth / 90), raw = total / wanted;
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find((s) => s >= raw) || 7200;
  const room = 1 - 62 / Math.max(1, lanesBox.clientWidth);
  for (let n = 0; n * step < total; n++) {
    // a label that would be cut at the right end is left out, its mark stays
    const at = (n * step) / total;
    ruler.append(make("span", { textContent: at > room && n ? "" : time(n * step).replace(/\.000$/, ""), style: `left:${100 * at}%` }));
  }
}
function mark(id) {
  for (const node of document.querySelectorAll(".item.on")) node.classList.remove("on");
  for (const node of document.querySelectorAll(`.item[data-id="${CSS.escape(id)}"]`)) node.classList.add("on");
}
function buildHits() {
  const parts = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (o) => {
    if (state.hidden.has(o.kind) || (state.label && o.label !== state.label)) return false;
    const text = [o.kind, o.label, o.text, o.track, o.transition, o.id].join(" ").toLowerCase();
    return parts.every((p) => text.includes(p));
  };
  const hits = state.source.items.filter(fits);
  const all = hits.length === state.source.items.filter((o) => !state.hidden.has(o.kind)).length;
  const ids = new Set(all ? [] : hits.map((o) => o.id));
  for (const node of document.querySelectorAll(".item")) node.classList.toggle("dim", !all && !ids.has(node.dataset.id));
  $("found").textContent = `${hits.length} of ${state.source.items.length} observations${hits.length > MOST_HITS ? `, first ${MOST_HITS} shown` : ""}`;
  $("hits").replaceChildren(...hits.slice(0, MOST_HITS).map((o) => {
    const dot = make("span", { className: "dot" }); dot.style.background = color(o.label || o.kind);
    const row = make("tr", { tabIndex: 0 },
      make("td", { textContent: `${time(o.start)}\u00a0– ${time(o.end)}` }), make("td", {}, dot, o.kind),
      make("td", { textContent: words(o) }), make("td", { textContent: o.score === null ? "" : String(o.score) }), make("td", { textContent: o.producer }));
    row.onclick = () => { seek(o.start); mark(o.id); };
    row.onkeydown = (e) => { if (e.key === "Enter") row.onclick(); };
    return row;
  }));
}
function buildFacts() {
  const s = state.source;
  $("name").textContent = s.name;
  $("about").textContent = s.about;
  $("failures").replaceChildren(...(s.failures.length ? s.failures.map((f) => make("div", { className: "failure" }, make("b", { textContent: "could not look: " }), f)) : [make("p", { className: "good", textContent: "everything could be looked at" })]));
  $("counts").replaceChildren(...Object.entries(s.counts).flatMap(([k, n]) => [make("dt", { textContent: k }), make("dd", { textContent: String(n) })]));
  $("producers").replaceChildren(...s.producers.map((p) => make("div", { textContent: p })), make("div", { textContent: `content SHA-256 begins ${s.id}` }));
  const kinds = [...new Set(s.items.map((o) => o.kind))].sort();
  $("kinds").replaceChildren(...kinds.map((k) => {
    const chip = make("button", { className: "chip", textContent: k, type: "button" });
    chip.setAttribute("aria-pressed", String(!state.hidden.has(k)));
    chip.onclick = () => { state.hidden.has(k) ? state.hidden.delete(k) : state.hidden.add(k); chip.setAttribute("aria-pressed", String(!state.hidden.has(k))); buildRows(); buildHits(); paint(); };
    return chip;
  }));
  const labels = [...new Set(s.items.map((o) => o.label).filter(Boolean))].sort();
  $("label").replaceChildren(make("option", { value: "", textContent: "all" }), ...labels.map((l) => make("option", { value: l, textContent: l })));
  $("footer").textContent = `${s.left_out ? `${s.left_out} · ` : ""}${data.made}`;
}
function show(index) {
  state.source = data.sources[index]; state.label = ""; clock = 0;
  state.zoom = 1; $("scroll").scrollLeft = 0; $("peek").hidden = true;
  delete video.dataset.wanted;
  video.hidden = !state.source.video; $("novideo").hidden = !video.hidden;
  if (state.source.video) video.src = state.source.video;
  else { video.removeAttribute("src"); video.load(); }
  buildFacts(); buildRows(); buildHits(); paint();
}
function zoom(factor) {
  const scroll = $("scroll"), before = state.zoom;
  state.zoom = factor === 0 ? 1 : Math.min(200, Math.max(1, state.zoom * factor));
  buildRuler();
  const at = (clock / duration()) * $("lanes").clientWidth;
  if (before !== state.zoom) scroll.scrollLeft = at - scroll.clientWidth / 2;
}
function nextShot(way) {
  const starts = state.source.items.filter((o) => o.kind === "shot").map((o) => o.start);
  const found = way > 0 ? starts.find((s) => s > clock + 0.01) : [...starts].reverse().find((s) => s < clock - 0.3);
  if (found !== undefined) seek(found);
}
data.sources.forEach((s, n) => $("source").append(make("option", { value: String(n), textContent: s.name })));
$("source").onchange = (e) => show(Number(e.target.value));
$("search").oninput = (e) => { state.query = e.target.value; buildHits(); };
$("label").onchange = (e) => { state.label = e.target.value; buildHits(); };
$("boxes").onchange = paint;
$("in").onclick = () => zoom(2); $("out").onclick = () => zoom(0.5); $("fit").onclick = () => zoom(0);
$("ruler").onclick = (e) => seek(((e.clientX - $("ruler").getBoundingClientRect().left) / $("ruler").clientWidth) * duration());
$("scroll").onwheel = (e) => { if (e.ctrlKey) { e.preventDefault(); zoom(e.deltaY < 0 ? 1.25 : 0.8); } };
video.ontimeupdate = () => { if (video.readyState > 0 && !video.seeking && !video.dataset.wanted) { clock = video.currentTime; paint(); } };
// with every frame where the browser can, so that boxes keep up
const follow = () => { if (!video.seeking && !video.dataset.wanted) { clock = video.currentTime; paint(); } video.requestVideoFrameCallback(follow); };
if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(follow);
video.onloadedmetadata = () => { if (video.dataset.wanted) { video.currentTime = Number(video.dataset.wanted); delete video.dataset.wanted; } paint(); };
video.onerror = () => { if (!state.source.video) return; video.hidden = true; $("novideo").hidden = false; };
addEventListener("resize", () => { buildRuler(); paint(); });
addEventListener("keydown", (e) => {
  if (["INPUT", "SELECT", "TEXTAREA"].includes(e.target.tagName)) { if (e.key === "Escape") e.target.blur(); return; }
  if (e.ctrlKey || e.metaKey || e.altKey || (e.key === " " && e.target.closest("button, summary"))) return;
  const keys = { "/": () => $("search").focus(), " ": () => (video.paused ? video.play().catch(() => {}) : video.pause()), ArrowLeft: () => seek(clock - (e.shiftKey ? 10 : 1)), ArrowRight: () => seek(clock + (e.shiftKey ? 10 : 1)), n: () => nextShot(1), p: () => nextShot(-1), "+": () => zoom(2), "-": () => zoom(0.5), 0: () => zoom(0), Home: () => seek(0), End: () => seek(duration()) };
  if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
});
show(0);
