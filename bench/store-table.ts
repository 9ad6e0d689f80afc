import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { createClient, RESP_TYPES } from 'redis'
import type { SessionCredential } from '../src/core/session.ts'
import { type Mode, storedSessions } from './stored-sessions.ts'

/** Figures of reads and writes, in the columns of the table that the traefikoidc plugin publishes. */
export interface StoreRow {
  readonly name: string
  readonly readP50Ms: number
  readonly readP99Ms: number
  readonly writeP50Ms: number
  readonly readsPerSecond: number
}

const SESSIONS = 1000
const SEQUENTIAL = 5000
const IN_FLIGHT = 64
const SECONDS = 2
const RECORD_BYTES = 350

/** Measures the three modes and raw node-redis, one after the other on the same Redis. */
export async function storeTable(redisUrl: string): Promise<StoreRow[]> {
  const rows = [await rawRow(redisUrl)]
  for (const mode of ['memory', 'redis', 'hybrid'] as const) {
    await using stored = await storedSessions(mode, redisUrl)
    const credentials = await stored.signIn(SESSIONS)
    const read = reader(stored.read, credentials)
    rows.push(await measure(mode, read, stored.write))
  }
  return rows
}

type Read = () => unknown

/** Reads every session in turn. A session that is not found ends the run. */
function reader(
  read: (credential: SessionCredential) => boolean | Promise<boolean>,
  credentials: readonly SessionCredential[],
): Read {
  let turn = 0
  const must = (isFound: boolean) => {
    if (!isFound) throw new Error('a session was not found')
  }
  return () => {
    const found = read(credentials[turn++ % credentials.length] as SessionCredential)
    return found instanceof Promise ? found.then(must) : must(found)
  }
}

async function rawRow(url: string): Promise<StoreRow> {
  const client = createClient({ url, commandOptions: { timeout: 0 } })
  await client.connect()
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  const record = randomBytes(RECORD_BYTES)
  for (let each = 0; each < SESSIONS; each++) await client.set(`raw:${each}`, record)
  let turn = 0
  const read = () => binary.get(`raw:${turn++ % SESSIONS}`)
  const write = () =>
    client.set(`raw:written-${turn++}`, record, { expiration: { type: 'PX', value: 60_000 } })
  const row = await measure('raw node-redis', read, write)
  client.destroy()
  return row
}

async function measure(name: string, read: Read, write: () => Promise<unknown>): Promise<StoreRow> {
  for (let each = 0; each < 2 * SESSIONS; each++) await read()
  const reads = await sequential(read)
  const writes = await sequential(write)
  return {
    name,
    readP50Ms: quantile(reads, 0.5),
    readP99Ms: quantile(reads, 0.99),
    writeP50Ms: quantile(writes, 0.5),
    readsPerSecond: await throughput(read),
  }
}

async function sequential(act: () => unknown): Promise<number[]> {
  const taken: number[] = []
  for (let each = 0; each < SEQUENTIAL; each++) {
    const sinceMs = performance.now()
    const outcome = act()
    if (outcome instanceof Promise) await outcome
    taken.push(performance.now() - sinceMs)
  }
  return taken.toSorted((a, b) => a - b)
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN
}

/** Returns reads per second at a given concurrency; synchronous hits are not awaited. */
async function throughput(read: Read): Promise<number> {
  const endMs = performance.now() + SECONDS * 1000
  let count = 0
  const work = async (): Promise<void> => {
    while (performance.now() < endMs) {
      for (let each = 0; each < 100; each++) {
        const outcome = read()
        if (outcome instanceof Promise) await outcome
        count++
      }
    }
  }
  const sinceMs = performance.now()
  await Promise.all(Array.from({ length: IN_FLIGHT }, work))
  return count / ((performance.now() - sinceMs) / 1000)
}

/** Returns how many times as long a read of a few hot sessions takes beside a million sessions as beside a thousand. */
export async function largeRatio(redisUrl: string, mode: Mode): Promise<number> {
  const [few, many] = [1000, 1_000_000]
  const perSecond: number[] = []
  for (const count of [few, many]) {
    await using stored = await storedSessions(mode, redisUrl, many)
    const credentials = await stored.signIn(count)
    for (const credential of credentials) await stored.read(credential)
    const hot = credentials.slice(-100)
    for (let each = 0; each < 10_000; each++) await reader(stored.read, hot)()
    perSecond.push(await throughput(reader(stored.read, hot)))
  }
  const [withFew = Number.NaN, withMany = Number.NaN] = perSecond
  return withFew / withMany
}

/**
 * Runs `redis-benchmark` with the same number of connections and size of values. Returns requests per second by
 * test, such as `GET`.
 */
export async function redisBenchmark(redisUrl: string): Promise<ReadonlyMap<string, number>> {
  const { port } = new URL(redisUrl)
  const options = `-p ${port} -t get,set -d ${RECORD_BYTES} -c ${IN_FLIGHT} -n 100000 --csv`
  const { stdout } = await promisify(execFile)('redis-benchmark', options.split(' '))
  const lines = stdout.split('\n').map((line) => line.replaceAll('"', '').split(','))
  return new Map(lines.map(([name = '', rps]) => [name, Number(rps)]))
}
