import { spawnSync } from 'node:child_process'
import { setImmediate as nextRound } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLog } from '../../src/telemetry/log.ts'
import { createLogOutput } from '../../src/telemetry/log-output.ts'
import { ADMIN_TOKEN } from '../support/operator.ts'
import { createRequestPool } from '../support/request-pool.ts'
import { makeUnreadPipe } from '../support/unread-pipe.ts'
import { startVestibuleLoggingTo } from '../support/vestibule-process.ts'

type Line = Readonly<Record<string, unknown>>
function parse(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}

function makeReader() {
  const taken: string[] = []
  const chunks: [text: string, done: (error?: Error) => void][] = []
  return {
    write: (text: string, done: (error?: Error) => void) => void chunks.push([text, done]),
    taken: () => taken.join(''),
    take: (error?: Error): boolean => {
      const [text, done] = chunks.shift() ?? []
      if (!error && text !== undefined) taken.push(text)
      done?.(error)
      return done !== undefined
    },
  }
}

describe('C50: lines that nobody reads', () => {
  test('C50: unread lines wait up to a mebibyte; later ones are dropped, counted, and reported where the gap is', async () => {
    const reader = makeReader()
    const log = createLog('info', createLogOutput(reader.write))
    const padding = 'x'.repeat(1000)
    const logged = 2000
    for (let at = 0; at < logged; at += 1) log.info({ event: 'sign_in', at, padding }, 'signed in')
    const kept = logged - log.droppedLines()
    expect(kept * 1000).toBeLessThan(1024 * 1024)
    expect((kept + 1) * 1100).toBeGreaterThan(1024 * 1024)

    reader.take()
    log.info({ event: 'sign_in', at: 'later' }, 'signed in')
    while (reader.take());
    const lines = parse(reader.taken())
    expect(lines.slice(0, kept).map(({ at }) => at)).toEqual([...Array(kept).keys()])
    expect(lines.slice(kept)).toMatchObject([
      { event: 'log_lines_dropped', count: logged - kept },
      { event: 'sign_in', at: 'later' },
    ])
    expect(log.droppedLines()).toBe(logged - kept)
    await log.finish(0)
  })

  test('C50: all dropped lines are reported also where the first write makes less room than the report needs', () => {
    const reader = makeReader()
    const log = createLog('info', createLogOutput(reader.write))
    log.info({ event: 'listening' }, '')
    while (log.droppedLines() < 3) log.info({ event: 'listening', pad: 'x'.repeat(1000) }, 'long')
    while (log.droppedLines() < 6) log.info({ event: 'listening' }, '')
    while (reader.take());
    const told = parse(reader.taken()).flatMap(({ event, count }) =>
      event === 'log_lines_dropped' ? [Number(count)] : [],
    )
    expect(told).toEqual([6])
  })

  test('C50: lines of a failed write are lost, counted, and reported after the next one that succeeds', () => {
    const reader = makeReader()
    const log = createLog('info', createLogOutput(reader.write))
    log.info({ event: 'stopping' }, 'on a full disk')
    reader.take(new Error('ENOSPC'))
    expect(log.droppedLines()).toBe(1)
    log.info({ event: 'stopped' }, 'there is room')
    while (reader.take());
    expect(parse(reader.taken())).toMatchObject([
      { event: 'stopped' },
      { event: 'log_lines_dropped', count: 1 },
    ])
  })
})

describe('C50: the last lines', () => {
  test('C50: the end waits until the last lines are read, or for the given time', async () => {
    const reader = makeReader()
    const log = createLog('info', createLogOutput(reader.write))
    log.info({ event: 'stopping' }, 'stopping')
    log.info({ event: 'stopped' }, 'stopped')
    await log.finish(0)
    expect(reader.taken()).toBe('')

    let isFinished = false
    const finished = log.finish(60_000).then(() => {
      isFinished = true
    })
    reader.take()
    await nextRound()
    expect(isFinished).toBe(false)
    reader.take()
    await finished
    expect(parse(reader.taken())).toMatchObject([{ event: 'stopping' }, { event: 'stopped' }])
  })

  test('C50: the last lines are written also where the process ends by an exception', () => {
    const program = `
      import { createLog } from './src/telemetry/log.ts'
      const log = createLog('info')
      for (let at = 0; at < 3; at += 1) log.info({ at }, 'line')
      throw new Error('nobody catches this')`
    const { stdout, status } = spawnSync(
      process.execPath,
      ['--input-type=module-typescript', '-e', program],
      { encoding: 'utf8' },
    )
    expect([status, parse(stdout).map(({ at }) => at)]).toEqual([1, [0, 1, 2]])
  })
})

