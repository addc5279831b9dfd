// What is shown in place of results: the map of all documents, and copies.

import { h } from "./render.js";
import { count, shortened } from "./results.js";
import { drawMap } from "./map.js";

export const VIEWS = { map: "Map of all documents", copies: "Copies" };

/** Fill `root` with a view; `on` has ask, base and openPath. */
export async function showView(name, root, on) {
  const body = h("div", {}, h("p", { className: "summary", role: "status" }, "Comparing all documents; this can take some seconds."));
  root.replaceChildren(h("button", { type: "button", className: "link", onclick: () => on.search("") }, "Back to search"), h("h2", { tabindex: "-1" }, VIEWS[name]), body);
  try {
    if (name === "map") {
      const found = await on.ask("/v1/clusters");
      if (!body.isConnected) return;
      const map = h("div", { className: "map" });
      body.replaceChildren(h("p", {}, `${count(found.clusters.length, "cluster")} of documents about the same thing. Near points say similar things.`), map);
      drawMap(map, found, on.openPath);
    } else {
      const found = await on.ask("/v1/duplicates");
      if (body.isConnected) body.replaceChildren(...copies(found, on));
    }
  } catch (error) {
    if (body.isConnected) body.replaceChildren(h("p", { className: "notice is-error", role: "alert" }, error.message));
  }
}

const MAX_PARTS = 100;
const lines = (line, end) => (line === end ? `line ${line}` : `lines ${line}–${end}`);

function copies(found, on) {
  const name = (path) => h("button", { type: "button", className: "link", onclick: () => on.openPath(path) }, shortened(path, on.base));
  const groups = found.groups.map((group) => h("li", { className: "copies" },
    h("p", {}, h("b", {}, "Keep "), name(group.keep)),
    h("ul", {}, group.copies.map((one) => h("li", {}, name(one.other), ` has ${Math.round(one.share * 100)}% in common`, one.spans.length ? `, ${one.spans.slice(0, 3).map((span) => lines(span.other_line, span.other_end_line)).join(", ")}` : "")))));
  const parts = found.parts.slice(0, MAX_PARTS).map((one) => h("li", { className: "copies" },
    h("p", {}, name(one.path), " and ", name(one.other)),
    h("ul", {}, one.spans.slice(0, 5).map((span) => h("li", {}, `${lines(span.line, span.end_line)} and ${lines(span.other_line, span.other_end_line)}`)))));
  return [
    !groups.length && !parts.length && h("p", {}, "No document is a copy of another one."),
    groups.length && h("h3", {}, "Near copies"), groups.length && h("ol", { className: "results" }, groups),
    parts.length && h("h3", {}, "Shared parts"), parts.length && h("ol", { className: "results" }, parts),
    found.parts.length > MAX_PARTS && h("p", {}, `And ${found.parts.length - MAX_PARTS} more pairs: minisearch dups --json lists all.`),
  ].filter(Boolean);
}
