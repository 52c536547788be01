// A single-page application: pages change without a load.
const main = document.getElementById("main");
const show = () => {
  main.textContent = location.pathname;
  if (location.search) main.dataset.queuelightHits = "7";
  else delete main.dataset.queuelightHits;
};
for (const link of document.querySelectorAll("[data-route]"))
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.pushState({}, "", link.dataset.route);
    show();
  });
document.getElementById("filter").addEventListener("click", () => {
  history.replaceState({}, "", location.pathname + "?colour=red");
});
addEventListener("popstate", show);
