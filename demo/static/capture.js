// The consent step: a person before the camera says a phrase made for this once; or a signed statement is handed in.

import { el, post, upload } from "./session.js";

const SECONDS = 8;
const KINDS = ["video/webm;codecs=vp8,opus", "video/mp4", "video/webm"];

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

  // Whose face, until when, and for what; an empty choice allows any.
  terms() {
    const { name, until, purposes, languages, emotions } = this.form.elements;
    const some = ({ value }) => (value ? value.split(",") : null);
    return { name: name.value, until: until.value, purposes: some(purposes), languages: some(languages), emotions: some(emotions) };
  }

  // ---- another person ----------------------------------------------------------------------------------------------

  async handIn() {
    const { portrait, statement } = this.form.elements;
    const paper = this.terms();
    paper.portrait = await upload(portrait.files[0], "picture");
    paper.statement = await upload(statement.files[0], "document");
    this.done(await post("/consent/statement", paper));
  }

  // ---- me ----------------------------------------------------------------------------------------------------------

  // A portrait that cannot be taken is refused before anybody speaks.
  async open() {
    const [portrait] = this.form.elements.portrait.files;
    this.portrait = portrait ? await upload(portrait, "picture") : null;
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
    const picture = await still(this.video);
    const film = filmed(this.stream);
    for (let second = SECONDS; second > 0; second--) {
      left.textContent = `Recording: ${second}`;
      await new Promise((go) => setTimeout(go, 1000));
    }
    left.textContent = "";
    const taken = await film.stop();
    this.close();
    this.tell("", "Looking and listening.");
    const capture = { evidence: this.evidence, ...this.terms() };
    this.evidence = null;
    capture.portrait = this.portrait ?? await upload(picture, "picture", "still.jpg");
    capture.video = await upload(taken, "capture", "capture");
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

// One video with its sound: the words, the face and the mouth are judged together.
function filmed(stream) {
  const pieces = [];
  const kind = KINDS.find((each) => MediaRecorder.isTypeSupported(each));
  const recorder = new MediaRecorder(stream, { ...(kind && { mimeType: kind }), videoBitsPerSecond: 4_000_000 });
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  recorder.start();
  const stopped = new Promise((done) => { recorder.onstop = () => done(new Blob(pieces, { type: pieces[0]?.type })); });
  return { stop: () => (recorder.stop(), stopped) };
}

function still(video) {
  const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
}
