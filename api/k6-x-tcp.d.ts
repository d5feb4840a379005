/**
 * Raw TCP, plain or behind TLS.
 *
 * Metrics of every socket (times in fractional milliseconds):
 *
 * | metric                  | type    | counts or measures                                            |
 * | ----------------------- | ------- | ------------------------------------------------------------- |
 * | `tcp_sockets`           | counter | connections that were established                             |
 * | `tcp_socket_resolving`  | trend   | from the host's name to its address                           |
 * | `tcp_socket_connecting` | trend   | the TCP handshake alone                                       |
 * | `tcp_tls_handshaking`   | trend   | the TLS handshake, if there is one                            |
 * | `tcp_socket_duration`   | trend   | from the open connection to its end                           |
 * | `tcp_reads`             | counter | reads that brought data (one `data` event each)               |
 * | `tcp_writes`            | counter | calls of `write` that reached the connection                  |
 * | `tcp_partial_writes`    | counter | writes that failed after some of their bytes were sent        |
 * | `tcp_errors`            | counter | failed connects, reads and writes                             |
 * | `tcp_timeouts`          | counter | periods of silence, see `setTimeout`                          |
 *
 * A failed connect records the times of the steps it took. `data_sent` and `data_received` count the bytes on the
 * wire, those of TLS included.
 *
 * `tcp_errors` also has `error_code` (the `code` of the `TCPError`) and `method` (`connect`, `write` or `read`), so that a
 * threshold can look at one kind of failure: `tcp_errors{error_code:ECONNREFUSED}`. Wrong arguments count too, by codes
 * that begin with `ERR_`.
 *
 * Tags, later ones win: those of the VU, `error_code` and `method`, those of the constructor, of `connect`, then `proto` (`TCP`), `host`, `port` and,
 * once it is known, `ip`. Tags of a write come last, on its `tcp_writes`, `tcp_partial_writes` and `tcp_errors`.
 */
declare module "k6/x/tcp" {
  /** Tags; values become text. */
  export interface Tags {
    [name: string]: string | number | boolean | null
  }

  export interface SocketOptions {
    /** Tags on every metric of this socket. */
    tags?: Tags
  }

  export interface ConnectOptions {
    /** 1 to 65535; a text of digits will do. Anything else is an `ERR_SOCKET_BAD_PORT`. */
    port: number | string
    /** A name or an address; `localhost` if left out or empty. */
    host?: string
    /**
     * Whether to speak TLS, from the first byte on: a plain connection cannot change to it later (no STARTTLS). The
     * certificate is checked against the system's roots (or `SSL_CERT_FILE`) and the host; the options `tlsVersion`,
     * `tlsCipherSuites`, `tlsAuth` and `insecureSkipTLSVerify` of the test apply. Sessions are not resumed: each connection
     * makes a full handshake.
     */
    tls?: boolean
    /** Tags on every metric of this connection. */
    tags?: Tags
  }

  export interface WriteOptions {
    /** How a text becomes bytes; upper or lower case, `utf8` if left out. Binary data ignores it. */
    encoding?: "utf8" | "utf-8" | "ascii" | "base64" | "base64url" | "hex"
    /** Tags on the metrics of this write. */
    tags?: Tags
  }

  /**
   * - `disconnected`: new, or after a failed connect;
   * - `opening`: from the call of `connect` to its outcome;
   * - `open`;
   * - `destroyed`: by `destroy()`, the peer, or an error. Final.
   */
  export type ReadyState = "disconnected" | "opening" | "open" | "destroyed"

