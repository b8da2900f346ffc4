/* Designs and their changes. A design is never changed; each function returns another one.

   A place is a field of the design, as {field: "width"}, or of a row, as {field: "exp", row: 3}. */
"use strict";

const Design = (() => {
  function valueAt(design, { field, row }) {
    return row === undefined ? design[field] : design.rows[row][field];
  }

  function withValue(design, { field, row }, value) {
    if (row === undefined) return { ...design, [field]: value };
    const change = (old, index) => (index === row ? { ...old, [field]: value } : old);
    return { ...design, rows: design.rows.map(change) };
  }

  /* What is wrong with a value at a place, in words; null if nothing is. */
  function problem(design, place, value) {
    const row = design.rows[place.row];
    const own = typeof value === "number" ? Counting.fieldProblem(place.field, value, row) : null;
    return own ?? Counting.sizeProblem(withValue(design, place, value));
  }

  /* A copy of a row below it, at stride 1, which fits wherever the row does. */
  function withRowBelow(design, index) {
    const rows = [...design.rows];
    rows.splice(index + 1, 0, { ...rows[index], stride: 1 });
    return { ...design, rows };
  }

  function withoutRow(design, index) {
    return { ...design, rows: design.rows.filter((_, place) => place !== index) };
  }

  function blocks(design) {
    return design.rows.filter((row) => row.kind === "bneck").length;
  }

  return { blocks, problem, valueAt, withRowBelow, withValue, withoutRow };
})();
