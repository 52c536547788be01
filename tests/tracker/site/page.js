// What the pages of this site do, well and badly.
const at = (id) => document.getElementById(id);
const out = (text) => (at("out").textContent = text);
const when = (id, action, type = "click") => at(id)?.addEventListener(type, action);

when("reacts", () => out("reacted"));
when("later", () => setTimeout(() => out("reacted later"), 1500));
when("plus", () => out("plus"));
when("next", () => out("next"));
when("scrolls", () => scrollTo(0, 500));
when("slow", (event) => event.preventDefault());
when("throws", () => {
  throw new Error("on purpose");
});
when("rejects", () => {
  Promise.reject(new Error("on purpose"));
});
when("fetches", async () => {
  const answers = await Promise.all([fetch("/back"), fetch("/missing")]);
  const lost = await fetch("/broken-line").catch((error) => error.name);
  out([...answers.map((answer) => answer.status), lost].join());
});
when("asks", () => {
  const request = new XMLHttpRequest();
  request.open("GET", "/missing");
  request.onload = () => out("asked " + request.status);
  request.send();
});
when("loads", () => {
  document.body.append(Object.assign(new Image(), { src: "/missing.png" }));
});
when("city", () => at("city").setAttribute("aria-invalid", at("city").value === "bad"), "change");
const shadow = at("shadow")?.attachShadow({ mode: "open" });
if (shadow) {
  const button = document.createElement("button");
  button.textContent = "Inside";
  button.addEventListener("click", () => (button.textContent = "Changed inside"));
  shadow.append(button);
}
