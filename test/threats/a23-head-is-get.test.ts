import { describe, expect, test } from 'vitest'
import { describeGateways } from '../support/gateways.ts'
import { prepared } from '../support/prepared.ts'
import { startProtectedApp } from '../support/protected-app.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { writeRules } from '../support/rules-file.ts'
import { checkRaw } from '../support/wire-requests.ts'

const rules = prepared(() =>
  writeRules([
    { paths: ['/admin/**'], methods: ['GET'], access: 'signed-in', groups: ['admins'] },
    { paths: ['/closed/**'], methods: ['GET'], access: 'deny' },
    { paths: ['/heads/**'], methods: ['HEAD'], access: 'deny' },
    { paths: ['/read/**'], methods: ['GET'], access: 'public' },
    { access: 'signed-in' },
  ]),
)
const app = prepared(() =>
  startProtectedApp({ VESTIBULE_CONFIG: rules().path, ALLOW_ANY_USER: 'false' }),
)
const vestibule = () => app().party.vestibule
const alice = prepared(() => vestibule().signIn('alice'))
const bob = prepared(() => vestibule().signIn('bob'))

describe('A23 HEAD', () => {
  test.for(['GET', 'HEAD'])('%s meets the rules for GET', async (method) => {
    const ask = (uri: string, Cookie?: string) => vestibule().check({ method, uri }, { Cookie })
    expect((await ask('/read/a')).status).toBe(200)
    expect((await ask('/admin/a', alice())).status).toBe(200)
    expectRefusal(await ask('/admin/a', bob()), 403)
    expectRefusal(await ask('/closed/a', alice()), 403)
    expectRefusal(await ask('/heads/a', alice()), 403)
    expectLogin(await ask('/admin/a'), 'https://app.example.com/admin/a')
  })

  test('a rule for GET says nothing of POST', async () => {
    expect(
      (await vestibule().check({ method: 'POST', uri: '/closed/a' }, { Cookie: bob() })).status,
    ).toBe(200)
  })

  test.for([
    ['a sign-in', '/a', '302'],
    ['a denial', '/closed/a', '403'],
    ['a refused path', '//', '400'],
    ['a public path', '/read/a', '200'],
  ] as const)('a HEAD of the check is answered without a body: %s', async ([, uri, status]) => {
    const answer = await checkRaw(vestibule(), {
      line: 'HEAD /auth HTTP/1.1',
      forwarded: { Method: 'HEAD', Uri: uri },
      headers: ['Accept: text/html'],
    })
    expect(answer).toMatchObject({ status: Number(status), text: `${answer.head}\r\n\r\n` })
  })
})

describeGateways('A23 HEAD', app, (send) => {
  test('reaches nothing that GET does not, and no answer has a body', async () => {
    for (const [target, cookie, status] of [
      ['/closed/a', alice(), 403],
      ['/admin/a', bob(), 403],
      ['/admin/a', undefined, 302],
      ['/admin/a', alice(), 200],
      ['/read/a', undefined, 200],
    ] as const) {
      const headers = cookie ? ['Cookie', cookie] : []
      const head = await send({ method: 'HEAD', target, headers })
      const get = await send({ method: 'GET', target, headers })
      expect([head.status, get.status]).toEqual([status, status])
      expect(head.location).toBe(get.location)
      expect(head.body).toBe('')
    }
  })
})
