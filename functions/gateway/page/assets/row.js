// One job in the list.

import * as format from "./format.js";
import { asText } from "./options.js";
import { makeResult } from "./result.js";
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
  const results = new Map(); // fid → what makeResult returned
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
    part(".asked").textContent = asText(job.options ?? {});
    showResults(job.results);
  }

  function showReason(text) {
    part(".reason").textContent = text;
    part(".reason").hidden = text === "";
  }

  function showResults(all) {
    const list = part(".results");
    for (const [fid, old] of results) {
      if (all.some((result) => result.fid === fid)) continue;
      old.element.remove();
      results.delete(fid);
    }
    for (const result of all) {
      if (!results.has(result.fid)) {
        const made = makeResult({ stale, renew });
        results.set(result.fid, made);
        list.append(made.element);
      }
      results.get(result.fid).show(result);
    }
    list.hidden = all.length === 0;
    list.setAttribute("aria-label", `Results of ${row.job.name}`);
  }

  const stale = () => Date.now() - shownAt > fresh;
  const attempt = (action) => action().catch((failure) => showReason(failure.message));
  const renew = (then) => attempt(async () => {
    await refresh();
    await then();
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
