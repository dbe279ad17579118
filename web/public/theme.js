// Before the first paint, so that nothing flashes.
(() => {
  let choice = "system";
  try {
    choice = localStorage.getItem("keygate-theme") ?? "system";
  } catch {
    // Without storage the system decides.
  }
  const dark = choice === "dark" || (choice === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
})();
