// Several clips side by side, played, paused and moved as one.

import { el } from "./session.js";

class Compare extends HTMLElement {
  connectedCallback() {
    if (this.querySelector(".vs-together")) return;
    this.videos = [...this.querySelectorAll("video")];
    if (this.videos.length < 2) return;
    this.play = el("button", { type: "button", class: "vs-button vs-main", onclick: () => this.toggle() }, "Play together");
    this.place = el("input", { type: "range", min: 0, max: 1000, value: 0, "aria-label": "Place in the clips", oninput: () => this.seek() });
    this.append(el("div", { class: "vs-together" }, this.play, this.place));
    const [first] = this.videos;
    for (const change of ["play", "pause", "ended"]) first.addEventListener(change, () => this.show());
    first.addEventListener("timeupdate", () => this.follow());
  }

  toggle() {
    const [first, ...others] = this.videos;
    if (!first.paused) return this.videos.forEach((video) => video.pause());
    others.forEach((video) => { video.muted = true; video.currentTime = first.currentTime; });
    this.videos.forEach((video) => video.play());
  }

  seek() {
    const at = (this.place.value / 1000) * (this.videos[0].duration || 0);
    this.videos.forEach((video) => { video.currentTime = at; });
  }

  follow() {
    const [first, ...others] = this.videos;
    if (first.duration) this.place.value = (1000 * first.currentTime) / first.duration;
    for (const video of others) if (Math.abs(video.currentTime - first.currentTime) > 0.08) video.currentTime = first.currentTime;
  }

  show() {
    this.play.textContent = this.videos[0].paused ? "Play together" : "Pause";
  }
}

customElements.define("vs-compare", Compare);
