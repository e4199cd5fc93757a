// Runs before the page is drawn, so that nobody sees a flash of the other theme.
(() => {
  const wanted = localStorage.getItem("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const stored = localStorage.getItem("theme");
    document.documentElement.dataset.bsTheme = stored ?? (dark.matches ? "dark" : "light");
  };
  if (wanted !== "light" && wanted !== "dark") localStorage.removeItem("theme");
  apply();
  dark.addEventListener("change", apply);
})();
