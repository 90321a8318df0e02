// The table: sorted by any column, filtered together with the gallery.

const table = document.getElementById("table");
const rows = [];

function getTableColumns() {
  const shown = DATA.columns
    .map((column, place) => ({ ...column, place }))
    .filter((column) => column.shown);
  return [
    { key: "name", label: "Design", help: "Name of the design" },
    ...shown,
    { key: "verdict", label: "Verdict", help: "Checks that it fails" },
  ];
}

function makeTable() {
  const columns = getTableColumns();
  const head = makeElement("tr");
  for (const { key, label, help, place } of columns) {
    const button = makeElement("button", { type: "button", title: help, "data-key": key }, label);
    button.addEventListener("click", () => sortBy(key));
    const numeric = place === undefined ? {} : { class: "number" };
    head.append(makeElement("th", { scope: "col", "aria-sort": "none", ...numeric }, button));
  }
  table.tHead.replaceChildren(head);
  DATA.designs.forEach((design, index) => {
    const row = makeElement("tr", { "data-index": index, tabindex: "-1" });
    for (const { key, digits, place } of columns) row.append(makeCell(design, key, digits, place));
    row.addEventListener("click", () => select(index));
    rows.push(row);
  });
  listen("order", orderTable);
  listen("select", () => markRow(true));
  connectFilters();
  document.getElementById("save-csv").addEventListener("click", () => {
    download("designs.csv", makeCsv(state.order), "text/csv");
  });
}

function makeCell(design, key, digits, place) {
  if (key === "name") return makeElement("th", { scope: "row" }, design.name);
  if (key === "verdict") {
    const verdict = makeElement("span", {}, describeVerdict(design));
    verdict.className = design.passes ? "verdict good" : "verdict faulty";
    return makeElement("td", {}, verdict);
  }
  const cell = makeElement("td", { class: "number" }, formatNumber(design.values[place], digits));
  cell.classList.toggle("outside", isOutside(design, place));
  return cell;
}

// A first click sorts upwards, a second downwards, a third gives the order of the run back.
function sortBy(key) {
  const { sort } = state;
  if (sort.key !== key) state.sort = { key, descending: false };
  else if (!sort.descending) state.sort = { key, descending: true };
  else state.sort = { key: null, descending: false };
  updateOrder();
}

function orderTable() {
  table.tBodies[0].replaceChildren(...state.order.map((index) => rows[index]));
  for (const button of table.tHead.querySelectorAll("button")) {
    const direction = state.sort.descending ? "descending" : "ascending";
    const sorted = button.dataset.key === state.sort.key ? direction : "none";
    button.parentElement.setAttribute("aria-sort", sorted);
  }
  const [shown, all] = [state.order.length, DATA.designs.length];
  const noun = all === 1 ? "design" : "designs";
  const count = shown === all ? `${all} ${noun}` : `${shown} of ${all} ${noun}`;
  for (const place of document.querySelectorAll(".count")) place.textContent = count;
  document.getElementById("table-empty").hidden = shown > 0;
  markRow(false);
}

function markRow(scroll) {
  rows.forEach((row, index) => row.setAttribute("aria-selected", index === state.selected));
  const row = rows[state.selected];
  const frame = table.parentElement;
  if (!scroll || !row.isConnected) return;
  const head = table.tHead.offsetHeight;
  const [top, bottom] = [row.offsetTop, row.offsetTop + row.offsetHeight];
  if (top - head < frame.scrollTop) frame.scrollTop = top - head;
  else if (bottom > frame.scrollTop + frame.clientHeight) {
    frame.scrollTop = bottom - frame.clientHeight;
  }
}

function connectFilters() {
  const query = document.getElementById("query");
  query.addEventListener("input", () => {
    state.query = query.value;
    updateOrder();
  });
  bindChoice("verdict", (value) => {
    state.verdict = value;
    updateOrder();
  });
}
