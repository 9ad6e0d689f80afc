import { listOf } from '../../traefik/given-values.ts'

/** Lists of a rule here, of which one is enough; `nobody` where the old lists are given and empty. */
export type WhoMayEnter =
  | { readonly emails?: string[]; readonly emailDomains?: string[] }
  | 'nobody'

export interface UserLists {
  readonly whitelist: readonly string[] | undefined
  readonly domains: readonly string[] | undefined
}

/** Returns who may enter by the old lists: a whitelist overrides the domains, unless either is to be enough. */
export function whoMayEnter({ whitelist, domains }: UserLists, isEither: boolean): WhoMayEnter {
  const emails = entriesOf(whitelist)
  const emailDomains = whitelist === undefined || isEither ? entriesOf(domains) : []
  if (whitelist === undefined && domains === undefined) return {}
  if (emails.length === 0 && emailDomains.length === 0) return 'nobody'
  return {
    ...(emails.length > 0 && { emails }),
    ...(emailDomains.length > 0 && { emailDomains }),
  }
}

function entriesOf(values: readonly string[] | undefined): string[] {
  return (values ?? []).flatMap(listOf)
}
