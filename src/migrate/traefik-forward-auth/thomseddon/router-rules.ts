import type { RuleSource } from '../../../config/rules/rules-file.ts'
import type { Note } from '../../installation.ts'
import { type MatchedRequests, matchedRequests } from '../../traefik/matched-requests.ts'
import { goesOnInSegment, patternsAround, patternsWithin } from '../../traefik/public-paths.ts'
import type { WhoMayEnter } from './who-may-enter.ts'

/** Rule of the old service. */
export interface OldRule {
  readonly name: string
  readonly rule: string
  readonly action: string
  /** Lists of its own, which override those of all. */
  readonly who: WhoMayEnter | undefined
  readonly provider: string
}

/** Demands where no rule says otherwise. */
export interface Defaults {
  readonly action: string
  readonly who: WhoMayEnter
  readonly provider: string
}

export interface CarriedRule {
  readonly rules: readonly RuleSource[]
  readonly notes: readonly Note[]
}

/**
 * Carries a rule over: what is public here is a part of what was, and what is restricted here is all that was. Where patterns
 * cannot say so, a note asks the operator.
 */
export function carryRule(old: OldRule, defaults: Defaults): CarriedRule {
  const matched = matchedRequests(old.rule)
  if (matched === undefined) {
    return {
      rules: [],
      notes: [note(old, 'todo', 'Cannot be read: write a rule of your own (docs/rules.md).')],
    }
  }
  const each = matched.map((requests) =>
    isPublic(old) ? openRule(old, requests) : restrictedRule(old, requests, defaults),
  )
  return {
    rules: each.flatMap(({ rules }) => rules),
    notes: [...general(old, defaults), ...each.flatMap(({ notes }) => notes)],
  }
}

/** A rule that permits without a sign-in; one with lists did so too, although they say that it was not meant. */
export function isPublic({ action, who }: OldRule): boolean {
  return action === 'allow' && who === undefined
}

function general(old: OldRule, defaults: Defaults): readonly Note[] {
  const notes: Note[] = []
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
  const patterns = requests.paths?.map(patternsWithin)
  const isExact = requests.others.length === 0 && !patterns?.includes(undefined)
  if (!isExact) {
    return {
      rules: [],
      notes: [
        note(
          old,
          'todo',
          `${missing(requests)} has no counterpart in a public rule: these requests need a sign-in here. Give their router no middleware, or write a rule (docs/rules.md).`,
        ),
      ],
    }
  }
  const cut = (requests.paths ?? []).filter(goesOnInSegment).map(({ path }) => path)
  return {
    rules: [{ ...place(old, requests), ...pathsOf(patterns), access: 'public' }],
    notes: cut.map((path) =>
      note(
        old,
        'stricter',
        `Whole segments count: ${path} and what is below ${path}/ is public, and paths that go on in the segment, such as ${path}2, need a sign-in.`,
      ),
    ),
  }
}

function restrictedRule(old: OldRule, requests: MatchedRequests, defaults: Defaults): CarriedRule {
  const patterns = requests.paths?.map(patternsAround)
  const isSayable = !patterns?.includes(undefined)
  const notes: Note[] = []
  if (!isSayable || requests.others.length > 0) {
    notes.push(
      note(
        old,
        'todo',
        `${missing(requests)} has no counterpart: the rule here also restricts requests without it. Look whether that is right for your app.`,
      ),
    )
  }
  const open = isDefault(old, defaults) ? [] : (requests.paths ?? []).filter(goesOnInSegment)
  for (const { path } of open) {
    notes.push(
      note(
        old,
        'todo',
        `Whole segments count here: paths that go on in the segment, such as ${path}2 or ${path}.html, are left to the other rules. If there are such pages, name them in this rule too.`,
      ),
    )
  }
  return {
    rules: [
      { ...place(old, requests), ...(isSayable && pathsOf(patterns)), ...accessOf(old, defaults) },
    ],
    notes,
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

function place({ name }: OldRule, { hosts, methods }: MatchedRequests) {
  return {
    name: `rule.${name}`.slice(0, 64),
    ...(hosts && { hosts: [...hosts] }),
    ...(methods && { methods: [...methods] }),
  }
}

function pathsOf(patterns: readonly (readonly string[] | undefined)[] | undefined) {
  const paths = [...new Set((patterns ?? []).flatMap((each) => each ?? []))]
  return paths.length === 0 || paths.includes('/**') ? {} : { paths }
}

function missing({ others, paths = [] }: MatchedRequests): string {
  const unsayable = paths.filter((each) => patternsWithin(each) === undefined)
  return [...new Set([...others, ...unsayable.map(({ path }) => path)])].join(', ')
}

function note({ name }: OldRule, kind: Note['kind'], text: string): Note {
  return { kind, option: `rule.${name}`, text }
}
