import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gatewayKinds, type ProtectedApp, startProtectedApp } from '../support/protected-app.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { type WrittenRules, writeRules } from '../support/rules-file.ts'
import { raw } from '../support/visitor.ts'

let rules: WrittenRules
let app: ProtectedApp
let alice: string
let bob: string

beforeAll(async () => {
  rules = await writeRules([
    { paths: ['/admin/**'], methods: ['GET'], access: 'signed-in', groups: ['admins'] },
    { paths: ['/closed/**'], methods: ['GET'], access: 'deny' },
    { paths: ['/heads/**'], methods: ['HEAD'], access: 'deny' },
    { paths: ['/read/**'], methods: ['GET'], access: 'public' },
    { access: 'signed-in' },
  ])
  app = await startProtectedApp({ VESTIBULE_CONFIG: rules.path, ALLOW_ANY_USER: 'false' })
  alice = await app.party.vestibule.signIn('alice')
  bob = await app.party.vestibule.signIn('bob')
})
afterAll(async () => {
  await app[Symbol.asyncDispose]()
  await rules[Symbol.asyncDispose]()
})

describe('A23 HEAD', () => {
  test.for(['GET', 'HEAD'])('%s meets the rules for GET', async (method) => {
    const { vestibule } = app.party
    const ask = (uri: string, Cookie?: string) => vestibule.check({ method, uri }, { Cookie })
    expect((await ask('/read/a')).status).toBe(200)
    expect((await ask('/admin/a', alice)).status).toBe(200)
    expectRefusal(await ask('/admin/a', bob), 403)
    expectRefusal(await ask('/closed/a', alice), 403)
    expectRefusal(await ask('/heads/a', alice), 403)
    expectLogin(await ask('/admin/a'), 'https://app.example.com/admin/a')
  })

  test('a rule for GET says nothing of POST', async () => {
    const visit = await app.party.vestibule.check(
      { method: 'POST', uri: '/closed/a' },
      { Cookie: bob },
    )
    expect(visit.status).toBe(200)
  })

  test.for([
    ['a sign-in', '/a', '302'],
    ['a denial', '/closed/a', '403'],
    ['a refused path', '//', '400'],
    ['a public path', '/read/a', '200'],
  ] as const)(
    'the check itself may be a HEAD; its answer has no body: %s',
    async ([, uri, status]) => {
      const lines = [
        'HEAD /auth HTTP/1.1',
        'Host: a',
        'Accept: text/html',
        'X-Forwarded-Method: HEAD',
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: app.example.com',
        `X-Forwarded-Uri: ${uri}`,
        'Connection: close',
      ]
      const answer = await raw(app.party.vestibule.internalPort, `${lines.join('\r\n')}\r\n\r\n`)
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
      expect(answer.slice(answer.indexOf('\r\n\r\n'))).toBe('\r\n\r\n')
      expect(app.party.vestibule.isAlive()).toBe(true)
    },
  )
})

describe.for(gatewayKinds)('A23 HEAD through %s', (kind) => {
  test('reaches nothing that GET does not, and no answer has a body', async ({ skip }) => {
    for (const [target, cookie, status] of [
      ['/closed/a', alice, 403],
      ['/admin/a', bob, 403],
      ['/admin/a', undefined, 302],
      ['/admin/a', alice, 200],
      ['/read/a', undefined, 200],
    ] as const) {
      const headers = cookie ? ['Cookie', cookie] : []
      const head = await app.send(kind, skip, { method: 'HEAD', target, headers })
      const get = await app.send(kind, skip, { method: 'GET', target, headers })
      expect([head.status, get.status]).toEqual([status, status])
      expect(head.location).toBe(get.location)
      expect(head.body).toBe('')
    }
  })
})
