import { beforeEach, describe, expect, test } from 'vitest'
import type { RuleSource } from '../../../src/config/rules/rules-file.ts'
import { proxyMissing } from '../../../stand-ins/proxy/proxies.ts'
import { startGenerated } from '../../support/generated-traefik.ts'
import { prepared } from '../../support/prepared.ts'
import { givenTo } from '../../support/protected-app.ts'

const RULES: readonly RuleSource[] = [
  { paths: ['/public/**'], access: 'public' },
  { paths: ['/optional/**'], access: 'optional' },
  { name: 'tried', paths: ['/report/**'], access: 'signed-in', groups: ['nobodies'], report: true },
  { access: 'signed-in' },
]

/** Names that apps believe and this installation may not send. */
const FAMILY = ['User', 'Email', 'Groups', 'Preferred-Username', 'Access-Token'].map(
  (end) => `X-Forwarded-${end}`,
)
const CONFIGURED =
  'X-Forwarded-User=sub,X-Forwarded-Groups=groups,Remote-User=preferred_username,X-Role="role-{sub}"'
const FORGED = 'forged-admin'

/** Ways in which a client may write a header so that an app believes it; each lists names and values in turn. */
const SPELLINGS: readonly (readonly [string, (name: string) => readonly string[]])[] = [
  ['as it is', (name) => [name, FORGED]],
  ['in small letters', (name) => [name.toLowerCase(), FORGED]],
  ['in capitals', (name) => [name.toUpperCase(), FORGED]],
  ['twice', (name) => [name, '', name, FORGED]],
  ['with Connection naming it', (name) => ['Connection', `close, ${name}`, name, FORGED]],
  ['with underscores', (name) => [name.replaceAll('-', '_'), FORGED]],
  ['with one underscore', (name) => [name.replace('-', '_'), FORGED]],
  ['with dots', (name) => [name.replaceAll('-', '.'), FORGED]],
  ['beside an underscore', (name) => [name, FORGED, name.replaceAll('-', '_'), FORGED]],
]

const ROUTES = ['/public/a', '/optional/a', '/report/a', '/a'] as const

/** Starts it with Alice signed in, and with the names that a client may forge. */
async function startForged(settings: Readonly<Record<string, string>>) {
  const started = await startGenerated(RULES, settings)
  const cookie = await started.vestibule.signIn('alice')
  const names = new Set([...started.names.filter((name) => name !== 'Cookie'), ...FAMILY])
  return {
    ...started,
    names: [...names],
    ask: (target: string, headers: readonly string[], isSignedIn: boolean) =>
      started.ask(target, isSignedIn ? cookie : '', headers),
  }
}

const missing = proxyMissing('traefik')

describe.for([
  ['the headers of every installation', {}],
  ['X-Forwarded-User and others of its own', { IDENTITY_HEADERS: CONFIGURED }],
] as const)('Traefik with the generated middleware for %s', ([, settings]) => {
  const started = prepared(async () => (missing ? undefined : startForged(settings)))
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  const traefik = () => started() as Awaited<ReturnType<typeof startForged>>

  const cases = ROUTES.flatMap((route) =>
    [true, false].flatMap((isSignedIn) =>
      SPELLINGS.map(
        ([spelling, write]) =>
          [route, isSignedIn ? 'somebody' : 'nobody', spelling, write, isSignedIn] as const,
      ),
    ),
  )

  test.for(cases)(
    'no identity of a client reaches the app at %s, sent by %s, %s',
    async ([route, , , write, isSignedIn]) => {
      for (const name of traefik().names) {
        const { app, status } = await traefik().ask(route, write(name), isSignedIn)
        const values = (app?.headers ?? []).map(([, value]) => value)
        expect(values, name).not.toContain(FORGED)
        expect(app ? [200] : [302, 400], name).toContain(status)
      }
    },
  )

  test.for(ROUTES)('the app at %s learns who it is where the rules say so', async (route) => {
    const headers = traefik().names.flatMap((name) => [name, FORGED])
    const user = async (isSignedIn: boolean) => {
      const { app, status } = await traefik().ask(route, headers, isSignedIn)
      return app ? givenTo(app, 'X-Auth-Request-User') : status
    }
    expect(await user(true)).toEqual(route === '/public/a' ? [''] : ['alice'])
    const stranger = route === '/public/a' || route === '/optional/a' ? [''] : 302
    expect(await user(false)).toEqual(stranger)
  })
})
