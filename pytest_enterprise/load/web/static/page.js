// Asks four things of Locust's server: what happened since the last time, what stack there is, begin a fault, end one.
// Text from elsewhere is only ever set as text.
"use strict";
const $ = (id) => document.getElementById(id);
const ASK = 1000;
const OUTCOMES = { held: "held", broken: "broken", "not judged": "not" };
const ON = { link: "on links", engine: "on engines", cluster: "between engines", nothing: "nothing, to compare with" };

let load = "", version = 0, seconds = new Map(), catalogue = null, last = null;

function make(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Sets the rows of a table when they differ from what is there, so that what is selected stays so. */
function rows(body, all) {
  const fresh = all.map((cells) => {
    const row = make("tr");
    cells.forEach((cell, i) => {
      const made = make(i ? "td" : "th", undefined, i ? {} : { scope: "row" });
      made.append(...[cell].flat());
      row.append(made);
    });
    return row;
  });
  if (fresh.map((row) => row.outerHTML).join() === [...body.children].map((row) => row.outerHTML).join()) return;
  body.replaceChildren(...fresh);
}

function state(outcome) {
  return make("b", outcome, { class: `state ${OUTCOMES[outcome]}` });
}

/** What was chosen for a fault, with its units; defaults are left out. */
function settingsOf(fault) {
  const known = new Map((catalogue?.get(fault.settings.fault ?? fault.fault)?.settings ?? []).map((s) => [s.name, s]));
  return Object.entries(fault.settings)
    .filter(([name, v]) => v !== null && v !== "" && !same(v, {}) && !same(v, known.get(name)?.default))
    .map(([name, v]) => `${name.replaceAll("_", " ")} ${words(v)}${known.get(name)?.unit === "s" ? " s" : ""}`)
    .join(", ");
}

/** A value as people read it. */
function words(value) {
  if (Array.isArray(value)) return value.map(words).join(", ");
  if (value && typeof value === "object") return Object.entries(value).map(([name, v]) => `${name} ${words(v)}`).join(", ");
  return typeof value === "number" ? count(value) : String(value);
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

function theme() {
  const dark = localStorage.theme === "dark"
    || (!("theme" in localStorage) && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
  document.documentElement.classList.toggle("framed", window.top !== window);
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("Locust does not answer any more: was it ended?");
  }
  let body;
  try {
    body = await answer.json();
  } catch {
    throw new Error(`Locust answered ${answer.status} ${answer.statusText} to ${path}`);
  }
  if (!answer.ok) throw new Error(body.error || `${answer.status} ${answer.statusText}`);
  return body;
}

async function refresh() {
  theme();
  try {
    const now = await ask(`state?load=${encodeURIComponent(load)}&since=${version}`);
    if (now.load !== load) {
      load = now.load;
      seconds = new Map();
    }
    version = now.version;
    for (const second of now.seconds) seconds.set(second[0], second);
    last = now;
    if ($("wrong").dataset.by === "refresh") fail("", "");
    await followStack(now);
    show(now);
  } catch (error) {
    fail(error.message, "refresh");
  }
}

function show(now) {
  const locust = now.locust;
  const loops = {
    closed: "closed loop: a user waits for its answer before it sends again, so a stalled server is asked less",
    open: `open loop, ${locust.arrivals}: journeys begin at their time, whatever the server does, and latency counts from there`,
    mixed: "closed and open loop: some users wait for their answers before they send again",
  };
  const shared = locust.workers ? ` in ${count(locust.workers)} ${locust.workers === 1 ? "worker" : "workers"}` : "";
  const figures = locust.id
    ? `${locust.id}: ${locust.state}, ${count(locust.users)} ${locust.users === 1 ? "user" : "users"}${shared}, ${count(locust.requests)} requests, ${count(locust.failures)} failed. `
    : "";
  $("load").textContent = `${figures}${capital(loops[locust.loop])}.`
    + (now.skipped ? ` ${count(now.skipped)} requests came faster than they could be read and are in no figure below.` : "");
  const problems = [
    locust.problem && `This load is not recorded any more: ${locust.problem}`,
    locust.missing && `Not all requests are known, so nothing is judged: ${locust.missing}.`,
    locust.behind && `The generator is behind its arrivals, so nothing is judged: ${locust.behind}`,
  ].filter(Boolean).join(" ");
  if ($("problem").textContent !== problems) $("problem").textContent = problems;
  $("problem").hidden = !problems;
  chart(now);
  table(now);
  objectives(now);
  faults(now);
}

const count = (n) => n.toLocaleString("en", { maximumFractionDigits: 6 });
const capital = (text) => text[0].toUpperCase() + text.slice(1);

function chart(now) {
  const range = Number($("range").value);
  $("no-load").hidden = Boolean(load);
  $("chart").hidden = !load;
  if (!load) return;
  const newest = Math.max(0, ...seconds.keys()) + 1;
  const to = Math.max(10, now.ended === null ? now.now : Math.max(newest, now.ended));
  const from = Math.max(0, to - range);
  for (const number of seconds.keys()) if (number < to - 960) seconds.delete(number);
  // A second that goes on has few requests yet, which would look as if the load fell.
  const whole = [...seconds.values()].filter(([number]) => now.ended !== null || number + 1 <= now.now);
  Chart.draw($("chart"), whole.sort((a, b) => a[0] - b[0]), now.faults, from, to);
}

function table(now) {
  const ms = (v) => v === null ? "–" : (v * 1000).toFixed(1);
  const newest = [...seconds.values()].sort((a, b) => b[0] - a[0]).slice(0, 15);
  rows($("figures").tBodies[0], newest.map(([number, sent, failed, p50, p95, p99]) => [
    Chart.time(number), count(sent), count(failed), ms(p50), ms(p95), ms(p99),
    now.faults.filter((f) => f.began < number + 1 && (f.ended === null || f.ended > number)).map((f) => f.fault).join(", "),
  ]));
}

function objectives(now) {
  $("objectives-note").textContent = `Judged from the requests of the last ${now.window} s, and below during each fault. ${now.note}`;
  rows($("objectives").tBodies[0], now.objectives.map((o) => [
    [o.name, ...[o.endpoint, o.phase === "whole" ? null : `${o.phase} a fault`].filter(Boolean).map((note) => make("div", note, { class: "soft" }))], o.limit, [state(o.outcome)], o.value ?? "–", o.detail,
  ]));
}

function faults(now) {
  const on = now.faults.filter((fault) => fault.ended === null);
  $("none-on").hidden = on.length > 0;
  const there = new Map([...$("on").children].map((item) => [item.dataset.id, item]));
  for (const fault of on) {
    if (!there.has(fault.id)) $("on").append(item(fault));
    $("on").querySelector(`[data-id="${CSS.escape(fault.id)}"] time`).textContent = `${Math.floor(fault.lasted)} s`;
    there.delete(fault.id);
  }
  for (const gone of there.values()) {
    if (gone.contains(document.activeElement)) $("h-on").focus();
    gone.remove();
  }
  $("none-yet").hidden = now.faults.length > 0;
  $("history").hidden = !now.faults.length;
  rows($("history").tBodies[0], [...now.faults].reverse().map((fault) => [
    [make("span", `${fault.fault} on ${fault.target}`), make("div", settingsOf(fault), { class: "soft" })],
    when(fault.began), fault.ended === null ? "still on" : when(fault.ended), did(fault),
    fault.verdicts.length ? fault.verdicts.map((v) => {
      const line = make("div");
      line.append(state(v.outcome), ` ${v.name}${v.value === null ? "" : `: ${v.value}`}, ${v.limit}`);
      if (v.outcome === "not judged") line.append(make("div", v.detail.split("; ")[0], { class: "soft" }));
      return line;
    }) : "no load meanwhile",
  ]));
}

/** A moment in the time of the load; of a stack without load there is only how long ago it was. */
const when = (at) => load && at >= 0 ? Chart.time(at) : "before this load";

function did(fault) {
  if (fault.ended === null) return "told when it ends";
  if (fault.proof === "unproven") return "unproven: the proxy that played it does not tell";
  const facts = Object.entries(fault.evidence || {}).filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${words(value)}`);
  return fault.acted ? facts.join(", ") || "acted" : "nothing: no traffic met it";
}

function item(fault) {
  const made = make("li", undefined, { "data-id": fault.id });
  const text = make("span", `${fault.fault} on ${fault.target}`);
  const settings = settingsOf(fault);
  if (settings) text.append(`, ${settings}`);
  text.append(", on for ", make("time", "0 s"));
  const button = make("button", "End", { type: "button", "aria-label": `End ${fault.fault} on ${fault.target}` });
  button.addEventListener("click", () => act(button, async () => {
    const ended = await ask(`faults/${encodeURIComponent(fault.id)}`, { method: "DELETE" });
    if (ended.warning) throw new Error(ended.warning);
    return `${fault.fault} on ${fault.target} has ended.`;
  }));
  made.append(text, button);
  return made;
}

/** Does what a button is for, once at a time, and tells what came of it. The button keeps the focus meanwhile. */
async function act(button, work) {
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true";
  fail("", "");
  $("told").textContent = "";
  try {
    $("told").textContent = await work();
  } catch (error) {
    fail(error.message, "act");
  }
  button.ariaDisabled = null;
  await refresh();
}

function fail(message, by) {
  $("wrong").dataset.by = by;
  if ($("wrong").textContent !== message) $("wrong").textContent = message;
}

/** Asks for the stack when one came or went, and shows the form or why there is none. */
async function followStack(now) {
  $("no-stack").textContent = now.why_no_stack;
  $("no-stack").hidden = !now.why_no_stack;
  if (now.why_no_stack) {
    catalogue = null;
    $("begin").hidden = true;
  } else if (!catalogue) {
    try {
      const found = await ask("stack");
      catalogue = new Map(found.catalogue.map((kind) => [kind.kind, kind]));
      fillKinds();
      $("begin").hidden = false;
    } catch (error) {
      $("no-stack").textContent = error.message;
      $("no-stack").hidden = false;
    }
  }
}

function fillKinds() {
  $("kind").replaceChildren();
  for (const [on, label] of Object.entries(ON)) {
    const group = make("optgroup", undefined, { label });
    for (const kind of catalogue.values()) {
      if (kind.on === on && kind.kind !== "flapping") group.append(make("option", kind.kind, { value: kind.kind }));
    }
    if (group.children.length) $("kind").append(group);
  }
  if (catalogue.has("latency")) $("kind").value = "latency";
  fillForm();
}

function fillForm() {
  const kind = catalogue.get($("kind").value);
  const about = $("about");
  about.replaceChildren();
  // Lines of one paragraph are joined; what is in double back quotes is code.
  const text = kind.about.replace(/\n(``[^`]+``)\n\s+/g, "\v$1: ").replace(/([^\n])\n(?=[^\n])/g, "$1 ").replaceAll("\v", "\n").replace(/:class:`[^`]*?([^`.]*)`/g, "``$1``");
  text.split(/``(.*?)``/).forEach((part, i) => about.append(i % 2 ? make("code", part) : part));
  const none = kind.on === "nothing";
  $("target").disabled = none;
  if (!kind.targets.includes($("target").value)) $("target").value = kind.targets[0] ?? "";
  $("targets").replaceChildren(...kind.targets.map((target) => make("option", undefined, { value: target })));
  $("target-help").textContent = none ? "" : kind.on === "link"
    ? "A link between engines is that of every instance; one side may be a selection: gateway -> shop:one."
    : "An engine, one of its instances, or a selection: etcd:leader, etcd:followers, etcd:one, etcd:minority.";
  $("settings").replaceChildren(...kind.settings.map(field));
  $("again").hidden = !(catalogue.get("flapping")?.settings.find((s) => s.name === "fault").choices.includes(kind.kind));
}

