import autocannon from 'autocannon'
import { quantile } from '../report/spread.ts'
import type { Load, LoadResult } from './load.ts'
import { atPace, createRequests } from './paced.ts'

/** Sends load on request of its parent, in a process of its own, so that it does not delay what it measures. */
process.on('message', (load: Load) => {
  const { perSecond } = load
  const running = perSecond === undefined ? runFull(load) : runPaced({ ...load, perSecond })
  void running.then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function runFull({ url, headers, connections, seconds }: Load): Promise<LoadResult> {
  const tookMs: number[] = []
  const done = Promise.withResolvers<autocannon.Result>()
  const startedAtMs = performance.now()
  const running = autocannon({ url, headers, connections, duration: seconds }, (error, result) => {
    if (error) done.reject(error)
    else done.resolve(result)
  })
  running.on('response', (_client, _status, _bytes, ms) => void tookMs.push(ms))
  const result = await done.promise
  return {
    ...describe(tookMs, startedAtMs),
    requests: result.requests.total,
    failures: result.non2xx + result.errors + result.timeouts,
  }
}

/** Sends evenly, which autocannon does not: its rate sends all requests of a second at the second's beginning. */
async function runPaced(load: Load & { readonly perSecond: number }): Promise<LoadResult> {
  using requests = createRequests(load.url, load.headers, load.connections)
  const tookMs: number[] = []
  let failures = 0
  const startedAtMs = performance.now()
  await atPace(load, async () => {
    const sentAtMs = performance.now()
    const status = await requests.send().catch(() => 0)
    tookMs.push(performance.now() - sentAtMs)
    if (status !== 200) failures++
  })
  return { ...describe(tookMs, startedAtMs), requests: tookMs.length, failures }
}

function describe(tookMs: readonly number[], startedAtMs: number) {
  const seconds = (performance.now() - startedAtMs) / 1000
  const sorted = tookMs.toSorted((a, b) => a - b)
  return { seconds, p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) }
}
