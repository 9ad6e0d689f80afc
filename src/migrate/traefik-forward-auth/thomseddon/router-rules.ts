import type { Note } from '../../installation.ts'
import { type MatchedRequests, matchedRequests } from '../../traefik/matched-requests.ts'
import { type CarriedRule, type Defaults, note, type OldRule, todo } from './carried-rule.ts'
import { openRule } from './public-rule.ts'
import { restrictedRule } from './restricted-rule.ts'

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
