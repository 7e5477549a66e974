// The thumbnails of one page, and which of them is selected.
"use strict";

(() => {
  const PAGE = 120; // images
  const CAPTION = 64; // pixels: smaller thumbnails have no caption
  const grid = document.getElementById("grid");
  const state = { rows: null, count: 0, page: 0, place: -1, size: 72, sort: "" };
  let drawing = 0; // the newest call of `draw`; an older one that is still loading gives up

  explore.grid = state;
  explore.perPage = PAGE;
  explore.pageCount = () => Math.max(1, Math.ceil(state.count / PAGE));
  explore.rowAt = (place) => (state.rows ? state.rows[place] : place);
  explore.pageOf = (place) => Math.floor(place / PAGE);

  /** Show a row's thumbnail in an element, about `size` pixels a side, or exactly; if about, it grows by whole factors. */
  explore.paint = (element, row, size, about = true) => {
    const { width, height, across, down, extension } = explore.facts.sheet;
    const fit = size / Math.max(width, height);
    const scale = about && fit >= 1 ? Math.round(fit) : fit;
    const place = row % (across * down);
    const x = (place % across) * width * scale;
    const y = Math.floor(place / across) * height * scale;
    Object.assign(element.style, {
      width: `${width * scale}px`,
      height: `${height * scale}px`,
      backgroundImage: `url("sheets/${Math.floor(row / (across * down))}.${extension}")`,
      backgroundSize: `${across * width * scale}px ${down * height * scale}px`,
      backgroundPosition: `${-x}px ${-y}px`,
    });
  };

  explore.format = (value) => (Number.isNaN(value) ? "–" : String(Number(value.toPrecision(4))));

  /** Show the rows of a selection from the page of `place` on, and select the image there. */
  explore.showRows = async (rows, sort, place = 0) => {
    Object.assign(state, { rows, sort, count: rows ? rows.length : explore.facts.rows });
    state.page = explore.pageOf(Math.min(place, Math.max(0, state.count - 1)));
    const drawn = await draw();
    if (drawn) explore.selectPlace(Math.min(place, state.count - 1), drawn.focused);
  };

  /** Turn to a page and select its first image, or its last. */
  explore.turn = async (page, last = false) => {
    if (!(page >= 0 && page < explore.pageCount())) return;
    state.page = page;
    const drawn = await draw();
    if (drawn) explore.selectPlace(last ? Math.min(state.count, (page + 1) * PAGE) - 1 : page * PAGE, drawn.focused);
  };

  explore.resize = async (size) => {
    state.size = size;
    const drawn = await draw();
    if (drawn) explore.selectPlace(state.place, drawn.focused);
  };

  /** Build the page's thumbnails; says whether one of them had the focus, or null if a newer call has overtaken this. */
  async function draw() {
    const mine = ++drawing;
    const begin = state.page * PAGE;
    const rows = Array.from({ length: Math.min(PAGE, state.count - begin) }, (_, i) => explore.rowAt(begin + i));
    const names = ["kind", "label", ...(state.sort ? [state.sort] : [])];
    const [kinds, labels, scores] = await Promise.all(names.map((name) => explore.values(name, rows)));
    if (mine !== drawing) return null;
    const focused = grid.contains(document.activeElement);
    grid.replaceChildren(...rows.map((row, i) => {
      const score = scores ? explore.format(scores[i]) : "";
      return buildOption(begin + i, row, explore.facts.kinds[kinds[i]].name, explore.facts.classes[labels[i]], score);
    }));
    document.getElementById("empty").hidden = state.count > 0;
    document.getElementById("page").value = state.page + 1;
    document.getElementById("pages").textContent = `of ${explore.pageCount().toLocaleString("en")}`;
    document.getElementById("previous").disabled = state.page === 0;
    document.getElementById("next").disabled = state.page + 1 >= explore.pageCount();
    return { focused };
  }

  function buildOption(place, row, kind, name, score) {
    const option = document.createElement("div");
    option.className = `thumbnail ${kind}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.setAttribute("aria-label", `${kind}, ${name}${score && `, ${state.sort.replaceAll("_", " ")} ${score}`}`);
    option.title = option.getAttribute("aria-label");
    option.tabIndex = -1;
    option.dataset.place = place;
    const picture = document.createElement("div");
    picture.className = "picture";
    explore.paint(picture, row, state.size);
    option.append(picture);
    if (state.size >= CAPTION || score) {
      const caption = document.createElement("div");
      caption.className = "caption";
      caption.style.width = picture.style.width;
      caption.textContent = score || name;
      option.append(caption);
    }
    return option;
  }

  /** Select the image at a place of the selection, on the page that is shown. */
  explore.selectPlace = (place, focus) => {
    for (const old of grid.querySelectorAll('[aria-selected="true"]')) {
      old.setAttribute("aria-selected", "false");
      old.tabIndex = -1;
    }
    state.place = place;
    const option = grid.querySelector(`[data-place="${place}"]`);
    if (!option) return explore.showDetails(null);
    option.setAttribute("aria-selected", "true");
    option.tabIndex = 0;
    if (focus) option.focus();
    option.scrollIntoView({ block: "nearest" });
    return explore.showDetails(explore.rowAt(place));
  };

  /** How many thumbnails lie in a line. */
  function countAcross() {
    const options = [...grid.children];
    const next = options.findIndex((option) => option.offsetTop > options[0].offsetTop);
    return next < 0 ? options.length : next;
  }

  /** Move the selection by a key's name, over the ends of the page to the next one. */
  explore.move = async (key) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -countAcross(), ArrowDown: countAcross() };
    const first = state.page * PAGE;
    const last = first + grid.children.length - 1;
    if (key === "Home") return explore.selectPlace(first, true);
    if (key === "End") return explore.selectPlace(last, true);
    const place = state.place + steps[key];
    if (place < 0 || place >= state.count) return undefined;
    if (place < first || place > last) await explore.turn(explore.pageOf(place));
    return explore.selectPlace(place, true);
  };

  grid.addEventListener("click", (event) => {
    const option = event.target.closest("[data-place]");
    if (option) explore.selectPlace(Number(option.dataset.place), true);
  });
})();
