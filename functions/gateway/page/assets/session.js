// The token of this tab. It lives in sessionStorage: closing the tab logs out.

const key = "audio-alchemist.session";
const listeners = new Set();

/** Returns {token, email}, or null where nobody is logged in. */
export function current() {
  try {
    const session = JSON.parse(sessionStorage.getItem(key));
    return session && session.expires > Date.now() ? session : null;
  } catch {
    return null;
  }
}

/** Keeps a token for as long as it is valid (seconds). */
export function start(token, email, expiresIn) {
  sessionStorage.setItem(key, JSON.stringify({ token, email, expires: Date.now() + expiresIn * 1000 }));
  tell("");
}

/** Forgets the token; why is a sentence for the person, or "". */
export function end(why = "") {
  sessionStorage.removeItem(key);
  tell(why);
}

/** Calls back with (session or null, why) after every start and end. */
export function onChange(callback) {
  listeners.add(callback);
}

function tell(why) {
  for (const callback of listeners) callback(current(), why);
}
