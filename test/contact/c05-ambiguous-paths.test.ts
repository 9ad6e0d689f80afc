import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { useBearerParty } from '../support/used-party.ts'
import { rows } from '../support/words.ts'

const party = useBearerParty([
  { paths: ['/public/**', '/**/open'], access: 'public' },
  { paths: ['/admin/**'], access: 'signed-in', groups: ['admins'] },
  { access: 'signed-in' },
])
const bob = prepared(() => party.vestibule.signIn('bob'))

async function statusOf(uri: string, cookie?: string): Promise<number> {
  return (await party.check({ uri }, { Cookie: cookie })).status
}

describe('C3, C5: honest paths', () => {
  const [PUBLIC, SIGNED_IN, ADMINS] = [
    [200, 200],
    [302, 200],
    [302, 403],
  ] as const
  test.for([
    ...rows`
      /public/My%20Report%20(2).pdf /public/Gr%C3%BC%C3%9Fe/%F0%9F%98%80.png
      /public/%E6%97%A5%E6%9C%AC /public/a+b@c~d:e'f!g$h&i=j,k*l /public/app.3f2a9c.min.js
      /public/%5Bslug%5D/%7Bid%7D.js /public/.well-known/a..b /public/a?x=%2F..%2F;//
    `(PUBLIC),
    ...rows`
      /api/v4/projects/group%2Fproject/issues
      /api/v4/projects/group%2Fsub%2Fproject/repository/files/src%2Fmain.ts/raw
      /npm/@scope%2fpackage /cars;color=red;doors=4/model;v=1 /app;jsessionid=0123456789ABCDEF
      /filter/%7B%22a%22%3A%5B1%2C2%5D%2C%22b%22%3A%22c%2Fd%22%7D
      /proxy/https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc%23d /proxy/https://example.com/a
      /save/100%25%20done%2Fand%20more /dav/My%20Files/Caf%C3%A9/ /wiki/AC%2FDC /wiki/C%23
      /wiki/What%3F /tags/caf%e9 /compare/v1.0...v2.0
    `(SIGNED_IN),
    ...rows`/admin/users%2F1 /admin/a;v=1 /Admin/a /admin./a`(ADMINS),
  ] as const)('%s', async ([uri, [nobody, signedIn]]) =>
    expect([await statusOf(uri), await statusOf(uri, bob())]).toEqual([nobody, signedIn]),
  )
})
