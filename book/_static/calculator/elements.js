/* What the calculator page is made of: elements, and numbers with bars. */
"use strict";

const Elements = (() => {
  /* An element with children; an attribute that starts with "on" is what happens on an event,
     true stands for an attribute without a value, false and null for none. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  function written(number) {
    return number.toLocaleString("en");
  }

  /* [16, 112, 112] is 112² × 16. */
  function shapeText(shape) {
    return shape.length === 1 ? written(shape[0]) : `${shape[1]}² × ${shape[0]}`;
  }

  /* A table cell for a number and its bar; fill(value, most) writes the one, sets the other. */
  function barredCell() {
    const text = element("span");
    const bar = element("span", { class: "calculator-bar", "aria-hidden": "true" });
    const cell = element("td", {}, text, bar);
    const fill = (value, most) => {
      text.textContent = written(value);
      bar.style.width = `${most ? (100 * value) / most : 0}%`;
    };
    return { cell, fill };
  }

  return { barredCell, element, shapeText };
})();
