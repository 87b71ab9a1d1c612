/** The page of the ingest dock: asks who looks, then shows the dock for as long as the token is good. */

import { DockView } from "./dock_view.js";
import { setShown, setText } from "./dom.js";
import { shown } from "./format.js";
import { CancelDialog } from "./job_actions.js";
import { SignIn } from "./sign_in.js";
import { controlTheme } from "./theme.js";

const ENDED = "The token is not valid any more: it has expired or was revoked.";
const byId = (id) => document.getElementById(id);

const dialog = new CancelDialog();
const signIn = new SignIn(enter);
let view = null;

function enter(api, who) {
  view = new DockView(api, who, { dialog, refused: () => leave(ENDED) });
  setText(byId("who"), `${shown(who.name)}, ${who.role === "operate" ? "may operate" : "may look"}`);
  for (const id of ["who", "sign-out"]) setShown(byId(id), true);
  view.start();
}

function leave(why) {
  view?.stop();
  view = null;
  for (const id of ["who", "sign-out"]) setShown(byId(id), false);
  document.title = "Ingest dock";
  signIn.ask(why);
}

controlTheme(byId("theme"), byId("theme-word"));
byId("sign-out").addEventListener("click", () => leave(""));
signIn.start();
