/** The global timers, by import. */
declare module "k6/timers" {
  export const setTimeout: typeof globalThis.setTimeout
  export const setInterval: typeof globalThis.setInterval
  export const clearTimeout: typeof globalThis.clearTimeout
  export const clearInterval: typeof globalThis.clearInterval

  const timers: typeof import("k6/timers")
  export default timers
}
