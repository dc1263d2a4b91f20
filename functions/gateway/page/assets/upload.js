// Choosing files and sending them, one after the other.

import * as api from "./api.js";
import * as format from "./format.js";

/**
 * Wires the drop zone. options returns what to send along with each file, null
 * if that is not right yet; onJob gets the job of each upload that was taken,
 * say announces a sentence to screen readers. Returns {cancelAll}.
 */
export function setUp({ drop, input, list, template, options, onJob, say }) {
  const waiting = [];
  const under = new Set(); // AbortControllers of everything that waits or runs
  let busy = false;

  async function run() {
    if (busy) return;
    busy = true;
    while (waiting.length > 0) await waiting.shift()();
    busy = false;
  }

  function add(files) {
    const asked = files.length > 0 ? options() : null;
    if (!asked) return;
    for (const file of files) {
      const abort = new AbortController();
      const row = makeRow(template, file, abort);
      under.add(abort);
      list.append(row.element);
      waiting.push(() => sendOne(file, asked, row, abort).finally(() => under.delete(abort)));
    }
    run();
  }

  async function sendOne(file, asked, row, abort) {
    if (abort.signal.aborted) return row.element.remove();
    say(`Uploading ${file.name}`);
    try {
      const job = await api.upload(file, asked, row.progress, abort.signal);
      dismiss(row.element, input);
      say(`${file.name} is uploaded.`);
      onJob(job);
    } catch (error) {
      if (error.name === "AbortError") {
        dismiss(row.element, input);
        say(`Upload of ${file.name} cancelled.`);
      } else {
        row.failed(error.message);
        say(`Upload of ${file.name} failed. ${error.message}`);
      }
    }
  }

  input.addEventListener("change", () => {
    add([...input.files]);
    input.value = ""; // the same file can be chosen again
  });
  acceptDrops(drop, add);
  return {
    cancelAll() {
      for (const abort of under) abort.abort();
      list.replaceChildren();
    },
  };
}

/** Removes a row; the focus that was in it goes to the file button. */
function dismiss(element, input) {
  if (element.contains(document.activeElement)) input.focus();
  element.remove();
}

function makeRow(template, file, abort) {
  const element = template.content.cloneNode(true).firstElementChild;
  const bar = element.querySelector("progress");
  const meta = element.querySelector(".meta");
  const cancel = element.querySelector(".cancel");
  const started = { at: 0 };
  element.querySelector(".name").textContent = file.name;
  bar.setAttribute("aria-label", `Upload of ${file.name}`);
  cancel.setAttribute("aria-label", `Cancel the upload of ${file.name}`);
  meta.textContent = `${format.bytes(file.size)}, waiting`;
  cancel.addEventListener("click", () => {
    abort.abort();
    dismiss(element, document.getElementById("file"));
  });
  return {
    element,
    progress(sent, total) {
      started.at ||= performance.now();
      bar.value = total > 0 ? (100 * sent) / total : 0;
      meta.textContent = sent >= total ? "Sent; the server is storing it" : describe(sent, total, started.at);
    },
    failed(reason) {
      element.classList.add("failed");
      bar.hidden = true;
      meta.textContent = reason;
      cancel.textContent = "Dismiss";
      cancel.setAttribute("aria-label", `Dismiss the failed upload of ${file.name}`);
    },
  };
}

function describe(sent, total, since) {
  const seconds = (performance.now() - since) / 1000;
  const percent = `${Math.floor((100 * sent) / total)} % of ${format.bytes(total)}`;
  if (seconds < 2) return percent;
  return `${percent}, ${format.wait(((total - sent) * seconds) / sent)} left`;
}

function acceptDrops(zone, add) {
  let depth = 0; // dragenter and dragleave also come from the elements inside
  const over = (change) => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle("over", depth > 0);
  };
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  zone.addEventListener("dragenter", (event) => hasFiles(event) && over(+1));
  zone.addEventListener("dragleave", (event) => hasFiles(event) && over(-1));
  zone.addEventListener("drop", (event) => {
    over(-depth);
    add([...(event.dataTransfer?.files ?? [])]);
  });
  // A file dropped beside the zone would otherwise replace the page.
  for (const type of ["dragover", "drop"]) {
    window.addEventListener(type, (event) => event.preventDefault());
  }
}
