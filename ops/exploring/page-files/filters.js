// The form of filters: built from the facts, read as a query, and kept in the page's address.
"use strict";

(() => {
  const get = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";

  function addOption(select, value, text) {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = text;
    select.append(option);
  }

  explore.buildFilters = () => {
    const { facts } = explore;
    facts.kinds.forEach((kind, i) => {
      const label = document.createElement("label");
      label.className = `inline ${kind.name}`;
      const box = Object.assign(document.createElement("input"), { type: "checkbox", id: `kind-${i}` });
      box.disabled = kind.count === 0;
      label.append(box, ` ${kind.name} `, Object.assign(document.createElement("span"), {
        className: "count", textContent: kind.count.toLocaleString("en"),
      }));
      get("kinds").append(label);
    });
    for (const name of facts.classes) addOption(get("class-names"), name, "");
    for (const reason of facts.reasons) {
      addOption(get("reason"), reason.bit, `${reason.title} (${reason.count.toLocaleString("en")})`);
    }
    for (const score of facts.scores) {
      addOption(get("sort"), score.name, score.title);
      get("scores").append(buildScore(score));
    }
  };

  /** A score's name, its histogram and the two ends of its range. */
  function buildScore(score) {
    const group = document.createElement("div");
    group.className = "score";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", score.title);
    const name = Object.assign(document.createElement("p"), { textContent: score.title, title: score.meaning });
    const [least, most] = ["min", "max"].map((end) => {
      const input = Object.assign(document.createElement("input"), { inputMode: "decimal", id: `${end}-${score.name}` });
      input.setAttribute("aria-label", `${score.title}, ${end === "min" ? "at least" : "at most"}`);
      input.placeholder = explore.format(end === "min" ? score.low : score.high);
      return input;
    });
    const ends = document.createElement("div");
    ends.className = "ends";
    ends.append(least, " to ", most);
    group.append(name, drawHistogram(score), ends);
    return group;
  }

  function drawHistogram(score) {
    const count = score.accepted.length;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${count} 12`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true"); // the numbers below say the range
    // A square root shows the few beside the many.
    const highest = Math.sqrt(Math.max(1, ...score.accepted.map((n, i) => n + score.others[i])));
    for (let i = 0; i < count; i++) {
      const both = (12 * Math.sqrt(score.accepted[i] + score.others[i])) / highest;
      const accepted = both * (score.accepted[i] / Math.max(1, score.accepted[i] + score.others[i]));
      for (const [className, from, height] of [["others", 12 - both, both - accepted], ["accepted", 12 - accepted, accepted]]) {
        const bar = document.createElementNS(SVG, "rect");
        for (const [key, value] of Object.entries({ x: i, y: from, width: 0.9, height, class: className })) {
          bar.setAttribute(key, value);
        }
        svg.append(bar);
      }
    }
    return svg;
  }

  /** What the form asks for, as `explore.select` wants it. A range that is no number is marked, and left out. */
  explore.readQuery = () => {
    const { facts } = explore;
    const ranges = [];
    for (const { name } of facts.scores) {
      const [min, max] = ["min", "max"].map((end) => {
        const input = get(`${end}-${name}`);
        const text = input.value.trim().replace(",", ".");
        const valid = text === "" || Number.isFinite(Number(text));
        input.setAttribute("aria-invalid", String(!valid));
        return text === "" || !valid ? null : Number(text);
      });
      if (min !== null || max !== null) ranges.push({ name, min: min ?? -Infinity, max: max ?? Infinity });
    }
    return {
      kinds: facts.kinds.map((_, i) => get(`kind-${i}`).checked),
      className: get("class-name").value.trim(),
      reason: Number(get("reason").value),
      id: get("image-id").value.trim(),
      ranges,
      sort: get("sort").value,
      descending: get("descending").checked,
    };
  };

  /** The query as the address's part behind #, without what is usual. */
  explore.writeAddress = (query, page) => {
    const words = new URLSearchParams();
    words.set("show", explore.facts.kinds.filter((_, i) => query.kinds[i]).map((kind) => kind.name).join(","));
    if (query.className) words.set("class", query.className);
    if (query.reason) words.set("reason", explore.facts.reasons.find((entry) => entry.bit === query.reason).title);
    if (query.id) words.set("id", query.id);
    if (query.sort) words.set("sort", query.sort);
    if (query.descending) words.set("descending", "1");
    for (const { name, min, max } of query.ranges) words.set(name, `${min}..${max}`);
    if (page) words.set("page", page + 1);
    return `#${words}`;
  };

  /** Fill the form from the address; returns the page it names, from 0. */
  explore.readAddress = (address) => {
    const { facts } = explore;
    const words = new URLSearchParams(address.replace(/^#/, ""));
    const kinds = words.get("show")?.split(",") ?? findUsualKinds(facts);
    facts.kinds.forEach((kind, i) => { get(`kind-${i}`).checked = kinds.includes(kind.name); });
    get("class-name").value = words.get("class") ?? "";
    get("reason").value = facts.reasons.find((entry) => entry.title === words.get("reason"))?.bit ?? "";
    get("image-id").value = words.get("id") ?? "";
    get("sort").value = facts.scores.some((score) => score.name === words.get("sort")) ? words.get("sort") : "";
    get("descending").checked = words.has("descending");
    for (const { name } of facts.scores) {
      const [min, max] = words.get(name)?.split("..") ?? [];
      get(`min-${name}`).value = Number.isFinite(Number(min)) ? min : "";
      get(`max-${name}`).value = Number.isFinite(Number(max)) ? max : "";
    }
    return Math.max(0, (parseInt(words.get("page"), 10) || 1) - 1);
  };

  /** Accepted images, and where there are none, all. */
  function findUsualKinds(facts) {
    const accepted = facts.kinds.filter((kind) => kind.name === "accepted" && kind.count);
    return (accepted.length ? accepted : facts.kinds).map((kind) => kind.name);
  }
})();
