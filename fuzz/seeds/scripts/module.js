import d, * as n from 'k6'
import { Socket as S, "x y" as z } from "k6/x/tcp"
export * as m from './b.js'
export * from '../c.js'
export { a as b } from '/d.js'
export const options = { vus: 1 }
export default async function () { for await (const x of y) { class A extends B { static #p = 1; get [k]() { return `${x}` } static async *m() { yield* 1 } } } }
//# sourceMappingURL=data:application/json;base64,e30=
