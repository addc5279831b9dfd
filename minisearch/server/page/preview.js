// The document beside the results: its passages with the evidence marked, or a page of a PDF as a picture.

import { h, withMark, prose, codeLines, plainBlocks, Writer } from "./render.js";
import { CODE, STATES, evidenceOf, shortened } from "./results.js";

const PROSE = new Set(["markdown", "rst", "notebook"]);
const inAddress = (file) => file.split("/").map(encodeURIComponent).join("/");
// How editors take a file and a line in an address.
export const EDITORS = {
  "VS Code": (file, line) => `vscode://file${inAddress(file)}:${line}`,
  Cursor: (file, line) => `cursor://file${inAddress(file)}:${line}`,
  VSCodium: (file, line) => `vscodium://file${inAddress(file)}:${line}`,
  Zed: (file, line) => `zed://file${inAddress(file)}:${line}`,
  JetBrains: (file, line) => `idea://open?file=${encodeURIComponent(file)}&line=${line}`,
  "Sublime Text": (file, line) => `subl://open?url=file://${encodeURIComponent(inAddress(file))}&line=${line}`,
  TextMate: (file, line) => `txmt://open?url=file://${encodeURIComponent(inAddress(file))}&line=${line}`,
  Obsidian: (file) => `obsidian://open?path=${encodeURIComponent(file)}`,
};
/** Whether a name is Unicode; one that is not cannot stand in an address. */
const isText = (name) => !/\p{Surrogate}/u.test(name);
const isLocal = /^(localhost|127\.0\.0\.1|\[::1\])$/.test(location.hostname);
const EXTRACTED = /\.(pdf|docx|docm|pptx|pptm|ppsx|xlsx|xlsm|epub|od[tps]|ot[tps]|rtf|msg|oft)$/i;

/** Fill the pane: what was found and the answers of the API go in; `on` has ask, close, similar, copy, base, editor. */
export class PreviewPane {
  constructor(pane, on) { Object.assign(this, { pane, on, result: null, view: "text" }); }

  close() {
    this.result = null;
    this.pane.hidden = true;
    this.pane.replaceChildren();
    this.pane.parentElement.classList.remove("has-preview");
  }

  async open(result, { focus = true } = {}) {
    this.result = result;
    this.pane.hidden = false;
    this.pane.parentElement.classList.add("has-preview");
    const body = h("div", { className: "body", tabindex: "0", role: "region", "aria-label": "Text of the document" }, [0, 1, 2, 3, 4, 5].map(() => h("div", { className: "skeleton" })));
    const tools = h("div", { className: "tools" });
    const name = h("h2", { className: "name", tabindex: "-1" }, result.title || shortened(result.path, this.on.base).split("/").at(-1));
    this.pane.replaceChildren(
      h("div", { className: "head" },
        h("div", { className: "names" }, name, h("p", { className: "path" }, shortened(result.place, this.on.base), result.file_state in STATES && h("span", { className: "state" }, ` · ${STATES[result.file_state]}`)), tools),
        h("button", { type: "button", className: "icon", "aria-label": "Close the document", onclick: this.on.close }, cross())),
      body);
    if (focus) name.focus({ preventScroll: true });
    try {
      const document_ = await this.on.ask("/v1/preview", { path: result.path, line: result.line, chunk_id: result.chunk_id });
      if (this.result !== result) return;
      this.tools(tools, document_, body);
      this.view = document_.has_pictures && result.page ? "page" : "text";
      await this.show(body, document_, this.page);
    } catch (error) {
      if (this.result === result) body.replaceChildren(h("p", { className: "notice is-error", role: "alert" }, error.message));
    }
  }

  get page() { return this.result.evidence?.page ?? this.result.page; }

  tools(tools, document_, body) {
    const line = this.result.evidence?.line ?? this.result.line;
    const button = (label, act, more = {}) => h("button", { type: "button", className: "action", onclick: act, ...more }, label);
    const address = isLocal && document_.file && isText(document_.file) && !EXTRACTED.test(document_.file) ? EDITORS[this.on.editor()]?.(document_.file, line) : null;
    tools.replaceChildren(...[
      address && h("a", { className: "action", id: "open-editor", href: address }, `Open in ${this.on.editor()}`),
      button("Copy citation", () => this.on.copy(citation(this.result), "Citation copied")),
      document_.file && button("Copy path", () => this.on.copy(document_.file, "Path copied")),
      button("Similar", () => this.on.similar(this.result)),
      document_.has_pictures && this.page && button(this.view === "page" ? "As text" : "As page", async (event) => {
        this.view = this.view === "page" ? "text" : "page";
        event.target.textContent = this.view === "page" ? "As text" : "As page";
        await this.show(body, document_, this.page);
      }),
    ].filter(Boolean));
    const toggle = [...tools.children].at(-1);
    if (document_.has_pictures && this.page) toggle.textContent = "As text";
  }

