/**
 * Light or dark: as the system has it, or as was chosen here, which this browser remembers.
 *
 * Runs before the first paint, so that no light page flashes up in a dark room.
 */

const KEY = "transfer.theme";
const NEXT = { automatic: "light", light: "dark", dark: "automatic" };
const NAMES = { automatic: "Auto", light: "Light", dark: "Dark" };

let theme = stored();
document.documentElement.dataset.theme = theme;

/** Make a button go round the themes; `word` is where it tells the one that holds. */
export function controlTheme(button, word) {
  const show = () => {
    document.documentElement.dataset.theme = theme;
    word.textContent = NAMES[theme];
    button.setAttribute("aria-label", `Theme: ${NAMES[theme]}. Change to ${NAMES[NEXT[theme]]}`);
  };
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    remember();
    show();
  });
  show();
}

function stored() {
  try {
    const found = localStorage.getItem(KEY);
    return found in NEXT ? found : "automatic";
  } catch {
    return "automatic"; // the browser keeps nothing for this page
  }
}

function remember() {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // It holds until the page is left.
  }
}
