import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectRefusal } from '../support/refusal.ts'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'
import { type WrittenRules, writeRules } from '../support/rules-file.ts'

let rules: WrittenRules
let party: RelyingParty
let bob: string

beforeAll(async () => {
  rules = await writeRules([
    { paths: ['/public/**', '/**/open'], access: 'public' },
    { paths: ['/admin/**'], access: 'signed-in', groups: ['admins'] },
    { access: 'signed-in' },
  ])
  party = await startRelyingParty({ VESTIBULE_CONFIG: rules.path, ALLOW_ANY_USER: 'false' })
  bob = await party.vestibule.signIn('bob')
}, 60_000)
afterAll(async () => {
  await party[Symbol.asyncDispose]()
  await rules[Symbol.asyncDispose]()
})

async function statusOf(uri: string, cookie?: string): Promise<number> {
  return (await party.vestibule.check({ uri }, { Cookie: cookie })).status
}

describe('C5: a path that can be read in several ways is never public', () => {
  test.for([
    '/public/%80',
    '/public/a%ff',
    '/public/%e0%80%af',
    '/public/%ed%a0%80',
    '/public/%c0%af',
    '/public/%f5%80%80%80',
    '/x/%80/open',
    '/public/%41',
    '/public/a%40b',
    '/public/m%C2%B2',
    '/public/cafe%CC%81',
    '/public/a.',
    '/public/a%20',
    '/public/a;v=1',
    '/public/a%2Fb',
    '/public//a',
    '/public/a\\b',
    '/public/%u0061',
    '/public%ef%bc%8fa',
  ])('%s asks for a sign-in, and passes with one', async (uri) => {
    expect(await statusOf(uri)).toBe(302)
    expect(await statusOf(uri, bob)).toBe(200)
  })

  test('nor is one with a dot segment in its compatibility form', async () => {
    expectRefusal(await party.vestibule.check({ uri: '/public/%EF%BC%8E/Open' }), 400)
  })

  test('above 2 KiB it is refused, and a plain one is not', async () => {
    const long = 'a'.repeat(2048)
    for (const path of [`/public/${long}%2f`, `/b/${long}//c`]) {
      expectRefusal(await party.vestibule.check({ uri: path }, { Cookie: bob }), 400)
    }
    expect(await statusOf(`/public/%C3%A9${long}`)).toBe(200)
    expect(await statusOf(`/b/c%2fd/${'a'.repeat(2000)}?${long}`, bob)).toBe(200)
  })
})

/** Browsers and other clients really send these. */
describe('C3: honest paths', () => {
  const [PUBLIC, SIGNED_IN, ADMINS] = [
    [200, 200],
    [302, 200],
    [302, 403],
  ] as const
  test.for([
    ['/public/My%20Report%20(2).pdf', PUBLIC],
    ['/public/Gr%C3%BC%C3%9Fe/%F0%9F%98%80.png', PUBLIC],
    ['/public/%E6%97%A5%E6%9C%AC', PUBLIC],
    ["/public/a+b@c~d:e'f!g$h&i=j,k*l", PUBLIC],
    ['/public/app.3f2a9c.min.js', PUBLIC],
    ['/public/%5Bslug%5D/%7Bid%7D.js', PUBLIC],
    ['/public/.well-known/a..b', PUBLIC],
    ['/public/a?x=%2F..%2F;//', PUBLIC],
    ['/api/v4/projects/group%2Fproject/issues', SIGNED_IN],
    ['/api/v4/projects/group%2Fsub%2Fproject/repository/files/src%2Fmain.ts/raw', SIGNED_IN],
    ['/npm/@scope%2fpackage', SIGNED_IN],
    ['/cars;color=red;doors=4/model;v=1', SIGNED_IN],
    ['/app;jsessionid=0123456789ABCDEF', SIGNED_IN],
    ['/filter/%7B%22a%22%3A%5B1%2C2%5D%2C%22b%22%3A%22c%2Fd%22%7D', SIGNED_IN],
    ['/proxy/https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc%23d', SIGNED_IN],
    ['/proxy/https://example.com/a', SIGNED_IN],
    ['/save/100%25%20done%2Fand%20more', SIGNED_IN],
    ['/dav/My%20Files/Caf%C3%A9/', SIGNED_IN],
    ['/wiki/AC%2FDC', SIGNED_IN],
    ['/wiki/C%23', SIGNED_IN],
    ['/wiki/What%3F', SIGNED_IN],
    ['/tags/caf%e9', SIGNED_IN],
    ['/compare/v1.0...v2.0', SIGNED_IN],
    ['/admin/users%2F1', ADMINS],
    ['/admin/a;v=1', ADMINS],
    ['/Admin/a', ADMINS],
    ['/admin./a', ADMINS],
  ] as const)('%s', async ([uri, [nobody, signedIn]]) => {
    expect([await statusOf(uri), await statusOf(uri, bob)]).toEqual([nobody, signedIn])
  })
})
