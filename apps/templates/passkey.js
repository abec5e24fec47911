// Passkeys: asks the gate for a question, hands it to the browser, and sends the answer with the form it stands in.
// A form says where to ask (data-ask) and whether a passkey is made (data-make) or shown. Without this script such
// forms stay hidden, and everything else works.
"use strict";

const toBytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));

const toText = (buffer) => {
  let bytes = "";
  for (const byte of new Uint8Array(buffer)) bytes += String.fromCharCode(byte);
  return btoa(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
};

// WebAuthn Level 3, 5.1.8 and 5.1.9, for browsers that can't read options from JSON yet.
const readable = (options) => {
  const id = (entry) => ({ ...entry, id: toBytes(entry.id) });
  options.challenge = toBytes(options.challenge);
  if (options.user) options.user = id(options.user);
  for (const list of ["excludeCredentials", "allowCredentials"]) {
    if (options[list]) options[list] = options[list].map(id);
  }
  return options;
};

const sendable = (credential) => {
  const response = { clientDataJSON: toText(credential.response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature"]) {
    if (credential.response[name]) response[name] = toText(credential.response[name]);
  }
  if (!response.attestationObject) {
    response.userHandle = credential.response.userHandle ? toText(credential.response.userHandle) : null;
  }
  return JSON.stringify({
    id: credential.id, rawId: toText(credential.rawId), type: credential.type, response,
  });
};

const use = async (form) => {
  const answer = await fetch(form.dataset.ask, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const asked = await answer.json();
  // Too many tries, or the form is too old: the page says it better.
  if (!answer.ok) throw new Error(asked.message);
  const options = { publicKey: readable(asked.publicKey) };
  const credential = "make" in form.dataset
    ? await navigator.credentials.create(options)
    : await navigator.credentials.get(options);
  form.elements.ceremony.value = asked.ceremony;
  form.elements.credential.value = sendable(credential);
  form.submit();
};

const explain = (form, error) => {
  const problem = form.querySelector("[data-problem]");
  const ours = !(error instanceof DOMException) && !(error instanceof TypeError) && error.message;
  problem.textContent = ours || (error.name === "InvalidStateError" && form.dataset.exists) || form.dataset.cancelled;
  problem.hidden = false;
  problem.scrollIntoView({ block: "nearest" });
};

for (const form of document.querySelectorAll("form[data-ask]")) {
  if (!window.PublicKeyCredential || !navigator.credentials) continue;
  form.hidden = false;
  const button = form.querySelector("button");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    button.disabled = true;
    form.querySelector("[data-problem]").hidden = true;
    use(form).catch((error) => explain(form, error)).finally(() => { button.disabled = false; });
  });
}

for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
