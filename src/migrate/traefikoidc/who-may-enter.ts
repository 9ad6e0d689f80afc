import type { ConditionSource } from '../../config/rules/condition-source.ts'
import type { Note, NoteKind } from '../installation.ts'
import { entriesIn, textOf } from '../traefik/given-values.ts'
import { listedEntries } from '../traefik/listed-entries.ts'
import { NOBODY } from '../traefik/nobody.ts'
import type { PluginMiddleware } from './plugin-middleware.ts'

/** Condition of a middleware: `undefined` for everybody who can sign in. */
export interface WhoMayEnter {
  readonly condition: ConditionSource | undefined
  readonly notes: readonly Note[]
}

/**
 * Reads who may enter: a user or a domain is enough, and besides a role or group is needed where those are given. `groupsClaim`
 * is that of the installation.
 */
export function whoMayEnter(middleware: PluginMiddleware, groupsClaim: string): WhoMayEnter {
  const persons = personsOf(middleware)
  const members = membersOf(middleware, groupsClaim)
  const parts = [persons, members].flatMap(({ condition }) => condition ?? [])
  return {
    condition: parts.length > 1 ? { all: parts } : parts[0],
    notes: [...persons.notes, ...members.notes],
  }
}

/** Returns the claim with the groups. The plugin takes a dot in it for a part of the name. */
export function groupClaim(options: PluginMiddleware['options']): string {
  return claimIn(options, 'groupClaimName', 'groups')
}

/** Returns the claim with the roles. */
export function roleClaim(options: PluginMiddleware['options']): string {
  return claimIn(options, 'roleClaimName', 'roles')
}

function claimIn(options: PluginMiddleware['options'], option: string, byDefault: string): string {
  return (textOf(options.get(option)) ?? byDefault).replaceAll('.', '\\.')
}

const EVERYBODY: WhoMayEnter = { condition: undefined, notes: [] }

function personsOf(middleware: PluginMiddleware): WhoMayEnter {
  const { name, options } = middleware
  const users = entriesIn(options.get('allowedUsers'))
  const domains = entriesIn(options.get('allowedUserDomains'))
  if (users.length + domains.length === 0) return EVERYBODY
  const identifier = claimIn(options, 'userIdentifierClaim', 'email')
  const { conditions, notes } =
    identifier === 'email'
      ? byAddress(name, users, domains)
      : byIdentifier(middleware, identifier, users)
  if (conditions.length === 0) {
    const text =
      identifier === 'email'
        ? 'Is given and names nobody, so that the plugin lets nobody in, and so does this. Name people in the rules, or remove the option.'
        : 'Domains count for userIdentifierClaim email alone, so that the plugin lets nobody in, and so does this. Name people in the rules, or remove the option.'
    const option = users.length > 0 ? 'allowedUsers' : 'allowedUserDomains'
    return { condition: NOBODY, notes: [...notes, noteOn(middleware, 'todo', option, text)] }
  }
  return { condition: conditions.length > 1 ? { any: conditions } : conditions[0], notes }
}

function byAddress(name: string, users: readonly string[], domains: readonly string[]) {
  // The plugin does not look at upper and lower case of users.
  const folded = users.map((user) => user.toLowerCase())
  const emails = listedEntries(`${name}: allowedUsers`, folded, 'emails')
  const emailDomains = listedEntries(`${name}: allowedUserDomains`, domains, 'emailDomains')
  const conditions: ConditionSource[] = [
    ...(emails.entries.length > 0 ? [{ emails: emails.entries }] : []),
    ...(emailDomains.entries.length > 0 ? [{ emailDomains: emailDomains.entries }] : []),
  ]
  return { conditions, notes: [...emails.notes, ...emailDomains.notes] }
}

function byIdentifier(middleware: PluginMiddleware, identifier: string, users: readonly string[]) {
  const { entries, notes } = listedEntries(`${middleware.name}: allowedUsers`, users, 'names')
  if (entries.length === 0) return { conditions: [], notes }
  const text = `Values of ${identifier} are compared to the letter, upper and lower case included.`
  return {
    conditions: [{ claims: { [identifier]: entries } }],
    notes: [...notes, noteOn(middleware, 'stricter', 'allowedUsers', text)],
  }
}

function membersOf(middleware: PluginMiddleware, groupsClaim: string): WhoMayEnter {
  const { options } = middleware
  const option = 'allowedRolesAndGroups'
  const given = entriesIn(options.get(option))
  if (given.length === 0) return EVERYBODY
  const { entries: wanted, notes } = listedEntries(`${middleware.name}: ${option}`, given, 'names')
  if (wanted.length === 0 || groupClaim(options) !== groupsClaim) {
    const text =
      wanted.length === 0
        ? 'Is given and names nothing, so that the plugin lets nobody in, and so does this.'
        : `Looks at another groupClaimName than the installation, which has ${groupsClaim}: nobody is let in until you write the condition (docs/rules.md).`
    return { condition: NOBODY, notes: [...notes, noteOn(middleware, 'todo', option, text)] }
  }
  return {
    condition: { any: [{ groups: wanted }, { claims: { [roleClaim(options)]: wanted } }] },
    notes: [...notes, noteOn(middleware, 'differs', option, LOOSER)],
  }
}

const LOOSER =
  'The plugin wants groups and roles as lists in the ID token, and keeps out whoever has them otherwise. Here one text, a map and UserInfo count too: look at what your provider sends.'

function noteOn({ name }: PluginMiddleware, kind: NoteKind, option: string, text: string): Note {
  return { kind, option: `${name}: ${option}`, text }
}
