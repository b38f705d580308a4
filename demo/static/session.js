// Who is signed in, and requests that the server believes: each shows the session's own token.

export function csrf() {
  return document.querySelector("vs-session")?.dataset.csrf ?? "";
}

export async function post(path, body) {
  const isForm = body instanceof FormData;
  const headers = { "X-CSRF": csrf() };
  if (!isForm) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: "POST", headers, body: isForm ? body : JSON.stringify(body ?? {}) });
  return told(answer);
}

export async function get(path) {
  return told(await fetch(path, { headers: { Accept: "application/json" } }));
}

async function told(answer) {
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.detail ?? said.message ?? `The server answered ${answer.status}; try again.`);
  return said;
}

export async function upload(file, kind, name) {
  const form = new FormData();
  form.append("file", file, name ?? file.name);
  form.append("kind", kind);
  return (await post("/uploads", form)).upload;
}

// Elements as a tree: el("p", {class: "x"}, "text", child). Text is text, never HTML.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}
