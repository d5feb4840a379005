// The object Intl, and the methods of Date, Number and BigInt that take a locale.
const NumberFormat = published(NumberFormatOf, 'NumberFormat', true);
// Scripts have no say in what Date's methods ask for.
class DateTimeFormatOfScripts extends DateTimeFormatOf {
  constructor(locales = undefined, options = undefined) { super(locales, options); }
}
const DateTimeFormat = published(DateTimeFormatOfScripts, 'DateTimeFormat', true);
const Intl = {
  DateTimeFormat, NumberFormat,
  PluralRules: published(PluralRulesOf, 'PluralRules'),
  RelativeTimeFormat: published(RelativeTimeFormatOf, 'RelativeTimeFormat'),
  ListFormat: published(ListFormatOf, 'ListFormat'),
  getCanonicalLocales: (locales) => canonicalList(locales),
  supportedValuesOf(key) {
    switch (String(key)) {
      case 'timeZone': return zones.all();
      case 'calendar': return ['gregory'];
      case 'numberingSystem': return ['latn'];
      case 'currency': return [...new Set([...Object.keys(CURRENCIES), ...Object.keys(CURRENCY_NAMES), ...WITHOUT_CENTS])].sort();
      case 'unit': return Object.keys(UNITS).sort();
      case 'collation': return ['default'];
      default: throw new RangeError(`Invalid key : ${key}`);
    }
  },
};
for (const [name, value] of Object.entries(Intl)) {
  Object.defineProperty(value, 'name', { value: name, configurable: true });
  Object.defineProperty(Intl, name, { value, enumerable: false, writable: true, configurable: true });
}
Object.defineProperty(Intl, Symbol.toStringTag, { value: 'Intl', configurable: true });

// One formatter for each locale and set of options: to make one takes far longer than to use it.
const formatters = new Map();
function formatter(make, name, locales, options) {
  const simple = (locales === undefined || typeof locales === 'string') && (options === undefined || Object.getPrototypeOf(Object(options)) === Object.prototype);
  if (!simple) return make(locales, options);
  const key = JSON.stringify([name, locales, options, options?.timeZone === undefined && name !== 'number' ? zones.system() : '']);
  const known = formatters.get(key) ?? make(locales, options);
  if (formatters.size >= 100) formatters.clear();
  formatters.set(key, known);
  return known;
}

// Without a locale and options these do what k6 does.
const { getTime, getFullYear, getMonth, getDate, getHours, getMinutes, getSeconds } = Date.prototype;
const plainDate = (date) => {
  const year = getFullYear.call(date);
  return `${padded(getMonth.call(date) + 1)}/${padded(getDate.call(date))}/${year < 0 ? '-' : ''}${padded(Math.abs(year), 4)}`;
};
const plainTime = (date) => [getHours, getMinutes, getSeconds].map((get) => padded(get.call(date))).join(':');
function dateMethod(name, plain, required, defaults) {
  return { [name](locales = undefined, options = undefined) {
    const time = getTime.call(this);
    if (Number.isNaN(time)) return 'Invalid Date';
    if (locales === undefined && options === undefined) return plain(this);
    return formatter((l, o) => new DateTimeFormatOf(l, o, required, defaults), name, locales, options).format(time);
  } }[name];
}
function numberMethod({ valueOf, toString }) {
  return { toLocaleString(locales = undefined, options = undefined) {
    const value = valueOf.call(this);
    if (locales === undefined && options === undefined) return toString.call(value);
    return formatter((l, o) => new NumberFormatOf(l, o), 'number', locales, options).format(value);
  } }.toLocaleString;
}
return {
  Intl,
  dates: {
    toLocaleString: dateMethod('toLocaleString', (date) => `${plainDate(date)}, ${plainTime(date)}`, 'any', 'all'),
    toLocaleDateString: dateMethod('toLocaleDateString', plainDate, 'date', 'date'),
    toLocaleTimeString: dateMethod('toLocaleTimeString', plainTime, 'time', 'time'),
  },
  numbers: { toLocaleString: numberMethod(Number.prototype) },
  bigints: { toLocaleString: numberMethod(BigInt.prototype) },
};
