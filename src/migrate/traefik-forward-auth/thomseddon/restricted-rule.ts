import type { RuleSource } from '../../../config/rules/rules-file.ts'
import type { MatchedRequests } from '../../traefik/matched-requests.ts'
import { goesOnInSegment, patternsOf } from '../../traefik/path-patterns.ts'
import {
  type CarriedRule,
  type Defaults,
  missing,
  NO_RULE,
  nameOf,
  note,
  type OldRule,
  pathsOf,
  place,
} from './carried-rule.ts'

/** Returns the rules that restrict requests; those for more requests than the old rule let nobody in by its lists. */
export function restrictedRule(
  old: OldRule,
  requests: MatchedRequests,
  defaults: Defaults,
): CarriedRule {
  const patterns = requests.paths?.map(patternsOf)
  const isSayable = !patterns?.includes(undefined)
  const where = { ...place(old, requests), ...(isSayable && pathsOf(patterns)) }
  const cut = isDefault(old, defaults) ? NO_RULE : otherPaths(old, requests)
  const own =
    isSayable && requests.others.length === 0
      ? { ...NO_RULE, rules: [{ ...where, ...accessOf(old, defaults) }] }
      : wideRule(old, requests, where, defaults)
  return {
    rules: own.rules,
    wider: [...cut.wider, ...own.wider],
    notes: [...cut.notes, ...own.notes],
  }
}

/** Denies paths that go on in the last segment of a prefix, and with them all beside it. */
function otherPaths(old: OldRule, requests: MatchedRequests): CarriedRule {
  const cut = (requests.paths ?? []).filter(goesOnInSegment)
  const name = `${nameOf(old).slice(0, 46)}: other paths`
  return {
    rules: [],
    wider: cut.map(({ path }) => ({
      ...place(old, requests),
      name,
      paths: [`${path.replace(/[^/]*$/, '')}*/**`],
      access: 'deny',
    })),
    notes: cut.map(({ path }) =>
      note(
        old,
        'todo',
        `Whole segments count here: the rule has ${path} and what is below ${path}/. So that pages such as ${path}2 or ${path}.html stay closed, "${name}" denies all paths beside it that no rule before has. Name such pages in this rule, and remove the other.`,
      ),
    ),
  }
}

/** A rule for more requests than the old one lets in nobody by its lists, who would find pages of others there. */
function wideRule(
  old: OldRule,
  requests: MatchedRequests,
  where: Omit<RuleSource, 'access'>,
  defaults: Defaults,
): CarriedRule {
  if (isDefault(old, defaults)) return NO_RULE
  const access = old.who === undefined ? accessOf(old, defaults) : ({ access: 'deny' } as const)
  const effect =
    access.access === 'deny'
      ? 'denies all requests that it may be for. Narrow it, and give it its lists'
      : 'also restricts requests without it. Look whether that is right for your app'
  return {
    rules: [],
    wider: [{ ...where, ...access }],
    notes: [
      note(
        old,
        'todo',
        `${missing(requests)} has no counterpart: the rule here ${effect} (docs/rules.md).`,
      ),
    ],
  }
}

/** Returns whether the rule demands what is demanded without it. */
function isDefault({ who, provider }: OldRule, defaults: Defaults): boolean {
  return who === undefined && defaults.action === 'auth' && provider === defaults.provider
}

function accessOf(
  { who, provider }: OldRule,
  defaults: Defaults,
): Pick<RuleSource, 'access'> & Partial<RuleSource> {
  const wanted = who ?? defaults.who
  if (provider !== defaults.provider || wanted === 'nobody') return { access: 'deny' }
  return { access: 'signed-in', ...wanted }
}
