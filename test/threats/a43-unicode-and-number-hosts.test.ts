import { describe, expect, test } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { rdQuery } from '../support/return-to.ts'
import { words } from '../support/words.ts'

const { sut, refuses, refusesQueries, leads } = returnAddressTables({
  PROTECTED_HOSTS: 'app.example.com,desk.example.com,xn--bcher-kva.example.com',
})

const foreign = words`
  https://evil。com https://evil．com https://evil｡com //evil。com /\\evil。com https://ⓔvil.com
  https://ｅvil.com https://evil℀.com https://evil.c℀.app.example.com https://xn--80ak6aa92e.com
  https://аpp.example.com https://app.exаmple.com https://0x7f.1 https://0x7f000001
  https://2130706433 https://017700000001 https://127.1 https://127.0.0.1 https://1.2.3.4
  https://１２７.0.0.1 https://[::1] https://[::ffff:1.2.3.4] https://[::1%25eth0] https://[
  https://[] https://app.example.com] https://xn-- https://xn--a
`

/** A browser would take these for our own host; a proxy or an app may not. */
const ours = words`
  https://app。example。com https://app．example.com https://ａpp.example.com https://ⓐpp.example.com
  https://app.example.com. https://app.example.com。 https://app.example.com\u200d
  https://app.example\u200c.com https://app.example\u2060.com https://app.example\u00ad.com
  https://app.example\ufe0f.com https://app.example\u034f.com https://app.example.com\u2028
  https://app.example.com\u2028/ https://app.example.com\ufeff/ https://app%2eexample%2ecom
  https://%61pp.example.com https://app.example.c\u006f\u0301m https://des\u212a.example.com
  https://de\u017fk.example.com https://bücher.example.com
`

describe('A43 hosts in other scripts, of numbers, or with things unseen', () => {
  refuses('a foreign host is refused: %s', foreign, ['evil', '0x7f', 'xn--80'])

  refuses('our own host is refused when it is written otherwise: %j', ours)

  refusesQueries(
    'bytes of other scripts in the query are refused: %s',
    words`
    ?rd=https://evil%E3%80%82com ?rd=//evil%E3%80%82com ?rd=https://app.example.com%E2%80%8D
    ?rd=https://app.example.com%ED%A0%80 ?rd=https://app.example.com%FF/
    ?rd=https://app.example.com%C2%AD/
  `,
  )

  leads('in a path other scripts are encoded: %s', [
    ['/bücher', `${APP}/b%C3%BCcher`],
    ['/?q=日本語', `${APP}/?q=%E6%97%A5%E6%9C%AC%E8%AA%9E`],
    ['/🦊', `${APP}/%F0%9F%A6%8A`],
    ['/evil。com', `${APP}/evil%E3%80%82com`],
    ['/。/evil.example', `${APP}/%E3%80%82/evil.example`],
    ['/／evil.example', `${APP}/%EF%BC%8Fevil.example`],
    ...words`https://desk.example.com/ https://xn--bcher-kva.example.com/x`,
  ])

  test('a lone surrogate in a path is replaced or refused, and breaks nothing', async () => {
    for (const rd of ['/\ud800', '/a\udc00b', '/\udfff\ud800']) {
      const visit = await sut().login(rdQuery(rd))
      expect([302, 400]).toContain(visit.status)
      if (visit.location) expect(visit.location).toMatch(`${sut().party.provider.issuer}/auth?`)
    }
  })
})
