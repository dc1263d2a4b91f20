// The page: logging in and out, and which of its two halves is shown.

import * as api from "./api.js";
import * as format from "./format.js";
import * as jobs from "./jobs.js";
import * as options from "./options.js";
import * as session from "./session.js";
import * as upload from "./upload.js";

const get = (id) => document.getElementById(id);

/** Lets screen readers say a sentence without moving the focus. */
function say(text) {
  get("announce").textContent = text;
}

const list = jobs.setUp({
  list: get("jobs"), title: get("jobs-title"), empty: get("jobs-empty"), error: get("jobs-error"),
  more: get("more"), template: get("job-template"), dialog: get("confirm"), say,
});

const asked = options.setUp({ form: get("options-form"), details: get("options"), error: get("options-error") });

const uploads = upload.setUp({
  drop: get("drop"), input: get("file"), list: get("uploads"), template: get("upload-template"), say,
  options: asked.read, onJob: list.add,
});

function show(now, why) {
  get("login").hidden = now !== null;
  get("studio").hidden = now === null;
  get("account").hidden = now === null;
  get("who").textContent = now?.email ?? "";
  uploads.cancelAll();
  asked.clear();
  list.clear();
  complain(why);
  if (now) list.load();
}

function complain(text) {
  get("login-error").textContent = text;
  get("login-error").hidden = text === "";
}

async function logIn() {
  const email = get("email").value.trim();
  const password = get("password").value;
  if (!email || !password) {
    complain("Enter your email address and your password.");
    get(email ? "password" : "email").focus();
    return;
  }
  complain("");
  try {
    const answer = await api.login(email, password);
    get("password").value = "";
    session.start(answer.access_token, email, answer.expires_in);
    get("studio-title").focus();
    say("You are logged in.");
  } catch (failure) {
    complain(explain(failure));
    get("password").focus();
    get("password").select();
  }
}

function explain(failure) {
  if (failure.status === 429 && failure.retryAfter > 0) {
    return `Too many attempts. Try again in ${format.wait(failure.retryAfter)}.`;
  }
  return failure.message;
}

let loggingIn = false;
get("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (loggingIn) return;
  loggingIn = true;
  event.target.setAttribute("aria-busy", "true");
  await logIn();
  event.target.removeAttribute("aria-busy");
  loggingIn = false;
});

get("logout").addEventListener("click", () => {
  session.end();
  get("email").focus();
  say("You are logged out.");
});

session.onChange((now, why) => {
  show(now, why);
  if (why) get("email").focus();
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && session.current()) list.load();
});

show(session.current(), "");
