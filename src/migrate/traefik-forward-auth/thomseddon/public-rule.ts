import { type MatchedRequests } from '../../traefik/matched-requests.ts'
import { goesOnInSegment, patternsOf } from '../../traefik/path-patterns.ts'
import {
  type CarriedRule,
  missing,
  note,
  type OldRule,
  pathsOf,
  place,
  todo,
} from './carried-rule.ts'

/** Returns the public rule for requests, or what to do where patterns cannot tell them from others. */
export function openRule(old: OldRule, requests: MatchedRequests): CarriedRule {
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
