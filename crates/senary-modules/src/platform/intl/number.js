// Intl.NumberFormat: numbers as decimal digits, rounded, grouped and dressed.
const CURRENCIES = { USD: '$', EUR: '€', GBP: '£', JPY: '¥', INR: '₹', CNY: 'CN¥', KRW: '₩', BRL: 'R$', CAD: 'CA$', AUD: 'A$', MXN: 'MX$', NZD: 'NZ$', ILS: '₪', VND: '₫', TWD: 'NT$', HKD: 'HK$', PHP: '₱' };
const CURRENCY_NAMES = { USD: 'US dollar', EUR: 'euro', GBP: 'British pound', JPY: 'Japanese yen', INR: 'Indian rupee', CNY: 'Chinese yuan', CHF: 'Swiss franc', CAD: 'Canadian dollar', AUD: 'Australian dollar' };
const WITHOUT_CENTS = ['JPY', 'KRW', 'VND', 'CLP', 'ISK', 'PYG', 'UGX', 'XAF', 'XOF', 'XPF', 'RWF', 'KMF', 'GNF', 'DJF', 'BIF', 'VUV'];
// Short and narrow names of units; the long ones are their own names.
const UNITS = {
  bit: ['bit', 'bit'], byte: ['byte', 'B'], kilobit: ['kb', 'kb'], kilobyte: ['kB', 'kB'], megabit: ['Mb', 'Mb'], megabyte: ['MB', 'MB'], gigabit: ['Gb', 'Gb'],
  gigabyte: ['GB', 'GB'], terabit: ['Tb', 'Tb'], terabyte: ['TB', 'TB'], petabyte: ['PB', 'PB'], percent: ['%', '%'],
  nanosecond: ['ns', 'ns'], microsecond: ['μs', 'μs'], millisecond: ['ms', 'ms'], second: ['sec', 's'], minute: ['min', 'm'], hour: ['hr', 'h'], day: ['day', 'd'], week: ['wk', 'w'], month: ['mth', 'm'], year: ['yr', 'y'],
  millimeter: ['mm', 'mm'], centimeter: ['cm', 'cm'], meter: ['m', 'm'], kilometer: ['km', 'km'], inch: ['in', '″'], foot: ['ft', '′'], yard: ['yd', 'yd'], mile: ['mi', 'mi'],
  gram: ['g', 'g'], kilogram: ['kg', 'kg'], ounce: ['oz', 'oz'], pound: ['lb', '#'], stone: ['st', 'st'], milliliter: ['mL', 'mL'], liter: ['L', 'L'], 'fluid-ounce': ['fl oz', 'fl oz'], gallon: ['gal', 'gal'],
  celsius: ['°C', '°C'], fahrenheit: ['°F', '°'], degree: ['deg', '°'], acre: ['ac', 'ac'], hectare: ['ha', 'ha'],
};
const UNSPACED = ['%', '°C', '°F', '°', '″', '′', '#'];
const LONG_UNITS = { celsius: 'degrees Celsius', fahrenheit: 'degrees Fahrenheit', foot: 'feet', inch: 'inches', percent: 'percent', stone: 'stones' };
const WORDS = [['K', ' thousand'], ['M', ' million'], ['B', ' billion'], ['T', ' trillion']];

// A number that is not negative as digits and the power of ten of the first: 1234.5 is ["12345", 3].
function digitsOf(value) {
  if (typeof value === 'bigint') {
    const text = String(value);
    return [text === '0' ? '' : text.replace(/0+$/, ''), text.length - 1];
  }
  const [, first, rest = '', power] = /^(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential());
  const digits = `${first}${rest}`.replace(/0+$/, '');
  return [digits, Number(power)];
}

// Rounds half away from zero to `keep` digits.
function rounded([digits, power], keep) {
  if (keep >= digits.length) return [digits, power];
  if (keep < 0) return ['', 0];
  const up = digits[keep] >= '5';
  let kept = digits.slice(0, keep);
  if (up) {
    kept = String(BigInt(`1${kept}`) + 1n);
    // 99 became 100: the 1 that was put before it is a 2 now.
    if (kept[0] === '2') return [`1${kept.slice(1)}`.replace(/0+$/, ''), power + 1];
    kept = kept.slice(1);
  }
  return [kept.replace(/0+$/, ''), power];
}

