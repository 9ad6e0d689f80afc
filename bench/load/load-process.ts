import autocannon from 'autocannon'
import type { Load, LoadResult } from './load.ts'

/** Sends load on request of its parent, in a process of its own, so that it does not delay what it measures. */
process.on('message', (load: Load) => {
  void run(load).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function run({ url, headers, connections, seconds, perSecond }: Load): Promise<LoadResult> {
  const tookMs: number[] = []
  const done = Promise.withResolvers<autocannon.Result>()
  const startedAtMs = performance.now()
  const options = {
    url,
    headers,
    connections,
    duration: seconds,
    // Counts a request that waited behind a late one once.
    ...(perSecond !== undefined && { overallRate: perSecond, ignoreCoordinatedOmission: true }),
  }
  const running = autocannon(options, (error, result) => {
    if (error) done.reject(error)
    else done.resolve(result)
  })
  running.on('response', (_client, _status, _bytes, ms) => void tookMs.push(ms))
  const result = await done.promise
  const tookSeconds = (performance.now() - startedAtMs) / 1000
  const sorted = tookMs.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.NaN
  return {
    requests: result.requests.total,
    seconds: tookSeconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    failures: result.non2xx + result.errors + result.timeouts,
  }
}
