// The page as a whole: start, answer the form and the keys, and say how many images are shown.
"use strict";

(() => {
  const get = (id) => document.getElementById(id);
  const TYPING = 250; // milliseconds without a key before typed text counts
  let query = null;
  let asking = 0; // the newest change of the form; an older one that is still loading gives up
  let typed = 0;

  function report(error) {
    get("fault").textContent = `${error.message}. Run the command again that made this page: growset explore.`;
    get("fault").hidden = false;
  }

  /** Show what the form asks for, from a page on; the address follows. */
  async function apply(page = 0) {
    const mine = ++asking;
    const wanted = explore.readQuery();
    const started = performance.now();
    const rows = await explore.select(wanted);
    if (mine !== asking) return;
    query = wanted;
    await explore.showRows(rows, query.sort, page * explore.perPage);
    const { rows: total } = explore.facts;
    const shown = rows ? rows.length : total;
    get("status").textContent = `${shown.toLocaleString("en")} of ${total.toLocaleString("en")} images`;
    document.documentElement.dataset.milliseconds = Math.round(performance.now() - started);
    remember();
  }

  function remember() {
    history.replaceState(null, "", explore.writeAddress(query, explore.grid.page));
  }

  async function turn(page, last) {
    await explore.turn(page, last);
    remember();
  }

  function answerForm() {
    const form = get("form");
    form.addEventListener("submit", (event) => { event.preventDefault(); apply().catch(report); });
    form.addEventListener("change", (event) => {
      // A reason is one of rejected or surplus images: show them.
      if (event.target.id === "reason" && event.target.value) {
        explore.facts.kinds.forEach((kind, i) => {
          if (["rejected", "surplus"].includes(kind.name) && kind.count) get(`kind-${i}`).checked = true;
        });
      }
      clearTimeout(typed);
      apply().catch(report);
    });
    form.addEventListener("input", (event) => {
      if (event.target.type !== "text") return; // others send `change` as well
      clearTimeout(typed);
      typed = setTimeout(() => apply().catch(report), TYPING);
    });
    get("reset").addEventListener("click", () => { explore.readAddress(""); apply().catch(report); });
    get("previous").addEventListener("click", () => turn(explore.grid.page - 1).catch(report));
    get("next").addEventListener("click", () => turn(explore.grid.page + 1).catch(report));
    get("page").addEventListener("change", () => {
      const wanted = parseInt(get("page").value.replace(/\D/g, ""), 10) || 1;
      turn(Math.min(wanted, explore.pageCount()) - 1).catch(report);
    });
    get("size").value = explore.grid.size;
    get("size").addEventListener("input", () => explore.resize(Number(get("size").value)).catch(report));
    get("help-button").addEventListener("click", () => get("help").showModal());
  }

  function answerKeys() {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || get("help").open) return;
      if (event.key === "Escape") {
        event.preventDefault();
        document.activeElement.blur(); // where no image is shown, keys work all the same
        explore.selectPlace(explore.grid.place, true);
        return;
      }
      if (event.target.matches("input, select, textarea, summary")) return;
      const actions = {
        n: () => turn(explore.grid.page + 1),
        p: () => turn(explore.grid.page - 1),
        "/": () => { get("filters").open = true; get("class-name").focus(); },
        "?": () => get("help").showModal(),
      };
      for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]) {
        actions[key] = async () => { await explore.move(key); remember(); };
      }
      if (!Object.hasOwn(actions, event.key)) return;
      event.preventDefault();
      Promise.resolve(actions[event.key]()).catch(report);
    });
  }

  async function start() {
    await explore.run("facts.js");
    const { facts } = explore;
    document.title = `${facts.expansion}: explore`;
    get("title").textContent = `${facts.expansion}: explore`;
    const add = (id, tag, text) => get(id).append(Object.assign(document.createElement(tag), { textContent: text }));
    for (const note of facts.notes) add("notes", "p", note);
    for (const { title, meaning } of facts.scores.filter((score) => score.meaning)) {
      add("meanings", "dt", title);
      add("meanings", "dd", meaning);
    }
    if (window.innerWidth < 700) get("filters").open = false;
    explore.buildFilters();
    answerForm();
    answerKeys();
    await apply(explore.readAddress(location.hash));
    window.addEventListener("hashchange", () => apply(explore.readAddress(location.hash)).catch(report));
    document.documentElement.dataset.ready = Math.round(performance.now());
  }

  start().catch(report);
})();
