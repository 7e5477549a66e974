// The page's data: facts.js, and columns in chunks that are loaded when somebody asks for their values.
// A page opened from a disk may run scripts beside it, but may not read files, so every chunk is a script.
"use strict";

const explore = { facts: null };

(() => {
  const TYPES = { u8: Uint8Array, u16: Uint16Array, i32: Int32Array, f32: Float32Array };
  const KEPT_CHUNKS = 96; // of columns that are not loaded as a whole
  const chunks = new Map(); // "name-3" -> promise of its values, oldest first
  const columns = new Map(); // name -> promise of all its values
  const waiting = new Map(); // "name-3" -> the function that takes its values

  explore.describe = (facts) => { explore.facts = facts; };

  /** Called by each chunk's script. */
  explore.take = (name, chunk, content) => waiting.get(`${name}-${chunk}`)(content);

  explore.kindOf = (name) => {
    if (name === "image_id") return "text";
    if (name === "kind") return "u8";
    if (["label", "reasons", "predicted"].includes(name)) return "u16";
    return explore.facts.neighbours.some((entry) => entry.column === name) ? "i32" : "f32";
  };

  /** Run a script beside the page; resolves when it has run. */
  explore.run = (path) => new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = path;
    script.onload = () => { script.remove(); resolve(); };
    script.onerror = () => { script.remove(); reject(new Error(`${path} is missing or cannot be read`)); };
    document.head.append(script);
  });

  function decode(content, kind) {
    if (kind === "text") return content;
    if (Uint8Array.fromBase64) return new TYPES[kind](Uint8Array.fromBase64(content).buffer);
    const text = atob(content);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return new TYPES[kind](bytes.buffer);
  }

  async function loadChunk(name, chunk) {
    const key = `${name}-${chunk}`;
    let values = null;
    waiting.set(key, (content) => { values = decode(content, explore.kindOf(name)); });
    await explore.run(`columns/${key}.js`);
    waiting.delete(key);
    return values;
  }

  function findChunk(name, chunk) {
    const key = `${name}-${chunk}`;
    const found = chunks.get(key) ?? loadChunk(name, chunk);
    chunks.delete(key);
    chunks.set(key, found); // now the newest
    if (chunks.size > KEPT_CHUNKS) chunks.delete(chunks.keys().next().value);
    return found;
  }

  async function joinChunks(name) {
    const { rows, chunk_rows: size } = explore.facts;
    const kind = explore.kindOf(name);
    const count = Math.ceil(rows / size);
    if (kind === "text") {
      const parts = await Promise.all(Array.from({ length: count }, (_, chunk) => loadChunk(name, chunk)));
      return parts.flat();
    }
    const whole = new TYPES[kind](rows);
    await Promise.all(Array.from({ length: count }, async (_, chunk) => {
      whole.set(await loadChunk(name, chunk), chunk * size);
    }));
    return whole;
  }

  /** All values of a column, one for each row; loaded once. */
  explore.column = (name) => {
    if (!columns.has(name)) columns.set(name, joinChunks(name));
    return columns.get(name);
  };

  /** The values of a column at some rows, in their order; only the chunks that hold them are loaded. */
  explore.values = async (name, rows) => {
    if (columns.has(name)) {
      const whole = await columns.get(name);
      return Array.from(rows, (row) => whole[row]);
    }
    const size = explore.facts.chunk_rows;
    return Promise.all(Array.from(rows, async (row) => (await findChunk(name, Math.floor(row / size)))[row % size]));
  };
})();
