"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (value) => (value == null ? "–" : String(Number(value.toPrecision(4))));

  // Runs have different steps. A missing value is undefined, and the line connects its neighbors; null is a gap, where
  // the metric was not finite.
  function joined(chart) {
    const present = chart.curves.map((curve, run) => ({ curve, run })).filter(({ curve }) => curve);
    const columns = uPlot.join(present.map(({ curve }) => [curve.steps, curve.values]));
    return { runs: present.map(({ run }) => run), columns };
  }

  function draw(figure) {
    const { runs, columns } = joined(data.charts[figure.dataset.chart]);
    const container = figure.querySelector(".plot");
    const readout = figure.querySelector("output");
    // A logarithmic scale needs positive values; a chart with other values stays linear.
    const logarithmic = log.checked && columns.slice(1).flat().every((value) => value == null || value > 0);
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const options = {
      width: container.clientWidth,
      height: container.clientHeight,
      legend: { show: false },
      scales: { x: { time: false }, y: { distr: logarithmic ? 3 : 1 } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en")) },
        { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => (tick == null ? "" : short(tick))) },
      ],
      series: [{}, ...runs.map((run) => ({ stroke: color(`--run-${run % 8}`), width: 1.6, dash: run < 8 ? [] : [6, 4] }))],
      hooks: {
        setCursor: [(plot) => {
          const at = plot.cursor.idx;
          readout.textContent = at == null ? "" : `step ${columns[0][at].toLocaleString("en")}: ${columns.slice(1).map((column) => short(column[at])).join(", ")}`;
        }],
      },
    };
    if (figure.plot) figure.plot.destroy();
    figure.plot = new uPlot(options, columns, container);
  }

  const log = document.getElementById("log");
  const figures = [...document.querySelectorAll("[data-chart]")];
  const redraw = () => figures.forEach((figure) => figure.querySelector(".plot").clientWidth && draw(figure));
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const figure = target.parentElement;
      if (!target.clientWidth) continue; // inside a closed <details>
      if (figure.plot) figure.plot.setSize({ width: target.clientWidth, height: target.clientHeight });
      else draw(figure);
    }
  });
  figures.forEach((figure) => resized.observe(figure.querySelector(".plot")));
  dark.addEventListener("change", redraw);
  log?.addEventListener("change", redraw);

  // Text and cells come from a model: they are set as text, never as HTML.
  function fill(element, frame) {
    if (frame.source !== undefined) {
      if (element.src !== frame.source) element.src = frame.source;
    } else if (frame.text !== undefined) element.textContent = frame.text;
    else element.firstElementChild.replaceWith(table(frame));
  }

  function table({ columns, rows, more }) {
    const made = document.createElement("table");
    const head = made.createTHead().insertRow();
    for (const name of columns) head.append(Object.assign(document.createElement("th"), { textContent: name, scope: "col" }));
    const body = made.createTBody();
    for (const cells of more ? [...rows, columns.map(() => "…")] : rows) {
      const row = body.insertRow();
      for (const cell of cells) {
        row.insertCell().textContent = cell;
        if (cell && !Number.isNaN(Number(cell))) row.lastElementChild.className = "value";
      }
    }
    return made;
  }

  const scrub = document.getElementById("scrub");
  if (scrub) {
    const steps = [...new Set(data.previews.flat().map((frame) => frame.step))].sort((one, other) => one - other);
    const show = () => {
      const step = steps[scrub.value];
      document.getElementById("scrubbed").textContent = step.toLocaleString("en");
      scrub.setAttribute("aria-valuetext", `step ${step}`);
      for (const element of document.querySelectorAll("[data-preview]")) {
        const preview = data.previews[element.dataset.preview];
        const frame = preview.filter((one) => one.step <= step).at(-1) ?? preview[0];
        fill(element, frame);
        element[element.tagName === "IMG" ? "alt" : "ariaLabel"] = `Preview ${data.titles[element.dataset.preview]} at step ${frame.step}`;
      }
    };
    scrub.max = steps.length - 1;
    scrub.value = steps.length - 1;
    scrub.addEventListener("input", show);
    show();
  }
})();
