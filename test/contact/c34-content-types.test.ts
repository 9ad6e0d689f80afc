import { createServer } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { closeServer, listenOn } from '../../stand-ins/network/server.ts'
import { providerFetch } from '../support/provider-fetch.ts'
import { startRelyingParty } from '../support/relying-party.ts'
import { rows, words } from '../support/words.ts'

let given: { type?: string; body: string; status?: number }
const server = createServer((_request, response) => {
  const { type, body, status = 200 } = given
  response.writeHead(status, type === undefined ? {} : { 'Content-Type': type }).end(body)
})
let url: string
beforeAll(async () => {
  url = `http://127.0.0.1:${await listenOn(server)}/`
})
afterAll(() => closeServer(server))

const publicFile = () => providerFetch(url)
const token = () => providerFetch(url, { method: 'POST', body: 'grant_type=x' })
const userInfo = () => providerFetch(url, { headers: { Authorization: 'Bearer x' } })
const OBJECT = '{"keys":[]}'

test.for([
  ...rows`application/json Application/JSON application/json;charset=utf-8 application/json\x20;charset=utf-8
    text/json application/jwk-set+json application/problem+json`('read', 'read'),
  ...rows`application/octet-stream text/plain text/plain;charset=utf-8 binary/octet-stream x`(
    'read',
    'refused',
  ),
  ...rows`text/html text/html;charset=utf-8 application/xhtml+xml TEXT/HTML`('refused', 'refused'),
  [undefined, 'read', 'refused'] as const,
])(
  'C34: JSON as %s is %s of metadata and keys, and %s of tokens and claims',
  async ([type, file, other]) => {
    given = { ...(type !== undefined && { type }), body: OBJECT }
    for (const [ask, outcome] of [
      [publicFile, file],
      [token, other],
      [userInfo, other],
    ] as const) {
      if (outcome === 'refused') await expect(ask()).rejects.toThrow(/^the answer is not JSON \(/)
      else {
        const answer = await ask()
        expect([answer.headers.get('Content-Type'), await answer.text()]).toEqual([
          'application/json',
          OBJECT,
        ])
      }
    }
  },
)

test.for(words`<h1>Hello</h1> [] null 7 "text" {"a": a=b`)(
  'C34: a public file of another type that holds %s is refused with its type',
  async (body) => {
    given = { type: 'text/plain; charset=utf-8', body }
    await expect(publicFile()).rejects.toThrow('the answer is not JSON (text/plain)')
  },
)

test.for([
  ['<script>', /\(unknown content type\)$/],
  [undefined, /\(no content type\)$/],
] as const)(
  'C34: the type %s is told without quoting what may be hostile',
  async ([type, reason]) => {
    given = { ...(type !== undefined && { type }), body: '<h1>' }
    await expect(token()).rejects.toThrow(reason)
  },
)

test('C34: refusals are read whatever their spelling of JSON, and empty answers have no type', async () => {
  given = { type: 'Application/JSON', body: '{"error":"x"}', status: 400 }
  expect((await token()).headers.get('Content-Type')).toBe('application/json')
  given = { type: 'text/html', body: '<h1>', status: 400 }
  expect((await token()).headers.get('Content-Type')).toBe('text/html')
  given = { type: 'text/html', body: '' }
  expect((await token()).status).toBe(200)
})

test('C34: a provider whose metadata and keys are files without a JSON type signs people in', async () => {
  const asFile = (type: string) => ({
    rewrite: (all: Record<string, unknown>) => all,
    headers: { 'Content-Type': type },
  })
  await using party = await startRelyingParty({}, {}, (provider) => {
    provider.set('discovery', asFile('application/octet-stream'))
    provider.set('jwks', asFile('text/plain'))
  })
  expect((await party.attempt()).isSignedIn).toBe(true)
})
