//! `k6/html`: a document, and after the last line break a selector.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary_modules::fuzzing::Engine;

/// All ways to go through a document, and all there is to ask of what is found.
const ASK: &str = "(input) => {
  const text = new TextDecoder().decode(input)
  const at = text.lastIndexOf('\\n')
  const document = module.parseHTML(text.slice(0, at < 0 ? undefined : at))
  const selector = at < 0 ? '*' : text.slice(at + 1)
  const found = document.find(selector)
  const all = document.find('*').slice(0, 30)
  for (const selection of [found.slice(0, 30), all]) {
    for (const go of ['children', 'contents', 'parent', 'parents', 'next', 'nextAll', 'prev', 'prevAll', 'siblings']) {
      const gone = selection[go]()
      selection[go](selector)
      if (gone.end().size() !== selection.size()) throw new Error(`the end of ${go}`)
    }
    for (const go of ['parentsUntil', 'nextUntil', 'prevUntil', 'closest', 'filter', 'not', 'has', 'is', 'add']) selection[go](selector)
    selection.text(), selection.html(), selection.val(), selection.data(), selection.index(), selection.index(selector)
    selection.serialize(), selection.serializeArray(), selection.serializeObject()
    if (selection.toArray().length !== selection.size()) throw new Error('the size of a selection')
    for (const element of selection.get()) {
      for (const name in Object.getPrototypeOf(element)) if (element[name].length === 0) element[name]()
      element.matches(selector), element.querySelector(selector), element.getAttribute(selector)
    }
  }
  if (module.parseHTML(document.html() ?? '').find(selector) === undefined) throw new Error('no selection')
}";

thread_local! {
    static ENGINE: Engine = Engine::new("k6/html", ASK);
}

fuzz_target!(|bytes: &[u8]| ENGINE.with(|engine| engine.call(bytes)));
