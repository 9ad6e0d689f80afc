import { describe, expect, test } from 'vitest'
import { useFolder } from '../../support/configuration.ts'
import { authelia } from '../../support/peers/authelia.ts'
import { authentik } from '../../support/peers/authentik.ts'
import { type Comparison, type Outcome, START_PAGE } from '../../support/peers/example.ts'
import { modAuthOpenidc } from '../../support/peers/mod-auth-openidc.ts'
import { oauth2Proxy } from '../../support/peers/oauth2-proxy.ts'
import { traefikForwardAuth } from '../../support/peers/traefik-forward-auth.ts'
import { traefikHub } from '../../support/peers/traefik-hub.ts'
import { type AskProduct, loadProduct } from '../../support/policy-model/product-answer.ts'
import type { PolicyAnswer } from '../../support/policy-model/written.ts'

const OUTCOMES: Readonly<Record<PolicyAnswer['status'], Outcome>> = {
  200: 'pass',
  302: 'sign in',
  303: 'sign in',
  400: 'refuse',
  401: 'sign in',
  403: 'refuse',
}

const EXAMPLES = [
  ...oauth2Proxy,
  ...authelia,
  ...authentik,
  ...modAuthOpenidc,
  ...traefikHub,
  ...traefikForwardAuth,
]

describe.for(EXAMPLES)('$peer, $page', ({ ours, rows }) => {
  const { pathOf } = useFolder()

  test.for(rows.map((row) => [describeRow(row), row] as const))('%s', ([, row]) => {
    const ask = loadProduct(ours, pathOf('vestibule.yaml'), ['*.example.com'])
    const [expected, reason = ''] = row.ours ?? [row.theirs]
    expect(outcomeOf(ask, row)).toBe(expected)
    expect(reason !== '', 'a difference has a reason').toBe(expected !== row.theirs)
  })
})

function describeRow(row: Comparison) {
  const { who, method = 'GET', url = START_PAGE, query = '', from, theirs, ours } = row
  const asker = who ? JSON.stringify(who) : 'a stranger'
  const demand = query === '' ? '' : ` behind ?${query}`
  const origin = from === undefined ? '' : ` from ${from}`
  const answers = ours ? `${theirs} there, ${ours[0]} here` : theirs
  return `${method} ${url}${demand}${origin} by ${asker}: ${answers}`
}

function outcomeOf(ask: AskProduct, row: Comparison) {
  const { url = START_PAGE, method = 'GET', query = '', from, who } = row
  const [, host = '', path = ''] = /^https:\/\/([^/]+)(.*)$/.exec(url) ?? []
  const kind = method === 'OPTIONS' ? 'preflight' : method === 'POST' ? 'form' : 'page'
  const sent = { query, kind, method, host, path, readings: undefined } as const
  const forwardedFor = from === undefined ? {} : { forwardedFor: from }
  const claims = who && { iss: 'https://id.example.com', sub: 'ann', ...who }
  return OUTCOMES[ask({ ...sent, ...forwardedFor }, claims).status]
}
