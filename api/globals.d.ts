/**
 * What scripts find without importing anything, besides the language's own globals, and besides `console`, the
 * timers, `TextEncoder`, `TextDecoder` and `crypto`, whose types TypeScript's `dom` library has. `console` knows
 * `log`, `debug` (shown with `--verbose`), `info`, `warn` and `error`; it joins its arguments by blanks and has no
 * `%` formats.
 */

/** The number of this virtual user, from 1; 0 in the first pass over the init context, in setup and in teardown. */
declare const __VU: number
/** The number of this virtual user's iteration, from 0. Not there in the init context. */
declare const __ITER: number
/** Environment variables and those of `-e NAME=value`; a scenario's `env` lies on top. */
declare const __ENV: { [name: string]: string }

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
