"use strict";
(() => {
  /* Sorting: rows of each tbody among themselves; what has no value stays last. */
  const value = (row, column, kind) => {
    const cell = row.cells[column];
    if (kind === "text") return cell.textContent.trim().toLowerCase();
    return cell.dataset.v ? Number(cell.dataset.v) : null;
  };
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b);
  const sort = (table, column, kind, sign) => {
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      const keyed = rows.map((row) => [value(row, column, kind), row]);
      keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
      body.append(...keyed.map(([, row]) => row));
    }
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const kind = head.dataset.sort;
      if (!kind) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, kind, down ? -1 : 1);
      });
    });
  }

  /* Choosing a task and a split: shows one section of the home page. */
  const chooser = document.getElementById("chooser");
  if (!chooser) return;
  const sections = [...document.querySelectorAll("section.task")];
  const task = document.getElementById("task");
  const split = document.getElementById("split");
  const fill = (select, options, chosen) => {
    select.replaceChildren(...options.map(([text, id]) => new Option(text, id, false, id === chosen)));
  };
  const of = (name) => sections.filter((section) => section.dataset.task === name);
  const show = (section) => {
    for (const other of sections) other.hidden = other !== section;
    fill(task, [...new Set(sections.map((other) => other.dataset.task))].map((name) => [name, name]), section.dataset.task);
    fill(split, of(section.dataset.task).map((other) => [other.dataset.split, other.id]), section.id);
  };
  const go = (section) => {
    show(section);
    history.replaceState(null, "", "#" + section.id);
  };
  const named = () => sections.find((section) => "#" + section.id === decodeURIComponent(location.hash));
  task.addEventListener("change", () => {
    const current = sections.find((section) => section.id === split.value);
    const choices = of(task.value);
    go(choices.find((section) => section.dataset.split === current.dataset.split) || choices[0]);
  });
  split.addEventListener("change", () => go(sections.find((section) => section.id === split.value)));
  window.addEventListener("hashchange", () => {
    const section = named();
    if (!section) return;
    show(section);
    section.scrollIntoView();
  });
  chooser.hidden = false;
  document.getElementById("contents").hidden = true;
  show(named() || sections[0]);
})();
