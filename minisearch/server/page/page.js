// The search page: its state, its requests and its keys.  What is shown is made in results.js and preview.js.

import { h } from "./render.js";
import { count, resultItem, notices, startPage } from "./results.js";
import { PreviewPane, EDITORS, citation } from "./preview.js";
import { Filters } from "./filters.js";
import { showView, VIEWS } from "./views.js";

const $ = (id) => document.getElementById(id);
const PAGE = 20, MAX_RECENT = 6, WAIT_MS = 10, EVIDENCE_WAIT_MS = 120;
const saved = (name, value) => {
  try { return value === undefined ? localStorage.getItem(`minisearch.${name}`) : localStorage.setItem(`minisearch.${name}`, value); } catch { return null; }
};

const state = { query: "", similar: null, view: "", literal: false, k: PAGE, found: null, base: "", facets: { folders: [], extensions: [] }, status: null };
let token = "";
try { token = sessionStorage.getItem("minisearch.token") ?? ""; } catch { /* no storage */ }

// --- requests ------------------------------------------------------------------------------------------------

class Refused extends Error {}

/** The JSON of an answer; an Error with a message for readers otherwise. */
async function ask(path, body, signal) {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  let answer;
  try {
    answer = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body), signal } : { headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is minisearch serve still running?");
  }
  const found = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    if (answer.ok) throw new Error("The answer of the server was cut off.");
    return {};
  });
  if (answer.status === 401) { askForToken(Boolean(token)); throw new Refused("This server needs its token."); }
  if (!answer.ok) throw new Error(found.error?.message ?? `The server failed (status ${answer.status}).`);
  return found;
}

let running = null, timer = 0, evidenceTimer = 0;

/** Search after a short wait, so that fast typing makes few requests. */
function searchSoon() { clearTimeout(timer); timer = setTimeout(search, WAIT_MS); }

/** The request for what is typed and chosen; null if that is nothing. */
function request(evidence) {
  const common = { k: state.k, evidence, ...filters.values() };
  if (state.similar) return ["/v1/similar", { path: state.similar.path, line: state.similar.line, ...common }];
  return state.query.trim() ? ["/v1/search", { query: state.query, literal: state.literal, ...common }] : null;
}

/** Results at once, then once more with the sentences that answer. */
async function search() {
  clearTimeout(timer);
  clearTimeout(evidenceTimer);
  running?.abort();
  remember();
  if (state.view) return show();
  const quick = request(false);
  if (!quick) { running = null; state.found = null; state.k = PAGE; preview.close(); remember(); return show(); }
  const mine = running = new AbortController();
  const late = setTimeout(() => { $("progress").hidden = false; }, 150);
  try {
    state.found = await ask(...quick, mine.signal);
    show();
    await new Promise((done, fail) => {
      evidenceTimer = setTimeout(done, EVIDENCE_WAIT_MS);
      mine.signal.addEventListener("abort", () => fail(new DOMException("", "AbortError")));
    });
    state.found = await ask(...request(true), mine.signal);
    show({ isUpdate: true });
  } catch (error) {
    if (error.name !== "AbortError") showError(error);
  } finally {
    clearTimeout(late);
    if (running === mine) $("progress").hidden = true;
  }
}

// --- what is shown ---------------------------------------------------------------------------------------------

const on = {
  ask,
  get base() { return state.base; },
  editor: () => saved("editor") || "VS Code",
  open: (result) => openResult(result),
  close: () => closePreview(),
  similar: (result) => { state.view = ""; state.similar = { path: result.path, line: result.line, place: result.place }; state.k = PAGE; $("query").value = state.query = ""; closePreview(); search().then(() => $("results-heading").focus()); },
  exactly: (text) => { $("query").value = state.query = text; state.literal = true; search(); },
  search: (text) => { state.view = ""; $("query").value = state.query = text; search(); $("query").focus(); },
  folder: (one) => { filters.choose("paths", one.value); $("query").focus(); },
  view: (name) => { state.view = name; remember(); show(); $("start").querySelector("h2").focus(); },
  openPath: (path) => openResult({ path, title: "", heading: "", place: path, line: 1, text: "", chunk_id: null, merged: [], evidence: null }),
  copy: async (text, said) => {
    try { await navigator.clipboard.writeText(text); toast(said); } catch { toast("The browser did not allow copying."); }
  },
};
const preview = new PreviewPane($("preview"), on);
const filters = new Filters($("filters"), () => { state.k = PAGE; state.found || state.query || state.similar ? search() : remember(); }, () => { state.similar = null; search(); $("query").focus(); });

