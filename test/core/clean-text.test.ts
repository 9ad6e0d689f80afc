import { expect, test } from 'vitest'
import { cleanText, cleanUrl } from '../../src/core/clean-text.ts'

test.for([
  ['Invalid client or Invalid client credentials', 'Invalid client or Invalid client credentials'],
  ['a\r\n{"event":"forged"}\u2028\u0007b', 'a {"event":"forged"} b'],
  ['no user alice.liddell@example.com here', 'no user …@… here'],
  ['token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln refused', 'token … refused'],
  ['code=0123456789abcdef0123456789abcdef', '…'],
  [
    'AADSTS7000215: Trace ID: 9188040d-6c67-4c5b-b112-36a304b66dad',
    'AADSTS7000215: Trace ID: 9188040d-6c67-4c5b-b112-36a304b66dad',
  ],
  [
    'https://app.example.com/oauth2/callback?code=1 is not known',
    'https://app.example.com/oauth2/callback is not known',
  ],
  [
    'at https://app.example.com/cb&code=jW34DzU-1Z8z&code_verifier=Xq_7HKP8C7Let0UxTrHGBE1gQYkYmXbBou8X4mhcMZ4',
    'at https://app.example.com/cb&code=jW34DzU-1Z8z&…',
  ],
  [
    'at https://id.example.com/9188040d-6c67-4c5b-b112-36a304b66dad/jW34DzU-1Z8zUQRQCaeHJuJ1uLWdORqA',
    'at https://id.example.com/9188040d-6c67-4c5b-b112-36a304b66dad/…',
  ],
  ['no user alice%40example.com here', 'no user …@… here'],
  ['half \ud83d character', 'half \ufffd character'],
  ['ask https://[not-an-address now', 'ask … now'],
  ['x'.repeat(300), `${'x'.repeat(200)}…`],
])('%j of another party is logged as %j', ([text, clean]) => {
  expect(cleanText(text as string)).toBe(clean)
})

test.for([
  ['https://user:pass@id.example.com/token?code=1#f', 'https://id.example.com/token'],
  [
    'https://id.example.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2',
    'https://id.example.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2',
  ],
  ['no address', ''],
])('the address %s is logged as %j', ([url, clean]) => {
  expect(cleanUrl(url as string)).toBe(clean)
})
