/** Data shared by all virtual users. */
declare module "k6/data" {
  /**
   * An array that is held once per process. Made in the init context; the function is called once, and must give back
   * an array of what JSON can hold. Each access gives a frozen copy of one element.
   */
  export const SharedArray: {
    new <T = unknown>(name: string, build: () => T[]): readonly T[]
  }

  const data: typeof import("k6/data")
  export default data
}
