// How the page looks: one style sheet for light and dark, wide and narrow, and a short script that
// adds filtering and sorting.
#include "verify/report/parts.hpp"

namespace abn::verify::report {

std::string style_sheet() {
  return R"css(
:root{color-scheme:light dark;--bg:#fff;--panel:#f6f8fa;--ink:#1c2128;--muted:#59636e;
--line:#d8dee4;
--pass:#1a7f4b;--fail:#c9292e;--inconclusive:#9a6700;--skip:#6a737d;--error:#8250df;
--accent:#0b5cad;--bias:#d9730d;
--pass-tint:#e3f5ea;--fail-tint:#fde7e6;--zone:#fdf0ef;--inconclusive-tint:#fff3cf;
--skip-tint:#eceff2;--error-tint:#f1e8fd;
--heat1:#dfecf7;--heat2:#b9d7ec;--heat3:#85bade;--heat4:#4a97cb;--heat5:#1d6db3;--cost1:#f9d3a6;
--cost2:#f0965a;--cost3:#cf4b2c;
--tint1:#f5f9fc;--tint2:#e4eff9;--tint3:#cfe2f3;--tint4:#b3d2ec;--tint5:#90bde2;
--term1:#4477aa;--term2:#66ccee;--term3:#228833;--term4:#ccbb44;--term5:#ee6677;--term6:#aa3377;
--term7:#ee8866;--term8:#7a6fd0;--term9:#8c8c8c;
--sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media (prefers-color-scheme:dark){:root{--bg:#0f1419;--panel:#171d24;--ink:#dfe5eb;--muted:#93a0ad;
--line:#2d3640;
--pass:#4cc38a;--fail:#ff7b72;--inconclusive:#e3b341;--skip:#8b949e;--error:#bc8cff;
--accent:#6cb6ff;--bias:#ffa657;
--pass-tint:#12301f;--fail-tint:#3b1719;--zone:#26171a;--inconclusive-tint:#33280a;
--skip-tint:#232a32;--error-tint:#2a1d42;
--heat1:#17293b;--heat2:#1d4166;--heat3:#28649b;--heat4:#3f88c8;--heat5:#6cb0ee;--cost1:#5c3a1c;
--cost2:#a55524;--cost3:#e0703f;
--tint1:#131a22;--tint2:#15232f;--tint3:#193147;--tint4:#1e4263;--tint5:#245581}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 var(--sans);
font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main{max-width:1360px;margin:0 auto;padding:32px 28px 64px}
h1{font-size:26px;line-height:1.25;font-weight:650;margin:0 0 6px;letter-spacing:-.01em;
text-wrap:balance;overflow-wrap:anywhere}
h1.fail{color:var(--fail)}h1.inconclusive{color:var(--inconclusive)}h1.pass{color:var(--pass)}
h1.skip{color:var(--ink)}
h2{font-size:18px;font-weight:650;margin:44px 0 12px}
h3{font-size:15px;font-weight:400;margin:26px 0 6px;overflow-wrap:anywhere}
h4{font-size:13px;font-weight:600;margin:14px 0 6px}
p{margin:6px 0}a{color:var(--accent);text-decoration:none}a:hover{text-decoration:underline}
code,pre,.values{font-family:var(--mono);font-size:12.5px}
pre{margin:6px 0;padding:10px 12px;background:var(--panel);border:1px solid var(--line);
border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.45}
.kicker{margin:0 0 4px;color:var(--muted);font-size:13px}
.context,.note,.why,.from{color:var(--muted);font-size:13px;overflow-wrap:anywhere}
.context span:not(:last-child)::after{content:" · "}
.tiles{list-style:none;display:flex;flex-wrap:wrap;gap:10px;margin:20px 0 0;padding:0}
.tiles li{flex:1 1 104px;max-width:190px;padding:10px 14px 9px;border:1px solid var(--line);
border-top:3px solid currentColor;border-radius:6px;font-size:13px;background:var(--panel)}
.tiles b{display:block;font-size:24px;line-height:1.2;font-weight:600}
.tiles .none{color:var(--muted);border-top-color:var(--line)}.tiles .none b{font-weight:400}
.tiles .pass{color:var(--pass)}.tiles .fail{color:var(--fail)}
.tiles .inconclusive{color:var(--inconclusive)}.tiles .skip{color:var(--skip)}
.tiles .error{color:var(--error)}
.tiles .plain{color:var(--ink);border-top-color:var(--line)}.tiles li.none{color:var(--muted)}
.verdict{display:inline-block;font-size:12px;line-height:20px;padding:0 8px;border-radius:10px;
white-space:nowrap;margin-right:8px}
.check .verdict{justify-self:start}.verdict.pass{color:var(--pass);padding-left:0}
.verdict.fail{color:var(--fail);background:var(--fail-tint)}
.verdict.inconclusive{color:var(--inconclusive);background:var(--inconclusive-tint)}
.verdict.skip{color:var(--skip);background:var(--skip-tint)}
.verdict.error{color:var(--error);background:var(--error-tint)}
.attention{list-style:none;margin:0;padding:0}
.attention li{font-size:13.5px;padding:4px 0;border-bottom:1px solid var(--line);
overflow-wrap:anywhere}
.attention a{font-family:var(--mono);font-size:13px}
.scroll{overflow-x:auto}.scroll+.scroll{margin-top:18px}
table{border-collapse:collapse}th{font-weight:400;text-align:left}
.overview{font-size:13px;width:100%;min-width:1076px;table-layout:fixed}
.overview thead td:first-child{width:246px}
.overview thead th{color:var(--muted);text-align:center;padding:2px 6px}
.overview thead th[colspan]{color:var(--ink);font-weight:600;border-bottom:1px solid var(--line)}
.accesses{min-width:720px}.accesses thead th{font-weight:600}
.overview tbody th{padding:3px 14px 3px 0;white-space:nowrap}
.overview td{text-align:center;min-width:64px;padding:0;border:1px solid var(--bg)}
.files{margin-top:18px}.files thead td:first-child{width:320px}
.files tbody th{overflow:hidden;text-overflow:ellipsis}
.overview .variant th{font-size:15px;font-weight:650;padding-top:16px}
.overview td a{display:block;color:inherit;padding:3px 4px}
.overview td.fail,.overview td.inconclusive,.overview td.error{font-weight:600}
.overview .cost{color:var(--muted);font-size:12px}
.overview .cost b{color:var(--inconclusive);font-weight:600}.overview .contract{color:var(--pass)}
td.pass{background:var(--pass-tint)}td.fail{background:var(--fail-tint);color:var(--fail)}
td.inconclusive{background:var(--inconclusive-tint);color:var(--inconclusive)}
td.skip{background:var(--skip-tint);color:var(--skip)}
td.error{background:var(--error-tint);color:var(--error)}
.tint1{background:var(--tint1)}.tint2{background:var(--tint2)}.tint3{background:var(--tint3)}
.tint4{background:var(--tint4)}.tint5{background:var(--tint5)}
.swatch{display:inline-block;width:14px;height:10px;margin:0 4px 0 8px;border-radius:2px;
border:1px solid var(--line)}.swatch.fail{background:var(--fail-tint);border-color:var(--fail)}
.dot{display:inline-block;width:8px;height:8px;margin:0 4px 1px 8px;border-radius:50%}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,560px),1fr));
gap:20px 28px;margin-top:18px}
figure{margin:0}figcaption{font-size:13px;margin-bottom:4px}figcaption b{font-weight:600}
.key{display:block;color:var(--muted);font-size:12px}.key>:first-child{margin-left:0}
.dot,.swatch{vertical-align:baseline}
svg{display:block;width:100%;height:auto}svg text{font-family:var(--sans)}
.group{margin-bottom:28px}
.head,.check>summary{display:grid;grid-template-columns:116px minmax(150px,1.6fr) 70px minmax(90px,
1.2fr) 62px 84px 76px 92px 112px 58px 96px;gap:0 12px;align-items:center}
.head{position:sticky;top:0;z-index:1;background:var(--bg);color:var(--muted);font-size:12px;
padding:6px 8px;border-bottom:1px solid var(--line)}
.check{border-bottom:1px solid var(--line)}
.check>summary{padding:3px 8px;cursor:pointer;list-style:none;font-size:13px}
.check>summary::-webkit-details-marker{display:none}
.check>summary:hover,.check[open]>summary{background:var(--panel)}
.check>summary code{overflow-wrap:anywhere}
.check>summary:focus-visible{outline:2px solid var(--accent);outline-offset:-2px}
.check:target>summary,.one:target>p{box-shadow:inset 3px 0 var(--accent)}
.number{text-align:right;white-space:nowrap}.rest{grid-column:3/-1}.unfit{color:var(--inconclusive)}
.number b{font-weight:600;color:var(--inconclusive)}
.name{display:inline-block;margin-right:14px;color:var(--muted);white-space:nowrap}
.name.fail{color:var(--fail);font-weight:600}.name.error{color:var(--error);font-weight:600}
.name.inconclusive{color:var(--inconclusive);font-weight:600}
.bar{position:relative;display:block;height:8px;border-radius:2px;background:var(--skip-tint)}
.bar i{display:block;height:100%;border-radius:2px;background:var(--heat3)}
.bar u{position:absolute;top:-2px;bottom:-2px;width:2px;background:var(--ink);opacity:.55}
.bar.fail i{background:var(--fail)}.bar.inconclusive i{background:var(--inconclusive)}
.bar.error i{background:var(--error)}
.detail{padding:6px 12px 16px 20px;font-size:13.5px}.one .detail{padding-top:0}
.one>p{margin:12px 8px 0}
.witness{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:0 36px}
.values td,.values th{padding:2px 18px 2px 0;white-space:nowrap;vertical-align:top}
.values th{color:var(--muted)}
.facts{display:flex;flex-wrap:wrap;gap:4px 24px;margin:0}
.facts dt{color:var(--muted);font-size:12px}
.facts dd{margin:0;font-family:var(--mono);font-size:13px}
.stack{display:flex;height:12px;border-radius:3px;overflow:hidden;background:var(--skip-tint)}
.stack i{display:block}
.terms{list-style:none;display:flex;flex-wrap:wrap;gap:2px 12px;margin:6px 0 0;padding:0;
font-size:12.5px}.terms .swatch{margin-left:0;border:0}
.term1{background:var(--term1)}.term2{background:var(--term2)}.term3{background:var(--term3)}
.term4{background:var(--term4)}.term5{background:var(--term5)}.term6{background:var(--term6)}
.term7{background:var(--term7)}.term8{background:var(--term8)}.term9{background:var(--term9)}
.term-other{background:var(--line)}
.words{display:grid;grid-template-columns:max-content 1fr;gap:6px 20px;margin:0;font-size:14px}
.legend{grid-template-columns:max-content 1fr max-content 1fr;font-size:13px}
.words dt{font-weight:600}.words dd{margin:0;overflow-wrap:anywhere}
.claims{font-size:13px}.claims td,.claims th{padding:4px 24px 4px 0;
border-bottom:1px solid var(--line);vertical-align:top}
.claims th{color:var(--muted);white-space:nowrap}
.claims [scope=col]{color:var(--ink);font-weight:600}
.study h4{margin-top:24px}.study figure{max-width:660px}.study .number{text-align:right}
.study tr>:first-child{padding-left:0}.claims.study td,.claims.study th{padding:3px 18px 3px 0}
.claims.study thead td,.claims.study thead tr:first-child th{border-bottom:0;padding-bottom:0}
.claims.study [scope=colgroup]{color:var(--ink);font-weight:600}
.said{margin:8px 0 4px;padding-left:20px;font-size:14px}
.said li{margin:3px 0;overflow-wrap:anywhere}.more{margin-top:14px}
.more summary{cursor:pointer;font-size:13px;font-weight:600}
.tools{display:flex;flex-wrap:wrap;gap:8px 14px;align-items:center;margin:0 0 4px;font-size:13px}
.tools input[type=search],.tools select,.tools button{font:inherit;color:inherit;
background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:4px 8px}
.tools input[type=search]{flex:1 1 220px;max-width:360px}
@media (max-width:1120px){.legend{grid-template-columns:max-content 1fr}.wide{display:none}
.head,.check>summary{grid-template-columns:116px minmax(140px,1.6fr) 64px minmax(80px,
1.2fr) 84px 108px}}
@media (max-width:720px){main{padding:20px 14px 48px}h1{font-size:21px}.tiles li{flex-basis:88px}
.head,.check>summary{grid-template-columns:104px minmax(120px,1.5fr) 52px minmax(50px,1fr) 74px;
gap:0 8px}
.head>:nth-child(9),.check>summary>:nth-child(9){display:none}
.words,.legend{grid-template-columns:1fr;gap:0}.words dd{margin-bottom:8px}}
@media print{.head{position:static}.tools{display:none}a{color:inherit}}
)css";
}

