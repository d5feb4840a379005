/** Hashes, the short way; the global `crypto` has WebCrypto. */
declare module "k6/crypto" {
  type Data = string | ArrayBuffer
  type Algorithm =
    | "md4"
    | "md5"
    | "ripemd160"
    | "sha1"
    | "sha256"
    | "sha384"
    | "sha512"
    | "sha512_224"
    | "sha512_256"
  type TextEncoding = "hex" | "base64" | "base64url" | "base64rawurl"

  interface Digest {
    (data: Data, encoding: TextEncoding): string
    (data: Data, encoding: "binary"): ArrayBuffer
  }

  /** A hash that is fed in parts. */
  export interface Hasher {
    update(data: Data): void
    digest(encoding: TextEncoding): string
    digest(encoding: "binary"): ArrayBuffer
  }

  export const md4: Digest
  export const md5: Digest
  export const ripemd160: Digest
  export const sha1: Digest
  export const sha256: Digest
  export const sha384: Digest
  export const sha512: Digest
  export const sha512_224: Digest
  export const sha512_256: Digest

  export function hmac(algorithm: Algorithm, key: Data, data: Data, encoding: TextEncoding): string
  export function hmac(algorithm: Algorithm, key: Data, data: Data, encoding: "binary"): ArrayBuffer
  export function createHash(algorithm: Algorithm): Hasher
  export function createHMAC(algorithm: Algorithm, key: Data): Hasher
  export function hexEncode(data: Data): string
  export function randomBytes(count: number): ArrayBuffer

  const crypto: typeof import("k6/crypto")
  export default crypto
}

/** X.509 certificates, from their PEM text. */
declare module "k6/crypto/x509" {
  export interface Subject {
    commonName: string
    country: string
    postalCode: string
    stateOrProvinceName: string
    localityName: string
    streetAddress: string
    organizationName: string
    organizationalUnitName: string[]
    names: { type: string; value: string }[]
  }
  export interface Issuer {
    commonName: string
    country: string
    stateOrProvinceName: string
    localityName: string
    organizationName: string
    names: { type: string; value: string }[]
  }
  export interface Certificate {
    subject: Subject
    issuer: Issuer
    /** ISO 8601. */
    notBefore: string
    /** ISO 8601. */
    notAfter: string
    altNames: string[]
    signatureAlgorithm: string
    /** The SHA-1 of the certificate. */
    fingerPrint: number[]
    publicKey: { algorithm: string; key: object }
  }
  export function parse(pem: string): Certificate
  export function getAltNames(pem: string): string[]
  export function getIssuer(pem: string): Issuer
  export function getSubject(pem: string): Subject

  const x509: typeof import("k6/crypto/x509")
  export default x509
}
