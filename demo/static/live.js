// Live: sound goes up as it is spoken, frames come down and are shown in time with the sound, a little later.
//
// One WebSocket. Up: JSON wishes, then pieces of 16 kHz sound. Down: JSON news, and frames as 8 bytes of time (seconds
// of the sound, float64) with a JPEG behind. Sound and picture share the audio clock: a frame for second t of the sound
// is drawn when the delayed sound reaches t, so lips and voice belong together whatever the delay is.

import { el, get } from "./session.js";

const MARGIN_S = 0.05; // kept in hand over what most frames of the last seconds need
const WATCHED = 75; // frames whose lateness decides the delay
const ON_TIME = 0.93; // of them are to be shown; a few late ones are not worth everybody's waiting
const STEPS = 10; // denoising steps: no more, so that two processor cores keep up
const MOST_DELAY_S = 8;

class Live extends HTMLElement {
  connectedCallback() {
    if (this.ready) return;
    this.ready = true;
    this.canvas = this.querySelector("canvas");
    this.pen = this.canvas.getContext("2d");
    this.words = this.querySelector("[data-words]");
    this.meter = this.querySelector("[data-meter]");
    this.button = this.querySelector("[data-go]");
    this.button.addEventListener("click", () => (this.socket ? this.stop() : this.start()));
    this.addEventListener("input", (event) => this.wish(event));
    this.addEventListener("change", (event) => this.wish(event));
    this.querySelector("[data-hear]").addEventListener("change", () => this.setVolume());
    this.showSource();
    this.addPeople();
  }

  // Real people with a consent that stands, besides our cast; none for accounts that may not use them.
  async addPeople() {
    const people = (await get("/consents").catch(() => [])).filter(({ state }) => state === "approved");
    for (const { name, portrait, id } of people) {
      const card = el("label", { style: `background-image: url("/consents/${id}.jpg") !important` },
        el("input", { type: "radio", name: "live-face", value: portrait }), el("span", {}, name));
      this.querySelector(".vs-cast .wrap").append(card);
    }
  }

  disconnectedCallback() {
    this.stop();
  }

  chosen(name) {
    return this.querySelector(`input[name="${name}"]:checked`)?.value;
  }

  // ---- wishes ------------------------------------------------------------------------------------------------------

  wishes() {
    const wishes = { emotion: this.chosen("live-emotion"), steps: STEPS };
    for (const slider of this.querySelectorAll("input[type=range]")) wishes[slider.name] = Number(slider.value);
    return wishes;
  }

  wish(event) {
    if (event.target.type === "range") this.showValue(event.target);
    if (event.target.name === "live-source") this.showSource();
    if (this.socket?.readyState === WebSocket.OPEN && this.running) this.socket.send(JSON.stringify({ controls: this.wishes() }));
  }

  showValue(slider) {
    const { value, min, max } = slider;
    slider.closest("label").querySelector("b").textContent = value;
    slider.style.setProperty("--range_progress", `${(100 * (value - min)) / (max - min)}%`);
  }

  showSource() {
    const microphone = this.chosen("live-source") === "microphone";
    this.querySelector("[data-sample]").hidden = microphone;
    this.querySelector("[data-mic]").hidden = !microphone;
  }

  // ---- start and stop ----------------------------------------------------------------------------------------------

  async start() {
    this.frames = [];
    this.late = [];
    this.shown = { count: 0, dropped: 0, last: -1, times: [] };
    this.delay = null;
    this.first = null;
    this.running = false;
    this.say("Getting ready", "");
    this.button.textContent = "Stop";
    try {
      await this.openSound();
    } catch (refused) {
      return this.stop("No microphone", "The browser did not give its microphone; allow it, or take a sample voice.");
    }
    this.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.socket.send(JSON.stringify({ portrait: this.chosen("live-face"), controls: this.wishes() }));
    this.socket.onmessage = ({ data }) => (typeof data === "string" ? this.news(JSON.parse(data)) : this.frame(data));
    this.socket.onclose = ({ reason }) => this.stop(this.ended ? "That was it" : "The line closed", reason || "");
  }

