/* Filters the claims of the scoreboard: book/_ext/claim_filter.py writes the form and the classes.
   What is asked for stands in the address, #paper=mnasnet&verdict=differs, so that it can be sent. */
"use strict";

function claimFilter(form) {
  const fields = [...form.elements].filter((field) => field.name);
  const rows = [...document.querySelectorAll("tr[class*='verdict-']")];
  const tables = [...new Set(rows.map((row) => row.closest("table")))];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const asked = () =>
    new URLSearchParams(
      fields.filter((field) => field.value.trim()).map((field) => [field.name, field.value.trim()])
    );

  function fits(row, wanted) {
    return [...wanted].every(([name, value]) =>
      name === "words"
        ? value.toLowerCase().split(/\s+/).every((word) => texts.get(row).includes(word))
        : row.classList.contains(`${name}-${value}`)
    );
  }

  function show() {
    const wanted = asked();
    for (const row of rows) row.hidden = !fits(row, wanted);
    for (const table of tables) table.hidden = !table.querySelector("tbody tr:not([hidden])");
    const shown = rows.filter((row) => !row.hidden).length;
    form.querySelector("output").value = `${shown} of ${rows.length} claims on this page`;
    form.querySelector("button[type=reset]").disabled = ![...wanted].length;
  }

  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!fields.some((field) => given.has(field.name))) return;
    for (const field of fields) {
      field.value = given.get(field.name) ?? "";
      if (field.selectedIndex === -1) field.value = ""; // a paper that there is not
    }
  }

  function changed() {
    const fragment = asked().toString();
    history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
    show();
  }

  form.addEventListener("input", changed);
  form.addEventListener("reset", () => setTimeout(changed)); // once the fields are empty
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => { read(); show(); });
  read();
  show();
}

document.querySelectorAll("form.claim-filter").forEach(claimFilter);
