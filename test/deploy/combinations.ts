import { existsSync } from 'node:fs'
import { ROUTE_KINDS, type RouteKind } from '../../src/render/sign-in-route.ts'
import { K8S } from './manifests.ts'

/** Kind and ports of the servers that each component leads to, and whether by TLS. */
export const REDIS = {
  redis: ['single', [6379], false],
  'redis-url': ['single', [6379], true],
  sentinel: ['sentinel', [26379, 26379, 26379], false],
  'managed-redis/elasticache': ['cluster', [6379], true],
  'managed-redis/azure': ['single', [6380], true],
  'managed-redis/memorystore': ['single', [6378], true],
} as const
type RedisName = keyof typeof REDIS

/** Components that each overlay may have besides; that of the monitoring where this checkout has it. */
const EXTRAS = [
  ['tls', 'middleware-tls'],
  ['connected-clients'],
  ['hpa'],
  ['external-secrets'],
  ...(existsSync(`${K8S}/components/monitoring`) ? [['monitoring']] : []),
]

interface Choice {
  readonly overlay: 'overlays/demo' | 'overlays/production'
  readonly redis: RedisName
  readonly routes: RouteKind
  readonly extras: readonly string[]
}

const REDIS_OF = {
  'overlays/demo': ['redis'],
  'overlays/production': Object.keys(REDIS).filter((name) => name !== 'redis') as RedisName[],
} as const

const CHOICES: readonly Choice[] = (['overlays/demo', 'overlays/production'] as const).flatMap(
  (overlay) => [
    ...REDIS_OF[overlay].flatMap((redis) =>
      ROUTE_KINDS.map((routes) => ({ overlay, redis, routes, extras: EXTRAS.flat() })),
    ),
    ...EXTRAS.map((extras) => {
      const [redis = 'redis'] = REDIS_OF[overlay]
      return { overlay, redis, routes: 'ingressroute' as const, extras }
    }),
  ],
)

/** Each Redis with each kind of routes and all of the rest, and each of the rest alone. */
export const COMBINATIONS = CHOICES.map((choice) => {
  const { overlay, redis, routes, extras } = choice
  const own = routes === 'ingressroute' ? [] : [routes]
  return {
    ...choice,
    components: [redis, 'middleware', ...extras, ...own],
    title: `${overlay} with ${[redis, routes, ...extras].join(', ')}`,
  }
})
