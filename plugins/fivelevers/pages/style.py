"""The look of every page: one sheet for screens light and dark, narrow and wide, and for paper."""

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #1d2126; --soft: #5c6570; --faint: #8b939d; --rule: #e4e2dd;
  --cost: #4a5562; --ghost: #d6d9dd; --good: #1b7f4f; --bad: #c0392f;
  --prompt_cache: #2f6bd0; --semantic_cache: #0d8f83; --batch: #c07a00; --routing: #8350cf; --quantization: #cc4678;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --card: #1b1f24; --ink: #e9ebed; --soft: #a6afb9; --faint: #7d8792; --rule: #2e343b;
    --cost: #a9b4c0; --ghost: #3a424b; --good: #4fbf88; --bad: #ef7b70;
    --prompt_cache: #6ea0f5; --semantic_cache: #3fc0b2; --batch: #e3a53c; --routing: #b08cf0;
  --quantization: #ee82a8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
main { max-width: 1040px; margin: 0 auto; padding: 40px 24px 64px; }
.brand { font-size: 13px; font-weight: 600; color: var(--soft); }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.015em; margin: 6px 0 8px; text-wrap: balance; }
h2 { font-size: 19px; line-height: 1.3; letter-spacing: -0.008em; margin: 0 0 4px; text-wrap: balance; }
h3 { font-size: 14px; margin: 0 0 6px; overflow-wrap: anywhere; }
p { margin: 0 0 10px; max-width: 68ch; }
.lead { color: var(--soft); font-size: 16px; }
.note { color: var(--soft); font-size: 13.5px; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 22px 24px;
  margin-top: 20px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(148px, 1fr)); margin-top: 24px;
  background: var(--card); border: 1px solid var(--rule); border-radius: 10px; overflow: hidden; }
.tile { padding: 14px 18px; box-shadow: -1px -1px 0 0 var(--rule); }
.tile .name { font-size: 12.5px; color: var(--soft); }
.tile .value { font-size: 23px; font-weight: 600; letter-spacing: -0.01em; line-height: 1.3; }
.tile .beside { font-size: 12.5px; color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
figure { margin: 14px 0 0; }
figcaption { font-size: 12.5px; color: var(--soft); margin-top: 4px; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font-size: 12.5px; fill: var(--ink); font-family: inherit;
  paint-order: stroke; stroke: var(--card); stroke-width: 3px; stroke-linejoin: round; }
svg .soft { fill: var(--soft); } svg .strong { font-weight: 600; }
svg .rule { stroke: var(--rule); } svg .join { stroke: var(--faint); stroke-dasharray: 2 3; }
.narrow { display: none; }
.pairs { display: grid; gap: 26px 34px; margin-top: 16px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr)); gap: 6px 34px; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 360px), 1fr));
  gap: 22px 34px; margin-top: 14px; }
.panels figure { margin: 0; } .panels figcaption { margin: 0 0 4px; } .panels h3 { margin: 0; }
.pair h3 { grid-column: 1 / -1; margin: 0; }
.pair figure { margin: 0; } .pair figcaption { margin: 0 0 2px; }
.halves { display: grid; grid-template-columns: 1fr 1fr; gap: 0 20px; align-items: start; }
.halves svg { max-width: 400px; } .halves .wide { display: none; } .halves .narrow { display: block; }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; color: var(--soft); margin: 8px 0 0;
  padding: 0; list-style: none; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px;
  border: 1.5px solid; }
.table { overflow-x: auto; margin-top: 14px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: right; padding: 5px 0 5px 14px; border-bottom: 1px solid var(--rule);
  vertical-align: baseline; white-space: nowrap; }
th { font-weight: 500; color: var(--soft); }
th:first-child, td:first-child, .words { text-align: left; padding-left: 0; }
td:first-child, td.words { white-space: normal; overflow-wrap: anywhere; min-width: 9ch; }
td.words { min-width: 13ch; }
th.words, td.words { padding-left: 18px; }
tr:last-child td { border-bottom: 0; } tr.sum td { font-weight: 600; border-top: 1.5px solid var(--faint); }
details { margin-top: 12px; } summary { cursor: pointer; font-size: 13px; color: var(--soft); }
ul.plain { margin: 8px 0 0; padding-left: 18px; max-width: 72ch; } ul.plain li { margin-bottom: 5px;
  overflow-wrap: anywhere; }
@media (max-width: 640px) {
  main { padding: 24px 14px 40px; } section { padding: 16px 14px; } h1 { font-size: 24px; }
  .halves { display: block; } .wide { display: none; } .narrow { display: block; } .tile { padding: 12px 14px;
  } .tile .value { font-size: 20px; }
}
@page { size: A4; margin: 13mm; }
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #111; --soft: #444; --faint: #777; --rule: #ccc; }
  body { font-size: 10.5pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { padding: 0; max-width: none; } section, figure, tr, .pair, .tiles { break-inside: avoid; }
  .sheet { font-size: 8.5pt; line-height: 1.35; } .sheet h1 { font-size: 15pt; } .sheet h2 { font-size: 10.5pt; }
  .sheet table { font-size: 8pt; } .sheet .tiles { margin-top: 8px; } .sheet .tile { padding: 6px 10px; }
  .sheet .tile .value { font-size: 13pt; } .sheet th, .sheet td { padding: 2px 0 2px 8px; }
  .sheet ul.plain li { margin-bottom: 2px; }
  section { border: 0; border-top: 1px solid var(--rule); border-radius: 0; padding: 10px 0; margin-top: 10px; }
}
"""
