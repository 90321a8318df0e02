// What is selected, shown and in which order; every part of the page listens here.

const state = {
  selected: 0,
  order: DATA.designs.map((_, index) => index), // of the designs shown, as the table sorts them
  query: "",
  verdict: "all",
  sort: { key: null, descending: false },
};
const listeners = { select: [], order: [] };

function listen(event, action) {
  listeners[event].push(action);
}

function emit(event) {
  for (const action of listeners[event]) action();
}

function getSelected() {
  return DATA.designs[state.selected];
}

function select(index) {
  if (index === state.selected || !(index in DATA.designs)) return;
  state.selected = index;
  emit("select");
}

// Go on by so many places in the order shown, around its ends.
function step(by) {
  if (!state.order.length) return;
  const at = state.order.indexOf(state.selected);
  const next = at < 0 ? 0 : (at + by + state.order.length) % state.order.length;
  select(state.order[next]);
}

// A query has words, each a part of a name or of a fault, and conditions such as strand>0.2.
function parseQuery(query) {
  return query
    .toLowerCase()
    .replace(/\s*(<=|>=|<|>|=)\s*/g, "$1")
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => {
      const [, key, sign, number] = word.match(/^([a-z_]+)(<=|>=|<|>|=)([-+.\de]+)$/) ?? [];
      const place = DATA.columns.findIndex((column) => column.key === key);
      const limit = Number(number);
      if (place >= 0 && Number.isFinite(limit)) {
        return ({ values }) => compareValues(values[place], sign, limit);
      }
      return (design) => `${design.name} ${describeVerdict(design)}`.toLowerCase().includes(word);
    });
}

function compareValues(value, sign, limit) {
  if (value === null) return false;
  if (sign === "<") return value < limit;
  if (sign === ">") return value > limit;
  if (sign === "<=") return value <= limit;
  if (sign === ">=") return value >= limit;
  return value === limit;
}

function getSortKey(design, key) {
  if (key === "name") return design.name;
  if (key === "verdict") return design.passes ? "" : describeVerdict(design);
  return getValue(design, key);
}

const collator = new Intl.Collator(undefined, { numeric: true });

function updateOrder() {
  const conditions = parseQuery(state.query);
  const order = DATA.designs
    .map((_, index) => index)
    .filter((index) => {
      const design = DATA.designs[index];
      if (state.verdict !== "all" && design.passes !== (state.verdict === "good")) return false;
      return conditions.every((holds) => holds(design));
    });
  const { key, descending } = state.sort;
  if (key !== null) {
    const keys = DATA.designs.map((design) => getSortKey(design, key));
    order.sort((one, other) => {
      const [a, b] = [keys[one], keys[other]];
      // What is not known comes last, whichever way the table is sorted.
      if (a === null || b === null) return (a === null) - (b === null) || one - other;
      const sign = typeof a === "string" ? collator.compare(a, b) : a - b;
      return (descending ? -sign : sign) || one - other;
    });
  }
  state.order = order;
  emit("order");
}

function getColor(role) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${role}`).trim();
}

function makeElement(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
