import type { T } from './types.ts'
import { u, type V } from './u.ts'
enum A { X = 1, Y = X << 1 }
namespace N { export const a = 1 }
abstract class C<T> implements I { constructor(private readonly x: number, public y?: string) {} declare z: T }
export default function f<T>(this: void, a: T, ...b: unknown[]): asserts a is NonNullable<T> { return (<any>u(A.X as number))! satisfies V }