  async show(body, document_, page) {
    if (this.view === "page") await this.showPage(body, document_, page);
    else this.showText(body, document_);
  }

  showText(body, document_) {
    const isCode = CODE.has(document_.format), writer = new Writer();
    const root = h("div", { className: isCode ? "lines" : "prose" });
    if (document_.n_before) root.append(h("p", { className: "cut" }, `${document_.n_before.toLocaleString("en")} passages above`));
    let last = document_.parts[0]?.page;
    for (const run of joined(document_.parts, this.result)) {
      if (run.page !== last && run.page != null && document_.format !== "notebook") root.append(h("p", { className: "page-number" }, `${document_.has_pictures ? "Page" : "Part"} ${run.page}`));
      last = run.page;
      if (isCode) root.append(...codeLines(run.text, run.line, document_.language, writer));
      else if (PROSE.has(document_.format)) root.append(...prose(run.text, document_.format, writer));
      else root.append(...plainBlocks(run.text, writer));
    }
    if (document_.n_after) root.append(h("p", { className: "cut" }, `${document_.n_after.toLocaleString("en")} passages below`));
    body.replaceChildren(root);
    this.scrollTo(body, root.querySelector("mark, .is-hit"));
  }

  async showPage(body, document_, page) {
    const text = page === this.page ? this.result.evidence?.text ?? this.result.text : "";
    const width = Math.min(2400, Math.round(Math.max(body.clientWidth, 320) * (window.devicePixelRatio || 1)));
    const result = this.result;
    const drawn = await this.on.ask("/v1/picture", { path: document_.path, page, text, width });
    if (this.result !== result) return;
    const boxes = drawn.boxes.map(([x, y, w, d]) => {
      const box = h("i", { "aria-hidden": "true" });
      Object.assign(box.style, { left: `${x * 100}%`, top: `${y * 100}%`, width: `${w * 100}%`, height: `${d * 100}%` });
      return box;
    });
    const turn = (label, to) => h("button", { type: "button", className: "action", disabled: to < 1 || to > drawn.n_pages, onclick: () => this.showPage(body, document_, to) }, label);
    body.replaceChildren(
      h("div", { className: "pager" }, turn("Previous page", page - 1), h("span", { role: "status" }, `Page ${page} of ${drawn.n_pages}`), turn("Next page", page + 1)),
      h("div", { className: "sheet" }, h("img", { src: `data:image/png;base64,${drawn.png}`, width: drawn.width, height: drawn.height, alt: `Page ${page}` }), boxes));
    this.scrollTo(body, body.querySelector("i"));
  }

  scrollTo(body, element) {
    body.scrollTop = element ? Math.max(0, element.getBoundingClientRect().top - body.getBoundingClientRect().top + body.scrollTop - body.clientHeight / 3) : 0;
  }
}

/** The sentences that answer, or the passage, with their place. */
export function citation({ title, heading, place, evidence, text }) {
  const names = title && !heading.startsWith(title) ? [title, heading] : [heading];
  return `${(evidence?.text ?? text).trim()}\n— ${[...names.filter(Boolean), place].join(", ")}`;
}

/** The parts as runs of text with the mark in it, one for each page, as markup and tables go on from part to part. */
function joined(parts, result) {
  const runs = [];
  const [start, end] = evidenceOf(result);
  for (const part of parts) {
    const isHit = part.chunk_id === result.chunk_id;
    const offset = result.text.length - part.text.length; // what the passage before it ends with
    const text = isHit ? (result.evidence ? withMark(part.text, start - offset, end - offset) : withMark(part.text, 0, part.text.length)) : withMark(part.text, 0, 0);
    const last = runs.at(-1);
    if (last && last.page === part.page) {
      const missing = part.line - last.end_line;
      last.text += (part.gap.includes("\n") && missing > 0 ? "\n".repeat(Math.min(missing, 3)) : part.gap) + text;
      last.end_line = part.end_line;
    } else runs.push({ ...part, text });
  }
  return runs;
}

const cross = () => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", "m5 5 10 10M15 5 5 15");
  svg.append(path);
  return svg;
};
