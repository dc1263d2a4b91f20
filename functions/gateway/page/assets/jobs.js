// The list of jobs: newest first, each row kept up to date while its job runs.

import * as api from "./api.js";
import { makeRow } from "./row.js";
import { hasEnded, watch } from "./watch.js";

/**
 * Wires the list. say announces a sentence to screen readers. Returns
 * {load, add, clear}.
 */
export function setUp({ list, title, empty, error, more, template, dialog, say }) {
  const rows = new Map(); // job id → {row, abort}
  let next = null;
  let visit = 0; // goes up at clear(): answers to what came before are dropped

  function put(job, place) {
    const known = rows.get(job.id);
    if (known) return update(known, job);
    const entry = { abort: new AbortController(), following: false };
    entry.row = makeRow(template, job, {
      refresh: () => api.getJob(job.id).then((fresh) => update(entry, fresh)),
      retry: () => retry(entry, job.id),
      remove: () => remove(entry),
    });
    rows.set(job.id, entry);
    list[place](entry.row.element);
    empty.hidden = true;
    follow(entry, job);
  }

  function update(entry, job) {
    const before = entry.row.job.state;
    entry.row.show(job);
    if (before !== job.state) announce(job);
    follow(entry, job);
  }

  function announce(job) {
    if (job.state === "done") say(`${job.name} is ready.`);
    if (job.state === "failed") say(`${job.name} could not be converted. ${job.error ?? ""}`);
  }

  async function follow(entry, job) {
    if (hasEnded(job) || entry.following) return;
    entry.following = true;
    await watch(job.id, {
      signal: entry.abort.signal,
      onJob: (fresh) => {
        if (hasEnded(fresh)) entry.following = false;
        update(entry, fresh);
      },
      onGone: () => drop(entry),
    });
    entry.following = false;
  }

  async function retry(entry, id) {
    update(entry, await api.retryJob(id));
    say(`${entry.row.job.name} will be tried again.`);
  }

  async function remove(entry) {
    if (!(await confirmed(dialog, entry.row.job.name))) return;
    await api.deleteJob(entry.row.job.id).catch((failure) => {
      if (failure.status !== 404) throw failure; // gone already is as good
    });
    say(`${entry.row.job.name} is deleted.`);
    drop(entry);
  }

  /** Takes a row away; the focus that was in it goes to a neighbour. */
  function drop(entry) {
    const element = entry.row.element;
    const neighbour = element.nextElementSibling ?? element.previousElementSibling ?? title;
    const focused = element.contains(document.activeElement);
    entry.abort.abort();
    rows.delete(entry.row.job.id);
    element.remove();
    empty.hidden = rows.size > 0;
    if (focused) neighbour.focus();
  }

  async function load(path) {
    const mine = visit;
    error.hidden = true;
    more.disabled = true;
    try {
      const page = await api.listJobs(path);
      if (mine !== visit) return;
      // The first page again must not lose the place further down.
      if (path || rows.size === 0) next = page.next;
      if (path) page.jobs.forEach((job) => put(job, "append"));
      else page.jobs.reverse().forEach((job) => put(job, "prepend"));
      empty.hidden = rows.size > 0;
      more.hidden = !next?.startsWith("/jobs?");
    } catch (failure) {
      if (mine !== visit || failure.status === 401) return;
      error.textContent = failure.message;
      error.hidden = false;
    } finally {
      more.disabled = false;
    }
  }

  more.addEventListener("click", async () => {
    const last = list.lastElementChild;
    await load(next);
    (last?.nextElementSibling ?? last ?? title).focus(); // the first of the new ones
  });

  return {
    load: () => load(),
    add: (job) => put(job, "prepend"),
    clear() {
      visit++;
      for (const { abort } of rows.values()) abort.abort();
      rows.clear();
      list.replaceChildren();
      next = null;
      more.hidden = true;
      error.hidden = true;
      if (dialog.open) dialog.close("cancel");
    },
  };
}

/** Asks before something is deleted; Escape and the backdrop mean no. */
function confirmed(dialog, name) {
  dialog.querySelector("#confirm-text").textContent = `“${name}” and its sound will be gone. This cannot be undone.`;
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "delete"), { once: true });
  });
}
