// Intl.PluralRules, Intl.RelativeTimeFormat and Intl.ListFormat, in English.
class PluralRulesOf {
  #locale; #type; #digits;
  constructor(locales = undefined, given = undefined) {
    const options = optionsOf(given);
    this.#locale = resolve(locales).locale;
    this.#type = choice(options, 'type', ['cardinal', 'ordinal'], 'cardinal');
    const { compact, ...digits } = roundingOf(options, [0, 3]);
    this.#digits = digits;
  }
  select(value) {
    const number = Number(value);
    if (this.#type === 'cardinal') {
      // "1.0" is no "one".
      return Math.abs(number) === 1 && !(this.#digits.minimumFractionDigits > 0) && !(this.#digits.minimumSignificantDigits > 1) ? 'one' : 'other';
    }
    const [ten, hundred] = [Math.abs(number) % 10, Math.abs(number) % 100];
    if (ten === 1 && hundred !== 11) return 'one';
    if (ten === 2 && hundred !== 12) return 'two';
    return ten === 3 && hundred !== 13 ? 'few' : 'other';
  }
  resolvedOptions() {
    const pluralCategories = this.#type === 'cardinal' ? ['one', 'other'] : ['few', 'one', 'two', 'other'];
    return { locale: this.#locale, type: this.#type, ...this.#digits, pluralCategories };
  }
}

const TIME_UNITS = ['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year'];
const SHORT_TIME_UNITS = { second: 'sec.', minute: 'min.', hour: 'hr.', day: 'day', week: 'wk.', month: 'mo.', quarter: 'qtr.', year: 'yr.' };
const NARROW_TIME_UNITS = { second: 's', minute: 'm', hour: 'h', day: 'd', week: 'w', month: 'mo', quarter: 'q', year: 'y' };
const NEAR = { second: { 0: 'now' }, day: { '-1': 'yesterday', 0: 'today', 1: 'tomorrow' } };

class RelativeTimeFormatOf {
  #locale; #style; #numeric; #numbers;
  constructor(locales = undefined, given = undefined) {
    const options = optionsOf(given);
    this.#locale = resolve(locales).locale;
    this.#style = choice(options, 'style', ['long', 'short', 'narrow'], 'long');
    this.#numeric = choice(options, 'numeric', ['always', 'auto'], 'always');
    this.#numbers = new NumberFormatOf(this.#locale);
  }
  format(value, unit) { return joined(this.formatToParts(value, unit)); }
  formatToParts(value, given) {
    const [number, unit] = [Number(value), String(given).replace(/s$/, '')];
    if (!TIME_UNITS.includes(unit)) throw new RangeError(`Invalid unit argument for format() '${given}'`);
    if (!Number.isFinite(number)) throw new RangeError('the number of a relative time must be finite');
    if (this.#numeric === 'auto') {
      const short = this.#style === 'long' || unit === 'minute' || unit === 'hour' ? unit : SHORT_TIME_UNITS[unit];
      const near = NEAR[unit]?.[number] ?? (Math.abs(number) <= 1 && Number.isInteger(number) && { '-1': `last ${short}`, 0: `this ${short}`, 1: `next ${short}` }[number]);
      const known = near && (unit !== 'minute' && unit !== 'hour' || number === 0) && !(unit === 'second' && number !== 0);
      if (known) return [{ type: 'literal', value: near }];
    }
    const past = number < 0 || Object.is(number, -0);
    const parts = this.#numbers.formatToParts(Math.abs(number)).map((part) => ({ ...part, unit }));
    const one = joined(parts) === '1';
    const long = one ? unit : `${unit}s`;
    const short = one || !/^(day|qtr\.)$/.test(SHORT_TIME_UNITS[unit]) ? SHORT_TIME_UNITS[unit] : SHORT_TIME_UNITS[unit].replace(/\.?$/, (dot) => `s${dot}`);
    const name = this.#style === 'long' ? ` ${long}` : this.#style === 'short' ? ` ${short}` : NARROW_TIME_UNITS[unit];
    return past ? [...parts, { type: 'literal', value: `${name} ago` }] : [{ type: 'literal', value: 'in ' }, ...parts, { type: 'literal', value: name }];
  }
  resolvedOptions() { return { locale: this.#locale, style: this.#style, numeric: this.#numeric, numberingSystem: 'latn' }; }
}

class ListFormatOf {
  #locale; #type; #style;
  constructor(locales = undefined, given = undefined) {
    const options = optionsOf(given);
    this.#locale = resolve(locales).locale;
    this.#type = choice(options, 'type', ['conjunction', 'disjunction', 'unit'], 'conjunction');
    this.#style = choice(options, 'style', ['long', 'short', 'narrow'], 'long');
  }
  format(list) { return joined(this.formatToParts(list)); }
  formatToParts(list) {
    const items = list === undefined ? [] : Array.from(list);
    if (!items.every((item) => typeof item === 'string')) throw new TypeError('Iterable yielded a value which is not a string');
    const comma = this.#type === 'unit' && this.#style === 'narrow' ? ' ' : ', ';
    const word = this.#type === 'disjunction' ? 'or' : this.#style === 'long' || this.#locale === 'en-GB' && this.#style === 'short' ? 'and' : this.#style === 'short' ? '&' : '';
    const british = this.#locale === 'en-GB' && this.#type !== 'unit';
    const last = this.#type === 'unit' || word === '' ? comma : items.length === 2 || british ? ` ${word} ` : `, ${word} `;
    return items.flatMap((value, n) => [
      ...(n === 0 ? [] : [{ type: 'literal', value: n === items.length - 1 ? last : comma }]),
      { type: 'element', value },
    ]);
  }
  resolvedOptions() { return { locale: this.#locale, type: this.#type, style: this.#style }; }
}
