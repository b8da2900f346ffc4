/* The fields of the calculator page: a labelled control for each place of a design, and room for a
   message beside it. */
"use strict";

const Fields = (() => {
  const { element } = Elements;
  const ACTS = { relu: "RE", hard_swish: "HS" }; // the symbols of the paper's tables
  const STEPS = { width: 0.05, resolution: 32, kernel: 2, exp: 8, out: 8, stride: 1 };
  const NAMES = {
    width: "width multiplier",
    resolution: "resolution, pixels",
    kernel: "kernel",
    exp: "expansion",
    out: "output channels",
    se: "squeeze-and-excite",
    act: "activation",
    stride: "stride",
  };

  function label({ field, row }) {
    return row === undefined ? NAMES[field] : `Row ${row + 1}: ${NAMES[field]}`;
  }

  /* Attributes and children of the control, by what the place holds. */
  function kindOf({ field }, value) {
    if (typeof value === "boolean") return ["input", { type: "checkbox", checked: value }, []];
    if (typeof value === "number") {
      return ["input", { type: "number", step: STEPS[field], value }, []];
    }
    const choices = Object.entries(ACTS).map(([act, name]) =>
      element("option", { value: act, selected: act === value }, name),
    );
    return ["select", {}, choices];
  }

  /* The control of a place that holds a value, and its message; enter(control, place) is called
     when it changes. A place that a row does not have gets none. */
  function field(place, value, enter) {
    if (value === undefined || value === null) return [];
    const id = `calculator-${place.row === undefined ? "" : `${place.row + 1}-`}${place.field}`;
    const [tag, attributes, children] = kindOf(place, value);
    const shared = {
      id,
      class: `calculator-${place.field}`,
      "aria-label": label(place),
      "aria-describedby": `${id}-problem`,
    };
    const oninput = () => enter(control, place);
    const control = element(tag, { ...attributes, ...shared, oninput }, ...children);
    const about = { id: `${id}-problem`, class: "calculator-problem", "aria-live": "polite" };
    return [control, element("span", about)];
  }

  /* The same with its label in sight. */
  function labelledField(place, value, enter) {
    const [control, problem] = field(place, value, enter);
    return element("p", {}, element("label", { for: control.id }, label(place)), control, problem);
  }

  /* What a control holds; NaN if it should be a number and is none. */
  function read(control) {
    if (control.type === "checkbox") return control.checked;
    return control.type === "number" ? control.valueAsNumber : control.value;
  }

  /* Writes a message beside a control; an empty one says that all is well. */
  function complain(control, problem) {
    if (problem) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
    document.getElementById(`${control.id}-problem`).textContent = problem;
  }

  return { complain, field, labelledField, read };
})();
