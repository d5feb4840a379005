// Intl.DateTimeFormat: which parts a date shows, in which order, and what stands between them.
const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const ERAS = { long: ['Before Christ', 'Anno Domini'], short: ['BC', 'AD'], narrow: ['B', 'A'] };
const DATE_STYLES = {
  full: { weekday: 'long', year: 'numeric', month: 'long', day: 'numeric' },
  long: { year: 'numeric', month: 'long', day: 'numeric' },
  medium: { year: 'numeric', month: 'short', day: 'numeric' },
  short: { year: '2-digit', month: 'numeric', day: 'numeric' },
};
const TIME_STYLES = {
  full: { hour: 'numeric', minute: '2-digit', second: '2-digit', timeZoneName: 'long' },
  long: { hour: 'numeric', minute: '2-digit', second: '2-digit', timeZoneName: 'short' },
  medium: { hour: 'numeric', minute: '2-digit', second: '2-digit' },
  short: { hour: 'numeric', minute: '2-digit' },
};
const NAMED = ['long', 'short', 'narrow'];
const DIGITS = ['2-digit', 'numeric'];
const COMPONENTS = {
  weekday: NAMED, era: NAMED, year: DIGITS, month: [...DIGITS, ...NAMED], day: DIGITS, dayPeriod: NAMED, hour: DIGITS, minute: DIGITS, second: DIGITS,
};
const ZONE_NAMES = ['short', 'long', 'shortOffset', 'longOffset', 'shortGeneric', 'longGeneric'];
// Names of zones by abbreviation, where people know them by it.
const AMERICAN = { E: 'Eastern', C: 'Central', M: 'Mountain', P: 'Pacific', AK: 'Alaska', H: 'Hawaii-Aleutian', A: 'Atlantic' };
const EUROPEAN = { CET: 'Central European Standard Time', CEST: 'Central European Summer Time', EET: 'Eastern European Standard Time', EEST: 'Eastern European Summer Time', WET: 'Western European Standard Time', WEST: 'Western European Summer Time', GMT: 'Greenwich Mean Time', BST: 'British Summer Time' };

const padded = (number, length = 2) => String(number).padStart(length, '0');
const literal = (value) => ({ type: 'literal', value });

function zoneOf(given) {
  if (given === undefined) return zones.system();
  const text = String(given);
  const offset = /^([+-])(\d\d):?(\d\d)?$/.exec(text);
  if (offset && offset[2] < 24 && (offset[3] ?? 0) < 60) return offset[2] === '00' && (offset[3] ?? '00') === '00' ? '+00:00' : `${offset[1]}${offset[2]}:${offset[3] ?? '00'}`;
  const name = zones.named(text);
  if (name === undefined) throw new RangeError(`Invalid time zone specified: ${text}`);
  return name;
}

function offsetText(seconds, long) {
  if (seconds === 0) return 'GMT';
  const minutes = Math.abs(Math.trunc(seconds / 60));
  const [hours, rest] = [Math.trunc(minutes / 60), minutes % 60];
  const sign = seconds < 0 ? '-' : '+';
  return `GMT${sign}${long ? `${padded(hours)}:${padded(rest)}` : `${hours}${rest ? `:${padded(rest)}` : ''}`}`;
}

function zoneText(zone, { offset, abbreviation }, style, locale) {
  if (style === 'long' && zone === 'Asia/Kolkata') return 'India Standard Time';
  if (style === 'long' && zone === 'Asia/Tokyo') return 'Japan Standard Time';
  if (style.endsWith('Offset')) return offsetText(offset, style === 'longOffset');
  if (zone === 'UTC') return style.startsWith('long') ? 'Coordinated Universal Time' : style === 'shortGeneric' ? 'GMT' : 'UTC';
  const generic = style.endsWith('Generic');
  const american = locale !== 'en-GB' && /^(America|US|Canada)\/|^Pacific\/Honolulu$/.test(zone) && /^([ECMPHA]|AK)([SD])T$/.exec(abbreviation);
  if (american) {
    if (!style.startsWith('long')) return generic ? `${american[1]}T` : abbreviation;
    return `${AMERICAN[american[1]]} ${generic ? '' : american[2] === 'D' ? 'Daylight ' : 'Standard '}Time`;
  }
  const european = zone.startsWith('Europe/') && abbreviation in EUROPEAN;
  if (european && style === 'long') return EUROPEAN[abbreviation];
  if (european && style === 'short' && (locale === 'en-GB' || abbreviation === 'GMT')) return abbreviation;
  return offsetText(offset, style.startsWith('long'));
}

function hourText({ hour }, cycle, length, data) {
  if (cycle === 'h11' || cycle === 'h12') {
    const twelve = cycle === 'h11' ? hour % 12 : hour % 12 || 12;
    return length === '2-digit' ? padded(twelve) : String(twelve);
  }
  return padded(cycle === 'h24' ? hour || 24 : hour);
}

