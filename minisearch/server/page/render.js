// Elements from texts.  Text of documents only ever becomes text nodes: no HTML of theirs is read.

export const START = "\uE000", END = "\uE001"; // around the marked sentences
const SIGNS = /[\uE000\uE001]/g;

/** An element with properties, listeners (on...), attributes and children; null children are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name === "className" ? "class" : name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** A text with its characters start to end marked by signs; those of the text itself are removed. */
export function withMark(text, start, end) {
  const clean = (part) => part.replace(SIGNS, " ");
  if (start >= end || end <= 0 || start >= text.length) return clean(text);
  const [from, to] = [Math.max(start, 0), Math.min(end, text.length)];
  return clean(text.slice(0, from)) + START + clean(text.slice(from, to)) + END + clean(text.slice(to));
}

/** Python counts code points, JavaScript UTF-16 units: the position in units. */
export function unitsOf(text, points) {
  let units = 0;
  for (const character of text) {
    if (points-- <= 0) break;
    units += character.length;
  }
  return units;
}

/** Writes texts with signs into elements; a mark may begin in one element and end in another. */
export class Writer {
  isMarked = false;
  text(parent, text, make = (part) => part) {
    for (const part of text.split(/([\uE000\uE001])/)) {
      if (part === START) this.isMarked = true;
      else if (part === END) this.isMarked = false;
      else if (part) parent.append(this.isMarked ? h("mark", {}, make(part)) : make(part));
    }
  }
}

/** The text as it is, with its marked sentences in <mark>. */
export function plainText(text, className = "") {
  const element = h("p", { className });
  new Writer().text(element, text);
  return element;
}

// --- prose: Markdown and reStructuredText ----------------------------------------------------------------

