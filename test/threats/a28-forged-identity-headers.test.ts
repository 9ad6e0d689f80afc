import { describe, expect, test } from 'vitest'
import { IDENTITY_HEADERS } from '../../src/core/identity-headers.ts'
import { authResponseHeaders } from '../../stand-ins/vestibule.ts'
import { describeGateways, useProtectedApp } from '../support/gateways.ts'
import { givenTo, trustedHeaders } from '../support/protected-app.ts'
import { words } from '../support/words.ts'

const FURTHER = words`Remote-User Remote-Groups X-Forwarded-User X-Role`
const { app, check, signedIn } = useProtectedApp(
  {
    PUBLIC_PATHS: '/public/**',
    IDENTITY_HEADERS:
      'Remote-User=sub,Remote-Groups=groups,X-Forwarded-User=sub,X-Role="of-{groups}"',
  },
  { authResponseHeaders: [...authResponseHeaders, ...FURTHER] },
)
const alice = signedIn('alice')
const bob = signedIn('bob')

const NAMES = [...IDENTITY_HEADERS.map(({ name }) => name), ...FURTHER]
const FORGED = 'forged-admin'
const forged = [...NAMES, 'X-Auth-Request-Access-Token'].flatMap((name) => [name, FORGED])

const identities = {
  bob: words`
    bob bob@example.com bob Bob\x20Baumeister staff bob staff bob of-staff
  `,
  alice: words`
    alice alice@example.com alice Alice\x20Liddell staff,admins alice staff,admins alice of-staff,admins
  `,
}

describe('A28 identity headers that the client sends', () => {
  test('the check answers every one of them, on protected and on public paths', async () => {
    const headers = Object.fromEntries(NAMES.map((name) => [name, FORGED]))
    const signedIn = await check({ uri: '/a' }, { ...headers, Cookie: bob() })
    expect(signedIn.status).toBe(200)
    expect(NAMES.map((name) => signedIn.headers[name.toLowerCase()])).toEqual(identities.bob)
    for (const Cookie of [undefined, bob()]) {
      const visit = await check({ uri: '/public/a' }, { ...headers, Cookie })
      expect(visit.status).toBe(200)
      expect(NAMES.map((name) => visit.headers[name.toLowerCase()])).toEqual(NAMES.map(() => ''))
    }
  })

  test('sign nobody in', async () => {
    const headers = Object.fromEntries(NAMES.map((name) => [name, 'alice']))
    const visit = await check({ uri: '/a' }, headers)
    expect(visit.status).toBe(302)
    expect(visit.rawHeaders.join('\n')).not.toMatch(
      /x-auth-request|remote-|x-forwarded-user|x-role/i,
    )
  })
})

describeGateways('A28 identity headers that the client sends', app, (send) => {
  test.for(['bob', 'alice'] as const)('on a protected path only ours arrive: %s', async (user) => {
    const cookie = user === 'bob' ? bob() : alice()
    const passage = await send({ target: '/a', headers: ['Cookie', cookie, ...forged] })
    expect(passage.status).toBe(200)
    expect(NAMES.map((name) => givenTo(passage.app, name))).toEqual(
      identities[user].map((value) => [value]),
    )
    expect(JSON.stringify(passage.app)).not.toContain(FORGED)
    const clean = await send({ target: '/a', headers: ['Cookie', cookie] })
    expect(trustedHeaders(passage.app)).toEqual(trustedHeaders(clean.app))
  })

  test('on a public path the app sees nobody, with and without a session', async () => {
    for (const headers of [forged, ['Cookie', bob(), ...forged]]) {
      const passage = await send({ target: '/public/a', headers })
      expect(passage.status).toBe(200)
      for (const name of NAMES) expect(givenTo(passage.app, name)).toEqual([''])
      expect(givenTo(passage.app, 'X-Auth-Request-Access-Token')).toEqual([])
      expect(JSON.stringify(passage.app)).not.toContain(FORGED)
    }
  })

  test('without a session a protected path stays closed', async () =>
    expect(await send({ target: '/a', headers: forged })).toMatchObject({
      status: 302,
      app: undefined,
    }))

  test('our own cookies do not reach the app, and the others do byte for byte', async () => {
    const passage = await send({ target: '/a', headers: ['Cookie', `a="1, 2"; ${bob()};b=c=d`] })
    expect(givenTo(passage.app, 'Cookie')).toHaveLength(1)
    expect(givenTo(passage.app, 'Cookie')[0]).toMatch(/^a="1, 2";\s?b=c=d$/)
    const onlyOurs = await send({ target: '/a', headers: ['Cookie', bob()] })
    expect(givenTo(onlyOurs.app, 'Cookie')).toEqual([])
  })
})
