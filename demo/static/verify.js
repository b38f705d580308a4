// A file dropped or chosen is sent at once; the server's answer is shown below, and nothing is kept.

class Verify extends HTMLElement {
  connectedCallback() {
    if (this.form) return;
    this.form = this.querySelector("form");
    this.answer = this.querySelector(".vs-answer");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.elements.file.addEventListener("change", ({ target }) => target.files.length && this.check(target.files[0]));
    this.addEventListener("dragover", (event) => this.over(event, true));
    this.addEventListener("dragleave", (event) => this.over(event, false));
    this.addEventListener("drop", (event) => {
      this.over(event, false);
      if (event.dataTransfer.files.length) this.check(event.dataTransfer.files[0]);
    });
  }

  over(event, inside) {
    event.preventDefault();
    this.form.classList.toggle("vs-over-it", inside);
  }

  async check(file) {
    this.say(`Looking at ${file.name}.`);
    const body = new FormData();
    body.append("file", file);
    try {
      const answer = await fetch("/verify", { method: "POST", body, headers: { "X-Piece": "1" } });
      const piece = await answer.text();
      if (answer.headers.get("content-type")?.startsWith("text/html")) this.answer.innerHTML = piece; // our own, escaped there
      else this.say(JSON.parse(piece).detail ?? "The server could not look at it; try again.", true);
    } catch {
      this.say("The server does not answer; try again.", true);
    }
    this.form.reset();
  }

  say(line, wrong = false) {
    const note = document.createElement("p");
    note.className = `vs-note ${wrong ? "vs-wrong" : ""}`;
    note.textContent = line;
    this.answer.replaceChildren(note);
  }
}

customElements.define("vs-verify", Verify);
