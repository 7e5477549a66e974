// Everything about one image: the picture, the images nearest to it, its reasons, and its scores beside the thresholds.
"use strict";

(() => {
  const LARGE = 168; // pixels of the selected image and of those beside it, at most
  const panel = document.getElementById("details");
  let asked = 0; // the newest call; an older one that is still loading gives up

  function build(tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  }

  const at = async (name, row) => (await explore.values(name, [row]))[0];

  /** Show a row; null shows that none is selected. */
  explore.showDetails = async (row) => {
    const mine = ++asked;
    if (row === null) {
      panel.replaceChildren(build("p", "No image is selected."));
      return;
    }
    const { facts } = explore;
    const names = ["kind", "label", "reasons", "predicted", "image_id"];
    const [kind, label, reasons, predicted, id] = await Promise.all(names.map((name) => at(name, row)));
    const scores = await Promise.all(facts.scores.map((score) => at(score.name, row)));
    const others = await Promise.all(facts.neighbours.map((entry) => at(entry.column, row)));
    const shown = facts.neighbours.map((entry, i) => ({ title: entry.title, row: others[i] }))
      .filter((other) => other.row !== facts.missing);
    const labels = await Promise.all(shown.map((other) => at("label", other.row)));
    if (mine !== asked) return;

    const pictures = build("div", undefined, "pictures");
    pictures.append(buildPicture(row, `${facts.kinds[kind].name}: ${facts.classes[label]}`));
    shown.forEach((other, i) => pictures.append(buildNeighbour(other, facts.classes[labels[i]])));
    panel.replaceChildren(
      build("h2", facts.classes[label]),
      build("p", describeKind(facts, kind, label, predicted), "note"),
      pictures,
      ...buildReasons(facts, reasons),
      buildScores(facts, scores, label),
      build("p", id, "id"),
    );
    panel.dataset.row = row;
  };

  function describeKind(facts, kind, label, predicted) {
    const taken = facts.classes[predicted];
    const judged = taken === undefined ? "" : predicted === label ? "; the scorer agrees" : `; the scorer sees ${taken}`;
    const kinds = {
      training: "real training image",
      validation: "real validation image",
      accepted: "generated and accepted",
      rejected: "generated and rejected",
      surplus: "generated; breaks no rule, but its class was full",
    };
    return kinds[facts.kinds[kind].name] + judged;
  }

  function buildPicture(row, caption) {
    const figure = build("figure");
    const picture = build("div", undefined, "picture");
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", caption);
    explore.paint(picture, row, Math.min(LARGE, (panel.clientWidth - 40) / 2), false);
    figure.append(picture, build("figcaption", caption));
    return figure;
  }

  function buildNeighbour(other, name) {
    const button = build("button", undefined, "neighbour");
    button.type = "button";
    button.title = "Show this image";
    button.append(buildPicture(other.row, `${other.title}: ${name}`));
    button.addEventListener("click", () => explore.showDetails(other.row));
    return button;
  }

  function buildReasons(facts, reasons) {
    const found = facts.reasons.filter((reason) => reasons & reason.bit);
    if (!found.length) return [];
    const list = build("ul", undefined, "reasons");
    for (const reason of found) {
      const item = build("li");
      item.append(build("strong", reason.title), `: ${reason.meaning}`);
      list.append(item);
    }
    return [list];
  }

  function buildScores(facts, scores, label) {
    const table = build("table");
    table.append(build("caption", "Scores"));
    const head = table.createTHead().insertRow();
    for (const title of ["score", "value", "rejected if"]) {
      const cell = build("th", title);
      cell.scope = "col";
      head.append(cell);
    }
    const body = table.createTBody();
    facts.scores.forEach((score, i) => {
      const limits = facts.rules.filter((rule) => rule.score === score.name && rule.thresholds[label] !== null);
      const broken = limits.some(({ side, thresholds }) =>
        (side === "below" ? scores[i] < thresholds[label] : scores[i] > thresholds[label]));
      const row = body.insertRow();
      const name = build("th", score.title);
      name.scope = "row";
      name.title = score.meaning;
      row.append(name);
      row.insertCell().textContent = explore.format(scores[i]) + (broken ? " ✗" : "");
      const rules = limits.map((rule) => `${rule.side} ${explore.format(rule.thresholds[label])}`);
      row.insertCell().textContent = [...new Set(rules)].join(", ");
      if (broken) row.className = "broken";
    });
    return table;
  }
})();
