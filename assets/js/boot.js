// Runs before anything is drawn: the theme, and the language that Gradio's own texts follow.
(() => {
  const { language, theme, visitor } = window.studioBoot;
  document.documentElement.toggleAttribute("data-visitor", visitor);
  Object.defineProperty(navigator, "language", { get: () => language });
  const system = matchMedia("(prefers-color-scheme: dark)");

  window.studioTheme = (chosen) => {
    const dark = chosen === "dark" || (chosen === "system" && system.matches);
    window.studioBoot.theme = chosen;
    document.documentElement.classList.toggle("dark", dark);
    document.body?.classList.toggle("dark", dark);
  };
  window.studioTheme(theme);
  system.addEventListener("change", () => window.studioTheme(window.studioBoot.theme));
})();