// Digits before and behind the point, with zeros where they are asked for.
function plain([digits, power], minInteger, minFraction) {
  const whole = power < 0 ? '' : digits.slice(0, power + 1).padEnd(digits === '' ? 0 : power + 1, '0');
  const fraction = power < 0 ? (digits === '' ? '' : '0'.repeat(-power - 1) + digits) : digits.slice(power + 1);
  return [whole.padStart(minInteger, '0') , fraction.padEnd(minFraction, '0')];
}

function roundingOf(options, defaults, compact) {
  const significant = options.minimumSignificantDigits !== undefined || options.maximumSignificantDigits !== undefined;
  const minimumIntegerDigits = whole(options, 'minimumIntegerDigits', 1, 21, 1);
  if (significant) {
    const minimumSignificantDigits = whole(options, 'minimumSignificantDigits', 1, 21, 1);
    const maximumSignificantDigits = whole(options, 'maximumSignificantDigits', minimumSignificantDigits, 21, 21);
    return { minimumIntegerDigits, minimumSignificantDigits, maximumSignificantDigits };
  }
  const least = whole(options, 'minimumFractionDigits', 0, 100, undefined);
  const most = whole(options, 'maximumFractionDigits', 0, 100, undefined);
  if (compact && least === undefined && most === undefined) return { minimumIntegerDigits, minimumFractionDigits: 0, maximumFractionDigits: 0, compact };
  const minimumFractionDigits = least ?? Math.min(defaults[0], most ?? defaults[0]);
  const maximumFractionDigits = most ?? Math.max(defaults[1], minimumFractionDigits);
  if (minimumFractionDigits > maximumFractionDigits) throw new RangeError('maximumFractionDigits value is out of range.');
  return { minimumIntegerDigits, minimumFractionDigits, maximumFractionDigits };
}

function round(value, rounding) {
  if (rounding.maximumSignificantDigits) return rounded(value, rounding.maximumSignificantDigits);
  // Compact numbers keep two digits, and all before the point.
  if (rounding.compact) return rounded(value, Math.max(2, value[1] + 1));
  return rounded(value, value[1] + 1 + rounding.maximumFractionDigits);
}

class NumberFormatOf {
  #locale; #options; #rounding; #format;

  constructor(locales = undefined, given = undefined) {
    const options = optionsOf(given);
    this.#locale = resolve(locales).locale;
    choice(options, 'localeMatcher', ['lookup', 'best fit']);
    const style = choice(options, 'style', ['decimal', 'percent', 'currency', 'unit'], 'decimal');
    const chosen = { numberingSystem: 'latn', style };
    if (style === 'currency') {
      if (options.currency === undefined) throw new TypeError('Currency code is required with currency style.');
      chosen.currency = String(options.currency).toUpperCase();
      if (!/^[A-Z]{3}$/.test(chosen.currency)) throw new RangeError(`Invalid currency code : ${options.currency}`);
      chosen.currencyDisplay = choice(options, 'currencyDisplay', ['code', 'symbol', 'narrowSymbol', 'name'], 'symbol');
      chosen.currencySign = choice(options, 'currencySign', ['standard', 'accounting'], 'standard');
    }
    if (style === 'unit') {
      if (options.unit === undefined) throw new TypeError('Unit is required with unit style.');
      chosen.unit = String(options.unit);
      if (!chosen.unit.split('-per-').every((unit) => unit in UNITS)) throw new RangeError(`Invalid unit argument for Intl.NumberFormat() '${chosen.unit}'`);
      chosen.unitDisplay = choice(options, 'unitDisplay', ['short', 'narrow', 'long'], 'short');
    }
    const notation = choice(options, 'notation', ['standard', 'scientific', 'engineering', 'compact'], 'standard');
    const cents = WITHOUT_CENTS.includes(chosen.currency) ? 0 : 2;
    const defaults = style === 'currency' && notation === 'standard' ? [cents, cents] : style === 'percent' ? [0, 0] : [0, 3];
    this.#rounding = roundingOf(options, defaults, notation === 'compact');
    const compactDisplay = choice(options, 'compactDisplay', ['short', 'long'], 'short');
    const { compact, ...digits } = this.#rounding;
    Object.assign(chosen, digits, { useGrouping: groupingOf(options.useGrouping, notation), notation });
    if (notation === 'compact') chosen.compactDisplay = compactDisplay;
    chosen.signDisplay = choice(options, 'signDisplay', ['auto', 'never', 'always', 'exceptZero', 'negative'], 'auto');
    Object.assign(chosen, { roundingMode: 'halfExpand', roundingIncrement: 1, trailingZeroDisplay: 'auto', roundingPriority: 'auto' });
    this.#options = chosen;
  }

