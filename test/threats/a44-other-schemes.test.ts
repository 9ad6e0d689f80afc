import { describe } from 'vitest'
import { APP } from '../support/relying-party.ts'
import { returnAddressTables } from '../support/return-address-tables.ts'
import { words } from '../support/words.ts'

const { refuses, leads } = returnAddressTables({
  PROTECTED_HOSTS: 'app.example.com,http://plain.localhost:8080',
})

const schemes = words`
  HTTPS://app.example.com/ Https://app.example.com/ hTtPs://app.example.com/ hTtPs:evil.example
  http://app.example.com/ HTTP://app.example.com/ ws://app.example.com/ wss://app.example.com/
  ftp://app.example.com/ file:///etc/passwd file://app.example.com/ javascript:alert(1)
  javascript://app.example.com/%0aalert(1) JaVaScRiPt:alert(1) java\nscript:alert(1)
  java\tscript:alert(1) \x20javascript:alert(1) \x01javascript:alert(1)
  \x19Jav\tasc\tript:https://app.example.com/%250Aconfirm%25281%2529 javascript%3aalert(1)
  data:text/html,<script>alert(1)</script> data:text/html;base64,PHNjcmlwdD4= vbscript:msgbox(1)
  blob:${APP}/0f0e about:blank view-source:https://app.example.com/
  intent://app.example.com/#Intent;scheme=https;end x-app.example.com:y mailto:a@app.example.com
  tel:110 https https: https:/ https:// https:/// :https://app.example.com/
  "https://app.example.com/" https//app.example.com/ httpss://app.example.com/
  https\x20://app.example.com/ https:\\\\app.example.com/
`

describe('A44 other schemes', () => {
  refuses(
    '%j is refused because only a literal https:// is an address',
    schemes,
    words`
    evil alert javascript vbscript blob: intent
  `,
  )

  leads(
    'a path that looks like a scheme is a path: %s',
    words`/javascript:alert(1) /?u=javascript:alert(1) ${APP}/x`,
    [APP],
  )

  // The contract allows http hosts where configuration marks them; the reference allowed https alone.
  leads('a host that is configured for http keeps its scheme: %s', [
    ['http://plain.localhost:8080/x', 'http://plain.localhost:8080/x'],
    ['https://plain.localhost:8080/x', undefined],
    ['HTTP://plain.localhost:8080/x', undefined],
    ['http://plain.localhost/x', undefined],
    ['http://plain.localhost:80/x', undefined],
    ['http://plain.localhost:8080@evil.example/x', undefined],
  ])
})
