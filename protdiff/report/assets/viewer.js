// The large view: one WebGL canvas by 3Dmol.js, for the selected design and its trajectory.

const SECONDARY = { H: "h", E: "s", "-": "c" };
const BREAK = 10; // residue numbers jump at a chain break, so that no ribbon bridges it
const FRAME_MILLISECONDS = 90;
const view = { viewer: null, model: null, color: "structure", style: "cartoon", spin: false };
const movie = { kind: "design", frame: 0, timer: null, positions: {} };

function makeViewer() {
  const element = document.getElementById("viewer");
  try {
    view.viewer = $3Dmol.createViewer(element, {
      backgroundColor: getColor("surface"),
      antialias: hasGraphicsHardware(),
      cartoonQuality: 8,
    });
  } catch (error) {
    view.viewer = null;
  }
  if (!view.viewer) {
    document.getElementById("viewer-empty").hidden = false;
    return;
  }
  view.viewer.setViewStyle({ style: "outline", width: 0.012, color: getColor("outline") });
  listen("select", showSelected);
  onThemeChange(() => {
    view.viewer.setBackgroundColor(getColor("surface"));
    view.viewer.setViewStyle({ style: "outline", width: 0.012, color: getColor("outline") });
    paint();
  });
  new ResizeObserver(() => {
    view.viewer.resize();
    view.viewer.render();
  }).observe(element);
  connectViewerControls();
  connectMovieControls();
}

// Smooth edges cost a graphics card nothing; a processor that stands in for one draws each pixel
// four times.
function hasGraphicsHardware() {
  const context = document.createElement("canvas").getContext("webgl2");
  const info = context?.getExtension("WEBGL_debug_renderer_info");
  const renderer = info ? context.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|software|basic render/i.test(renderer);
}

function connectViewerControls() {
  bindChoice("color", (value) => {
    view.color = value;
    paint();
  });
  bindChoice("style", (value) => {
    view.style = value;
    paint();
  });
  const spin = document.getElementById("spin");
  spin.addEventListener("click", () => {
    view.spin = !view.spin;
    spin.setAttribute("aria-pressed", view.spin);
    view.viewer.spin(view.spin ? "y" : false, 0.7);
  });
  document.getElementById("reset").addEventListener("click", () => orient());
  document.getElementById("save-png").addEventListener("click", () => {
    view.viewer.render();
    download(`${getSelected().name}.png`, view.viewer.pngURI(), "image/png");
  });
}

// A group of radio buttons.
function bindChoice(name, action) {
  for (const input of document.querySelectorAll(`input[name="${name}"]`)) {
    input.addEventListener("change", () => input.checked && action(input.value));
    // After a click the arrow keys are to go through the designs again, not through the choices.
    input.addEventListener("click", (event) => event.detail > 0 && input.blur());
  }
}

function showSelected() {
  if (!view.viewer) return;
  stopMovie();
  movie.positions = {};
  const design = getSelected();
  const hasMovie = design.trajectory !== null;
  if (!hasMovie || movie.kind === "design") showKind("design");
  else showKind(movie.kind);
  document.getElementById("movie").hidden = !hasMovie;
  orient();
}

// Show the design itself, or its way there as the network saw it or as it was.
function showKind(kind) {
  const design = getSelected();
  movie.kind = kind;
  view.viewer.removeAllModels();
  view.model = view.viewer.addModel();
  const all = kind !== "noisy";
  view.model.addAtoms(makeAtoms(design, all));
  const radio = document.querySelector(`input[name="kind"][value="${kind}"]`);
  if (radio) radio.checked = true;
  document.getElementById("movie-controls").hidden = kind === "design";
  if (kind !== "design") {
    movie.positions[kind] ??= unpackPositions(design.trajectory[kind]);
    const slider = document.getElementById("frame");
    slider.max = countFrames() - 1;
    showFrame(countFrames() - 1);
  } else {
    paint();
  }
}

function makeAtoms(design, all) {
  const positions = getPositions(design);
  const atoms = [];
  let shift = 0;
  const starts = new Set(design.starts);
  for (let place = 0; place < design.length; place++) {
    if (place > 0 && starts.has(place)) shift += BREAK;
    const linked = place > 0 && !starts.has(place);
    const { chain, name } = getResidues(design)[place];
    const ss = SECONDARY[design.ss[place]];
    const begins = !linked || design.ss[place - 1] !== design.ss[place];
    const ends = starts.has(place + 1) || design.ss[place + 1] !== design.ss[place];
    for (const atom of all ? [0, 1, 2, 3] : [1]) {
      const at = 12 * place + 3 * atom;
      const index = atoms.length;
      atoms.push({
        index,
        serial: index + 1,
        atom: ATOM_NAMES[atom],
        elem: ATOM_NAMES[atom][0],
        resn: name,
        resi: place + 1 + shift,
        chain,
        hetflag: false,
        ss,
        ssbegin: begins,
        ssend: ends,
        x: positions[at],
        y: positions[at + 1],
        z: positions[at + 2],
        bonds: [],
        bondOrder: [],
        properties: { place },
      });
      const bonded = all ? [linked ? index - 2 : -1, index - 1, index - 1, index - 1][atom] : -1;
      const before = all ? bonded : linked ? index - 1 : -1;
      if (before >= 0) connect(atoms, before, index);
    }
  }
  return atoms;
}

