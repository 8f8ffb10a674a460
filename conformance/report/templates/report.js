"use strict";
(() => {
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];

  const stored = () => { try { return localStorage.getItem("conformance-theme"); } catch { return null; } };
  const store = (theme) => { try { localStorage.setItem("conformance-theme", theme); } catch { /* private mode */ } };
  const show = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
  };
  let theme = themes.includes(stored()) ? stored() : "auto";
  show(theme);

  function themeButton() {
    const button = document.getElementById("theme");
    const label = button.querySelector("span");
    label.textContent = theme;
    button.addEventListener("click", () => {
      theme = themes[(themes.indexOf(theme) + 1) % themes.length];
      label.textContent = theme;
      show(theme);
      store(theme);
    });
  }

  function filters() {
    const find = document.getElementById("find");
    if (!find) return;
    const items = [...document.querySelectorAll("[data-item]")];
    const texts = new Map();
    const text = (item) => {
      if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase().replace(/\s+/g, " "));
      return texts.get(item);
    };
    const chips = [...document.querySelectorAll("[data-filter]")];
    const groups = [...document.querySelectorAll("[data-group]")];
    const clear = document.getElementById("clear");

    // within a group of chips any may match, across groups all must; words of the search all must
    function wanted() {
      const choice = {};
      for (const chip of chips) {
        if (chip.getAttribute("aria-pressed") === "true") (choice[chip.dataset.filter] ??= []).push(chip.dataset.value);
      }
      return choice;
    }
    function apply(remember = true) {
      const choice = wanted();
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const item of items) {
        const fits = Object.entries(choice).every(([name, values]) => {
          const own = (item.dataset[name] ?? "").split(" ");
          return values.some((value) => own.includes(value));
        }) && words.every((word) => text(item).includes(word));
        item.hidden = !fits;
        shown += fits;
      }
      for (const group of groups) group.hidden = !group.querySelector("[data-item]:not([hidden])");
      document.getElementById("shown").textContent = shown;
      document.getElementById("empty").hidden = shown > 0 || items.length === 0;
      clear.disabled = !words.length && !Object.keys(choice).length;
      if (remember) address(choice);
    }
    // the address carries the filters, so that a filtered view can be sent to somebody
    function address(choice) {
      const query = new URLSearchParams(Object.entries(choice).map(([name, values]) => [name, values.join(" ")]));
      if (find.value) query.set("q", find.value);
      const text = query.toString();
      if (text || location.hash.startsWith("#?")) history.replaceState(null, "", text ? `#?${text}` : "#");
    }
    function restore() {
      if (!location.hash.startsWith("#?")) return;
      const query = new URLSearchParams(location.hash.slice(2));
      find.value = query.get("q") ?? "";
      for (const chip of chips) {
        const on = (query.get(chip.dataset.filter) ?? "").split(" ").includes(chip.dataset.value);
        chip.setAttribute("aria-pressed", String(on));
      }
      apply(false);
    }
    function reset() {
      find.value = "";
      for (const chip of chips) chip.setAttribute("aria-pressed", "false");
      apply();
    }
    for (const chip of chips) {
      chip.addEventListener("click", () => {
        chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
        apply();
      });
    }
    find.addEventListener("input", () => apply());
    for (const button of [clear, ...document.querySelectorAll("[data-clear]")]) {
      button.addEventListener("click", () => { reset(); find.focus(); });
    }
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        find.focus();
      } else if (event.key === "Escape" && event.target === find) reset();
    });
    // a permanent link opens its clause, even where a filter hides it
    function target() {
      const id = decodeURIComponent(location.hash.slice(1));
      const item = id && !id.startsWith("?") ? document.getElementById(id) : null;
      if (!item) return restore();
      if (item.hidden || item.closest("[hidden]")) { find.value = ""; for (const chip of chips) chip.setAttribute("aria-pressed", "false"); apply(false); }
      const details = item.querySelector("details");
      if (details) details.open = true;
      item.scrollIntoView({ block: "start" });
    }
    addEventListener("hashchange", target);
    target();
  }

  // the topic that is being read, in the list beside it
  function whereabouts() {
    const links = new Map([...document.querySelectorAll(".topics a")].map((a) => [a.hash.slice(1), a]));
    const sections = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
    const look = () => {
      const current = sections.findLast((s) => !s.hidden && s.getBoundingClientRect().top < innerHeight / 3);
      for (const [id, link] of links) {
        if (current && id === current.id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    };
    if (links.size) addEventListener("scroll", look, { passive: true });
  }

  async function copied(text) {
    if (navigator.clipboard && isSecureContext) {
      try { await navigator.clipboard.writeText(text); return true; } catch { /* refused: the old way */ }
    }
    const area = document.createElement("textarea");
    area.value = text;
    area.style.cssText = "position:fixed;top:0;opacity:0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }

  function copyButtons() {
    for (const button of document.querySelectorAll("[data-copy]")) {
      button.addEventListener("click", async () => {
        const code = button.closest("figure").querySelector("code").cloneNode(true);
        for (const spoken of code.querySelectorAll(".sr")) spoken.remove();
        const done = await copied(code.textContent);
        button.textContent = done ? "Copied" : "Select it";
        button.classList.toggle("done", done);
        button.focus();
        setTimeout(() => { button.textContent = "Copy"; button.classList.remove("done"); }, 1600);
      });
    }
  }

  // a long program opens at the line that matters
  function openings() {
    for (const details of document.querySelectorAll("details")) {
      details.addEventListener("toggle", () => {
        for (const line of details.querySelectorAll(".line.marked")) {
          const box = line.closest("pre");
          box.scrollTop += line.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
        }
      });
    }
  }

  function expanding() {
    const button = document.getElementById("expand");
    button?.addEventListener("click", () => {
      const open = button.textContent === "Open all";
      for (const item of document.querySelectorAll("[data-item]:not([hidden]) details")) item.open = open;
      button.textContent = open ? "Close all" : "Open all";
    });
  }

  // paper gets every departure in full, and a line for each clause that holds
  function printing() {
    let closed = [];
    addEventListener("beforeprint", () => {
      closed = [...document.querySelectorAll("details:not([open]):has(.departure, .note), .worst details:not([open])")];
      for (const details of closed) details.open = true;
    });
    addEventListener("afterprint", () => { for (const details of closed) details.open = false; });
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const control of document.querySelectorAll("[data-needs-script]")) control.hidden = false;
    themeButton();
    filters();
    whereabouts();
    copyButtons();
    openings();
    expanding();
    printing();
  });
})();
