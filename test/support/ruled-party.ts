import type { RulesFile } from '../../src/config/rules/rules-file.ts'
import { startRelyingParty } from './relying-party.ts'
import { writeRules } from './rules-file.ts'
import { usePartyOf } from './used-party.ts'

export interface RuledPartyOptions {
  readonly rules: RulesFile['rules']
  readonly policies?: RulesFile['policies']
  readonly settings?: Readonly<Record<string, string>>
}

/** Group of each person at the provider of a ruled party; `guest` is in none, which the provider says. */
export const GROUPS = { admin: ['admins'], member: ['staff'], guest: [] } as const

const users = Object.entries(GROUPS).map(([sub, groups]) => ({ sub, groups: [...groups] }))

/** A relying party with rules and policies in a file, for all tests of one test file. */
export function useRuledParty({ rules, policies = {}, settings = {} }: RuledPartyOptions) {
  return usePartyOf(async () => {
    await using stack = new AsyncDisposableStack()
    const { path } = stack.use(await writeRules(rules, { policies }))
    const party = stack.use(
      await startRelyingParty(
        { VESTIBULE_CONFIG: path, ALLOW_ANY_USER: '', ...settings },
        { users },
      ),
    )
    const resources = stack.move()
    return { ...party, [Symbol.asyncDispose]: () => resources.disposeAsync() }
  })
}
