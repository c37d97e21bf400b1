// The status page: logs in, shows cameras and the newest events. Everything that comes from outside is set as text.
const API = "/api/v1";
const NEWEST = 50;
let csrf = "";
let timer = 0;
let source = null;

const at = (selector, root = document) => root.querySelector(selector);

function made(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

async function call(path, { method = "GET", body } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(API + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const told = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) {
    const error = new Error(told.hint ? `${told.detail} (${told.hint})` : told.detail);
    error.status = answer.status;
    throw error;
  }
  return told;
}

function say(text) {
  const node = at("#problem");
  node.textContent = text;
  node.hidden = !text;
}

function show(...ids) {
  for (const id of ["login", "link", "cameras", "events", "logout"]) at(`#${id}`).hidden = !ids.includes(id);
}

async function enter(path, body) {
  try {
    begin(await call(path, { method: "POST", body }));
  } catch (error) {
    say(error.message);
  }
}

function begin(me) {
  csrf = me.csrf;
  say("");
  history.replaceState(null, "", "/");
  at("#who").textContent = `${me.user}, ${me.roles.map((r) => `${r.role} on ${r.camera === "*" ? "everything" : r.camera}`).join(", ")}`;
  show("cameras", "events", "logout");
  refresh();
  clearInterval(timer);
  timer = setInterval(refresh, 2000);
  listEvents();
  follow();
}

function end() {
  clearInterval(timer);
  source?.close();
  source = null;
  at("#who").textContent = "";
  show("login");
}

// -- cameras --

async function refresh() {
  if (document.hidden) return;
  try {
    const { cameras } = await call("/cameras");
    at("#cameras .empty").hidden = cameras.length > 0;
    const grid = at("#cameras .grid");
    const known = new Map([...grid.children].map((node) => [node.dataset.name, node]));
    for (const camera of cameras) {
      const node = known.get(camera.name) ?? grid.appendChild(cameraNode(camera));
      known.delete(camera.name);
      update(node, camera);
    }
    for (const gone of known.values()) gone.remove();
  } catch (error) {
    if (error.status === 401) end();
    else say(error.message);
  }
}

function cameraNode(camera) {
  const node = made("article", { className: "camera" });
  node.dataset.name = camera.name;
  const live = made("button", { type: "button", textContent: "Live" });
  live.addEventListener("click", () => watch(camera.name));
  node.append(made("h3", { textContent: camera.name }), made("img", { alt: `newest picture of ${camera.name}` }),
    made("p", {}, made("span", { className: "state" }), " ", made("span", { className: "why" })),
    made("p", { className: "numbers" }), made("p", { className: "notes" }), live);
  return node;
}

function update(node, camera) {
  const state = at(".state", node);
  state.textContent = camera.condition;
  state.className = `state ${camera.condition}`;
  at(".why", node).textContent = camera.reason;
  const age = camera.age === null ? "" : `, age ${Math.round(1000 * camera.age)} ms`;
  const drops = Object.entries(camera.drops).map(([cause, count]) => `${count} ${cause}`).join(", ");
  at(".numbers", node).textContent = `${camera.arriving.toFixed(1)} frames/s, ${camera.analysed.toFixed(1)} analysed${age}`
    + `${camera.motion ? ", motion" : ""}${camera.recording ? ", recording" : ""}; blind ${Math.round(camera.blind_seconds)} s`
    + `${drops ? `; dropped ${drops}` : ""}`;
  at(".notes", node).textContent = camera.notes.join("; ");
  at("button", node).hidden = !camera.watched;
  if (camera.condition === "watching") {
    at("img", node).src = `${API}/cameras/${encodeURIComponent(camera.name)}/picture?width=480&t=${Date.now()}`;
  }
}

// -- live view --

function watch(name) {
  const viewer = at("#viewer");
  const stage = at(".stage", viewer);
  at("strong", viewer).textContent = name;
  const stop = play(name, stage) ?? motion(name, stage);
  viewer.addEventListener("close", () => { stop(); stage.replaceChildren(); }, { once: true });
  viewer.showModal();
}

function motion(name, stage) {
  const image = made("img", { alt: `${name}, in motion`, src: `${API}/cameras/${encodeURIComponent(name)}/motion?width=960` });
  stage.replaceChildren(image);
  return () => image.removeAttribute("src");
}

function play(name, stage) {
  if (!("MediaSource" in window)) return null;
  const video = made("video", { muted: true, autoplay: true, playsInline: true, controls: true });
  stage.replaceChildren(video);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}${API}/cameras/${encodeURIComponent(name)}/live`);
  socket.binaryType = "arraybuffer";
  let buffer = null;
  let queue = [];
  let stop = () => socket.close();
  const pump = () => {
    if (!buffer || buffer.updating) return;
    const ranges = buffer.buffered;
    if (ranges.length) {
      const last = ranges.end(ranges.length - 1);
      if (video.currentTime < ranges.start(0) || last - video.currentTime > 3) video.currentTime = last - 0.3;
      if (last - ranges.start(0) > 30) { buffer.remove(ranges.start(0), last - 15); return; }
    }
    if (queue.length) buffer.appendBuffer(queue.shift());
  };
  const fallBack = () => { socket.close(); stop = motion(name, stage); };
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") { queue.push(data); pump(); return; }
    const { mime } = JSON.parse(data);
    if (!MediaSource.isTypeSupported(mime)) { fallBack(); return; }
    const media = new MediaSource();
    queue = [];
    buffer = null;
    media.addEventListener("sourceopen", () => {
      buffer = media.addSourceBuffer(mime);
      buffer.addEventListener("updateend", pump);
      pump();
    }, { once: true });
    video.src = URL.createObjectURL(media);
  };
  socket.onclose = () => { if (!buffer && stage.contains(video)) fallBack(); };
  return () => stop();
}

// -- events --

async function listEvents() {
  const { events } = await call(`/events?limit=${NEWEST}`);
  at("#events ul").replaceChildren(...events.map(eventNode));
  at("#events .empty").hidden = events.length > 0;
}

function eventNode(event) {
  const node = made("li", { className: event.severity });
  node.dataset.id = event.id;
  const when = event.wall_start ? new Date(event.wall_start).toLocaleString() : `${event.start} s`;
  const files = `${API}/events/${encodeURIComponent(event.id)}`;
  if (event.evidence.snapshot) node.append(made("img", { alt: "", src: `${files}/snapshot`, loading: "lazy" }));
  const length = event.end === null ? "goes on" : `${(event.end - event.start).toFixed(1)} s`;
  node.append(made("div", {}, made("strong", { textContent: event.rule }), ` ${event.label ?? ""} on ${event.camera}, ${when}, ${length}`));
  if (event.evidence.clip) {
    const clip = made("button", { type: "button", textContent: "Clip" });
    clip.addEventListener("click", () => {
      const viewer = at("#viewer");
      at("strong", viewer).textContent = event.rule;
      at(".stage", viewer).replaceChildren(made("video", { src: `${files}/clip`, controls: true, autoplay: true, muted: true }));
      viewer.addEventListener("close", () => at(".stage", viewer).replaceChildren(), { once: true });
      viewer.showModal();
    });
    node.append(clip);
  }
  const seen = made("button", { type: "button", textContent: event.acknowledged ? "Seen" : "Acknowledge", disabled: Boolean(event.acknowledged) });
  seen.addEventListener("click", async () => {
    try {
      node.replaceWith(eventNode(await call(`/events/${encodeURIComponent(event.id)}/acknowledge`, { method: "POST", body: {} })));
    } catch (error) {
      say(error.message);
    }
  });
  node.append(seen);
  return node;
}

function follow() {
  source?.close();
  source = new EventSource(`${API}/stream/events`);
  const news = async ({ data }) => {
    const { id } = JSON.parse(data);
    try {
      const event = await call(`/events/${encodeURIComponent(id)}`);
      const list = at("#events ul");
      const known = [...list.children].find((node) => node.dataset.id === id);
      if (known) known.replaceWith(eventNode(event));
      else list.prepend(eventNode(event));
      while (list.children.length > NEWEST) list.lastElementChild.remove();
      at("#events .empty").hidden = true;
    } catch (error) {
      if (error.status === 401) end();
    }
  };
  for (const state of ["new", "update", "end"]) source.addEventListener(state, news);
}

// -- start --

at("#login").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  enter("/login", { user: form.get("user"), password: form.get("password") });
});
at("#link").addEventListener("submit", (event) => {
  event.preventDefault();
  const secret = new URLSearchParams(location.hash.slice(1)).get("link");
  enter("/link", { secret, password: new FormData(event.target).get("password") });
});
at("#logout").addEventListener("click", async () => {
  await call("/logout", { method: "POST" }).catch(() => {});
  end();
});

if (location.hash.startsWith("#link=")) {
  show("link");
} else {
  call("/me").then(begin, () => show("login"));
}
