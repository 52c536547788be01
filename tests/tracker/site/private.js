// Fails in all ways, with secrets in each.
const at = (id) => document.getElementById(id);
at("link").addEventListener("click", (event) => event.preventDefault());
at("button").addEventListener("click", () => {
  fetch("/missing?key=SECRET-request", { method: "POST", body: "SECRET-body", headers: { "X-Key": "SECRET-header" } });
  Promise.reject(new Error("on purpose: SECRET-rejection"));
  for (const field of document.querySelectorAll("input")) field.setAttribute("aria-invalid", "true");
  at("all").checkValidity();
  history.replaceState({ state: "SECRET-state" }, "SECRET-name", "/private.html?now=SECRET-query2#SECRET-fragment2");
  throw new Error("on purpose: SECRET-error");
});
