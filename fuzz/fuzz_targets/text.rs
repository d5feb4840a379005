//! Text between bytes and scripts: `TextDecoder`, whole and in chunks, and the encodings of `k6/encoding`. The first
//! byte is where to cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary_modules::fuzzing::Engine;

const ASK: &str = "(input) => {
  const [at, bytes] = [input[0] ?? 0, input.subarray(1)]
  for (const encoding of ['utf-8', 'utf-16le', 'utf-16be']) {
    for (const ignoreBOM of [false, true]) {
      const whole = new TextDecoder(encoding, { ignoreBOM }).decode(bytes)
      const decoder = new TextDecoder(encoding, { ignoreBOM })
      const parts = [bytes.subarray(0, at), bytes.subarray(at, 2 * at), bytes.subarray(2 * at)]
      const joined = parts.map((part) => decoder.decode(part, { stream: true })).join('') + decoder.decode()
      if (joined !== whole) throw new Error(`${encoding}: ${JSON.stringify([whole, joined])}`)
      let strict
      try { strict = new TextDecoder(encoding, { ignoreBOM, fatal: true }).decode(bytes) }
      catch (error) { if (!(error instanceof TypeError)) throw error }
      if (strict !== undefined && strict !== whole) throw new Error(`${encoding}, fatal`)
    }
  }
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  if (new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(text)) !== text) throw new Error('encode')
  for (const form of ['std', 'rawstd', 'url', 'rawurl']) {
    const back = new Uint8Array(module.b64decode(module.b64encode(bytes, form), form))
    if (back.length !== bytes.length || back.some((byte, i) => byte !== bytes[i])) throw new Error(form)
    try { module.b64decode(text, form, 's') } catch (error) { if (!(error instanceof GoError)) throw error }
  }
}";

thread_local! {
    static ENGINE: Engine = Engine::new("k6/encoding", ASK);
}

fuzz_target!(|bytes: &[u8]| ENGINE.with(|engine| engine.call(bytes)));
