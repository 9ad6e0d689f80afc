import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findProgram } from '../../../stand-ins/process.ts'
import { type RunningNginx, startNginx } from '../../../stand-ins/proxy/nginx.ts'
import { type RelyingParty, startRelyingParty } from '../../support/relying-party.ts'
import { type WrittenRules, writeRules } from '../../support/rules-file.ts'
import { pathOf } from '../../support/server-models/hostile-paths.ts'
import { serverModels } from '../../support/server-models/models.ts'
import { isPermitted, type PolicyRule } from '../../support/server-models/policy.ts'

const missing = findProgram('nginx') ? undefined : 'nginx is not on PATH'

const policy: readonly PolicyRule[] = [
  { pattern: '/admin/**', access: 'admins' },
  { pattern: '/Docs/**', access: 'deny' },
  { pattern: '/m²/**', access: 'admins' },
  { pattern: '/*/open', access: 'deny' },
  { pattern: '/public/**', access: 'public' },
  { pattern: '/**', access: 'signed-in' },
]

let rules: WrittenRules
let party: RelyingParty
let nginx: RunningNginx
let bob: string

beforeAll(async () => {
  if (missing) return
  rules = await writeRules(
    policy.map(({ pattern, access }) => ({
      paths: [pattern],
      access: access === 'admins' ? 'signed-in' : access,
      ...(access === 'admins' && { groups: ['admins'] }),
    })),
  )
  party = await startRelyingParty({ VESTIBULE_CONFIG: rules.path, ALLOW_ANY_USER: 'false' })
  nginx = await startNginx()
  bob = await party.vestibule.signIn('bob')
})
afterAll(async () => {
  if (missing) return
  await nginx[Symbol.asyncDispose]()
  await party[Symbol.asyncDispose]()
  await rules[Symbol.asyncDispose]()
})

const model = serverModels['nginx'] as (typeof serverModels)[string]
async function isAdmitted(uri: string, cookie?: string): Promise<boolean> {
  return (await party.vestibule.check({ uri }, { Cookie: cookie })).status === 200
}

describe('C1: the real nginx behind the real check', () => {
  test('serves nobody what the rules forbid, with merge_slashes and without', async ({ skip }) => {
    if (missing) skip(missing)
    let served = 0
    const targets = fc.constantFrom(...policy).chain(({ pattern }) => pathOf(pattern))
    await fc.assert(
      fc.asyncProperty(targets, async (target) => {
        for (const [person, cookie] of [
          ['nobody', undefined],
          ['bob', bob],
        ] as const) {
          if (!(await isAdmitted(target, cookie))) continue
          for (const mergesSlashes of [true, false]) {
            const { status, path } = await nginx.serve(mergesSlashes, target)
            if (status !== 200) continue
            served++
            expect(isPermitted(policy, path, model, person), `${path} to ${person}`).toBe(true)
          }
        }
      }),
      { numRuns: 3000 },
    )
    expect(served).toBeGreaterThan(500)
  })

  test('the path of the finding reaches no script', async ({ skip }) => {
    if (missing) skip(missing)
    const target = '/x/..%2Fadmin/tool.php/..;/..;/..;x'
    expect(await nginx.serve(true, target)).toEqual({ status: 200, path: '/admin/tool.php' })
    expect(await isAdmitted(target, bob)).toBe(false)
  })

  test('the model of nginx serves what nginx serves', async ({ skip }) => {
    if (missing) skip(missing)
    const targets = fc.constantFrom(...policy).chain(({ pattern }) => pathOf(pattern))
    const names = [
      [true, 'nginx'],
      [false, 'nginx, merge_slashes off'],
    ] as const
    await fc.assert(
      fc.asyncProperty(targets, async (target) => {
        for (const [mergesSlashes, name] of names) {
          const { status, path } = await nginx.serve(mergesSlashes, target)
          if (status !== 200) continue
          const modelled = serverModels[name]?.serve(target)
          // nginx hands on bytes that are no UTF-8, of which the model leaves the escapes, and names the script alone.
          if (path.includes('\ufffd') || path.endsWith('.php')) continue
          expect(modelled).toBe(path)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
