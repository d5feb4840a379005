/// <reference lib="es2023" />
/// <reference lib="dom" />
/**
 * The globals that a script finds without importing anything, besides those of the language. TypeScript's library
 * `dom` has the types of many:
 *
 * - `console` with `log`, `debug` (shown with `--verbose`), `info`, `warn` and `error`. It joins its arguments by
 *   blanks and has no `%` formats.
 * - `setTimeout`, `setInterval`, `clearTimeout`, `clearInterval`, `queueMicrotask`. A timer keeps its iteration alive.
 * - `performance.now()` and `performance.timeOrigin`, `crypto`, `atob`, `btoa`, `TextEncoder`, `TextDecoder`.
 * - `URL`, `URLSearchParams`, `structuredClone`, `DOMException`.
 * - `Event`, `CustomEvent`, `EventTarget`, `AbortController`, `AbortSignal`. The signal of `AbortSignal.timeout()` does
 *   not keep its iteration alive.
 * - `Intl`, in English: `DateTimeFormat` with all time zones, `NumberFormat`, `PluralRules`, `RelativeTimeFormat` and
 *   `ListFormat` for the locales `en-US`, `en-GB` and `en-CA`. Any other locale is answered in `en-US`.
 *
 * All other names of `dom`, such as `fetch` and `document`, do not exist. These declarations can be used together with
 * the package `@types/k6`.
 */

/** The number of this virtual user, from 1; 0 in the first pass over the init context, in setup and in teardown. */
declare var __VU: number
/** The number of this virtual user's iteration, from 0. Not there in the init context. */
declare var __ITER: number
/** Environment variables and those of `-e NAME=value`; a scenario's `env` lies on top. */
declare var __ENV: { [name: string]: string }

/**
 * The content of a file, read in the init context only. Paths are relative to the script that `run` was given. A
 * file is read once, whatever the number of virtual users.
 */
declare function open(path: string): string
declare function open(path: string, mode: "b"): ArrayBuffer

/** Loads a CommonJS or ES module, in the init context only. */
declare function require(specifier: string): any

interface ImportMeta {
  /** The URL a specifier stands for in this module. */
  resolve(specifier: string): string
}
