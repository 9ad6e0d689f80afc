import { describe, expect, test } from 'vitest'
import { findProgram } from '../../../stand-ins/process.ts'
import { oauth2Proxy } from '../../support/peers/oauth2-proxy.ts'
import { startOauth2Proxy } from '../../support/peers/started-oauth2-proxy.ts'

const missing = findProgram('oauth2-proxy') ? '' : ' (skipped: oauth2-proxy is not on PATH)'

const OPTIONS = [
  ['--email-domain=*'],
  [
    '--email-domain=example.com',
    '--skip-auth-route=GET=^/status$',
    '--skip-auth-route=^/static/',
    '--trusted-ip=192.0.2.0/24',
  ],
]
const EXAMPLES = oauth2Proxy.map((example, at) => ({ ...example, options: OPTIONS[at] ?? [] }))

describe.skipIf(missing)(`oauth2-proxy itself answers as the table says${missing}`, () => {
  test.for(EXAMPLES)('$page', async ({ options, rows }) => {
    await using peer = await startOauth2Proxy(options)
    for (const row of rows) expect([row, await peer.ask(row)]).toEqual([row, row.theirs])
  })
})