const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/, RULE = /^\s*([-*_])(\s*\1){2,}\s*$/, FENCE = /^\s*(```+|~~~+)\s*(\S*)/;
const ITEM = /^(\s*)([-*+•]|\d{1,9}[.)]|#\.)\s+(.*)$/, UNDERLINE = /^([=\-~^"'`#*+.:_])\1{2,}\s*$/;
const DIRECTIVE = /^(\s*)\.\. ([\w:+-]+)::\s*(.*)$/, TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const bare = (line) => line.replace(SIGNS, "");
const signsOf = (line) => (line.match(SIGNS) || []).join("");

/** Prose in Markdown or reStructuredText; `writer` carries a mark from one part to the next. */
export function prose(text, format, writer = new Writer()) {
  const root = h("div");
  const lines = text.split(/\r?\n/);
  const isRst = format === "rst";
  let levels = "", n = 0;
  const inline = (parent, value) => writeInline(parent, value, writer, isRst);
  const block = (tag, value, properties) => { const one = h(tag, properties); inline(one, value); root.append(one); };
  const code = (rows, language) => {
    const inner = h("code");
    writeCode(inner, rows.join("\n"), writer, language);
    root.append(h("pre", { tabindex: "0" }, inner));
  };
  while (n < lines.length) {
    const line = lines[n], plain = bare(line), next = bare(lines[n + 1] ?? "");
    let found;
    if (!plain.trim()) { writer.text(root, signsOf(line)); n++; continue; }
    if (!isRst && (found = FENCE.exec(plain))) {
      const rows = [], fence = found[1];
      for (n++; n < lines.length && !bare(lines[n]).trim().startsWith(fence); n++) rows.push(lines[n]);
      writer.text(root, signsOf(line));
      code(rows, found[2]);
      writer.text(root, signsOf(lines[n++] ?? ""));
    } else if (!isRst && (found = HEADING.exec(plain))) {
      block(`h${Math.min(found[1].length + 2, 5)}`, within(line, found[2]));
      n++;
    } else if (UNDERLINE.test(next) && !ITEM.test(plain) && next.trim().length >= Math.min(3, plain.trim().length) && (isRst || /^[=-]+\s*$/.test(next))) {
      const sign = next[0];
      if (!levels.includes(sign)) levels += sign;
      block(`h${Math.min(levels.indexOf(sign) + 3, 5)}`, line.trim());
      writer.text(root, signsOf(lines[n + 1]));
      n += 2;
    } else if (isRst && UNDERLINE.test(plain) && bare(lines[n + 2] ?? "")[0] === plain[0]) { writer.text(root, signsOf(line)); n++;
    } else if (!isRst && RULE.test(plain)) { writer.text(root, signsOf(line)); root.append(h("hr")); n++;
    } else if (isRst && (found = DIRECTIVE.exec(plain)) && /^(code|code-block|sourcecode|parsed-literal)$/.test(found[2])) {
      const [rows, end] = indented(lines, n + 1, found[1].length);
      code(withoutOptions(rows), found[3]);
      n = end;
    } else if (!isRst && /^( {4}|\t)/.test(plain)) {
      const [rows, end] = indented(lines, n, 0);
      code(rows);
      n = end;
    } else if (!isRst && plain.includes("|") && TABLE_RULE.test(next) && next.includes("-")) {
      n = table(root, lines, n, inline);
    } else if ((found = rowsAt(lines, n))) {
      rowTable(root, found, inline);
      n = found.end;
    } else if ((found = ITEM.exec(plain))) {
      n = list(root, lines, n, inline);
    } else if (!isRst && /^\s*>/.test(plain)) {
      const rows = [];
      for (; n < lines.length && /^\s*>/.test(bare(lines[n])); n++) rows.push(lines[n].replace(/^([\uE000\uE001]*)\s*>\s?/, "$1"));
      block("blockquote", rows.join("\n"));
    } else if (isRst && /^\s*\.\. (_|\||index::|contents::|only::|highlight::)/.test(plain)) {
      const end = indented(lines, n + 1, plain.search(/\S/))[1];
      for (; n < end; n++) writer.text(root, signsOf(lines[n]));
    } else if (isRst && (found = DIRECTIVE.exec(plain))) {
      block("p", `${titled(found[2])}${found[2] in ADDED ? " " : ": "}` + within(line, found[3]), { className: "directive" });
      n++;
    } else {
      const rows = [];
      const ends = (one, after) => !one.trim() || (!isRst && (FENCE.test(one) || HEADING.test(one) || /^\s*>/.test(one))) || ITEM.test(one) || DIRECTIVE.test(one) || UNDERLINE.test(after);
      do rows.push(lines[n++].trimStart()); while (n < lines.length && !ends(bare(lines[n]), bare(lines[n + 1] ?? "")));
      const last = rows.length - 1;
      const hasCode = isRst && bare(rows[last]).trimEnd().endsWith("::");
      if (hasCode) rows[last] = rows[last].replace("::", ":");
      block("p", rows.map((row) => row.trimEnd() + (!isRst && /( {2}|\\)[\uE000\uE001]*$/.test(row) ? "\n" : " ")).join("").trimEnd());
      if (hasCode) {
        const [literal, end] = indented(lines, n, 0);
        if (literal.some((one) => bare(one).trim())) code(literal);
        n = end;
      }
    }
  }
  return [...root.childNodes];
}

const ADDED = { versionadded: "Added in", versionchanged: "Changed in", deprecated: "Deprecated since", seealso: "See also" };
const titled = (name) => ADDED[name] ?? name[0].toUpperCase() + name.slice(1).replace(/[-:]+/g, " ");
/** A part of a line with all signs of the line: those before the part come first, those after it last. */
function within(line, part) {
  const start = bare(line).indexOf(part);
  let found = "", n = 0;
  for (const unit of line.split("")) {
    if (unit === START || unit === END) found += unit;
    else if (n++ >= start && n <= start + part.length) found += unit;
  }
  return found;
}

function indented(lines, n, least) {
  const rows = [];
  for (; n < lines.length; n++) {
    const plain = bare(lines[n]);
    if (plain.trim() && plain.search(/\S/) <= least) break;
    rows.push(lines[n]);
  }
  const after = n;
  while (rows.length && !bare(rows.at(-1)).trim() && !signsOf(rows.at(-1))) rows.pop();
  while (rows.length && !bare(rows[0]).trim() && !signsOf(rows[0])) rows.shift();
  const filled = rows.filter((row) => bare(row).trim());
  const margin = Math.min(...filled.map((row) => bare(row).search(/\S/)));
  return [rows.map((row) => row.replace(new RegExp(`^([\\uE000\\uE001]*)\\s{0,${filled.length ? margin : 0}}`), "$1")), after];
}
const withoutOptions = (rows) => rows.slice(rows.findIndex((row) => !/^:[\w-]+:/.test(bare(row))));

function list(root, lines, n, inline) {
  const isOrdered = /^\s*\d/.test(bare(lines[n]));
  const top = h(isOrdered ? "ol" : "ul", isOrdered ? { start: bare(lines[n]).match(/\d+/)[0] } : {});
  const open = [{ indent: ITEM.exec(bare(lines[n]))[1].length, element: top }];
  let blank = false;
  for (; n < lines.length; n++) {
    const plain = bare(lines[n]), found = ITEM.exec(plain);
    if (!plain.trim()) { blank = true; continue; }
    if (!found) {
      const item = open.at(-1).element.lastElementChild;
      if (plain.search(/\S/) <= open[0].indent && blank) break;
      item.append(" ");
      inline(item, lines[n].trim());
      blank = false;
      continue;
    }
    const indent = found[1].length;
    while (open.length > 1 && indent < open.at(-1).indent) open.pop();
    if (indent < open[0].indent) break;
    if (indent > open.at(-1).indent + 1) {
      const inner = h(/\d/.test(found[2]) ? "ol" : "ul");
      (open.at(-1).element.lastElementChild ?? open.at(-1).element).append(inner);
      open.push({ indent, element: inner });
    }
    const item = h("li");
    inline(item, within(lines[n], found[3]));
    open.at(-1).element.append(item);
    blank = false;
  }
  root.append(top);
  return n;
}

function table(root, lines, n, inline) {
  const cells = (line) => line.trim().replace(/^([\uE000\uE001]*)\|/, "$1").replace(/\|([\uE000\uE001]*)$/, "$1").split(/(?<!\\)\|/).map((cell) => cell.trim());
  const row = (line, tag) => h("tr", {}, cells(line).map((cell) => { const one = h(tag); inline(one, cell); return one; }));
  const body = h("tbody");
  const head = h("thead", {}, row(lines[n], "th"));
  for (n += 2; n < lines.length && bare(lines[n]).includes("|"); n++) body.append(row(lines[n], "td"));
  root.append(h("div", { className: "table", tabindex: "0" }, h("table", {}, head, body)));
  return n;
}

// --- rows of tables: each names its columns, as "name: bread; price: 3" ------------------------------------

const CELL = /^([\uE000\uE001]*)([^:;]{1,60}): (.*)$/s;

/** The cells of a row by column; null for any other line. */
function cellsOf(line) {
  const cells = new Map();
  let last = null;
  for (const piece of line.trim().split("; ")) {
    const found = CELL.exec(piece), name = found && bare(found[2]);
    if (found && !cells.has(name)) { cells.set(name, found[1] + signsOf(found[2]) + found[3]); last = name; }
    else if (last) cells.set(last, `${cells.get(last)}; ${piece}`);
    else return null;
  }
  return cells.size > 1 ? cells : null;
}

/** The rows that begin at line n, if there are at least two, or one below the names of its columns. */
function rowsAt(lines, n) {
  const start = n, names = bare(lines[n]).trim();
  let cells = cellsOf(lines[n]);
  const hasHead = !cells && names.includes("; ") && n + 1 < lines.length;
  const next = () => { n += bare(lines[n + 1] ?? "").trim() ? 1 : 2; return cellsOf(lines[n] ?? ""); }; // rows may have a blank line between them
  if (hasHead) cells = next();
  if (!cells || (hasHead && [...cells.keys()].some((name) => !names.split("; ").includes(name)))) return null;
  const first = [...cells.keys()][0], rows = [];
  let end = n;
  for (; cells && (cells.has(first) || hasHead); cells = next()) { rows.push(cells); end = n + 1; }
  if (rows.length < (hasHead ? 1 : 2)) return null;
  const columns = hasHead ? names.split("; ") : [...new Set(rows.flatMap((row) => [...row.keys()]))];
  return columns.length > 40 ? null : { rows, columns, end, signs: hasHead ? signsOf(lines[start]) : "" };
}

function rowTable(root, { rows, columns, signs }, inline) {
  const cell = (value) => { const one = h("td"); inline(one, value ?? ""); return one; };
  inline(root, signs);
  root.append(h("div", { className: "table", tabindex: "0" }, h("table", {},
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", {}, name)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((name) => cell(row.get(name)))))))));
}

/** A text without markup: its paragraphs and rows. */
export function plainBlocks(text, writer) {
  const root = h("div"), lines = text.split("\n");
  const inline = (parent, value) => writer.text(parent, value);
  let rest = [];
  const finish = () => { if (bare(rest.join("")).trim()) { const p = h("p"); writer.text(p, rest.join("\n")); root.append(p); } else writer.text(root, signsOf(rest.join(""))); rest = []; };
  for (let n = 0; n < lines.length;) {
    const found = bare(lines[n]).trim() && rowsAt(lines, n);
    if (found || !bare(lines[n]).trim()) { if (!found) rest.push(signsOf(lines[n])); finish(); }
    if (found) { rowTable(root, found, inline); n = found.end; } else rest.push(bare(lines[n]).trim() ? lines[n] : ""), n++;
  }
  finish();
  return [...root.childNodes];
}

// Code, strong, emphasis, images, links, wiki links, addresses.
const INLINE = /(`+)([^`]+?)\1(?!`)|\*\*(?=\S)(.+?)\*\*|(?<![\w*])\*(?=[^\s*])([^*\n]+?)\*(?!\w)|(?<!\w)_(?=\S)([^_\n]+?)_(?!\w)|(!?)\[([^\][]*)\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+"[^"]*")?\)|(!?)\[\[([^\][]+)\]\]|(https?:\/\/[^\s<>()"'`\uE000\uE001]+[^\s<>()"'`.,;:!?\uE000\uE001])|:[\w:+-]+:`([^`]+)`/;
const RST_ROLE = /^([^<]*?)\s*<[^>]*>$/;

function writeInline(parent, text, writer, isRst) {
  let found;
  while ((found = (isRst ? /:[\w:+-]+:`([^`]+)`|`([^`<]+?)\s*<([^>`]+)>`__?|``([^`]+)``|\*\*(?=\S)(.+?)\*\*|\*(?=[^\s*])([^*\n]+?)\*/ : INLINE).exec(text))) {
    writer.text(parent, text.slice(0, found.index));
    text = text.slice(found.index + found[0].length);
    if (isRst) {
      const [, role, label, target, literal, strong, soft] = found;
      if (role) element(parent, RST_ROLE.test(role) ? "span" : "code", role.replace(RST_ROLE, "$1"), writer);
      else if (label) link(parent, label, target, writer, isRst);
      else element(parent, literal ? "code" : strong ? "strong" : "em", literal ?? strong ?? soft, writer);
      continue;
    }
    const [, , literal, strong, em, under, bang, label, target, embeds, wiki, address] = found;
    if (literal != null) element(parent, "code", literal, writer);
    else if (strong ?? em ?? under) { const one = h(strong ? "strong" : "em"); writeInline(one, strong ?? em ?? under, writer, isRst); parent.append(one); }
    else if (bang) element(parent, "span", label ? `Picture: ${label}` : "Picture", writer, "image");
    else if (target != null) link(parent, label || target, target, writer, isRst);
    else if (wiki) element(parent, "span", wiki.split("|").at(-1), writer, embeds ? "image" : "");
    else if (address) link(parent, address, address, writer, isRst);
  }
  writer.text(parent, text);
}

