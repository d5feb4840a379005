// Expectations with matchers that are registered, can be negated, soft, awaited, and say where they stand.
import exec from "k6/execution";
import { Counter } from "k6/metrics";

const failed = new Counter("expectations_failed");
const ASYMMETRIC = Symbol.for("asymmetric");

class Any {
  constructor(kind) {
    this.kind = kind;
  }
  [ASYMMETRIC](value) {
    return Object(value) instanceof this.kind;
  }
  toString() {
    return `any(${this.kind.name})`;
  }
}

export class ExpectationError extends Error {
  name = "ExpectationError";
  constructor(message, { cause, where } = {}) {
    super(message, { cause });
    this.where = where;
  }
}

class Trace {
  static here() {
    const lines = (new Error().stack ?? "").split("\n");
    const frames = lines.map((line) => /^\s*at\s+(?:(?<name>.*?)\s+\()?(?<file>[^()]+?):(?<line>\d+):(?<column>\d+)/d.exec(line));
    const own = frames.find((frame) => frame && frame.groups.file.endsWith("user.js"));
    return own ? `${own.groups.file.split("/").at(-1)}:${own.groups.line}` : "?";
  }
}

const equals = (a, b) => {
  if (typeof b?.[ASYMMETRIC] === "function") return b[ASYMMETRIC](a);
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (ArrayBuffer.isView(a)) return a.length === b.length && a.every((value, at) => value === b[at]);
  const keys = Reflect.ownKeys(a);
  return keys.length === Reflect.ownKeys(b).length && keys.every((key) => Object.hasOwn(b, key) && equals(a[key], b[key]));
};

const matchers = new Map(
  Object.entries({
    toBe: (received, expected) => Object.is(received, expected),
    toEqual: equals,
    toBeCloseTo: (received, expected, digits = 2) => Math.abs(received - expected) < 10 ** -digits / 2,
    toContain: (received, item) => (typeof received === "string" ? received.includes(item) : Array.from(received).includes(item)),
    toHaveProperty: (received, path) => path.split(".").every((key) => (received = received?.[key]) !== undefined),
    toBeInstanceOf: (received, kind) => received instanceof kind,
    toBeNull: (received) => received === null,
    toBeUndefined: (received) => received === undefined,
    toHaveLength: (received, length) => received.length === length,
  })
);

function judge(config, { received, negated, name, args }) {
  const holds = matchers.get(name)(received, ...args);
  if (holds !== negated) return;
  const where = Trace.here();
  const message = `expect(received)${negated ? ".not" : ""}.${name}(${args.map(String).join(", ")}): received ${String(received)}, at ${where}`;
  failed.add(1, { matcher: name });
  if (config.soft) {
    console.error(config.colorize ? `\u001b[31m${message}\u001b[0m` : message);
    exec.vu.tags.failed ??= "soft";
    return;
  }
  throw new ExpectationError(message, { where, cause: { received } });
}

function makeExpect(config) {
  const expect = function (received) {
    const make = (negated) => {
      const target = Object.create(null);
      for (const name of matchers.keys()) target[name] = (...args) => judge(config, { received, negated, name, args });
      return target;
    };
    return Object.defineProperties(make(false), {
      not: { get: () => make(true) },
      eventually: {
        get: () =>
          new Proxy({}, {
            get: (_, name) => async (...args) => {
              const until = Date.now() + (config.timeout ?? 1000);
              for (;;) {
                const value = await received();
                try {
                  return judge({ ...config, soft: false }, { received: value, negated: false, name, args });
                } catch (error) {
                  if (Date.now() > until) throw error;
                  await new Promise((resolve) => setTimeout(resolve, config.interval ?? 10));
                }
              }
            },
          }),
      },
    });
  };
  return Object.assign(expect, {
    soft: (received) => makeExpect({ ...config, soft: true })(received),
    configure: (more) => makeExpect({ ...config, ...more }),
    any: (kind) => new Any(kind),
    extend: (more) => Object.entries(more).forEach(([name, matcher]) => matchers.set(name, matcher)),
    get config() {
      return structuredClone(config);
    },
  });
}

export const expect = makeExpect({ soft: false, colorize: __ENV.NO_COLOR === undefined, timeout: 2000 });
