// What there is to say of the selected design: numbers, secondary structure, contact map.

const panel = {
  name: document.getElementById("design-name"),
  verdict: document.getElementById("design-verdict"),
  facts: document.getElementById("design-facts"),
  strip: document.getElementById("strip"),
  map: document.getElementById("contact-map"),
  caption: document.getElementById("contact-caption"),
};

function makePanel() {
  listen("select", showPanel);
  listen("order", showPlace);
  onThemeChange(() => {
    drawStrip();
    drawContactMap();
  });
  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  document.getElementById("save-pdb").addEventListener("click", () => {
    const design = getSelected();
    download(`${design.name}.pdb`, makePdb(design), "chemical/x-pdb");
  });
  document.getElementById("save-cif").addEventListener("click", () => {
    const design = getSelected();
    download(`${design.name}.cif`, makeCif(design), "chemical/x-cif");
  });
  panel.map.addEventListener("mousemove", nameContact);
  panel.map.addEventListener("mouseleave", () => (panel.caption.textContent = describeMap()));
}

function showPanel() {
  const design = getSelected();
  panel.name.textContent = design.name;
  panel.verdict.textContent = describeVerdict(design);
  panel.verdict.className = design.passes ? "verdict good" : "verdict faulty";
  const facts = DATA.columns.map((column, place) => ({ column, place }));
  panel.facts.replaceChildren(
    ...facts
      .filter(({ column }) => column.shown)
      .map(({ column, place }) => {
        const item = makeElement(
          "div",
          { title: describeColumn(column, design.bands[place]) },
          makeElement("dt", {}, column.label),
          makeElement("dd", {}, formatNumber(design.values[place], column.digits)),
        );
        item.classList.toggle("outside", isOutside(design, place));
        return item;
      }),
  );
  const pdb = document.getElementById("save-pdb");
  pdb.disabled = makePdb(design) === null;
  pdb.title = pdb.disabled ? "Too large for the columns of a PDB file; take mmCIF" : "";
  showPlace();
  drawStrip();
  drawContactMap();
  panel.caption.textContent = describeMap();
}

function showPlace() {
  const at = state.order.indexOf(state.selected);
  const shown = state.order.length;
  document.getElementById("place").textContent = at < 0 ? `– / ${shown}` : `${at + 1} / ${shown}`;
}

function isOutside(design, place) {
  const [value, band] = [design.values[place], design.bands[place]];
  return value !== null && band !== null && (value < band[0] || value > band[1]);
}

function describeColumn(column, band) {
  const digits = Math.max(column.digits, 2);
  const nature = band ? `. Nature: ${band.map((end) => end.toFixed(digits)).join(" to ")}` : "";
  return `${column.help || column.label}${nature}`;
}

// Prepare a canvas for drawing in its own units, sharp on any screen.
function startCanvas(canvas, height = canvas.clientHeight) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// Secondary structure along the chain, with the motif marked below.
function drawStrip() {
  const design = getSelected();
  const { context, width, height } = startCanvas(panel.strip);
  const scale = width / design.length;
  const middle = height / 2 - 3;
  for (const { letter, start, stop } of getSecondaryRuns(design)) {
    const [x, w] = [start * scale, (stop - start) * scale];
    context.fillStyle = getColor(ROLES[letter]);
    if (letter === "H") {
      context.beginPath();
      context.roundRect(x, middle - 7, w, 14, Math.min(7, w / 2));
      context.fill();
    } else if (letter === "E") {
      const tip = Math.min(8, w);
      context.beginPath();
      context.moveTo(x, middle - 4);
      context.lineTo(x + w - tip, middle - 4);
      context.lineTo(x + w - tip, middle - 8);
      context.lineTo(x + w, middle);
      context.lineTo(x + w - tip, middle + 8);
      context.lineTo(x + w - tip, middle + 4);
      context.lineTo(x, middle + 4);
      context.fill();
    } else {
      context.fillRect(x, middle - 1.25, w, 2.5);
    }
  }
  context.fillStyle = getColor("motif");
  for (const place of design.motif) context.fillRect(place * scale, height - 4, scale + 0.5, 4);
  const motif = design.motif.length ? `, ${design.motif.length} of the motif` : "";
  const label = `Secondary structure of ${design.length} residues${motif}: ${design.ss}`;
  panel.strip.setAttribute("aria-label", label);
}

function measureDistance(design, i, j) {
  const [a, b] = [getAlpha(design, i), getAlpha(design, j)];
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

// Above the diagonal how near two residues are, below it contacts.
function drawContactMap() {
  const design = getSelected();
  const size = panel.map.clientWidth;
  const { context } = startCanvas(panel.map, size);
  const { cutoff, separation, farthest } = DATA.contact;
  const cell = size / design.length;
  const [accent, motif, line] = [getColor("accent"), getColor("motif"), getColor("line")];
  const given = new Set(design.motif);
  for (let i = 0; i < design.length; i++) {
    for (let j = i + 1; j < design.length; j++) {
      const distance = measureDistance(design, i, j);
      context.fillStyle = accent;
      if (distance < farthest) {
        context.globalAlpha = (1 - distance / farthest) ** 2;
        context.fillRect(j * cell, i * cell, cell + 0.3, cell + 0.3);
      }
      if (distance < cutoff && j - i >= separation) {
        context.globalAlpha = 1;
        context.fillStyle = given.has(i) && given.has(j) ? motif : accent;
        context.fillRect(i * cell, j * cell, Math.max(cell, 1.5), Math.max(cell, 1.5));
      }
    }
  }
  context.globalAlpha = 1;
  context.strokeStyle = line;
  context.beginPath();
  context.moveTo(0, 0);
  context.lineTo(size, size);
  context.stroke();
  panel.map.setAttribute("aria-label", `Contact map of ${design.name}`);
}

function describeMap() {
  const { cutoff, separation } = DATA.contact;
  return `CA distance above, contacts (< ${cutoff} Å, ≥ ${separation} apart) below`;
}

function nameContact(event) {
  const design = getSelected();
  const cell = panel.map.clientWidth / design.length;
  const [j, i] = [event.offsetX, event.offsetY].map((at) =>
    Math.min(design.length - 1, Math.max(0, Math.floor(at / cell))),
  );
  const distance = measureDistance(design, i, j).toFixed(1);
  panel.caption.textContent = `${labelResidue(design, i)} – ${labelResidue(design, j)}: ${distance} Å`;
}
