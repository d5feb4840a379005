/** Files, read in parts. Opened in the init context; all virtual users share one copy of the content. */
declare module "k6/experimental/fs" {
  export const SeekMode: { readonly Start: 0; readonly Current: 1; readonly End: 2 }

  export interface File {
    readonly path: string
    /** `size` in bytes. */
    stat(): Promise<{ name: string; size: number }>
    /** Fills the array from where the last read ended. Gives back the number of bytes, null at the end. */
    read(into: Uint8Array): Promise<number | null>
    /** Moves to an offset in bytes, counted from `mode`. Gives back the new position. */
    seek(offset: number, mode: 0 | 1 | 2): Promise<number>
  }

  export function open(path: string): Promise<File>

  const fs: typeof import("k6/experimental/fs")
  export default fs
}

/** CSV files: whole, or row by row. */
declare module "k6/experimental/csv" {
  import type { File } from "k6/experimental/fs"

  export interface Options {
    /** One character; a comma if left out. */
    delimiter?: string
    skipFirstLine?: boolean
    /** The first and the last line to take, from 0. */
    fromLine?: number
    toLine?: number
    /** Rows as objects, named by the first line. */
    asObjects?: boolean
  }
  type Row = string[] | { [column: string]: string }

  /** All rows, held once per process. In the init context only. */
  export function parse(file: File, options?: Options): Promise<readonly Row[]>

  /** Made in the init context, and used by iterations. */
  export class Parser {
    constructor(file: File, options?: Options)
    next(): Promise<{ done: boolean; value: Row }>
  }
  const csv: { parse: typeof parse; Parser: typeof Parser }
  export default csv
}

/** WHATWG streams. */
declare module "k6/experimental/streams" {
  export const ReadableStream: typeof globalThis.ReadableStream
  export const ReadableStreamDefaultController: typeof globalThis.ReadableStreamDefaultController
  export const ReadableStreamDefaultReader: typeof globalThis.ReadableStreamDefaultReader
  export const WritableStream: typeof globalThis.WritableStream
  export const WritableStreamDefaultController: typeof globalThis.WritableStreamDefaultController
  export const WritableStreamDefaultWriter: typeof globalThis.WritableStreamDefaultWriter
  export const CountQueuingStrategy: typeof globalThis.CountQueuingStrategy

  const streams: typeof import("k6/experimental/streams")
  export default streams
}
