import type { ConditionSource } from '../../config/rules/condition-source.ts'
import type { Draft } from '../draft.ts'
import { entriesIn } from '../traefik/given-values.ts'
import { goesOnInSegment, patternsOf } from '../traefik/path-patterns.ts'
import { policyNames } from '../traefik/policy-names.ts'
import { suffixed } from '../traefik-files.ts'
import type { PluginMiddleware } from './plugin-middleware.ts'
import { groupClaim, whoMayEnter } from './who-may-enter.ts'

/** Policies by their name. */
type Policies = Readonly<Record<string, ConditionSource>>

/** One middleware alone: the plain middleware and the rules say it. */
export function placeRules(
  draft: Draft,
  members: readonly PluginMiddleware[],
  name: string,
): Policies {
  for (const member of members) {
    placePublic(draft, member)
    const { condition, notes } = whoMayEnter(member, groupClaim(member.options))
    for (const { kind, option, text } of notes) draft.note(kind, option, text)
    draft.addRule({
      name: member.name.slice(0, 64),
      access: 'signed-in',
      ...(condition && { allow: condition }),
    })
    draft.note(
      'carried',
      member.name,
      `The middleware ${suffixed('protected', name)} stands in its place.`,
    )
  }
  return {}
}

function placePublic(draft: Draft, { name, options }: PluginMiddleware): void {
  const excluded = entriesIn(options.get('excludedURLs'))
  for (const path of ['/favicon.ico', ...excluded]) {
    const matcher = { path, isPrefix: path !== '/favicon.ico' }
    const paths = patternsOf(matcher)
    if (paths === undefined) {
      draft.note(
        'todo',
        `${name}: excludedURLs`,
        `${path} cannot be written as a pattern: these pages need a sign-in here.`,
      )
      continue
    }
    draft.addRule({ ...(paths[0] !== '/**' && { paths: [...paths] }), access: 'public' })
    if (matcher.isPrefix && goesOnInSegment(matcher)) {
      draft.note(
        'stricter',
        `${name}: excludedURLs`,
        `Whole segments count: ${path} and what is below ${path}/ is public, and paths that go on in the segment, such as ${path}2, need a sign-in.`,
      )
    }
  }
  draft.note(
    'stricter',
    `${name}: favicon`,
    '/favicon.ico is public as before; other paths that begin with /favicon need a sign-in.',
  )
}

/** Several middlewares: a policy for each that restricts, and the plain middleware for those that do not. */
export function placePolicies(
  draft: Draft,
  members: readonly PluginMiddleware[],
  name: string,
): Policies {
  const [first] = members
  const groupsClaim = first ? groupClaim(first.options) : ''
  const names = policyNames(members.map((member) => member.name))
  const read = members.map((member, at) => ({
    member,
    policy: names[at] ?? '',
    ...whoMayEnter(member, groupsClaim),
  }))
  for (const { kind, option, text } of read.flatMap(({ notes }) => notes))
    draft.note(kind, option, text)
  const policies: Record<string, ConditionSource> = {}
  for (const { member, policy, condition } of read) {
    if (condition) {
      policies[policy] = condition
      draft.note(
        'carried',
        member.name,
        `The policy ${policy}: put ${suffixed(`protected-${policy}`, name)} in the place of the middleware.`,
      )
    } else
      draft.note(
        'carried',
        member.name,
        `Demands a sign-in alone: put ${suffixed('protected', name)} in the place of the middleware.`,
      )
    noteExcluded(draft, member)
  }
  const restricted = Object.values(policies)
  const isOpen = restricted.length < members.length
  draft.addRule({
    name: 'signed-in',
    access: 'signed-in',
    ...(!isOpen && { allow: { any: restricted } }),
  })
  return policies
}

/** A public rule would hold for the apps of all middlewares, whose hosts may be the same. */
function noteExcluded(draft: Draft, { name, options }: PluginMiddleware): void {
  const excluded = entriesIn(options.get('excludedURLs'))
  const paths = [...excluded, '/favicon'].join(', ')
  draft.note(
    'stricter',
    `${name}: excludedURLs`,
    `${paths} need a sign-in here, because rules hold for the apps of all middlewares: give these paths a router of their own, without a middleware of Vestibule.`,
  )
}