function partOfDay({ hour, minute }) {
  if (hour === 12 && minute === 0) return 'noon';
  return hour >= 21 ? 'at night' : hour < 12 ? 'in the morning' : hour < 18 ? 'in the afternoon' : 'in the evening';
}

const named = (name, style) => (style === 'long' ? name : name.slice(0, style === 'short' ? 3 : 1));
const monthName = (month, style, locale) => (style === 'short' && month === 9 && locale === 'en-GB' ? 'Sept' : named(MONTHS[month - 1], style));

// The order of a date's parts, with the texts between them.
function dateLayout(o, data) {
  const { weekday, era, year, month, day } = o;
  const isText = NAMED.includes(month);
  let layout = [];
  const british = data.order === 'dmy';
  if (isText) {
    if (british) layout = spaced([day && 'day', 'month', year && 'year'], ' ');
    else layout = [...spaced(['month', day && 'day'], ' '), ...(year ? [literal(day ? ', ' : ' '), 'year'] : [])];
  } else {
    const order = { mdy: ['month', 'day', 'year'], dmy: ['day', 'month', 'year'], ymd: ['year', 'month', 'day'] }[data.order];
    layout = spaced(order.filter((part) => o[part]), data.separator);
  }
  if (era) layout = [...layout, ...(layout.length ? [literal(' ')] : []), 'era'];
  if (!weekday) return layout;
  if (layout.length === 0) return ['weekday'];
  if (day && !month && !year) return [...layout, literal(' '), 'weekday'];
  return ['weekday', literal(british && isText && weekday === 'long' && o.style !== 'full' ? ' ' : ', '), ...layout];
}

function spaced(parts, separator) {
  return parts.filter(Boolean).flatMap((part, n) => (n === 0 ? [part] : [literal(separator), part]));
}

function timeLayout(o, cycle) {
  const layout = spaced([o.hour && 'hour', o.minute && 'minute', o.second && 'second'], ':');
  if (o.fractionalSecondDigits) layout.push(...(o.second ? [literal('.')] : []), 'fractionalSecond');
  if (o.hour && (cycle === 'h11' || cycle === 'h12') || o.dayPeriod) layout.push(...(layout.length ? [literal(' ')] : []), 'dayPeriod');
  return layout;
}

class DateTimeFormatOf {
  #resolved; #shown; #layout; #data; #format;

