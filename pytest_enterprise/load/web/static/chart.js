// The chart: latency percentiles over requests per second, with the faults as labelled bands. No series is told by
// colour alone: lines differ in width and dash and carry their names, failures are hatched.
"use strict";
const Chart = (() => {
  const NS = "http://www.w3.org/2000/svg";
  const LEFT = 62, RIGHT = 58;
  let WIDTH = 820, PLOT = WIDTH - LEFT - RIGHT;
  const ROWS = 2, ROW = 15, TOP = 22 + ROWS * ROW, FOOT = TOP + 170, RATE_TOP = FOOT + 34, RATE_FOOT = RATE_TOP + 84;
  const HEIGHT = RATE_FOOT + 36;

  function add(parent, name, attributes, text) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  const time = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
  };
  const duration = (seconds) => seconds < 1 ? `${+(seconds * 1000).toPrecision(3)} ms` : `${+seconds.toPrecision(3)} s`;

  /** Round steps of about `most` divisions up to `full`. */
  function step(full, most) {
    const rough = full / most, power = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  }

  /** Replaces what `home` holds by the chart of `seconds` ([number, sent, failed, p50, p95, p99]) from `from` to `to`. */
  function draw(home, seconds, faults, from, to) {
    WIDTH = Math.max(480, Math.round(home.clientWidth) || 820);
    PLOT = WIDTH - LEFT - RIGHT;
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("class", "ch");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("role", "img");
    const hatch = add(svg, "pattern", {
      id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)",
    });
    add(hatch, "path", { d: "M0 0V5" });
    const x = (at) => LEFT + Math.min(1, Math.max(0, (at - from) / (to - from))) * PLOT;
    const shown = seconds.filter(([number]) => number + 1 > from && number < to);
    const bands = faults.filter((f) => f.began < to && (f.ended === null || f.ended > from))
      .map((f) => ({ left: x(f.began), right: Math.max(x(f.began) + 2, x(f.ended === null ? to : f.ended)), fault: f }));
    for (const band of bands) {
      for (const [top, foot] of [[TOP, FOOT], [RATE_TOP, RATE_FOOT]]) {
        add(svg, "rect", { class: "b", x: band.left, y: top, width: band.right - band.left, height: foot - top });
      }
    }
    latency(svg, shown, x);
    rate(svg, shown, x);
    clock(svg, x, from, to);
    label(svg, bands);
    const newest = shown.at(-1);
    svg.setAttribute("aria-label", [
      `Latency and requests per second from ${time(from)} to ${time(to)} of the load.`,
      newest && newest[5] !== null ? `Newest second: ${newest[1]} sent, ${newest[2]} failed, p50 ${duration(newest[3])}, p99 ${duration(newest[5])}.` : "No request.",
      ...bands.map(({ fault }) => `${fault.fault} on ${fault.target} from ${time(fault.began)} ${fault.ended === null ? "and still on" : `to ${time(fault.ended)}`}.`),
    ].join(" "));
    home.replaceChildren(svg);
  }

  function latency(svg, shown, x) {
    const values = shown.flatMap((s) => [s[3], s[5]]).filter((v) => v !== null).map((v) => Math.max(v, 1e-4));
    const low = Math.floor(Math.log10(Math.min(...values, 0.01))), high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values, 0.011))));
    const y = (v) => FOOT - (Math.log10(Math.max(v, 1e-4)) - low) / (high - low) * (FOOT - TOP);
    add(svg, "text", { class: "h", x: LEFT, y: 12 }, "latency by the time of sending, logarithmic");
    for (let power = low; power <= high; power++) {
      add(svg, "path", { class: "grid", d: `M${LEFT} ${y(10 ** power)}h${PLOT}` });
      add(svg, "text", { class: "y", x: LEFT - 6, y: y(10 ** power) + 4 }, duration(10 ** power));
    }
    const ends = [];
    ["p50", "p95", "p99"].forEach((name, i) => {
      let path = "", before = null, last = null;
      for (const second of shown) {
        const value = second[3 + i];
        if (value === null) continue;
        const at = `${x(second[0] + 0.5).toFixed(1)} ${y(value).toFixed(1)}`;
        path += before === second[0] - 1 ? `L${at}` : `M${at}h0.1`;
        before = second[0];
        last = y(value);
      }
      if (path) add(svg, "path", { class: name, d: path });
      if (last !== null) ends.push([last, name]);
    });
    ends.sort((a, b) => a[0] - b[0] || b[1].localeCompare(a[1]));
    for (let i = 1; i < ends.length; i++) ends[i][0] = Math.max(ends[i][0], ends[i - 1][0] + 13);
    for (let i = ends.length - 1; i >= 0; i--) ends[i][0] = Math.min(ends[i][0], i + 1 < ends.length ? ends[i + 1][0] - 13 : FOOT);
    for (const [at, name] of ends) {
      add(svg, "path", { class: name, d: `M${WIDTH - RIGHT + 5} ${at}h18` });
      add(svg, "text", { x: WIDTH - RIGHT + 28, y: at + 4 }, name);
    }
  }

  function rate(svg, shown, x) {
    const most = Math.max(1, ...shown.map((s) => s[1]));
    const tick = Math.max(1, step(most, 3)), full = Math.ceil(most / tick) * tick;
    const y = (n) => RATE_FOOT - n / full * (RATE_FOOT - RATE_TOP);
    add(svg, "text", { class: "h", x: LEFT, y: RATE_TOP - 7 }, "sent, requests per second");
    for (let n = 0; n <= full; n += tick) {
      add(svg, "path", { class: "grid", d: `M${LEFT} ${y(n)}h${PLOT}` });
      add(svg, "text", { class: "y", x: LEFT - 6, y: y(n) + 4 }, n.toLocaleString("en"));
    }
    let ok = "", no = "";
    for (const [number, sent, failed] of shown) {
      const left = x(number).toFixed(1), width = (x(number + 1) - x(number)).toFixed(1);
      const served = y(sent - failed);
      ok += `M${left} ${RATE_FOOT}V${served.toFixed(1)}h${width}V${RATE_FOOT}z`;
      // A single failure among thousands must not vanish.
      if (failed) no += `M${left} ${served.toFixed(1)}V${Math.min(y(sent), served - 2).toFixed(1)}h${width}V${served.toFixed(1)}z`;
    }
    if (ok) add(svg, "path", { class: "ok", d: ok });
    if (no) add(svg, "path", { class: "no", d: no });
    add(svg, "path", { class: "ok", d: `M${WIDTH - RIGHT + 5} ${RATE_FOOT - 11}h10v9h-10z` });
    add(svg, "text", { x: WIDTH - RIGHT + 21, y: RATE_FOOT - 3 }, "ok");
    add(svg, "path", { class: "no", d: `M${WIDTH - RIGHT + 5} ${RATE_FOOT - 28}h10v9h-10z` });
    add(svg, "text", { x: WIDTH - RIGHT + 21, y: RATE_FOOT - 20 }, "failed");
  }

  function clock(svg, x, from, to) {
    const spacing = [1, 2, 5, 10, 15, 30, 60, 120, 300].find((n) => (to - from) / n <= 10) || 600;
    for (let at = Math.ceil(from / spacing) * spacing; at <= to; at += spacing) {
      add(svg, "path", { class: "axis", d: `M${x(at)} ${RATE_FOOT}v4` });
      add(svg, "text", { class: "m", x: x(at), y: RATE_FOOT + 16 }, time(at));
    }
    add(svg, "text", { class: "u m", x: LEFT + PLOT / 2, y: RATE_FOOT + 31 }, "minutes and seconds since the load began");
  }

  function label(svg, bands) {
    const taken = Array.from({ length: ROWS }, () => []);
    for (const { left, fault } of bands) {
      let text = `${fault.fault} on ${fault.target}`;
      if (text.length > 56) text = `${text.slice(0, 55)}…`;
      const width = text.length * 6.3 + 8;
      const start = left + width <= WIDTH ? left : Math.max(0, left - width);
      const row = taken.findIndex((spans) => spans.every(([a, b]) => start + width <= a || start >= b));
      if (row < 0) continue; // the table below tells it
      taken[row].push([start, start + width]);
      const y = TOP - (row + 1) * ROW + 9;
      add(svg, "path", { class: "e", d: `M${left} ${y + 3}V${FOOT}M${left} ${RATE_TOP}V${RATE_FOOT}` });
      const right = start < left;
      add(svg, "text", { class: right ? "f y" : "f", x: right ? left - 3 : left + 3, y }, text);
    }
  }

  return { draw, duration, time };
})();
