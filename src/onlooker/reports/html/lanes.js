// -- the timeline: a group of lanes for each kind --
const FIRST = ["chapter", "topic", "keyword", "scene", "shot", "keyframe", "speech", "speaker", "identity", "face_track", "text", "fact", "safety", "sentiment", "sound", "expression", "age", "attention_state", "attention_group", "posture", "gesture", "label", "track", "attribute", "motion", "cue"];
// kinds with lanes of their own for each person or label
const BY_PERSON = new Set(["speaker", "identity", "face_track", "expression", "age", "attention_state", "posture", "gesture"]);
const BY_LABEL = new Set(["sound", "topic", "label", "fact", "safety", "attention_group"]);
const MOST_LANES = 10, ROOM = 26, MOST_NODES = 1500, HIGH = 20, STRIP = 14;

const laneOf = (o) => (BY_PERSON.has(o.kind) ? who(o) || o.label || o.kind : BY_LABEL.has(o.kind) ? o.label || o.text || o.kind : "");

function packed(items, most) {
  const ends = [];
  for (const o of items) {
    let lane = ends.findIndex((e) => e <= o.start + 1e-6);
    if (lane < 0) lane = Math.min(ends.length, most - 1);
    ends[lane] = Math.max(ends[lane] || 0, o.end);
    o.lane = lane;
  }
  return Math.max(1, ends.length);
}
// lanes of one kind: [{name, items, first, count}]
function lanesOf(kind, items) {
  const parts = new Map();
  for (const o of items) {
    const name = laneOf(o);
    if (!parts.has(name)) parts.set(name, []);
    parts.get(name).push(o);
  }
  const long = (list) => list.reduce((sum, o) => sum + o.end - o.start, 0);
  let named = [...parts];
  if (named.length > MOST_LANES) {
    const kept = new Set([...named].sort((a, b) => long(b[1]) - long(a[1])).slice(0, MOST_LANES - 1).map(([n]) => n));
    const rest = items.filter((o) => !kept.has(laneOf(o)));
    named = [...named.filter(([n]) => kept.has(n)), [`${parts.size - kept.size} more`, rest]];
  }
  let first = 0;
  return named.map(([name, list]) => {
    const lane = { name, items: list, first, count: packed(list, name ? 3 : 6) };
    first += lane.count;
    return lane;
  });
}
function groupsOf(source) {
  const place = (k) => FIRST.indexOf(k) + 1 || 99;
  const kinds = [...source.kinds.keys()].filter((k) => k !== "summary").sort((a, b) => place(a) - place(b) || a.localeCompare(b));
  return kinds.map((kind) => {
    const items = source.kinds.get(kind), lanes = lanesOf(kind, items);
    const split = BY_PERSON.has(kind) || BY_LABEL.has(kind);
    return { kind, items, lanes, split, count: lanes.reduce((n, l) => n + l.count, 0) };
  });
}
// what is folded at first: kinds with very many observations, faces that have names, and then the tallest until the rest fits
function foldAtFirst(source) {
  const folded = new Set(source.groups.filter((g) => g.items.length > MOST_NODES || (g.kind === "face_track" && source.kinds.has("identity"))).map((g) => g.kind));
  const tall = source.groups.filter((g) => !["chapter", "shot", "speech", "speaker", "identity", "keyframe"].includes(g.kind)).sort((a, b) => b.count - a.count);
  const total = () => source.groups.reduce((n, g) => n + (folded.has(g.kind) ? 1 : g.count), 0);
  for (const g of tall) { if (total() <= ROOM || g.count < 2) break; folded.add(g.kind); }
  return folded;
}
const foldedNow = () => state.folded.get(state.source.id);

