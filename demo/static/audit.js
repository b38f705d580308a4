// Audit: consents with what may be done about them, and the log. Text from people is only ever set as text.

import { el, get, post } from "./session.js";

const REFUSED = new Set(["refused", "login_refused", "revoked", "job_failed"]);

class Audit extends HTMLElement {
  connectedCallback() {
    if (this.firstChild) return;
    this.consents = el("section", { class: "vs-panel", "aria-labelledby": "audit-consents" });
    this.log = el("section", { class: "vs-panel", "aria-labelledby": "audit-log", hidden: true });
    this.append(this.consents, this.log);
    this.like = "";
    // Gradio builds hidden tabs too: ask only when somebody looks.
    this.watch = new IntersectionObserver(([seen]) => seen.isIntersecting && this.load());
    this.watch.observe(this.consents);
    this.consents.append(el("h2", { id: "audit-consents" }, "Consents"), el("p", { class: "vs-soft" }, "Loading."));
  }

  disconnectedCallback() {
    this.watch?.disconnect();
  }

  get role() {
    return document.querySelector("vs-session")?.dataset.role;
  }

  async load() {
    try {
      this.showConsents(await get("/consents"));
      if (this.role === "administrator") this.showLog(await get(`/audit?like=${encodeURIComponent(this.like)}`));
      this.log.hidden = this.role !== "administrator";
    } catch (refusal) {
      this.consents.replaceChildren(el("h2", { id: "audit-consents" }, "Consents"), el("p", { class: "vs-note vs-wrong", role: "alert" }, refusal.message));
    }
  }

  // ---- consents ----------------------------------------------------------------------------------------------------

  showConsents(consents) {
    const heading = el("h2", { id: "audit-consents" }, "Consents");
    if (!consents.length) {
      return this.consents.replaceChildren(heading, el("p", { class: "vs-soft" }, "Nobody has given consent yet. Our own cast needs none."));
    }
    const rows = consents.map((consent) => this.consentRow(consent));
    this.consents.replaceChildren(heading, el("ul", { class: "vs-people" }, ...rows));
  }

  consentRow(consent) {
    const mood = { approved: "vs-right", pending: "vs-heed" }[consent.state] ?? "vs-off";
    const basis = [consent.scope, consent.basis, `recorded by ${consent.recorded_by}`, consent.approved_by && `approved by ${consent.approved_by}`, `until ${consent.until}`];
    return el("li", {},
      stands(consent) ? el("img", { src: `/consents/${consent.id}.jpg`, alt: "", width: 56, height: 56, loading: "lazy" }) : el("span", { class: "vs-thumb" }),
      el("div", {}, el("b", {}, consent.name), el("i", {}, basis.filter(Boolean).join(" · "))),
      el("span", { class: `vs-state ${mood}` }, consent.says),
      el("div", { class: "vs-row-actions" },
        consent.approvable || consent.paper ? el("button", { type: "button", class: `vs-button ${consent.approvable ? "vs-main" : ""}`, "aria-label": `Review the consent of ${consent.name}`, onclick: () => this.review(consent) }, "Review") : null,
        stands(consent) && (consent.mine || consent.approvable || this.role === "administrator") ? el("button", { type: "button", class: "vs-button vs-danger", "aria-label": `Take back the consent of ${consent.name}`, onclick: () => this.ask(consent) }, "Take back") : null));
  }

