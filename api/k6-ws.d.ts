// k6/ws: WebSocket sessions that block. https://grafana.com/docs/k6/latest/javascript-api/k6-ws/

declare module "k6/ws" {
  interface Params {
    /**
     * Headers of the handshake. `Host`, `Origin`, `User-Agent`, `Cookie`, `Authorization` are allowed, and so is
     * `Sec-WebSocket-Protocol`, which asks for a subprotocol.
     */
    headers?: Record<string, string | number | boolean> | null
    /** Tags of all samples of this session. */
    tags?: Record<string, string | number | boolean> | null
    /** The cookies to send, and where to put those of the answer; the VU's jar if left out. */
    jar?: object | null
    /** Offers to compress messages (permessage-deflate). */
    compression?: "deflate" | "" | null
  }

  interface Response {
    /** As it was given; empty if there was no session. */
    url: string
    /** 101; that of the answer if the server has refused; 0 if it has not answered. */
    status: number
    /** Of the server's answer, by their names as in `Sec-Websocket-Accept`. */
    headers: Record<string, string>
    /** Of an answer that refuses. */
    body: string
    /** Why the server could not be reached, or why its answer cannot be used. */
    error: string
  }

  interface Events {
    open: () => void
    message: (text: string) => void
    binaryMessage: (data: ArrayBuffer) => void
    ping: () => void
    pong: () => void
    /** The server's code, or the script's; 1005 if the server gave none, 1006 if the connection was lost. */
    close: (code: number) => void
    error: (error: { error(): string }) => void
  }

  interface Socket {
    /** Adds a listener; those of an event are called in the order they were added. */
    on<E extends keyof Events>(event: E, listener: Events[E]): void
    /** Sends a text. */
    send(data: string): void
    sendBinary(data: ArrayBuffer): void
    /** The answer comes as `pong`, and its time as the metric `ws_ping`. */
    ping(): void
    /** Calls `callback` once after `ms` milliseconds, unless the session is over by then. */
    setTimeout(callback: () => void, ms: number): void
    /** Calls `callback` every `ms` milliseconds, until the session is over. */
    setInterval(callback: () => void, ms: number): void
    /** Ends the session; the listeners of `close` are called at once. The code is 1001 if left out. */
    close(code?: number): void
  }

  /**
   * Opens a session, hands it to `callback`, and comes back when it is over. Meanwhile its listeners and timers run, but no
   * others of the VU, and no promises.
   */
  export function connect(url: string, callback: (socket: Socket) => void): Response
  export function connect(url: string, params: Params | null | undefined, callback: (socket: Socket) => void): Response

  const ws: { connect: typeof connect }
  export default ws
}
