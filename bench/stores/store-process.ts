import { latencies, throughput } from './measure.ts'
import { openStore, type StoreKind } from './store.ts'

/** Result of one round over a store. */
export interface StoreRound {
  readonly readP50Ms: number
  readonly readP99Ms: number
  readonly writeP50Ms: number
  readonly readsPerSecond: number
  readonly cpuMicros: number
}

const SEQUENTIAL = 2000
const WARM_UP_READS = 200_000
const WARM_UP_SECONDS = 0.25

/** Measures one store in a process of its own: kind, address of Redis and number of sessions are its arguments. */
const [, , kind, redisUrl = '', sessions] = process.argv
const store = await openStore(kind as StoreKind, redisUrl, Number(sessions))

// Counted in reads, because the compiler takes as many, however fast the machine is.
for (let reads = 0; reads < WARM_UP_READS; ) {
  const { perSecond } = await throughput(store.read, WARM_UP_SECONDS)
  reads += perSecond * WARM_UP_SECONDS
}

process.on('message', (seconds: number) => {
  void round(seconds).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit())
process.send?.('ready')

async function round(seconds: number): Promise<StoreRound> {
  const read = await latencies(store.read, SEQUENTIAL)
  const write = await latencies(store.write, SEQUENTIAL / 4)
  const { perSecond, cpuMicros } = await throughput(store.read, seconds)
  return {
    readP50Ms: read.p50Ms,
    readP99Ms: read.p99Ms,
    writeP50Ms: write.p50Ms,
    readsPerSecond: perSecond,
    cpuMicros,
  }
}
