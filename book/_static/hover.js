/* Figures whose points tell what they are, near the pointer or by the arrow keys.

   Beside the two pictures of such a figure stands a list of [left, top, text], places in per cent
   of the picture (mnv3lib.hover). The picture itself stays as it is. */
"use strict";

(() => {
  const REACH_PX = 22; // how near the pointer has to be to a point
  const GAP_PX = 12; // between a point and its text

  function child(parent, tag, attributes) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    parent.append(made);
    return made;
  }

  /* The index of the point nearest to (x, y) within reach; -1 if there is none. */
  function nearest(places, x, y) {
    const distances = places.map((place) => Math.hypot(place.x - x, place.y - y));
    const least = Math.min(...distances);
    return least <= REACH_PX ? distances.indexOf(least) : -1;
  }

  /* Where a key leads from a point; null for keys that mean nothing here. */
  function next(key, index, count) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (key in steps) return Math.min(Math.max(index + steps[key], 0), count - 1);
    return { Home: 0, End: count - 1, Escape: -1 }[key] ?? null;
  }

  function enliven(pair, points) {
    const layer = child(pair, "div", {
      class: "twin-layer",
      role: "application",
      tabindex: "0",
      "aria-label": `${points.length} points of this figure: arrow keys lead from one to the next`,
    });
    const ring = child(layer, "span", { class: "twin-ring", hidden: "" });
    const text = child(layer, "span", { class: "twin-text", role: "status" });
    let current = -1;

    /* Places of the points in the pair, whose picture of the other theme is not shown. */
    function places() {
      const picture = [...pair.querySelectorAll("img")].find((image) => image.offsetParent);
      const [inner, outer] = [picture.getBoundingClientRect(), pair.getBoundingClientRect()];
      return points.map(([left, top]) => ({
        x: inner.left - outer.left + (left / 100) * inner.width,
        y: inner.top - outer.top + (top / 100) * inner.height,
      }));
    }

    function tell(index) {
      current = index;
      ring.hidden = index < 0;
      text.textContent = index < 0 ? "" : points[index][2];
      if (index < 0) return;
      const { x, y } = places()[index];
      const right = pair.clientWidth - text.offsetWidth;
      const above = y - GAP_PX - text.offsetHeight;
      ring.style.translate = `${x}px ${y}px`;
      text.style.left = `${Math.max(0, Math.min(x - text.offsetWidth / 2, right))}px`;
      text.style.top = `${above < 0 ? y + GAP_PX : above}px`;
    }

    function point({ clientX, clientY }) {
      const outer = pair.getBoundingClientRect();
      tell(nearest(places(), clientX - outer.left, clientY - outer.top));
    }

    pair.classList.add("twin-told");
    pair.addEventListener("pointermove", point);
    pair.addEventListener("pointerdown", point);
    pair.addEventListener("pointerleave", () => tell(-1));
    layer.addEventListener("focus", () => tell(Math.max(current, 0)));
    layer.addEventListener("blur", () => tell(-1));
    layer.addEventListener("keydown", (event) => {
      const index = next(event.key, current, points.length);
      if (index === null) return;
      event.preventDefault();
      tell(index);
    });
  }

  for (const data of document.querySelectorAll("script.twin-points")) {
    enliven(data.closest(".twin-pair"), JSON.parse(data.textContent));
  }
})();
