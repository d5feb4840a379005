// What all of Intl shares: locales and options, after https://tc39.es/ecma402/.
//
// The texts are English. A locale that is not in LOCALES is answered in en-US, which resolvedOptions() tells.
const LOCALES = {
  'en-US': { order: 'mdy', separator: '/', hour12: true, dayPeriods: ['AM', 'PM'] },
  'en-GB': { order: 'dmy', separator: '/', hour12: false, dayPeriods: ['am', 'pm'], padded: true },
  'en-CA': { order: 'ymd', separator: '-', hour12: true, dayPeriods: ['a.m.', 'p.m.'], padded: true },
};
const DEFAULT = 'en-US';

function canonical(tag) {
  if (typeof tag !== 'string' && (typeof tag !== 'object' || tag === null)) throw new TypeError('a locale must be a string');
  const parts = String(tag).split('-');
  const valid = /^[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|\d{3}))?(-([a-z\d]{5,8}|\d[a-z\d]{3}))*(-[a-z\d](-[a-z\d]{2,8})+)*$/i;
  if (!valid.test(parts.join('-'))) throw new RangeError(`Incorrect locale information provided: ${tag}`);
  let singleton = false;
  return parts.map((part, n) => {
    const lower = part.toLowerCase();
    singleton ||= n > 0 && part.length === 1;
    if (n === 0 || singleton) return lower;
    if (part.length === 4 && !/^\d/.test(part)) return lower[0].toUpperCase() + lower.slice(1);
    return part.length === 2 ? part.toUpperCase() : lower;
  }).join('-');
}

function canonicalList(locales) {
  if (locales === undefined) return [];
  if (typeof locales === 'string') return [canonical(locales)];
  if (locales === null) throw new TypeError('locales must be a string or a list of strings');
  return [...new Set(Array.from(locales, canonical))];
}

// The locale there is for a tag, its extensions (-u-hc-h23) aside.
function available(tag) {
  const plain = tag.replace(/-[a-z\d](-[a-z\d]{2,8})+$/, '');
  if (plain in LOCALES) return plain;
  if (plain === 'en') return 'en';
  return /^en-(AU|NZ|IE|IN|ZA|001|150)$/.test(plain) ? undefined : undefined;
}

function resolve(locales) {
  const found = canonicalList(locales).find((tag) => available(tag) !== undefined);
  const locale = found === undefined ? DEFAULT : available(found);
  const keywords = Object.fromEntries([...(found ?? '').matchAll(/-(hc|nu|ca)-([a-z\d]+)/g)].map(([, key, value]) => [key, value]));
  return { locale, data: LOCALES[locale] ?? LOCALES[DEFAULT], keywords };
}

function choice(options, name, values, otherwise) {
  const value = options[name];
  if (value === undefined) return otherwise;
  const text = String(value);
  if (values && !values.includes(text)) throw new RangeError(`Value ${text} out of range for Intl options property ${name}`);
  return text;
}

function whole(options, name, least, most, otherwise) {
  const value = options[name];
  if (value === undefined) return otherwise;
  const number = Math.floor(Number(value));
  if (!(number >= least && number <= most)) throw new RangeError(`${name} value is out of range.`);
  return number;
}

function optionsOf(options) {
  if (options === undefined) return Object.create(null);
  if (options === null) throw new TypeError('options must be an object');
  return Object(options);
}

const joined = (parts) => parts.map((part) => part.value).join('');

// Gives a constructor what all of Intl's have; `callable` ones need no `new`.
function published(constructor, name, callable = false) {
  const target = callable ? new Proxy(constructor, { apply: (target, self, args) => Reflect.construct(target, args) }) : constructor;
  if (callable) constructor.prototype.constructor = target;
  const supportedLocalesOf = (locales, options) => {
    optionsOf(options);
    return canonicalList(locales).filter((tag) => available(tag) !== undefined);
  };
  Object.defineProperty(constructor, 'supportedLocalesOf', { value: supportedLocalesOf, writable: true, configurable: true });
  Object.defineProperty(constructor.prototype, Symbol.toStringTag, { value: `Intl.${name}`, configurable: true });
  return target;
}