function field(setting) {
  const label = make("label", `${setting.name.replaceAll("_", " ")}${setting.unit ? `, ${setting.unit}` : ""}${setting.required ? "" : " (optional)"} `);
  let input;
  if (setting.choices.length) {
    input = make("select");
    for (const choice of setting.choices) input.append(make("option", choice, { value: choice }));
    if (setting.default !== null) input.value = setting.default;
  } else if (setting.type === "boolean") {
    input = make("input", undefined, { type: "checkbox" });
    input.checked = setting.default === true;
    label.className = "check";
  } else {
    const number = setting.type === "number" || setting.type === "integer";
    input = make("input", undefined, number ? { type: "number", step: setting.type === "number" ? "any" : "1" } : { type: "text" });
    if (setting.type === "object") input.placeholder = '{"first_connections": 3}';
    if (setting.type === "list") input.placeholder = "names, with commas between";
    if (setting.default !== null && typeof setting.default !== "object") input.value = setting.default;
    input.required = setting.required;
  }
  input.dataset.setting = setting.name;
  input.dataset.type = setting.type;
  label.append(input);
  return label;
}

function chosen() {
  const settings = {};
  for (const input of $("settings").querySelectorAll("[data-setting]")) {
    const text = input.value.trim(), name = input.dataset.setting;
    if (input.dataset.type === "boolean") settings[name] = input.checked;
    else if (!text) continue;
    else if (["number", "integer"].includes(input.dataset.type)) settings[name] = Number(text);
    else if (input.dataset.type === "list") settings[name] = text.split(",").map((part) => part.trim()).filter(Boolean);
    else if (input.dataset.type === "object") {
      try {
        settings[name] = JSON.parse(text);
      } catch {
        throw new Error(`${name}: ${text} is no JSON; write {"first_connections": 3}`);
      }
    } else settings[name] = text;
  }
  const document = { fault: $("kind").value, settings };
  if (!$("target").disabled) document.target = $("target").value.trim();
  if (!$("again").hidden && $("repeat").checked) {
    document.settings = { ...settings, fault: document.fault, on: Number($("repeat-on").value), off: Number($("repeat-off").value) };
    document.fault = "flapping";
  }
  return document;
}

$("kind").addEventListener("change", fillForm);
$("range").addEventListener("change", () => last && chart(last));
$("begin").addEventListener("submit", (event) => {
  event.preventDefault();
  act(event.submitter ?? $("begin").querySelector("button"), async () => {
    const began = await ask("faults", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(chosen()),
    });
    return `${began.fault} on ${began.target} is on.`;
  });
});
$("h-on").tabIndex = -1;

(async () => {
  for (;;) {
    await refresh();
    await new Promise((resolve) => setTimeout(resolve, ASK));
  }
})();
