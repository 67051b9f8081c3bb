"""How the page looks: on a screen, light or dark, wide or narrow, and in print."""

STYLE = """
:root{--ink:#1d2129;--soft:#5d6572;--line:#e1e4ea;--paper:#fff;--card:#f6f7f9;--accent:#0072b2;--warn:#fdf3e0;
--warn-line:#e69f00;--note:#eaf3f9;--note-line:#56b4e9}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8ec;--soft:#a0a8b4;--line:#343a44;--paper:#16191f;--card:#20242c;
--accent:#6cb8e6;--warn:#33290f;--warn-line:#b07c08;--note:#132937;--note-line:#2f7ba8}
img.chart{filter:invert(1) hue-rotate(180deg) brightness(1.3);mix-blend-mode:screen}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:64rem;padding:2.5rem 1.5rem 4rem;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:anywhere}
h1{font-size:2.1rem;line-height:1.15;margin:.1rem 0 .6rem;letter-spacing:-.015em;text-wrap:balance}
h2{font-size:1.35rem;margin:0 0 1rem;padding-top:1.6rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.6rem 0 .6rem}
p,ul{margin:.6rem 0}
main p,main li,main dd{max-width:48rem}
section{margin-top:2.4rem}
.eyebrow{margin:0;color:var(--accent);font-size:.8rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase}
.lead{font-size:1.1rem;color:var(--soft);max-width:46rem;margin:0 0 1.4rem}
.quiet,figcaption,footer,small{color:var(--soft);font-size:.86rem}
code,pre{font:.86em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.8rem 1rem;white-space:pre-wrap}
a{color:var(--accent)}
nav{display:flex;flex-wrap:wrap;gap:.35rem 1.1rem;margin-top:1.4rem;font-size:.92rem}
nav a{text-decoration:none}nav a:hover{text-decoration:underline}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.2rem,1fr));gap:.7rem}
.cards>div{background:var(--card);border-radius:8px;padding:.7rem .9rem;display:flex;flex-direction:column}
.cards span{color:var(--soft);font-size:.8rem}.cards b{font-size:1.08rem;line-height:1.35;overflow-wrap:normal}
.box{border-left:4px solid var(--note-line);background:var(--note);border-radius:0 8px 8px 0;padding:.7rem 1rem;
margin-top:1rem}
.box.warn{border-color:var(--warn-line);background:var(--warn)}.box ul{margin:.3rem 0 0;padding-left:1.2rem}
figure{margin:0}figcaption{margin-top:.4rem;line-height:1.4}
img{display:block;max-width:100%;height:auto;border-radius:4px}
.curves img{width:100%}
img.px{image-rendering:pixelated}
.samples{display:grid;grid-template-columns:2fr 1fr;gap:1.2rem 1.4rem;align-items:start}
.samples .big{grid-row:span 2}.samples img{width:100%}
.half{max-width:30rem}
.through{display:grid;grid-template-columns:1.35fr 1fr;gap:1.4rem;align-items:start}.film img{width:100%}
.strip{display:grid;grid-template-columns:repeat(6,1fr);gap:.7rem}.strip img{width:100%}
.through .strip{grid-template-columns:repeat(2,1fr)}
.strip figcaption{font-size:.78rem}
.scroll{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums;overflow-wrap:break-word}
th{text-align:left;color:var(--soft);font-weight:600;font-size:.8rem;vertical-align:bottom}
th,td{padding:.38rem 1rem .38rem 0;border-bottom:1px solid var(--line)}
td{vertical-align:top}.n{text-align:right;white-space:nowrap}th.n{white-space:normal}
th:last-child,td:last-child{padding-right:0}
dl{display:grid;grid-template-columns:minmax(8rem,13rem) 1fr;gap:.3rem 1.2rem;margin:.8rem 0;font-size:.93rem}
dt{color:var(--soft)}dd{margin:0}
.fine{columns:2;column-gap:2rem}.fine dl{display:block;margin:0;font-size:.84rem}.fine dt,.fine dd{display:inline}
.fine dt::after{content:": "}.fine dd::after{content:"";display:block}
details{margin:.8rem 0}summary{cursor:pointer;font-weight:600;font-size:.92rem}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(24rem,1fr));gap:1rem 2rem}
.pair{display:grid;grid-template-columns:1fr 1px repeat(3,1fr);gap:.5rem;align-items:start}
.pair img{width:100%}.pair hr{margin:0;border:0;width:1px;height:100%;background:var(--soft)}
.pair figcaption{font-size:.78rem;margin-top:.2rem}
.bars{display:grid;grid-template-columns:fit-content(14rem) 1fr max-content;column-gap:.8rem;align-items:center;
font-size:.88rem;line-height:1.7;max-width:44rem;font-variant-numeric:tabular-nums}
.bars>div{display:contents}.bars i{display:block}
.bars u{display:block;height:.7rem;border-radius:2px;background:var(--accent);
print-color-adjust:exact;-webkit-print-color-adjust:exact}
.narrow{display:none}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line)}
@media (max-width:42rem){body{padding:1.4rem 1rem 3rem}h1{font-size:1.6rem}.narrow{display:block}
.samples{grid-template-columns:1fr 1fr}.samples .big{grid-column:span 2;grid-row:auto}
.strip{grid-template-columns:repeat(3,1fr)}.pairs{grid-template-columns:1fr}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}.fine{columns:1}
table{font-size:.8rem}th{font-size:.74rem}th,td{padding-right:.55rem}
.through,.through .strip{grid-template-columns:1fr}.through .strip{grid-template-columns:repeat(3,1fr)}}
@page{size:A4;margin:15mm}
@media print{:root{--ink:#000;--soft:#444;--line:#ccc;--paper:#fff;--card:#f4f4f4;--accent:#0072b2;--warn:#fff;
--note:#fff}img.chart{filter:none;mix-blend-mode:normal}body{font-size:10pt;padding:0;max-width:none}nav,.film{display:none}
.through{display:block}.through .strip{grid-template-columns:repeat(6,1fr)}
section{margin-top:1.2rem}h2,h3,summary{break-after:avoid}figure,.pair,tr,.cards,.box,dl>*{break-inside:avoid}
.pairs{grid-template-columns:1fr 1fr}.scroll{overflow:visible}.samples{grid-template-columns:2fr 1fr}}
"""
