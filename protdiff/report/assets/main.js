// Put the page together.

function onThemeChange(action) {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", action);
}

function connectKeys() {
  const steps = { ArrowLeft: -1, ArrowRight: 1 };
  const lists = { ArrowUp: -1, ArrowDown: 1 };
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    // Text fields, sliders and radio buttons have arrows of their own.
    if (event.target.closest("input, select, textarea")) return;
    const inList = event.target.closest("#gallery, #table");
    const by = steps[event.key] ?? (inList ? lists[event.key] : undefined);
    if (by === undefined) return;
    event.preventDefault();
    step(by);
    const focus = event.target.closest("#gallery") ? cards : inList ? rows : null;
    focus?.[state.selected].focus({ preventScroll: true });
  });
}

makeGallery();
makeTable();
makePanel();
makePlots();
connectKeys();
updateOrder();
makeViewer();
emit("select");
requestAnimationFrame(() => {
  requestAnimationFrame(() => {
    document.documentElement.dataset.ready = "yes";
    performance.mark("protdiff-ready");
  });
});
