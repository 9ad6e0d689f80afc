import type { TemplatePart } from '../core/identity-headers.ts'
import { ValueError } from './config-error.ts'

/** Matches one part of a template: a doubled brace, a claim in braces, other text, or a brace that is neither. */
const PART = /(?<doubled>\{\{|\}\})|\{(?<claim>[^{}]*)\}|(?<text>[^{}]+)|(?<brace>[{}])/g

/**
 * Parses the text of a template such as `role-{department}`, in which `{{` and `}}` stand for braces. Throws `ValueError`,
 * whose message ends with the remedy.
 */
export function parseTemplate(text: string): readonly TemplatePart[] {
  if (text === '') throw new ValueError('has an empty template: write "role-{department}"')
  if (/[^\x20-\x7e]/.test(text)) {
    throw new ValueError(
      'has a character in its template that is not printable ASCII: let a claim hold it',
    )
  }
  return [...text.matchAll(PART)].map(({ groups = {} }) => partOf(groups)).reduce(joined, [])
}

function partOf({ doubled, claim, text, brace }: Readonly<Record<string, string | undefined>>) {
  if (brace !== undefined) {
    throw new ValueError('has a brace without its counterpart: write {{ or }} for a brace itself')
  }
  return claim === undefined ? { text: doubled?.slice(1) ?? text ?? '' } : { claim: named(claim) }
}

function named(claim: string): string {
  if (claim === ACCESS_TOKEN) {
    throw new ValueError(
      'has the access token in a template: give it a header of its own, X-Forwarded-Access-Token=access_token',
    )
  }
  if (!CLAIM.test(claim)) {
    throw new ValueError(
      'has braces without the name of a claim: write {department}, or {{ and }} for braces',
    )
  }
  return claim
}

function joined(parts: readonly TemplatePart[], part: TemplatePart): readonly TemplatePart[] {
  const last = parts.at(-1)
  return last && 'text' in last && 'text' in part
    ? [...parts.slice(0, -1), { text: last.text + part.text }]
    : [...parts, part]
}

/** Value that stands for the access token where a claim could. */
export const ACCESS_TOKEN = 'access_token'

/** Matches the name of a claim, or a path to it. */
export const CLAIM = /^[!#-z|~]+$/
