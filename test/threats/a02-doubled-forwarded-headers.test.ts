import { describe, expect, test } from 'vitest'
import { prepared } from '../support/prepared.ts'
import { expectLogin, expectRefusal } from '../support/refusal.ts'
import { startVestibule } from '../support/vestibule.ts'
import { checkRaw } from '../support/wire-requests.ts'

const vestibule = prepared(() => startVestibule({ PUBLIC_PATHS: '/public/**' }))

const legitimate = {
  Host: 'app.example.com',
  Uri: '/public/a',
  Proto: 'https',
  Method: 'GET',
} as const
type Part = keyof typeof legitimate

const doubled: readonly [Part, string][] = [
  ['Host', 'evil.example'],
  ['Host', 'other.example.com'],
  ['Host', 'app.example.com'],
  ['Uri', '/admin'],
  ['Uri', '/public/a'],
  ['Proto', 'http'],
  ['Proto', 'https'],
  ['Method', 'DELETE'],
  ['Method', 'GET'],
]

describe('A02 doubled and listed forwarded headers', () => {
  test('each header once is a request like any other', async () => {
    expect((await vestibule().check({ uri: '/public/a' })).status).toBe(200)
    expectLogin(await vestibule().check({ uri: '/a' }), 'https://app.example.com/a')
  })

  test.for(doubled)('X-Forwarded-%s sent twice, with %s too, is refused', async ([part, other]) => {
    const name = `X-Forwarded-${part}`
    const first = legitimate[part]
    for (const values of [
      [first, other],
      [other, first],
      [first, other, first],
    ]) {
      const visit = await vestibule().check({ uri: '/public/a' }, { [name]: values })
      expectRefusal(visit, 400, ['evil.example', 'other.example.com'])
    }
  })

  test.for(doubled)('two spellings of X-Forwarded-%s are two of it: %s', async ([part, other]) => {
    for (const spelling of [`x-forwarded-${part.toLowerCase()}`, `X-FORWARDED-${part}`]) {
      const { status } = await checkRaw(vestibule(), { headers: [`${spelling}: ${other}`] })
      expect(status).toBe(400)
    }
  })

  test.for<[Part, string]>([
    ['Host', 'app.example.com, evil.example'],
    ['Host', 'evil.example, app.example.com'],
    ['Host', 'app.example.com,app.example.com'],
    ['Host', 'app.example.com,'],
    ['Host', ',app.example.com'],
    ['Proto', 'https, http'],
    ['Proto', 'https,https'],
    ['Proto', 'https,'],
    ['Method', 'GET, DELETE'],
    ['Method', 'GET,GET'],
    ['Method', 'GET,'],
    ['Uri', '/public/a, /admin'],
    ['Uri', '/public/a,\t/public/b'],
  ])('a list in X-Forwarded-%s is refused: %s', async ([part, value]) => {
    const visit = await vestibule().check({ uri: '/public/a' }, { [`X-Forwarded-${part}`]: value })
    expectRefusal(visit, 400, ['evil.example'])
  })

  test('a comma without a blank is part of a path, and stays in it', async () => {
    const visit = await vestibule().check({ uri: '/a,/public/b?c=1,2' })
    expectLogin(visit, 'https://app.example.com/a,/public/b?c=1,2')
    expect((await vestibule().check({ uri: '/public/a,b' })).status).toBe(200)
  })
})
