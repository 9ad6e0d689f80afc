import { describe } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { words } from '../support/words.ts'

const { refuses, leads } = returnAddressTables({
  PROTECTED_HOSTS: 'app.example.com,*.apps.example.org,ported.example.com:8443',
})

const hostile = words`
  https://app.example.com@evil.example https://app.example.com:443@evil.example
  https://app.example.com:a@evil.example https://app.example.com%2f@evil.example
  https://app.example.com%2f%2f@evil.example/ https://app.example.com%00@evil.example
  https://app.example.com\\@evil.example https://app.example.com;@evil.example
  https://@evil.example https://a@b@evil.example https://evil.example\\.app.example.com
  https://evil.example\\@app.example.com https://evil.example#.app.example.com
  https://evil.example#@app.example.com https://evil.example?.app.example.com
  https://evil.example/.app.example.com https://evil.example;.app.example.com
  https://evil.example%23.app.example.com https://evil.example%00.app.example.com
  https://app.example.com.evil.example https://app.example.comevil.example
  https://app.example.com-evil.example https://appexample.com https://evil-example.com
  https://evilapp.example.com https://evil-app.example.com https://evil.app.example.com
  https://example.com https://com https://app.example.co https://app.example.com.
  https://app.example.com../ https://.app.example.com https://app..example.com
  https://evil.apps.example.org.evil.example https://evilapps.example.org https://apps.example.org
  https://.apps.example.org https://evil.example/x.apps.example.org
  https://evil.example\\x.apps.example.org https://*.apps.example.org https://%2a.apps.example.org
  https://a_b.apps.example.org
`

const userInfoOfOurs = words`
  https://user@app.example.com/ https://user:secret@app.example.com/ https://:@app.example.com/
  https://@app.example.com/ https://app.example.com@app.example.com/ https://a@x.apps.example.org/
`

const ports = words`
  https://app.example.com:/ https://app.example.com:443/ https://app.example.com:0443/
  https://app.example.com:80/ https://app.example.com:8443/ https://app.example.com:99999/
  https://app.example.com:-1/ https://app.example.com:x/ https://x.apps.example.org:8443/
  https://ported.example.com/ https://ported.example.com:443/ https://ported.example.com:84430/
  https://ported.example.com:08443/
`

describe('A42 user info, suffixes and ports', () => {
  refuses('another host is refused: %s', hostile)

  refuses('user info is refused, also before our own host: %s', userInfoOfOurs, ['user', 'secret'])

  refuses('a port that is not configured, or is written otherwise, is refused: %s', ports, [
    '8443',
    '99999',
  ])

  leads(
    'the legitimate twin is where the sign-in ends: %s',
    words`
      https://app.example.com/@evil.example https://app.example.com/#@evil.example
      https://app.example.com/?@evil.example https://x.apps.example.org/
      https://x.y.apps.example.org/z https://ported.example.com:8443/z
    `,
    [APP],
  )
})
