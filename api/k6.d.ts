/** Checks, groups, and a virtual user's own pace. */
declare module "k6" {
  /**
   * Tests a value against named conditions; each counts as passed or failed in the metric `checks` and in the
   * summary. Gives back whether all passed; a failed check does not end the iteration. A condition may be a function
   * (not an async one) or any value, judged by its truth. A condition that throws counts as failed, and throws on.
   */
  export function check<T>(
    value: T,
    conditions: { [name: string]: ((value: T) => unknown) | string | number | bigint | boolean | object | null | undefined },
    tags?: { [name: string]: string | number | boolean },
  ): boolean

  /** Ends the iteration with an exception. */
  export function fail(message?: string): never

  /**
   * Calls a function (not an async one) under a name: its time goes to `group_duration`, and every sample of it is
   * tagged with the group. Gives back what the function does.
   */
  export function group<T>(name: string, body: () => T): T

  /**
   * Stops this virtual user for some seconds; fractions are fine. None of its events are handled meanwhile, and its
   * sockets are not read; other virtual users go on. To wait without blocking, await a promise with `setTimeout`.
   */
  export function sleep(seconds: number): void

  /** Makes `Math.random()` of this virtual user repeatable. */
  export function randomSeed(seed: number): void

  const k6: {
    check: typeof check
    fail: typeof fail
    group: typeof group
    sleep: typeof sleep
    randomSeed: typeof randomSeed
  }
  export default k6
}
