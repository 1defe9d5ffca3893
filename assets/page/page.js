// Keeps a page up to date, sends its forms without leaving it, and takes keys. Everything else is made by the program: when
// something has changed, the page is fetched again and its live parts are taken over.
"use strict";

const section = document.body.dataset.section;
const topics = { "/inbox": ["inbox"], "/setup": ["setup"], "/health": ["health"], "/settings": [] }[section] ?? [];
const PAUSE = 1000;
const PATIENCE = 3000;

// Live parts

/** The live parts as the program made them, before anything was opened or typed in them. */
const made = new Map();
const liven = (part) => made.set(part.id, part.innerHTML);
document.querySelectorAll("[data-live]").forEach(liven);

/** What the person has entered in here, and not sent. */
const entered = (part) => [...part.querySelectorAll("textarea, select, input:not([type=hidden], [type=search])")]
  .filter((field) => field.matches("select")
    ? [...field.options].some((option) => option.selected !== option.defaultSelected)
    : field.value !== field.defaultValue || field.checked !== field.defaultChecked);

/** Characters are being composed: what they are written in stays. */
let composing = false;
document.addEventListener("compositionstart", () => { composing = true; });
document.addEventListener("compositionend", () => { composing = false; });

/** Takes over what differs, and keeps what is open, what is half-written and where the focus is. */
const takeOver = (fresh, everything) => {
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (other === null || other.innerHTML === made.get(part.id) && other.hidden === part.hidden) continue;
    const kept = everything ? [] : entered(part);
    const next = kept.map((field) => fresh.getElementById(field.id));
    // A file cannot be entered by a script, and what has no place any more is not lost.
    if (composing || kept.some((field, at) => next[at] === null || field.type === "file")) continue;
    const active = part.contains(document.activeElement) ? document.activeElement : null;
    const [start, end] = [active?.selectionStart, active?.selectionEnd];
    const open = [...part.querySelectorAll("details[open]")].map((details) => details.id);
    liven(other);
    kept.forEach((field, at) => {
      next[at].value = field.value;
      if (field.type === "radio") next[at].checked = field.checked;
    });
    part.replaceWith(document.adoptNode(other));
    enliven(other);
    if (!everything) for (const details of other.querySelectorAll("details")) details.open = open.includes(details.id);
    const focused = active?.id ? document.getElementById(active.id) : null;
    (focused ?? other.querySelector("[autofocus]"))?.focus({ preventScroll: focused !== null });
    if (focused !== null && start !== undefined && start !== null) focused.setSelectionRange(start, end);
  }
  document.title = fresh.title;
};

const parse = (text) => new DOMParser().parseFromString(text, "text/html");

let due = 0, timer = 0;
const refresh = () => {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    due = Date.now() + PAUSE;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) takeOver(parse(await answer.text()), false);
    } catch { /* The stream of events says that the program has gone. */ }
  }, Math.max(0, due - Date.now()));
};

// Whether the program is there

const banner = document.getElementById("disconnected");
let lost = 0;
const events = new EventSource("/events");
events.onopen = () => {
  clearTimeout(lost);
  // What has changed since the page was made was not told.
  refresh();
  lost = 0;
  banner.hidden = true;
};
events.onerror = () => {
  if (events.readyState === EventSource.CLOSED) banner.hidden = false;
  else if (lost === 0) lost = setTimeout(() => { banner.hidden = false; }, PATIENCE);
};
events.onmessage = ({ data }) => {
  if (topics.includes(data)) refresh();
  else if (data === "inbox") refresh();
};

// Forms

