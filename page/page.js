// The page: what it shows follows the address after its #. All that is shown is text.

import { OF_DIGEST, Refused, ask, attached, exists, image, measure, names, text } from "./registry.js";

const ROWS = 25;
const MOST_NAMES = 10;
const ADDRESS = /^#\/([a-z0-9._/-]+)(?:(:|@)([\w.:+=-]+))?$/;
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const WHY = {
  401: "The login is not valid any more: load the page again.",
  403: "This login may not pull that.",
  404: "The registry has no such repository, tag or digest.",
};

const at = (id) => document.getElementById(id);
const order = new Intl.Collator("en", { numeric: true });
const count = new Intl.NumberFormat();
let view = new AbortController();
let pull = [];
let look = null;
let findings = null;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// A tag may be called "constructor".
const own = (object, key) => (object && Object.hasOwn(object, key) ? object[key] : undefined);

const link = (address, shown) => make("a", { href: `#/${address}` }, shown);

function size(bytes) {
  if (bytes === undefined) return "";
  const unit = Math.min(4, Math.floor(Math.log2(bytes || 1) / 10));
  return `${(bytes / 1024 ** unit).toFixed(unit ? 1 : 0)}\u00a0${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

function time(when) {
  const date = new Date(when);
  if (Number.isNaN(date.getTime())) return "";
  const shown = date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return make("time", { datetime: date.toISOString() }, shown);
}

// With roles, as small screens show a table as blocks, which are no table to screen readers.
function table(caption, heads, rows) {
  const cell = (content, column) => column
    ? make("td", { role: "cell", "data-label": heads[column] }, content)
    : make("th", { role: "rowheader", scope: "row" }, content);
  const head = make("tr", { role: "row" }, ...heads.map((x) => make("th", { role: "columnheader", scope: "col" }, x)));
  const body = rows.map((row) => make("tr", { role: "row" }, ...row.map(cell)));
  return make("table", { role: "table", "aria-label": caption },
    make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...body));
}

function facts(pairs) {
  const shown = pairs.filter(([, value]) => value);
  return make("dl", {}, ...shown.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function command(shown) {
  const button = make("button", { type: "button", "aria-label": `Copy ${shown}` }, "Copy");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(shown);
    at("status").textContent = `Copied: ${shown}`;
  });
  return make("div", { class: "command" }, make("code", {}, shown), navigator.clipboard ? button : "");
}

// A list with a search and pages. `show` returns what stands for some items, and `last` what comes
// when nothing is found.
function browse(what, items, show, last = () => "") {
  const found = make("div");
  const search = make("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false" });
  const back = make("button", { type: "button" }, "Previous page");
  const on = make("button", { type: "button" }, "Next page");
  const pages = make("nav", { class: "pages", "aria-label": "Pages" }, back, on);
  let start = 0, timer = 0;
  const render = () => {
    const wanted = search.value.trim().toLowerCase();
    const matching = items.filter((x) => x.toLowerCase().includes(wanted));
    const page = matching.slice(start, start + ROWS);
    back.disabled = start === 0;
    on.disabled = start + ROWS >= matching.length;
    pages.hidden = matching.length <= ROWS;
    const range = page.length ? `${count.format(start + 1)} to ${count.format(start + page.length)} of ` : "";
    at("status").textContent = `${range}${count.format(matching.length)} ${what}`;
    found.replaceChildren(page.length ? show(page) : "", last(wanted));
  };
  const turn = (by) => { start += by; render(); at("title").focus(); };
  back.addEventListener("click", () => turn(-ROWS));
  on.addEventListener("click", () => turn(ROWS));
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => { start = 0; render(); }, 150);
  });
  render();
  return [make("label", { for: "search" }, `Search ${what}`), search, found, pages];
}

function usage() {
  if (!look?.chart) return [];
  const src = `data:image/svg+xml,${encodeURIComponent(look.chart)}`;
  const chart = make("img", { alt: "Chart of bytes by repository, a bar for each day", src });
  const caches = Object.entries(look.caches).map(([name, bytes]) => [`Cache ${name}`, size(bytes)]);
  return [make("h2", {}, "Storage"), facts([
    ["All", size(look.total)], ["Shared by repositories", size(look.shared)],
    ["Needed by nothing", size(look.unneeded)], ...caches,
  ]), chart];
}

async function repositories(signal) {
  const everything = pull.includes("*");
  const known = new Map((look?.repositories ?? []).map(([name, ...more]) => [name, more]));
  const listed = everything
    ? await names("/v2/_catalog", "repositories", signal) : pull.filter((x) => !x.endsWith("*"));
  const all = [...new Set([...listed, ...known.keys()])].sort(order.compare);
  const heads = ["Repository", "Tags", "Size", ...(look?.own ? ["Not shared"] : [])];
  const show = (page) => table("Repositories", heads, page.map((name) => {
    const [tags, bytes] = known.get(name) ?? [];
    const cells = [link(name, name), tags === undefined ? "" : count.format(tags), size(bytes)];
    return [...cells, size(own(look?.own, name))].slice(0, heads.length);
  }));
  const other = (name) =>
    !everything && NAME.test(name) && !all.includes(name) ? make("p", {}, "Open ", link(name, name)) : "";
  const note = everything ? "" : `This login may pull: ${pull.join(", ")}. A repository that is newer than the `
    + "maintenance's look is not listed; write its name into the search.";
  return [...browse("repositories", all, show, other), make("p", { class: "note" }, note), ...usage()];
}

function pushed(repository, tag, digest) {
  const [when, start, bytes] = own(own(look?.pushed, repository), tag) ?? [];
  return start && digest.split(":")[1]?.startsWith(start) ? { when: time(when * 1000), bytes } : {};
}

const LEVELS = ["critical", "high", "medium", "low", "unknown"];

// What the last scan has found in an image; in one of those of an index.
function vulnerabilities(digest) {
  const scanned = own(findings?.images, digest);
  if (!scanned?.counts) return scanned?.failed ? "could not be scanned" : "";
  const counts = LEVELS.map((level, i) => [scanned.counts[i][0], level]).filter(([found]) => found);
  return counts.map(([found, level]) => `${count.format(found)} ${level}`).join(", ") || "none known";
}

function worst(digest) {
  const scanned = own(findings?.images, digest);
  if (!scanned) return [];
  const rows = (scanned.worst ?? []).map(([level, id, ...more]) => [id, level, ...more]);
  return [make("h2", {}, "Known vulnerabilities"), facts([
    ["Found", vulnerabilities(digest)], ["Scanned", scanned.scanned && time(scanned.scanned * 1000)],
    ["Not scanned since", scanned.failed], ["Note", scanned.old && "Its distribution tells of none any more."],
  ]), ...(rows.length ? [table("The worst of them", ["ID", "Severity", "Package", "Version", "Fixed in"], rows)] : [])];
}

// Fills a row of a tag with what its manifest says.
async function describe(repository, tag, tags, cells, signal) {
  const [name, platforms, bytes, when, signed, known] = cells;
  try {
    const found = await image(repository, tag, signal);
    const seen = pushed(repository, tag, found.digest);
    const shown = found.platforms.map((x) => x.name);
    platforms.append(shown.length > MOST_NAMES ? `${shown.length} manifests` : shown.join(", "));
    bytes.append(size(found.size ?? seen.bytes));
    when.append(seen.when ?? (look ? "after the last look" : ""));
    name.append(make("small", {}, make("code", {}, found.digest.slice(0, 19))));
    const of = [...found.attached, ...(await attached(repository, found.digest, (x) => tags.has(x), signal))];
    signed.append([...new Set(of.map((x) => x.kind))].join(", "));
    known?.append(vulnerabilities(found.digest));
  } catch (error) {
    if (!signal.aborted) platforms.append(WHY[error.status] ?? error.message);
  }
}

async function repository(signal, name) {
  const tags = new Set(await names(`/v2/${name}/tags/list`, "tags", signal));
  const times = own(look?.pushed, name);
  const when = (tag) => own(times, tag)?.[0] ?? Infinity;
  const images = [...tags].filter((x) => !OF_DIGEST.test(x));
  images.sort((a, b) => (when(a) === when(b) ? order.compare(b, a) : when(b) - when(a)));
  let rows = new AbortController();
  const show = (page) => {
    // What was asked for the page before is not waited for.
    rows.abort();
    rows = new AbortController();
    const stop = AbortSignal.any([signal, rows.signal]);
    const heads = ["Tag", "Platforms", "Size", "Pushed", "Signed, described by",
      ...(findings ? ["Vulnerabilities"] : [])];
    const cells = page.map((tag) => heads.map((_, i) => make("span", {}, i ? "" : link(`${name}:${tag}`, tag))));
    const shown = table("Tags", heads, cells);
    shown.setAttribute("aria-busy", "true");
    Promise.all(page.map((tag, i) => describe(name, tag, tags, cells[i], stop)))
      .then(() => shown.removeAttribute("aria-busy"));
    return shown;
  };
  const rest = tags.size - images.length;
  const note = rest ? `${count.format(rest)} more tags sign or describe images. ` : "";
  const more = `${note}Newest first. Signatures are listed here, and not verified.`;
  return [...browse("tags", images, show), make("p", { class: "note" }, more)];
}

async function one(signal, name, separator, reference) {
  const found = await image(name, reference, signal);
  const seen = separator === ":" ? pushed(name, reference, found.digest) : {};
  const more = await attached(name, found.digest, (x) => exists(name, x, signal), signal);
  await measure(name, found.platforms, signal);
  const to = (x) => link(`${name}${x.includes(":") ? "@" : ":"}${x}`, x);
  const section = (title, ...content) => [make("h2", {}, title), ...content];
  const references = [...(separator === ":" ? [`:${reference}`] : []), `@${found.digest}`];
  const platforms = found.platforms.map((x) => [x.name, size(x.size), to(x.digest)]);
  const describing = [...found.attached, ...more].map((x) => [x.kind, to(x.reference)]);
  const labels = [...Object.entries(found.annotations), ...Object.entries(found.labels)];
  return [
    facts([
      ["Digest", make("code", {}, found.digest)], ["Size", size(found.size ?? seen.bytes)],
      ["Pushed", seen.when], ["Built", time(found.created)], ["Media type", found.type],
    ]),
    ...section("Pull", ...references.map((x) => command(`docker pull ${location.host}/${name}${x}`))),
    ...section("Platforms", table("Platforms", ["Platform", "Size", "Digest"], platforms)),
    ...(describing.length ? section("Signatures and descriptions, not verified",
      table("Signatures and descriptions", ["Kind", "Manifest"], describing)) : []),
    ...worst(found.digest),
    ...(labels.length ? section("Labels and annotations", facts(labels.map(([key, x]) => [key, text(x)]))) : []),
  ];
}

async function show(first) {
  view.abort();
  view = new AbortController();
  const { signal } = view;
  const [, name, separator, reference] = ADDRESS.exec(location.hash) ?? [];
  const title = name ? `${name}${separator ?? ""}${reference ?? ""}` : "Repositories";
  document.title = `${title} – ${location.host}`;
  at("title").textContent = title;
  const path = [link("", location.host), ...(reference ? [link(name, name)] : [])];
  at("path").replaceChildren(...path.map((x) => make("li", {}, x)));
  at("status").textContent = "Loading …";
  at("content").replaceChildren();
  // Screen readers read it, and the next Tab key goes on from there.
  if (!first) at("title").focus();
  try {
    const content = reference ? await one(signal, name, separator, reference)
      : await (name ? repository(signal, name) : repositories(signal));
    if (signal.aborted) return;
    at("content").replaceChildren(...content);
    if (reference) at("status").textContent = "";
  } catch (error) {
    const why = WHY[error.status] ?? `This could not be loaded: ${error.message}`;
    if (!signal.aborted) at("status").textContent = why;
  }
}

async function report() {
  try {
    look = await (await ask("/page/usage.json")).json();
    const cut = look.cut ? " There is more than it has room for: the smallest repositories and the oldest tags are "
      + "without sizes and times." : "";
    const what = "Sizes of repositories and times of pushes are those of the maintenance's look on ";
    at("look").append(what, time(look.time * 1000), `.${cut}`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    at("look").textContent = "The maintenance has not looked yet, so there are no sizes of repositories "
      + "and no times of pushes.";
  }
}

async function start() {
  const [user, patterns, scan] = await (await ask("/page/me.json")).json();
  pull = patterns;
  at("user").textContent = `Logged in as ${user}.`;
  await report();
  // Before the first scan there are none.
  if (scan) findings = await ask("/page/findings.json").then((x) => x.json(), () => null);
  addEventListener("hashchange", () => show(false));
  await show(true);
}

start().catch((error) => { at("status").textContent = `The page could not be loaded: ${error.message}`; });
