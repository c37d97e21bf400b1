// -- start, and what the user does --
function show(index) {
  const s = (state.source = data.sources[index]); state.label = ""; state.hits = null; clock = 0;
  if (!s.kinds) {
    s.kinds = new Map();
    for (const o of s.items) { if (!s.kinds.has(o.kind)) s.kinds.set(o.kind, []); s.kinds.get(o.kind).push(o); }
    s.spoken = of("speech").map((o) => o.start);
    s.order = new Map();
    for (const kind of ["identity", "speaker", "face_track"]) for (const o of of(kind)) { const name = who(o) || o.label; if (!s.order.has(name)) s.order.set(name, s.order.size); }
    s.groups = groupsOf(s);
    state.folded.set(s.id, foldAtFirst(s));
  }
  state.zoom = 1; $("scroll").scrollLeft = 0; $("peek").hidden = true; $("within").value = ""; state.tab = "";
  delete video.dataset.wanted;
  video.hidden = !s.video; $("novideo").hidden = !video.hidden;
  if (s.video) video.src = s.video;
  else { video.removeAttribute("src"); video.load(); }
  buildOverview(); buildTabs(); buildFilters(); buildRows(); buildHits(); paint();
}
function nextShot(way) {
  const all = of("shot").map((o) => o.start);
  const found = way > 0 ? all.find((s) => s > clock + 0.01) : all.reverse().find((s) => s < clock - 0.3);
  if (found !== undefined) seek(found);
}
function foldAll() {
  const open = state.source.groups.some((g) => !foldedNow().has(g.kind));
  state.folded.set(state.source.id, new Set(open ? state.source.groups.map((g) => g.kind) : []));
  buildRows(); buildHits(); paint();
}
data.sources.forEach((s, n) => $("source").append(make("option", { value: String(n), textContent: s.name })));
$("source").onchange = (e) => show(Number(e.target.value));
$("search").oninput = (e) => { state.query = e.target.value; buildHits(); };
$("within").oninput = buildPanel;
$("within").onkeydown = (e) => { if (e.key === "Enter" && entries[0]) entries[0][1].click(); };
$("label").onchange = (e) => { state.label = e.target.value; buildHits(); };
$("boxes").onchange = paint;
$("fold").onclick = foldAll;
$("in").onclick = () => zoom(2); $("out").onclick = () => zoom(0.5); $("fit").onclick = () => zoom(0);
$("ruler").onclick = (e) => seek(((e.clientX - $("ruler").getBoundingClientRect().left) / $("ruler").clientWidth) * duration());
$("scroll").onwheel = (e) => { if (e.ctrlKey) { e.preventDefault(); zoom(e.deltaY < 0 ? 1.25 : 0.8); } };
video.ontimeupdate = () => { if (video.readyState > 0 && !video.seeking && !video.dataset.wanted) { clock = video.currentTime; paint(); } };
// with every frame where the browser can, so that boxes keep up
const follow = () => { if (!video.seeking && !video.dataset.wanted) { clock = video.currentTime; paint(); } video.requestVideoFrameCallback(follow); };
if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(follow);
video.onloadedmetadata = () => { if (video.dataset.wanted) { video.currentTime = Number(video.dataset.wanted); delete video.dataset.wanted; } paint(); };
video.onerror = () => { if (!state.source.video) return; video.hidden = true; $("novideo").hidden = false; };
addEventListener("resize", () => { buildRuler(); drawStrips(); paint(); });
addEventListener("keydown", (e) => {
  if (["INPUT", "SELECT", "TEXTAREA"].includes(e.target.tagName)) { if (e.key === "Escape") e.target.blur(); return; }
  if (e.ctrlKey || e.metaKey || e.altKey || (e.key === " " && e.target.closest("button, summary"))) return;
  const keys = { "/": () => $("search").focus(), " ": () => (video.paused ? video.play().catch(() => {}) : video.pause()), ArrowLeft: () => seek(clock - (e.shiftKey ? 10 : 1)), ArrowRight: () => seek(clock + (e.shiftKey ? 10 : 1)), n: () => nextShot(1), p: () => nextShot(-1), f: foldAll, "+": () => zoom(2), "-": () => zoom(0.5), 0: () => zoom(0), Home: () => seek(0), End: () => seek(duration()) };
  if (Object.hasOwn(keys, e.key)) { e.preventDefault(); keys[e.key](); }
});
show(0);
