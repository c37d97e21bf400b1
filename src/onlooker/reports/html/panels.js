// -- what stands at the top, and the lists beside the picture --
const MOST_HITS = 500, MOST_ENTRIES = 3000, MOST_SPANS = 60;
const TABS = [["transcript", "Transcript", "speech"], ["people", "People", ""], ["texts", "On screen", "text"], ["about", "About", ""]];
let entries = [], starts = [], now = -1;

const go = (o) => () => { seek(o.start); mark(o.id); };
const meets = (o) => (p) => p.start < o.end && p.end > o.start;

function buildOverview() {
  const s = state.source;
  $("name").textContent = s.name;
  $("about").textContent = s.about;
  $("failures").replaceChildren(...(s.failures.length ? s.failures.map((f) => make("div", { className: "failure" }, make("b", { textContent: "could not look: " }), f)) : [make("p", { className: "good", textContent: "everything could be looked at" })]));
  const summary = of("summary").filter((o) => o.label !== "chapter").map((o) => o.text || o.label).filter(Boolean);
  $("summary").hidden = !summary.length;
  $("summary").textContent = summary.join(" ");
  const tags = new Map();
  // of the whole source first; what holds only for a part comes where there is nothing else
  for (const kind of ["topic", "keyword", "label"]) {
    const whole = of(kind).filter((o) => o.period === "source");
    for (const o of (whole.length ? whole : of(kind)).slice(0, 12)) { const name = o.text || o.label; if (name && !tags.has(name)) tags.set(name, o); }
  }
  const marks = of("safety").filter((o) => o.label !== "safe");
  $("tags").hidden = !tags.size && !marks.length;
  $("tags").replaceChildren(
    ...marks.slice(0, 6).map((o) => tag(`⚠ ${words(o)}`, o, "warn")),
    ...[...tags].map(([name, o]) => tag(name, o, o.kind)));
  const chapters = of("chapter"), short = new Map(of("summary").filter((o) => o.label === "chapter").map((o) => [o.start, o.text]));
  $("chapters").hidden = chapters.length < 2;
  $("chapters").replaceChildren(...chapters.slice(0, 200).map((o, n) => {
    const frame = of("keyframe").find((f) => f.picture && f.start >= o.start && f.start < o.end);
    const card = make("button", { className: "chapter", type: "button" });
    if (frame) card.append(make("img", { src: frame.picture, alt: "", loading: "lazy" }));
    card.append(make("span", { className: "at", textContent: brief(o.start) }), make("span", { className: "what", textContent: o.text || o.label || `Chapter ${n + 1}` }));
    card.title = short.get(o.start) || "";
    card.onclick = go(o);
    return make("li", {}, card);
  }));
}
function tag(name, o, sort) {
  const node = make("button", { className: `tag ${sort}`, type: "button", textContent: name, title: `${o.kind} at ${time(o.start)}` });
  node.onclick = go(o);
  return node;
}
function buildTabs() {
  const s = state.source, count = { transcript: of("speech").length, people: s.people.length, texts: of("text").length, about: 0 };
  const there = TABS.filter(([id]) => id === "about" || count[id]);
  if (!there.some(([id]) => id === state.tab)) state.tab = there[0][0];
  $("tabs").replaceChildren(...there.map(([id, name]) => {
    const button = make("button", { type: "button", textContent: name, id: `tab-${id}` });
    button.setAttribute("role", "tab"); button.setAttribute("aria-controls", "panel");
    button.setAttribute("aria-selected", String(id === state.tab));
    button.tabIndex = id === state.tab ? 0 : -1;
    if (count[id]) button.append(make("small", { textContent: ` ${count[id]}` }));
    button.onclick = () => { state.tab = id; $("within").value = ""; buildTabs(); };
    button.onkeydown = (e) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
      if (!step) return;
      e.preventDefault(); e.stopPropagation();
      const at = there.findIndex(([t]) => t === id);
      state.tab = there[(at + step + there.length) % there.length][0]; buildTabs(); $(`tab-${state.tab}`).focus();
    };
    return button;
  }));
  $("panel").setAttribute("aria-labelledby", `tab-${state.tab}`);
  $("withinbox").hidden = state.tab === "about";
  $("within").placeholder = { transcript: "Search in what was said", people: "Search people", texts: "Search in what was written" }[state.tab] || "";
  buildPanel();
}
function buildPanel() {
  const panel = $("panel"), query = $("within").value.trim().toLowerCase();
  panel.className = state.tab; panel.scrollTop = 0;
  entries = []; starts = []; now = -1;
  const fits = (...texts) => !query || texts.some((t) => (t || "").toLowerCase().includes(query));
  let shown = [], total = 0;
  if (state.tab === "about") shown = aboutEntries();
  if (state.tab === "people") {
    const people = state.source.people.filter((p) => fits(p.name));
    total = people.length; shown = people.map(personOf);
  }
  if (state.tab === "transcript") {
    const said = of("speech").filter((o) => fits(o.text, o.speaker));
    total = said.length; shown = sentences(said, query);
  }
  if (state.tab === "texts") {
    const written = of("text").filter((o) => fits(o.text));
    total = written.length; shown = written.slice(0, MOST_ENTRIES).map((o) => entryOf(o, query, make("small", { textContent: o.role || "" })));
  }
  $("matches").textContent = query ? `${total} found` : "";
  panel.replaceChildren(...shown);
  if (total > MOST_ENTRIES) panel.append(make("p", { className: "good", textContent: `the first ${MOST_ENTRIES} of ${total}; search finds the others` }));
  if (query && !total) panel.append(make("p", { className: "good", textContent: "nothing found" }));
  markNow();
}
function entryOf(o, query, ...more) {
  const entry = make("button", { className: "entry", type: "button" }, make("span", { className: "at", textContent: brief(o.start) }), make("span", { className: "words" }, ...marked(words(o), query), ...more));
  entry.onclick = go(o);
  entries.push([o, entry]); starts.push(o.start);
  return entry;
}
// the text in pieces, what is searched for marked
function marked(text, query) {
  if (!query) return [text];
  const low = text.toLowerCase(), pieces = [];
  let from = 0, at;
  // letters whose lower case is longer would shift the marks: then nothing is marked
  if (low.length !== text.length) return [text];
  while ((at = low.indexOf(query, from)) >= 0) { pieces.push(text.slice(from, at), make("mark", { textContent: text.slice(at, at + query.length) })); from = at + query.length; }
  return [...pieces, text.slice(from)];
}
function sentences(said, query) {
  const shown = [], key = (o) => `${o.start} ${o.end}`, unsafe = of("safety").filter((o) => o.label !== "safe");
  const moods = new Map(of("sentiment").filter((o) => o.label !== "neutral" && o.period !== "source").map((o) => [key(o), o.label]));
  let last = null, harm = 0;
  for (const o of said.slice(0, MOST_ENTRIES)) {
    const speaker = o.speaker || "";
    if (speaker !== last && speaker) {
      const name = make("p", { className: "speaker", textContent: speaker }); name.style.setProperty("--c", personColor(speaker)); shown.push(name);
    }
    last = speaker;
    while (harm < unsafe.length && unsafe[harm].end <= o.start) harm++;
    const marks = [];
    const mood = moods.get(key(o));
    if (mood) marks.push(make("small", { className: `mood ${mood === "positive" ? "up" : "down"}`, textContent: mood }));
    if (unsafe[harm] && meets(o)(unsafe[harm])) marks.push(make("small", { className: "mood warn", textContent: `⚠ ${unsafe[harm].label || "unsafe"}` }));
    const entry = entryOf(o, query, ...marks);
    entry.style.setProperty("--c", speaker ? personColor(speaker) : "var(--line)");
    shown.push(entry);
  }
  return shown;
}
function personOf(person) {
  const total = duration(), bar = make("div", { className: "when" });
  for (const [start, end, id] of person.spans.slice(0, MOST_SPANS)) {
    const part = make("button", { type: "button", title: `${time(start)} – ${time(end)}` });
    part.setAttribute("aria-label", `${person.name} at ${time(start)}`);
    part.style.left = `${(100 * start) / total}%`; part.style.width = `${(100 * (end - start)) / total}%`; part.style.background = personColor(person.name);
    part.onclick = () => { seek(start); mark(id); };
    bar.append(part);
  }
  const first = person.spans[0];
  const face = person.picture ? make("img", { src: person.picture, alt: "", loading: "lazy" }) : make("span", { className: "noface", textContent: [...person.name][0] || "?" });
  const open = make("button", { className: "face", type: "button", title: first ? `first seen at ${time(first[0])}` : "" }, face);
  open.setAttribute("aria-label", `${person.name}, first seen`);
  if (first) open.onclick = () => { seek(first[0]); mark(first[2]); };
  const many = person.spans.length > 1 ? `, ${person.spans.length} times` : "";
  return make("div", { className: `person${person.known ? " known" : ""}` }, open,
    make("div", { className: "of" }, make("strong", { textContent: person.name }), make("small", { textContent: `${span(person.seconds)}${many}${first ? `, from ${brief(first[0])}` : ""}` }), bar));
}
function aboutEntries() {
  const s = state.source;
  return [make("dl", { id: "counts" }, ...Object.entries(s.counts).flatMap(([k, n]) => [make("dt", { textContent: k }), make("dd", { textContent: n.toLocaleString("en") })]))];
}
// what is said now, under the picture and in the list
function markNow() {
  const at = before(starts, clock + 0.002);
  const current = at >= 0 && entries[at][0].end + 0.3 > clock ? at : -1;
  const sentence = of("speech")[before(state.source.spoken, clock + 0.002)];
  $("said").textContent = sentence && sentence.end + 0.3 > clock ? `${sentence.speaker ? `${sentence.speaker}: ` : ""}${words(sentence)}` : "";
  if (current === now) return;
  if (entries[now]) { entries[now][1].classList.remove("now"); entries[now][1].removeAttribute("aria-current"); }
  now = current;
  if (!entries[now]) return;
  const node = entries[now][1], panel = $("panel");
  node.classList.add("now"); node.setAttribute("aria-current", "true");
  if (!panel.matches(":hover") || node.offsetTop < panel.scrollTop || node.offsetTop > panel.scrollTop + panel.clientHeight)
    panel.scrollTop = node.offsetTop - panel.clientHeight / 3;
}
function buildHits() {
  const parts = state.query.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (o) => {
    if (state.hidden.has(o.kind) || (state.label && o.label !== state.label)) return false;
    const text = [o.kind, o.label, o.text, o.track, who(o), o.speaker, o.transition, o.id].join(" ").toLowerCase();
    return parts.every((p) => text.includes(p));
  };
  const hits = state.source.items.filter(fits);
  const all = hits.length === state.source.items.filter((o) => !state.hidden.has(o.kind)).length;
  state.hits = all ? null : new Set(hits.map((o) => o.id));
  for (const node of document.querySelectorAll(".item")) node.classList.toggle("dim", !all && !state.hits.has(node.dataset.id));
  drawStrips();
  $("found").textContent = `${hits.length} of ${state.source.items.length} observations${hits.length > MOST_HITS ? `, first ${MOST_HITS} shown` : ""}`;
  $("hits").replaceChildren(...hits.slice(0, MOST_HITS).map((o) => {
    const dot = make("span", { className: "dot" }); dot.style.background = colorOf(o);
    const what = make("td", { textContent: o.speaker ? `${o.speaker}: ${words(o)}` : words(o) });
    if (o.more) what.append(make("small", { textContent: ` ${o.more}` }));
    const row = make("tr", { tabIndex: 0 },
      make("td", { textContent: `${time(o.start)}\u00a0– ${time(o.end)}` }), make("td", {}, dot, o.kind),
      what, make("td", { textContent: o.score === null ? "" : String(o.score) }), make("td", { textContent: o.producer }));
    row.onclick = go(o);
    row.onkeydown = (e) => { if (e.key === "Enter") row.onclick(); };
    return row;
  }));
}
function buildFilters() {
  const s = state.source;
  $("producers").replaceChildren(...s.producers.map((p) => make("div", { textContent: p })), make("div", { textContent: `content SHA-256 begins ${s.id}` }));
  $("kinds").replaceChildren(...[...s.kinds.keys()].sort().map((k) => {
    const chip = make("button", { className: "chip", textContent: k, type: "button" });
    chip.setAttribute("aria-pressed", String(!state.hidden.has(k)));
    chip.onclick = () => { state.hidden.has(k) ? state.hidden.delete(k) : state.hidden.add(k); chip.setAttribute("aria-pressed", String(!state.hidden.has(k))); buildRows(); buildHits(); paint(); };
    return chip;
  }));
  const labels = [...new Set(s.items.map((o) => o.label).filter(Boolean))].sort();
  $("label").replaceChildren(make("option", { value: "", textContent: "all" }), ...labels.map((l) => make("option", { value: l, textContent: l })));
  $("footer").textContent = `${s.left_out ? `${s.left_out} · ` : ""}${data.made}`;
}
