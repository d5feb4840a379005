// What local times are, for every hour of a year, as one number. Node and Senary must agree on it.
// Runs in both; the zone is TZ's.

export const FIRST = 2011, LAST = 2022

/** A checksum (FNV-1a, by words) of numbers. */
function digest() {
  let hash = 0x811c9dc5
  const mix = (word) => {
    hash = Math.imul(hash ^ word, 0x01000193)
    hash ^= hash >>> 15
  }
  const add = (number) => {
    mix(number | 0)
    mix(Math.floor(number / 2 ** 32))
  }
  return { add, value: () => (hash >>> 0).toString(16).padStart(8, "0") }
}

const two = (n) => String(n).padStart(2, "0")

/** Local times that are given: to the constructor, in texts, to setters. */
function given(year, sum) {
  const hours = (Date.UTC(year + 1, 0) - Date.UTC(year, 0)) / 3_600_000
  for (let hour = 0; hour < hours; hour++) {
    sum.add(new Date(year, 0, 1, hour).getTime())
    sum.add(new Date(year, 0, 1, hour, 30).getTime())
  }
  for (let day = 1; day <= hours / 24; day++) {
    const date = new Date(year, 0, day, 12)
    const [month, of] = [two(date.getMonth() + 1), two(date.getDate())]
    for (const hour of ["00", "01", "02", "03"]) {
      sum.add(Date.parse(`${year}-${month}-${of}T${hour}:30:00`))
      sum.add(Date.parse(`${month}/${of}/${year} ${hour}:15`))
      const set = new Date(year, 0, day - 1, Number(hour), 30)
      sum.add(set.setDate(set.getDate() + 1))
      sum.add(set.setMinutes(59, 59, 999))
      sum.add(set.setHours(Number(hour)))
      sum.add(set.setSeconds(3_600))
      sum.add(set.setMonth(set.getMonth() + 6))
      sum.add(set.setFullYear(year, 0, day))
    }
  }
}

/** What points in time are called. */
function told(year, sum) {
  for (let time = Date.UTC(year, 0); time < Date.UTC(year + 1, 0); time += 1_800_000) {
    const date = new Date(time)
    sum.add(date.getTimezoneOffset())
    sum.add(date.getDate() * 10_000 + date.getHours() * 100 + date.getMinutes())
    // A time that is there twice is the first of the two when it is put together again.
    sum.add(date.setMilliseconds(1))
    if (time % 10_800_000 === 0) for (const c of String(date).slice(0, 33)) sum.add(c.charCodeAt(0))
  }
}

/** Every year's number. */
export function times() {
  const years = {}
  for (let year = FIRST; year <= LAST; year++) {
    const sum = digest()
    given(year, sum)
    told(year, sum)
    years[year] = sum.value()
  }
  return years
}
