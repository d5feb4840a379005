/** HTTP requests. A call waits for its response; other virtual users go on. Requests belong into `setup`, iterations and `teardown`. */
declare module "k6/http" {
  import type { Selection } from "k6/html"

  /** Bytes and texts are sent as they are. An object is a form: `multipart/form-data` if a file is in it. */
  type Body = string | ArrayBuffer | ArrayBufferView | { [name: string]: any } | null

  type Target = string | HttpURL | URL

  export function get<T extends ResponseType = "text">(url: Target, params?: Params<T> | null): Response<T>
  export function head(url: Target, params?: Params<any> | null): Response<any>
  export function post<T extends ResponseType = "text">(url: Target, body?: Body, params?: Params<T> | null): Response<T>
  export function put<T extends ResponseType = "text">(url: Target, body?: Body, params?: Params<T> | null): Response<T>
  export function patch<T extends ResponseType = "text">(url: Target, body?: Body, params?: Params<T> | null): Response<T>
  export function del<T extends ResponseType = "text">(url: Target, body?: Body, params?: Params<T> | null): Response<T>
  export function options<T extends ResponseType = "text">(url: Target, body?: Body, params?: Params<T> | null): Response<T>
  export function request<T extends ResponseType = "text">(method: string, url: Target, body?: Body, params?: Params<T> | null): Response<T>
  /** The script goes on; the iteration lasts until the promise is settled. */
  export function asyncRequest<T extends ResponseType = "text">(method: string, url: Target, body?: Body, params?: Params<T> | null): Promise<Response<T>>

  /** Makes several requests at a time, as many as the options `batch` and `batchPerHost` allow. */
  export function batch(requests: BatchRequest[]): Response<any>[]
  export function batch<K extends string>(requests: Record<K, BatchRequest>): Record<K, Response<any>>

  type BatchRequest =
    | Target
    | [method: string, url: Target, body?: Body, params?: Params<any> | null]
    | { method: string; url: Target; body?: Body; params?: Params<any> | null }

  /** A tag of template literals: in metrics, `${}` stands for each value. */
  export function url(parts: TemplateStringsArray, ...values: any[]): HttpURL

  export interface HttpURL {
    readonly url: string
    readonly name: string
    readonly clean_url: string
  }

  /** A file of a form. */
  export function file(data: string | ArrayBuffer | ArrayBufferView, filename?: string, contentType?: string): FileData

  export interface FileData {
    data: string | ArrayBuffer | ArrayBufferView
    filename: string
    content_type: string
  }

  /** Which statuses are expected; others count in `http_req_failed`. */
  export function expectedStatuses(...statuses: (number | { min: number; max: number })[]): ExpectedStatuses
  /** For all requests of the virtual user from here on; with null, none counts as failed or not. */
  export function setResponseCallback(expected: ExpectedStatuses | null): void

  export interface ExpectedStatuses {}

  /** The cookie jar of the virtual user: a new one in each iteration, unless the option `noCookiesReset` is set. */
  export function cookieJar(): CookieJar

  export class CookieJar {
    cookiesForURL(url: string): { [name: string]: string[] }
    set(url: string, name: string, value: any, options?: CookieOptions): boolean
    clear(url: string): void
    delete(url: string, name: string): void
  }

  export interface CookieOptions {
    domain?: string
    path?: string
    /** As in a header: `Mon, 02 Jan 2034 15:04:05 GMT`. */
    expires?: string
    /** In seconds. */
    max_age?: number
    secure?: boolean
    http_only?: boolean
  }

  export type ResponseType = "text" | "binary" | "none"

  export interface Params<T extends ResponseType = "text"> {
    headers?: { [name: string]: any }
    tags?: { [name: string]: string | number | boolean }
    cookies?: { [name: string]: string | { value: string; replace?: boolean } }
    /** Instead of the virtual user's. */
    jar?: CookieJar
    /** How the body is compressed: `gzip`, `deflate`, `br`, `zstd`, or several of them with commas. */
    compression?: string
    /** How many redirects are followed. */
    redirects?: number
    /** How the user and the password in the URL are sent. */
    auth?: "basic" | "digest" | "ntlm"
    /** Milliseconds, or a duration like `"10s"`; a minute if nothing is given. */
    timeout?: number | string
    /** A request that fails throws, whatever the option `throw` says. */
    throw?: boolean
    responseType?: T
    responseCallback?: ExpectedStatuses | null
  }

  export interface Response<T extends ResponseType = "text"> {
    remote_ip: string
    remote_port: number
    /** After redirects. */
    url: string
    /** 0 if there is no response. */
    status: number
    status_text: string
    proto: string
    /** By their usual names; values of one name are joined by commas. */
    headers: { [name: string]: string }
    cookies: { [name: string]: ResponseCookie[] }
    body: (T extends "text" ? string : T extends "binary" ? ArrayBuffer : never) | null
    timings: Timings
    tls_version: string
    tls_cipher_suite: string
    ocsp: Ocsp
    error: string
    error_code: number
    request: {
      method: string
      url: string
      headers: { [name: string]: string[] }
      body: string
      cookies: { [name: string]: { name: string; value: string; replace: boolean }[] }
    }
    /** The body as JSON, or what a GJSON path finds in it. */
    json(selector?: string): any
    /** The body as HTML, or what a CSS selector finds in it. */
    html(selector?: string): Selection
    submitForm(options?: { formSelector?: string; submitSelector?: string; fields?: { [name: string]: any }; params?: Params<any> }): Response<any>
    clickLink(options?: { selector?: string; params?: Params<any> }): Response<any>
  }

  export interface ResponseCookie {
    name: string
    value: string
    domain: string
    path: string
    http_only: boolean
    secure: boolean
    max_age: number
    /** Milliseconds since the epoch. */
    expires: number
  }

  /** In milliseconds. */
  export interface Timings {
    /** Sending, waiting and receiving together. */
    duration: number
    blocked: number
    looking_up: number
    connecting: number
    tls_handshaking: number
    sending: number
    waiting: number
    receiving: number
  }

  export interface Ocsp {
    produced_at: number
    this_update: number
    next_update: number
    revoked_at: number
    revocation_reason: string
    status: string
  }

  export const TLS_1_0: string
  export const TLS_1_1: string
  export const TLS_1_2: string
  export const TLS_1_3: string
  export const OCSP_STATUS_GOOD: string
  export const OCSP_STATUS_REVOKED: string
  export const OCSP_STATUS_SERVER_FAILED: string
  export const OCSP_STATUS_UNKNOWN: string
  export const OCSP_REASON_AA_COMPROMISE: string
  export const OCSP_REASON_AFFILIATION_CHANGED: string
  export const OCSP_REASON_CA_COMPROMISE: string
  export const OCSP_REASON_CERTIFICATE_HOLD: string
  export const OCSP_REASON_CESSATION_OF_OPERATION: string
  export const OCSP_REASON_KEY_COMPROMISE: string
  export const OCSP_REASON_PRIVILEGE_WITHDRAWN: string
  export const OCSP_REASON_REMOVE_FROM_CRL: string
  export const OCSP_REASON_SUPERSEDED: string
  export const OCSP_REASON_UNSPECIFIED: string

  const http: typeof import("k6/http")
  export default http
}
