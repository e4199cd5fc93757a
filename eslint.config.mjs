// What `make lint` asks of our own scripts; what is bundled from others is theirs.
import js from "@eslint/js";
import globals from "globals";

export default [
  { ignores: ["**/vendor/**", "build/**", ".venv/**", "docs/**", "dist/**", "case/**"] },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-var": "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["src/**/*.js"],
    languageOptions: { globals: { ...globals.browser, htmx: "readonly" } },
  },
  { files: ["**/*.mjs"], languageOptions: { globals: globals.node } },
];