function show({ isUpdate = false } = {}) {
  const found = state.found;
  const list = $("results"), hadFocus = list.contains(document.activeElement) ? document.activeElement.closest(".result")?.dataset.chunk : null;
  const openWhys = new Set([...list.querySelectorAll(".result:has(.why)")].map((one) => one.dataset.chunk));
  filters.show(state);
  $("filters").hidden = Boolean(state.view);
  $("start").classList.toggle("is-view", Boolean(state.view));
  if (state.view) showView(state.view, $("start"), on);
  else $("start").replaceChildren(...(found || !state.status ? [] : startPage(state.status, state.facets, recent(), on)));
  $("notices").replaceChildren(...(found ? notices(found, on) : []));
  list.replaceChildren(...(found?.results ?? []).map((one) => resultItem(one, on)));
  for (const one of list.querySelectorAll(".excerpt")) {
    one.classList.toggle("is-cut", one.scrollHeight > one.clientHeight + 2);
    const mark = one.querySelector("mark"), below = mark ? mark.getBoundingClientRect().bottom - one.getBoundingClientRect().bottom : -99;
    if (below > -8) one.scrollTop += mark.getBoundingClientRect().top - one.getBoundingClientRect().top - 22; // the answer, with a line above
  }
  if (isUpdate) {
    for (const item of list.children) if (openWhys.has(item.dataset.chunk)) [...item.querySelectorAll(".action")].at(-1).click();
    if (hadFocus) item(hadFocus)?.querySelector("a").focus();
  } else $("list").scrollTop = 0;
  if (preview.result) markOpen();
  if (!found) { $("summary").textContent = ""; document.title = state.view ? `${VIEWS[state.view]} · minisearch` : "minisearch"; return; }
  const n = found.results.length;
  const among = found.n_matching != null ? ` in ${count(found.n_matching, "passage")} that match the filters` : "";
  $("summary").textContent = n ? `${n >= state.k ? `The best ${n}` : count(n, "result")}${among}` : "";
  if (!n) $("notices").prepend(h("p", { className: "notice" }, h("b", {}, "Nothing found"), among ? `${among}. ` : ". ", filters.isSet ? h("button", { type: "button", className: "link", onclick: () => filters.clear() }, "Search without filters") : "Try other words, or a question."));
  if (n >= state.k && n < 200) list.append(h("li", { className: "more" }, h("button", { type: "button", className: "button", onclick: () => { const last = list.children.length - 1; state.k += PAGE; search().then(() => $("results").children[last]?.querySelector("a")?.focus()); } }, "More results")));
  document.title = state.similar ? `Similar to ${state.similar.place} · minisearch` : `${state.query.trim()} · minisearch`;
}

function showError(error) {
  $("start").replaceChildren();
  $("results").replaceChildren();
  state.found = null;
  const again = error instanceof Refused ? [] : [" ", h("button", { type: "button", className: "link", onclick: search }, "Try again")];
  $("notices").replaceChildren(h("p", { className: "notice is-error", role: "alert" }, error.message, again));
  $("summary").textContent = "";
}

const item = (chunk) => document.querySelector(`.result[data-chunk="${CSS.escape(chunk)}"]`);

function openResult(result, options) {
  const fresh = state.found?.results.find((one) => one.chunk_id === result.chunk_id) ?? result;
  keepRecent();
  if (!history.state?.isReading) history.pushState({ isReading: true }, "");
  markOpen(fresh);
  return preview.open(fresh, options);
}

