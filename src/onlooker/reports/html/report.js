"use strict";
// -- the clock, the picture and what is drawn on it --
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
};
const PALETTE = ["#1769aa", "#2e7d32", "#8e44ad", "#b35900", "#00796b", "#ad1457", "#5d4037", "#455a64", "#9e6a03", "#3949ab"];
// the same colours, light enough to be seen on any picture
const BRIGHT = ["#5ab4ff", "#69e070", "#e08cff", "#ffb04d", "#3ce0cf", "#ff7ab0", "#d9a08c", "#a9c4d1", "#ffd24d", "#9aa7ff"];
const MOODS = { positive: "#2e7d32", negative: "#b3261e", neutral: "#5c6773" };
// pairs of points of a body, in COCO order
const BONES = [[5, 7], [7, 9], [6, 8], [8, 10], [5, 6], [5, 11], [6, 12], [11, 12], [11, 13], [13, 15], [12, 14], [14, 16]];
const state = { source: null, zoom: 1, hidden: new Set(), folded: new Map(), query: "", label: "", tab: "", hits: null };
const video = $("video");
let clock = 0;

const shade = (text) => {
  let sum = 7;
  for (const c of text) sum = (sum * 31 + c.codePointAt(0)) >>> 0;
  return sum % PALETTE.length;
};
const color = (text) => PALETTE[shade(text)];
// people in the order in which they come, so that few share a colour
const personColor = (name) => (state.source.order.has(name) ? PALETTE[state.source.order.get(name) % PALETTE.length] : color(name));
const time = (s) => {
  const ms = Math.max(0, Math.round(s * 1000));
  const pad = (n, w = 2) => String(n).padStart(w, "0");
  return `${Math.floor(ms / 3600000)}:${pad(Math.floor(ms / 60000) % 60)}:${pad(Math.floor(ms / 1000) % 60)}.${pad(ms % 1000, 3)}`;
};
// short, for lists: 1:05, 1:02:03
const brief = (s) => { const [h, m, rest] = time(s).split(":"); return `${h === "0" ? Number(m) : `${h}:${m}`}:${rest.slice(0, 2)}`; };
const span = (s) => (s >= 90 ? `${brief(s)} min` : `${s.toFixed(1)} s`);
const who = (o) => (o.track && Object.hasOwn(state.source.names, o.track) ? state.source.names[o.track] : o.track) || "";
const words = (o) => o.text || [...new Set([o.label, who(o)])].filter(Boolean).join(" · ") || o.transition || o.kind;
const duration = () => Math.max(state.source.duration || 0, state.source.end || 0, 0.001);
const of = (kind) => state.source.kinds.get(kind) || [];
const colorOf = (o) => {
  if (o.kind === "sentiment") return MOODS[o.label] || MOODS.neutral;
  if (o.kind === "safety") return o.label === "safe" ? MOODS.positive : MOODS.negative;
  if (o.kind === "speech") return o.speaker ? personColor(o.speaker) : color("speech");
  if (["speaker", "identity", "face_track"].includes(o.kind)) return personColor(who(o) || o.label || o.kind);
  return color(o.label || o.kind);
};
// the last of `times` that is not after `at`, or -1
const before = (times, at) => {
  let low = 0, top = times.length;
  while (low < top) { const mid = (low + top) >> 1; if (times[mid] <= at) low = mid + 1; else top = mid; }
  return low - 1;
};

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
  drawOverlay();
  markNow();
}
function drawOverlay() {
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
  pen.font = "12px system-ui, sans-serif";
  for (const o of of("text")) if (o.box && o.start <= clock && clock < o.end) drawBox(pen, o.box, "", "#ffffff", wide, high);
  for (const layer of state.source.layers) {
    const n = before(layer.times, clock + 1e-3);
    if (n < 0 || clock - layer.times[n] > layer.hold) continue;
    for (const row of layer.rows[n]) {
      if (layer.kind === "pose") drawBody(pen, row, layer.labels[row[0]], wide, high);
      else drawBox(pen, row, layer.labels[row[4]], BRIGHT[shade(layer.kind === "object" ? layer.labels[row[4]].split(" ")[0] : layer.labels[row[4]])], wide, high);
    }
  }
}
function drawBox(pen, [l, t, r, b], label, bright, wide, high) {
  const place = [l * wide, t * high, (r - l) * wide, (b - t) * high];
  if (!label) { pen.lineWidth = 1; pen.setLineDash([4, 3]); pen.strokeStyle = bright; pen.strokeRect(...place); pen.setLineDash([]); return; }
  pen.lineWidth = 4; pen.strokeStyle = "rgba(0, 0, 0, .6)"; pen.strokeRect(...place);
  pen.lineWidth = 2; pen.strokeStyle = pen.fillStyle = bright; pen.strokeRect(...place);
  const width = pen.measureText(label).width + 8;
  pen.fillRect(l * wide - 1, Math.max(0, t * high - 16), width, 16);
  pen.fillStyle = "#101418"; pen.fillText(label, l * wide + 3, Math.max(12, t * high - 4));
}
function drawBody(pen, row, label, wide, high) {
  const at = (n) => (row[2 * n + 1] < 0 || row[2 * n + 1] === undefined ? null : [(row[2 * n + 1] * wide) / 1000, (row[2 * n + 2] * high) / 1000]);
  pen.strokeStyle = pen.fillStyle = BRIGHT[shade(label)]; pen.lineWidth = 2;
  for (const [a, b] of BONES) {
    const from = at(a), to = at(b);
    if (!from || !to) continue;
    pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke();
  }
  for (let n = 0; 2 * n + 2 < row.length; n++) if (at(n)) { pen.beginPath(); pen.arc(...at(n), 2.5, 0, 7); pen.fill(); }
}
function peek(event, o) {
  const box = $("peek"), image = box.querySelector("img");
  const frames = of("keyframe");
  let best = null;
  for (const f of frames) if (!best || Math.abs(f.start - o.start) < Math.abs(best.start - o.start)) best = f;
  const inside = frames.find((f) => f.start >= o.start && f.start < o.end) || best;
  const face = ["identity", "face_track"].includes(o.kind) && state.source.people.find((p) => p.picture && p.name === (who(o) || o.label));
  const shown = face ? face.picture : inside && inside.picture;
  image.hidden = !shown;
  if (shown) image.src = shown;
  const lines = [`${o.kind}: ${words(o)}`, o.speaker ? `said by ${o.speaker}` : "", `${time(o.start)} – ${time(o.end)}`, o.score === null ? "" : `score ${o.score}`, o.more || ""];
  box.querySelector("span").textContent = lines.filter(Boolean).join("\n");
  box.hidden = false;
  box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - 250))}px`;
  box.style.top = `${Math.max(8, event.clientY - box.offsetHeight - 12)}px`;
}
