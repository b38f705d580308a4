// A voice recorded here or taken from a file: kept by the server, listened to here, and named to the form by its id.

import { el, upload } from "./session.js";

const LONGEST_S = 60;
const KINDS = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

class Recorder extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.button = el("button", { type: "button", class: "vs-button", onclick: () => (this.recorder ? this.stop() : this.start()) }, "● Record");
    this.file = el("input", { type: "file", accept: "audio/*,video/mp4,video/webm", onchange: () => this.file.files[0] && this.keep(this.file.files[0]) });
    this.said = el("p", { class: "vs-soft", role: "status" }, `Up to ${LONGEST_S} seconds.`);
    this.player = el("audio", { controls: true, hidden: true, "aria-label": "Your recording" });
    this.append(el("div", { class: "vs-recorder" }, this.button, el("label", { class: "vs-button vs-file" }, "Choose a file", this.file)), this.said, this.player);
  }

  disconnectedCallback() {
    this.stop();
  }

  async start() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch {
      return this.say("The browser did not give its microphone; allow it, or choose a file.", true);
    }
    const pieces = [];
    const kind = KINDS.find((each) => MediaRecorder.isTypeSupported(each));
    this.recorder = new MediaRecorder(this.stream, kind ? { mimeType: kind } : {});
    this.recorder.ondataavailable = ({ data }) => pieces.push(data);
    this.recorder.onstop = () => this.keep(new File(pieces, "recording", { type: pieces[0]?.type }));
    this.recorder.start();
    this.button.textContent = "■ Stop";
    this.button.classList.add("vs-recording");
    const begun = performance.now();
    this.timer = setInterval(() => {
      const seconds = (performance.now() - begun) / 1000;
      this.said.textContent = `Recording: ${seconds.toFixed(0)} s`;
      if (seconds >= LONGEST_S) this.stop();
    }, 250);
  }

  stop() {
    clearInterval(this.timer);
    this.recorder?.state === "recording" && this.recorder.stop();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.recorder = this.stream = null;
    this.button.textContent = "● Record";
    this.button.classList.remove("vs-recording");
  }

  async keep(file) {
    this.tellForm("");
    this.say("Sending.");
    try {
      this.tellForm(await upload(file, "sound"));
    } catch (refusal) {
      this.player.hidden = true;
      return this.say(refusal.message, true);
    }
    URL.revokeObjectURL(this.player.src);
    this.player.src = URL.createObjectURL(file);
    this.player.hidden = false;
    this.say(file.name === "recording" ? "Recorded. Again, if you like." : file.name);
  }

  tellForm(id) {
    const field = document.querySelector(`#${this.dataset.for} textarea, #${this.dataset.for} input`);
    field.value = id;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  say(line, wrong = false) {
    this.said.textContent = line;
    this.said.className = wrong ? "vs-note vs-wrong" : "vs-soft";
  }
}

customElements.define("vs-recorder", Recorder);