  /**
   * What went wrong on a connection. `String(error)` is `TCP error during METHOD: MESSAGE`; `JSON.stringify(error)` has
   * the name, the method, the message and the code.
   */
  export interface TCPError extends Error {
    readonly name: "TCPError"
    /** What was being done. */
    readonly method: "connect" | "write" | "read"
    /**
     * For scripts to switch on. Among them:
     *
     * - from the network: `ECONNREFUSED`, `ECONNRESET`, `ETIMEDOUT`, `EPIPE`, `EHOSTUNREACH`, `ENETUNREACH`;
     * - names and options: `ENOTFOUND` (there is no such name), `EAI_AGAIN` (no name server knew just now), `EAI_FAIL`,
     *   `ERR_BLACKLISTED_IP`, `ERR_BLOCKED_HOSTNAME`, `ERR_SOCKET_BAD_PORT`;
     * - from this machine: `EMFILE`, `ENFILE` (open files), `EAGAIN` (threads), `EADDRNOTAVAIL` (local ports, or a source
     *   address that is not this machine's), `EAFNOSUPPORT` (a source address of the other family);
     * - TLS: `ERR_TLS_CERT_EXPIRED`, `ERR_TLS_CERT_ALTNAME_INVALID`, `ERR_TLS_CERT_UNKNOWN_AUTHORITY`,
     *   `ERR_TLS_CERT_INVALID`, `ERR_TLS_NOT_TLS`, `ERR_TLS_ALERT`, `ERR_TLS_HANDSHAKE`, `ERR_TLS_HANDSHAKE_CUT` (the
     *   peer closed the connection: does it speak TLS on this port?); later `ERR_TLS_TRUNCATED` for an end within a
     *   record, and `EPROTO` for anything else that a peer does wrong;
     * - the use of the socket: `ENOTCONN` (write without a connection), `EALREADY` and `EISCONN` (a second connect),
     *   `ERR_SOCKET_CLOSED` (connect after `destroy()`, or destroyed while connecting), `ERR_INVALID_ARG_TYPE`,
     *   `ERR_INVALID_ENCODING`.
     */
    readonly code: string
    /** Where the script called `connect` or `write`. */
    readonly stack?: string
    /** As `toString()`: `TCP error during connect: …`. */
    error(): string
  }

  export interface SocketEvents {
    /** The connection is open; comes before `connect()` resolves. */
    connect: (nothing?: undefined) => void
    /**
     * Data, as it came; a chunk ends where a read ended, and has 64,512 bytes at most. The array is the listener's own
     * and never changes.
     */
    data: (data: Uint8Array) => void
    /**
     * The connection is over, whoever ended it. The last event there is, exactly once. A failed connect, after which
     * the socket can try again, has none; `destroy()` on a socket without a connection has.
     */
    close: (nothing?: undefined) => void
    /**
     * A connect, a read or a write failed; comes before the promise rejects. `destroy()` while connecting is a failed
     * connect, too. After a failed read comes `close`; after `close` comes nothing.
     */
    error: (error: TCPError) => void
    /** Nothing was received for as long as `setTimeout` says. The connection stays open. */
    timeout: (nothing?: undefined) => void
  }

  /**
   * One connection. An open socket keeps its iteration from ending until it is closed, by either side; sockets of an
   * iteration that fails or is interrupted are closed.
   *
   * Nothing here blocks: while the script handles an event, its other events wait, and unread data stays with the
   * peer.
   */
  export class Socket {
    constructor(options?: SocketOptions | null)

    /**
     * Connects. Fires `error`, then rejects with a `TCPError`, if that fails; the socket can then try again.
     * Not possible in the init context.
     */
    connect(port: number | string, host?: string | null): Promise<null>
    connect(options: ConnectOptions): Promise<null>

    /**
     * Sends data. The bytes are copied at the call, and reach the wire in the order of the calls, awaited or not.
     * Resolves when the kernel has taken all of them; fires `error`, then rejects with a `TCPError`, if it does not.
     */
    write(data: string | ArrayBuffer | ArrayBufferView, options?: WriteOptions | null): Promise<void>

    /**
     * Closes the connection, or gives up connecting: `error`, `close`, and `connect()` rejects (`ERR_SOCKET_CLOSED`). What the kernel has taken of earlier writes, all of it if they
     * resolve, is still sent; writes that wait are rejected. Final: a destroyed socket does not connect again. May be
     * called at any time, more than once too.
     */
    destroy(): void

    /**
     * Fires `timeout` after every `ms` whole milliseconds in which no data was received; writes do not count as
     * activity. 0 or less turns it off. Gives back the socket.
     */
    setTimeout(ms: number): this

    /** Sets the one listener of an event, in place of an earlier one. */
    on<E extends keyof SocketEvents>(event: E, listener: SocketEvents[E]): void

    readonly ready_state: ReadyState
    /** Whether `ready_state` is `open`. */
    readonly connected: boolean
    /** Bytes the kernel took, over the socket's life. */
    readonly bytes_written: number
    /** Bytes received, over the socket's life. */
    readonly bytes_read: number
    /** The addresses of the two ends; undefined while there is no connection. */
    readonly local_ip: string | undefined
    readonly local_port: number | undefined
    readonly remote_ip: string | undefined
    readonly remote_port: number | undefined
  }

  const tcp: { Socket: typeof Socket }
  export default tcp
}
