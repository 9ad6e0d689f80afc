import { isInOne } from './addresses.ts'
import { comparedTexts, countedAddress, groupsAsRead, type Texts } from './claims-as-read.ts'
import { every, known, not, some, type Truth, UNKNOWN } from './truth.ts'
import type { SentClaims, WrittenCondition, WrittenFile, WrittenLists } from './written.ts'

/** Signed-in person who asks, with the address of the client where it is known. */
export interface Asker {
  readonly claims: SentClaims
  readonly address: string | undefined
  readonly file: WrittenFile
}

/** Evaluates a condition: every key that it has is needed. */
export function valueOf(condition: WrittenCondition, asker: Asker): Truth {
  const { networks, users, claims, all, any, none, ...lists } = condition
  const { claims: sent, address, file } = asker
  const inner = (conditions: readonly WrittenCondition[]) =>
    conditions.map((each) => valueOf(each, asker))
  return every([
    ...valuesOfLists(lists, asker),
    ...(users ? [known(users.includes(sent['sub'] as string))] : []),
    ...(networks ? [address === undefined ? UNKNOWN : known(isInOne(address, networks))] : []),
    ...Object.entries(claims ?? {}).flatMap(([name, values]) =>
      name === 'email'
        ? valuesOfLists({ emails: values.map(String) }, asker)
        : [isAmong(comparedTexts(sent, name, file), values.map(String))],
    ),
    ...(all ? [every(inner(all))] : []),
    ...(any ? [some(inner(any))] : []),
    ...(none ? [not(some(inner(none)))] : []),
  ])
}

/** Evaluates each of the lists `groups`, `emails` and `emailDomains` that there is. */
export function valuesOfLists(lists: WrittenLists, { claims, file }: Asker): readonly Truth[] {
  const sent = countedAddress(claims, file) ?? ''
  const parts = /^[!-?A-~]+@([a-z\d.-]+)$/i.exec(sent)
  const isPlain = parts !== null && /^[!-~]*$/.test(sent)
  const address = sent.toLowerCase()
  const ofAddress = (part: string, named: readonly string[]) =>
    isPlain ? known(named.some((each) => each.toLowerCase() === part)) : UNKNOWN
  return [
    ...(lists.groups ? [isAmong(groupsAsRead(claims, file), lists.groups)] : []),
    ...(lists.emails ? [ofAddress(address, lists.emails)] : []),
    ...(lists.emailDomains ? [ofAddress(parts?.[1]?.toLowerCase() ?? '', lists.emailDomains)] : []),
  ]
}

/** Returns whether one of the texts is wanted; a match is certain even where not all texts are known. */
function isAmong({ texts, isWhole }: Texts, wanted: readonly string[]): Truth {
  if (texts.some((text) => wanted.includes(text))) return known(true)
  return isWhole ? known(false) : UNKNOWN
}