function element(parent, tag, text, writer, className = "") {
  const one = h(tag, className ? { className } : {});
  writer.text(one, text);
  parent.append(one);
}

/** A link to another host opens in a new tab; any other target is only its text. */
function link(parent, label, target, writer, isRst) {
  const isSafe = /^(https?:\/\/|mailto:)/i.test(bare(target));
  const one = isSafe ? h("a", { href: bare(target), target: "_blank", rel: "noopener noreferrer" }) : h("span");
  if (label === target) writer.text(one, label); else writeInline(one, label, writer, isRst);
  writer.text(one, target === label ? "" : signsOf(target));
  parent.append(one);
}

// --- code --------------------------------------------------------------------------------------------------

const WORDS = new Set("abstract and as assert async await break case catch class const continue def default del do elif else enum except export extends false final finally fn for from func function global if impl import in interface is lambda let match mod mut namespace new nil none nonlocal not null or package pass private protected pub public raise return self static struct super switch this throw trait true try type typedef undefined union unless until use using var void when where while with yield end begin then fi done esac select insert update delete create table".split(" "));
const HASH = new Set("python shell ruby perl yaml toml ini r powershell terraform dockerfile make bash sh yml py".split(" "));
const TOKEN = (language) => new RegExp(
  `(${HASH.has(language) ? "#[^\\n]*" : language === "sql" || language === "lua" ? "--[^\\n]*" : "\\/\\/[^\\n]*|\\/\\*[\\s\\S]*?(?:\\*\\/|$)"})` +
  `|("""[\\s\\S]*?(?:"""|$)|"(?:\\\\.|[^"\\\\\\n])*"?|'(?:\\\\.|[^'\\\\\\n])*'?)|(\\b\\d[\\w.]*)|([A-Za-z_][\\w]*)`, "g");

