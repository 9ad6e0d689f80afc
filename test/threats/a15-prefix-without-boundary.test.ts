import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const vestibule = prepared(() =>
  startVestibule({ PUBLIC_PATHS: '/public/**,/exact,/one/*,/deep/**/end' }),
)

describe('A15 a prefix without boundary', () => {
  test.for(words`
    /public /public/ /public/a /public/a/b.css /public?x=1 /public/-admin /exact /exact?x /one/a
    /one/a-b /deep/end /deep/a/b/end
  `)('is public: %s', async (uri) => {
    const visit = await vestibule().check({ uri })
    expect(visit).toMatchObject({ status: 200, headers: { 'x-auth-request-user': '' } })
  })

  test.for(words`
    / /public-admin /publicx /public.html /public. /public~ /public_ /public- /public+
    /public@evil /public:80 /public, /public&x /public= /publi /pub /Public /PUBLIC/a /a/public
    /a/public/b /xpublic/a /exact/ /exact/a /exactly /exact-admin /one /one/ /one/a/ /one/a/b
    /onea /deep /deep/ /deep/a /deep/a/ending /deep/a/end/ /deep/a/end/b /deeper/end /deep/bend /*
    /**
  `)('is protected: %s', async (uri) => {
    expectLogin(await vestibule().check({ uri }), `https://app.example.com${uri}`)
  })
})
