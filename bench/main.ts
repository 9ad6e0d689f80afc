import { readFileSync, writeFileSync } from 'node:fs'
import { startLoadGenerator } from './load/load.ts'
import { describeMachine } from './machine.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import type { Plan } from './plan.ts'
import { comparison } from './report/compare.ts'
import { type Run, withTables } from './report/page.ts'
import { terminalTable } from './report/print.ts'
import { sizingTable } from './report/sizing.ts'
import type { Table } from './report/table.ts'
import { measureChecks } from './sections/checks.ts'
import { measureReads } from './sections/reads.ts'
import { measureRules } from './sections/rules.ts'
import { measureSignIns } from './sections/sign-ins.ts'
import { measureSizes } from './sections/sizes.ts'
import { measureStart } from './sections/start.ts'
import { measureStreams } from './sections/streams.ts'
import { measureThroughTraefik } from './sections/through-traefik.ts'

/** Sections by name, in the order in which they run. */
const SECTIONS: Readonly<Record<string, (plan: Plan) => Promise<Table | readonly Table[]>>> = {
  checks: measureChecks,
  reads: measureReads,
  rules: measureRules,
  sizes: measureSizes,
  'sign-ins': measureSignIns,
  start: measureStart,
  streams: measureStreams,
  traefik: measureThroughTraefik,
}

const options = readOptions()
const say = (text: string) => void process.stderr.write(`${text}\n`)
const show = (tables: readonly Table[]) => {
  if (!options.isJson) process.stdout.write(tables.map(terminalTable).join(''))
}
const run = options.from === undefined ? await measure(options) : readRun(options.from)
if (options.from !== undefined) show(run.tables)
if (options.isJson) process.stdout.write(`${JSON.stringify(run, null, 2)}\n`)
if (options.compare !== undefined) say(comparison(run.tables, readRun(options.compare).tables))
if (options.page !== undefined) {
  writeFileSync(options.page, withTables(readFileSync(options.page, 'utf8'), run))
}

async function measure({ only, laps, rounds, seconds }: Options): Promise<Run> {
  const tables: Table[] = []
  const machine = describeMachine()
  using generator = await startLoadGenerator()
  for (const [name, section] of Object.entries(SECTIONS)) {
    if (only && !only.has(name)) continue
    const measured = [
      await section({ laps, rounds, seconds, warmUpSeconds: 3, generator, say }),
    ].flat()
    tables.push(...measured)
    show(measured)
  }
  const sizing = sizingTable(tables)
  if (sizing) {
    tables.push(sizing)
    show([sizing])
  }
  return { machine, laps, rounds, seconds, tables }
}

function readRun(file: string): Run {
  const text = readFileSync(file, 'utf8')
  // npm prints the name of the script first.
  return JSON.parse(text.slice(text.indexOf('{'))) as Run
}

function readOptions() {
  try {
    return parseOptions(process.argv.slice(2), Object.keys(SECTIONS))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
    return process.exit(2)
  }
}
