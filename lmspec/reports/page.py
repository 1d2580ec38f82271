"""page: the frame of the page that html fills, and its style."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{sides}</h1>
<p class="verdict {tone}">{headline}</p>
</header>
<nav aria-label="Parts of the report">
{links}
</nav>
<main>
{parts}
</main>
</body>
</html>
"""
STYLE = """\
:root { color-scheme: light dark; --page: #fff; --text: #1a1a1a; --soft: #595959; --edge: #d9d9d9; --band: #f6f6f6;
  --good: #0b5e96; --bad: #a63c00; --unsure: #6b5200; --heat: 0, 114, 178; }
@media (prefers-color-scheme: dark) {
  :root { --page: #161616; --text: #ececec; --soft: #b0b0b0; --edge: #404040; --band: #202020;
    --good: #7cc4f2; --bad: #ff9a66; --unsure: #e3c766; --heat: 86, 180, 233; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1rem; background: var(--page); color: var(--text);
  font: 15px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2rem; } h3 { font-size: 1rem; }
nav a { display: inline-block; margin-right: 1rem; } a { color: var(--good); }
.wide { overflow-x: auto; margin: .5rem 0 1rem; }
table { border-collapse: collapse; font-size: .9rem; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; white-space: nowrap; }
th, td { border: 1px solid var(--edge); padding: .25rem .5rem; text-align: left; vertical-align: top; }
thead th { background: var(--band); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.name { font-family: ui-monospace, monospace; }
td.text { min-width: 12rem; max-width: 40rem; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); } .unsure { color: var(--unsure); }
.verdict { font-weight: 600; }
.pair { display: flex; flex-wrap: wrap; gap: 1rem; }
.heat td { background: rgba(var(--heat), calc(var(--share) * .45)); }
small { color: var(--soft); } .heat small { color: inherit; }
summary { cursor: pointer; }
figure { display: inline-block; margin: .5rem .5rem .5rem 0; padding: .5rem; max-width: 100%; background: #fff; color: #1a1a1a;
  border: 1px solid var(--edge); border-radius: .3rem; vertical-align: top; }
figure svg { max-width: 100%; height: auto; } figcaption { color: #444; font-size: .85rem; max-width: 60rem; }
"""
