// Saves reloads, and nothing else: every page works without it.
// The server says when to look again (data-poll, in seconds) and stops by leaving that out.

const SLOWEST_SECONDS = 30;
const HIDDEN_FACTOR = 5;
const REQUEST_MILLISECONDS = 10_000;
const DECODE_MILLISECONDS = 1_000;

const announcer = document.getElementById("announcer");
const connection = document.getElementById("connection");

function announce(text) {
  if (text && announcer.textContent !== text) announcer.textContent = text;
}

// A part of the page that the server draws anew: fetched from its data-url, put in place of itself.
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
    const patience = document.hidden ? HIDDEN_FACTOR : 2 ** this.#failures;
    const seconds = Math.max(this.seconds, Math.min(this.seconds * patience, SLOWEST_SECONDS));
    // A little chance, so that many pages that lost the server do not return to it at once.
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
      // Gone, or nobody is signed in any more: the page itself says so.
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
    connection.textContent = `${told}. ${this.element.dataset.lost} This page looks again by itself.`;
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

  // Once, and only for somebody who is not busy with something else on the page.
  #finish(focused) {
    document.title = document.title.replace(/^[^:]*/, this.element.querySelector(".state").textContent);
    if (focused || document.activeElement === document.body) {
      this.element.querySelector("#job-title").focus({ preventScroll: true });
    }
  }
}

// Pictures are ready before they are shown, so that none flickers.
function decoded(element) {
  const pictures = [...element.querySelectorAll("img:not([loading])")].map((each) => each.decode().catch(() => {}));
  return Promise.race([Promise.all(pictures), new Promise((done) => setTimeout(done, DECODE_MILLISECONDS))]);
}

// The bar moves from where it was, although it is another element.
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

// Where there is no clipboard (a page without HTTPS), the text is selected for the person to copy.
async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    announce("Copied");
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    announce("Selected, copy it with your keyboard");
    button.textContent = "Selected: now copy it";
  }
}

// What was typed goes along to the form behind the link.
function keep(link) {
  const url = new URL(link.href);
  const field = document.getElementById(link.dataset.keeps);
  url.searchParams.set(field.name, field.value);
  link.href = url;
}

// A double click sends the form once. A page that comes back with the back button may send it again.
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
  const box = document.getElementById("product");
  box.value = example.textContent.trim();
  box.focus();
});

for (const [id, Kind] of [["job", JobWatch], ["busy", Watch], ["history", Watch], ["status", Watch]]) {
  const element = document.getElementById(id);
  if (element) new Kind(element).start();
}
