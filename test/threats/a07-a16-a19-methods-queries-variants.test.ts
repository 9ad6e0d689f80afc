import { expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { useBearerParty } from '../support/used-party.ts'
import { words } from '../support/words.ts'

const party = useBearerParty([
  { paths: ['/read/**'], methods: ['GET'], access: 'public' },
  { paths: ['/drop/**'], methods: ['DELETE'], access: 'deny' },
  { paths: ['/drop/**', '/api/**/status', '/status', '/public/**'], access: 'public' },
  { paths: ['/admin'], access: 'signed-in', groups: ['admins'] },
  { paths: ['/admins/**'], access: 'signed-in', groups: ['admins'] },
  { paths: ['/closed/**', '/Mixed/Case/**'], access: 'deny' },
  { access: 'signed-in' },
])

const writing = words`
  POST PUT PATCH DELETE OPTIONS QUERY SEARCH PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT
`

test('A07: GET passes where GET is public, and DELETE does not where it is denied', async () => {
  expect((await party.check({ method: 'GET', uri: '/read/a' })).status).toBe(200)
  expect((await party.check({ method: 'GET', uri: '/drop/a' })).status).toBe(200)
  expectRefusal(await party.check({ method: 'DELETE', uri: '/drop/a' }), 403)
})

test.for(writing)('A07: %s is not GET, whatever our own request line says', async (method) => {
  const visit = await party.check({ method, uri: '/read/a' })
  if (method === 'POST') {
    expectLogin(visit, 'https://app.example.com/', [], 303)
  } else {
    expectRefusal(visit, 401)
  }
})

test.for(words`
  get Get GEt delete connect trace GET,POST GET,TRACE GET,\x20POST GET\x20POST FOO\x20BAR
  GET/ GET? GET;DELETE GET\tDELETE G\xcbT * ${'A'.repeat(33)} ${'A'.repeat(5000)} __proto__ toString
`)('A07: is no method (A24): %j', async (method) => {
  for (const uri of ['/', '/read/a', '/drop/a']) {
    expectRefusal(await party.check({ method, uri }), 400, ['FOO BAR', 'proto'])
  }
})

test.for(words`
  LIST VERSION-CONTROL RPC_IN_DATA M-SEARCH FOO GETGET GET0 0 - __PROTO__ CONSTRUCTOR PRI TRACK BREW
  ${'A'.repeat(32)}
`)(
  'A07: no rule for another method matches %s, which passes with a session (C41)',
  async (method) => {
    const Cookie = alice()
    for (const uri of ['/', '/read/a']) {
      expectRefusal(await party.check({ method, uri }), 401)
      expect((await party.check({ method, uri }, { Cookie })).status).toBe(200)
    }
    expect((await party.check({ method, uri: '/drop/a' })).status).toBe(200)
    expectRefusal(await party.check({ method, uri: '/closed/a' }, { Cookie }), 403)
  },
)

test('A07: an empty method is not GET', async () =>
  expectRefusal(await party.check({ uri: '/read/a' }, { 'X-Forwarded-Method': '' }), 400))

test('A07: no second header names the method', async () => {
  const headers = { 'X-Original-Method': 'GET', 'X-Forwarded-Verb': 'GET', Method: 'GET' }
  expectRefusal(await party.check({ method: 'DELETE', uri: '/drop/a' }, headers), 403)
  expectRefusal(await party.check({ method: 'DELETE', uri: '/read/a' }, headers), 401)
})

test.for(words`
  /api/a/status /api/a/status?x=/private /api/a/b/status? /status?x=/../admin
  /public/a?b=%2f..%2fadmin;x//y /public/a?%00
`)('A16: no query closes a public path: %s', async (uri) =>
  expect((await party.check({ uri })).status).toBe(200),
)

test.for(words`
  /private?x=/status /private?/status /private?x=/api/a/status /api/a?/status /api/a?x=/status
  /api/a/?/status /api/a/?a/status /private?/../status /private?/../../public/a /private??/public/a
  /private?x=1&/public/a /?/public/a /?public /private&/status
`)('A16: no query opens a protected one: %s', async (uri) => {
  expectLogin(await party.check({ uri }), `https://app.example.com${uri}`)
  expectRefusal(await party.check({ uri, method: 'OPTIONS' }), 401)
})

test.for(words`
  /private%3fx=/status /api/a%3f/status /api/a%3F/status /api/a%253f/status /public%3f/private
  /public/a%3f /api/a/status%3f
`)('A16: an encoded question mark satisfies no public rule: %s', async (uri) =>
  expectLogin(await party.check({ uri }), `https://app.example.com${normal(uri)}`),
)

test('A16: no query takes a path out of a restriction', async () => {
  for (const uri of ['/closed/a?/public/a', '/closed?/status', '/closed/a%3f/status']) {
    expectRefusal(await party.check({ uri }), 403)
  }
})

/** The target is emitted as a URL parser writes it. */
const normal = (uri: string): string => new URL(uri, 'https://app.example.com').href.slice(23)

const alice = prepared(() => party.vestibule.signIn('alice'))
const bob = prepared(() => party.vestibule.signIn('bob'))

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

test.for(words`/admin /admins /admins/a /admins/`)(
  'A19: a group rule is exact: %s',
  async (uri) => {
    expect((await party.check({ uri }, { Cookie: alice() })).status).toBe(200)
    expectRefusal(await party.check({ uri }, { Cookie: bob() }), 403)
    expectLogin(await party.check({ uri }), `https://app.example.com${uri}`)
  },
)

test.for([...variantsOf('admin'), ...variantsOf('admins')])(
  'A19: bob stays out: %s',
  async (uri) => {
    expectRefusal(await party.check({ uri: wire(uri) }, { Cookie: bob() }), 403)
    expect((await party.check({ uri: wire(uri) })).status).toBe(302)
  },
)

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
])('A19: a denied path is closed to everybody: %s', async (uri) => {
  expectRefusal(await party.check({ uri: wire(uri) }, { Cookie: alice() }), 403)
  expectRefusal(await party.check({ uri: wire(uri) }), 403)
})

test.for(words`
  / /adm /administrators /x/admin /admi/n /a?x=/admin /closer /mixed
`)('A19: a neighbouring path is open to every signed-in user: %s', async (uri) =>
  expect((await party.check({ uri }, { Cookie: bob() })).status).toBe(200),
)

test.for([...detoursTo('admin'), ...detoursTo('closed')])(
  'A19: nobody enters by %s',
  async (uri) => {
    expectRefusal(await party.check({ uri: wire(uri) }, { Cookie: alice() }), 400)
    expectRefusal(await party.check({ uri: wire(uri) }), 400)
  },
)

// By the contract these are other paths: rules name whole segments, and an extension is no encoding. An app for
// which they are /admin needs a rule of its own.
test.for(['/admin.json', '/admin%2ejson'])('A19: another name needs a session: %s', async (uri) => {
  expect((await party.check({ uri }, { Cookie: bob() })).status).toBe(200)
  expect((await party.check({ uri })).status).toBe(302)
})
