// Small functions around a test: random data, forms, cookies, and the stage that a test is in.
import exec from "k6/execution";
import { check } from "k6";

export function uuidv4(secure = false) {
  return secure
    ? crypto.randomUUID()
    : "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".replace(/[xy]/g, (c) => {
        const random = (Math.random() * 16) | 0;
        return (c === "x" ? random : (random & 0x3) | 0x8).toString(16);
      });
}

export const randomIntBetween = (min, max) => Math.floor(Math.random() * (max - min + 1) + min);
export const randomItem = (items) => items[Math.floor(Math.random() * items.length)];
export const randomString = (length, charset = "abcdefghijklmnopqrstuvwxyz") => {
  let text = "";
  while (length--) text += charset[(Math.random() * charset.length) | 0];
  return text;
};

export function findBetween(content, left, right, repeat = false) {
  const found = [];
  for (let start, end = 0; (start = content.indexOf(left, end)) !== -1; ) {
    start += left.length;
    end = content.indexOf(right, start);
    if (end === -1) break;
    const between = content.substring(start, end);
    if (!repeat) return between;
    found.push(between);
    end += right.length;
  }
  return found.length ? found : null;
}

export function* bellCurve(max, seconds, steps = 10) {
  const normal = (mean, deviation, x) =>
    (1 / (deviation * Math.sqrt(2 * Math.PI))) * Math.exp(-((x - mean) ** 2) / (2 * deviation ** 2));
  const values = Array.from({ length: steps + 2 }, (_, at) => normal(0, 1, -2 + (4 * at) / (steps + 1)));
  const peak = Math.max(...values);
  for (const value of values) {
    yield { duration: `${Math.ceil(seconds / steps)}s`, target: Math.round((max * value) / peak) };
  }
  yield { duration: `${Math.ceil(seconds / steps)}s`, target: 0 };
}

const UNITS = Object.entries({ d: 864e5, h: 36e5, m: 6e4, s: 1e3, ms: 1 });

export function parseDuration(text) {
  if (text == null || text.length < 1) throw new Error("text is empty");
  let total = 0;
  for (const { groups } of text.matchAll(/(?<count>\d+(?:\.\d+)?)(?<unit>ms|[dhms])/gu)) {
    total += Number(groups.count) * new Map(UNITS).get(groups.unit);
  }
  return total;
}

export function currentStage() {
  const scenario = exec.test.options.scenarios[exec.scenario.name];
  const stages = scenario?.stages ?? exec.test.options.stages;
  if (!stages) throw new Error(`only scenarios with stages have one: ${scenario.executor}`);
  const elapsed = Date.now() - exec.scenario.startTime;
  let sum = 0;
  const index = stages.findIndex(({ duration }) => (sum += parseDuration(duration)) > elapsed);
  return index < 0 ? stages.length - 1 : index;
}

export function tagWithStage() {
  const stage = currentStage();
  exec.vu.metrics.tags["stage"] = stage;
  return stage;
}

export function profile() {
  const { stages } = exec.test.options.scenarios[exec.scenario.name];
  const at = currentStage();
  const [now, before] = [stages[at].target, at < 1 ? 0 : stages[at - 1].target];
  return now > before ? "ramp-up" : now < before ? "ramp-down" : "steady";
}

export const checkStatus = ({ response, expected, failOnError = false, dump = false }) => {
  if (Array.isArray(expected) ? !expected.includes(response.status) : expected !== response.status) {
    if (dump) console.error(JSON.stringify(response, null, 2));
    if (failOnError) exec.test.abort("wrong status");
  }
  return check(response, { [`status is ${expected}`]: (r) => [expected].flat().includes(r.status) });
};
