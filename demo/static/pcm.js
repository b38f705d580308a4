// AudioWorklet: what the microphone or a voice plays, as 16 kHz 16-bit samples in pieces of 40 ms, each with its time.

const RATE = 16000;
const PIECE = 640;
const REACH = 12; // zero crossings to either side: a low-pass good enough for speech

class Pcm extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / RATE;
    this.heard = new Float32Array(0); // input not yet used, at the context's rate
    this.first = null; // context time of the very first sample
    this.place = 0; // where the next output sample lies in `heard`
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
    this.port.onmessage = () => { this.stopped = true; };
  }

  process([input]) {
    if (this.stopped) return false;
    const block = mono(input);
    if (!block) return true;
    if (this.first === null) this.first = currentTime;
    const joined = new Float32Array(this.heard.length + block.length);
    joined.set(this.heard);
    joined.set(block, this.heard.length);
    this.heard = joined;
    this.resample();
    return true;
  }

  resample() {
    const reach = Math.ceil(REACH * Math.max(1, this.step));
    while (this.place + reach < this.heard.length) {
      this.emit(this.step === 1 ? this.heard[Math.round(this.place)] : this.between(this.place, reach));
      this.place += this.step;
    }
    const spent = Math.max(0, Math.floor(this.place) - reach);
    if (spent) {
      this.heard = this.heard.slice(spent);
      this.place -= spent;
    }
  }

  between(place, reach) {
    const cut = 1 / Math.max(1, this.step);
    const middle = Math.floor(place);
    let sum = 0, weights = 0;
    for (let i = Math.max(0, middle - reach); i <= middle + reach; i++) {
      const away = i - place;
      const sinc = away === 0 ? cut : Math.sin(Math.PI * cut * away) / (Math.PI * away);
      const weight = sinc * (0.5 + 0.5 * Math.cos((Math.PI * away) / (reach + 1)));
      sum += weight * this.heard[i];
      weights += weight;
    }
    return sum / weights;
  }

  emit(value) {
    this.piece[this.filled++] = Math.max(-1, Math.min(1, value)) * 32767;
    if (this.filled < PIECE) return;
    this.port.postMessage({ first: this.first, samples: this.piece.buffer }, [this.piece.buffer]);
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
  }
}

function mono(channels) {
  if (!channels || !channels.length) return null;
  if (channels.length === 1) return channels[0];
  return channels[0].map((value, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

registerProcessor("pcm", Pcm);
