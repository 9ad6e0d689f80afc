import { expect, test } from 'vitest'
import { loadSettings } from '../../src/config/load.ts'
import { parseNetworks } from '../../src/config/networks.ts'
import { prepared } from '../support/prepared.ts'
import { type Forwarded, startVestibule } from '../support/vestibule.ts'
import { createVisitor, type Visit } from '../support/visitor.ts'
import { rows } from '../support/words.ts'

const vestibule = prepared(() => startVestibule())
const elsewhere = prepared(() => startVestibule({ TRUSTED_PROXIES: '192.0.2.0/24' }))

function refusals({ log } = vestibule()) {
  return log().filter(({ event }) => event === 'refused')
}

test('C44: a peer that is no proxy of ours is named in the log', async () => {
  const page = await elsewhere().check()
  expect([page.status, page.body]).toEqual([403, expect.stringContaining('This is not your fault')])
  expect(refusals(elsewhere())).toMatchObject([
    { code: 'untrusted_peer', peer: '127.0.0.1', setting: 'TRUSTED_PROXIES' },
  ])
})

const HOSTS: readonly (readonly [host: string, named: string])[] = [
  ...rows`foreign1.intranet.department.example.com`('foreign1.intranet.department.example.com'),
  ['my_app.example.com:8443', 'my_app.example.com:8443'],
  ['alice@foreign.example', 'foreign.example'],
  ['foreign.example/?code=1', 'foreign.example'],
  ['b\xfccher.example', 'b?cher.example'],
  ['a'.repeat(1000), 'a'.repeat(253)],
]

test.for(HOSTS)('C44: a check for the foreign host %s says so', async ([host, asked_host]) => {
  await vestibule().check({ host })
  const named = { code: 'foreign_host', asked_host, setting: 'PROTECTED_HOSTS' }
  expect(refusals().at(-1)).toMatchObject(named)
})

test('C44: the public listener names a foreign host too', async () => {
  const url = `http://127.0.0.1:${vestibule().publicPort}/oauth2/login`
  const visit: Visit = await createVisitor().get(url, { headers: { Host: 'foreign.example' } })
  expect(visit.status).toBe(400)
  expect(refusals().at(-1)).toMatchObject({ code: 'foreign_host', asked_host: 'foreign.example' })
})

const host = 'app.example.com'
const PAGE = { code: 'foreign_origin', host, setting: 'PROTECTED_HOSTS' }
const OTHERS: readonly (readonly [Forwarded, Record<string, string>, object])[] = [
  [{}, { X_Forwarded_Host: 'a' }, { code: 'alias_header' }],
  [{ uri: '/OAuth2/x' }, {}, { code: 'sign_in_router', host, setting: 'BASE_PATH' }],
  [{ proto: 'wss' }, { Origin: 'https://e.test:8443' }, { ...PAGE, origin: 'https://e.test:8443' }],
  [
    { proto: 'wss' },
    { Origin: 'https://a:b@e.test/?code=1' },
    { ...PAGE, origin: 'https://e.test' },
  ],
  [{ proto: 'ws', host: 'other.example.com' }, {}, { code: 'invalid_request' }],
  [{ proto: 'wss' }, { Origin: 'nonsense' }, { ...PAGE, origin: 'null' }],
]

test.for(OTHERS)(
  'C44: a refusal of %j with %j names host and setting',
  async ([asked, ...more]) => {
    const { body } = await vestibule().check(asked, more[0])
    const code = String(refusals().at(-1)?.['code'])
    expect(body.includes('tell the operator')).toBe(code === 'sign_in_router')
    expect(refusals().at(-1)).toMatchObject(more[1])
  },
)

test('C44: another spelling of a header is named', async () => {
  await vestibule().check({}, { X_Forwarded_Host: 'a' })
  expect(refusals().at(-1)?.['reason']).toContain('X_Forwarded_Host')
})

test('C44: clusters of clouds that use 100.64.0.0/10 are trusted by default', () => {
  const networks = parseNetworks(loadSettings({}, 'TRUSTED_PROXIES').TRUSTED_PROXIES)
  for (const address of ['100.64.0.1', '100.127.255.254'])
    expect(networks.check(address)).toBe(true)
  for (const address of ['100.63.255.255', '100.128.0.1']) {
    expect(networks.check(address)).toBe(false)
  }
})