  // `required` and `defaults` are what Date's own methods ask for: a date, a time, or both.
  constructor(locales, given, required = 'any', defaults = 'date') {
    const options = optionsOf(given);
    const { locale, data, keywords } = resolve(locales);
    const zone = zoneOf(options.timeZone);
    choice(options, 'localeMatcher', ['lookup', 'best fit']);
    choice(options, 'formatMatcher', ['basic', 'best fit']);
    const shown = {};
    for (const [name, values] of Object.entries(COMPONENTS)) {
      const value = choice(options, name, values);
      if (value !== undefined) shown[name] = value;
    }
    const fraction = whole(options, 'fractionalSecondDigits', 1, 3);
    if (fraction !== undefined) shown.fractionalSecondDigits = fraction;
    const zoneName = choice(options, 'timeZoneName', ZONE_NAMES);
    const dateStyle = choice(options, 'dateStyle', Object.keys(DATE_STYLES));
    const timeStyle = choice(options, 'timeStyle', Object.keys(TIME_STYLES));
    const styled = dateStyle !== undefined || timeStyle !== undefined;
    if (styled) {
      const other = [...Object.keys(shown), ...(zoneName ? ['timeZoneName'] : [])][0];
      if (other) throw new TypeError(`Can't set option ${other} when ${dateStyle ? 'dateStyle' : 'timeStyle'} is used`);
      if (required === 'date' && timeStyle || required === 'time' && dateStyle) throw new TypeError(`Invalid option : ${timeStyle ? 'timeStyle' : 'dateStyle'}`);
      Object.assign(shown, DATE_STYLES[dateStyle], TIME_STYLES[timeStyle], dateStyle === 'full' && { style: 'full' });
      if (dateStyle === 'short' && data.order !== 'mdy') shown.year = 'numeric';
    } else {
      const isDate = ['weekday', 'year', 'month', 'day'].some((name) => name in shown);
      const isTime = ['dayPeriod', 'hour', 'minute', 'second', 'fractionalSecondDigits'].some((name) => name in shown);
      if (!(required !== 'time' && isDate || required !== 'date' && isTime)) {
        if (defaults !== 'time') Object.assign(shown, { year: 'numeric', month: 'numeric', day: 'numeric' });
        if (defaults !== 'date') Object.assign(shown, { hour: 'numeric', minute: 'numeric', second: 'numeric' });
      }
      if (zoneName) shown.timeZoneName = zoneName;
    }
    const cycle = shown.hour ? cycleOf(options, data, keywords) : undefined;
    const date = dateLayout(shown, data);
    const time = timeLayout(shown, cycle);
    const long = shown.month === 'long' && shown.day;
    this.#layout = [...date, ...(date.length && time.length ? [literal(long ? ' at ' : date.length === 1 && date[0] === 'weekday' ? ' ' : ', ')] : []), ...time];
    if (shown.timeZoneName) this.#layout.push(literal(time.length ? ' ' : ', '), 'timeZoneName');
    this.#data = data;
    this.#shown = { ...shown, cycle, zone, locale, several: date.filter((part) => typeof part === 'string').length > 1, clock: time.length > 1 };
    const listed = styled ? {} : { ...shown };
    if (listed.hour && !(cycle === 'h12' || cycle === 'h11')) listed.hour = '2-digit';
    if (listed.minute && (listed.hour || listed.second)) listed.minute = '2-digit';
    if (listed.second && listed.minute) listed.second = '2-digit';
    this.#resolved = {
      locale, calendar: 'gregory', numberingSystem: 'latn', timeZone: zone,
      ...(cycle && { hourCycle: cycle, hour12: cycle === 'h11' || cycle === 'h12' }),
      ...listed, ...(dateStyle && { dateStyle }), ...(timeStyle && { timeStyle }),
    };
  }

  get format() { return (this.#format ??= (date) => joined(this.formatToParts(date))); }

  formatToParts(date) {
    const time = fieldsOf(date, this.#shown.zone);
    return this.#layout.map((part) => (typeof part === 'string' ? { type: part, value: this.#text(part, time) } : { ...part }));
  }

  formatRange(from, to) { return joined(this.formatRangeToParts(from, to)); }
  formatRangeToParts(from, to) {
    if (from === undefined || to === undefined) throw new TypeError('formatRange() needs two dates');
    const tagged = (parts, source) => parts.map((part) => ({ ...part, source }));
    const [first, last] = [this.formatToParts(from), this.formatToParts(to)];
    if (joined(first) === joined(last)) return tagged(first, 'shared');
    return [...tagged(first, 'startRange'), { ...literal(' – '), source: 'shared' }, ...tagged(last, 'endRange')];
  }

  resolvedOptions() { return { ...this.#resolved }; }

  #text(part, time) {
    const { several, clock, cycle, zone, locale } = this.#shown;
    const style = this.#shown[part];
    const twoDigits = style === '2-digit' || this.#data.padded && several && !NAMED.includes(this.#shown.month);
    switch (part) {
      case 'weekday': return named(DAYS[time.weekday], style);
      case 'era': return ERAS[style][time.year > 0 ? 1 : 0];
      case 'year': return yearText(time.year, style);
      case 'month': return NAMED.includes(style) ? monthName(time.month, style, locale) : twoDigits ? padded(time.month) : String(time.month);
      case 'day': return twoDigits && !(this.#shown.weekday && !this.#shown.month) ? padded(time.day) : String(time.day);
      case 'hour': return hourText(time, cycle, style);
      case 'minute': return clock ? padded(time.minute) : String(time.minute);
      case 'second': return clock ? padded(time.second) : String(time.second);
      case 'fractionalSecond': return padded(time.millisecond, 3).slice(0, this.#shown.fractionalSecondDigits);
      case 'dayPeriod': return style ? partOfDay(time) : this.#data.dayPeriods[time.hour < 12 ? 0 : 1];
      default: return zoneText(zone, time, style, locale);
    }
  }
}

function yearText(year, style) {
  // The calendar has no year 0: what comes before the year 1 is 1 BC.
  const shown = year <= 0 ? 1 - year : year;
  return style === '2-digit' ? padded(shown % 100) : String(shown);
}

function cycleOf(options, data, keywords) {
  const cycles = ['h11', 'h12', 'h23', 'h24'];
  const cycle = choice(options, 'hourCycle', cycles);
  if (options.hour12 !== undefined) return options.hour12 ? 'h12' : 'h23';
  if (cycle) return cycle;
  return cycles.includes(keywords.hc) ? keywords.hc : data.hour12 ? 'h12' : 'h23';
}

const OFFSET = /^([+-])(\d\d):(\d\d)$/;

function fieldsOf(date, zone) {
  const time = Math.trunc(date === undefined ? Date.now() : Number(date));
  if (!(Math.abs(time) <= 8.64e15)) throw new RangeError('Invalid time value');
  const fixed = OFFSET.exec(zone);
  const [offset, abbreviation] = fixed ? [(fixed[1] === '-' ? -1 : 1) * (fixed[2] * 3600 + fixed[3] * 60), zone] : zones.at(zone, time);
  // Not by one Date of the local time: the last day there is may not have it.
  const [days, rest] = [Math.floor((time + offset * 1000) / 864e5), (((time + offset * 1000) % 864e5) + 864e5) % 864e5];
  const day = new Date(Math.max(-1e8, Math.min(1e8, days)) * 864e5);
  return {
    year: day.getUTCFullYear(), month: day.getUTCMonth() + 1, day: day.getUTCDate(), weekday: day.getUTCDay(),
    hour: Math.floor(rest / 36e5), minute: Math.floor(rest / 6e4) % 60, second: Math.floor(rest / 1e3) % 60, millisecond: rest % 1000,
    offset, abbreviation,
  };
}