/** Code with its comments, strings, numbers and keywords in colour. */
export function writeCode(parent, text, writer, language = "") {
  let end = 0;
  const coloured = (name) => (part) => (name ? h("span", { className: name }, part) : part);
  for (const found of text.matchAll(TOKEN(language.toLowerCase()))) {
    const [token, comment, string, number, word] = found;
    const name = comment ? "c" : string ? "s" : number ? "d" : WORDS.has(bare(word).toLowerCase()) ? "k" : "";
    if (!name) continue;
    writer.text(parent, text.slice(end, found.index));
    writer.text(parent, token, coloured(name));
    end = found.index + token.length;
  }
  writer.text(parent, text.slice(end));
}

/** Rows of code with the numbers of their lines. */
export function codeLines(text, first, language, writer) {
  const whole = h("div");
  writeCode(whole, text, writer, language);
  const rows = [];
  let row = h("code"), n = first;
  const finish = () => { rows.push(h("div", { "data-line": String(n++), className: row.querySelector("mark") ? "is-hit" : null }, row)); row = h("code"); };
  const add = (node, wrap) => {
    if (node.nodeType === Node.TEXT_NODE) {
      node.data.split("\n").forEach((piece, place) => {
        if (place) finish();
        if (piece) row.append(wrap(document.createTextNode(piece)));
      });
    } else for (const child of [...node.childNodes]) add(child, (inner) => { const copy = node.cloneNode(false); copy.append(inner); return wrap(copy); });
  };
  for (const node of [...whole.childNodes]) add(node, (inner) => inner);
  finish();
  return rows;
}
