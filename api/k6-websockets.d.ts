// k6/websockets: WebSocket on the event loop, as in browsers. https://grafana.com/docs/k6/latest/javascript-api/k6-websockets/

declare module "k6/websockets" {
  interface WebSocketOptions {
    /**
     * Headers of the handshake. `Host`, `Origin`, `User-Agent`, `Cookie`, `Authorization` and `Sec-WebSocket-Protocol` are
     * allowed.
     */
    headers?: Record<string, string | number | boolean> | null
    /** Tags of all samples of this socket; `name` also takes the place of the tag `url`. */
    tags?: Record<string, string | number | boolean> | null
    /** The cookies to send, and where to put those of the answer; the VU's jar if left out. */
    jar?: object | null
    /** Offers to compress messages (permessage-deflate). */
    compression?: "deflate" | null
  }

  interface WebSocketEvent {
    type: "open" | "message" | "ping" | "pong" | "error" | "close"
    target: WebSocket
    /** Milliseconds since 1970. */
    timestamp: number
  }

  interface MessageEvent extends WebSocketEvent {
    /** A string for text; what `binaryType` says for bytes. */
    data: string | Blob | ArrayBuffer
    /** The URL of the socket. */
    origin: string
  }

  interface ErrorEvent extends WebSocketEvent {
    /** What went wrong: `websocket: close 1011 (internal server error)`. */
    error: string
  }

  interface CloseEvent extends WebSocketEvent {
    /** The server's code; 1005 if its closing frame had none, 1006 if there was no such frame. */
    code: number
    reason: string
    /** Whether the server has sent a closing frame. */
    wasClean: boolean
  }

  interface WebSocketEvents {
    open: WebSocketEvent
    message: MessageEvent
    ping: WebSocketEvent
    pong: WebSocketEvent
    error: ErrorEvent
    close: CloseEvent
  }

  /**
   * A session. It keeps the iteration alive until it is closed. The handler `on…` of an event is called first, then the
   * listeners in the order they were added. Whatever fails, there is an `error` event and then `close`; nothing is thrown.
   */
  export class WebSocket {
    static readonly CONNECTING: 0
    static readonly OPEN: 1
    static readonly CLOSING: 2
    static readonly CLOSED: 3
    readonly CONNECTING: 0
    readonly OPEN: 1
    readonly CLOSING: 2
    readonly CLOSED: 3

    /** `protocols` are the subprotocols to ask for. A blank or another character that a URL cannot have is escaped. */
    constructor(url: string, protocols?: string | string[] | null, options?: WebSocketOptions | null)

    /** As it was given. */
    readonly url: string
    /** 0 connecting, 1 open, 2 closing, 3 closed. */
    readonly readyState: 0 | 1 | 2 | 3
    /** Bytes of messages that were sent and are not with the kernel yet; what this turn has sent counts until it ends. */
    readonly bufferedAmount: number
    /** The subprotocol that the server has chosen, or an empty text. */
    readonly protocol: string
    readonly extensions: string[]
    /** What binary messages become; it can be changed at any time. */
    binaryType: "blob" | "arraybuffer"

    /** Takes the data as they are at this moment. Throws unless the socket is open. */
    send(data: string | ArrayBuffer | ArrayBufferView | Blob): void
    /** The answer comes as `pong`, and its time as the metric `ws_ping`. Throws unless the socket is open. */
    ping(): void
    /**
     * Sends a closing frame behind everything that was sent. `code` is 1000 or between 3000 and 4999, `reason` at most 123
     * bytes. A server that does not answer within 10 seconds is not waited for any longer.
     */
    close(code?: number, reason?: string): void

    addEventListener<E extends keyof WebSocketEvents>(type: E, listener: (event: WebSocketEvents[E]) => void): void
    removeEventListener<E extends keyof WebSocketEvents>(type: E, listener: (event: WebSocketEvents[E]) => void): void

    onopen: ((event: WebSocketEvent) => void) | null
    onmessage: ((event: MessageEvent) => void) | null
    onping: ((event: WebSocketEvent) => void) | null
    onpong: ((event: WebSocketEvent) => void) | null
    onerror: ((event: ErrorEvent) => void) | null
    onclose: ((event: CloseEvent) => void) | null
  }

  /** Bytes that do not change. What `slice()` cuts out shares them. */
  export class Blob {
    constructor(parts?: (string | ArrayBuffer | ArrayBufferView | Blob)[], options?: { type?: string })
    readonly size: number
    readonly type: string
    text(): Promise<string>
    arrayBuffer(): Promise<ArrayBuffer>
    bytes(): Promise<Uint8Array>
    /** Negative positions count from the end. */
    slice(start?: number, end?: number, type?: string): Blob
    /** A `ReadableStream`, as of `k6/experimental/streams`. */
    stream(): object
  }

  const websockets: { WebSocket: typeof WebSocket; Blob: typeof Blob }
  export default websockets
}

/** The older name of `k6/websockets`. */
declare module "k6/experimental/websockets" {
  export const WebSocket: typeof import("k6/websockets").WebSocket
  export const Blob: typeof import("k6/websockets").Blob

  const websockets: typeof import("k6/websockets").default
  export default websockets
}
