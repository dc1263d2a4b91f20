// One result of a job: its facts, a player, and a link to save it.

import * as format from "./format.js";

const names = { mp3: "MP3", m4a: "M4A", opus: "Opus", ogg: "Ogg Vorbis", flac: "FLAC", wav: "WAV" };

/**
 * Makes the row of a result. stale says whether its address has to be asked
 * for again before it is used; renew does that, and then what it is given.
 * Returns {element, show(result)}.
 */
export function makeResult({ stale, renew }) {
  const template = document.getElementById("result-template");
  const element = template.content.cloneNode(true).firstElementChild;
  const audio = element.querySelector("audio");
  const link = element.querySelector(".get");

  function show(result) {
    const url = sameOrigin(result.url);
    audio.hidden = link.hidden = !url;
    element.querySelector(".format").textContent = names[result.format] ?? result.format;
    element.querySelector(".facts").textContent = `${format.length(result.duration_seconds)}, ${format.bytes(result.bytes)}`;
    if (!url) return;
    audio.setAttribute("aria-label", `Play ${result.name}`);
    link.setAttribute("aria-label", `Download ${result.name}`);
    link.href = url;
    // A new address would stop what plays.
    if (audio.paused && audio.getAttribute("src") !== url) audio.src = url;
  }

  audio.addEventListener("play", () => {
    if (!stale()) return;
    audio.pause();
    renew(() => audio.play());
  });
  link.addEventListener("click", (event) => {
    if (!stale()) return;
    event.preventDefault();
    renew(() => link.click());
  });
  return { element, show };
}

/** Returns path and query of an address of this origin, else "". */
function sameOrigin(address) {
  const url = new URL(address, location.origin);
  return url.origin === location.origin ? url.pathname + url.search : "";
}
