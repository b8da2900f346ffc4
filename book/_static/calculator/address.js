/* A design as the fragment of an address, so that a link shares it. Nothing here knows of the page.

   #design-large-0.75-224_c3-16-hs-2_b3-16-16-no-re-1_..._p_d1280-hs_d1000

   is the network that it started from, width multiplier and resolution, then the rows at width 1:
   the first letter of the kind, and the columns of the paper's table. */
"use strict";

const Address = (() => {
  const PREFIX = "#design-";
  const COLUMNS = {
    conv: ["kernel", "out", "act", "stride"],
    bneck: ["kernel", "exp", "out", "se", "act", "stride"],
    pool: [],
    dense: ["out", "act"],
  };
  const KINDS = Object.keys(COLUMNS);
  /* A stem, blocks, a convolution, pooling, a hidden layer, classes. */
  const ORDER = /^cb+cpdd$/;
  /* Values that are no numbers, by the column in which they may stand. */
  const WORDS = {
    se: { se: true, no: false },
    act: { re: "relu", hs: "hard_swish" },
  };

  function holdsDesign(fragment) {
    return fragment.startsWith(PREFIX);
  }

  function wordFor(column, value) {
    const words = Object.entries(WORDS[column] ?? {});
    return words.find(([, meant]) => meant === value)?.[0] ?? String(value);
  }

  /* The classes have no activation, and their row no word for it. */
  function encodeRow(row) {
    const columns = COLUMNS[row.kind].filter((column) => row[column] !== null);
    return row.kind[0] + columns.map((column) => wordFor(column, row[column])).join("-");
  }

  function encode({ network, width, resolution, rows }) {
    const coded = rows.map(encodeRow);
    return PREFIX + [`${network}-${width}-${resolution}`, ...coded].join("_");
  }

  function valueOf(column, word, row) {
    if (column === "act" && word === "" && row.kind === "dense") return null;
    if (column in WORDS) {
      if (Object.hasOwn(WORDS[column], word)) return WORDS[column][word];
      throw new Error(`“${word}” is no ${column}.`);
    }
    const value = word === "" ? NaN : Number(word);
    const problem = Counting.fieldProblem(column, value, row);
    if (problem) throw new Error(`${column} “${word}”: ${problem}`);
    return value;
  }

  function decodeRow(code) {
    const kind = KINDS.find((known) => known[0] === code[0]);
    const row = { kind };
    const words = code.slice(1).split("-");
    (COLUMNS[kind] ?? []).forEach((column, index) => {
      row[column] = valueOf(column, words[index] ?? "", row);
    });
    return row;
  }

  /* The design of a fragment; an Error in words if it holds none that could be counted. */
  function decode(fragment, networks) {
    const [head, ...codes] = fragment.slice(PREFIX.length).split("_");
    const [network, width, resolution] = head.split("-");
    if (!networks.includes(network)) throw new Error(`There is no network “${network}”.`);
    const kinds = codes.map((code) => code[0]).join("");
    if (!ORDER.test(kinds)) throw new Error("The rows are no table.");
    if (codes.length - 5 > Counting.LIMITS.blocks.most) throw new Error("There are too many rows.");
    const design = {
      network,
      width: valueOf("width", width ?? ""),
      resolution: valueOf("resolution", resolution ?? ""),
      rows: codes.map(decodeRow),
    };
    const problem = Counting.sizeProblem(design);
    if (problem) throw new Error(problem);
    return design;
  }

  return { decode, encode, holdsDesign };
})();
