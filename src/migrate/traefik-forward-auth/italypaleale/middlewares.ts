import type { ConditionSource } from '../../../config/rules/condition-source.ts'
import type { RuleSource } from '../../../config/rules/rules-file.ts'
import type { Draft } from '../../draft.ts'
import { titlesOf } from '../../traefik/dynamic-configuration.ts'
import { textOf } from '../../traefik/given-values.ts'
import { NOBODY } from '../../traefik/nobody.ts'
import { memberOf } from '../../traefik/parse-documents.ts'
import { policyNames } from '../../traefik/policy-names.ts'
import { suffixed } from '../../traefik-files.ts'
import type { TraefikFiles } from '../traefik-files.ts'
import { carryCondition } from './conditions.ts'
import type { OldProvider } from './provider.ts'

/** Middleware of Traefik that asks a portal. */
export interface PortalMiddleware {
  readonly name: string
  /** Name, with the namespace where several have it. */
  readonly title: string
  /** Service that it asks. */
  readonly origin: string
  /** `''` for the default portal. */
  readonly portal: string
  readonly condition: string
}

/** Returns the middlewares of a configuration of Traefik that ask the old service below a path. */
export function portalMiddlewares(
  files: TraefikFiles,
  basePath: string,
): readonly PortalMiddleware[] {
  const titles = titlesOf(files.middlewares)
  return files.middlewares.flatMap(({ name, types }, at) => {
    const address = URL.parse(textOf(memberOf(memberOf(types, 'forwardAuth'), 'address')) ?? '')
    if (!address) return []
    const path = address.pathname.startsWith(basePath)
      ? address.pathname.slice(basePath.length)
      : address.pathname
    const [, portal = ''] = /^\/portals\/([^/]+)/.exec(path) ?? []
    const condition = address.searchParams.get('if') ?? ''
    return [{ name, title: titles[at] ?? name, origin: address.origin, portal, condition }]
  })
}

/** Adds what the middlewares of a portal demand: a policy for each with a condition, and the rule for those without. */
export function placeConditions(
  draft: Draft,
  middlewares: readonly PortalMiddleware[],
  asked: Asked,
): Readonly<Record<string, ConditionSource>> {
  const conditional = middlewares.filter(({ condition }) => condition !== '')
  const names = policyNames(conditional.map(({ title }) => title))
  const policies = Object.fromEntries(
    names.map((policy, at) => [
      policy,
      carried(draft, conditional[at] as PortalMiddleware, policy, asked),
    ]),
  )
  for (const each of middlewares.filter(({ condition }) => condition === '')) {
    draft.note(
      'carried',
      each.title,
      `The middleware demands a sign-in alone: put ${suffixed('protected', asked.name)} in its place.`,
    )
  }
  draft.addRule(
    asked.isUnknown ? CLOSED : baseRule(policies, conditional.length < middlewares.length),
  )
  return policies
}

/** Installation whose middlewares stand in the place of old ones. */
interface Asked {
  readonly provider: OldProvider
  readonly name: string
  /** Whether there are conditions that cannot be read, by which a sign-in alone may not be enough. */
  readonly isUnknown: boolean
}

const CLOSED: RuleSource = { name: 'signed-in', access: 'deny' }

function carried(
  draft: Draft,
  { title, condition }: PortalMiddleware,
  policy: string,
  asked: Asked,
): ConditionSource {
  const { condition: source, remarks } = carryCondition(condition, asked.provider)
  const option = `${title}?if=`
  if (source === undefined) {
    draft.note(
      'todo',
      option,
      `Has no counterpart, and the policy ${policy} lets nobody in: write it (docs/rules.md). ${remarks.join(' ')}`.trim(),
    )
    return NOBODY
  }
  draft.note(
    'carried',
    option,
    `The policy ${policy}: put ${suffixed(`protected-${policy}`, asked.name)} in the place of the middleware.`,
  )
  for (const remark of remarks) draft.note('differs', option, remark)
  return source
}

/** Without a middleware that demands a sign-in alone, the plain middleware lets in only whom some policy does. */
function baseRule(
  policies: Readonly<Record<string, ConditionSource>>,
  isOpen: boolean,
): RuleSource {
  const any = Object.values(policies)
  if (isOpen) return { name: 'signed-in', access: 'signed-in' }
  return {
    name: 'signed-in',
    access: 'signed-in',
    allow: any.length === 1 ? any[0] : { any },
  }
}
