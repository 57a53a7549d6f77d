"use strict";
(() => {
  const values = JSON.parse(document.getElementById("values").textContent);
  const matrix = document.getElementById("matrix");
  const body = matrix.tBodies[0];
  const head = matrix.tHead.rows[0];
  const rows = Array.from(body.rows);
  const grid = rows.map((row) => Array.from(row.cells));
  const heads = Array.from(head.cells);
  const names = rows.map((row) => row.cells[0].textContent);
  const plural = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;

  // The cells: a grid with one stop of the Tab key.
  rows.forEach((_, r) => names.forEach((_, c) => {
    const cell = grid[r][c + 1];
    cell.dataset.row = r;
    cell.dataset.column = c;
    const count = Number(cell.textContent);
    const what = r === c && r < values.classes ? "correct" : `predicted as ${names[c]}`;
    cell.setAttribute("aria-label", `${names[r]} ${what}: ${plural(count, "image")}`);
    cell.tabIndex = -1;
  }));
  let current = grid[0][1];
  current.tabIndex = 0;

  function focus(cell) {
    current.tabIndex = -1;
    current = cell;
    current.tabIndex = 0;
    current.focus();
  }

  function sort(order) {
    const indices = JSON.parse(matrix.dataset.orders)[order].slice();
    for (let i = indices.length; i < rows.length; i++) indices.push(i);
    head.append(...indices.map((i) => heads[i + 1]));
    for (const i of indices) {
      rows[i].append(...indices.map((j) => grid[i][j + 1]));
      body.append(rows[i]);
    }
  }
  const select = document.getElementById("order");
  select.value = matrix.dataset.default;
  select.addEventListener("change", () => sort(select.value));
  sort(select.value);

  // A cell's images, in a dialog.
  const dialog = document.getElementById("cell");
  const element = (name, text = "", className = "") => {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  };
  const percent = (value) => `${(100 * value).toFixed(1)}%`;

  function tile(index) {
    const [file, label, predicted, confidence, isHit] = values.images[index];
    const same = document.querySelector(`main [data-image="${index}"] img`);
    const source = values.thumbnails[index] || (same && same.src);
    const figure = element("figure", "", `tile ${isHit ? "hit" : "mistake"}`);
    const thumbnail = source ? element("img") : element("span", "no preview", "no-preview");
    if (source) {
      thumbnail.src = source;
      thumbnail.alt = file;
    }
    const caption = element("figcaption");
    const named = (text) => {
      const name = element("span", "", "name");
      name.append(element("b", text));
      name.title = text;
      return name;
    };
    caption.append(named(predicted), ` ${percent(confidence)}`, element("br"));
    if (isHit) caption.append("correct");
    else caption.append("label ", named(label));
    const name = element("small", file.split("/").pop());
    name.title = file;
    caption.append(name);
    figure.append(thumbnail, caption);
    return figure;
  }

  function open(cell) {
    const { row, column } = cell.dataset;
    const images = values.cells[`${row},${column}`];
    if (!images) return;
    const count = Number(cell.textContent);
    const isHit = row === column && Number(row) < values.classes;
    document.getElementById("cell-title").textContent = isHit
      ? `${names[row]}: correct` : `${names[row]} predicted as ${names[column]}`;
    const order = isHit ? "least confident first" : "most confident first";
    document.getElementById("cell-lead").textContent = images.length < count
      ? `${images.length} of ${plural(count, "image")}, ${order}.` : `${plural(count, "image")}.`;
    document.getElementById("cell-images").replaceChildren(...images.map(tile));
    dialog.showModal();
    dialog.scrollTop = 0;
  }
  document.getElementById("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  body.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    if (!cell) return;
    focus(cell);
    open(cell);
  });
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  body.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td");
    if (!cell) return;
    const row = cell.parentNode;
    let target = null;
    if (event.key in moves) {
      const [down, right] = moves[event.key];
      const next = body.rows[row.sectionRowIndex + down];
      target = next && next.cells[cell.cellIndex + right];
    } else if (event.key === "Home") target = row.cells[1];
    else if (event.key === "End") target = row.cells[row.cells.length - 1];
    else if (event.key === "Enter" || event.key === " ") open(cell);
    else return;
    event.preventDefault();
    if (target && target.tagName === "TD") focus(target);
  });
})();
