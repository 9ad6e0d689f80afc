import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openEvents, publicOrigin } from '../support/event-client.ts'
import { type RelyingParty, startRelyingParty } from '../support/relying-party.ts'

let party: RelyingParty
let cookie: string
beforeAll(async () => {
  party = await startRelyingParty({ ADMIN_TOKEN: 'a'.repeat(32), BROADCAST_TOKEN: 'b'.repeat(32) })
  cookie = await party.vestibule.signIn('alice')
})
afterAll(() => party[Symbol.asyncDispose]())

const open = (options: Partial<Parameters<typeof openEvents>[0]> = {}) =>
  openEvents({ origin: publicOrigin(party.vestibule), cookie, ...options })

describe('a stream of events', () => {
  it('opens for a session, with headers that keep proxies from holding it back', async () => {
    using client = await open()
    expect(client.status).toBe(200)
    console.log(client.headers, client.text())
    expect(client.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    })
  })
  it('is 401 without', async () => {
    for (const o of [
      { cookie: undefined },
      { method: 'HEAD' },
      { method: 'OPTIONS', headers: { Origin: 'https://other.example.com' } },
      { headers: { Origin: 'https://evil.example' } },
      { headers: { Origin: 'https://other.example.com' }, cookie: undefined },
      { headers: { 'Content-Length': '3' } },
    ]) {
      using client = await open(o)
      console.log(client.status, client.headers, client.text())
      client.close()
    }
  })
  it('ends', async () => {
    const own = await party.vestibule.signIn('bob')
    using client = await open({ cookie: own })
    const r = await fetch(`http://127.0.0.1:${party.vestibule.internalPort}/admin/sessions`, {
      headers: { authorization: `Bearer ${'a'.repeat(32)}` },
    })
    const list = (await r.json()) as any
    console.log(JSON.stringify(list))
    const d = await fetch(
      `http://127.0.0.1:${party.vestibule.internalPort}/admin/sessions?all=true`,
      { method: 'DELETE', headers: { authorization: `Bearer ${'a'.repeat(32)}` } },
    )
    console.log(d.status, await d.text())
    console.log(await client.ended, client.text())
    using again = await open({ cookie: own })
    console.log(again.status, again.text())
  })
})
