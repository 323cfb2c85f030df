// Saves reloads, and nothing else: every page works without it.
// The server says when to ask again (data-poll, in seconds), and ends the polling by leaving that out.

const SLOWEST_SECONDS = 30;
const HIDDEN_FACTOR = 5;
const REQUEST_MILLISECONDS = 10_000;
const DECODE_MILLISECONDS = 1_000;

const announcer = document.getElementById("announcer");
const connection = document.getElementById("connection");

function announce(text) {
  if (text && announcer.textContent !== text) announcer.textContent = text;
}

// Keeps a part of the page up to date: fetches it from its data-url and replaces it.
class Watch {
  #timer = 0;
  #asking = false;
  #failures = 0;

  constructor(element) {
    this.element = element;
  }

  start() {
    this.#plan();
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.#look();
    });
    window.addEventListener("online", () => this.#look());
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.#look();
    });
  }

  get seconds() {
    return Number(this.element.dataset.poll ?? 0);
  }

  shown(_old, focused) {
    if (focused?.id) document.getElementById(focused.id)?.focus({ preventScroll: true });
  }

  #plan() {
    clearTimeout(this.#timer);
    if (!this.seconds) return;
    const factor = document.hidden ? HIDDEN_FACTOR : 2 ** this.#failures;
    const seconds = Math.max(this.seconds, Math.min(this.seconds * factor, SLOWEST_SECONDS));
    // A random spread keeps the many pages that lost the server from returning to it at the same moment.
    const spread = this.#failures ? 0.75 + Math.random() / 2 : 1;
    this.#timer = setTimeout(() => this.#look(), 1000 * seconds * spread);
  }

  async #look() {
    if (this.#asking || !this.seconds) return;
    this.#asking = true;
    clearTimeout(this.#timer);
    try {
      const signal = AbortSignal.timeout(REQUEST_MILLISECONDS);
      const response = await fetch(this.element.dataset.url, { cache: "no-store", signal });
      // The job is gone or the session is over: the whole page, loaded again, says so.
      if ([401, 404, 410].includes(response.status)) {
        location.reload();
        return;
      }
      if (!response.ok) throw new Error(`status ${response.status}`);
      await this.#show(await response.text());
      this.#heard();
    } catch {
      this.#lost();
    } finally {
      this.#asking = false;
    }
    this.#plan();
  }

  #heard() {
    this.#failures = 0;
    connection.hidden = true;
    announce(this.element.dataset.announce);
  }

  #lost() {
    this.#failures += 1;
    this.element.dataset.stale = "";
    const told = navigator.onLine ? "The studio is not answering" : "You are offline";
    connection.textContent = `${told}. ${this.element.dataset.lost} This page tries again by itself.`;
    connection.hidden = false;
    announce(connection.textContent);
  }

  async #show(html) {
    const parsed = new DOMParser().parseFromString(html, "text/html").getElementById(this.element.id);
    if (!parsed) throw new Error("not in the answer");
    const fresh = document.adoptNode(parsed);
    await decoded(fresh);
    const old = this.element;
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    old.replaceWith(fresh);
    this.element = fresh;
    this.shown(old, focused);
  }
}

class JobWatch extends Watch {
  shown(old, focused) {
    glide(old, this.element);
    if (this.seconds) super.shown(old, focused);
    else this.#finish(focused);
  }

  // Runs once. It moves the focus only if the person is not busy with something else on the page.
  #finish(focused) {
    document.title = document.title.replace(/^[^:]*/, this.element.querySelector(".state").textContent);
    if (focused || document.activeElement === document.body) {
      this.element.querySelector("#job-title").focus({ preventScroll: true });
    }
  }
}

// Decodes the images before they are shown, so that none flickers.
function decoded(element) {
  const images = [...element.querySelectorAll("img:not([loading])")].map((each) => each.decode().catch(() => {}));
  return Promise.race([Promise.all(images), new Promise((done) => setTimeout(done, DECODE_MILLISECONDS))]);
}

