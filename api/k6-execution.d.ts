/** Where in the test a script is. */
declare module "k6/execution" {
  type TagValue = string | number | boolean
  interface Tags {
    [name: string]: TagValue
  }

  /** This process. */
  export const instance: {
    /** Milliseconds since the run began, with fractions. */
    readonly currentTestRunDuration: number
    readonly iterationsCompleted: number
    readonly iterationsInterrupted: number
    readonly vusActive: number
    readonly vusInitialized: number
  }

  /** The scenario of this iteration; only inside one. */
  export const scenario: {
    readonly name: string
    /** The executor's name, such as `constant-vus`. */
    readonly executor: string
    /** Milliseconds since 1970. */
    readonly startTime: number
    /** From 0 to 1. */
    readonly progress: number
    /** From 0, unique in this process. */
    readonly iterationInInstance: number
    /** From 0, unique in the test, over all its processes. */
    readonly iterationInTest: number
  }

  export const test: {
    /** Ends the whole test at once; teardown and the summary still run. The exit code becomes 108. */
    abort(message?: string): never
    /** Marks the test as failed and goes on. The exit code becomes 110, unless something else fails too. */
    fail(message?: string): void
    /** The options in force, frozen. */
    readonly options: import("k6/options").Options
  }

  /** This virtual user. */
  export const vu: {
    /** From 1, unique in this process; 0 in setup and teardown. */
    readonly idInInstance: number
    /** From 1, unique in the test, over all its processes. */
    readonly idInTest: number
    /** From 0. */
    readonly iterationInInstance: number
    /** From 0. */
    readonly iterationInScenario: number
    /** The same as `metrics.tags`. */
    readonly tags: Tags
    readonly metrics: {
      /** Tags on every sample of this virtual user from now on. */
      readonly tags: Tags
      /** Passed on with samples, but no part of what tells time series apart. */
      readonly metadata: Tags
    }
  }

  const exec: { instance: typeof instance; scenario: typeof scenario; test: typeof test; vu: typeof vu }
  export default exec
}
