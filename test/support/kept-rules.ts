import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { keepRules } from '../../src/compose/rules.ts'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import type { useMonotonicClock } from './monotonic-clock.ts'
import { defaultSettings, parseLine } from './vestibule.ts'

const STEP_MS = 250

type Clock = ReturnType<typeof useMonotonicClock>
type Folder = ReturnType<typeof makeFolder>
type Environment = Readonly<Record<string, string>>

/** A folder of its own, with the settings file `vestibule.yaml` in it. */
export const makeFolder = (text: string) => {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-reload-'))
  const path = join(folder, 'vestibule.yaml')
  writeFileSync(path, text)
  return {
    folder,
    path,
    write: (content: string) => writeFileSync(path, content),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Swaps the file for a link to another one, as the kubelet does with the files of a ConfigMap. */
export const swapLink = ({ folder, path }: Pick<Folder, 'folder' | 'path'>, text: string) => {
  const name = randomUUID()
  mkdirSync(join(folder, name))
  writeFileSync(join(folder, name, 'vestibule.yaml'), text)
  for (const [target, link] of [
    [name, join(folder, '..data')],
    ['..data/vestibule.yaml', path],
  ] as const) {
    symlinkSync(target, `${link}.next`)
    renameSync(`${link}.next`, link)
  }
}

/** Rules kept as the service keeps them, by a clock in the hands of the test; `afterRead` acts between reading and keeping. */
export const startKeptRules = (
  path: string,
  clock: Clock,
  environment: Environment = {},
  afterRead: () => Partial<Pick<Config, 'readAgain'>> | void = () => undefined,
) => {
  const { ALLOW_ANY_USER: _, ...settings } = defaultSettings
  const lines: string[] = []
  const log = createLog('info', { write: (line) => void lines.push(line) })
  const metrics = createMetrics({ hasRedis: false })
  const config = loadConfig({ ...settings, VESTIBULE_CONFIG: path, ...environment })
  const kept = keepRules({ config: { ...config, ...afterRead() }, log, metrics })
  const accesses = () => kept.current.set.rules.map(({ access }) => access).join(' ')
  return {
    kept,
    output: () => lines.join(''),
    logged: (event: string) => lines.flatMap(parseLine).filter((line) => line['event'] === event),
    reasons: () => lines.flatMap(parseLine).flatMap(({ reasons }) => reasons ?? []),
    events: () => lines.flatMap(parseLine).map(({ event }) => event),
    codes: () => kept.findings().map(({ code }) => code),
    /** Accesses of the rules in force. */
    accesses,
    /** Lets time pass, and returns every state of the rules in it, each once. */
    pass(ms: number): readonly string[] {
      const seen = new Set<string>()
      for (let passed = 0; passed < ms; passed += STEP_MS) {
        clock.elapse(STEP_MS)
        vi.advanceTimersByTime(STEP_MS)
        seen.add(accesses())
      }
      return [...seen]
    },
    /** Counts of `vestibule_rules_reloads_total`, `reloaded` first. */
    reloads: async () => {
      const text = await metrics.registry.getSingleMetricAsString('vestibule_rules_reloads_total')
      return Array.from(text.matchAll(/^vestibule\S+ (\d+)$/gm), ([, count]) => Number(count))
    },
    [Symbol.dispose]: () => kept.close(),
  }
}