// Lets the progress bar move on from its old value, although it is a new element.
function glide(old, fresh) {
  const [from, to] = [old.querySelector("progress"), fresh.querySelector("progress")];
  if (!from || !to || from.position < 0 || to.position < 0) return;
  const goal = to.value;
  to.value = from.value;
  requestAnimationFrame(() => requestAnimationFrame(() => (to.value = goal)));
}

function freshToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Copies the text. Without a clipboard (on a page without HTTPS) it selects the text for the person to copy.
async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    announce("Copied");
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    announce("Selected. Copy it with your keyboard");
    button.textContent = "Selected. Now copy it";
  }
}

// Takes the typed text along to the form behind the link.
function keep(link) {
  const url = new URL(link.href);
  const field = document.getElementById(link.dataset.keeps);
  if (field && link.dataset.as) url.searchParams.set(link.dataset.as, field.value);
  link.href = url;
}

// A double click sends the form only once. After the back button the form can be sent again.
document.addEventListener("submit", (event) => {
  const button = event.target.closest("[data-submit]")?.querySelector("button[type=submit]");
  if (!button) return;
  if (button.disabled) {
    event.preventDefault();
    return;
  }
  button.dataset.label = button.textContent;
  button.style.minWidth = `${button.offsetWidth}px`;
  button.textContent = button.dataset.busy;
  button.disabled = true;
});

window.addEventListener("pageshow", (event) => {
  for (const button of document.querySelectorAll("button[data-label]")) {
    button.textContent = button.dataset.label;
    button.disabled = false;
  }
  if (!event.persisted) return;
  for (const token of document.querySelectorAll("input[name=token]")) token.value = freshToken();
});

document.addEventListener("click", (event) => {
  const copying = event.target.closest("[data-copy]");
  if (copying) copy(copying);
  const keeping = event.target.closest("[data-keeps]");
  if (keeping) keep(keeping);
  const example = event.target.closest("[data-example]");
  if (!example || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const box = document.querySelector(".box");
  box.value = example.textContent.trim();
  box.focus();
});

// A field for a file: shows what was chosen, and takes files that are dropped or pasted anywhere on the page.
class FileField {
  constructor(element) {
    this.element = element;
    this.input = element.querySelector("input[type=file]");
    this.shown = element.querySelector("[data-shown]");
    element.addEventListener("change", (event) => this.#show(event.target));
    for (const name of ["dragover", "drop"]) {
      document.addEventListener(name, (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        element.toggleAttribute("data-over", name === "dragover");
        if (name === "drop") this.#take(event.dataTransfer.files);
      });
    }
    document.addEventListener("dragleave", () => element.removeAttribute("data-over"));
    document.addEventListener("paste", (event) => this.#take(event.clipboardData.files));
  }

  #take(files) {
    const file = [...files].find((each) => each.type.startsWith(this.element.dataset.kind));
    if (!file) return;
    const transfer = new DataTransfer();
    transfer.items.add(file);
    this.input.files = transfer.files;
    this.#show(this.input);
  }

  // The other way to give the file is emptied, so that one file is sent.
  #show(input) {
    const file = input.files[0];
    if (!file) return;
    for (const other of this.element.querySelectorAll("input[type=file]")) {
      if (other !== input) other.value = "";
    }
    const element = document.createElement(this.element.dataset.kind === "image" ? "img" : "audio");
    element.src = URL.createObjectURL(file);
    if (element instanceof HTMLAudioElement) element.controls = true;
    else element.alt = file.name;
    this.shown.replaceChildren(element);
    announce(`Chosen: ${file.name}`);
  }
}

for (const element of document.querySelectorAll("[data-file]")) new FileField(element);

for (const [id, Kind] of [["job", JobWatch], ["busy", Watch], ["history", Watch], ["status", Watch]]) {
  const element = document.getElementById(id);
  if (element) new Kind(element).start();
}
