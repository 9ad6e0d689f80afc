import type { Draft } from '../../draft.ts'
import type { Sites } from '../../traefik/sites.ts'
import type { CarriedRule, Defaults, OldRule } from './carried-rule.ts'

/** Says what the hosts of an installation are, and what is missing. */
export function noteSites(draft: Draft, hasAuthHost: boolean, { domain, name }: Sites): void {
  if (hasAuthHost && domain?.authHost === undefined) {
    draft.note(
      'differs',
      'auth-host',
      'Has no effect on these hosts, there and here, because no cookie domain covers it and them: each host has its own sign-in.',
    )
  }
  if (name !== '') {
    draft.note(
      'differs',
      'cookie-domain',
      'There are several domains, and an installation has one: each is an installation of its own, a process with its own ports and Traefik objects.',
    )
  }
}

/** Says what has become of the rules. */
export function noteRules(
  draft: Draft,
  rules: readonly OldRule[],
  carried: readonly CarriedRule[],
  { who, notes }: Defaults,
): void {
  for (const { name } of rules) {
    draft.note(
      'carried',
      `rule.${name}`,
      `The rule rule.${name}, as far as no other note says otherwise.`,
    )
  }
  for (const { kind, option, text } of [...notes, ...carried.flatMap((each) => each.notes)])
    draft.note(kind, option, text)
  if (rules.length > 1) {
    draft.note(
      'differs',
      'rule',
      'Where several rules match a request, the old service took one by chance, another at each start. Here the first of vestibule.yaml decides: those with lists stand first, and those that are public behind the others.',
    )
  }
  if (who === 'nobody') {
    draft.note(
      'todo',
      'whitelist',
      'Is given and names nobody, so that the old service lets nobody in, and so does this one. Remove it, or name who may enter.',
    )
  }
}

/** Says what differs whatever the options are. */
export function noteDifferences(draft: Draft): void {
  draft.note(
    'carried',
    'X-Forwarded-User',
    'IDENTITY_HEADERS sends the e-mail address under this name. X-Auth-Request-User is the sub.',
  )
  draft.note(
    'stricter',
    'e-mail',
    'An address counts only with email_verified: true, which the old service does not look at. If your provider sends no such claim, set OIDC_TRUST_EMAIL (docs/provider.md).',
  )
  draft.note(
    'differs',
    '401',
    'Who is signed in and may not enter gets 403 in place of 401. Scripts get 401 where the old service redirects them, and signed-in people keep the query of the address that they asked for.',
  )
}
