"""How report.html looks: one style for screens, light and dark, and for paper (A4). No foreign resource."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #fdfcf9; --ground: #eeece6; --ink: #1d1c1a; --soft: #6a665d; --rule: #d9d5ca; --wash: #f4f2ec;
  --tone: #1f6b4a; --serif: "Iowan Old Style", "Palatino Linotype", Palatino, P052, "Source Serif 4", Georgia,
  "Liberation Serif", "DejaVu Serif", serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial,
  sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace;
}
.running { --tone: #235a97; } .partial, .interrupted { --tone: #94590a; }
.damaged, .failed { --tone: #a62a1f; }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #1b1a18; --ground: #121110; --ink: #ece9e1; --soft: #a29d91; --rule: #3a3833;
    --wash: #242320; --tone: #6cc39a; }
  .running { --tone: #84b4ea; } .partial, .interrupted { --tone: #e0a652; }
  .damaged, .failed { --tone: #f08a7c; }
}
* { box-sizing: border-box; }
html { background: var(--ground); -webkit-text-size-adjust: 100%; }
body { margin: 0; color: var(--ink); font: 14px/1.5 var(--sans); font-variant-numeric: tabular-nums; }
main { max-width: 54rem; margin: 2rem auto; padding: 2.75rem 3.25rem 2rem; background: var(--paper);
  border-top: 5px solid var(--tone); box-shadow: 0 1px 3px rgb(0 0 0 / .14); }
h1, h2, p, dl, dd, ol, ul { margin: 0; padding: 0; }
ul, ol { list-style: none; }
header { display: flex; flex-wrap: wrap; gap: .25rem 2rem; justify-content: space-between; color: var(--soft);
  font-size: .8125rem; }
.kicker, h2 { font: 600 .6875rem/1.4 var(--sans); letter-spacing: .1em; text-transform: uppercase;
  color: var(--soft); }
h1 { margin: 1.4rem 0 .35rem; font: 400 2.875rem/1.08 var(--serif); letter-spacing: -.015em;
  color: var(--tone); }
.lede { max-width: 38rem; font: 400 1.1875rem/1.42 var(--serif); text-wrap: pretty; }
.why { margin-top: .7rem; padding-left: .8rem; border-left: 2px solid var(--tone); overflow-wrap: anywhere; }
section { margin-top: 1.9rem; }
h2 { margin-bottom: .55rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.75rem, 1fr)); margin-top: 1.7rem;
  border-block: 1px solid var(--rule); }
.figures > div { padding: .8rem 1rem .85rem 0; }
.figures dt { color: var(--soft); font-size: .75rem; }
.figures dd { font: 400 1.5rem/1.3 var(--serif); font-variant-numeric: lining-nums; white-space: nowrap; }
.figures dd + dd { font: .75rem/1.4 var(--sans); color: var(--soft); white-space: normal; }
.figures .bad dd:first-of-type { color: var(--tone); }
.pair { display: grid; grid-template-columns: 1.3fr 1fr; gap: 0 2.5rem; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .12rem 1rem; }
.facts dt { color: var(--soft); } .facts dd { min-width: 0; overflow-wrap: anywhere; }
.digest { max-width: 36ch; font: .75rem/1.6 var(--mono); }
.digest span { display: inline-block; margin-right: .5em; }
code, .name { font: .78125rem/1.5 var(--mono); }
.name { unicode-bidi: isolate; white-space: pre-wrap; overflow-wrap: anywhere; }
.escape { color: var(--tone); font-size: .9em; }
.said { max-width: 42rem; } .said li + li { margin-top: .3rem; } .quiet { color: var(--soft); }
.steps { max-width: 42rem; counter-reset: step; }
.steps li { position: relative; padding-left: 1.6rem; counter-increment: step; }
.steps li + li { margin-top: .35rem; }
.steps li::before { content: counter(step); position: absolute; left: 0; color: var(--tone);
  font: 1rem/1.35 var(--serif); }
.steps code { padding: .05em .3em; border-radius: 3px; background: var(--wash); overflow-wrap: anywhere; }
.reasons > li { display: grid; grid-template-columns: 5.5rem 1fr; gap: 0 1rem; padding: .55rem 0;
  border-bottom: 1px solid var(--rule); break-inside: avoid; }
.reasons > li:first-child { padding-top: 0; } .reasons > li:last-child { border-bottom: 0; }
.many strong { display: block; font: 400 1.25rem/1.2 var(--serif);
  font-variant-numeric: lining-nums; } .many span { font-size: .75rem; color: var(--soft); }
.what { min-width: 0; overflow-wrap: anywhere; } .what ul { margin-top: .15rem; color: var(--soft); }
.what .name { margin-right: .5em; color: var(--ink); } .what ul li { overflow: hidden; }
.custody { display: flex; flex-wrap: wrap; row-gap: 1rem; }
.custody li { position: relative; flex: 1 1 auto; padding: .85rem .75rem 0 0; font-size: .75rem;
  line-height: 1.4; color: var(--soft); }
.custody li::before { content: ""; position: absolute; top: .2rem; left: 0; right: 0; height: 2px;
  background: var(--rule); }
.custody li::after { content: ""; position: absolute; top: 0; left: 0; width: .5rem; height: .5rem;
  border-radius: 50%; background: var(--tone); box-shadow: 0 0 0 3px var(--paper); }
.custody li:last-child::before { background: linear-gradient(90deg, var(--rule), transparent); }
.custody strong { display: block; font: 600 .8125rem/1.45 var(--sans); color: var(--ink); }
.custody span { display: block; } .simulated { font-style: italic; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 10.5px var(--sans); fill: var(--soft); } .level { text-anchor: end;
  dominant-baseline: middle; }
.time { text-anchor: middle; } .at-end { text-anchor: end; }
.grid { stroke: var(--rule); stroke-width: 1; } .mark { stroke: var(--soft); stroke-width: 1; }
.area { fill: var(--tone); opacity: .13; } .curve { fill: none; stroke: var(--tone); stroke-width: 1.75;
  stroke-linejoin: round; } .end { fill: var(--tone); }
footer { margin-top: 2.2rem; padding-top: .7rem; border-top: 1px solid var(--rule); color: var(--soft);
  font-size: .75rem; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  main { margin: 0; padding: 1.5rem 1.125rem; box-shadow: none; } h1 { font-size: 2.25rem; }
  .pair { grid-template-columns: 1fr; gap: 1.9rem; }
  .custody { flex-direction: column; } .custody li { flex: none; padding: 0 0 0 1.4rem; }
  .custody li::before { top: .45rem; bottom: -1.45rem; left: .2rem; right: auto; width: 2px; height: auto; }
  .custody span { display: inline; margin-right: .5em; } svg text { font-size: 17px; }
  .custody li:last-child::before { display: none; } .custody li::after { top: .35rem; }
  .reasons > li { grid-template-columns: 4.5rem 1fr; }
}
@media print {
  @page { size: A4; margin: 12mm 15mm; }
  :root { --paper: #fff; --ground: #fff; --ink: #000; --soft: #55524b; }
  html { font-size: 12px; }
  body { font-size: 8.75pt; line-height: 1.4; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; margin: 0; padding: 3mm 0 0; box-shadow: none; }
  h1 { margin-top: 4mm; } section { margin-top: 4.2mm; }
  .said { max-width: none; } .said li + li { margin-top: .1rem; }
  h2 { break-after: avoid; } .custody, .figures, svg, .steps li { break-inside: avoid; }
  .figures { margin-top: 4.5mm; } .pair { grid-template-columns: 1.3fr 1fr; }
  footer { margin-top: 5mm; }
}
"""
