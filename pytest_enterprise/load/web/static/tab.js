// In Locust's own page: a link to ours above everything, and ours in its tab, which Locust leaves empty.
"use strict";
(() => {
  const TITLE = "Faults, charts and objectives";
  const dark = () => localStorage.theme === "dark"
    || (!("theme" in localStorage) && matchMedia("(prefers-color-scheme: dark)").matches);

  const style = document.createElement("style");
  style.textContent = `#enterprise-link{font:14px/1.4 system-ui,sans-serif;margin:0;padding:6px 24px;background:#f7e3bf;color:#1b1f24}
    #enterprise-link a{color:#0b3f80}#enterprise-link.dark{background:#2b2413;color:#e6edf3}
    #enterprise-link.dark a{color:#9cc9ff}
    #enterprise-link a:focus-visible{outline:2px solid currentColor;outline-offset:2px}
    #enterprise-frame{width:100%;border:0;display:block;min-height:60vh;color-scheme:normal}`;
  document.head.append(style);

  const link = document.createElement("nav");
  link.id = "enterprise-link";
  link.setAttribute("aria-label", "pytest-enterprise");
  const anchor = document.createElement("a");
  anchor.href = "./enterprise/";
  anchor.textContent = TITLE;
  link.append(anchor, " of this load, by pytest-enterprise");
  document.body.prepend(link);

  let frame = null;
  function place() {
    link.classList.toggle("dark", dark());
    const tabs = document.querySelector('[role="tablist"]');
    const chosen = new URLSearchParams(location.search).get("tab") === "enterprise";
    const home = tabs && tabs.closest(".MuiContainer-root");
    if (!chosen || !home) {
      frame?.remove();
      frame = null;
      return;
    }
    if (!frame || !frame.isConnected) {
      frame = document.createElement("iframe");
      frame.id = "enterprise-frame";
      frame.title = TITLE;
      frame.src = "./enterprise/";
      home.append(frame);
    }
    const page = frame.contentDocument?.querySelector("main");
    if (page) frame.style.height = `${page.getBoundingClientRect().bottom + 32}px`;
  }
  setInterval(place, 200);
  place();
})();