function connect(atoms, one, other) {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ]) {
    atoms[from].bonds.push(to);
    atoms[from].bondOrder.push(1);
  }
}

// Blue at the start of the chain to red at its end.
function getRainbow(share) {
  return new $3Dmol.ROYGB(1, 0).valueToHex(share);
}

function makeColorFunction(design) {
  if (view.color === "position") {
    return (atom) => getRainbow(atom.properties.place / Math.max(design.length - 1, 1));
  }
  if (view.color === "motif") {
    const motif = new Set(design.motif);
    const [given, made] = [getColor("motif"), getColor("loop")];
    return (atom) => (motif.has(atom.properties.place) ? given : made);
  }
  const colors = Object.fromEntries(
    Object.entries(ROLES).map(([letter, role]) => [letter, getColor(role)]),
  );
  // Not by atom.ss, which 3Dmol.js rewrites where a strand has its arrow.
  return (atom) => colors[design.ss[atom.properties.place]];
}

function paint() {
  if (!view.model) return;
  const colorfunc = makeColorFunction(getSelected());
  let style;
  if (movie.kind === "noisy") {
    style = { stick: { radius: 0.35, colorfunc }, sphere: { radius: 0.5, colorfunc } };
  } else if (view.style === "sticks") {
    style = { stick: { radius: 0.2, colorfunc } };
  } else if (view.style === "trace") {
    style = { cartoon: { style: "trace", thickness: 0.5, colorfunc } };
  } else {
    style = { cartoon: { style: "oval", arrows: true, thickness: 0.35, colorfunc } };
  }
  view.model.setStyle({}, style);
  view.viewer.render();
}

// Turn the design so that it is at its widest, as on its thumbnail.
function orient() {
  const viewer = view.viewer;
  viewer.zoomTo();
  const current = viewer.getView();
  viewer.setView([...current.slice(0, 4), ...toQuaternion(getSelected().axes)]);
  viewer.zoom(1.3);
  viewer.render();
}

// Rotation matrix (row by row) to the quaternion x y z w, by the largest of its components.
function toQuaternion([a, b, c, d, e, f, g, h, i]) {
  const squares = [1 + a - e - i, 1 - a + e - i, 1 - a - e + i, 1 + a + e + i];
  const largest = squares.indexOf(Math.max(...squares));
  const rows = [
    [squares[0], b + d, c + g, h - f],
    [b + d, squares[1], f + h, c - g],
    [c + g, f + h, squares[2], d - b],
    [h - f, c - g, d - b, squares[3]],
  ];
  return rows[largest].map((value) => value / (2 * Math.sqrt(squares[largest])));
}

function countFrames() {
  const { frames, noisyFrames } = getSelected().trajectory;
  return movie.kind === "noisy" ? noisyFrames : frames;
}

function showFrame(frame) {
  movie.frame = frame;
  const positions = movie.positions[movie.kind];
  const atoms = view.model.selectedAtoms({});
  const from = 3 * atoms.length * frame;
  atoms.forEach((atom, k) => {
    [atom.x, atom.y, atom.z] = positions.subarray(from + 3 * k, from + 3 * k + 3);
  });
  paint();
  const slider = document.getElementById("frame");
  slider.value = frame;
  document.getElementById("frame-label").textContent = `${frame + 1} / ${countFrames()}`;
}

function connectMovieControls() {
  bindChoice("kind", (kind) => {
    stopMovie();
    showKind(kind);
    if (kind !== "design") playMovie();
  });
  document.getElementById("frame").addEventListener("input", (event) => {
    stopMovie();
    showFrame(Number(event.target.value));
  });
  document.getElementById("play").addEventListener("click", () => {
    if (movie.timer) stopMovie();
    else playMovie();
  });
}

function playMovie() {
  if (movie.frame >= countFrames() - 1) showFrame(0);
  document.getElementById("play").setAttribute("aria-pressed", "true");
  movie.timer = setInterval(() => {
    if (movie.frame + 1 < countFrames()) showFrame(movie.frame + 1);
    else stopMovie();
  }, FRAME_MILLISECONDS);
}

function stopMovie() {
  clearInterval(movie.timer);
  movie.timer = null;
  document.getElementById("play").setAttribute("aria-pressed", "false");
}