describe('C50: lines that strangers cause', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  const start = () => {
    const lines: Line[] = []
    const log = createLog('info', { write: (text) => lines.push(...parse(text)) })
    const events = () => lines.map(({ event, code = '' }) => [event, code].join(' '))
    return { lines, log, events }
  }
  const refuse = (log: ReturnType<typeof createLog>, code: string, count: number) => {
    for (let at = 0; at < count; at += 1) log.warn({ event: 'refused', code }, 'request refused')
  }

  test('C50: refusals are limited to ten lines per second and code, and the others are counted afterwards', () => {
    const { lines, log, events } = start()
    refuse(log, 'foreign_host', 1)
    vi.advanceTimersByTime(900)
    refuse(log, 'foreign_host', 9)
    refuse(log, 'alias_header', 3)
    vi.advanceTimersByTime(200)
    refuse(log, 'foreign_host', 101)
    expect(events().filter((each) => each === 'refused foreign_host')).toHaveLength(11)
    expect(events().filter((each) => each === 'refused alias_header')).toHaveLength(3)
    vi.advanceTimersByTime(1000)
    expect(lines.at(-1)).toMatchObject({
      event: 'log_lines_left_out',
      suppressed: 100,
      of: { event: 'refused', code: 'foreign_host' },
    })
    refuse(log, 'foreign_host', 20)
    expect(events().filter((each) => each === 'refused foreign_host')).toHaveLength(21)
  })

  test('C50: lines of operators, settings and users are never left out, except unverified sign-outs', async () => {
    const { lines, log, events } = start()
    for (const event of ['sessions_ended', 'explained', 'risk', 'sign_in', 'sign_out']) {
      for (let at = 0; at < 50; at += 1) log.info({ event }, 'done')
      expect(events().filter((each) => each === `${event} `)).toHaveLength(50)
    }
    for (let at = 0; at < 50; at += 1) log.info({ event: 'sign_out', verified: false }, 'asked')
    expect(lines.filter(({ verified }) => verified === false)).toHaveLength(10)
    await log.finish(0)
    expect(lines.at(-1)).toMatchObject({ suppressed: 40, of: { event: 'sign_out' } })
  })
})

function isDropped({ event }: Readonly<Record<string, unknown>>) {
  return event === 'log_lines_dropped'
}

describe('C50: a process whose output nobody reads', () => {
  const settings = { ADMIN_TOKEN, PUBLIC_PATHS: '/public/**' }
  const operator = { Authorization: `Bearer ${ADMIN_TOKEN}` }

  test('C50: the process answers, drops lines beyond the bound, and reports them once somebody reads', {
    timeout: 60_000,
  }, async () => {
    using pipe = makeUnreadPipe()
    pipe.fill()
    await using vestibule = await startVestibuleLoggingTo(pipe.path, settings)
    using pool = createRequestPool(vestibule.internalPort, 8)
    // Requests of operators are lines that are never left out.
    const asked = 6000
    const statuses = new Set<number>()
    await pool.sendMany(
      asked,
      () => ({ path: '/admin/cache', headers: operator }),
      ({ status }) => statuses.add(status),
    )
    expect([...statuses]).toEqual([200])
    expect((await vestibule.check({ uri: '/public/x' })).status).toBe(200)
    expect((await vestibule.check({ host: 'foreign.example' })).status).toBe(400)
    expect((await vestibule.internal('/livez')).status).toBe(200)
    const { body } = await vestibule.internal('/metrics')
    const dropped = Number(/^vestibule_log_lines_dropped_total (\d+)$/m.exec(body)?.[1])
    expect(dropped).toBeGreaterThan(0)

    let read = ''
    const lines = () => parse(read.replace(/[^\n]*$/, ''))
    // Told whenever the pipe moves, so perhaps in several lines.
    const told = () =>
      lines().reduce((sum, line) => sum + Number(isDropped(line) ? line['count'] : 0), 0)
    while (told() < dropped) {
      read += pipe.read()
      await nextRound()
    }
    expect(told()).toBe(dropped)
    expect(lines().filter(({ event }) => event === 'cache_shown').length).toBeLessThan(asked)
  })

  test('C50: the last lines reach a reader, and without one the process ends all the same', async () => {
    using pipe = makeUnreadPipe()
    await using vestibule = await startVestibuleLoggingTo(pipe.path, settings)
    expect(await vestibule.stop('SIGTERM')).toBe(0)
    const read = parse(pipe.read()).map(({ event }) => event)
    expect(read.slice(-2)).toEqual(['stopping', 'stopped'])

    pipe.fill()
    await using another = await startVestibuleLoggingTo(pipe.path, settings)
    expect([await another.stop('SIGTERM'), pipe.read()]).toEqual([0, ''])
  })
})
