// The plots come drawn; here their points learn to be pointed at, and the selected design is shown.

const SVG = "http://www.w3.org/2000/svg";
const tooltip = document.getElementById("tooltip");

function makePlots() {
  for (const point of document.querySelectorAll(".plot .point")) {
    const design = DATA.designs[Number(point.dataset.design)];
    const text = `${design.name} · ${design.length} residues · ${describeVerdict(design)}`;
    point.addEventListener("click", () => select(Number(point.dataset.design)));
    point.addEventListener("pointerenter", (event) => showTooltip(event, text));
    point.addEventListener("pointerleave", () => (tooltip.hidden = true));
  }
  listen("select", () => {
    markPoints();
    overlayTorsions();
    overlayHistograms();
  });
  listen("order", dimPoints);
}

function showTooltip(event, text) {
  tooltip.textContent = text;
  tooltip.hidden = false;
  const { width } = tooltip.getBoundingClientRect();
  const left = Math.min(event.clientX + 12, document.documentElement.clientWidth - width - 8);
  tooltip.style.left = `${left + window.scrollX}px`;
  tooltip.style.top = `${event.clientY + window.scrollY + 14}px`;
}

function markPoints() {
  for (const point of document.querySelectorAll(".plot .point")) {
    point.classList.toggle("selected", Number(point.dataset.design) === state.selected);
  }
  // A marker is drawn over those before it; the ring makes the selected one visible in a crowd.
  for (const plot of document.querySelectorAll(".plot svg")) {
    const overlay = startOverlay(plot);
    const point = plot.querySelector(".point.selected");
    if (!point || !overlay) continue;
    const [x, y] = [point.getAttribute("x"), point.getAttribute("y")];
    overlay.append(makeShape("circle", { cx: x, cy: y, r: 6.5, class: "ring" }));
  }
}

function dimPoints() {
  const shown = new Set(state.order);
  for (const point of document.querySelectorAll(".plot .point")) {
    point.classList.toggle("dimmed", !shown.has(Number(point.dataset.design)));
  }
}

function makeShape(tag, attributes) {
  const shape = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
  return shape;
}

function startOverlay(plot) {
  plot.querySelector(".overlay")?.remove();
  const overlay = makeShape("g", { class: "overlay" });
  plot.append(overlay);
  return overlay;
}

function overlayTorsions() {
  const plot = document.querySelector("#plot-ramachandran svg");
  const overlay = startOverlay(plot);
  const [ax, bx, ay, by] = JSON.parse(plot.dataset.axes);
  const design = getSelected();
  getTorsions(design).forEach(([phi, psi], place) => {
    if (Number.isNaN(phi) || Number.isNaN(psi)) return;
    const role = ROLES[design.ss[place]];
    const circle = makeShape("circle", {
      cx: ax * phi + bx,
      cy: ay * psi + by,
      r: 2.6,
      class: `torsion ${role}`,
    });
    const title = makeShape("title", {});
    title.textContent = `${labelResidue(design, place)}: φ ${phi.toFixed(0)}°, ψ ${psi.toFixed(0)}°`;
    circle.append(title);
    overlay.append(circle);
  });
}

// The value of the selected design as a mark on each histogram.
function overlayHistograms() {
  for (const plot of document.querySelectorAll(".histogram svg")) {
    const overlay = startOverlay(plot);
    const value = getValue(getSelected(), plot.parentElement.dataset.quantity);
    if (value === null) continue;
    const [ax, bx, , floor] = JSON.parse(plot.dataset.axes);
    const x = ax * value + bx;
    overlay.append(makeShape("line", { x1: x, x2: x, y1: 4, y2: floor, class: "mark" }));
    const points = `${x - 4},0 ${x + 4},0 ${x},6`;
    overlay.append(makeShape("polygon", { points, class: "mark-head" }));
  }
}