  get format() { return (this.#format ??= (value) => joined(this.formatToParts(value))); }

  formatToParts(input) {
    const number = typeof input === 'bigint' ? input : Number(input);
    const negative = number < 0 || Object.is(number, -0);
    const size = negative ? -number : number;
    const { style } = this.#options;
    const parts = Number.isNaN(size) ? [{ type: 'nan', value: 'NaN' }] : size === Infinity ? [{ type: 'infinity', value: '∞' }] : this.#number(size);
    const zero = parts.every(({ type, value }) => type !== 'integer' && type !== 'fraction' || /^0*$/.test(value)) && !parts.some(({ type }) => type === 'infinity');
    const one = joined(parts) === '1';
    if (style === 'percent') parts.push({ type: 'percentSign', value: '%' });
    if (style === 'unit') this.#addUnit(parts, one);
    if (style === 'currency') this.#addCurrency(parts, one);
    return this.#signed(parts, negative && !Number.isNaN(number), zero || Number.isNaN(number));
  }

  formatRange(a, b) { return joined(this.formatRangeToParts(a, b)); }
  formatRangeToParts(a, b) {
    const [from, to] = [this.formatToParts(a), this.formatToParts(b)];
    if (joined(from) === joined(to)) return [{ type: 'approximatelySign', value: '~' }, ...from].map((part) => ({ ...part, source: 'shared' }));
    const tag = (parts, source) => parts.map((part) => ({ ...part, source }));
    return [...tag(from, 'startRange'), { type: 'literal', value: this.#options.style === 'currency' ? ' – ' : '–', source: 'shared' }, ...tag(to, 'endRange')];
  }

  resolvedOptions() { return { locale: this.#locale, ...this.#options }; }

  #number(size) {
    const { notation, useGrouping, minimumIntegerDigits, style } = this.#options;
    let [digits, power] = digitsOf(size);
    if (style === 'percent' && digits !== '') power += 2;
    const minimum = ([shown]) => this.#rounding.minimumSignificantDigits ? this.#rounding.minimumSignificantDigits - Math.max(shown[1] + 1, digits === '' ? 1 : -Infinity) : this.#rounding.minimumFractionDigits;
    const shift = (by) => { power -= by; };
    let tail = [];
    if (notation === 'compact') {
      let step = Math.min(4, Math.max(0, Math.floor(power / 3)));
      // 999,999 is a million once it is rounded.
      if (step < 4 && rounded([digits, power - 3 * step], Math.max(2, power - 3 * step + 1))[1] === 3) step++;
      shift(3 * step);
      if (step > 0) {
        const word = WORDS[step - 1][this.#options.compactDisplay === 'long' ? 1 : 0];
        if (word.startsWith(' ')) tail.push({ type: 'literal', value: ' ' });
        tail.push({ type: 'compact', value: word.trim() });
      }
    } else if (notation !== 'standard') {
      const exponent = (power) => (digits === '' ? 0 : notation === 'scientific' ? power : Math.floor(power / 3) * 3);
      // 999.9995 is 1E3 once it is rounded.
      const by = exponent(exponent(power) + round([digits, power - exponent(power)], this.#rounding)[1]);
      shift(by);
      tail = [{ type: 'exponentSeparator', value: 'E' }];
      if (by < 0) tail.push({ type: 'exponentMinusSign', value: '-' });
      tail.push({ type: 'exponentInteger', value: String(Math.abs(by)) });
    }
    const shown = round([digits, power], this.#rounding);
    const [integer, fraction] = plain(shown, minimumIntegerDigits, Math.max(0, minimum([shown])));
    const parts = grouped(integer, useGrouping);
    if (fraction !== '') parts.push({ type: 'decimal', value: '.' }, { type: 'fraction', value: fraction });
    return [...parts, ...tail];
  }

  #addUnit(parts, one) {
    const { unit, unitDisplay } = this.#options;
    const [main, per] = unit.split('-per-');
    const named = (name, plural) => {
      if (unitDisplay !== 'long') {
        const short = UNITS[name][unitDisplay === 'narrow' ? 1 : 0];
        return plural && unitDisplay === 'short' && /^(day|wk|mth|yr)$/.test(short) ? `${short}s` : short;
      }
      return plural ? LONG_UNITS[name] ?? `${name.replace('-', ' ')}s` : (name === 'celsius' || name === 'fahrenheit' ? LONG_UNITS[name].replace('degrees', 'degree') : name.replace('-', ' '));
    };
    const text = named(main, !one) + (per ? (unitDisplay === 'long' ? ` per ${named(per, false)}` : `/${UNITS[per][1]}`) : '');
    const tight = UNSPACED.includes(text) || unitDisplay === 'narrow';
    if (!tight) parts.push({ type: 'literal', value: ' ' });
    parts.push({ type: unit === 'percent' ? 'percentSign' : 'unit', value: text });
  }

  #addCurrency(parts, one) {
    const { currency, currencyDisplay } = this.#options;
    if (currencyDisplay === 'name') {
      const name = CURRENCY_NAMES[currency] ?? currency;
      parts.push({ type: 'literal', value: ' ' }, { type: 'currency', value: one || !(currency in CURRENCY_NAMES) || name.endsWith('yen') || name.endsWith('yuan') ? name : `${name}s` });
      return;
    }
    const symbol = CURRENCIES[currency] ?? currency;
    const value = currencyDisplay === 'code' ? currency : currencyDisplay === 'narrowSymbol' ? symbol.replace(/^[A-Z]+(?=[^A-Z])/, '') : symbol;
    const letters = /[A-Z]$/.test(value);
    parts.unshift({ type: 'currency', value }, ...(letters ? [{ type: 'literal', value: '\u00a0' }] : []));
  }

  #signed(parts, negative, zero) {
    const { signDisplay, currencySign } = this.#options;
    const minus = negative && signDisplay !== 'never' && !(zero && (signDisplay === 'negative' || signDisplay === 'exceptZero'));
    const plus = !negative && (signDisplay === 'always' || signDisplay === 'exceptZero' && !zero);
    if (minus && currencySign === 'accounting') return [{ type: 'literal', value: '(' }, ...parts, { type: 'literal', value: ')' }];
    if (minus) return [{ type: 'minusSign', value: '-' }, ...parts];
    return plus ? [{ type: 'plusSign', value: '+' }, ...parts] : parts;
  }
}

function groupingOf(given, notation) {
  if (given === undefined) return notation === 'compact' ? 'min2' : 'auto';
  if (given === true || given === 'true' || given === 'always') return 'always';
  if (given === false || given === 'false' || !given) return false;
  if (given === 'auto' || given === 'min2') return given;
  throw new RangeError(`Value ${given} out of range for Intl.NumberFormat options property useGrouping`);
}

function grouped(integer, useGrouping) {
  const from = useGrouping === 'min2' ? 5 : 4;
  if (!useGrouping || integer.length < from) return [{ type: 'integer', value: integer }];
  const parts = [];
  for (let end = integer.length; end > 0; end -= 3) {
    parts.unshift({ type: 'integer', value: integer.slice(Math.max(0, end - 3), end) });
    if (end > 3) parts.unshift({ type: 'group', value: ',' });
  }
  return parts;
}