const send = async (form, button) => {
  const values = new FormData(form, button);
  const body = form.enctype === "multipart/form-data" ? values : new URLSearchParams(values);
  const answer = await fetch(form.action, { method: "POST", body });
  const fresh = parse(await answer.text());
  const main = fresh.getElementById("main");
  if (!answer.ok || fresh.body.dataset.section !== section) {
    location.assign(answer.url);
    return;
  }
  const note = fresh.getElementById("note");
  const isDone = note.querySelector(".failed") === null;
  const field = form.querySelector("[id]");
  // The form may have been made anew since.
  const current = () => form.isConnected || field === null ? form : document.getElementById(field.id)?.closest("form") ?? form;
  // What was typed stays where it was not taken.
  if (isDone && !form.matches("[data-checked]")) {
    current().reset();
    current().closest("details.reply")?.removeAttribute("open");
    if (section === "/settings") for (const part of ["autostart"]) replace(fresh, part);
  }
  // A step of the set-up is left as a whole; elsewhere something may be half-written in another form.
  if (main !== null) takeOver(fresh, isDone && section === "/setup");
  // A setting shows its note itself, so that it stays in view.
  const shown = current().querySelector(".sent") ?? document.getElementById("note");
  shown.replaceChildren(...note.childNodes);
  if (shown.firstElementChild !== null) shown.scrollIntoView({ block: "nearest" });
};

/** The whole section around this heading. */
const replace = (fresh, id) => {
  const [ours, other] = [document, fresh].map((page) => page.getElementById(id)?.closest("section"));
  if (ours && other) ours.replaceWith(document.adoptNode(other));
};

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  event.preventDefault();
  send(form, event.submitter).catch(() => { banner.hidden = false; });
});

// A file is dropped in.

for (const type of ["dragover", "drop"]) {
  document.addEventListener(type, (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    // A file that is dropped beside would be opened in place of the page.
    event.preventDefault();
    const form = event.target.closest?.("[data-drop]");
    if (type !== "drop" || !form ) return;
    form.querySelector("input[type=file]").files = event.dataTransfer.files;
    form.requestSubmit();
  });
}

// A setting is checked as it is typed.

let checking = 0;
document.addEventListener("input", (event) => {
  const form = event.target.closest("[data-checked]");
  if (form === null) return;
  form.querySelector(".sent").replaceChildren();
  clearTimeout(checking);
  checking = setTimeout(async () => {
    const answer = await fetch("/settings/check", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const says = answer.ok ? await answer.text() : "";
    form.querySelector(".error").textContent = says;
    event.target.setAttribute("aria-invalid", says === "" ? "false" : "true");
  }, 300);
});

// Copying

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button === null) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).innerText);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    button.textContent = "Selected: copy it with Ctrl+C";
  }
  setTimeout(() => { button.textContent = label; }, 2000);
});

const enliven = (part) => {
  for (const button of part.querySelectorAll("[data-copy]")) button.hidden = false;
};
enliven(document);

// Keys

const step = (by) => {
  const notices = [...document.querySelectorAll(".notice")];
  const now = notices.indexOf(document.activeElement?.closest(".notice"));
  notices[Math.min(notices.length - 1, Math.max(0, now + by))]?.focus();
};

const actions = {
  j: () => step(1),
  k: () => step(-1),
  r: (notice) => {
    const reply = notice?.querySelector(".reply");
    if (!reply) return;
    reply.open = true;
    reply.querySelector("textarea").focus();
  },
  e: (notice) => notice?.querySelector("form[action='/inbox/read'] button")?.click(),
  "?": () => {
    const keys = document.getElementById("keys");
    keys.open = !keys.open;
    keys.scrollIntoView({ block: "nearest" });
  },
};

if (section === "/inbox") {
  document.getElementById("keys").hidden = false;
  document.addEventListener("keydown", (event) => {
    const notice = document.activeElement?.closest(".notice");
    const isWriting = event.target.closest("input, textarea, select") !== null;
    if (event.key === "Escape" && isWriting) {
      const reply = event.target.closest(".reply");
      if (reply !== null) reply.open = false;
      event.target.blur();
      notice?.focus();
    }
    if (isWriting || event.ctrlKey || event.altKey || event.metaKey || !Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    actions[event.key](notice);
  });
}
