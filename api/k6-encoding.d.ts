/** Base64. */
declare module "k6/encoding" {
  /** The alphabets of RFC 4648, with and without padding; `std` if left out. */
  type Alphabet = "std" | "rawstd" | "url" | "rawurl"

  export function b64encode(data: string | ArrayBuffer, alphabet?: Alphabet): string
  export function b64decode(text: string, alphabet?: Alphabet): ArrayBuffer
  /** With `"s"`, as text. */
  export function b64decode(text: string, alphabet: Alphabet | undefined, format: "s"): string

  const encoding: typeof import("k6/encoding")
  export default encoding
}
