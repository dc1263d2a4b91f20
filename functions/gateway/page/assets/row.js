// One job in the list.

import * as format from "./format.js";
import { hasEnded } from "./watch.js";

const labels = { received: "Received", queued: "Waiting", converting: "Converting", done: "Ready", failed: "Failed" };

// Signed links of a job work for a day; one shown for longer than this is
// asked for again before it is used.
const fresh = 6 * 3600 * 1000; // ms

/**
 * Makes the row of a job. refresh, retry and remove return promises; what
 * they fail with is shown in the row. Returns {element, job, show(job)}.
 */
export function makeRow(template, first, { refresh, retry, remove }) {
  const element = template.content.cloneNode(true).firstElementChild;
  const part = (selector) => element.querySelector(selector);
  const audio = part("audio");
  const link = part(".get");
  const row = { element, job: first, show };
  let shownAt = 0;

  function show(job) {
    row.job = job;
    shownAt = Date.now();
    element.dataset.state = job.state;
    part(".name").textContent = job.name;
    part(".state").textContent = label(job);
    part("time").dateTime = job.created_at;
    part("time").textContent = format.moment(job.created_at);
    showProgress(part("progress"), job);
    showReason(job.state === "failed" ? job.error ?? "It could not be converted." : "");
    part(".again").hidden = job.state !== "failed";
    part(".again").setAttribute("aria-label", `Try ${job.name} again`);
    part(".remove").setAttribute("aria-label", `Delete ${job.name}`);
    showResult(job.results[0]);
  }

  function showReason(text) {
    part(".reason").textContent = text;
    part(".reason").hidden = text === "";
  }

  function showResult(result) {
    const url = result && sameOrigin(result.url);
    audio.hidden = link.hidden = !url;
    part(".facts").textContent = result ? `${format.length(result.duration_seconds)}, ${format.bytes(result.bytes)}` : "";
    if (!url) return;
    audio.setAttribute("aria-label", `Play ${result.name}`);
    link.setAttribute("aria-label", `Download ${result.name}`);
    link.href = url;
    // A new address would stop what plays.
    if (audio.paused && audio.getAttribute("src") !== url) audio.src = url;
  }

  const stale = () => Date.now() - shownAt > fresh;
  const attempt = (action) => action().catch((failure) => showReason(failure.message));

  audio.addEventListener("play", () => {
    if (!stale()) return;
    audio.pause();
    attempt(async () => {
      await refresh();
      await audio.play();
    });
  });
  link.addEventListener("click", (event) => {
    if (!stale()) return;
    event.preventDefault();
    attempt(async () => {
      await refresh();
      link.click();
    });
  });
  whileBusy(part(".again"), () => attempt(retry));
  whileBusy(part(".remove"), () => attempt(remove));
  show(first);
  return row;
}

function label(job) {
  const text = labels[job.state] ?? job.state;
  return job.state === "converting" ? `${text} ${job.progress} %` : text;
}

function showProgress(bar, job) {
  bar.hidden = hasEnded(job);
  bar.setAttribute("aria-label", `Conversion of ${job.name}`);
  if (job.state === "converting" && job.progress > 0) bar.value = job.progress;
  else bar.removeAttribute("value"); // it moves, but nobody knows how far it is
}

/** Returns path and query of an address of this origin, else "". */
function sameOrigin(address) {
  const url = new URL(address, location.origin);
  return url.origin === location.origin ? url.pathname + url.search : "";
}

/** Runs the action at a click, and ignores clicks until it is over. */
function whileBusy(button, action) {
  let busy = false;
  button.addEventListener("click", async () => {
    if (busy) return;
    busy = true;
    button.setAttribute("aria-disabled", "true");
    await action();
    button.removeAttribute("aria-disabled");
    busy = false;
  });
}
