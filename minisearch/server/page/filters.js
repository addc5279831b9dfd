// The filters below the search field: folders, kinds of files and dates, as menus of native controls.

import { h } from "./render.js";

const AGES = [["", "Any time"], ["7", "Last 7 days"], ["31", "Last month"], ["365", "Last year"]];
const daysAgo = (days) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);

export class Filters {
  facets = { folders: [], extensions: [] };
  chosen = { paths: [], extensions: [], age: "", since: "", before: "" };

  /** `changed` is called after each choice, `leave` to end a search for similar passages. */
  constructor(root, changed, leave) {
    Object.assign(this, { root, changed, leave });
    document.addEventListener("click", (event) => this.closeMenus(event.target.closest?.(".menu")));
  }

  get isSet() { return Object.values(this.chosen).some((value) => value.length); }

  /** What the API takes. */
  values() {
    const { paths, extensions, age, since, before } = this.chosen, found = {};
    if (paths.length) found.paths = paths;
    if (extensions.length) found.extensions = extensions;
    if (age || since) found.since = age ? daysAgo(Number(age)) : since;
    if (before) found.before = before;
    return found;
  }

  write(values) {
    for (const [name, value] of Object.entries(this.chosen)) for (const one of [value].flat()) if (one) values.append(name, one);
  }

  read(values) {
    const date = (name) => (/^\d{4}-\d\d-\d\d$/.test(values.get(name) ?? "") ? values.get(name) : "");
    this.chosen = { paths: values.getAll("paths"), extensions: values.getAll("extensions"), age: AGES.some(([days]) => days === values.get("age")) ? values.get("age") : "", since: date("since"), before: date("before") };
  }

  choose(name, value) {
    const now = this.chosen[name];
    this.chosen[name] = now.includes(value) ? now.filter((one) => one !== value) : [...now, value];
    this.update();
  }

  clear(isQuiet = false) {
    this.chosen = { paths: [], extensions: [], age: "", since: "", before: "" };
    this.update(isQuiet);
  }

  update(isQuiet = false) {
    this.show(this.state);
    if (!isQuiet) this.changed();
  }

  /** Close all menus but one; whether any was open. */
  closeMenus(but = null) {
    const open = [...this.root.querySelectorAll("details[open]")].filter((one) => one !== but);
    for (const one of open) {
      if (one.contains(document.activeElement)) one.querySelector("summary").focus();
      one.open = false;
    }
    return open.length > 0;
  }

  show(state = { similar: null }) {
    this.state = state;
    const opened = this.root.querySelector("details[open]")?.dataset.name, focused = this.root.contains(document.activeElement) ? document.activeElement.id : "";
    const { paths, extensions, age, since, before } = this.chosen;
    const nameOf = (path) => this.facets.folders.find((one) => one.value === path)?.name ?? path;
    const several = (label, all) => (all.length ? (all.length > 1 ? `${all[0]} and ${all.length - 1} more` : all[0]) : label);
    const date = age ? AGES.find(([days]) => days === age)[1] : since && before ? `${since} to ${before}` : since ? `Since ${since}` : before ? `Before ${before}` : "Any time";
    this.root.hidden = false;
    this.root.replaceChildren(...[
      state.similar && h("button", { type: "button", className: "chip is-set", id: "leave", "aria-label": `Similar to ${state.similar.place}: end`, onclick: this.leave }, h("span", {}, `Similar to ${state.similar.place.split("/").at(-1)}`), " ×"),
      this.facets.folders.length && this.menu("paths", several("All folders", paths.map(nameOf)), paths.length, this.checks("paths", "Folders", this.facets.folders)),
      this.facets.extensions.length > 1 && this.menu("extensions", several("All types", extensions), extensions.length, this.checks("extensions", "Types of files", this.facets.extensions)),
      this.menu("date", date, age || since || before, this.dates()),
      this.isSet && h("button", { type: "button", className: "chip", id: "clear", onclick: () => { this.clear(); this.root.querySelector("summary")?.focus(); } }, "Clear filters"),
    ].filter(Boolean));
    if (opened) { const menu = this.root.querySelector(`[data-name="${opened}"]`); if (menu) menu.open = true; }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  menu(name, label, isSet, ...content) {
    return h("details", { className: isSet ? "menu is-set" : "menu", "data-name": name }, h("summary", { id: `menu-${name}` }, label), h("div", { className: "panel" }, content));
  }

  checks(name, legend, counts) {
    return h("fieldset", {}, h("legend", {}, legend), counts.map((one, n) => h("label", {},
      h("input", { type: "checkbox", id: `${name}-${n}`, checked: this.chosen[name].includes(one.value), onchange: () => this.choose(name, one.value) }),
      h("span", {}, one.name), h("span", { className: "n" }, one.n.toLocaleString("en")))));
  }

  dates() {
    const set = (values) => { Object.assign(this.chosen, values); this.update(); };
    const radios = AGES.map(([days, label], n) => h("label", {}, h("input", { type: "radio", name: "age", id: `age-${n}`, value: days, checked: this.chosen.age === days && !(days === "" && (this.chosen.since || this.chosen.before)), onchange: () => set({ age: days, since: "", before: "" }) }), h("span", {}, label)));
    const field = (name, label) => h("label", {}, label, h("input", { type: "date", id: name, value: this.chosen[name], onchange: (event) => set({ [name]: event.target.value, age: "" }) }));
    return [h("fieldset", {}, h("legend", {}, "Files changed"), radios), h("div", { className: "dates" }, field("since", "From"), field("before", "Before"))];
  }
}
