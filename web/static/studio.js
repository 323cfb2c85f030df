// Saves reloads, and nothing else: every page works without it.
// The server says when to look again (data-poll, in seconds) and stops by leaving that out.

const SLOWEST_SECONDS = 30;
const HIDDEN_FACTOR = 5;
const REQUEST_MILLISECONDS = 10_000;

const announcer = document.getElementById("announcer");

function announce(text) {
  if (announcer.textContent !== text) announcer.textContent = text;
}

class JobWatch {
  #card = document.getElementById("job");
  #connection = document.getElementById("connection");
  #timer = 0;
  #asking = false;
  #failures = 0;

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

  get #seconds() {
    return Number(this.#card.dataset.poll ?? 0);
  }

  #plan() {
    clearTimeout(this.#timer);
    if (!this.#seconds) return;
    const patience = document.hidden ? HIDDEN_FACTOR : 2 ** this.#failures;
    const wait = this.#seconds * patience;
    const seconds = Math.max(this.#seconds, Math.min(wait, SLOWEST_SECONDS));
    // A little chance, so that many pages that lost the server do not return to it at once.
    const spread = this.#failures ? 0.75 + Math.random() / 2 : 1;
    this.#timer = setTimeout(() => this.#look(), 1000 * seconds * spread);
  }

  async #look() {
    if (this.#asking || !this.#seconds) return;
    this.#asking = true;
    clearTimeout(this.#timer);
    try {
      const signal = AbortSignal.timeout(REQUEST_MILLISECONDS);
      const response = await fetch(this.#card.dataset.url, { cache: "no-store", signal });
      if (response.status === 404 || response.status === 410) {
        location.reload();
        return;
      }
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.#show(await response.text());
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
    this.#connection.hidden = true;
    announce(this.#card.dataset.announce);
  }

  #lost() {
    this.#failures += 1;
    const told = navigator.onLine ? "The studio is not answering" : "You are offline";
    this.#connection.textContent = `${told}. Your photo goes on without this page; it looks again by itself.`;
    this.#connection.hidden = false;
    announce(this.#connection.textContent);
  }

  #show(html) {
    const old = this.#card;
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("job");
    if (!fresh) throw new Error("no card in the answer");
    old.replaceWith(fresh);
    this.#card = fresh;
    glide(old, fresh);
    if (!this.#seconds) finish(fresh, focused);
    else if (focused?.id) document.getElementById(focused.id)?.focus({ preventScroll: true });
  }
}

// The bar moves from where it was, although it is another element.
function glide(old, fresh) {
  const [from, to] = [old.querySelector("progress"), fresh.querySelector("progress")];
  if (!from || !to || from.position < 0 || to.position < 0) return;
  const goal = to.value;
  to.value = from.value;
  requestAnimationFrame(() => requestAnimationFrame(() => (to.value = goal)));
}

// Once, and only for somebody who is not busy with something else on the page.
function finish(card, focused) {
  document.title = document.title.replace(/^[^:]*/, card.querySelector(".state").textContent);
  if (focused || document.activeElement === document.body) {
    card.querySelector("#job-title").focus({ preventScroll: true });
  }
}

function freshToken() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
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
  const example = event.target.closest("[data-example]");
  if (!example || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const box = document.getElementById("product");
  box.value = example.textContent.trim();
  box.focus();
});

if (document.getElementById("job")) new JobWatch().start();
