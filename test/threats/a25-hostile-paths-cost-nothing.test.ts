import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { parseHost } from '../../src/core/site.ts'
import { longPath, pathUnits } from '../support/long-paths.ts'
import { createStepCounter } from '../support/path-steps.ts'
import { prepared } from '../support/prepared.ts'
import { writeRules } from '../support/rules-file.ts'
import { startVestibule } from '../support/vestibule.ts'
import { words } from '../support/words.ts'

const PATTERNS = Array.from({ length: 100 }, (_, index) => [
  `/a/b${index}/**/end${index}`,
  `/*/*/*/*/z${index}`,
]).flat()
const MAX_LENGTH = 8192

const rules = prepared(() =>
  writeRules([
    { paths: PATTERNS, access: 'deny' },
    { paths: ['/public/**/x'], access: 'public' },
    { access: 'signed-in' },
  ]),
)
const vestibule = prepared(() =>
  startVestibule({
    VESTIBULE_CONFIG: rules().path,
    PROTECTED_HOSTS: 'app.example.com,*.apps.example.com',
    ALLOW_ANY_USER: 'false',
  }),
)

describe('A25 regular expressions and hostile paths', () => {
  const count = createStepCounter(PATTERNS)
  const plain = count(longPath('a', MAX_LENGTH))

  test.for(pathUnits)('8 KiB of %j cost no more than five plain paths', async (unit) => {
    for (const end of ['', '!', '/end1']) {
      const path = longPath(unit, MAX_LENGTH, end)
      const { characters, comparisons } = count(path)
      expect(characters).toBeLessThanOrEqual(5 * plain.characters)
      expect(comparisons).toBeLessThanOrEqual(5 * plain.comparisons)
      const { status } = await vestibule().check({ uri: path })
      expect([302, 400, 403]).toContain(status)
    }
  })

  test('the path of the threat list costs no more with each character', () => {
    for (const length of [28, 40, 80, 160]) {
      expect(count(`/${'a'.repeat(length - 2)}!`)).toEqual({
        characters: 2 * length,
        comparisons: PATTERNS.length,
      })
    }
  })

  test('others are served while somebody sends such paths', async () => {
    const flood = pathUnits.map((unit) =>
      vestibule().check({ uri: longPath(unit, MAX_LENGTH, '!') }),
    )
    expect((await vestibule().check({ uri: '/a' })).status).toBe(302)
    await Promise.all(flood)
  })

  test('a path above the limit is refused before anything is matched', async () => {
    const visit = await vestibule().check({ uri: longPath('A/', MAX_LENGTH + 1, '!') })
    expect([visit.status, visit.headers['cache-control']]).toEqual([400, 'no-store'])
  })

  test('a host that is too long or none is refused', async () => {
    for (const unit of ['a', 'a.', 'a-', '.', '-', '1', ':1']) {
      for (const times of [120, 30_000]) expect(parseHost(`${unit.repeat(times)}!`)).toBeUndefined()
      expect((await vestibule().check({ host: `${unit.repeat(2000)}!` })).status).toBe(400)
    }
  })

  test.for([
    ...words`
      ^/(?:[a-z0-9-]+/?)+\\.json$ /(?:[a-z]+)+\\.json* /a* /*.json /a** /**/a/** /*** public/**
      public /a%2fb /a;b /a?b /a#b /a//b /a/../b /./a /a\uff0fb /\u2025
    `,
    '/a\\b',
  ])('a rule that is more than segments stops the start: %j', (pattern) => {
    const load = (PUBLIC_PATHS: string) => loadConfig({ ...environment, PUBLIC_PATHS })
    expect(() => load(pattern)).toThrow(/PUBLIC_PATHS: [^\n]+: [^\n]+$/)
    expect(load('/a/*/b,/c/**').rules).toHaveLength(2)
  })
})

const environment = {
  PROTECTED_HOSTS: 'app.example.com',
  OIDC_ISSUER_URL: 'https://id.example.com',
  OIDC_CLIENT_ID: 'vestibule',
  ALLOW_ANY_USER: 'true',
}
