"use strict";

const read = (id) => JSON.parse(document.getElementById(id).textContent);

/* Charts and rows of the table belong to a metric and data; charts without a key are always shown. */
(() => {
  const choice = document.getElementById("choice");
  const attack = document.getElementById("attack");

  function choose() {
    for (const element of document.querySelectorAll("#means tbody tr, .chart")) {
      const { key } = element.dataset;
      element.hidden = key !== "" && key !== choice.value;
    }
    for (const article of document.querySelectorAll("article.attack")) {
      article.hidden = attack !== null && article.dataset.attack !== attack.value;
    }
  }

  document.getElementById("means").classList.add("chosen");
  choice.addEventListener("change", choose);
  attack?.addEventListener("change", choose);
  choose();
})();

/* The table of flips: all flips are sorted and filtered; the document has one page of them. */
(() => {
  if (!document.getElementById("flip-data")) return;
  const { columns, values, sameKind, features, real } = read("flip-data");
  const count = values.attack.length;
  const at = (id) => document.getElementById(id);
  const size = at("size");
  let order = [];
  let sorted = { key: null, down: false };
  let page = 0;

  function control(label, element) {
    const wrapper = document.createElement("label");
    wrapper.append(label, element);
    at("filters").append(wrapper);
    element.addEventListener(element.tagName === "SELECT" ? "change" : "input", () => refresh());
    return element;
  }

  function select(label, options) {
    const element = document.createElement("select");
    for (const [value, text] of options) element.add(new Option(text, value));
    return control(label, element);
  }

  function number(label) {
    const element = document.createElement("input");
    element.placeholder = "any";
    return control(label, element);
  }

  const names = [...new Set(values.attack)];
  const labels = Object.fromEntries(columns.map(({ key, label }) => [key, label]));
  const attack = select("Attack", [["", "all"], ...names.map((name, place) => [String(place), name])]);
  const done = (row) => {
    const words = values.kind[row] === "feature" ? ["set", "cleared"] : ["added", "removed"];
    return values.added[row] ? words[0] : words[1];
  };
  const changes = ["added", "removed", ...(features ? ["set", "cleared"] : [])];
  const made = select("Change", [["", "all"], ...changes.map((name) => [name, name])]);
  const ends = sameKind
    ? [[number("Node"), ["source", "target"]]]
    : ["source", "target"].map((key) => [number(labels[key]), [key]]);

  function passes(row) {
    if (attack.value !== "" && values.attack[row] !== names[Number(attack.value)]) return false;
    if (made.value !== "" && done(row) !== made.value) return false;
    return ends.every(([input, keys]) => {
      const wanted = input.value.trim();
      const isNode = (key) => key === "source" || values.kind[row] === "edge";
      const called = (key) => [values[key][row], values[`${key}_id`]?.[row]].map(String);
      return wanted === "" || keys.some((key) => isNode(key) && called(key).includes(wanted));
    });
  }

  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    const by = a < b ? -1 : a > b ? 1 : 0;
    return sorted.down ? -by : by;
  }

  function refresh() {
    order = [];
    for (let row = 0; row < count; row += 1) if (passes(row)) order.push(row);
    if (sorted.key !== null) {
      const column = values[sorted.key];
      order.sort((a, b) => compare(column[a], column[b]) || a - b);
    }
    page = 0;
    show();
  }

  const format = (value) => {
    if (value === null) return "–";
    return typeof value !== "number" || Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
  };

  function cell(key, row) {
    const element = document.createElement("td");
    const value = values[key][row];
    if (key === "added") {
      element.className = value ? "added" : "removed";
      element.textContent = done(row);
      return element;
    }
    element.textContent = format(value);
    if (typeof value === "number" || value === null) element.className = "number";
    if (key === "source" && value >= real[values.attack[row]]) {
      const badge = document.createElement("span");
      badge.className = "badge";
      badge.textContent = "fake";
      element.append(" ", badge);
    }
    return element;
  }

  function show() {
    const length = Number(size.value);
    const start = page * length;
    const rows = order.slice(start, start + length).map((row) => {
      const line = document.createElement("tr");
      line.append(...columns.map(({ key }) => cell(key, row)));
      return line;
    });
    at("flip-table").tBodies[0].replaceChildren(...rows);
    const shown = (n) => n.toLocaleString("en");
    at("status").textContent = order.length
      ? `${shown(start + 1)} to ${shown(start + rows.length)} of ${shown(order.length)}`
      : "no flips match";
    at("previous").disabled = page === 0;
    at("next").disabled = start + length >= order.length;
    at("save").disabled = order.length === 0;
  }

  const head = document.createElement("tr");
  for (const { key, label } of columns) {
    const title = document.createElement("th");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = key === "added" ? "change" : label;
    title.scope = "col";
    title.dataset.key = key;
    title.setAttribute("aria-sort", "none");
    if (typeof values[key].find((value) => value !== null) === "number") title.className = "number";
    title.append(button);
    button.addEventListener("click", () => {
      sorted = { key, down: sorted.key === key && !sorted.down };
      for (const other of head.children) other.setAttribute("aria-sort", "none");
      title.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      refresh();
    });
    head.append(title);
  }
  at("flip-table").tHead.append(head);

  const quoted = (value) => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

  function csv() {
    const line = (fields) => fields.map((field) => quoted(String(field ?? ""))).join(",");
    const keys = columns.map(({ key }) => key);
    return [line(keys), ...order.map((row) => line(keys.map((key) => values[key][row])))].join("\n") + "\n";
  }

  at("save").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = "flips.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  const turn = (by) => () => { page += by; show(); };
  at("previous").addEventListener("click", turn(-1));
  at("next").addEventListener("click", turn(1));
  size.addEventListener("change", () => { page = 0; show(); });
  refresh();
})();
