// Folded parts are printed too, and a link unfolds what it leads to.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(d => { d.dataset.was = d.open; d.open = true }));
addEventListener("afterprint", () => document.querySelectorAll("details").forEach(d => { d.open = d.dataset.was == "true" }));
function show() { const t = document.getElementById(location.hash.slice(1)); if (t && t.tagName == "DETAILS") t.open = true }
addEventListener("hashchange", show);
show();
// Charts: values under the pointer or, by arrow keys, at the cursor; parts that can be left out.
const tip = document.body.appendChild(document.createElement("div"));
tip.id = "tip"; tip.hidden = true; tip.setAttribute("role", "status");
const LEFT = 62, PLOT = 674;
function steps(svg, name) {
const path = svg.querySelector(".k ." + name), found = [];
let at = 0;
if (path) for (const [, rise, run, none] of path.getAttribute("d").matchAll(/v(-?\d+)(?:h(\d+))?|m(\d+) 0/g)) {
at += +(rise || 0);
for (let i = 0; i < (run || none || 0); i++) found.push(at);
}
return found;
}
function level(svg) {
let at = 0;
return [...(svg.querySelector(".wt")?.getAttribute("d") || "").matchAll(/1 ?(-?\d+)(?: |V|$)/g)].map(([, rise]) => at += +rise);
}
function heights(svg, name) {
const found = [];
for (const [, x, y, more] of svg.querySelector(".k ." + name).getAttribute("d").matchAll(/M([\d.]+) (-?\d+)(?:h0|l([^M]*))/g)) {
let i = Math.floor(x), at = +y;
found[i] = at;
for (const [, rise] of (more || "").matchAll(/1 ?(-?\d+)(?: |$)/g)) found[++i] = at += +rise;
}
return found;
}
function time(s) { return s >= 1 ? s.toPrecision(3) + " s" : (s * 1e3).toPrecision(2) * 1 + " ms" }
function values(svg) {
if (svg.values) return svg.values;
const [step, count, low, high] = svg.dataset.c.split(" ").map(Number);
const names = ["p50", "p95", "p99"].filter(name => svg.querySelector(".k ." + name)), lines = names.map(name => heights(svg, name).map(y => low * (high / low) ** (1 - y / 680)));
const [sent, ok, no] = ["sent", "ok", "no"].map(name => steps(svg, name)), wait = level(svg);
return svg.values = { step, count, tell(i) {
const told = [`${(i * step).toFixed(2)} to ${((i + 1) * step).toFixed(2)} s`];
told.push(lines[0][i] ? names.map((name, n) => `${name} ${time(lines[n][i])}`).join(", ") : "nothing sent");
told.push(`${sent[i]} sent, ${ok[i]} answered, ${no[i] || "none"} failed`);
if (wait.length) told.push(`${wait[i]} waiting`);
const x = LEFT + (i + .5) / count * PLOT;
for (const band of svg.querySelectorAll(".b")) {
const [, a, w] = band.getAttribute("d").match(/M(\d+) 0h(\d+)/);
const label = [...svg.querySelectorAll(".f:not(.r)")].find(text => Math.abs(text.getAttribute("x") - a) == 3);
if (x >= a && x <= +a + +w) told.push("fault: " + (label ? label.textContent : "see the table"));
}
return told;
} };
}
function point(svg, i, left, top) {
const all = values(svg);
svg.at = i = Math.max(0, Math.min(all.count - 1, i));
let line = svg.querySelector(".cur");
if (!line) { line = document.createElementNS(svg.namespaceURI, "path"); line.setAttribute("class", "cur"); svg.append(line) }
const box = svg.viewBox.baseVal, x = LEFT + (i + .5) / all.count * PLOT, frame = svg.getBoundingClientRect();
line.setAttribute("d", `M${x} 0V${box.height + box.y - 36}`);
tip.replaceChildren(...all.tell(i).map(text => Object.assign(document.createElement("div"), { textContent: text })));
tip.hidden = false;
const at = frame.left + x / box.width * frame.width;
tip.style.left = Math.max(4, at + 12 + tip.offsetWidth > innerWidth ? at - 12 - tip.offsetWidth : at + 12) + "px";
tip.style.top = Math.max(4, Math.min(innerHeight - tip.offsetHeight - 4, top ?? frame.top + 20)) + "px";
}
function leave(svg) { tip.hidden = true; svg.querySelector(".cur")?.remove() }
const PARTS = { "heat map": "ht", p50: "p50", p95: "p95", p99: "p99", sent: "sent", answered: "ok", failed: "no", faults: "b" };
for (const svg of document.querySelectorAll("svg[data-c]")) {
svg.tabIndex = 0;
svg.addEventListener("pointermove", e => {
const frame = svg.getBoundingClientRect(), x = (e.clientX - frame.left) / frame.width * svg.viewBox.baseVal.width;
if (x < LEFT || x > LEFT + PLOT) leave(svg); else point(svg, Math.floor((x - LEFT) / PLOT * values(svg).count), 0, e.clientY + 16);
});
svg.addEventListener("pointerleave", () => leave(svg));
svg.addEventListener("blur", () => leave(svg));
svg.addEventListener("keydown", e => {
const at = svg.at ?? -1, to = { ArrowRight: at + 1, ArrowLeft: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: 1e9 }[e.key];
if (e.key == "Escape") leave(svg);
if (to === undefined) return;
e.preventDefault(); point(svg, to);
});
const row = document.createElement("p");
row.className = "parts";
row.append("Show: ");
for (const [name, part] of Object.entries(PARTS)) {
if (!svg.querySelector("." + part)) continue;
const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
button.setAttribute("aria-pressed", true);
button.onclick = () => button.setAttribute("aria-pressed", !svg.classList.toggle("no-" + part));
row.append(button);
}
svg.parentElement.after(row);
}
