"use strict";
(() => {
  // The table of classes: sorts and filters.
  const table = document.getElementById("scores");
  const list = table.tBodies[0];
  const entries = Array.from(list.rows);
  const number = (text) => (text === "–" ? -1 : Number(text.replace(/,/g, "")));
  const titles = Array.from(table.tHead.rows[0].cells);
  titles.forEach((title, column) => title.firstChild.addEventListener("click", () => {
    const ascending = title.getAttribute("aria-sort") !== "ascending";
    titles.forEach((each) => each.removeAttribute("aria-sort"));
    title.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    // The first column sorts by the classes' order, which also breaks ties.
    const keys = new Map(entries.map((entry, i) =>
      [entry, column === 0 ? i : number(entry.cells[column].textContent)]));
    const sign = ascending ? 1 : -1;
    list.append(...entries.slice().sort((a, b) => sign * (keys.get(a) - keys.get(b))));
  }));
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => {
    const text = filter.value.trim().toLowerCase();
    let shown = 0;
    for (const entry of entries) {
      entry.hidden = !entry.cells[0].textContent.toLowerCase().includes(text);
      shown += !entry.hidden;
    }
    document.getElementById("filtered").textContent = text
      ? `${shown.toLocaleString("en")} ${shown === 1 ? "class" : "classes"}` : "";
  });
})();
