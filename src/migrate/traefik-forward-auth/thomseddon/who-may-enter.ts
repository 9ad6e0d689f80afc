import type { Note } from '../../installation.ts'
import { listedEntries } from '../../traefik/listed-entries.ts'

/** Lists of a rule here, of which one is enough; `nobody` where the old lists are given and let nobody in. */
export type WhoMayEnter =
  | { readonly emails?: string[]; readonly emailDomains?: string[] }
  | 'nobody'

/** Old list under its name; `undefined` values where it is not given. */
export interface UserList {
  readonly option: string
  readonly values: readonly string[] | undefined
}

export interface UserLists {
  readonly whitelist: UserList
  readonly domains: UserList
}

/** Returns who may enter by the old lists: a whitelist overrides the domains, unless either is to be enough. */
export function whoMayEnter({ whitelist, domains }: UserLists, isEither: boolean) {
  const emails = read(whitelist, 'emails')
  const emailDomains =
    whitelist.values === undefined || isEither ? read(domains, 'emailDomains') : NONE
  return {
    who: whoOf(
      emails.entries,
      emailDomains.entries,
      [whitelist, domains].some(({ values }) => values !== undefined),
    ),
    notes: [...emails.notes, ...emailDomains.notes],
  }
}

const NONE = { entries: [], notes: [] as readonly Note[] }

function read({ option, values = [] }: UserList, kind: 'emails' | 'emailDomains') {
  return listedEntries(
    option,
    values.flatMap((value) => value.split(',')),
    kind,
  )
}

function whoOf(emails: string[], emailDomains: string[], isGiven: boolean): WhoMayEnter {
  if (!isGiven) return {}
  if (emails.length === 0 && emailDomains.length === 0) return 'nobody'
  return {
    ...(emails.length > 0 && { emails }),
    ...(emailDomains.length > 0 && { emailDomains }),
  }
}
