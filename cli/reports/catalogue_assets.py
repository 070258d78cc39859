"""Style and script of the catalogue page: plain, small, nothing from outside."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d5dae0;--soft:#f4f6f8;--link:#0a56a5}
@media (prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e4e8ec;--dim:#9aa5b1;--line:#343c46;--soft:#1c2229;
--link:#7ab8ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:80rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.2rem;margin:1.5rem 0 .5rem}h3{font-size:1rem;margin:1rem 0 .25rem}
header p,small,dt{color:var(--dim)}a{color:var(--link)}
form{position:sticky;top:0;background:var(--bg);border-bottom:1px solid var(--line);padding:.6rem 0;display:flex;
flex-wrap:wrap;gap:.4rem .6rem;align-items:center}
form[hidden]{display:none}
input{flex:1 1 16rem;min-width:0}input,select{font:inherit;padding:.3rem .4rem;color:inherit;background:var(--soft);
border:1px solid var(--line);border-radius:.3rem;max-width:100%}
details{border:1px solid var(--line);border-radius:.3rem;margin:.25rem 0;padding:.3rem .6rem;
scroll-margin-top:6rem}
summary{cursor:pointer}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:.4rem 0}dd{margin:0;min-width:0}
code,pre,td:first-child,td:nth-child(5){font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;
font-size:.8125rem}
pre{background:var(--soft);margin:0;padding:.4rem .6rem;white-space:pre-wrap}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem;width:100%}
th,td{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
td:first-child{white-space:nowrap}
tr{content-visibility:auto}
.out{display:none}
@media (max-width:40rem){dl{grid-template-columns:1fr}}
"""

SCRIPT = """
"use strict";
(function () {
  var form = document.getElementById("search"), words = document.getElementById("words");
  var found = document.getElementById("found"), selects = {};
  ["tier", "kind", "subsystem"].forEach(function (name) { selects[name] = document.getElementById(name); });
  var items = [];
  document.querySelectorAll("details.rule").forEach(function (node) {
    var data = node.dataset;
    items.push({
      node: node, text: node.textContent.toLowerCase(), kind: " " + data.kind + " ", subsystem: data.subsystem,
      tier: data["class"] === "kernel-bug" ? " curated " : " curated not-a-kernel-bug "
    });
  });
  document.querySelectorAll("#mined tbody tr").forEach(function (node) {
    var cells = node.cells;
    items.push({
      node: node, text: node.textContent.toLowerCase(), kind: " " + cells[3].textContent + " ",
      subsystem: cells[2].textContent, tier: " mined "
    });
  });
  function update() {
    var wanted = words.value.toLowerCase().split(/\\s+/).filter(Boolean);
    var tier = selects.tier.value, kind = selects.kind.value, subsystem = selects.subsystem.value, count = 0;
    items.forEach(function (item) {
      var fits = (!tier || item.tier.indexOf(" " + tier + " ") >= 0) &&
        (!kind || item.kind.indexOf(" " + kind + " ") >= 0) && (!subsystem || item.subsystem === subsystem) &&
        wanted.every(function (word) { return item.text.indexOf(word) >= 0; });
      item.node.classList.toggle("out", !fits);
      if (fits) { count += 1; }
    });
    document.querySelectorAll("section").forEach(function (section) {
      section.classList.toggle("out", !section.querySelector("details.rule:not(.out)"));
    });
    found.textContent = count + " of " + items.length;
  }
  var waiting = null;
  function soon() {
    clearTimeout(waiting);
    waiting = setTimeout(update, 80);
  }
  function open() {
    var node = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (node && node.tagName === "DETAILS") { node.open = true; node.scrollIntoView(); }
  }
  words.addEventListener("input", soon);
  Object.keys(selects).forEach(function (name) { selects[name].addEventListener("change", update); });
  form.addEventListener("submit", function (event) { event.preventDefault(); update(); });
  window.addEventListener("hashchange", open);
  form.hidden = false;
  update();
  open();
})();
"""
