import { expect, test } from 'vitest'
import { longPath, pathUnits } from '../support/long-paths.ts'
import { useBearerParty } from '../support/used-party.ts'

const PATTERNS = Array.from({ length: 100 }, (_, index) => [
  `/a/b${index}/**/end${index}`,
  `/*/*/*/*/z${index}`,
]).flat()
const MAX_LENGTH = 16_384

const party = useBearerParty(
  [
    { paths: PATTERNS, access: 'deny' },
    { paths: ['/public/**/x'], access: 'public' },
    { access: 'signed-in' },
  ],
  { PROTECTED_HOSTS: 'app.example.com,*.apps.example.com' },
)

test.for(pathUnits)('8 KiB of %j are answered, at the cost that C4 bounds', async (unit) => {
  for (const end of ['', '!', '/end1']) {
    const { status } = await party.check({ uri: longPath(unit, MAX_LENGTH, end) })
    expect([302, 400, 403]).toContain(status)
  }
})