function buildRows() {
  const rows = $("rows"), names = $("names"), folded = foldedNow();
  rows.replaceChildren(); names.replaceChildren(make("div", { style: "height:22px" }));
  for (const group of state.source.groups) {
    if (state.hidden.has(group.kind)) continue;
    const small = folded.has(group.kind), strip = small || group.split;
    const high = group.kind === "keyframe" ? 54 : HIGH;
    const tall = (strip ? HIGH : 0) + (small ? 0 : high * group.count);
    const row = make("div", { className: `row${small ? " folded" : ""}` });
    row.dataset.kind = group.kind; row.style.height = `${tall}px`;
    names.append(nameOf(group, small, tall));
    if (strip) row.append(stripOf(group));
    if (!small) for (const lane of group.lanes) for (const o of lane.items) row.append(itemOf(o, (strip ? HIGH : 0) + (lane.first + o.lane) * high, high));
    rows.append(row);
  }
  const open = state.source.groups.some((g) => !folded.has(g.kind));
  $("fold").textContent = open ? "fold all" : "unfold all";
  buildRuler();
  drawStrips();
}
function nameOf(group, small, tall) {
  const box = make("div", { style: `height:${tall}px` });
  const fold = make("button", { className: "foldone", type: "button", textContent: small ? "▸" : "▾", title: `${small ? "Unfold" : "Fold"} ${group.kind}` });
  fold.setAttribute("aria-label", `${small ? "unfold" : "fold"} ${group.kind}`);
  fold.setAttribute("aria-expanded", String(!small));
  fold.onclick = () => { const f = foldedNow(); f.has(group.kind) ? f.delete(group.kind) : f.add(group.kind); buildRows(); buildHits(); paint(); $("names").querySelector(`[aria-label$="${CSS.escape(group.kind)}"]`)?.focus(); };
  const whole = Math.max(state.source.counts[group.kind] || 0, group.items.length), some = whole > group.items.length ? `: ${group.items.length} of ${whole} listed` : "";
  box.append(make("span", { className: "kind", title: `${group.kind}${some}` }, fold, `${group.kind} (${whole})`));
  if (!small && group.split)
    for (const lane of group.lanes)
      box.append(make("span", { className: "lane", textContent: lane.name, title: lane.name, style: `top:${HIGH + lane.first * HIGH}px` }));
  return box;
}
function itemOf(o, top, high) {
  const total = duration(), picture = o.kind === "keyframe";
  const named = ["speaker", "identity", "face_track"].includes(o.kind);
  const said = o.kind === "motion" ? "" : named ? laneOf(o) : BY_PERSON.has(o.kind) ? o.label || words(o) : words(o);
  const item = make("button", { className: "item", type: "button" }, make("span", { textContent: said }));
  item.dataset.id = o.id; item.tabIndex = -1;
  item.setAttribute("aria-label", `${o.kind} ${words(o)} at ${time(o.start)}`);
  const left = `${(100 * Math.max(0, o.start)) / total}%`;
  // pictures have a width of their own and stay inside at the right end
  item.style.left = picture ? `min(${left}, calc(100% - 84px))` : left;
  item.style.width = picture ? "84px" : `${(100 * (o.end - o.start)) / total}%`;
  item.style.background = colorOf(o);
  if (o.kind === "motion" && o.score !== null) item.style.opacity = String(0.25 + 0.75 * Math.min(1, o.score * 3));
  if (picture && o.picture) item.replaceChildren(make("img", { src: o.picture, alt: "", loading: "lazy" }));
  if (!picture) { item.style.top = `${top + 2}px`; item.style.bottom = "auto"; item.style.height = `${high - 4}px`; }
  item.onclick = () => { seek(o.start); mark(o.id); };
  item.onmousemove = (e) => peek(e, o);
  item.onmouseleave = () => { $("peek").hidden = true; };
  return item;
}
// all of a kind on one line: a canvas, so that thousands cost nothing
function stripOf(group) {
  const canvas = make("canvas", { className: "strip" });
  canvas.style.height = `${STRIP}px`;
  const near = (e) => {
    const at = ((e.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth) * duration();
    const give = (3 / canvas.clientWidth) * duration();
    return group.items.find((o) => o.start - give <= at && at < o.end + give);
  };
  canvas.onclick = (e) => { const o = near(e); if (o) { seek(o.start); mark(o.id); } else seek(((e.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth) * duration()); };
  canvas.onmousemove = (e) => { const o = near(e); if (o) peek(e, o); else $("peek").hidden = true; };
  canvas.onmouseleave = () => { $("peek").hidden = true; };
  return canvas;
}
function drawStrips() {
  const total = duration();
  for (const canvas of document.querySelectorAll(".strip")) {
    const group = state.source.groups.find((g) => g.kind === canvas.parentElement.dataset.kind);
    const wide = (canvas.width = Math.max(1, Math.min(8192, Math.round(canvas.clientWidth * devicePixelRatio))));
    const high = (canvas.height = Math.round(STRIP * devicePixelRatio));
    const pen = canvas.getContext("2d");
    for (const o of group.items) {
      pen.globalAlpha = state.hits && !state.hits.has(o.id) ? 0.15 : 0.8;
      pen.fillStyle = colorOf(o);
      pen.fillRect((o.start / total) * wide, 0, Math.max(1, ((o.end - o.start) / total) * wide - 0.5), high);
    }
  }
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
function zoom(factor) {
  const scroll = $("scroll"), old = state.zoom;
  state.zoom = factor === 0 ? 1 : Math.min(200, Math.max(1, state.zoom * factor));
  buildRuler();
  const at = (clock / duration()) * $("lanes").clientWidth;
  if (old !== state.zoom) { scroll.scrollLeft = at - scroll.clientWidth / 2; drawStrips(); }
}