std::string script() {
  return R"js(
(function(){
const section=document.getElementById('checks');if(!section)return;
const checks=[...section.querySelectorAll('details.check')];
checks.forEach((check,i)=>check.order=i);
const show=()=>{const target=document.getElementById(decodeURIComponent(location.hash.slice(1)));
const check=target&&target.closest('details');if(check){check.open=true;target.scrollIntoView()}};
addEventListener('hashchange',show);
document.addEventListener('click',event=>{const link=event.target.closest('a[href^="#"]');
if(link&&link.getAttribute('href')===location.hash)show()});
const tools=document.createElement('div');tools.className='tools';
const add=(tag,fields)=>tools.appendChild(Object.assign(document.createElement(tag),fields));
const search=add('input',{type:'search',placeholder:'filter by id, for example backward/bf16',
ariaLabel:'filter checks by id'});
const verdict=add('select',{ariaLabel:'verdict'});
['all verdicts',...new Set(checks.map(check=>check.dataset.verdict))].forEach(word=>
verdict.add(new Option(word)));
const order=add('select',{ariaLabel:'order'});
[['in reading order',''],['by ratio','ratio'],['by ulp','ulp']].forEach(([text,value])=>
order.add(new Option(text,value)));
const close=add('button',{type:'button',textContent:'close all'});
const count=add('span',{className:'note'});
section.insertBefore(tools,section.querySelector('.group'));
const update=()=>{const words=search.value.toLowerCase().split(/\s+/).filter(Boolean);let shown=0;
checks.forEach(check=>{const id=check.dataset.id.toLowerCase();
const fits=words.every(word=>id.includes(word))&&(verdict.selectedIndex===0||
check.dataset.verdict===verdict.value);check.hidden=!fits;if(fits)shown++});
section.querySelectorAll('.group').forEach(group=>{
const mine=[...group.querySelectorAll('details.check')];
group.hidden=mine.every(check=>check.hidden);
const key=order.value;mine.sort((a,b)=>key?b.dataset[key]-a.dataset[key]||
a.order-b.order:a.order-b.order).forEach(check=>group.appendChild(check))});
count.textContent=shown===checks.length?'':shown+' of '+checks.length+' rows'};
[search,verdict,order].forEach(control=>control.addEventListener('input',update));
close.addEventListener('click',()=>checks.forEach(check=>check.open=false));
show();
})();
)js";
}

}  // namespace abn::verify::report
