import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { writeRules } from '../support/rules-file.ts'
import { words } from '../support/words.ts'

const rules = prepared(() =>
  writeRules([
    { paths: ['/admin'], access: 'signed-in', groups: ['admins'] },
    { paths: ['/admins/**'], access: 'signed-in', groups: ['admins'] },
    { paths: ['/closed/**'], access: 'deny' },
    { paths: ['/Mixed/Case/**'], access: 'deny' },
    { access: 'signed-in' },
  ]),
)
const party = prepared(() =>
  startRelyingParty({ VESTIBULE_CONFIG: rules().path, ALLOW_ANY_USER: 'false' }),
)
const vestibule = () => party().vestibule
const alice = prepared(() => vestibule().signIn('alice'))
const bob = prepared(() => vestibule().signIn('bob'))

/** Each is `/admin`, or below `/admins` or `/closed`, to some software. */
function variantsOf(name: string): readonly string[] {
  const first = name.charAt(0)
  const code = first.charCodeAt(0)
  const hex = code.toString(16)
  const rest = name.slice(1)
  const wide = String.fromCodePoint(code + 0xfee0)
  return words`
    /${name.toUpperCase()} /${first.toUpperCase()}${rest} /${name}/ /${name}// /${name};x
    /${name};x=y /${name};/ /${name}%3bx /${name}%253bx /${first.toUpperCase()}${rest}%20
    /${name}%20 /${name}%09 /${name}%00 /${name}%00.css /${name}%0a /${name}%23 /${name}%3f
    /${name}%3fx=y /${name}. /${name}%2e /${name}.%20. /${name}%2f /%2fx/${name} /${name}%5c
    /${name}\\ /;/${name} /;x=y/${name} /%2f${name} /%5c${name} /\\${name} /%${hex}${rest}
    /%25${hex}${rest} /%2525${hex}${rest} /%${(code - 32).toString(16)}${rest} /${wide}${rest}
    /${encodeURIComponent(wide)}${rest}
  `
}

/** The same by way of a dot segment that some software does not see: refused, whoever asks. */
function detoursTo(name: string): readonly string[] {
  return words`
    /${name}/. /${name}/%2e /${name}/x/.. /${name}/x/%2e%2e /${name}/x/..;/ /${name}/x/..%2f
    /x/../${name} /x/%2e%2e/${name} /x/..%2f${name} /x/..%5c${name} /x/..;/${name} /./${name}
    /%2e/${name} /.;/${name}
  `
}

function wire(uri: string): string {
  return Buffer.from(uri, 'utf8').toString('latin1')
}

describe('A19 variants of restricted paths', () => {
  test.for(words`/admin /admins /admins/a /admins/`)('a group rule is exact: %s', async (uri) => {
    expect((await vestibule().check({ uri }, { Cookie: alice() })).status).toBe(200)
    expectRefusal(await vestibule().check({ uri }, { Cookie: bob() }), 403)
    expectLogin(await vestibule().check({ uri }), `https://app.example.com${uri}`)
  })

  test.for([...variantsOf('admin'), ...variantsOf('admins')])('bob stays out: %s', async (uri) => {
    expectRefusal(await vestibule().check({ uri: wire(uri) }, { Cookie: bob() }), 403)
    expect((await vestibule().check({ uri: wire(uri) })).status).toBe(302)
  })

  test.for([
    ...variantsOf('closed'),
    '/closed',
    '/closed/a',
    '/CLOSED/A',
    '/Mixed/Case',
    '/mixed/case/a',
    '/MIXED/CASE/A',
    '/Mixed%2fCase/a',
    '/mixed//case/',
  ])('a denied path is closed to everybody: %s', async (uri) => {
    expectRefusal(await vestibule().check({ uri: wire(uri) }, { Cookie: alice() }), 403)
    expectRefusal(await vestibule().check({ uri: wire(uri) }), 403)
  })

  test.for(words`
    / /adm /administrators /x/admin /admi/n /a?x=/admin /closer /mixed
  `)('a neighbouring path is open to every signed-in user: %s', async (uri) => {
    expect((await vestibule().check({ uri }, { Cookie: bob() })).status).toBe(200)
  })

  test.for([...detoursTo('admin'), ...detoursTo('closed')])('nobody enters by %s', async (uri) => {
    expectRefusal(await vestibule().check({ uri: wire(uri) }, { Cookie: alice() }), 400)
    expectRefusal(await vestibule().check({ uri: wire(uri) }), 400)
  })

  // By the contract these are other paths: rules name whole segments, and an extension is no encoding. An app for
  // which they are /admin needs a rule of its own.
  test.for(['/admin.json', '/admin%2ejson'])('another name needs a session: %s', async (uri) => {
    expect((await vestibule().check({ uri }, { Cookie: bob() })).status).toBe(200)
    expect((await vestibule().check({ uri })).status).toBe(302)
  })
})
