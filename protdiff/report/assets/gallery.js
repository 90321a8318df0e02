// Thumbnails: alpha-carbon traces in two dimensions, drawn when they first come into view.

const ROLES = { H: "helix", E: "strand", "-": "loop" };
const WIDTHS = { H: 0.085, E: 0.065, "-": 0.032 }; // of a line, as a share of the picture
const SUBDIVISIONS = 4;
const gallery = document.getElementById("gallery");
const cards = [];

function makeGallery() {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        seen.unobserve(entry.target);
        drawThumbnail(entry.target);
      }
    },
    { root: gallery, rootMargin: "120px" },
  );
  DATA.designs.forEach((design, index) => {
    const canvas = makeElement("canvas", { "aria-hidden": "true" });
    canvas.dataset.index = index;
    const card = makeElement(
      "button",
      { type: "button", role: "option", class: "card", "data-index": index },
      canvas,
      makeElement("span", { class: "card-name" }, design.name),
    );
    card.title = `${design.name}: ${design.length} residues, ${describeVerdict(design)}`;
    card.classList.toggle("faulty", !design.passes);
    card.addEventListener("click", () => select(index));
    cards.push(card);
    seen.observe(canvas);
  });
  // A few designs may be large.
  const least = cards.length <= 12 ? 170 : cards.length <= 30 ? 132 : 104;
  gallery.style.setProperty("--card-width", `${least}px`);
  listen("order", orderGallery);
  listen("select", () => markCard(true));
  onThemeChange(() => {
    for (const { firstChild } of cards) if (firstChild.dataset.drawn) drawThumbnail(firstChild);
  });
}

function orderGallery() {
  gallery.replaceChildren(...state.order.map((index) => cards[index]));
  document.getElementById("gallery-empty").hidden = state.order.length > 0;
  markCard(false);
}

function markCard(scroll) {
  cards.forEach((card, index) => {
    const chosen = index === state.selected;
    card.setAttribute("aria-selected", chosen);
    card.tabIndex = chosen ? 0 : -1;
  });
  const card = cards[state.selected];
  if (!scroll || !card.isConnected) return;
  // Only the gallery scrolls, never the page under the reader's eyes.
  const [top, bottom] = [card.offsetTop, card.offsetTop + card.offsetHeight];
  if (top < gallery.scrollTop) gallery.scrollTop = top - 8;
  else if (bottom > gallery.scrollTop + gallery.clientHeight) {
    gallery.scrollTop = bottom - gallery.clientHeight + 8;
  }
}

// The trace in the frame of its principal axes: [x, y, depth] of each residue.
function projectTrace(design) {
  const [ax, ay, az, bx, by, bz, cx, cy, cz] = design.axes;
  const points = [];
  for (let place = 0; place < design.length; place++) {
    const [x, y, z] = getAlpha(design, place);
    points.push([
      ax * x + ay * y + az * z,
      bx * x + by * y + bz * z,
      cx * x + cy * y + cz * z,
    ]);
  }
  return points;
}

// A curve through the points (Catmull and Rom 1974).
function interpolate(before, from, to, after, t) {
  return from.map((_, axis) => {
    const [p, q, r, s] = [before[axis], from[axis], to[axis], after[axis]];
    return (
      0.5 *
      (2 * q +
        (r - p) * t +
        (2 * p - 5 * q + 4 * r - s) * t * t +
        (3 * q - p - 3 * r + s) * t * t * t)
    );
  });
}

function makeStrokes(design) {
  const points = projectTrace(design);
  const breaks = new Set(design.starts);
  const strokes = [];
  for (let i = 0; i + 1 < points.length; i++) {
    if (breaks.has(i + 1)) continue;
    const before = points[breaks.has(i) ? i : i - 1];
    const after = points[i + 2 < points.length && !breaks.has(i + 2) ? i + 2 : i + 1];
    let last = points[i];
    for (let k = 1; k <= SUBDIVISIONS; k++) {
      const next = interpolate(before, points[i], points[i + 1], after, k / SUBDIVISIONS);
      const letter = design.ss[k <= SUBDIVISIONS / 2 ? i : i + 1];
      strokes.push({ last, next, letter, depth: (last[2] + next[2]) / 2 });
      last = next;
    }
  }
  return strokes.sort((one, other) => one.depth - other.depth);
}

function drawThumbnail(canvas) {
  const design = DATA.designs[Number(canvas.dataset.index)];
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const size = Math.round((canvas.clientWidth || 96) * ratio);
  canvas.width = canvas.height = size;
  canvas.dataset.drawn = "yes";
  const context = canvas.getContext("2d");
  const strokes = makeStrokes(design);
  const range = [0, 1, 2].map((axis) => {
    const values = strokes.flatMap(({ last, next }) => [last[axis], next[axis]]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return { middle: (low + high) / 2, width: high - low || 1 };
  });
  const scale = (0.82 * size) / Math.max(range[0].width, range[1].width);
  const toX = (point) => size / 2 + scale * (point[0] - range[0].middle);
  const toY = (point) => size / 2 - scale * (point[1] - range[1].middle);
  const colors = Object.fromEntries(
    Object.entries(ROLES).map(([letter, role]) => [letter, getColor(role)]),
  );
  const surface = getColor("card");
  context.lineCap = "round";
  for (const { last, next, letter, depth } of strokes) {
    const nearness = 0.5 + (depth - range[2].middle) / range[2].width;
    const width = size * WIDTHS[letter] * (0.75 + 0.5 * nearness);
    context.beginPath();
    context.moveTo(toX(last), toY(last));
    context.lineTo(toX(next), toY(next));
    // An edge in the colour of the ground sets what is in front off from what is behind.
    context.lineCap = "butt";
    context.lineWidth = width + 0.022 * size;
    context.globalAlpha = 1;
    context.strokeStyle = surface;
    context.stroke();
    context.lineCap = "round";
    context.lineWidth = width;
    context.strokeStyle = colors[letter];
    context.stroke();
    // Fog: what is far is fainter.
    context.globalAlpha = 0.45 * (1 - nearness);
    context.strokeStyle = surface;
    context.stroke();
  }
  context.globalAlpha = 1;
}
