// The data of the page, and structure files made of it.

const DATA = JSON.parse(document.getElementById("data").textContent);
const ATOM_NAMES = ["N", "CA", "C", "O"];
const NOT_A_NUMBER = -32768;

function decodeIntegers(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const integers = new Int16Array(bytes.length / 2);
  for (let i = 0; i < integers.length; i++) integers[i] = view.getInt16(2 * i, true);
  return integers;
}

// Positions in Å, x y z of one atom after the other.
function unpackPositions(packed) {
  const integers = decodeIntegers(packed.data);
  const positions = new Float32Array(integers.length);
  for (let i = 0; i < integers.length; i++) {
    positions[i] = integers[i] * packed.unit + packed.centre[i % 3];
  }
  return positions;
}

// Unpacked once, when a design is first looked at: opening a page must not wait for all of them.
function getPositions(design) {
  design.positions ??= unpackPositions(design.xyz);
  return design.positions;
}

function getAlpha(design, place) {
  const at = 12 * place + 3;
  return getPositions(design).subarray(at, at + 3);
}

// [φ, ψ] of each residue in degrees, NaN where a chain ends.
function getTorsions(design) {
  const integers = decodeIntegers(design.torsions);
  const angles = [];
  for (let i = 0; i < integers.length; i += 2) {
    angles.push(
      [integers[i], integers[i + 1]].map((value) => (value === NOT_A_NUMBER ? NaN : value / 10)),
    );
  }
  return angles;
}

// The author's chain, number, insertion code and name of each residue.
function getResidues(design) {
  if (!design.labels) {
    design.labels = [];
    for (const [chain, first, code, count] of design.residues) {
      for (let i = 0; i < count; i++) {
        const place = design.labels.length;
        const name = design.names.length === 1 ? design.names[0] : design.names[place];
        design.labels.push({ chain, number: first + i, code, name });
      }
    }
  }
  return design.labels;
}

function labelResidue(design, place) {
  const { chain, number, code } = getResidues(design)[place];
  return `${chain}${number}${code}`;
}

// [start, stop) of each stretch of one letter of secondary structure, within unbroken chain.
function getSecondaryRuns(design) {
  const starts = new Set(design.starts);
  const runs = [];
  for (let i = 0; i < design.length; i++) {
    const last = runs.at(-1);
    if (last && last.letter === design.ss[i] && !starts.has(i)) last.stop = i + 1;
    else runs.push({ letter: design.ss[i], start: i, stop: i + 1 });
  }
  return runs;
}

function getValue(design, key) {
  return design.values[DATA.columns.findIndex((column) => column.key === key)];
}

function formatNumber(value, digits) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function describeVerdict(design) {
  return design.passes ? "good" : design.failed.join(", ").replaceAll("_", " ");
}

function makePdb(design) {
  const residues = getResidues(design);
  const motif = new Set(design.motif);
  const fits = residues.every(
    ({ chain, number, name }) =>
      chain.length === 1 && name.length <= 3 && number > -1000 && number < 10000,
  );
  if (!fits || design.length * 4 > 99999) return null;
  const lines = [`REMARK   1 ${design.name.replace(/[^\x20-\x7e]/g, "_").slice(0, 68)}`];
  forEachAtom(design, (serial, place, atom, [x, y, z]) => {
    const { chain, number, code, name } = residues[place];
    if (atom === 0 && place > 0 && chain !== residues[place - 1].chain) lines.push("TER");
    lines.push(
      `ATOM  ${String(serial).padStart(5)}  ${ATOM_NAMES[atom].padEnd(3)} ${name.padStart(3)} ` +
        `${chain}${String(number).padStart(4)}${code || " "}   ` +
        [x, y, z].map((value) => value.toFixed(3).padStart(8)).join("") +
        `  1.00${motif.has(place) ? "100.00" : "  0.00"}          ` +
        ` ${ATOM_NAMES[atom][0]}  `,
    );
  });
  return [...lines, "TER", "END"].map((line) => line.padEnd(80)).join("\n") + "\n";
}

function makeCif(design) {
  const residues = getResidues(design);
  const motif = new Set(design.motif);
  const block = design.name.replace(/[^A-Za-z0-9_.-]/g, "_") || "design";
  const columns = [
    "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id",
    "label_entity_id label_seq_id pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z occupancy",
    "B_iso_or_equiv auth_seq_id auth_comp_id auth_asym_id auth_atom_id pdbx_PDB_model_num",
  ].flatMap((line) => line.split(" "));
  const lines = [`data_${block}`, "#", "loop_", ...columns.map((name) => `_atom_site.${name}`)];
  // A word of a CIF file has no white space or quotes and does not begin with a sign of its grammar.
  const quote = (text) => (/^[A-Za-z0-9]+$/.test(text) ? text : `"${text.replace(/["\s]/g, "_")}"`);
  let chainStart = 0;
  forEachAtom(design, (serial, place, atom, [x, y, z]) => {
    const { chain, number, code, name } = residues[place];
    if (place > 0 && chain !== residues[place - 1].chain && atom === 0) chainStart = place;
    lines.push(
      [
        ...["ATOM", serial, ATOM_NAMES[atom][0], ATOM_NAMES[atom], ".", quote(name), quote(chain)],
        ...[1, place - chainStart + 1, code ? quote(code) : "?"],
        ...[x, y, z].map((value) => value.toFixed(3)),
        ...["1.00", motif.has(place) ? "100.00" : "0.00", number, quote(name), quote(chain)],
        ...[ATOM_NAMES[atom], 1],
      ].join(" "),
    );
  });
  return [...lines, "#"].join("\n") + "\n";
}

function forEachAtom(design, visit) {
  const positions = getPositions(design);
  for (let place = 0; place < design.length; place++) {
    for (let atom = 0; atom < 4; atom++) {
      const at = 12 * place + 3 * atom;
      visit(4 * place + atom + 1, place, atom, Array.from(positions.subarray(at, at + 3)));
    }
  }
}

// Every quantity of every design, in the order given.
function makeCsv(order) {
  const quote = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    // A spreadsheet takes a text that begins so for a formula.
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const head = ["name", "file", "index", "seed", "passes", "failed"];
  const rows = [[...head, ...DATA.columns.map((column) => column.key)]];
  for (const index of order) {
    const design = DATA.designs[index];
    rows.push([
      ...[design.name, design.file, design.index, design.seed, design.passes],
      ...[design.failed.join(" "), ...design.values],
    ]);
  }
  return rows.map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n";
}

function download(name, content, type) {
  const url = content.startsWith("data:")
    ? content
    : URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name.replace(/[^A-Za-z0-9_.-]/g, "_");
  link.click();
  if (url !== content) setTimeout(() => URL.revokeObjectURL(url), 1000);
}
