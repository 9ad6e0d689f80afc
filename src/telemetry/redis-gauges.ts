import { Gauge, type Registry } from 'prom-client'
import type { FindingCode } from '../redis/examine/finding.ts'

/** State of Redis, read whenever `/metrics` is read. */
export interface GaugedRedis {
  readonly isConnected: boolean
  readonly commandsInFlight: number
  /** Code of the finding that keeps Redis from being connected to. */
  readonly lossCode?: FindingCode | undefined
  readonly breakers: Readonly<Record<'read' | 'write', { readonly state: string }>>
  readonly isBackplaneHealthy: boolean
  readonly fleet: {
    readonly size: number
    readonly findings: readonly { readonly kind: string }[]
  }
  readonly examination:
    | {
        evictionPolicy?: string
        clockOffsetMs?: number
        readonly memory?: { readonly usedBytes: number; readonly maxBytes: number }
        readonly findings: readonly { readonly code: FindingCode; readonly stopsSignIn?: true }[]
      }
    | undefined
}

const BREAKER_STATES = ['closed', 'half-open', 'open']
const FLEET_KINDS = ['clock', 'keys', 'mode', 'rules', 'version']
const FINDING_CODES = Object.keys({
  busy: true,
  clock: true,
  cluster: true,
  eviction: true,
  full: true,
  loading: true,
  misconf: true,
  refused: true,
  replica: true,
  replication: true,
  rights: true,
  sentinel: true,
  unsupported: true,
  version: true,
} satisfies Record<FindingCode, true>)

/** Adds the gauges of Redis and of the other replicas. */
export function addRedisGauges(registry: Registry, redis: GaugedRedis): void {
  const registers = [registry]
  for (const { name, help, read } of GAUGES) {
    void new Gauge({
      name: `vestibule_${name}`,
      help,
      registers,
      collect() {
        this.set(read(redis))
      },
    })
  }
  for (const { name, help, label, read } of LABELLED_GAUGES) {
    void new Gauge({
      name: `vestibule_${name}`,
      help,
      labelNames: [label],
      registers,
      collect() {
        for (const [value, count] of read(redis)) this.set({ [label]: value }, count)
      },
    })
  }
}

interface GaugeSource {
  readonly name: string
  readonly help: string
  readonly read: (redis: GaugedRedis) => number
}

const GAUGES: readonly GaugeSource[] = [
  {
    name: 'redis_connected',
    help: '1 when commands can be sent to Redis',
    read: ({ isConnected }) => Number(isConnected),
  },
  {
    name: 'redis_commands_in_flight',
    help: 'Commands that Redis has not answered yet',
    read: ({ commandsInFlight }) => commandsInFlight,
  },
  {
    name: 'redis_eviction_policy_ok',
    help: '1 when Redis is set to noeviction, 0 when not or not known',
    read: ({ examination }) => Number(examination?.evictionPolicy === 'noeviction'),
  },
  {
    name: 'redis_stops_sign_in',
    help: '1 while findings of the latest self-test keep people from signing in',
    read: ({ examination }) =>
      Number(examination?.findings.some(({ stopsSignIn }) => stopsSignIn) ?? false),
  },
  {
    name: 'redis_memory_used_bytes',
    help: 'Memory that Redis uses, at the fullest primary of a cluster; NaN when not known',
    read: ({ examination }) => examination?.memory?.usedBytes ?? Number.NaN,
  },
  {
    name: 'redis_memory_max_bytes',
    help: 'maxmemory of the same server, +Inf where it has none; NaN when not known',
    read: ({ examination }) => examination?.memory?.maxBytes ?? Number.NaN,
  },
  {
    name: 'redis_clock_offset_seconds',
    help: 'How far the clock of Redis is ahead of ours',
    read: ({ examination }) => (examination?.clockOffsetMs ?? Number.NaN) / 1000,
  },
  {
    name: 'backplane_healthy',
    help: '1 while messages of other replicas are known to arrive',
    read: ({ isBackplaneHealthy }) => Number(isBackplaneHealthy),
  },
  {
    name: 'fleet_replicas',
    help: 'Other replicas seen lately',
    read: ({ fleet }) => fleet.size,
  },
]

interface LabelledGaugeSource {
  readonly name: string
  readonly help: string
  readonly label: string
  /** Returns the number for each value of the label. */
  readonly read: (redis: GaugedRedis) => readonly (readonly [string, number])[]
}

const LABELLED_GAUGES: readonly LabelledGaugeSource[] = [
  {
    name: 'fleet_mismatches',
    help: 'Other replicas that differ from this one',
    label: 'kind',
    read: ({ fleet: { findings } }) =>
      FLEET_KINDS.map((kind) => [kind, findings.filter((each) => each.kind === kind).length]),
  },
  {
    name: 'redis_findings',
    help: 'Problems of this Redis that the latest self-test found',
    label: 'code',
    read: ({ examination, lossCode }) =>
      FINDING_CODES.map((code) => {
        const found = examination?.findings.filter((each) => each.code === code).length ?? 0
        return [code, Math.max(found, Number(code === lossCode))]
      }),
  },
  {
    name: 'circuit_breaker_state',
    help: '0 closed, 1 half-open, 2 open',
    label: 'breaker',
    read: ({ breakers }) =>
      Object.entries(breakers).map(([name, { state }]) => [name, BREAKER_STATES.indexOf(state)]),
  },
]
