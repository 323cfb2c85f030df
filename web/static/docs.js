// Sends a request of the reference from the page and shows the response. Without JavaScript the examples are to paste.

const REQUEST_MILLISECONDS = 60_000;
const MOST_CHARACTERS = 20_000;

class Trial {
  #form;
  #status;
  #answer;

  constructor(form) {
    this.#form = form;
    this.#status = form.querySelector("[role=status]");
    this.#answer = form.querySelector("[data-answer]");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    form.closest("details").hidden = false;
  }

  async #send() {
    const button = this.#form.querySelector("button");
    button.disabled = true;
    this.#status.textContent = "Sending…";
    const began = performance.now();
    try {
      const signal = AbortSignal.timeout(REQUEST_MILLISECONDS);
      const response = await fetch(this.#url(), { ...this.#request(), cache: "no-store", signal });
      const shown = await answered(response);
      this.#status.textContent = `${response.status} after ${Math.round(performance.now() - began)} ms`;
      this.#answer.replaceChildren(...shown);
    } catch (fault) {
      this.#status.textContent = `No answer: ${fault.message}`;
      this.#answer.replaceChildren();
    } finally {
      button.disabled = false;
    }
  }

  #fields(place) {
    const inputs = [...this.#form.querySelectorAll(`[data-in=${place}]`)];
    return inputs.map((each) => [each.name, each.value.trim()]).filter(([, value]) => value);
  }

  #url() {
    const path = this.#fields("path").reduce(
      (url, [name, value]) => url.replace(`{${name}}`, encodeURIComponent(value)),
      this.#form.dataset.path,
    );
    const query = new URLSearchParams(this.#fields("query")).toString();
    return query ? `${path}?${query}` : path;
  }

  #request() {
    const headers = new Headers(this.#fields("header"));
    let body = this.#form.querySelector("textarea")?.value;
    if (body !== undefined) headers.set("Content-Type", "application/json");
    const file = this.#form.querySelector("[type=file]");
    if (file) {
      body = new FormData();
      body.append(file.name, file.files[0]);
    }
    return { method: this.#form.dataset.method, headers, body };
  }
}

// The headers a client acts on, then the body: JSON indented, an image shown.
async function answered(response) {
  const told = ["Location", "Retry-After", "ETag", "X-Job-Id", "X-Request-Id", "Content-Type"]
    .filter((name) => response.headers.has(name))
    .map((name) => `${name}: ${response.headers.get(name)}`);
  const type = response.headers.get("Content-Type") ?? "";
  if (type.startsWith("image/")) return [block(told.join("\n")), image(await response.blob())];
  const text = await response.text();
  rememberJob(response, text);
  return [block([told.join("\n"), setOut(text, type)].filter(Boolean).join("\n\n"))];
}

function setOut(text, type) {
  const laidOut = type.includes("json") ? JSON.stringify(JSON.parse(text), null, 2) : text;
  return laidOut.length > MOST_CHARACTERS ? `${laidOut.slice(0, MOST_CHARACTERS)}\n…` : laidOut;
}

// The job just submitted is filled into the other forms, as people look at it next.
function rememberJob(response, text) {
  const made = response.headers.get("X-Job-Id") ?? (response.status === 202 ? JSON.parse(text).id : null);
  if (!made) return;
  for (const input of document.querySelectorAll("[data-in=path][name=job_id]")) input.value = made;
}

function block(text) {
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  pre.textContent = text;
  return pre;
}

function image(blob) {
  const shown = document.createElement("img");
  shown.alt = "The image in the response";
  shown.src = URL.createObjectURL(blob);
  shown.addEventListener("load", () => URL.revokeObjectURL(shown.src), { once: true });
  return shown;
}

for (const form of document.querySelectorAll("form[data-trial]")) new Trial(form);
