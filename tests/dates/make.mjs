// Makes expected.json: node make.mjs > expected.json
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { times } from "./times.mjs"

const ZONES = [
  "UTC",
  "Europe/Berlin",
  "Europe/Istanbul", // stayed in summer for good in 2016
  "Africa/Casablanca", // changes back for a month each year
  "America/New_York",
  "America/Los_Angeles",
  "America/Sao_Paulo", // changed at midnight, until 2019
  "America/Caracas", // moved by half an hour in 2016
  "Asia/Tehran", // half hours, changed at midnight until 2022
  "Asia/Pyongyang", // moved by half an hour in 2015 and back in 2018
  "Australia/Sydney",
  "Australia/Lord_Howe", // changes by half an hour
  "Pacific/Apia", // skipped a day in 2011
]

if (process.argv[2] === "one") {
  console.log(JSON.stringify(times()))
} else {
  const of = (zone) => {
    const env = { ...process.env, TZ: zone }
    return `  ${JSON.stringify(zone)}: ${execFileSync(process.execPath, [fileURLToPath(import.meta.url), "one"], { env }).toString().trim()}`
  }
  console.log(`{\n${ZONES.map(of).join(",\n")}\n}`)
}
