import { beforeEach, describe, expect, test } from 'vitest'
import type { RuleSource } from '../../../src/config/rules/rules-file.ts'
import { proxyMissing } from '../../../stand-ins/proxy/proxies.ts'
import { startGenerated } from '../../support/generated-traefik.ts'
import { prepared } from '../../support/prepared.ts'
import { givenTo } from '../../support/protected-app.ts'

const RULES: readonly RuleSource[] = [
  { paths: ['/public/**'], access: 'public' },
  { paths: ['/optional/**'], access: 'optional' },
  {
    paths: ['/sales/**'],
    access: 'signed-in',
    allow: { claims: { department: ['sales'] } },
  },
  {
    paths: ['/elsewhere/**'],
    access: 'signed-in',
    allow: { none: [{ claims: { department: ['sales'] } }] },
  },
  { access: 'signed-in' },
]
const IDENTITY_HEADERS =
  'X-Forwarded-User=sub,X-Forwarded-Preferred-Username=department,X-Role="role-{department}"'

interface OddClaim {
  readonly sub: string
  readonly department?: unknown
  /** Headers that the app gets: the claim alone, and in a template. */
  readonly alone: string
  readonly role: string
  /** Answers where the claim must be, and must not be, `sales`. */
  readonly isSales: 200 | 403
  readonly isElsewhere: 200 | 403
}

const shown = (text: string) => ({ alone: text, role: `role-${text}` })
const EMPTY = { alone: '', role: '' }
const SALES = { isSales: 200, isElsewhere: 403 } as const
const OTHER = { isSales: 403, isElsewhere: 200 } as const
const UNKNOWN = { isSales: 403, isElsewhere: 403 } as const

const CLAIMS: readonly OddClaim[] = [
  { sub: 'plain', department: 'sales', ...shown('sales'), ...SALES },
  { sub: 'list', department: ['a,b', 'sales'], ...shown('a%2Cb,sales'), ...SALES },
  { sub: 'cr-and-lf', department: 'sales\r\nX-Admin: 1', ...shown('salesX-Admin: 1'), ...OTHER },
  { sub: 'line-end', department: 'sales\n', ...shown('sales'), ...OTHER },
  { sub: 'nul', department: 'sa\0les', ...shown('sales'), ...OTHER },
  { sub: 'beyond-latin', department: 'čĊ嘊嘍 🦊', ...shown('čĊ嘊嘍 🦊'), ...OTHER },
  { sub: 'template', department: '{sub}{{', ...shown('{sub}{{'), ...OTHER },
  { sub: 'number', department: 7, ...shown('7'), ...OTHER },
  { sub: 'boolean', department: false, ...shown('false'), ...OTHER },
  { sub: 'empty-list', department: [], ...EMPTY, ...OTHER },
  { sub: 'object', department: { sales: true }, ...EMPTY, ...UNKNOWN },
  { sub: 'null', department: null, ...EMPTY, ...UNKNOWN },
  { sub: 'absent', ...EMPTY, ...UNKNOWN },
]
const HUGE = { sub: 'huge', department: 's'.repeat(100 * 1024) }
const users = [
  ...CLAIMS.map(({ sub, department }) => ({
    sub,
    ...(department !== undefined && { department }),
  })),
  HUGE,
]

const missing = proxyMissing('traefik')

describe('claims of any kind, through Traefik with the generated middleware', () => {
  const started = prepared(async () =>
    missing ? undefined : startGenerated(RULES, { IDENTITY_HEADERS }, { users }),
  )
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  const traefik = () => started() as Awaited<ReturnType<typeof startGenerated>>

  test.for(CLAIMS)('the app gets what it can read, and no header more: $sub', async (claim) => {
    const cookie = await traefik().vestibule.signIn(claim.sub)
    for (const page of ['/a', '/optional/a']) {
      const { app } = await traefik().ask(page, cookie)
      const given = (name: string) => givenTo(app, name)
      expect(given('X-Forwarded-User')).toEqual([claim.sub])
      expect(given('X-Forwarded-Preferred-Username')).toEqual([claim.alone])
      expect(given('X-Role')).toEqual([claim.role])
      expect(given('X-Admin')).toEqual([])
    }
    const open = await traefik().ask('/public/a', cookie)
    expect(givenTo(open.app, 'X-Role')).toEqual([''])
  })

  test.for(CLAIMS)('rules compare it exactly, and doubt denies: $sub', async (claim) => {
    const cookie = await traefik().vestibule.signIn(claim.sub)
    expect((await traefik().ask('/sales/a', cookie)).status).toBe(claim.isSales)
    expect((await traefik().ask('/elsewhere/a', cookie)).status).toBe(claim.isElsewhere)
  })

  test('a claim of 100 KB is refused by name wherever it would be sent', async () => {
    const cookie = await traefik().vestibule.signIn(HUGE.sub)
    for (const page of ['/a', '/optional/a']) {
      const { status, body, app } = await traefik().ask(page, cookie)
      expect([status, app]).toEqual([403, undefined])
      expect(body).toContain('IDENTITY_HEADERS_MAX_BYTES')
      expect(body).toContain('department')
    }
    const open = await traefik().ask('/public/a', cookie)
    expect([open.status, givenTo(open.app, 'X-Role')]).toEqual([200, ['']])
  })
})
