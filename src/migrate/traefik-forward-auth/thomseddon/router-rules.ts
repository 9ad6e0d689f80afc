import type { RuleSource } from '../../../config/rules/rules-file.ts'
import type { Note } from '../../installation.ts'
import { type MatchedRequests, matchedRequests } from '../../traefik/matched-requests.ts'
import { goesOnInSegment, patternsOf } from '../../traefik/path-patterns.ts'
import type { WhoMayEnter } from './who-may-enter.ts'

/** Rule of the old service. */
export interface OldRule {
  readonly name: string
  readonly rule: string
  readonly action: string
  /** Lists of its own, which override those of all. */
  readonly who: WhoMayEnter | undefined
  readonly provider: string
  /** Notes on its lists. */
  readonly notes: readonly Note[]
}

/** Demands where no rule says otherwise. */
export interface Defaults {
  readonly action: string
  readonly who: WhoMayEnter
  readonly provider: string
  /** Notes on the lists of all. */
  readonly notes: readonly Note[]
}

export interface CarriedRule {
  readonly rules: readonly RuleSource[]
  /** Rules for more requests than the old one, because patterns cannot tell those apart; they stand behind all others. */
  readonly wider: readonly RuleSource[]
  readonly notes: readonly Note[]
}

/**
 * Carries a rule over: what is public here is a part of what was, and nobody passes by a rule whose requests patterns cannot
 * tell from others. A note then asks the operator.
 */
export function carryRule(old: OldRule, defaults: Defaults): CarriedRule {
  const matched = matchedRequests(old.rule)
  if (matched === undefined) {
    return todo(old, 'Cannot be read: write a rule of your own (docs/rules.md).')
  }
  const unknown = matched.flatMap(({ others }) => others).find((each) => !MATCHERS.test(each))
  if (unknown !== undefined) {
    return todo(
      old,
      `${unknown} was no matcher of the old service, by which the rule had no effect there, and has none here. Remove it, or write a rule of your own (docs/rules.md).`,
    )
  }
  const each = matched.map((requests) =>
    isPublic(old) ? openRule(old, requests) : restrictedRule(old, requests, defaults),
  )
  return {
    rules: each.flatMap(({ rules }) => rules),
    wider: each.flatMap(({ wider }) => wider),
    notes: [
      ...general(old, defaults),
      ...each.flatMap(({ notes }) => notes),
      ...(matched.some(namesGetAlone)
        ? [note(old, 'differs', 'HEAD counts as GET here, and did not there.')]
        : []),
    ],
  }
}

/** Parts of rules that the old service reads, and what stands for several of them. */
const MATCHERS =
  /^(?:!|two matchers of \w+|host|hostheader|hostregexp|path|pathprefix|method|headers|headersregexp|query|clientip)$/i

function namesGetAlone({ methods = [] }: MatchedRequests): boolean {
  return methods.includes('GET') && !methods.includes('HEAD')
}

function todo(old: OldRule, text: string): CarriedRule {
  return { rules: [], wider: [], notes: [note(old, 'todo', text)] }
}

/** A rule that permits without a sign-in; one with lists did so too, although they say that it was not meant. */
export function isPublic({ action, who }: OldRule): boolean {
  return action === 'allow' && who === undefined
}

function general(old: OldRule, defaults: Defaults): readonly Note[] {
  const notes: Note[] = [...old.notes]
  if (old.action === 'allow' && old.who !== undefined) {
    notes.push(
      note(
        old,
        'stricter',
        'Has the action allow and lists: there everybody passed, and the lists had no effect. Here those on the lists pass, after a sign-in.',
      ),
    )
  }
  if (old.provider !== defaults.provider) {
    notes.push(
      note(
        old,
        'todo',
        `Signs in by another provider (${old.provider}), and one installation has one: its requests are denied. Migrate with default-provider=${old.provider} into another folder, and give the router of these requests that middleware.`,
      ),
    )
  }
  return notes
}

function openRule(old: OldRule, requests: MatchedRequests): CarriedRule {
  const patterns = requests.paths?.map(patternsOf)
  if (requests.others.length > 0 || patterns?.includes(undefined)) {
    return todo(
      old,
      `${missing(requests)} has no counterpart in a public rule: these requests need a sign-in here. Give their router no middleware, or write a rule (docs/rules.md).`,
    )
  }
  const cut = (requests.paths ?? []).filter(goesOnInSegment)
  return {
    rules: [{ ...place(old, requests), ...pathsOf(patterns), access: 'public' }],
    wider: [],
    notes: cut.map(({ path }) =>
      note(
        old,
        'stricter',
        `Whole segments count: ${path} and what is below ${path}/ is public, and paths that go on in the segment, such as ${path}2, need a sign-in.`,
      ),
    ),
  }
}

function restrictedRule(old: OldRule, requests: MatchedRequests, defaults: Defaults): CarriedRule {
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

const NO_RULE: CarriedRule = { rules: [], wider: [], notes: [] }

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

function nameOf({ name }: OldRule): string {
  return `rule.${name}`.slice(0, 60).trim()
}

function place(old: OldRule, { hosts, methods }: MatchedRequests) {
  return {
    name: nameOf(old),
    ...(hosts && { hosts: [...hosts] }),
    ...(methods && { methods: [...methods] }),
  }
}

function pathsOf(patterns: readonly (readonly string[] | undefined)[] | undefined) {
  const paths = [...new Set((patterns ?? []).flatMap((each) => each ?? []))]
  return paths.length === 0 || paths.includes('/**') ? {} : { paths }
}

function missing({ others, paths = [] }: MatchedRequests): string {
  const unsayable = paths.filter((each) => patternsOf(each) === undefined)
  return [...new Set([...others, ...unsayable.map(({ path }) => path)])].join(', ')
}

function note({ name }: OldRule, kind: Note['kind'], text: string): Note {
  return { kind, option: `rule.${name}`, text }
}
