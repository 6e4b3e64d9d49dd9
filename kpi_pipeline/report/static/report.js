/* What a page does by itself: draws its charts when they come into view, shows and saves their numbers, changes its theme.
   Works from a disk: nothing is asked of any server. */
(() => {
  "use strict";
  const root = document.documentElement;
  const KEY = "kpi-report-theme";

  function remembered() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }

  function theme() {
    const chosen = remembered();
    if (chosen === "light" || chosen === "dark") return chosen;
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }

  function colour(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  function config() {
    const ink = colour("--ink"), soft = colour("--soft"), line = colour("--line");
    return {
      background: null,
      font: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
      view: { stroke: null },
      axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12,
              titleFontSize: 12, titleFontWeight: "normal" },
      legend: { labelColor: ink, titleColor: ink, labelFontSize: 12, labelLimit: 240 },
    };
  }

  const data = new Map();
  function dataOf(figure) {
    if (!data.has(figure)) {
      const found = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
      const [member, start, end, value, n, status, label, shown, words] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
      found.values = found.rows.map((row) => ({
        member: row[member], start: Date.parse(row[start]), end: Date.parse(row[end]), n: row[n],
        value: row[value] === "" ? null : Number(row[value]),
        status: row[status], label: row[label], shown: row[shown], words: row[words],
      }));
      data.set(figure, found);
    }
    return data.get(figure);
  }

  async function draw(figure) {
    const plot = figure.querySelector(".plot");
    const { spec, values, notes, targets } = dataOf(figure);
    const datasets = {
      rows: values,
      notes: notes.map(([date, when, text]) => ({ date: Date.parse(date), when, text })),
      targets: targets.map(([from, to, value, text]) => ({
        from: Date.parse(from), to: Date.parse(to), value: Number(value), text,
      })),
    };
    const full = { ...spec, datasets, config: config(), description: plot.getAttribute("aria-label") };
    // As many names in a row of the legend as there is room for.
    const longest = values.reduce((most, row) => Math.max(most, row.member.length), 0);
    full.config.legend.columns = Math.max(1, Math.floor((plot.clientWidth - 70) / (Math.min(longest, 34) * 7 + 34)));
    try {
      await window.vegaEmbed(plot, full, { actions: false, renderer: "svg", tooltip: { theme: theme() } });
      // The drawing is described by its box; its parts would only be read one by one.
      plot.querySelectorAll("svg").forEach((svg) => svg.setAttribute("aria-hidden", "true"));
      figure.dataset.drawn = "yes";
    } catch (error) {
      plot.textContent = "This chart could not be drawn; its numbers are in the table below.";
      console.error(error);
    }
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && !entry.target.dataset.drawn) {
        entry.target.dataset.drawn = "soon";
        draw(entry.target);
      }
    }
  }, { rootMargin: "300px" });

  function table(figure) {
    const { columns, rows } = dataOf(figure);
    const made = document.createElement("table");
    const caption = made.createCaption();
    caption.textContent = figure.querySelector("figcaption > :first-child").textContent + ": all numbers";
    const head = made.createTHead().insertRow();
    for (const name of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name.replaceAll("_", " ");
      if (name === "value" || name === "n") cell.className = "number";
      head.append(cell);
    }
    const body = made.createTBody();
    for (const row of [...rows].reverse()) {
      const line = body.insertRow();
      columns.forEach((name, place) => {
        const cell = line.insertCell();
        cell.textContent = row[place];
        if (name === "value" || name === "n") cell.className = "number";
      });
    }
    return made;
  }

  function showNumbers(button, figure) {
    const box = figure.querySelector(".numbers");
    if (!box.firstChild) box.append(table(figure));
    box.hidden = !box.hidden;
    button.setAttribute("aria-expanded", String(!box.hidden));
    button.textContent = box.hidden ? "Show the numbers" : "Hide the numbers";
  }

  function quoted(text) {
    // A cell that begins like a formula is text to a spreadsheet, too.
    const safe = /^(?!-[\d.]+$)[-=+@\t\r]/.test(text) ? "'" + text : text;
    return /[",\n\r]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
  }

  function save(figure) {
    const { kpi, grain, columns, rows } = dataOf(figure);
    const lines = [["kpi_id", "grain", ...columns], ...rows.map((row) => [kpi, grain, ...row.slice(0, columns.length)])];
    const text = lines.map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `${kpi}-${grain}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function setTheme(name) {
    root.dataset.theme = name;
    const button = document.querySelector(".theme");
    if (button) button.textContent = name === "dark" ? "Light" : "Dark";
  }

  function ready() {
    setTheme(theme());
    document.querySelector(".theme")?.addEventListener("click", () => {
      const next = root.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem(KEY, next); } catch { /* A page from a disk may not remember. */ }
      setTheme(next);
      document.querySelectorAll("figure.chart[data-drawn]").forEach(draw);
    });
    document.querySelectorAll("figure.chart").forEach((figure) => {
      seen.observe(figure);
      figure.querySelector(".show")?.addEventListener("click", (event) => showNumbers(event.currentTarget, figure));
      figure.querySelector(".save")?.addEventListener("click", () => save(figure));
    });
    // Paper shows all of a page, seen or not.
    addEventListener("beforeprint", () => document.querySelectorAll("figure.chart:not([data-drawn])").forEach(draw));
    const search = document.querySelector(".search");
    search?.addEventListener("input", () => {
      const wanted = search.value.trim().toLowerCase();
      let shown = 0;
      document.querySelectorAll("[data-find]").forEach((item) => {
        item.hidden = !item.dataset.find.includes(wanted);
        shown += item.hidden ? 0 : 1;
      });
      document.querySelector("#found").textContent = `${shown} found`;
    });
  }

  setTheme(theme());
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready);
  else ready();
})();