function markOpen(result = preview.result) {
  for (const one of document.querySelectorAll(".result")) one.classList.toggle("is-open", one.dataset.chunk === String(result?.chunk_id));
}

/** The browser's way back closes the document too. */
function closePreview() {
  if (!preview.result) return;
  if (history.state?.isReading) history.back();
  else leavePreview();
}

function leavePreview() {
  const chunk = String(preview.result.chunk_id);
  preview.close();
  markOpen();
  item(chunk)?.querySelector("a").focus();
}

let toastTimer = 0;
function toast(text) {
  $("toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").textContent = ""; }, 2500);
}

// --- the address, and recent queries ------------------------------------------------------------------------------

function remember() {
  const values = new URLSearchParams();
  if (state.query.trim()) values.set("q", state.query);
  if (state.view) values.set("view", state.view);
  if (state.similar) { values.set("similar", state.similar.path); values.set("line", state.similar.line); }
  filters.write(values);
  history.replaceState(preview.result ? history.state : null, "", values.size ? `#${values}` : location.pathname);
}

function recall() {
  const values = new URLSearchParams(location.hash.slice(1));
  state.query = values.get("q") ?? "";
  $("query").value = state.query;
  const path = values.get("similar"), line = Number(values.get("line")) || 1;
  state.view = values.get("view") in VIEWS ? values.get("view") : "";
  state.similar = path ? { path, line, place: `${path}:${line}` } : null;
  filters.read(values);
}

function recent() {
  try { return JSON.parse(saved("recent") ?? "[]").filter((one) => typeof one === "string").slice(0, MAX_RECENT); } catch { return []; }
}

function keepRecent() {
  const text = state.query.trim();
  if (text && !state.similar) saved("recent", JSON.stringify([text, ...recent().filter((one) => one !== text)].slice(0, MAX_RECENT)));
}

// --- dialogs ------------------------------------------------------------------------------------------------------

function setTheme(name) {
  const isDark = name === "dark" || (name !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
}

function showHelp() {
  const keys = [["/", "search"], ["↓ ↑", "next and previous result, also from the search field"], ["Enter", "read the result; in the search field, the first one"], ["Esc", "back: close the document, then to the search field"], ["o", "open in the editor"], ["y", "copy the citation"], ["s", "similar passages"], ["w", "why it was found"], ["?", "this help"]];
  const operators = [['"exact words"', "every result has this phrase"], ["-word", "no result has this word"], ["+idea", "moves the results towards an idea"], ["-idea^0.5", "moves them away from it"]];
  const rows = (all) => h("dl", {}, all.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]));
  const select = (id, label, options, value, change) => h("label", {}, label, h("select", { id, onchange: (event) => change(event.target.value) }, options.map(([name, text]) => h("option", { value: name, selected: name === value }, text))));
  $("help").replaceChildren(
    h("h2", { id: "help-heading" }, "Keys and settings"), rows(keys),
    h("h3", {}, "In a query"), rows(operators),
    h("h3", {}, "Settings"),
    h("div", { className: "row" },
      select("theme", "Colours", [["auto", "As the system"], ["light", "Light"], ["dark", "Dark"]], saved("theme") ?? "auto", (name) => { saved("theme", name); setTheme(name); }),
      select("editor", "Editor", Object.keys(EDITORS).map((name) => [name, name]), on.editor(), (name) => { saved("editor", name); if (preview.result) preview.open(preview.result, { focus: false }); })),
    h("div", { className: "end" }, h("button", { type: "button", className: "button", onclick: () => $("help").close() }, "Close")));
  $("help").showModal();
}