  async openSound() {
    this.sound = new AudioContext();
    await this.sound.audioWorklet.addModule("/static/pcm.js");
    this.worklet = new AudioWorkletNode(this.sound, "pcm", { numberOfOutputs: 0 });
    this.worklet.port.onmessage = ({ data }) => this.piece(data);
    this.echo = new DelayNode(this.sound, { maxDelayTime: MOST_DELAY_S });
    this.volume = new GainNode(this.sound, { gain: 0 });
    this.echo.connect(this.volume).connect(this.sound.destination);
    if (this.chosen("live-source") === "microphone") {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true } });
      this.source = this.sound.createMediaStreamSource(this.stream);
    } else {
      const file = await (await fetch(`/voices/${this.chosen("live-voice")}.flac`)).arrayBuffer();
      this.source = new AudioBufferSourceNode(this.sound, { buffer: await this.sound.decodeAudioData(file) });
      this.source.onended = () => this.send({ end: true });
    }
  }

  begin() {
    if (this.running) return;
    this.running = true;
    this.source.connect(this.worklet);
    this.source.connect(this.echo);
    this.source.start?.();
    this.sound.resume();
    this.say("Listening", "");
    this.draw();
  }

  stop(title = "", line = "") {
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onclose = null;
      socket.close();
    }
    this.running = false;
    this.worklet?.port.postMessage("stop");
    this.stream?.getTracks().forEach((track) => track.stop());
    if (this.sound?.state !== "closed") this.sound?.close();
    this.frames?.forEach(({ picture }) => picture.close());
    this.frames = [];
    this.stream = this.sound = this.worklet = null;
    this.button.textContent = "Start";
    this.ended = false;
    if (title) this.say(title, line);
    else if (!this.shown?.count) this.say("", "");
    else this.words.hidden = true;
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // ---- up and down -------------------------------------------------------------------------------------------------

  piece({ first, samples }) {
    this.first ??= first;
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > 64000) return this.stop("Too slow a line", "Your connection cannot carry the sound; try again later.");
    this.socket.send(samples);
  }

  news(said) {
    if (said.state === "waiting") this.say("Waiting", said.position > 1 ? `${said.position - 1} before you` : "Next in line");
    if (said.state === "ready") this.begin();
    if (said.state === "refused") this.stop("Not now", said.why);
    if (said.state === "ended") this.finish(said.why);
  }

  finish(why) {
    this.ended = true;
    const rest = this.frames.length ? this.frames.at(-1).at - this.place() : 0;
    setTimeout(() => this.stop("That was it", why ?? ""), 1000 * Math.max(0, rest));
  }

  async frame(data) {
    if (!this.sound || this.first === null) return;
    const at = new DataView(data).getFloat64(0);
    this.late.push(this.sound.currentTime - this.first - at);
    if (this.late.length > WATCHED) this.late.shift();
    this.setDelay();
    const picture = await createImageBitmap(new Blob([new Uint8Array(data, 8)], { type: "image/jpeg" }));
    if (!this.sound) return picture.close();
    this.frames.push({ at, picture });
  }

  // The delay follows the lateness of the last seconds: up at once, down slowly, and only when it is worth it.
  setDelay() {
    const sorted = this.late.toSorted((a, b) => a - b);
    const wanted = Math.min(MOST_DELAY_S, sorted[Math.floor(ON_TIME * (sorted.length - 1))] + MARGIN_S);
    const now = this.sound.currentTime;
    if (this.delay === null || wanted > this.delay) this.delay = wanted;
    else if (this.late.length === WATCHED && wanted < this.delay - 0.08) this.delay = Math.max(wanted, this.delay - 0.006);
    else return;
    this.echo.delayTime.setTargetAtTime(this.delay, now, 0.05);
    this.setVolume();
  }

  setVolume() {
    if (!this.volume) return;
    const heard = this.chosen("live-source") !== "microphone" || this.querySelector("[data-hear]").checked;
    this.volume.gain.setTargetAtTime(heard && this.delay !== null ? 1 : 0, this.sound.currentTime, 0.02);
  }

  place() {
    return this.sound ? this.sound.currentTime - this.first - (this.delay ?? 0) : 0;
  }

  // ---- shown -------------------------------------------------------------------------------------------------------

  draw() {
    if (!this.running || !this.sound) return;
    requestAnimationFrame(() => this.draw());
    if (this.delay === null) return;
    const place = this.place();
    let due = null;
    while (this.frames.length && this.frames[0].at <= place) {
      if (due) {
        due.picture.close();
        this.shown.dropped += 1;
      }
      due = this.frames.shift();
    }
    if (due) this.show(due);
  }

  show({ at, picture }) {
    if (this.canvas.width !== picture.width) this.canvas.width = this.canvas.height = picture.width;
    this.pen.drawImage(picture, 0, 0);
    picture.close();
    this.words.hidden = true;
    const now = this.sound.currentTime;
    this.shown.count += 1;
    this.shown.times.push(now);
    while (this.shown.times[0] < now - 1) this.shown.times.shift();
    const delay = now - this.first - at + (this.sound.outputLatency || this.sound.baseLatency || 0);
    if (this.shown.count % 10 === 0) this.tell(delay);
  }

  tell(delay) {
    const facts = [["delay", `${delay.toFixed(2)} s`], ["rate", `${this.shown.times.length} / s`], ["size", `${this.canvas.width} px`], ["dropped", this.shown.dropped]];
    this.meter.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { [`data-${name}`]: true }, `${value}`))));
    this.dataset.delay = delay.toFixed(3);
    this.dataset.frames = this.shown.count;
  }

  say(title, line) {
    this.words.hidden = false;
    this.words.classList.toggle("vs-plate", Boolean(this.shown?.count)); // over a face that was shown, words need a ground
    this.words.replaceChildren(el("p", { class: "vs-lead" }, title || "Say something."), el("p", {}, line || (title ? "" : "The face speaks along, a moment later.")));
  }
}

customElements.define("vs-live", Live);
