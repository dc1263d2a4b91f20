// The API of the server: one function per request.

import * as session from "./session.js";

/** An answer that is not a success. status is 0 where there was none. */
export class Failure extends Error {
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter; // seconds, 0 if unknown
  }
}

const unreachable = "The server cannot be reached. Check the connection and try again.";
const ended = "Your session has ended. Please log in again.";

/** Trades a password for a token: {access_token, token_type, expires_in}. */
export async function login(email, password) {
  const headers = { Authorization: "Basic " + base64(`${email}:${password}`), Accept: "application/json" };
  return (await send("/login", { method: "POST", headers })).json();
}

export const listJobs = async (path = "/jobs") => (await authorized(path)).json();
export const getJob = async (id) => (await authorized(jobPath(id))).json();
export const retryJob = async (id) => (await authorized(jobPath(id) + "/retry", { method: "POST" })).json();
export const deleteJob = (id) => authorized(jobPath(id), { method: "DELETE" });

/** Opens the event stream of a job and returns its response. */
export const openEvents = (id, signal) =>
  authorized(jobPath(id) + "/events", { signal, headers: { Accept: "text/event-stream" } });

/**
 * Uploads one file with options, [name, value] each. onProgress gets (sent,
 * total) in bytes; aborting the signal cancels. Returns the job.
 * XMLHttpRequest, because fetch tells no progress of what it sends.
 */
export function upload(file, options, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    // Before the file: a server that refuses one does so at once.
    for (const [name, value] of options) form.append(name, value);
    form.append("file", file, file.name);
    request.open("POST", "/upload");
    request.setRequestHeader("Authorization", "Bearer " + bearer());
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => {
      const body = parse(request.responseText);
      if (request.status === 202 && body) return resolve(body);
      if (request.status === 401) session.end(ended);
      reject(new Failure(request.status, sentence(request.status, body)));
    };
    request.onerror = () => reject(new Failure(0,
      "The connection broke during the upload. The file may be too large, or the network is down."));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

const jobPath = (id) => "/jobs/" + encodeURIComponent(id);

function bearer() {
  const now = session.current();
  if (now) return now.token;
  session.end(ended);
  throw new Failure(401, ended);
}

async function authorized(path, options = {}) {
  const token = bearer();
  const headers = { Accept: "application/json", ...options.headers, Authorization: "Bearer " + token };
  try {
    return await send(path, { ...options, headers });
  } catch (error) {
    // An answer to an older token says nothing about the one of now.
    if (error.status === 401 && session.current()?.token === token) {
      session.end(ended);
      error.message = ended;
    }
    throw error;
  }
}

async function send(path, options) {
  let response;
  try {
    // Credentials of the browser's own stay out of it, and so does its dialog.
    response = await fetch(path, { ...options, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, unreachable);
  }
  if (response.ok) return response;
  const problem = parse(await response.text().catch(() => ""));
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  throw new Failure(response.status, sentence(response.status, problem), retryAfter);
}

function sentence(status, problem) {
  if (typeof problem?.detail === "string" && problem.detail) return problem.detail;
  return status >= 500 ? "The server has a problem. Try again in a moment." : `The server refused this (${status}).`;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Base64 of the UTF-8 bytes: btoa alone refuses what is not Latin-1. */
function base64(text) {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}