  // Portrait and paper side by side: nobody says yes to what they have not seen.
  async review(consent) {
    const answers = [el("button", { class: "vs-button", value: "" }, consent.approvable ? "Not now" : "Close")];
    if (consent.approvable) answers.push(el("button", { class: "vs-button vs-main", value: "yes" }, `Approve ${consent.name}`));
    const dialog = el("dialog", { class: "vs-dialog vs-wide-dialog", "aria-labelledby": "review-title" },
      el("form", { method: "dialog" },
        el("h2", { id: "review-title" }, `The consent of ${consent.name}`),
        el("p", {}, consent.approvable ? `Does this paper come from the person shown, and does it say yes to ${consent.scope}?` : consent.sentence),
        el("div", { class: "vs-evidence" },
          stands(consent) ? el("img", { src: `/consents/${consent.id}.jpg?large=1`, alt: `The portrait of ${consent.name}` }) : el("p", {}, "The portrait is no longer kept."),
          await paper(consent)),
        el("div", { class: "vs-row-actions" }, ...answers)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue === "yes") this.act(`/consents/${consent.id}/approve`);
    });
    this.append(dialog);
    dialog.showModal();
  }

  ask(consent) {
    const why = el("textarea", { name: "why", rows: 2, maxlength: 300 });
    const dialog = el("dialog", { class: "vs-dialog", "aria-labelledby": "revoke-title" },
      el("form", { method: "dialog" },
        el("h2", { id: "revoke-title" }, `Take back the consent of ${consent.name}?`),
        el("p", {}, "Nothing new can be made of this face from now on, and what was made is no longer served."),
        el("label", { class: "vs-field" }, el("span", {}, "Why (is kept)"), why),
        el("div", { class: "vs-row-actions" },
          el("button", { class: "vs-button", value: "" }, "Keep it"),
          el("button", { class: "vs-button vs-danger", value: "yes" }, "Take it back"))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue === "yes") this.act(`/consents/${consent.id}/revoke`, { why: why.value });
    });
    this.append(dialog);
    dialog.showModal();
  }

  async act(path, body) {
    try {
      await post(path, body);
      document.getElementById("refresh-people")?.click();
      await this.load();
    } catch (refusal) {
      this.consents.prepend(el("p", { class: "vs-note vs-wrong", role: "alert" }, refusal.message));
    }
  }

  // ---- the log -----------------------------------------------------------------------------------------------------

  showLog({ sound, count, finding, entries }) {
    const badge = el("p", { class: `vs-note ${sound ? "vs-right" : "vs-wrong"}` }, sound ? `The chain of ${count} entries is sound.` : `The chain is broken: ${finding}.`);
    const search = el("input", { type: "search", value: this.like, placeholder: "A name, an event or an id" });
    const form = el("form", { class: "vs-search", onsubmit: (event) => { event.preventDefault(); this.like = search.value; this.load(); } },
      el("label", {}, el("span", { class: "vs-spoken" }, "Search the log"), search), el("button", { class: "vs-button" }, "Search"));
    // Roles by name: on a phone the rows are no table to the eye, and browsers would not call them one.
    const head = el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...["No.", "When", "What", "Who", "About"].map((name) => el("th", { scope: "col", role: "columnheader" }, name))));
    const rows = entries.map((entry) => this.entryRow(entry));
    const table = entries.length ? el("div", { class: "vs-scroll", tabindex: 0, role: "region", "aria-label": "Log" }, el("table", { role: "table" }, head, el("tbody", { role: "rowgroup" }, ...rows))) : el("p", { class: "vs-soft" }, "No entry fits.");
    const hadFocus = this.log.contains(document.activeElement);
    this.log.replaceChildren(el("h2", { id: "audit-log" }, "Log"), badge, form, table);
    if (hadFocus) search.focus();
  }

  entryRow({ number, at, event, kind, actor, facts }) {
    const about = Object.entries(facts).map(([name, value]) => `${name.replaceAll("_", " ")} ${value.length > 20 ? value.slice(0, 12) + "…" : value}`).join(", ");
    const cells = [number, new Date(at).toLocaleString(), event, actor, about];
    return el("tr", { class: REFUSED.has(kind) ? "vs-bad" : null, role: "row" }, ...cells.map((value) => el("td", { role: "cell" }, value)));
  }
}

// What has ended keeps no portrait.
function stands({ state }) {
  return state === "approved" || state === "pending";
}

// The signed statement as it can be shown; its text is only ever set as text.
async function paper(consent) {
  const address = `/consents/${consent.id}/paper`;
  if (consent.paper === "picture") return el("img", { src: address, alt: "The signed statement" });
  if (consent.paper === "pdf") return el("p", {}, el("a", { class: "vs-button", href: address, download: true }, "Download the signed statement (PDF)"));
  if (consent.paper !== "text") return el("p", {}, "No paper is kept here.");
  const answer = await fetch(address);
  return el("pre", { tabindex: 0, role: "region", "aria-label": "The signed statement" }, answer.ok ? await answer.text() : "The paper cannot be read now; try again.");
}

customElements.define("vs-audit", Audit);
