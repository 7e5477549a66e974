// Which rows are shown, and in which order. Everything here is a loop over typed arrays: a million rows take milliseconds.
"use strict";

(() => {
  /**
   * The rows that a query asks for, as a Uint32Array; null stands for all rows as they are stored.
   * query: kinds (array of bool), className, reason (bit or 0), id, ranges ([{name, min, max}]), sort (name or ""),
   * descending.
   */
  explore.select = async (query) => {
    const { rows: total, classes } = explore.facts;
    const allKinds = query.kinds.every(Boolean);
    const labels = query.className ? findClasses(query.className, classes) : null;
    if (allKinds && !labels && !query.reason && !query.id && !query.ranges.length && !query.sort) return null;

    const keep = new Uint8Array(total).fill(1);
    if (!allKinds) {
      const kinds = await explore.column("kind");
      for (let row = 0; row < total; row++) if (!query.kinds[kinds[row]]) keep[row] = 0;
    }
    if (labels) {
      const column = await explore.column("label");
      for (let row = 0; row < total; row++) if (!labels[column[row]]) keep[row] = 0;
    }
    if (query.reason) {
      const column = await explore.column("reasons");
      for (let row = 0; row < total; row++) if (!(column[row] & query.reason)) keep[row] = 0;
    }
    for (const { name, min, max } of query.ranges) {
      const column = await explore.column(name);
      for (let row = 0; row < total; row++) if (!(column[row] >= min && column[row] <= max)) keep[row] = 0;
    }
    if (query.id) {
      const column = await explore.column("image_id");
      for (let row = 0; row < total; row++) if (keep[row] && !column[row].includes(query.id)) keep[row] = 0;
    }
    const chosen = gather(keep);
    return query.sort ? explore.order(chosen, await explore.column(query.sort), query.descending) : chosen;
  };

  /** For each class whether the text means it: its whole name, else a part of it. */
  function findClasses(text, classes) {
    const wanted = text.toLowerCase();
    const names = classes.map((name) => name.toLowerCase());
    const exact = names.some((name) => name === wanted);
    return names.map((name) => (exact ? name === wanted : name.includes(wanted)));
  }

  function gather(keep) {
    let count = 0;
    for (let row = 0; row < keep.length; row++) count += keep[row];
    const chosen = new Uint32Array(count);
    for (let row = 0, place = 0; row < keep.length; row++) if (keep[row]) chosen[place++] = row;
    return chosen;
  }

  /** Rows by their value, a Float32Array of all rows; equal ones keep their order, rows without a value come last. */
  explore.order = (rows, values, descending) => {
    // The bits of a float, changed so that they sort as unsigned numbers do; then a radix sort by 16 bits twice.
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const keys = new Uint32Array(rows.length);
    for (let i = 0; i < rows.length; i++) {
      const b = bits[rows[i]];
      if ((b & 0x7fffffff) > 0x7f800000) { keys[i] = 0xffffffff; continue; } // not a number
      const key = b & 0x80000000 ? ~b : b | 0x80000000;
      keys[i] = descending ? ~key : key;
    }
    let from = { rows, keys };
    for (const shift of [0, 16]) {
      const starts = new Uint32Array(65537);
      for (let i = 0; i < keys.length; i++) starts[((from.keys[i] >>> shift) & 0xffff) + 1]++;
      for (let i = 0; i < 65536; i++) starts[i + 1] += starts[i];
      const to = { rows: new Uint32Array(rows.length), keys: new Uint32Array(rows.length) };
      for (let i = 0; i < keys.length; i++) {
        const place = starts[(from.keys[i] >>> shift) & 0xffff]++;
        to.rows[place] = from.rows[i];
        to.keys[place] = from.keys[i];
      }
      from = to;
    }
    return from.rows;
  };
})();
