"""The style sheet of the HTML report: phone, desktop and print, light and dark; no script, nothing from outside."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d5dae0;--soft:#f4f6f8;--link:#0a56a5;
--known:#0f6b34;--escalate:#9a4a00;--notbug:#0b5f73;--none:#444c56;--hit:#fff2b8;--hitbar:#b78600;--code:#f1f3f5}
@media (prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e4e8ec;--dim:#9aa5b1;--line:#343c46;--soft:#1c2229;
--link:#7ab8ff;--known:#1b7a42;--escalate:#a3530a;--notbug:#1a7f97;--none:#5b6570;--hit:#4a3f12;--hitbar:#e0b53a;
--code:#1f262e}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:64rem;margin:0 auto;padding:1rem}
header{background:var(--none);color:#fff;border-radius:.5rem;padding:1rem 1.25rem}
header.known-issue{background:var(--known)}header.needs-escalation{background:var(--escalate)}
header.not-a-kernel-bug{background:var(--notbug)}
h1{margin:0;font-size:1.5rem;line-height:1.25}header p{margin:.35rem 0 0;font-size:1.05rem}
h2{margin:2rem 0 .6rem;font-size:1.15rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
h3{margin:1rem 0 .25rem;font-size:1rem}
p{margin:.5rem 0}a{color:var(--link)}
small,.dim{color:var(--dim);font-size:.875rem}
code,pre,.mono{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:.8125rem}
pre{background:var(--code);border-radius:.3rem;padding:.6rem .75rem;overflow-x:auto;margin:.5rem 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0}
dt{color:var(--dim)}dd{margin:0;min-width:0}
ul{margin:.4rem 0;padding-left:1.25rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem}
th,td{border:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top;
overflow-wrap:break-word}
th{background:var(--soft);font-weight:600}
td.hit{background:var(--hit);font-weight:600}
.log{border:1px solid var(--line);border-radius:.3rem;overflow-x:auto;counter-reset:none}
.log div{display:flex;min-width:max-content;padding:0 .5rem 0 0}
.log i{flex:none;width:4.5rem;text-align:right;padding-right:.75rem;color:var(--dim);font-style:normal;
user-select:none;-webkit-user-select:none}
.log code{white-space:pre;unicode-bidi:bidi-override;direction:ltr;overflow-wrap:normal}
.log .hit{background:var(--hit);box-shadow:inset .25rem 0 var(--hitbar)}
.log b{flex:none;margin-left:1rem;font-size:.75rem;color:var(--dim);font-weight:600}
.log .hit i,.log .hit b{color:var(--fg)}
.log .gap{color:var(--dim);background:var(--soft);padding:.1rem .75rem;font-size:.8125rem}
.bidi{unicode-bidi:bidi-override;direction:ltr}
summary{cursor:pointer;color:var(--link)}
ol.frames{margin:.3rem 0;padding-left:2rem}
.guess{color:var(--dim)}
footer{margin-top:2rem;border-top:1px solid var(--line);padding-top:.75rem}
@media (max-width:40rem){main{padding:.6rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}
h1{font-size:1.25rem}.log i{width:3rem;padding-right:.5rem}}
@media print{:root{--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--soft:#f3f3f3;--hit:#eee;--hitbar:#000;--code:#f3f3f3;
--link:#000}
body{font-size:10pt}main{max-width:none;padding:0}
header,header.known-issue,header.needs-escalation,header.not-a-kernel-bug{background:none;color:#000;
border:2pt solid #000}
code,pre,.mono{font-size:7.5pt}pre,.log code{white-space:pre-wrap;overflow-wrap:anywhere}
.log,.scroll,pre{overflow:visible}.log div{min-width:0}h2{break-after:avoid}table,dl{break-inside:auto}
tr{break-inside:avoid}
}
""".strip()
"""Colours keep a contrast of 4.5 to 1 and more in either scheme."""
