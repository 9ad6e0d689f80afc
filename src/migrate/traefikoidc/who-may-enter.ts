import type { ConditionSource } from '../../config/rules/condition-source.ts'
import type { Note } from '../installation.ts'
import { listOf, textOf } from '../traefik/given-values.ts'
import type { PluginMiddleware } from './plugin-middleware.ts'

/** Condition of a middleware: `undefined` for everybody who can sign in. */
export interface WhoMayEnter {
  readonly condition: ConditionSource | undefined
  readonly notes: readonly Note[]
}

/** Reads who may enter: a user or a domain is enough, and besides a role or group is needed where those are given. */
export function whoMayEnter({ name, options }: PluginMiddleware): WhoMayEnter {
  const list = (option: string) => [...listOf(options.get(option) ?? [])]
  const identifier = textOf(options.get('userIdentifierClaim')) ?? 'email'
  const users = list('allowedUsers')
  const domains = list('allowedUserDomains')
  const wanted = list('allowedRolesAndGroups')
  const notes: Note[] = []
  const persons = personsOf(users, domains, identifier)
  if (users.length + domains.length > 0 && persons.length === 0) {
    notes.push({
      kind: 'todo',
      option: `${name}: allowedUserDomains`,
      text: `Domains count for userIdentifierClaim email alone, so that the plugin lets nobody in, and so does this. Name people in the rules, or remove the option.`,
    })
  }
  if (identifier !== 'email' && users.length > 0) {
    notes.push({
      kind: 'stricter',
      option: `${name}: allowedUsers`,
      text: `Values of ${identifier} are compared to the letter, upper and lower case included.`,
    })
  }
  const parts = [
    ...(users.length + domains.length > 0 ? [anyOf(persons.length > 0 ? persons : [NOBODY])] : []),
    ...(wanted.length > 0
      ? [{ any: [{ groups: wanted }, { claims: { [roleClaim(options)]: [...wanted] } }] }]
      : []),
  ]
  return { condition: parts.length > 1 ? { all: parts } : parts[0], notes }
}

/** Returns the claim with the roles, in whose name a dot is no step of a path. */
export function roleClaim(options: PluginMiddleware['options']): string {
  return (textOf(options.get('roleClaimName')) ?? 'roles').replaceAll('.', '\\.')
}

const NOBODY: ConditionSource = { all: [{ users: ['nobody'] }, { none: [{ users: ['nobody'] }] }] }

function personsOf(users: string[], domains: string[], identifier: string): ConditionSource[] {
  if (identifier !== 'email') {
    return users.length === 0 ? [] : [{ claims: { [identifier.replaceAll('.', '\\.')]: users } }]
  }
  return [
    ...(users.length > 0 ? [{ emails: users }] : []),
    ...(domains.length > 0 ? [{ emailDomains: domains }] : []),
  ]
}

function anyOf(conditions: readonly ConditionSource[]): ConditionSource {
  const [first] = conditions
  return first !== undefined && conditions.length === 1 ? first : { any: conditions }
}
