// Following a job until it ends: server-sent events read with fetch, because
// EventSource cannot send a token; polling where streams do not get through.

import { getJob, openEvents } from "./api.js";

// A browser opens six connections to one HTTP/1.1 origin, over all its tabs:
// streams must not take them from uploads and players. Further jobs are polled.
const maxStreams = 2;
const pollEvery = 3000; // ms
const givenUpAfter = 3; // streams in a row that told nothing
const pollsBetween = 20; // then a stream is tried again

let streams = 0;

/**
 * Calls onJob with the job after each change until it has ended, and onGone
 * if it is deleted. Ends quietly when the signal aborts or the session ends.
 */
export async function watch(id, { onJob, onGone, signal }) {
  let silent = 0; // streams in a row that told nothing
  let polls = 0; // since the last stream
  let finished = false;
  const take = (job) => {
    if (signal.aborted) return;
    finished = hasEnded(job);
    onJob(job);
  };
  while (!signal.aborted && !finished) {
    const streaming = streams < maxStreams && (silent < givenUpAfter || polls >= pollsBetween);
    try {
      if (streaming) {
        silent++;
        polls = 0;
        const told = (job) => { silent = 0; take(job); };
        if ((await follow(id, told, signal)) === "deleted") return onGone();
      } else {
        polls++;
        take(await getJob(id));
      }
    } catch (error) {
      if (signal.aborted || error.status === 401) return;
      if (error.status === 404) return onGone();
    }
    if (!finished) await pause(streaming && silent < givenUpAfter ? 500 * 2 ** silent : pollEvery, signal);
  }
}

export const hasEnded = (job) => job.state === "done" || job.state === "failed";

async function follow(id, take, signal) {
  streams++;
  try {
    const response = await openEvents(id, signal);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return "ended";
      text += value;
      const blocks = text.split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const event of blocks.map(parse)) {
        if (event.type === "job") take(JSON.parse(event.data));
        if (event.type === "deleted") return "deleted";
      }
    }
  } finally {
    streams--;
  }
}

/** Reads one block of https://html.spec.whatwg.org/multipage/server-sent-events.html. */
function parse(block) {
  const event = { type: "message", data: "" };
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "event") event.type = value;
    if (field === "data") data.push(value);
  }
  event.data = data.join("\n");
  return event;
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
