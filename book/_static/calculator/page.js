/* The calculator page: fields for a design, its numbers beside those of the published network.

   The arithmetic is in counting.js, changes of a design in design.js, its address in address.js;
   elements.js and fields.js make what stands on the page. This part holds one design that is
   valid, and a draft for each field that holds something else: a draft waits, with a message, until
   it fits, and the numbers stay those of the design. */
"use strict";

(() => {
  const { barredCell, element, shapeText } = Elements;
  const root = document.getElementById("calculator-page");
  const published = JSON.parse(document.getElementById("calculator-networks").textContent);
  const ADDRESS_DELAY_MS = 250; // browsers refuse an address that changes with every key

  let design = publishedDesign(Object.keys(published)[0]);
  const drafts = new Map(); // controls that hold what does not fit, with their places
  let views = []; // what to fill in, a row each
  let addressTimer;
  let fragmentSeen = location.hash; // the last that was read or written

  function publishedDesign(network) {
    const { resolution, rows } = published[network];
    return { network, width: 1, resolution, rows };
  }

  /* --- What is entered ---------------------------------------------------------------------- */

  /* Takes over every draft that fits; one that did not may fit after another one did. */
  function enter(control, place) {
    drafts.set(control, place);
    const fits = ([draft, at]) => Design.problem(design, at, Fields.read(draft)) === null;
    for (let found; (found = [...drafts].find(fits)); ) {
      const [draft, at] = found;
      design = Design.withValue(design, at, Fields.read(draft));
      drafts.delete(draft);
      Fields.complain(draft, "");
    }
    for (const [draft, at] of drafts) {
      const problem = Design.problem(design, at, Fields.read(draft));
      Fields.complain(draft, `${problem} Counted with ${Design.valueAt(design, at)}.`);
    }
    refresh();
  }

  /* --- The parts of the page ---------------------------------------------------------------- */

  const message = element("p", { class: "calculator-message", role: "status" });
  const options = Object.entries(published).map(([network, { title }]) =>
    element("option", { value: network }, title),
  );
  const choice = { id: "calculator-start", onchange: () => restart() };
  const start = element("select", choice, ...options);
  const controls = element("div", { class: "calculator-controls" });
  const yours = { params: barredCell(), macs: barredCell() };
  const theirs = { params: barredCell(), macs: barredCell() };
  const ratios = { params: element("td"), macs: element("td") };
  const theirName = element("th", { scope: "col" });
  const body = element("tbody");

  function drawControls() {
    start.value = design.network;
    const from = element("p", {}, element("label", { for: start.id }, "start from"), start);
    const reset = element("button", { type: "button", onclick: () => restart() }, "Reset");
    const fields = ["width", "resolution"].map((field) =>
      Fields.labelledField({ field }, design[field], enter),
    );
    controls.replaceChildren(from, ...fields, element("p", {}, reset));
  }

  function drawTotals() {
    const head = ["", "this design", theirName, "ratio"].map((name) =>
      typeof name === "string" ? element("th", { scope: "col" }, name) : name,
    );
    const lines = Object.entries({ params: "params", macs: "MACs" }).map(([kind, name]) =>
      element(
        "tr",
        { id: `calculator-total-${kind}` },
        element("th", { scope: "row" }, name),
        yours[kind].cell,
        theirs[kind].cell,
        ratios[kind],
      ),
    );
    return element(
      "table",
      { class: "calculator-totals", "aria-live": "polite" },
      element("thead", {}, element("tr", {}, ...head)),
      element("tbody", {}, ...lines),
    );
  }

  function drawTable() {
    const heads = ["row", "", "k", "exp", "out", "SE", "NL", "s"];
    const found = ["output", "params", "MACs", ""];
    const cells = [...heads, ...found].map((name) => element("th", { scope: "col" }, name));
    const table = element(
      "table",
      { class: "calculator-rows" },
      element("caption", {}, "The rows, at width 1, and what each of them costs"),
      element("thead", {}, element("tr", {}, ...cells)),
      body,
    );
    // A box that scrolls is reached by keyboard.
    const region = { class: "calculator-scroll", role: "region", tabindex: "0" };
    return element("div", { ...region, "aria-label": "The rows of the network" }, table);
  }

  /* --- Rows --------------------------------------------------------------------------------- */

  function drawRow(row, index) {
    const view = {
      exp: element("small"),
      squeezed: element("small"),
      shape: element("td"),
      params: barredCell(),
      macs: barredCell(),
    };
    const cell = (field, ...notes) =>
      element("td", {}, ...Fields.field({ field, row: index }, row[field], enter), ...notes);
    view.line = element(
      "tr",
      {},
      element("th", { scope: "row" }, String(index + 1)),
      element("td", {}, row.kind),
      cell("kernel"),
      cell("exp", view.exp),
      cell("out"),
      cell("se", view.squeezed),
      cell("act"),
      cell("stride"),
      view.shape,
      view.params.cell,
      view.macs.cell,
      element("td", {}, ...changeButtons(row, index)),
    );
    return view;
  }

  function changeButtons(row, index) {
    if (row.kind !== "bneck") return [];
    const button = (sign, title, disabled, onclick) =>
      element("button", { type: "button", title, "aria-label": title, disabled, onclick }, sign);
    const { least, most } = Counting.LIMITS.blocks;
    const blocks = Design.blocks(design);
    return [
      button("+", `Add a row below row ${index + 1}`, blocks >= most, () => add(index)),
      button("−", `Remove row ${index + 1}`, blocks <= least, () => remove(index)),
    ];
  }

  function add(index) {
    show(Design.withRowBelow(design, index), `Row ${index + 2} added.`);
    views[index + 1].line.querySelector("input").focus();
  }

  function remove(index) {
    show(Design.withoutRow(design, index), `Row ${index + 1} removed.`);
    const next = design.rows[index].kind === "bneck" ? index : index - 1;
    views[next].line.querySelector("button:last-of-type").focus();
  }

  /* --- Numbers ------------------------------------------------------------------------------ */

  /* Draws the fields of a design anew; what they held before is gone. */
  function show(shown, said = "") {
    design = shown;
    drafts.clear();
    message.textContent = said;
    views = design.rows.map(drawRow);
    body.replaceChildren(...views.map((view) => view.line));
    drawControls();
    refresh();
  }

  function refresh() {
    const counted = Counting.count(design);
    refreshTotals(counted);
    const most = (kind) => Math.max(...counted.rows.map((row) => row[kind]));
    const [mostParams, mostMacs] = [most("params"), most("macs")];
    counted.rows.forEach(({ row, outputShape, params, macs }, index) => {
      const view = views[index];
      view.exp.textContent = row.exp === design.rows[index].exp ? "" : `→ ${row.exp}`;
      view.squeezed.textContent = row.se ? Counting.squeezeChannels(row.exp) : "";
      view.shape.textContent = shapeText(outputShape);
      view.params.fill(params, mostParams);
      view.macs.fill(macs, mostMacs);
    });
    clearTimeout(addressTimer);
    addressTimer = setTimeout(writeAddress, ADDRESS_DELAY_MS);
  }

  function refreshTotals(counted) {
    const { title, totals, resolution } = published[design.network];
    theirName.textContent = `${title}, published (width 1, ${resolution} pixels)`;
    for (const kind of ["params", "macs"]) {
      const most = Math.max(counted[kind], totals[kind]);
      yours[kind].fill(counted[kind], most);
      theirs[kind].fill(totals[kind], most);
      ratios[kind].textContent = (counted[kind] / totals[kind]).toFixed(2);
    }
  }

  /* --- The address -------------------------------------------------------------------------- */

  /* The published network needs no fragment; an anchor that is there already stays. A fragment
     that was not seen yet is a link just followed, which is read next. */
  function writeAddress() {
    if (location.hash !== fragmentSeen) return;
    const fragment = Address.encode(design);
    const plain = fragment === Address.encode(publishedDesign(Object.keys(published)[0]));
    if (plain && !Address.holdsDesign(location.hash)) return;
    history.replaceState(null, "", plain ? location.pathname + location.search : fragment);
    fragmentSeen = location.hash;
  }

  function readAddress() {
    fragmentSeen = location.hash;
    if (!Address.holdsDesign(location.hash)) return;
    try {
      show(Address.decode(location.hash, Object.keys(published)));
    } catch (error) {
      show(design, `The address holds no design that could be counted. ${error.message}`);
    }
  }

  function restart() {
    show(publishedDesign(start.value), `${published[start.value].title} as published.`);
  }

  root.replaceChildren(controls, message, drawTotals(), drawTable());
  show(design);
  readAddress();
  addEventListener("hashchange", readAddress);
})();
