import { foundRules } from '../check-model/rules.ts'
import { clientAddress } from './addresses.ts'
import { type Asker, valueOf, valuesOfLists } from './conditions.ts'
import { every, isCertain, some, type Truth } from './truth.ts'
import type {
  PolicyAnswer,
  SentCheck,
  SentClaims,
  WrittenFile,
  WrittenLists,
  WrittenRule,
} from './written.ts'

/** Demands of the middleware's address beside the rules. */
interface Demand {
  readonly policy?: string
  readonly groups?: readonly string[]
}

/** Networks that count as proxies where the file names none (design.md section 2). */
const PRIVATE =
  '127.0.0.0/8 ::1 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16 fc00::/7 fe80::/10'.split(
    ' ',
  )

/**
 * Returns the answer to a request of a person, or of a stranger, as design.md section 4 and docs/rules.md tell it: slowly, with
 * nothing prepared and nothing remembered.
 */
export function expectedAnswer(
  file: WrittenFile,
  sent: SentCheck,
  claims: SentClaims | undefined,
): PolicyAnswer {
  const { policies = {} } = file
  const demand = demandOf(sent.query)
  if (demand === undefined) return answer(400)
  const isUnknown = demand.policy !== undefined && !Object.hasOwn(policies, demand.policy)
  if (isUnknown) return answer(403)
  const { readings, host, kind } = sent
  if (readings === undefined || !isProtected(host)) return answer(400)
  if (readings.some((path) => /^\/oauth2(?:$|\/)/i.test(path))) return answer(403)
  const request = { method: sent.method, hostname: host, readings }
  const found = [...foundRules(allRules(file), request)]
  const met = found.flatMap((rule) => rule ?? [])
  if (met.length < found.length || met.some(({ access }) => access === 'deny')) return answer(403)
  const needed = [...met, ...demandedRules(demand)]
  if (needed.every(isOpen)) {
    const tellsName = met.some((rule) => rule.access === 'optional') && kind !== 'preflight'
    return answer(200, tellsName && claims !== undefined)
  }
  if (kind === 'preflight' && met.every(({ preflight }) => preflight === 'pass')) return answer(200)
  if (!claims) return answer(SIGN_IN[kind])
  const address = clientAddress(sent.forwardedFor, file.trustedProxies ?? PRIVATE)
  const truths = needed.flatMap((rule) => truthsOf(rule, { claims, address, file }))
  return isCertain(every(truths)) ? answer(200, true) : answer(403)
}

/** Returns what the middleware's address demands as if it were rules. */
function demandedRules({ policy, groups }: Demand): readonly WrittenRule[] {
  return [
    ...(policy === undefined ? [] : [{ access: 'signed-in', policy } as const]),
    ...(groups === undefined ? [] : [{ access: 'signed-in', groups } as const]),
  ]
}

function isOpen({ access }: WrittenRule): boolean {
  return access === 'public' || access === 'optional'
}

const SIGN_IN = { page: 302, form: 303, script: 401, preflight: 401 } as const

function answer(status: PolicyAnswer['status'], isNamed = false): PolicyAnswer {
  return { status, isNamed }
}

/** Returns `undefined` for a query that asks for anything else, for nothing, or for the same twice. */
function demandOf(query: string): Demand | undefined {
  const asked = [...new URLSearchParams(query)]
  const names = asked.map(([name]) => name)
  const isClear =
    new Set(names).size === names.length &&
    names.every((name) => name === 'policy' || name === 'groups')
  const { policy, groups } = Object.fromEntries(asked) as Record<string, string | undefined>
  const members = groups?.split(',').map((group) => group.trim())
  if (!isClear || policy === '' || members?.includes('')) return undefined
  return { ...(policy !== undefined && { policy }), ...(members && { groups: members }) }
}

/** Hosts that are protected in every generated world. */
export const PROTECTED_HOSTS = ['app.example.com', 'other.example.com', '*.wild.example.com']

function isProtected(host: string): boolean {
  return PROTECTED_HOSTS.some(
    (each) => each === host || (each[0] === '*' && host.endsWith(each.slice(1))),
  )
}

/** Returns the rules in the file's order, then its public paths, then everybody whom its lists name. */
function allRules(file: WrittenFile): readonly WrittenRule[] {
  const { rules, publicPaths, allowedGroups, allowedEmails, allowedEmailDomains } = file
  const lists: WrittenLists = {
    ...(allowedGroups && { groups: allowedGroups }),
    ...(allowedEmails && { emails: allowedEmails }),
    ...(allowedEmailDomains && { emailDomains: allowedEmailDomains }),
  }
  const isNaming = Object.keys(lists).length > 0
  return [
    ...rules,
    ...(publicPaths ? [{ access: 'public' as const, paths: publicPaths }] : []),
    ...(isNaming ? [{ access: 'signed-in' as const, ...lists }] : []),
  ]
}

/** Evaluates all that a rule needs. */
function truthsOf(rule: WrittenRule, asker: Asker): readonly Truth[] {
  const { groups, emails, emailDomains, allow, policy } = rule
  const lists = valuesOfLists(
    { ...(groups && { groups }), ...(emails && { emails }), ...(emailDomains && { emailDomains }) },
    asker,
  )
  const named = policy === undefined ? undefined : asker.file.policies?.[policy]
  return [
    ...(lists.length > 0 ? [some(lists)] : []),
    ...(allow ? [valueOf(allow, asker)] : []),
    ...(named ? [valueOf(named, asker)] : []),
  ]
}
