import { readFileSync, writeFileSync } from 'node:fs'
import { startLoadGenerator } from './load/load.ts'
import { describeMachine } from './machine.ts'
import { parseOptions, USAGE } from './options.ts'
import type { Plan } from './plan.ts'
import { comparison } from './report/compare.ts'
import { withTables } from './report/page.ts'
import { terminalTable } from './report/print.ts'
import type { Table } from './report/table.ts'
import { measureChecks } from './sections/checks.ts'
import { measureReads } from './sections/reads.ts'
import { measureSignIns } from './sections/sign-ins.ts'
import { measureSizes } from './sections/sizes.ts'
import { measureStart } from './sections/start.ts'
import { measureThroughTraefik } from './sections/through-traefik.ts'

/** Sections by name, in the order in which they run. */
const SECTIONS: Readonly<Record<string, (plan: Plan) => Promise<Table | readonly Table[]>>> = {
  checks: measureChecks,
  reads: measureReads,
  sizes: measureSizes,
  'sign-ins': measureSignIns,
  start: measureStart,
  traefik: measureThroughTraefik,
}

const options = readOptions()
const say = (text: string) => void process.stderr.write(`${text}\n`)
const tables: Table[] = []
const machine = describeMachine()
{
  using generator = startLoadGenerator()
  const { laps, rounds, seconds } = options
  for (const [name, measure] of Object.entries(SECTIONS)) {
    if (options.only && !options.only.has(name)) continue
    const measured = [await measure({ laps, rounds, seconds, generator, say })].flat()
    tables.push(...measured)
    if (!options.isJson) process.stdout.write(measured.map(terminalTable).join(''))
  }
}
const run = {
  machine,
  laps: options.laps,
  rounds: options.rounds,
  seconds: options.seconds,
  tables,
}
if (options.isJson) process.stdout.write(`${JSON.stringify(run, null, 2)}\n`)
if (options.compare !== undefined) {
  const earlier = JSON.parse(readFileSync(options.compare, 'utf8')) as typeof run
  say(comparison(tables, earlier.tables))
}
if (options.page !== undefined) {
  writeFileSync(options.page, withTables(readFileSync(options.page, 'utf8'), run))
}

function readOptions() {
  try {
    return parseOptions(process.argv.slice(2), Object.keys(SECTIONS))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
    return process.exit(2)
  }
}
