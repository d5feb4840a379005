/** A script's own metrics, made in the init context. */
declare module "k6/metrics" {
  interface Tags {
    [name: string]: string | number | boolean
  }

  abstract class Metric {
    /**
     * Names have up to 128 ASCII letters, digits and underscores and begin with a letter or an underscore. The same
     * name may be declared again with the same type only.
     *
     * @param isTime whether values are milliseconds, and shown as times
     */
    constructor(name: string, isTime?: boolean)

    readonly name: string

    /** Adds a sample; not in the init context. Gives back whether the value was one. `true` counts as 1. */
    add(value: number | boolean, tags?: Tags): boolean
  }

  /** A sum. Thresholds: `count`, `rate` (per second). */
  export class Counter extends Metric {}
  /** The last value, with the smallest and the largest. Thresholds: `value`. */
  export class Gauge extends Metric {}
  /** The share of values that are not 0. Thresholds: `rate`. */
  export class Rate extends Metric {}
  /** A distribution. Thresholds: `avg`, `min`, `max`, `med`, `p(N)`. */
  export class Trend extends Metric {}

  const metrics: typeof import("k6/metrics")
  export default metrics
}
