import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import {
  expectKnownLocations,
  expectRefusedReturn,
  type ReturnToParty,
  rdQuery,
  startReturnToParty,
} from '../support/return-to.ts'

let sut: ReturnToParty

beforeAll(async () => {
  sut = await startReturnToParty({
    PROTECTED_HOSTS: 'app.example.com,http://plain.localhost:8080',
  })
})
afterAll(() => sut[Symbol.asyncDispose]())

const schemes = [
  'HTTPS://app.example.com/',
  'Https://app.example.com/',
  'hTtPs://app.example.com/',
  'hTtPs:evil.example',
  'http://app.example.com/',
  'HTTP://app.example.com/',
  'ws://app.example.com/',
  'wss://app.example.com/',
  'ftp://app.example.com/',
  'file:///etc/passwd',
  'file://app.example.com/',
  'javascript:alert(1)',
  'javascript://app.example.com/%0aalert(1)',
  'JaVaScRiPt:alert(1)',
  'java\nscript:alert(1)',
  'java\tscript:alert(1)',
  ' javascript:alert(1)',
  '\x01javascript:alert(1)',
  '\x19Jav\tasc\tript:https://app.example.com/%250Aconfirm%25281%2529',
  'javascript%3aalert(1)',
  'data:text/html,<script>alert(1)</script>',
  'data:text/html;base64,PHNjcmlwdD4=',
  'vbscript:msgbox(1)',
  `blob:${APP}/0f0e`,
  'about:blank',
  'view-source:https://app.example.com/',
  'intent://app.example.com/#Intent;scheme=https;end',
  'x-app.example.com:y',
  'mailto:a@app.example.com',
  'tel:110',
  'https',
  'https:',
  'https:/',
  'https://',
  'https:///',
  ':https://app.example.com/',
  '"https://app.example.com/"',
  'https//app.example.com/',
  'httpss://app.example.com/',
  'https ://app.example.com/',
  'https:\\\\app.example.com/',
]

describe('A44 other schemes', () => {
  test.for(schemes)('only a literal https:// is an address: %j is refused', async (rd) => {
    const visit = await sut.login(rdQuery(rd))
    expectRefusedReturn(visit, ['evil', 'alert', 'javascript', 'vbscript', 'blob:', 'intent'])
    expect(sut.party.vestibule.isAlive()).toBe(true)
  })

  test.for([
    ['/javascript:alert(1)', `${APP}/javascript:alert(1)`],
    ['/?u=javascript:alert(1)', `${APP}/?u=javascript:alert(1)`],
    [`${APP}/x`, `${APP}/x`],
  ] as const)('a path that looks like a scheme is a path: %s', async ([rd, target]) => {
    const landing = await sut.land(rdQuery(rd))
    expect(landing.target).toBe(target)
    expectKnownLocations(landing.trail, sut.party.provider.issuer, [APP])
  })

  // The contract allows http hosts where configuration marks them; the reference allowed https alone.
  test.for([
    ['http://plain.localhost:8080/x', 'http://plain.localhost:8080/x'],
    ['https://plain.localhost:8080/x', undefined],
    ['HTTP://plain.localhost:8080/x', undefined],
    ['http://plain.localhost/x', undefined],
    ['http://plain.localhost:80/x', undefined],
    ['http://plain.localhost:8080@evil.example/x', undefined],
  ] as const)('a host that is configured for http keeps its scheme: %s', async ([rd, target]) => {
    if (target === undefined) return expectRefusedReturn(await sut.login(rdQuery(rd)))
    expect((await sut.land(rdQuery(rd))).target).toBe(target)
  })
})
