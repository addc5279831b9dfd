// The list of results, its notices, and the start page.

import { h, unitsOf, withMark, plainText, plainBlocks, prose, Writer } from "./render.js";

const CODE = new Set(["code", "json", "jsonl"]);
const STATES = { changed: "changed since it was indexed", deleted: "no longer exists" };
const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
const suffixOf = (path) => (/\.(\w{1,8})$/.exec(path)?.[1] ?? "").toLowerCase();
const MARKUP = { md: "markdown", markdown: "markdown", mdx: "markdown", qmd: "markdown", rmd: "markdown", rst: "rst" };
const SOURCE = /^(c|h|cc|cpp|cxx|hh|hpp|cs|css|go|java|cjs|js|jsx|mjs|kt|lua|pl|php|ps1|py|pyi|r|rb|rs|scala|bash|sh|zsh|sql|swift|tf|toml|cts|mts|ts|tsx|xml|yaml|yml|json|jsonl|ini|cfg|conf)$/;

export { count, CODE, STATES };

/** A path without the folder that all files share. */
export const shortened = (path, base) => (base && path.startsWith(base) ? path.slice(base.length) : path);

const MARKED_FROM = 0.2; // the relevance of a result whose sentences are marked, as in the terminal

/** The place of the evidence in JavaScript's units. */
export function evidenceOf(result) {
  if (!result.evidence) return [0, 0];
  return [unitsOf(result.text, result.evidence.start), unitsOf(result.text, result.evidence.end)];
}

const LEAD = 160; // units of an excerpt before the marked sentences

function excerpt(result) {
  const [start, end] = evidenceOf(result);
  let from = 0;
  if (start > LEAD) {
    const space = result.text.slice(0, start - LEAD / 2).search(/\s\S*$/);
    from = Math.max(space + 1, start - LEAD);
    const line = result.text.lastIndexOf("\n", start - 1) + 1;
    if (start - line < LEAD) from = line;
  }
  const isMarked = (result.relevance ?? 1) >= MARKED_FROM;
  const text = withMark(result.text.slice(from, from + 900), isMarked ? start - from : 0, isMarked ? end - from : 0);
  const suffix = suffixOf(result.path);
  if (SOURCE.test(suffix)) return plainText((from ? "… " : "") + text, "excerpt is-code");
  if (MARKUP[suffix]) {
    const shown = prose(text, MARKUP[suffix]);
    const isRepeated = /^H[3-5]$/.test(shown[0]?.nodeName) && result.heading.endsWith(shown[0].textContent) && !shown[0].querySelector("mark");
    return h("div", { className: "excerpt" }, isRepeated ? shown.slice(1) : shown);
  }
  return h("div", { className: "excerpt" }, plainBlocks(text, new Writer()));
}

const percent = (share) => `${Math.round(share * 100)}%`;

