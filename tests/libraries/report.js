// A page made of the data of handleSummary, with templates that are compiled to functions; minified bundles do it like this.
!function(e,t){"object"==typeof exports&&"undefined"!=typeof module?t(exports):"function"==typeof define&&define.amd?define(["exports"],t):t((e="undefined"!=typeof globalThis?globalThis:e||self).report={})}(this,(function(e){"use strict";
var process="undefined"!=typeof globalThis.process?globalThis.process:{env:{},platform:"k6"};
var fs=void 0;try{fs=require("fs")}catch(t){fs={existsSync:function(){return!1},missing:String(t&&t.message||t)}}
var entities={"&":"&amp;","<":"&lt;",">":"&gt;",'"':"&#34;","'":"&#39;"},escape=function(e){return null==e?"":String(e).replace(/[&<>'"]/g,(function(e){return entities[e]||e}))};
function compile(text){
  var source="var __out='';function __append(s){if(s!==undefined&&s!==null)__out+=s}\nwith(locals||{}){\n",rest=text,found;
  var tag=/<%([=\-#_]?)([\s\S]*?)([-_]?)%>/;
  for(;found=tag.exec(rest);){
    source+="__append("+JSON.stringify(rest.slice(0,found.index))+")\n";
    rest=rest.slice(found.index+found[0].length);
    var code=found[2].trim();
    "="===found[1]?source+="__append(escapeFn("+code+"))\n":"-"===found[1]?source+="__append("+code+")\n":"#"!==found[1]&&(source+=code+"\n");
  }
  source+="__append("+JSON.stringify(rest)+")\n}\nreturn __out";
  var made=new Function("locals, escapeFn, include, rethrow",source);
  Object.defineProperty(made,"name",{value:"anonymous template",writable:!1,enumerable:!1,configurable:!0});
  return function(data){var include=function(name,inner){return templates[name](Object.assign(Object.create(null),data,inner))};return made.apply(this,[data||Object.create(null),escape,include,function(e){throw e}])}
}
var templates={row:compile("<td><%= value === undefined ? '-' : Number(value).toFixed(2) %></td>"),
page:compile("<!doctype html><title><%= title %></title>\n<% for (const name of Object.keys(data.metrics).sort()) { const metric = data.metrics[name]; if (metric.type !== 'trend') continue; -%>\n<tr><th><%= name %></th><% for (var stat of ['avg','p(95)']) { %><%- include('row', { value: metric.values[stat] }) %><% } %></tr>\n<% } %><p>checks <%= passes %>/<%= passes + fails %>, thresholds failed <%= failed %></p>")};
function count(e){var t={passes:0,fails:0};return function e(n){n.checks.forEach((function(e){t.passes+=parseInt(e.passes),t.fails+=parseInt(e.fails)})),n.groups.forEach(e)}(e),t}
e.htmlReport=function(e){var t=arguments.length>1&&void 0!==arguments[1]?arguments[1]:{};t.title||(t.title=(new Date).toISOString().slice(0,16).replace("T"," "));
var n=0;for(var r in e.metrics)if(e.metrics[r].thresholds){var o=e.metrics[r].thresholds;for(var i in o)o[i].ok||n++}
for(var a of["http_req_duration","http_reqs"])if(e.metrics[a]&&!e.metrics[a].values)throw new Error("no values: "+a);
return templates.page(Object.assign({data:e,title:t.title,failed:n},count(e.root_group)))},
e.environment=function(){return[typeof window,typeof document,process.platform,fs.existsSync("/")].join()},
Object.defineProperty(e,"__esModule",{value:!0})}));
