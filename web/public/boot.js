// Before everything else: what must hold before the first schema is made, and before the first paint.

// The page's policy allows no eval. Zod would try it once for each schema, and each try is an entry in the console.
globalThis.__zod_globalConfig = { jitless: true };

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
