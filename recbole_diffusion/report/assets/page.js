"use strict";
// Tables that sort, panels that Plotly draws when they come into view, legends that hide and show, light and dark.
(() => {
  const root = document.documentElement;
  const panels = JSON.parse(document.getElementById("panels").textContent);
  const plots = [...document.querySelectorAll(".plot")];
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // Light and dark: the system's choice, until the reader makes one.
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function paint(theme) {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    for (const plot of plots) if (plot.dataset.drawn) Plotly.relayout(plot, themed());
  }
  function themed() {
    const axis = { gridcolor: colour("--grid"), linecolor: colour("--line"), zerolinecolor: colour("--line") };
    const layout = { "font.color": colour("--soft"), "hoverlabel.bgcolor": colour("--card"), "hoverlabel.font.color": colour("--ink") };
    Object.assign(layout, { "modebar.bgcolor": "rgba(0,0,0,0)", "modebar.color": colour("--soft"), "modebar.activecolor": colour("--ink") });
    for (const name of ["xaxis", "yaxis"]) for (const key in axis) layout[`${name}.${key}`] = axis[key];
    return layout;
  }
  button.addEventListener("click", () => {
    paint(root.dataset.theme === "dark" ? "light" : "dark");
    keep(root.dataset.theme);
  });
  dark.addEventListener("change", (event) => paint(event.matches ? "dark" : "light"));
  paint(keep() || (dark.matches ? "dark" : "light"));

  // A page that is still written loads itself again, until the reader pauses it; the reader's theme stays.
  function keep(theme) {
    try {
      if (theme) sessionStorage.setItem("theme", theme);
      return sessionStorage.getItem("theme");
    } catch { return null; }  // a browser that keeps nothing for files
  }
  const pause = document.getElementById("pause");
  if (pause) {
    const seconds = Number(document.body.dataset.reload);
    const wait = () => setTimeout(() => location.reload(), 1000 * seconds);
    let timer = wait();
    pause.addEventListener("click", () => {
      const paused = pause.getAttribute("aria-pressed") !== "true";
      pause.setAttribute("aria-pressed", String(paused));
      clearTimeout(timer);
      if (!paused) timer = wait();
    });
  }

  // Figures.
  function draw(plot) {
    if (plot.dataset.drawn || !plot.offsetWidth) return;
    plot.dataset.drawn = "yes";
    const { data, layout } = panels[Number(plot.dataset.panel)];
    const hidden = new Set([...plot.closest("figure").querySelectorAll('.legend button[aria-pressed="false"]')].map((one) => one.dataset.name));
    for (const trace of data) trace.visible = !hidden.has(trace.name);
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
      margin: { l: 58, r: 12, t: 26, b: 44 }, font: { size: 12, family: "inherit" }, hoverlabel: { namelength: -1 }, ...layout,
    };
    const numbers = { automargin: true, exponentformat: "power", minexponent: 5 };
    base.xaxis = { ...numbers, ...base.xaxis };
    base.yaxis = { ...numbers, ...base.yaxis };
    const config = { responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtons: [["toImage", "resetScale2d"]] };
    Plotly.newPlot(plot, data, base, config).then(() => Plotly.relayout(plot, themed()));
  }
  // What is in view first, the others one by one after it, so that a long page opens at once.
  function drawAll() {
    const next = plots.find((plot) => !plot.dataset.drawn && plot.offsetWidth);
    if (!next) return;
    draw(next);
    setTimeout(drawAll);
  }
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  });
  plots.forEach((plot) => watch.observe(plot));
  setTimeout(drawAll);
  document.querySelectorAll("details").forEach((one) => one.addEventListener("toggle", () => setTimeout(drawAll)));
  addEventListener("beforeprint", () => plots.forEach(draw));

  for (const entry of document.querySelectorAll(".legend button")) {
    entry.addEventListener("click", () => {
      const shown = entry.getAttribute("aria-pressed") !== "true";
      entry.setAttribute("aria-pressed", String(shown));
      for (const plot of entry.closest("figure").querySelectorAll(".plot")) {
        if (!plot.dataset.drawn) continue;
        const places = plot.data.flatMap((trace, place) => (trace.name === entry.dataset.name ? [place] : []));
        if (places.length) Plotly.restyle(plot, { visible: shown }, places);
      }
    });
  }

  // Tables: a heading sorts, a second click turns the order; what is no number or empty stays at the end.
  function sort(table, column, ascending) {
    const body = table.tBodies[0];
    const key = (row) => row.cells[column].dataset.sort;
    const number = (text) => (text.trim() === "" ? NaN : Number(text));
    const compare = (a, b) => {
      const [x, y] = [number(key(a)), number(key(b))];
      if (!isNaN(x) && !isNaN(y)) return ascending ? x - y : y - x;
      if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
      const order = key(a).localeCompare(key(b), undefined, { numeric: true });
      return ascending ? order : -order;
    };
    [...body.rows].sort(compare).forEach((row) => body.append(row));
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const press = document.createElement("button");
      press.type = "button";
      press.append(...heading.childNodes);
      heading.append(press);
      press.addEventListener("click", () => {
        // Words begin at A, numbers at the largest.
        const before = heading.getAttribute("aria-sort");
        const ascending = before ? before === "descending" : heading.classList.contains("words");
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        sort(table, column, ascending);
      });
    });
  }
})();
