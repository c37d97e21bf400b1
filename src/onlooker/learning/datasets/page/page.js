"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const colours = ["#ffca28", "#4fc3f7", "#81c784", "#f06292", "#ba68c8", "#ff8a65", "#4db6ac", "#dce775", "#90a4ae"];
const colour = (name) => colours[[...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 9973, 7) % colours.length];
const by = (id) => document.getElementById(id);

function made(name, attributes = {}, ...parts) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...parts.filter((p) => p !== null && p !== undefined));
  return element;
}

function drawn(name, attributes = {}, ...parts) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...parts);
  return element;
}

function look(one, id) {
  const svg = drawn("svg", { viewBox: `0 0 ${one.width} ${one.height}`, "aria-hidden": "true" });
  for (const [label, left, top, right, bottom] of one.boxes) {
    const x = left * one.width, y = top * one.height;
    svg.append(drawn("rect", { x, y, width: (right - left) * one.width, height: (bottom - top) * one.height, stroke: colour(label.split(" ")[0]) }));
    svg.append(drawn("text", { x: Math.max(1, x) + 2, y: Math.max(11, y + 11) }, label));
  }
  const figure = made("div", { class: "look" }, made("img", { src: one.picture, alt: id, width: one.width, height: one.height }), svg);
  if (one.at !== null) figure.append(made("small", {}, `${one.at} s`));
  return figure;
}

function bar(sample) {
  const svg = drawn("svg", { class: "bar", viewBox: "0 0 1000 22", preserveAspectRatio: "none", role: "img", "aria-label": "time line" });
  const place = (seconds) => (1000 * Math.min(Math.max(seconds, 0), sample.seconds)) / sample.seconds;
  svg.append(drawn("rect", { class: "whole", x: 0, y: 8, width: 1000, height: 6 }));
  const rect = (start, end, more) => drawn("rect", { x: place(start), width: Math.max(3, place(end) - place(start)), ...more });
  if (sample.part) svg.append(rect(sample.part[0], sample.part[1], { class: "part", y: 6, height: 10 }));
  for (const [label, start, end] of sample.spans) {
    const span = rect(start, end, { y: 3, height: 16, fill: colour(label) });
    span.append(drawn("title", {}, `${label} ${start}-${end} s`));
    svg.append(span);
  }
  return svg;
}

function wave(peaks) {
  const svg = drawn("svg", { class: "wave", viewBox: `0 0 ${peaks.length * 4} 46`, preserveAspectRatio: "none", "aria-hidden": "true" });
  peaks.forEach((peak, n) => {
    const height = Math.max(1, peak * 44);
    svg.append(drawn("rect", { x: n * 4, y: 23 - height / 2, width: 3, height }));
  });
  return svg;
}

const range = ({ low, high }) => (low === null ? "no value" : low === high ? low : `${low} to ${high}`);

function chart(curves) {
  const wide = 1000, high = 110;
  const svg = drawn("svg", { class: "chart", viewBox: `0 0 ${wide} ${high}`, preserveAspectRatio: "none", role: "img", "aria-label": `series of ${curves.map((c) => c.name).join(", ")}` });
  const names = made("div", { class: "names" });
  curves.forEach((curve, n) => {
    let path = "", on = false;
    for (const point of curve.points) {
      const place = point && `${(4 + point[0] * (wide - 8)).toFixed(1)} ${(4 + (1 - point[1]) * (high - 8)).toFixed(1)}`;
      // a line of no length is a dot
      if (point) path += on ? `L${place}` : `M${place}L${place}`;
      on = point !== null;
    }
    svg.append(drawn("path", { d: path, class: `line${n}` }));
    names.append(made("span", {}, made("i", { class: `line${n}` }), curve.name, made("small", {}, ` ${range(curve)}`)));
  });
  return made("div", { class: "series" }, svg, names);
}

function tags(sample) {
  const line = made("div");
  for (const task of Object.keys(data.tasks)) {
    const words = sample.labels[task];
    if (words) for (const word of words) line.append(made("span", { class: "tag" }, made("b", {}, task), word));
    else line.append(made("span", { class: "tag none" }, made("b", {}, task), "no label"));
  }
  return line;
}

function card(sample) {
  const article = made("article");
  if (sample.looks.length > 1) article.classList.add("wide");
  if (sample.looks.length) article.append(made("div", { class: "looks" }, ...sample.looks.map((one) => look(one, sample.id))));
  const head = made("div", { class: "id" });
  if (sample.split) head.append(made("span", { class: "split" }, sample.split));
  if (sample.status === "proposed") head.append(made("span", { class: "split proposed" }, "proposed"));
  head.append(sample.id);
  const groups = Object.entries(sample.groups).map(([sort, name]) => `${sort}: ${name}`);
  const body = made("div", { class: "body" }, head, made("div", { class: "about" }, [sample.about, ...groups].filter(Boolean).join(" · ")));
  if (sample.problem) body.append(made("div", { class: "problem" }, sample.problem));
  if (sample.text) body.append(made("blockquote", {}, sample.text));
  if (sample.peaks) body.append(wave(sample.peaks));
  if (sample.sound) body.append(made("audio", { controls: "", preload: "none", src: sample.sound }));
  if (sample.curves && sample.curves.length) body.append(chart(sample.curves));
  if (sample.seconds && (sample.spans.length || sample.part)) body.append(bar(sample));
  body.append(tags(sample));
  if (sample.notes) body.append(made("div", { class: "notes" }, sample.notes));
  article.append(body);
  return article;
}

function options(select, words) {
  select.replaceChildren(made("option", { value: "" }, "any"), ...words.map((word) => made("option", { value: word }, word)));
}

const bare = (word) => word.replace(/ ×\d+$/, "");
const cards = data.samples.map((sample) => ({
  sample,
  element: card(sample),
  words: [sample.id, sample.text, sample.notes, ...Object.values(sample.groups), ...Object.values(sample.labels).flat()].join("\n").toLowerCase(),
}));

function labels() {
  const task = by("task").value;
  const found = new Set(cards.flatMap(({ sample }) => (sample.labels[task] || []).map(bare)));
  options(by("label"), task ? [...found].sort().slice(0, 500) : []);
  by("label").disabled = !task;
  if (task) by("label").append(made("option", { value: "\u0000" }, "no label"));
}

function fits({ sample, words }) {
  const task = by("task").value, label = by("label").value, status = by("status").value;
  const said = sample.labels[task];
  if (by("split").value && sample.split !== by("split").value) return false;
  if (status === "problem" ? !sample.problem : status && sample.status !== status) return false;
  if (task && label === "\u0000" ? said : task && (!said || (label && !said.map(bare).includes(label)))) return false;
  return words.includes(by("words").value.toLowerCase());
}

function filter() {
  let shown = 0;
  for (const entry of cards) {
    entry.element.hidden = !fits(entry);
    shown += entry.element.hidden ? 0 : 1;
  }
  by("count").textContent = `${shown} of ${cards.length} shown · ${data.total} in the dataset`;
}

by("name").textContent = data.name;
by("description").textContent = data.description;
by("samples").append(...cards.map((entry) => entry.element));
options(by("split"), data.splits);
options(by("task"), Object.keys(data.tasks));
labels();
by("filters").addEventListener("submit", (event) => event.preventDefault());
by("filters").addEventListener("input", (event) => {
  if (event.target.id === "task") labels();
  document.body.classList.toggle("plain", !by("boxes").checked);
  filter();
});
filter();
