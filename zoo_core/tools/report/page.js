"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (value) => (value == null ? "–" : String(Number(value.toPrecision(4))));

  // Every run brings its own steps. Where another one has none, its value is undefined, which the line passes over;
  // null is a gap, for what was no number.
  function joined(chart) {
    const held = chart.curves.map((curve, run) => ({ curve, run })).filter(({ curve }) => curve);
    return { runs: held.map(({ run }) => run), columns: uPlot.join(held.map(({ curve }) => [curve.steps, curve.values])) };
  }

  function draw(figure) {
    const { runs, columns } = joined(data.charts[figure.dataset.chart]);
    const place = figure.querySelector(".plot");
    const read = figure.querySelector("output");
    // A logarithm needs numbers above 0; a chart that has others stays as it is.
    const logarithmic = log.checked && columns.slice(1).flat().every((value) => value == null || value > 0);
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const options = {
      width: place.clientWidth,
      height: place.clientHeight,
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
          read.textContent = at == null ? "" : `step ${columns[0][at].toLocaleString("en")}: ${columns.slice(1).map((column) => short(column[at])).join(", ")}`;
        }],
      },
    };
    if (figure.plot) figure.plot.destroy();
    figure.plot = new uPlot(options, columns, place);
  }

  const log = document.getElementById("log");
  const figures = [...document.querySelectorAll("[data-chart]")];
  const redraw = () => figures.forEach((figure) => figure.querySelector(".plot").clientWidth && draw(figure));
  const resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const figure = target.parentElement;
      if (!target.clientWidth) continue; // in details that are shut
      if (figure.plot) figure.plot.setSize({ width: target.clientWidth, height: target.clientHeight });
      else draw(figure);
    }
  });
  figures.forEach((figure) => resized.observe(figure.querySelector(".plot")));
  dark.addEventListener("change", redraw);
  log?.addEventListener("change", redraw);

  const scrub = document.getElementById("scrub");
  if (scrub) {
    const steps = [...new Set(data.films.flat().map((frame) => frame.step))].sort((one, other) => one - other);
    const show = () => {
      const step = steps[scrub.value];
      document.getElementById("scrubbed").textContent = step.toLocaleString("en");
      scrub.setAttribute("aria-valuetext", `step ${step}`);
      for (const image of document.querySelectorAll("[data-film]")) {
        const film = data.films[image.dataset.film];
        const frame = film.filter((one) => one.step <= step).at(-1) ?? film[0];
        image.src = frame.source;
        image.alt = `Preview of ${data.runs[image.dataset.film]} at step ${frame.step}`;
      }
    };
    scrub.max = steps.length - 1;
    scrub.value = steps.length - 1;
    scrub.addEventListener("input", show);
    show();
  }
})();
