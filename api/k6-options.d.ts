/** The shape of `export const options`: types only, for `@type {import("k6/options").Options}`. */
declare module "k6/options" {
  /** `"1m30s"`, `"1d2h"`, or a number of milliseconds. */
  type Duration = string | number

  export interface Options {
    /** Virtual users; 1 if left out. */
    vus?: number
    duration?: Duration
    /** In all, shared among the virtual users. */
    iterations?: number
    stages?: Stage[]
    scenarios?: { [name: string]: Scenario }

    /** By metric, or by the part of it that has certain tags: `"tcp_errors{service:echo}": ["count==0"]`. */
    thresholds?: { [metric: string]: (string | Threshold)[] }
    /** Tags on every sample. */
    tags?: { [name: string]: string }
    systemTags?: string[]

    setupTimeout?: Duration
    teardownTimeout?: Duration
    handleSummaryTimeout?: Duration
    noSetup?: boolean
    noTeardown?: boolean
    paused?: boolean
    minIterationDuration?: Duration
    /** Warnings about values become exceptions. */
    throw?: boolean
    /**
     * Senary's own: a run that proves nothing is a failure, with exit code 121. That is one in which a threshold had no
     * data, every iteration failed, or nothing worked any more at the end.
     */
    strict?: boolean

    /** `avg`, `min`, `med`, `max`, `count`, `p(N)`. */
    summaryTrendStats?: string[]
    summaryTimeUnit?: "s" | "ms" | "us"

    /** Names to addresses, past any name server: `{ "*.shop.test": "10.0.0.5", "api.test": "10.0.0.6:8443" }`. */
    hosts?: { [name: string]: string }
    blockHostnames?: string[]
    /** Ranges as `10.0.0.0/8`. */
    blacklistIPs?: string[]
    dns?: {
      /** How long an answer is kept; `inf`, or `0` for not at all. */
      ttl?: Duration
      select?: "first" | "random" | "roundRobin"
      policy?: "preferIPv4" | "preferIPv6" | "onlyIPv4" | "onlyIPv6" | "any"
    }

    insecureSkipTLSVerify?: boolean
    tlsVersion?: TLSVersion | { min?: TLSVersion; max?: TLSVersion }
    /** IANA names; does not limit TLS 1.3. */
    tlsCipherSuites?: string[]
    /**
     * Client certificates, as PEM texts, for servers that ask for one: the first that is for their name and suits what
     * they accept is shown. `domains` are names, or begin with `*`; without them it is for any server. `password` opens
     * a key that is encrypted as `openssl rsa -traditional` does it (`DEK-Info`); encrypted PKCS#8 is refused.
     */
    tlsAuth?: { cert: string; key: string; password?: string; domains?: string[] }[]

    /** The part of the test this process runs, such as `"0:1/4"`, and all the parts: `"0,1/4,1/2,3/4,1"`. */
    executionSegment?: string
    executionSegmentSequence?: string
  }

  export type TLSVersion = "tls1.0" | "tls1.1" | "tls1.2" | "tls1.3"

  export interface Threshold {
    threshold: string
    /** Ends the test once crossed. */
    abortOnFail?: boolean
    delayAbortEval?: Duration
  }

  export interface Stage {
    duration: Duration
    target: number
  }

  interface Common {
    /** The exported function to run; `default` if left out. */
    exec?: string
    startTime?: Duration
    /** How long iterations may go on after the end; 30 s if left out. */
    gracefulStop?: Duration
    env?: { [name: string]: string }
    tags?: { [name: string]: string }
  }

  export type Scenario = Common &
    (
      | { executor: "shared-iterations"; vus?: number; iterations?: number; maxDuration?: Duration }
      | { executor: "per-vu-iterations"; vus?: number; iterations?: number; maxDuration?: Duration }
      | { executor: "constant-vus"; vus?: number; duration: Duration }
      | { executor: "ramping-vus"; startVUs?: number; stages: Stage[]; gracefulRampDown?: Duration }
      | {
          executor: "constant-arrival-rate"
          /** Iterations started per `timeUnit`, whole. */
          rate: number
          timeUnit?: Duration
          duration: Duration
          preAllocatedVUs: number
          maxVUs?: number
        }
      | {
          executor: "ramping-arrival-rate"
          startRate?: number
          timeUnit?: Duration
          stages: Stage[]
          preAllocatedVUs: number
          maxVUs?: number
        }
    )

  /** One entry of `data.failures`, which `handleSummary(data)` gets if something went wrong; the most telling comes first. */
  export interface SummaryFailure {
    /** What kind of thing failed. */
    kind:
      | "setup"
      | "socket"
      | "exception"
      | "rejection"
      | "engine"
      | "never_settled"
      | "interrupted"
      | "vu"
      | "check"
      | "stopped"
      | "dropped"
      | "threshold"
      | "teardown"
      | "handle_summary"
      | "output"
    /** The error's code, such as `ECONNREFUSED`. */
    code?: string
    /** The operation that failed, such as `connect`. */
    method?: string
    /** What failed: a check, a scenario, a threshold; of an exception its message without numbers. */
    name?: string
    /** In words: of the first one. */
    text?: string
    /** Where in the script: `file:///path/script.js:3:9`. */
    place?: string
    count: number
    /** When the first and the last one happened, in UTC: `2026-11-29T17:30:57.123Z`. */
    first: string
    last: string
  }
}