function why(result) {
  const trace = result.trace, rows = [];
  const row = (name, value) => rows.push(h("dt", {}, name), h("dd", {}, value));
  if (trace.cosine != null) row("By meaning", `${trace.dense_rank ? `rank ${trace.dense_rank}, ` : ""}cosine ${trace.cosine.toFixed(2)}`);
  if (trace.lexical_rank != null) row("By words", `rank ${trace.lexical_rank}${trace.words != null ? `, with ${percent(trace.words)} of the query's words by weight` : ""}`);
  else if (trace.cosine != null && trace.fused != null) row("By words", "not found");
  if (trace.exact) row("Exact", trace.exact === 1 ? "it has the rare words or the name of the query" : `it has a rare word of the query (${percent(trace.exact)})`);
  if (trace.rerank != null) row("Reranked", `from rank ${trace.rank_before_rerank}, score ${trace.rerank.toFixed(2)}`);
  if (trace.fused != null) row("Together", trace.fused.toFixed(3));
  const sure = result.relevance == null ? "" : result.relevance >= 0.5 ? "It probably answers the query." : "It may not answer the query.";
  return h("div", { className: "why" }, sure && h("p", {}, `${sure} Relevance ${result.relevance.toFixed(2)}, from 0 to 1.`), h("dl", {}, rows));
}

/** One result; `on` has open, similar and base. */
export function resultItem(result, on) {
  const heading = result.heading && result.title && result.heading.startsWith(`${result.title} > `) ? result.heading.slice(result.title.length + 3) : result.heading;
  const name = shortened(result.path, on.base).split("/").at(-1);
  const title = result.title || heading || name;
  const crumbs = heading && heading !== title ? ` › ${heading.replaceAll(" > ", " › ")}` : "";
  const whyButton = h("button", { type: "button", className: "action", "aria-expanded": "false" }, "Why");
  const actions = h("div", { className: "actions" },
    h("button", { type: "button", className: "action", "aria-label": `Similar to ${title}`, onclick: () => on.similar(result) }, "Similar"), whyButton);
  const item = h("li", { className: "result", "data-chunk": String(result.chunk_id) },
    h("h2", {}, h("a", { href: "#", onclick: (event) => { event.preventDefault(); on.open(result); } }, title, crumbs && h("span", { className: "crumbs" }, crumbs))),
    h("p", { className: "where" }, suffixOf(result.path) && h("span", { className: "kind", "aria-hidden": "true" }, suffixOf(result.path)),
      h("span", {}, shortened(result.place, on.base)), result.file_state in STATES && h("span", { className: "state" }, STATES[result.file_state])),
    excerpt(result));
  const others = result.merged.filter((place, n, all) => all.findIndex((one) => one.path === place.path) === n && place.path !== result.path);
  if (others.length) item.append(h("p", { className: "also" }, `Also in ${others.slice(0, 3).map((one) => shortened(one.path, on.base)).join(", ")}${others.length > 3 ? ` and ${others.length - 3} more` : ""}`));
  item.append(actions);
  whyButton.addEventListener("click", () => {
    const shown = item.querySelector(".why");
    whyButton.setAttribute("aria-expanded", String(!shown));
    if (shown) shown.remove(); else item.append(why(result));
  });
  return item;
}

/** What is said above the results: corrections, unknown words, and that there is no clear answer. */
export function notices(found, on) {
  const boxes = [];
  const box = (kind, ...parts) => boxes.push(h("p", { className: `notice ${kind}` }, parts));
  if (found.typed) box("", "Showing results for ", h("b", {}, found.query.text), ". ", h("button", { type: "button", className: "link", onclick: () => on.exactly(found.typed) }, `Search for “${found.typed}” as typed`));
  if (found.results.length && found.is_confident === false) box("is-warning", h("b", {}, "No clear answer."), " These are the nearest passages; they may be about something else.");
  if (found.unknown_words.length) box("", "In no passage: ", h("b", {}, found.unknown_words.join(", ")), ".");
  if (found.query.excluded.length) box("", "Without: ", h("b", {}, found.query.excluded.join(", ")), ".");
  return boxes;
}

/** The page before anything is searched. */
export function startPage(status, facets, recent, on) {
  const chips = (items) => h("ul", {}, items.map(([label, act]) => h("li", {}, h("button", { type: "button", className: "chip", onclick: act }, h("span", {}, label)))));
  const parts = [];
  if (!status.n_documents) {
    parts.push(h("h2", {}, "Nothing is indexed yet"), h("p", {}, "In a terminal: ", h("code", {}, "minisearch index FOLDER")));
    return parts;
  }
  parts.push(h("h2", {}, "What are you looking for?"), h("p", {}, `Ask a question or describe what you need: ${count(status.n_documents, "document")}, ${count(status.n_chunks, "passage")}.`));
  if (recent.length) parts.push(h("h3", {}, "Recent"), chips(recent.map((text) => [text, () => on.search(text)])));
  if (facets.folders.length) parts.push(h("h3", {}, "Search within a folder"), chips(facets.folders.slice(0, 8).map((one) => [`${one.name} · ${one.n.toLocaleString("en")}`, () => on.folder(one)])));
  parts.push(h("h3", {}, "See what is there"), chips([["Map of all documents", () => on.view("map")], ["Copies", () => on.view("copies")]]));
  const run = status.last_run;
  const said = { running: "Files are being indexed now.", interrupted: "The last indexing run was interrupted: some files may be missing.", failed: "The last indexing run failed: some files may be missing." }[run?.outcome];
  if (said) parts.unshift(h("p", { className: "notice is-warning" }, said));
  return parts;
}