function askForToken(wasWrong) {
  if ($("token").open) return;
  const field = h("input", { type: "password", id: "token-field", autocomplete: "off", required: true });
  $("token").replaceChildren(h("form", { method: "dialog", onsubmit: () => {
    token = field.value.trim();
    try { sessionStorage.setItem("minisearch.token", token); } catch { /* only in this page */ }
    start();
  } },
    h("h2", { id: "token-heading" }, "This server needs its token"),
    h("p", {}, wasWrong ? "The token is not right. It is the one given to minisearch serve." : "It is the one given to minisearch serve with --token or MINISEARCH_TOKEN. It is kept until this tab is closed."),
    h("div", { className: "row" }, h("label", {}, "Token", field)),
    h("div", { className: "end" }, h("button", { className: "button is-main" }, "Continue"))));
  $("token").showModal();
}

// --- keys ---------------------------------------------------------------------------------------------------------

function step(by) {
  const links = [...document.querySelectorAll(".result h2 a")];
  if (!links.length) return;
  const current = document.activeElement.closest?.(".result")?.querySelector("h2 a") ?? (preview.result && item(String(preview.result.chunk_id))?.querySelector("h2 a"));
  const place = links.indexOf(current);
  if (place + by < 0) { $("query").focus(); $("list").scrollTop = 0; return; }
  const next = links[Math.min(place + by, links.length - 1)];
  next.focus({ preventScroll: preview.result && innerWidth < 1000 });
  if (preview.result) {
    const result = state.found.results[links.indexOf(next)];
    openResult(result, { focus: innerWidth < 1000 });
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  const field = event.target.closest("input, select, textarea"), isQuery = field === $("query");
  const inResults = Boolean(event.target.closest(".result, .preview"));
  const click = (selector) => { const scope = event.target.closest(".result"); (scope ?? $("preview")).querySelector(selector)?.click(); };
  const chosen = () => { const chunk = event.target.closest(".result")?.dataset.chunk; return state.found?.results.find((one) => String(one.chunk_id) === chunk) ?? preview.result; };
  const act = {
    ArrowDown: (isQuery || event.target.closest(".result") || event.target === document.body) && (() => step(1)),
    ArrowUp: event.target.closest(".result") && (() => step(-1)),
    Escape: () => { if (filters.closeMenus()) return; if (preview.result) closePreview(); else if (isQuery && $("query").value) { $("query").value = ""; typed(); } else { $("query").focus(); $("query").select(); } },
    "?": isQuery && !$("query").value && showHelp,
  }[event.key] || (!field && {
    "/": () => { $("query").focus(); $("query").select(); },
    "?": showHelp,
    j: () => step(1),
    k: () => step(-1),
    o: inResults && (async () => { if (preview.result !== chosen()) await openResult(chosen(), { focus: false }); $("open-editor")?.click(); }),
    y: inResults && (() => on.copy(citation(chosen()), "Citation copied")),
    s: inResults && (() => on.similar(chosen())),
    w: event.target.closest(".result") && (() => click("[aria-expanded]")),
  }[event.key]);
  if (!act) return;
  event.preventDefault();
  act();
});

function typed() {
  const text = $("query").value;
  if (text === state.query && !state.similar && !state.view) return;
  Object.assign(state, { query: text, similar: null, view: "", literal: false, k: PAGE });
  if (preview.result) preview.close();
  searchSoon();
}

$("query").addEventListener("input", typed);
$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  keepRecent();
  if ($("query").value !== state.query) typed();
  if (!state.found || state.found.query.text !== state.query.trim()) await search();
  if (state.found?.results.length) openResult(state.found.results[0]);
});
$("help-button").addEventListener("click", showHelp);
document.querySelector(".logo").addEventListener("click", (event) => { event.preventDefault(); filters.clear(true); on.search(""); });
addEventListener("popstate", (event) => { if (preview.result && !event.state?.isReading) leavePreview(); });
addEventListener("hashchange", () => { if (!preview.result) { recall(); search(); } });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(saved("theme")));

async function start() {
  try {
    [state.status, state.facets] = await Promise.all([ask("/v1/status"), ask("/v1/facets")]);
    state.base = state.facets.base;
    filters.facets = state.facets;
    if (request(false)) await search();
    else show();
  } catch (error) { showError(error); }
}

setTheme(saved("theme"));
recall();
start();
