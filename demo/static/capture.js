// The consent step: a person before the camera says a phrase made for this once; or a signed statement is handed in.

import { el, post, upload } from "./session.js";

const SECONDS = 6;
const STILLS = 5;

class Consent extends HTMLElement {
  connectedCallback() {
    if (this.form) return;
    this.form = this.querySelector("form");
    this.said = this.querySelector("[data-said]");
    this.button = this.querySelector("[data-go]");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.button.addEventListener("click", () => this.go());
  }

  disconnectedCallback() {
    this.close();
  }

  async go() {
    const fields = this.form.elements;
    const missing = [...fields].find((field) => field.required && !field.value);
    if (missing) return this.refuse(`Fill in "${missing.closest("label").querySelector("span").textContent}".`, missing);
    if (!fields.agree.checked) return this.refuse("Nothing is recorded without this consent: tick the box first.", fields.agree);
    this.button.disabled = true;
    this.tell("", "One moment.");
    try {
      if (this.dataset.mode === "statement") await this.handIn();
      else if (this.evidence) await this.record();
      else await this.open();
    } catch (refusal) {
      this.evidence = null;
      this.close();
      this.refuse(refusal.message);
    }
    this.button.disabled = false;
  }

  // ---- another person ----------------------------------------------------------------------------------------------

  async handIn() {
    const { name, until, portrait, statement } = this.form.elements;
    const paper = { name: name.value, until: until.value };
    paper.portrait = await upload(portrait.files[0], "picture");
    paper.statement = await upload(statement.files[0], "document");
    this.done(await post("/consent/statement", paper));
  }

  // ---- me ----------------------------------------------------------------------------------------------------------

  async open() {
    const { phrase, evidence } = await post("/consent/begin", {});
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 960 }, audio: { channelCount: 1 } });
    } catch {
      throw new Error("The browser did not give camera and microphone; allow both, then ask for a phrase again.");
    }
    this.evidence = evidence;
    this.querySelector("[data-booth]").hidden = false;
    this.querySelector("[data-phrase]").textContent = phrase;
    this.video = this.querySelector("video");
    this.video.srcObject = this.stream;
    await this.video.play();
    this.button.textContent = `Record ${SECONDS} seconds`;
    this.tell("", "");
  }

  async record() {
    const left = this.querySelector("[data-left]");
    const sound = await listen(this.stream);
    const stills = [];
    for (let i = 0; i < SECONDS * 2; i++) {
      left.textContent = `Recording: ${Math.ceil(SECONDS - i / 2)}`;
      await new Promise((go) => setTimeout(go, 500));
      if (i % 2 === 1 && stills.length < STILLS) stills.push(await still(this.video));
    }
    left.textContent = "";
    const pieces = await sound.stop();
    this.close();
    this.tell("", "Looking and listening.");
    const { name, until, portrait } = this.form.elements;
    const capture = { evidence: this.evidence, name: name.value, until: until.value };
    this.evidence = null;
    capture.portrait = portrait.files[0] ? await upload(portrait.files[0], "picture") : null;
    capture.stills = [];
    for (const picture of stills) capture.stills.push(await upload(picture, "picture", "still.jpg"));
    capture.sound = await upload(wav(pieces), "sound", "phrase.wav");
    this.done(await post("/consent/finish", capture));
  }

  close() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    const booth = this.querySelector("[data-booth]");
    if (booth) booth.hidden = true;
    if (this.dataset.mode === "capture" && this.button) this.button.textContent = "Give me my phrase";
  }

  // ---- said --------------------------------------------------------------------------------------------------------

  done(consent) {
    const line = consent.state === "approved" ? `Thank you, ${consent.name}. The portrait can be chosen above.` : `${consent.name}: ${consent.says.toLowerCase()}.`;
    this.tell(consent.state === "approved" ? "vs-right" : "vs-heed", line);
    document.getElementById("refresh-people")?.click();
  }

  refuse(sentence, field) {
    this.tell("vs-wrong", sentence);
    field?.focus();
  }

  tell(kind, line) {
    this.said.className = `vs-note ${kind}`;
    this.said.textContent = line;
  }
}

customElements.define("vs-consent", Consent);

async function listen(stream) {
  const context = new AudioContext();
  await context.audioWorklet.addModule("/static/pcm.js");
  const worklet = new AudioWorkletNode(context, "pcm", { numberOfOutputs: 0 });
  const pieces = [];
  worklet.port.onmessage = ({ data }) => pieces.push(new Int16Array(data.samples));
  context.createMediaStreamSource(stream).connect(worklet);
  return { stop: async () => (await context.close(), pieces) };
}

function still(video) {
  const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}

// 16 kHz, mono, 16 bit.
function wav(pieces) {
  const bytes = 2 * pieces.reduce((sum, piece) => sum + piece.length, 0);
  const head = new DataView(new ArrayBuffer(44));
  const word = (at, text) => [...text].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  word(0, "RIFF"); head.setUint32(4, 36 + bytes, true); word(8, "WAVEfmt "); head.setUint32(16, 16, true);
  head.setUint16(20, 1, true); head.setUint16(22, 1, true); head.setUint32(24, 16000, true); head.setUint32(28, 32000, true);
  head.setUint16(32, 2, true); head.setUint16(34, 16, true); word(36, "data"); head.setUint32(40, bytes, true);
  return new Blob([head, ...pieces], { type: "audio/wav" });
}
