/* Parameters and multiply-adds of a MobileNetV3, row by row, from its table alone.

   The same arithmetic as mnv3lib.count, which builds the network and follows an image through it:
   one MAC for each fused multiply-add of a convolution or a linear layer; batch norm adds two
   parameters a channel and no MACs; activations, pooling and additions are free. A test compares
   the two. Nothing here knows of the page.

   A row is what mnv3lib.models.tables.to_table writes: {kind: "conv", kernel, out, act, stride},
   {kind: "bneck", kernel, exp, out, se, act, stride}, {kind: "pool"}, {kind: "dense", out, act}.
   A design is {network, width, resolution, rows}: the name of the published table that it started
   from, the width multiplier, the side of the image in pixels, and the rows at width 1. */
"use strict";

const Counting = (() => {
  const IMAGE_CHANNELS = 3;

  /* What a field may hold. The bounds keep every sum below 2^53, up to which a number of
     JavaScript is an exact integer. */
  const LIMITS = {
    width: { least: 0.1, most: 2 },
    resolution: { least: 16, most: 1024 },
    kernel: { least: 1, most: 11 },
    exp: { least: 1, most: 2048 },
    out: { least: 1, most: 2048 },
    features: { least: 1, most: 65536 },
    stride: { least: 1, most: 8 },
    blocks: { least: 1, most: 40 },
  };

  /* --- Widths ------------------------------------------------------------------------------- */

  /* The nearest multiple of eight, never down by more than a tenth (chapter 5). */
  function makeDivisible(value, divisor = 8) {
    const rounded = Math.max(divisor, Math.floor((value + divisor / 2) / divisor) * divisor);
    return rounded < 0.9 * value ? rounded + divisor : rounded;
  }

  /* The middle of squeeze-and-excite: a quarter of the expansion (chapter 3). */
  function squeezeChannels(expanded) {
    return makeDivisible(expanded / 4);
  }

  /* The table after a width multiplier. A block keeps the ratio of its expansion to its input;
     what stands behind the pooling keeps its width. */
  function scaleRows(rows, width) {
    if (width === 1) return rows;
    let tableIn = IMAGE_CHANNELS;
    let scaledIn = IMAGE_CHANNELS;
    return rows.map((row) => {
      const scaled = { ...row };
      if (row.kind === "bneck") scaled.exp = makeDivisible((scaledIn * row.exp) / tableIn);
      if (row.kind === "bneck" || row.kind === "conv") scaled.out = makeDivisible(row.out * width);
      tableIn = row.out ?? tableIn;
      scaledIn = scaled.out ?? scaledIn;
      return scaled;
    });
  }

  /* --- Costs of layers: {params, macs} ------------------------------------------------------ */

  /* A convolution without bias and its batch norm, on an output of side x side pixels. */
  function convCost(kernel, channelsIn, channelsOut, side, groups = 1) {
    const weights = kernel ** 2 * (channelsIn / groups) * channelsOut;
    return { params: weights + 2 * channelsOut, macs: weights * side ** 2 };
  }

  /* A linear layer with bias. */
  function denseCost(featuresIn, featuresOut) {
    const weights = featuresIn * featuresOut;
    return { params: weights + featuresOut, macs: weights };
  }

  function sum(costs) {
    return costs.reduce(
      (total, cost) => ({ params: total.params + cost.params, macs: total.macs + cost.macs }),
      { params: 0, macs: 0 },
    );
  }

  /* --- Rows: from the shape that enters to the cost and the shape that leaves --------------- */

  /* Kernels are odd and padded evenly, so only the stride changes the side of a map. */
  function sideAfter(side, stride) {
    return Math.ceil(side / stride);
  }

  function bneckCost(row, channels, side) {
    const after = sideAfter(side, row.stride);
    const parts = [];
    if (row.exp !== channels) parts.push(convCost(1, channels, row.exp, side));
    parts.push(convCost(row.kernel, row.exp, row.exp, after, row.exp));
    if (row.se) {
      const squeezed = squeezeChannels(row.exp);
      parts.push(denseCost(row.exp, squeezed), denseCost(squeezed, row.exp));
    }
    parts.push(convCost(1, row.exp, row.out, after));
    return sum(parts);
  }

  /* Shapes are [channels, side, side], or [features] behind the pooling. */
  const ROW_COSTS = {
    conv(row, [channels, side]) {
      const after = sideAfter(side, row.stride);
      const cost = convCost(row.kernel, channels, row.out, after);
      return { ...cost, outputShape: [row.out, after, after] };
    },
    bneck(row, [channels, side]) {
      const after = sideAfter(side, row.stride);
      return { ...bneckCost(row, channels, side), outputShape: [row.out, after, after] };
    },
    pool(row, [channels]) {
      return { params: 0, macs: 0, outputShape: [channels] };
    },
    dense(row, [features]) {
      return { ...denseCost(features, row.out), outputShape: [row.out] };
    },
  };

  /* Counts a design: {params, macs, rows}; each row has its scaled table row, its shapes, params
     and macs. */
  function count(design) {
    let shape = [IMAGE_CHANNELS, design.resolution, design.resolution];
    const rows = scaleRows(design.rows, design.width).map((row) => {
      const counted = { row, inputShape: shape, ...ROW_COSTS[row.kind](row, shape) };
      shape = counted.outputShape;
      return counted;
    });
    return { ...sum(rows), rows };
  }

  /* --- What is wrong, in words; null if nothing is ------------------------------------------ */

  /* The value of one field of a design or, if a row is given, of this row. */
  function fieldProblem(field, value, row) {
    const { least, most } = limitsOf(field, row);
    if (Number.isNaN(value)) return "A number is needed here.";
    if (field !== "width" && !Number.isInteger(value)) {
      return `A whole number is needed, not ${value}.`;
    }
    if (field === "kernel" && value % 2 === 0) {
      return `A kernel has an odd side, so that maps stay aligned; ${value} is even.`;
    }
    if (value < least) return `At least ${least} is needed, not ${value}.`;
    if (value > most) return `This page counts up to ${most}, not ${value}.`;
    return null;
  }

  /* What a row outputs behind the pooling are features, of which there may be more. */
  function limitsOf(field, row) {
    return LIMITS[row?.kind === "dense" && field === "out" ? "features" : field];
  }

  /* The strides together must leave at least one pixel. */
  function sizeProblem(design) {
    const strides = design.rows.reduce((product, row) => product * (row.stride ?? 1), 1);
    const pixels = design.resolution;
    if (strides <= pixels) return null;
    return `The strides multiply to ${strides}, which leaves nothing of ${pixels} pixels.`;
  }

  return { LIMITS, count, fieldProblem, sizeProblem, squeezeChannels };
})();
