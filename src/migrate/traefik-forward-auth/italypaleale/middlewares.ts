import type { ConditionSource } from '../../../config/rules/condition-source.ts'
import type { RuleSource } from '../../../config/rules/rules-file.ts'
import type { Draft } from '../../draft.ts'
import { textOf } from '../../traefik/given-values.ts'
import { memberOf } from '../../traefik/parse-documents.ts'
import { suffixed } from '../../traefik-files.ts'
import type { TraefikFiles } from '../traefik-files.ts'
import { carryCondition } from './conditions.ts'

/** Middleware of Traefik that asks a portal. */
export interface PortalMiddleware {
  readonly name: string
  /** `''` for the default portal. */
  readonly portal: string
  readonly condition: string
}

/** Returns the middlewares of a configuration of Traefik that ask the old service below a path. */
export function portalMiddlewares(
  files: TraefikFiles,
  basePath: string,
): readonly PortalMiddleware[] {
  return files.middlewares.flatMap(({ name, types }) => {
    const address = URL.parse(textOf(memberOf(memberOf(types, 'forwardAuth'), 'address')) ?? '')
    if (!address) return []
    const path = address.pathname.startsWith(basePath)
      ? address.pathname.slice(basePath.length)
      : address.pathname
    const [, portal = ''] = /^\/portals\/([^/]+)/.exec(path) ?? []
    return [{ name, portal, condition: address.searchParams.get('if') ?? '' }]
  })
}

/** Adds what the middlewares of a portal demand: a policy for each with a condition, and the rule for those without. */
export function placeConditions(
  draft: Draft,
  middlewares: readonly PortalMiddleware[],
  { idClaim, name }: Asked,
): Readonly<Record<string, ConditionSource>> {
  const conditional = middlewares.filter(({ condition }) => condition !== '')
  const policies = Object.fromEntries(
    conditional.map((middleware) => [
      policyName(middleware.name),
      carried(draft, middleware, { idClaim, name }),
    ]),
  )
  for (const each of middlewares.filter(({ condition }) => condition === '')) {
    draft.note(
      'carried',
      each.name,
      `The middleware demands a sign-in alone: put ${suffixed('protected', name)} in its place.`,
    )
  }
  draft.addRule(
    baseRule(policies, conditional.length < middlewares.length || middlewares.length === 0),
  )
  return policies
}

/** Installation whose middlewares stand in the place of old ones. */
interface Asked {
  readonly idClaim: string
  readonly name: string
}

function carried(
  draft: Draft,
  { name, condition }: PortalMiddleware,
  asked: Asked,
): ConditionSource {
  const { condition: source, remarks } = carryCondition(condition, asked.idClaim)
  const policy = policyName(name)
  const option = `${name}?if=`
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

/** Condition that is true for nobody, until the operator writes another. */
const NOBODY: ConditionSource = { all: [{ users: ['nobody'] }, { none: [{ users: ['nobody'] }] }] }

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

/** Returns the name of a middleware as that of a policy. */
export function policyName(middleware: string): string {
  return middleware
    .replaceAll(/[^A-Za-z\d._-]+/g, '-')
    .replace(/^[._-]+/, '')
    .slice(0, 64)
}
