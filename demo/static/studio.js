// What our own elements share: who is signed in, requests that the server believes, players that stay in step.

import "./capture.js";
import "./compare.js";
import "./live.js";
import "./recorder.js";
import "./verify.js";
import "./audit.js";

// ---- a sample voice can be listened to before it is chosen ---------------------------------------------------------

class Listen extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "vs-button vs-listen";
    this.append(this.button);
    this.sound = new Audio();
    this.sound.preload = "none";
    this.button.addEventListener("click", () => (this.sound.paused ? this.play() : this.sound.pause()));
    for (const change of ["play", "pause", "ended"]) this.sound.addEventListener(change, () => this.show());
    this.show();
  }

  disconnectedCallback() {
    this.sound?.pause();
  }

  play() {
    const chosen = document.querySelector(`#${this.dataset.for} input:checked`);
    const path = `/voices/${chosen ? chosen.value : "english"}.flac`;
    if (!this.sound.src.endsWith(path)) this.sound.src = path;
    this.sound.play();
  }

  show() {
    this.button.textContent = this.sound.paused ? "▶ Listen" : "■ Stop";
  }
}

customElements.define("vs-listen", Listen);

// ---- a clip from the list goes onto the stage ----------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-play]");
  if (!button) return;
  const stage = document.querySelector("#create-stage .vs-slot") ?? document.querySelector("#create-stage > div:last-child");
  const template = document.getElementById(`clip-${button.dataset.play}`);
  if (!stage || !template) return;
  stage.replaceChildren(template.content.cloneNode(true));
  const video = stage.querySelector("video");
  video.play();
  video.focus({ preventScroll: true });
  video.scrollIntoView({ block: "nearest", behavior: "smooth" });
});

// ---- arrow keys move within a choice, as in any group of radio buttons ---------------------------------------------
// (Gradio gives each button a group of its own, so browsers would not do it.)

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

document.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  const group = step && event.target.matches?.('fieldset input[type="radio"]') && event.target.closest("fieldset");
  if (!group) return;
  const buttons = [...group.querySelectorAll('input[type="radio"]:not(:disabled)')];
  const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
  event.preventDefault();
  next.focus();
  next.click();
});
